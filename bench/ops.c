/*
 * The benchmark of single operations. Every run has a fresh table, and runs of the engine and of
 * the floor take turns, so that both see the same moods of the machine.
 */
#include <string.h>

#include "bench.h"
#include "floor.h"
#include "ops.h"
#include "report.h"

/* How often the rows are got in a run: once would take too short a time to be measured well. */
enum { GET_PASSES = 5 };

/* How many rows of another task are due before each that a claim of some tasks takes. */
enum { OTHERS = 9 };

/* The rows of all runs. */
struct workload {
  struct rows *rows, *others;
};

/* Describes the work of an operation. Where rows are got again, nobody waits for them any more:
 * equal reads that wait would be one. */
static void describe(struct op_work *work, enum op op, const struct target *target,
                     const struct workload *load, size_t in_flight) {
  int64_t now = evd_now();
  *work = (struct op_work){.op = op, .target = target, .rows = load->rows};
  work->others = op == OP_CLAIM_TASKS ? load->others : NULL;
  work->passes = op == OP_GET && load->rows->count > in_flight ? GET_PASSES : 1;
  work->filter.status = EVD_STATUS_READY;
  work->before = now + 1000; /* all rows are due */
  work->started_at = now;
  evd_set(&work->changes, status, EVD_STATUS_RUNNING);
  evd_set(&work->changes, executor_id, "executor-1");
  evd_set(&work->changes, started_at, now);
  evd_set(&work->changes, updated_at, now);
  if (op == OP_UPDATE) {
    evd_set(&work->changes, expires_at, now + 60000); /* a claim sets it itself */
  }
}

/* One run in a fresh table: by the floor when a batch size is given, else by the engine. The floor
 * of a claim of some tasks is the engine's claim of any, in a table without others. */
static bool run_once(enum op op, const char *engine, const struct bench_options *options,
                     const struct workload *load, double floor_batch, struct op_run *run) {
  struct target target;
  struct op_work work;
  size_t in_flight = options->in_flight > 0 ? options->in_flight : 256;
  if (!target_init(&target, engine, options)) {
    return false;
  }
  bool by_floor = floor_batch > 0 && op != OP_CLAIM_TASKS;
  describe(&work, floor_batch > 0 && !by_floor ? OP_CLAIM : op, &target, load, in_flight);
  bool ok = op_load(&work);
  if (ok && by_floor) {
    ok = op_run_floor(&work, in_flight, floor_batch, run);
  } else if (ok) {
    ok = op_run_engine(&work, in_flight, run);
  }
  ok = ok && op_verify(&work);
  return target_remove(&target) && ok;
}

/* The runs of one operation, and their medians. */
struct series {
  double engine[REPETITIONS_MAX], floor[REPETITIONS_MAX], ratio[REPETITIONS_MAX];
  double cpu[REPETITIONS_MAX], floor_cpu[REPETITIONS_MAX], batch[REPETITIONS_MAX];
};

static void summarize(struct series *series, size_t count, struct ops_result *result) {
  result->ops_per_s = bench_median(series->engine, count);
  result->floor_ops_per_s = bench_median(series->floor, count);
  result->ratio = bench_median(series->ratio, count);
  result->cpu_us_per_op = bench_median(series->cpu, count);
  result->floor_cpu_us_per_op = bench_median(series->floor_cpu, count);
  result->batch = bench_median(series->batch, count);
}

/* Measures one operation: engine and floor by turns. */
static bool measure(enum op op, const char *engine, const struct bench_options *options,
                    const struct workload *load, size_t repetitions) {
  struct series series;
  for (size_t i = 0; i < repetitions; i++) {
    struct op_run run, floor;
    bench_progress("%s: %s %zu of %zu", engine, op_name(op), i + 1, repetitions);
    if (!run_once(op, engine, options, load, 0, &run)) {
      return false;
    }
    bench_progress("%s: %s %zu of %zu, floor", engine, op_name(op), i + 1, repetitions);
    if (!run_once(op, engine, options, load, run.batch, &floor)) {
      return false;
    }
    series.engine[i] = run.ops_per_s;
    series.floor[i] = floor.ops_per_s;
    series.ratio[i] = run.ops_per_s / floor.ops_per_s;
    series.cpu[i] = run.cpu_us_per_op;
    series.floor_cpu[i] = floor.cpu_us_per_op;
    series.batch[i] = run.batch;
  }
  struct ops_result result = {.engine = engine, .op = op_name(op)};
  result.in_flight = options->in_flight > 0 ? options->in_flight : 256;
  summarize(&series, repetitions, &result);
  report_ops(options, &result);
  return true;
}

bool bench_ops(const char *engine, const struct bench_options *options) {
  size_t count = options->quick ? 1000 : 10000;
  size_t repetitions = bench_repetitions(options);
  if (options->row_count > 0) {
    count = options->row_count;
  }
  struct workload load = {rows_new(count), rows_new_others(OTHERS * count)};
  if (load.rows == NULL || load.others == NULL) {
    rows_free(load.rows);
    rows_free(load.others);
    return bench_fail("out of memory");
  }
  bool ok = true;
  for (enum op op = 0; op < OP_COUNT && ok; op++) {
    if (options->only_op == NULL || strcmp(options->only_op, op_name(op)) == 0) {
      ok = measure(op, engine, options, &load, repetitions);
    }
  }
  bench_progress(NULL);
  rows_free(load.rows);
  rows_free(load.others);
  return ok;
}
