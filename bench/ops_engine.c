/* The operations through the library. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "floor.h"
#include "flow.h"
#include "ops.h"

/* Executions that one call inserts when a table is loaded. */
enum { LOAD_GROUP = 100 };

/* Rounds in which no more connections were opened, after which the engine is warm. */
enum { WARM_ROUNDS = 20 };

const char *op_name(enum op op) {
  static const char *const names[OP_COUNT] = {"insert", "get", "update", "claim", "claim-tasks"};
  return names[op];
}

static bool is_claim(enum op op) {
  return op == OP_CLAIM || op == OP_CLAIM_TASKS;
}

static evd_future *submit_insert(struct flow *flow, size_t index) {
  const struct op_work *work = flow->data;
  return evd_insert(flow->storage, &work->rows->executions[index], 1);
}

static evd_future *submit_get(struct flow *flow, size_t index) {
  const struct op_work *work = flow->data;
  return evd_get(flow->storage, op_id(work, index), NULL);
}

static evd_future *submit_update(struct flow *flow, size_t index) {
  const struct op_work *work = flow->data;
  return evd_update(flow->storage, op_id(work, index), &work->filter, &work->changes);
}

static evd_future *submit_claim(struct flow *flow, size_t index) {
  (void)index;
  const struct op_work *work = flow->data;
  evd_due due = {
      .status = EVD_STATUS_READY, .start_at_before = work->before, .started_at = work->started_at};
  if (work->op == OP_CLAIM_TASKS) {
    due.task_ids = rows_tasks;
    due.task_id_count = ROW_TASKS;
  }
  return evd_claim_by_start_at(flow->storage, &due, &work->changes, CLAIM_LIMIT);
}

static int64_t inserted(struct flow *flow, const evd_future *future, size_t index) {
  (void)flow, (void)index;
  int64_t count;
  evd_future_count(future, &count);
  return count;
}

static int64_t got(struct flow *flow, const evd_future *future, size_t index) {
  const struct op_work *work = flow->data;
  const evd_execution *row;
  evd_future_row(future, &row);
  if (row == NULL || strcmp(row->execution_id, op_id(work, index)) != 0) {
    return -1;
  }
  return 1;
}

static int64_t updated(struct flow *flow, const evd_future *future, size_t index) {
  (void)flow, (void)index;
  bool matched;
  evd_future_matched(future, &matched);
  return matched ? 1 : -1;
}

static int64_t claimed(struct flow *flow, const evd_future *future, size_t index) {
  (void)flow, (void)index;
  const evd_execution *rows;
  size_t count;
  evd_future_rows(future, &rows, &count);
  return count > 0 ? (int64_t)count : -1;
}

/* The flow that does an operation's work. */
static void describe_flow(const struct op_work *work, size_t in_flight, struct flow *flow) {
  static evd_future *(*const submit[OP_COUNT])(struct flow *, size_t) = {
      submit_insert, submit_get, submit_update, submit_claim, submit_claim};
  static int64_t (*const done_units[OP_COUNT])(struct flow *, const evd_future *,
                                               size_t) = {inserted, got, updated, claimed, claimed};
  flow->name = op_name(work->op);
  flow->total = op_total(work);
  flow->unit = is_claim(work->op) ? CLAIM_LIMIT : 1;
  flow->in_flight = (in_flight + flow->unit - 1) / flow->unit;
  flow->submit = submit[work->op];
  flow->done_units = done_units[work->op];
  flow->data = (void *)work;
}

/* The mean batch of an operation, in rows. */
static double mean_batch(const evd_storage *storage, enum op op) {
  static const evd_operation operations[OP_COUNT] = {
      EVD_OPERATION_INSERT, EVD_OPERATION_GET, EVD_OPERATION_UPDATE,
      EVD_OPERATION_CLAIM_BY_START_AT, EVD_OPERATION_CLAIM_BY_START_AT};
  evd_stats stats;
  evd_storage_stats(storage, &stats);
  const evd_operation_stats *counted = &stats.operations[operations[op]];
  if (is_claim(op) || counted->batches == 0) {
    return is_claim(op) ? CLAIM_LIMIT : 1;
  }
  return (double)counted->batched / (double)counted->batches;
}

/* Gets what is not there, as many rows at once as the work will; they are counted apart from it. */
static bool get_nothing(evd_storage *storage, evd_future **futures, size_t in_flight) {
  char id[32];
  bool ok = true;
  for (size_t i = 0; i < in_flight; i++) {
    snprintf(id, sizeof id, "nobody %zu", i); /* equal reads would be one */
    futures[i] = evd_get_by_sleeping_task_unique_id(storage, id);
  }
  for (size_t i = 0; i < in_flight; i++) {
    ok = ok &&
         (evd_future_await(futures[i]) == EVD_OK || bench_fail_future("warming up", futures[i]));
    evd_future_release(futures[i]);
  }
  return ok;
}

/* Has the engine open its connections before anything is measured, as the floor does: until it has
 * opened no more for some rounds. */
static bool warm_up(evd_storage *storage, size_t in_flight) {
  evd_stats stats;
  uint64_t connections = 0;
  evd_future **futures = calloc(in_flight, sizeof(evd_future *));
  if (futures == NULL) {
    return bench_fail("out of memory");
  }
  bool ok = true;
  for (int quiet = 0; ok && quiet < WARM_ROUNDS; quiet++) {
    ok = get_nothing(storage, futures, in_flight);
    evd_storage_stats(storage, &stats);
    if (stats.connections > connections) {
      connections = stats.connections;
      quiet = 0;
    }
  }
  free(futures);
  return ok;
}

bool op_run_engine(const struct op_work *work, size_t in_flight, struct op_run *run) {
  evd_options options = {0};
  struct flow flow = {0};
  evd_storage *storage = target_open(work->target, &options);
  if (storage == NULL || !warm_up(storage, in_flight)) {
    target_close(storage);
    return false;
  }
  describe_flow(work, in_flight, &flow);
  flow.storage = storage;
  double start = bench_seconds(), cpu_start = bench_cpu_seconds();
  bool ok = flow_run(&flow);
  double seconds = bench_seconds() - start, cpu_seconds = bench_cpu_seconds() - cpu_start;
  run->ops_per_s = (double)flow.done / seconds;
  run->cpu_us_per_op = cpu_seconds * 1e6 / (double)flow.total;
  run->batch = mean_batch(storage, work->op);
  return target_close(storage) && ok;
}

bool op_run_floor(const struct op_work *work, size_t in_flight, double batch, struct op_run *run) {
  const struct floor_ops *ops = floor_for_engine(work->target->engine);
  struct floor *floor = ops == NULL ? NULL : ops->open(work->target);
  size_t rows = (size_t)(batch + 0.5), done = 0;
  if (floor == NULL) {
    return false;
  }
  size_t depth = (size_t)((double)in_flight / batch + 0.5); /* as many rows as the engine has */
  depth = depth > 0 ? depth : 1;
  bool ok = ops->prepare == NULL || ops->prepare(floor, work, depth);
  double start = bench_seconds(), cpu_start = bench_cpu_seconds();
  ok = ok && ops->run(floor, work, rows, depth, &done);
  double seconds = bench_seconds() - start, cpu_seconds = bench_cpu_seconds() - cpu_start;
  ops->close(floor);
  run->ops_per_s = (double)done / seconds;
  run->cpu_us_per_op = cpu_seconds * 1e6 / (double)op_total(work);
  run->batch = (double)rows;
  if (ok && done != op_total(work)) {
    return bench_fail("floor: %s did %zu rows of %zu", op_name(work->op), done, op_total(work));
  }
  return ok;
}

static evd_future *submit_group(struct flow *flow, size_t index) {
  const struct rows *rows = flow->data;
  size_t first = index * LOAD_GROUP, left = rows->count - first;
  return evd_insert(flow->storage, &rows->executions[first], left < LOAD_GROUP ? left : LOAD_GROUP);
}

static bool load(evd_storage *storage, const struct rows *rows) {
  struct flow flow = {.storage = storage, .name = "loading", .total = rows->count};
  flow.in_flight = 4;
  flow.unit = LOAD_GROUP;
  flow.submit = submit_group;
  flow.done_units = inserted;
  flow.data = (void *)rows;
  return flow_run(&flow);
}

bool op_load(const struct op_work *work) {
  evd_options options = {0};
  evd_storage *storage = target_open(work->target, &options);
  if (storage == NULL) {
    return false;
  }
  bool ok = work->others == NULL || load(storage, work->others);
  ok = ok && (work->op == OP_INSERT || load(storage, work->rows));
  ok = target_close(storage) && ok;
  return ok && floor_settle(work->target);
}

static int64_t verified(struct flow *flow, const evd_future *future, size_t index) {
  const struct op_work *work = flow->data;
  const evd_execution *row;
  bool changed = work->op == OP_UPDATE || is_claim(work->op);
  if (got(flow, future, index) < 0) {
    return -1;
  }
  evd_future_row(future, &row);
  if (!changed) {
    return row->status == EVD_STATUS_READY && row->executor_id == NULL ? 1 : -1;
  }
  bool ok = row->status == EVD_STATUS_RUNNING && row->executor_id != NULL &&
            strcmp(row->executor_id, work->changes.values.executor_id) == 0 &&
            row->started_at == work->changes.values.started_at &&
            row->expires_at == work->started_at + row->timeout_ms &&
            row->updated_at == work->changes.values.updated_at;
  return ok ? 1 : -1;
}

bool op_verify(const struct op_work *work) {
  evd_options options = {0};
  struct flow flow = {0};
  evd_storage *storage = target_open(work->target, &options);
  if (storage == NULL) {
    return false;
  }
  describe_flow(work, 256, &flow);
  flow.storage = storage;
  flow.total = work->rows->count;
  flow.unit = 1;
  flow.in_flight = 256;
  flow.submit = submit_get;
  flow.done_units = verified;
  bool ok = flow_run(&flow);
  return target_close(storage) && ok;
}
