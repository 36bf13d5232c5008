/* What a long run and many pending requests hold in memory. */
#include <ev.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flow.h"
#include "memory.h"
#include "rows.h"

enum { IN_FLIGHT = 256 };

/* A row is read and updated so many rows after its insertion, when that has long been done. */
enum { LAG = 1024 };

/* What may be gained between two samples by chance (requests in flight, pages kept by malloc). */
#define HEAP_SLACK_MIB 1.0
#define RESIDENT_SLACK_MIB 8.0

static const double mebibyte = 1024.0 * 1024.0;

/* The resident size of this process, in MiB; 0 when it cannot be known. */
static double resident(void) {
  char line[128] = "", *pages = line;
  FILE *file = fopen("/proc/self/statm", "r"); /* "size resident ...", in pages */
  if (file == NULL) {
    return 0;
  }
  if (fgets(line, sizeof line, file) != NULL) {
    strtol(line, &pages, 10);
  }
  fclose(file);
  return (double)strtol(pages, NULL, 10) * (double)sysconf(_SC_PAGESIZE) / mebibyte;
}

/* What malloc has given out in all its arenas, in MiB. */
static double heap_in_use(void) {
  struct mallinfo2 info = mallinfo2();
  return (double)(info.uordblks + info.hblkhd) / mebibyte;
}

/* A long run. */
struct run {
  struct rows *samples; /* whose input is inserted again and again */
  char ids[2 * LAG][EVD_ID_SIZE];
  size_t every; /* operations between two samples */
  struct memory_sample *taken;
  size_t taken_count;
};

/* Inserts a new row; every second one is a child of the one before. */
static evd_future *insert_next(struct flow *flow, struct run *run, size_t step) {
  evd_execution execution;
  char *id = run->ids[step % (2 * LAG)];
  evd_id_generate(id);
  evd_execution_init(&execution, id, "deliver_order", run->samples->inputs[0], NULL);
  if (step % 2 == 1) {
    evd_execution parent = execution;
    parent.execution_id = run->ids[(step - 1) % (2 * LAG)];
    evd_execution_set_parent(&execution, &parent, 0, true, false);
  }
  return evd_insert(flow->storage, &execution, 1);
}

/* Takes a row from one status to another. */
static evd_future *update_row(struct flow *flow, const char *id, evd_status from, evd_status to) {
  evd_changes changes = {0};
  evd_set(&changes, status, to);
  evd_set(&changes, is_finished, evd_status_is_finished(to));
  evd_set(&changes, executor_id, "executor-1");
  evd_set(&changes, output, "{\"delivered\":true}");
  return evd_update(flow->storage, id, &(evd_filter){.status = from}, &changes);
}

/* Operations go round: insert a row; get, start and finish an older one; get its children. */
static evd_future *submit(struct flow *flow, size_t index) {
  struct run *run = flow->data;
  size_t step = index / 5;
  const char *older = step < LAG ? "nobody" : run->ids[(step - LAG) % (2 * LAG)];
  switch (index % 5) {
  case 0: return insert_next(flow, run, step);
  case 1: return evd_get(flow->storage, older, NULL);
  case 2: return update_row(flow, older, EVD_STATUS_READY, EVD_STATUS_RUNNING);
  case 3: return update_row(flow, older, EVD_STATUS_RUNNING, EVD_STATUS_COMPLETED);
  default: return evd_get_by_parent(flow->storage, older);
  }
}

static int64_t done_units(struct flow *flow, const evd_future *future, size_t index) {
  struct run *run = flow->data;
  bool matched = true;
  if ((index % 5 == 2 || index % 5 == 3) && index / 5 >= LAG) {
    evd_future_matched(future, &matched);
  }
  if ((flow->done + 1) % run->every == 0 && run->taken_count < MEMORY_SAMPLES) {
    run->taken[run->taken_count++] =
        (struct memory_sample){flow->done + 1, resident(), heap_in_use()};
  }
  return matched ? 1 : -1;
}

bool memory_run(evd_storage *storage, size_t operations,
                struct memory_sample samples[MEMORY_SAMPLES]) {
  static struct run run;
  struct flow flow = {.storage = storage, .name = "memory", .unit = 1, .in_flight = IN_FLIGHT};
  run = (struct run){.every = operations / MEMORY_SAMPLES, .taken = samples};
  run.samples = rows_new(1);
  if (run.samples == NULL) {
    return bench_fail("out of memory");
  }
  flow.total = operations;
  flow.submit = submit;
  flow.done_units = done_units;
  flow.data = &run;
  bool ok = flow_run(&flow);
  rows_free(run.samples);
  return ok;
}

bool memory_is_level(const struct memory_sample samples[MEMORY_SAMPLES]) {
  const struct memory_sample *early = &samples[1], *last = &samples[MEMORY_SAMPLES - 1];
  return last->heap <= early->heap + HEAP_SLACK_MIB &&
         last->resident <= early->resident + RESIDENT_SLACK_MIB;
}

/* Requests that are pending, and how they ended. */
struct pending {
  size_t left, failed;
};

static void ended(evd_future *future, void *data) {
  struct pending *pending = data;
  if (evd_future_code(future) != EVD_OK && pending->failed++ == 0) {
    bench_fail_future("a pending insert", future);
  }
  if (--pending->left == 0) {
    ev_break(EV_DEFAULT, EVBREAK_ONE);
  }
}

bool memory_pending(evd_storage *storage, size_t count, struct memory_result *result) {
  struct pending pending = {.left = count};
  evd_stats stats;
  struct rows *rows = rows_new(count);
  if (rows == NULL) {
    return bench_fail("out of memory");
  }
  result->pending = count;
  result->resident_start = resident();
  for (size_t i = 0; i < count; i++) {
    if (evd_future_then(evd_insert(storage, &rows->executions[i], 1), ended, &pending) != EVD_OK) {
      pending.left--, pending.failed++;
    }
  }
  evd_storage_stats(storage, &stats);
  result->resident_pending = resident();
  result->bytes_per_request = (double)stats.pending_bytes / (double)count;
  result->resident_per_request =
      (result->resident_pending - result->resident_start) * mebibyte / (double)count;
  if (pending.left > 0) {
    ev_run(EV_DEFAULT, 0);
  }
  rows_free(rows);
  return pending.failed == 0 || bench_fail("%zu of %zu inserts failed", pending.failed, count);
}

bool bench_memory(const char *engine, const struct bench_options *options) {
  struct memory_sample samples[MEMORY_SAMPLES];
  struct memory_result result = {.engine = engine};
  struct target target;
  evd_options storage_options = {.operation_timeout_ms = -1};
  size_t operations = options->quick ? 100000 : 1000000, pending = options->quick ? 30000 : 100000;
  if (options->task_count >= MEMORY_SAMPLES) {
    operations = options->task_count;
  }
  if (!target_init(&target, engine, options)) {
    return false;
  }
  evd_storage *storage = target_open(&target, &storage_options);
  bench_progress("%s: %zu pending", engine, pending);
  /* First, as this also fills SQLite's page cache: its growth would look like a leak. */
  bool ok = storage != NULL && memory_pending(storage, pending, &result);
  bench_progress("%s: %zu operations", engine, operations);
  ok = ok && memory_run(storage, operations, samples);
  for (size_t i = 0; i < MEMORY_SAMPLES && ok; i++) {
    report_memory_sample(options, engine, &samples[i]);
  }
  if (ok) {
    report_memory(options, &result);
  }
  if (ok && !memory_is_level(samples)) {
    ok = bench_fail("%s: memory grows", engine);
  }
  ok = target_close(storage) && ok;
  return target_remove(&target) && ok;
}
