/*
 * The benchmark of concurrent tasks: what an executor asks of its storage.
 *
 * Every task goes through these states, in_flight of them between the first and the last:
 *
 *   (started) -insert-> READY -claim-> RUNNING -1 ms-> -update-> COMPLETED -close-> CLOSED
 *
 * Claims and closings take what has gathered, up to LIMIT rows a call. Each task has a parent,
 * whose counter of active children is taken down when the task is closed.
 */
#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "flow.h"
#include "report.h"
#include "rows.h"

enum { LIMIT = 100 };
enum { CLAIMS_MAX = 3 }; /* claims in flight; closings go one at a time */
enum { CHILDREN = 50 };  /* of a parent */
#define RUN_SECONDS 0.001
#define EXECUTOR "executor-1"

/* One task. */
struct task {
  struct tasks *tasks;
  ev_timer timer;
  unsigned claims, completions;
};

/* One run. Owns what it points to, but not the storage. */
struct tasks {
  evd_storage *storage;
  struct rows *rows;    /* of the tasks */
  struct rows *parents; /* of their parents */
  struct task *tasks;
  size_t total, in_flight;
  size_t started, inserted, claimed, completed, closed;
  size_t claims, closings; /* calls in flight */
  size_t pending;          /* all calls in flight */
  bool failed;
};

static void advance(struct tasks *tasks);

/* Attaches a callback to an operation of a task, or of the run. */
static void then(struct tasks *tasks, evd_future *future, evd_callback callback, void *data) {
  if (evd_future_then(future, callback, data) == EVD_OK) {
    tasks->pending++;
  } else {
    tasks->failed = true;
  }
}

/* Begins every callback: false when the operation failed. */
static bool succeeded(struct tasks *tasks, const evd_future *future, const char *name) {
  tasks->pending--;
  if (evd_future_code(future) == EVD_OK) {
    return true;
  }
  if (!tasks->failed) {
    tasks->failed = !bench_fail_future(name, future);
  }
  return false;
}

static void on_inserted(evd_future *future, void *data) {
  struct tasks *tasks = data;
  if (succeeded(tasks, future, "insert")) {
    tasks->inserted++;
  }
  advance(tasks);
}

static void on_completed(evd_future *future, void *data) {
  struct task *task = data;
  struct tasks *tasks = task->tasks;
  bool matched;
  if (succeeded(tasks, future, "complete")) {
    evd_future_matched(future, &matched);
    if (!matched) {
      tasks->failed = !bench_fail("complete: a task was not running");
    }
    task->completions++;
    tasks->completed++;
  }
  advance(tasks);
}

/* The task has run: completes it. */
static void on_run(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)loop, (void)events;
  struct task *task = timer->data;
  struct tasks *tasks = task->tasks;
  evd_changes changes = {0};
  int64_t now = evd_now();
  evd_set(&changes, status, EVD_STATUS_COMPLETED);
  evd_set(&changes, is_finished, true);
  evd_set(&changes, output, "{\"delivered\":true}");
  evd_set(&changes, finished_at, now);
  evd_set(&changes, updated_at, now);
  evd_unset(&changes, expires_at);
  then(tasks,
       evd_update(tasks->storage, tasks->rows->ids[task - tasks->tasks],
                  &(evd_filter){.status = EVD_STATUS_RUNNING}, &changes),
       on_completed, task);
}

/* Runs the tasks that a claim got. */
static void on_claimed(evd_future *future, void *data) {
  struct tasks *tasks = data;
  const evd_execution *rows;
  size_t count;
  tasks->claims--;
  if (succeeded(tasks, future, "claim")) {
    evd_future_rows(future, &rows, &count);
    for (size_t i = 0; i < count; i++) {
      size_t index = rows_find(tasks->rows, rows[i].execution_id);
      if (index == tasks->total || tasks->tasks[index].claims++ > 0) {
        tasks->failed = !bench_fail("claim: a row that is no task's, or was claimed before");
        break;
      }
      ev_timer_start(EV_DEFAULT, &tasks->tasks[index].timer);
      tasks->claimed++;
    }
  }
  advance(tasks);
}

static void on_closed(evd_future *future, void *data) {
  struct tasks *tasks = data;
  int64_t count;
  tasks->closings--;
  if (succeeded(tasks, future, "close")) {
    evd_future_count(future, &count);
    tasks->closed += (size_t)count;
  }
  advance(tasks);
}

static void start_claim(struct tasks *tasks) {
  evd_changes changes = {0};
  int64_t now = evd_now();
  evd_set(&changes, status, EVD_STATUS_RUNNING);
  evd_set(&changes, executor_id, EXECUTOR);
  evd_set(&changes, started_at, now);
  evd_set(&changes, updated_at, now);
  tasks->claims++;
  then(tasks,
       evd_claim_by_start_at(
           tasks->storage,
           &(evd_due){.status = EVD_STATUS_READY, .start_at_before = now + 1, .started_at = now},
           &changes, LIMIT),
       on_claimed, tasks);
}

static void start_closing(struct tasks *tasks) {
  evd_changes changes = {0};
  int64_t now = evd_now();
  evd_set(&changes, close_status, EVD_CLOSE_CLOSED);
  evd_set(&changes, closed_at, now);
  evd_set(&changes, updated_at, now);
  tasks->closings++;
  then(tasks, evd_close_finished(tasks->storage, true, EVD_CLOSE_IDLE, &changes, LIMIT), on_closed,
       tasks);
}

/* Does whatever is due after something has happened. A task may be claimed before the callback of
 * its insertion has come: the counts of a moment need not agree. */
static void advance(struct tasks *tasks) {
  if (tasks->failed || tasks->closed == tasks->total) {
    if (tasks->pending == 0) {
      ev_break(EV_DEFAULT, EVBREAK_ONE);
    }
    return;
  }
  while (tasks->started < tasks->total && tasks->started - tasks->closed < tasks->in_flight) {
    evd_execution *execution = &tasks->rows->executions[tasks->started++];
    then(tasks, evd_insert(tasks->storage, execution, 1), on_inserted, tasks);
  }
  while (tasks->inserted > tasks->claimed + tasks->claims * LIMIT && tasks->claims < CLAIMS_MAX) {
    start_claim(tasks);
  }
  if (tasks->completed > tasks->closed && tasks->closings == 0) {
    start_closing(tasks);
  }
}

/* Inserts the parents, which wait for their children. */
static bool insert_parents(struct tasks *tasks) {
  struct rows *parents = tasks->parents;
  for (size_t i = 0; i < parents->count; i++) {
    size_t left = tasks->total - i * CHILDREN;
    evd_execution *parent = &parents->executions[i];
    evd_run_options options = {.timeout_ms = 60000};
    evd_execution_init(parent, parents->ids[i], "deliver_orders", parents->inputs[i], &options);
    parent->status = EVD_STATUS_WAITING_FOR_CHILDREN;
    parent->waiting_for_children_started_at = parent->created_at;
    parent->active_children_count = (int32_t)(left < CHILDREN ? left : CHILDREN);
  }
  evd_future *future = evd_insert(tasks->storage, parents->executions, parents->count);
  bool ok = evd_future_await(future) == EVD_OK || bench_fail_future("inserting parents", future);
  evd_future_release(future);
  return ok;
}

/* Makes the tasks and their parents. */
static bool prepare(struct tasks *tasks) {
  size_t total = tasks->total;
  tasks->rows = rows_new(total);
  tasks->parents = rows_new((total + CHILDREN - 1) / CHILDREN);
  tasks->tasks = calloc(total, sizeof *tasks->tasks);
  if (tasks->rows == NULL || tasks->parents == NULL || tasks->tasks == NULL) {
    return bench_fail("out of memory");
  }
  if (!insert_parents(tasks)) {
    return false;
  }
  for (size_t i = 0; i < total; i++) {
    struct task *task = &tasks->tasks[i];
    evd_run_options options = {.timeout_ms = 60000};
    evd_execution_init(&tasks->rows->executions[i], tasks->rows->ids[i], "deliver_order",
                       tasks->rows->inputs[i], &options);
    evd_execution_set_parent(&tasks->rows->executions[i], &tasks->parents->executions[i / CHILDREN],
                             (int32_t)(i % CHILDREN), false, false);
    task->tasks = tasks;
    ev_timer_init(&task->timer, on_run, RUN_SECONDS, 0);
    task->timer.data = task;
  }
  return true;
}

/* Whether one child is as it should be in the end. */
static bool child_is_done(struct tasks *tasks, const evd_execution *child) {
  size_t index = rows_find(tasks->rows, child->execution_id);
  return index < tasks->total && tasks->tasks[index].claims == 1 &&
         tasks->tasks[index].completions == 1 && child->status == EVD_STATUS_COMPLETED &&
         child->is_finished && child->close_status == EVD_CLOSE_CLOSED &&
         child->closed_at != EVD_NONE && child->expires_at == EVD_NONE && child->output != NULL;
}

/* Counts the children of a parent that are done; -1 when something is wrong. */
static int64_t verified(struct flow *flow, const evd_future *future, size_t index) {
  (void)index;
  const evd_execution *rows;
  size_t count;
  evd_future_rows(future, &rows, &count);
  for (size_t i = 0; i < count; i++) {
    if (!child_is_done(flow->data, &rows[i])) {
      return -1;
    }
  }
  return (int64_t)count;
}

static evd_future *get_children(struct flow *flow, size_t index) {
  const struct tasks *tasks = flow->data;
  return evd_get_by_parent(flow->storage, tasks->parents->ids[index]);
}

/* Whether a parent has no active children left. */
static int64_t verified_parent(struct flow *flow, const evd_future *future, size_t index) {
  (void)flow, (void)index;
  const evd_execution *row;
  evd_future_row(future, &row);
  return row != NULL && row->active_children_count == 0 ? 1 : -1;
}

static evd_future *get_parent(struct flow *flow, size_t index) {
  const struct tasks *tasks = flow->data;
  return evd_get(flow->storage, tasks->parents->ids[index], NULL);
}

/* Reads all back: every task was claimed and completed once, and is closed; every counter is 0. */
static bool verify(struct tasks *tasks) {
  struct flow children = {
      .storage = tasks->storage, .name = "verifying children", .unit = CHILDREN};
  children.total = tasks->total;
  children.in_flight = 16;
  children.submit = get_children;
  children.done_units = verified;
  children.data = tasks;
  struct flow parents = children;
  parents.name = "verifying parents";
  parents.total = tasks->parents->count;
  parents.unit = 1;
  parents.submit = get_parent;
  parents.done_units = verified_parent;
  return flow_run(&children) && flow_run(&parents);
}

/* Runs the loop until all tasks are closed, or one has failed. */
static void run_loop(struct tasks *tasks) {
  advance(tasks);
  ev_run(EV_DEFAULT, 0);
  for (size_t i = 0; i < tasks->total; i++) {
    ev_timer_stop(EV_DEFAULT, &tasks->tasks[i].timer);
  }
}

/* Carries all tasks through on an open storage, and fills in the result. */
static bool carry_through(struct tasks *tasks, struct tasks_result *result) {
  bool realtime = result->mode == MODE_REALTIME;
  result->idle = loop_delay_idle(EV_DEFAULT, 0.5);
  if (realtime) {
    loop_delay_set_realtime(true);
  }
  struct loop_delay *delay = loop_delay_start(EV_DEFAULT);
  double start = bench_seconds(), cpu_start = bench_cpu_seconds();
  run_loop(tasks);
  double seconds = bench_seconds() - start, cpu_seconds = bench_cpu_seconds() - cpu_start;
  loop_delay_stop(delay, &result->delay, &result->turns);
  if (realtime) {
    loop_delay_set_realtime(false);
  }
  result->tasks_per_s = (double)tasks->total / seconds;
  result->cpu_us_per_task = cpu_seconds * 1e6 / (double)tasks->total;
  return !tasks->failed && tasks->closed == tasks->total;
}

/* One run in a fresh table. */
static bool run_once(const struct bench_options *options, struct tasks_result *result) {
  struct target target;
  evd_options storage_options = {0};
  struct tasks tasks = {.total = result->tasks, .in_flight = result->in_flight};
  if (!target_init(&target, result->engine, options)) {
    return false;
  }
  tasks.storage = target_open(&target, &storage_options);
  bool ok =
      tasks.storage != NULL && prepare(&tasks) && carry_through(&tasks, result) && verify(&tasks);
  ok = target_close(tasks.storage) && ok;
  rows_free(tasks.rows);
  rows_free(tasks.parents);
  free(tasks.tasks);
  return target_remove(&target) && ok;
}

static int compare_results(const void *left, const void *right) {
  const struct tasks_result *a = left, *b = right;
  return (a->tasks_per_s > b->tasks_per_s) - (a->tasks_per_s < b->tasks_per_s);
}

/* What a run of a mode is to do. */
static struct tasks_result plan(const char *engine, const struct bench_options *options,
                                enum mode mode) {
  return (struct tasks_result){
      .engine = engine,
      .mode = mode,
      .tasks = options->task_count > 0 ? options->task_count
               : options->quick        ? 1000
                                       : 30000,
      .in_flight = options->in_flight > 0 ? options->in_flight : 300,
  };
}

/* The runs of each mode, by turns. */
struct series {
  struct tasks_result results[MODE_COUNT][REPETITIONS_MAX];
  bool skipped[MODE_COUNT];
};

static bool run_all(const char *engine, const struct bench_options *options, size_t repetitions,
                    struct series *series) {
  for (size_t i = 0; i < repetitions; i++) {
    bench_progress("%s: tasks, %zu of %zu", engine, i + 1, repetitions);
    for (enum mode mode = 0; mode < MODE_COUNT; mode++) {
      series->results[mode][i] = plan(engine, options, mode);
      if (!series->skipped[mode] && !run_once(options, &series->results[mode][i])) {
        return false;
      }
    }
  }
  return true;
}

/* Shows of each mode the run of the median speed, with its own delays. */
static void report(const struct bench_options *options, size_t repetitions, struct series *series) {
  const struct tasks_result *medians[MODE_COUNT] = {NULL};
  for (enum mode mode = 0; mode < MODE_COUNT; mode++) {
    struct tasks_result *results = series->results[mode];
    qsort(results, repetitions, sizeof *results, compare_results);
    medians[mode] = series->skipped[mode] ? NULL : &results[(repetitions - 1) / 2];
  }
  report_tasks(options, medians);
}

bool bench_tasks(const char *engine, const struct bench_options *options) {
  size_t repetitions = bench_repetitions(options);
  struct series *series = calloc(1, sizeof *series);
  if (series == NULL) {
    return bench_fail("out of memory");
  }
  series->skipped[MODE_REALTIME] = !loop_delay_may_be_realtime();
  bool ok = run_all(engine, options, repetitions, series);
  if (ok) {
    report(options, repetitions, series);
  }
  free(series);
  return ok;
}
