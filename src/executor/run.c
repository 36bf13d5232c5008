/* The life of a run, and the calls that end it. */
#include "executor/run.h"

#include <stdlib.h>
#include <string.h>

#include "async/clock.h"
#include "async/future.h"
#include "async/timer.h"
#include "executor/events.h"
#include "executor/outcome.h"
#include "executor/spec.h"
#include "executor/threads.h"
#include "model/error.h"
#include "storage.h"

/* How long a finalize function may take. Below the lease of a parent (parents.c). */
enum { FINALIZE_TIMEOUT_MS = 60000 };

struct evd_run *run_find(const struct evd_executor *executor, const char *execution_id) {
  struct evd_run *run;
  HASH_FIND_STR(executor->runs, execution_id, run);
  return run;
}

/* Whether it is the run of a parent whose children have finished. */
static bool is_finalizing(const struct evd_run *run) {
  return run->children != NULL;
}

/* The end. */

static void free_ending(struct ending *ending) {
  free(ending->text);
  free(ending->children);
  *ending = (struct ending){0};
}

/* Gives the slot back. */
static void free_slot(struct evd_executor *executor, struct task *task) {
  executor->running--;
  task->running--;
  executor->blocking -= task->task.blocking;
  event_slot_freed(executor, task);
}

/* Frees a run that is at its end on both sides. May free the executor. */
static void free_if_over(struct evd_run *run) {
  struct evd_executor *executor = run->executor;
  struct task *task = run->task;
  bool finalizing = is_finalizing(run);
  if (run->code_has_it || run->outcome != RUN_SETTLED) {
    return;
  }
  executor->stats.stopping -= run->stopped != EVD_STOP_NONE;
  free_ending(&run->ending);
  decision_clear(&run->decision);
  evd_future_release(run->children);
  free(run->execution);
  free(run);
  if (finalizing) {
    executor_answered(executor);
  } else {
    free_slot(executor, task);
    executor_end_stop(executor);
  }
}

/* What became of the run is known. */
static void settle(struct evd_run *run) {
  struct evd_executor *executor = run->executor;
  ev_timer_stop(executor->loop, &run->timer);
  run->outcome = RUN_SETTLED;
  if (executor->next_run == run) {
    executor->next_run = run->hh.next;
  }
  HASH_DEL(executor->runs, run);
  free_if_over(run);
}

/* Storing what became of it. */

static void count_stored(struct evd_run *run) {
  evd_executor_stats *stats = &run->executor->stats;
  const struct decision *decision = &run->decision;
  stats->spawned += decision->child_count;
  stats->retried += decision->reason == BECAUSE_RETRY;
  stats->snoozed += decision->reason == BECAUSE_SNOOZE;
  stats->given_back += decision->reason == BECAUSE_GIVEN_BACK;
  switch (decision->status) {
  case EVD_STATUS_COMPLETED: stats->completed++; break;
  case EVD_STATUS_TIMED_OUT: stats->timed_out++; break;
  case EVD_STATUS_CANCELLED: stats->cancelled++; break;
  case EVD_STATUS_FAILED:
  case EVD_STATUS_FINALIZE_FAILED: stats->failed++; break;
  default: break;
  }
}

/* Hints at what there may be to do now. */
static void tell_steps(const struct evd_run *run) {
  const struct decision *decision = &run->decision;
  const evd_execution *execution = run->execution;
  if (decision->status == EVD_STATUS_READY) {
    event_due(run->executor, execution->task_id, decision->start_at);
  } else if (evd_status_is_finished(decision->status)) {
    event_finished(run->executor, execution->execution_id, decision->closed);
  } else if (decision->reason != BECAUSE_GIVEN_BACK) {
    event_spawned(run->executor, decision->child_count);
  }
}

static void store(struct evd_run *run, const struct ending *ending);

/* Stores that it failed, in place of what the database has refused, whatever that was. */
static void store_refusal(struct evd_run *run, const evd_error *error) {
  evd_error kept = *error;
  if (run->refused > 1) {
    error_set(&kept, EVD_EINVAL, "", "what became of the run cannot be stored");
  }
  const struct ending ending = {
      .kind = ENDING_FAIL, .status = EVD_STATUS_FAILED, .text = kept.message};
  store(run, &ending);
}

static void stored(enum outcome_end end, const evd_error *error, void *data) {
  enum { REFUSALS_MAX = 2 };
  struct evd_run *run = data;
  struct evd_executor *executor = run->executor;
  if (end == OUTCOME_REFUSED && run->refused++ < REFUSALS_MAX) {
    store_refusal(run, error);
    executor_answered(executor);
    return;
  }
  evd_executor_event event = {.kind = end == OUTCOME_STORED ? EVD_EVENT_ENDED : EVD_EVENT_LOST,
                              .execution = run->execution,
                              .status = run->decision.status,
                              .duration_ms = (clock_seconds() - run->began) * 1e3,
                              .error = error};
  if (end == OUTCOME_STORED) {
    count_stored(run);
    tell_steps(run);
  } else {
    executor->stats.lost++;
    run_stop(run, EVD_STOP_LOST);
  }
  executor_tell(executor, &event);
  settle(run);
  executor_answered(executor);
}

/* What is written about an execution is conditional on its being this attempt's. */
static evd_filter mine(const struct evd_run *run) {
  if (is_finalizing(run)) {
    return (evd_filter){.status = EVD_STATUS_WAITING_FOR_CHILDREN};
  }
  return (evd_filter){.status = EVD_STATUS_RUNNING,
                      .executor_id = run->executor->id,
                      .started_at = run->started_at};
}

/* Decides what is written, and writes it. */
static void store(struct evd_run *run, const struct ending *ending) {
  struct evd_executor *executor = run->executor;
  struct question question = {.tasks = &executor->tasks,
                              .task = run->task,
                              .execution = run->execution,
                              .retry_jitter = executor->options.retry_jitter,
                              .is_finalizing = is_finalizing(run)};
  if (question.is_finalizing) {
    evd_future_rows(run->children, &question.children, &question.child_count);
  }
  decision_clear(&run->decision);
  decide(&question, ending, &run->decision);
  const struct outcome_write write = {.execution_id = run->execution->execution_id,
                                      .filter = mine(run),
                                      .changes = run->decision.changes,
                                      .children = run->decision.children,
                                      .child_count = run->decision.child_count,
                                      .others_may_insert = run->decision.others_may_insert,
                                      .deadline = run->expires_at};
  run->outcome = RUN_STORING;
  executor->under_way++;
  if (!outcome_write(executor->loop, executor->storage, &write, stored, run)) {
    evd_error error;
    error_set_no_memory(&error);
    stored(OUTCOME_LOST, &error, run);
  }
}

/* Stops. */

/* Stores what becomes of a run that has not ended in time, or whose end does not count. */
static void give_up(struct evd_run *run) {
  static char timed_out[] = "the run timed out";
  struct ending ending = {.kind = ENDING_GIVE_BACK};
  const evd_stop_reason reason = run->stopped;
  switch (reason) {
  case EVD_STOP_TIMED_OUT:
    ending = (struct ending){
        .kind = ENDING_FAIL, .status = EVD_STATUS_TIMED_OUT, .text = timed_out, .retryable = true};
    store(run, &ending);
    break;
  case EVD_STOP_NONE:
  case EVD_STOP_DRAINING: store(run, &ending); break;
  case EVD_STOP_CANCELLED: /* that is stored */
  case EVD_STOP_LOST: settle(run); break;
  }
}

static void timer_fired(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)loop, (void)events;
  struct evd_run *run = timer->data;
  if (run->stopped == EVD_STOP_NONE || run->stopped == EVD_STOP_DRAINING) {
    run_stop(run, EVD_STOP_TIMED_OUT);
  } else if (run->outcome == RUN_OPEN) {
    give_up(run);
  }
}

void run_stop(struct evd_run *run, evd_stop_reason reason) {
  struct evd_executor *executor = run->executor;
  bool is_first = run->stopped == EVD_STOP_NONE;
  if (!is_first && (run->stopped != EVD_STOP_DRAINING || reason == EVD_STOP_DRAINING)) {
    return;
  }
  executor->stats.stopping += is_first;
  run->stopped = reason;
  if (reason != EVD_STOP_DRAINING) {
    timer_start(executor->loop, &run->timer, (double)executor->options.stop_grace_ms / 1e3, 0);
  }
  if (run->on_stop != NULL && run->code_has_it) {
    run->on_stop(run, reason, run->on_stop_data); /* may end the run, and free it */
  }
}

/* Goes through all runs, which may end meanwhile, each other's too. */
static void for_all(struct evd_executor *executor, void (*what)(struct evd_run *run)) {
  executor->next_run = executor->runs;
  while (executor->next_run != NULL) {
    struct evd_run *run = executor->next_run;
    executor->next_run = run->hh.next;
    what(run);
  }
}

static void drain(struct evd_run *run) {
  run_stop(run, EVD_STOP_DRAINING);
}

void run_drain_all(struct evd_executor *executor) {
  for_all(executor, drain);
}

static void give_up_if_open(struct evd_run *run) {
  if (run->outcome == RUN_OPEN && run->stopped == EVD_STOP_DRAINING) {
    give_up(run);
  }
}

void run_give_up_all(struct evd_executor *executor) {
  for_all(executor, give_up_if_open);
}

void evd_run_on_stop(evd_run *run, evd_stop_callback callback, void *data) {
  run->on_stop = callback;
  run->on_stop_data = data;
  if (callback != NULL && run->stopped != EVD_STOP_NONE) {
    callback(run, run->stopped, data);
  }
}

/* The ending calls. */

/* The code has ended the run, on the loop. */
static void code_ended(struct evd_run *run) {
  bool counts = run->stopped == EVD_STOP_NONE || run->stopped == EVD_STOP_DRAINING;
  run->code_has_it = false;
  run->on_stop = NULL;
  if (run->outcome != RUN_OPEN) {
    free_if_over(run); /* given up already */
    return;
  }
  ev_timer_stop(run->executor->loop, &run->timer);
  if (counts) {
    store(run, &run->ending);
  } else {
    give_up(run);
  }
}

void run_thread_ended(struct evd_run *run) {
  run->on_thread = false;
  code_ended(run);
}

/* Ends a run. On a thread, a second end is ignored. */
static void end(evd_run *run, struct ending ending, const char *text) {
  if (text != NULL) {
    ending.text = strdup(text);
    ending.out_of_memory = ending.out_of_memory || ending.text == NULL;
  }
  if (run->ending.kind != ENDING_NONE) {
    free_ending(&ending);
    return;
  }
  run->ending = ending;
  if (!run->on_thread) {
    code_ended(run);
  }
}

void evd_run_complete(evd_run *run, const char *output) {
  end(run, (struct ending){.kind = ENDING_COMPLETE}, output);
}

void evd_run_fail(evd_run *run, evd_status status, const char *message, bool retryable) {
  bool known = status == EVD_STATUS_TIMED_OUT || status == EVD_STATUS_CANCELLED;
  end(run,
      (struct ending){.kind = ENDING_FAIL,
                      .status = known ? status : EVD_STATUS_FAILED,
                      .retryable = retryable},
      message);
}

void evd_run_snooze(evd_run *run, int64_t delay_ms, const char *state) {
  end(run, (struct ending){.kind = ENDING_SNOOZE, .delay_ms = delay_ms > 0 ? delay_ms : 0}, state);
}

void evd_run_spawn(evd_run *run, const char *output, const evd_spec *children, size_t count) {
  struct ending ending = {.kind = ENDING_SPAWN, .child_count = count};
  ending.children = spec_copy_all(children, count);
  ending.out_of_memory = ending.children == NULL;
  end(run, ending, output);
}

/* Within a run. */

evd_future *evd_run_save(evd_run *run, const char *state) {
  if (threads_is_one()) {
    return NULL;
  }
  const evd_filter filter = mine(run);
  evd_changes changes = {0};
  evd_set(&changes, run_output, state);
  return evd_update(run->executor->storage, run->execution->execution_id, &filter, &changes);
}

evd_future *evd_run_extend(evd_run *run, int64_t timeout_ms) {
  struct evd_executor *executor = run->executor;
  const evd_filter filter = mine(run);
  evd_changes changes = {0};
  if (threads_is_one()) {
    return NULL;
  }
  if (timeout_ms <= 0 || is_finalizing(run)) {
    evd_error error;
    error_set(&error, EVD_EINVAL, "timeout_ms",
              is_finalizing(run) ? "a finalize function has a fixed time"
                                 : "timeout_ms is not positive");
    return future_failed(executor->storage->reactor, &error);
  }
  int64_t expires_at = evd_now() + timeout_ms + executor->options.lease_ms;
  evd_set(&changes, expires_at, expires_at);
  if (run->stopped == EVD_STOP_NONE || run->stopped == EVD_STOP_DRAINING) {
    run->expires_at = expires_at;
    timer_start(executor->loop, &run->timer, (double)timeout_ms / 1e3, 0);
  }
  return evd_update(executor->storage, run->execution->execution_id, &filter, &changes);
}

/* What a run is. */

const evd_execution *evd_run_execution(const evd_run *run) {
  return run->execution;
}

int32_t evd_run_attempt(const evd_run *run) {
  return run->execution->retry_attempts;
}

evd_stop_reason evd_run_stopped(const evd_run *run) {
  return run->stopped;
}

evd_code evd_run_children(const evd_run *run, const evd_execution **rows, size_t *count) {
  *rows = NULL;
  *count = 0;
  return is_finalizing(run) ? evd_future_rows(run->children, rows, count) : EVD_EMISUSE;
}

/* The beginning. */

/* NULL if memory ran out. */
static struct evd_run *make_run(struct evd_executor *executor, struct task *task,
                                const evd_execution *row) {
  struct evd_run *run = calloc(1, sizeof *run);
  evd_execution *copy = run != NULL ? evd_execution_copy(row) : NULL;
  if (copy == NULL) {
    free(run);
    return NULL;
  }
  run->executor = executor;
  run->task = task;
  run->execution = copy;
  run->began = clock_seconds();
  ev_timer_init(&run->timer, timer_fired, 0, 0);
  run->timer.data = run;
  HASH_ADD_KEYPTR(hh, executor->runs, copy->execution_id, strlen(copy->execution_id), run);
  if (run->hh.tbl == NULL) {
    free(copy);
    free(run);
    return NULL;
  }
  return run;
}

static void tell_start(const struct evd_run *run) {
  const evd_execution *row = run->execution;
  executor_tell(run->executor,
                &(evd_executor_event){.kind = EVD_EVENT_STARTED,
                                      .execution = row,
                                      .status = row->status,
                                      .lateness_ms = (double)(evd_now() - row->start_at)});
}

/* Calls a function of the task on the loop. */
static void call(struct evd_run *run, evd_run_callback function, int64_t timeout_ms) {
  run->code_has_it = true;
  timer_start(run->executor->loop, &run->timer, (double)timeout_ms / 1e3, 0);
  tell_start(run);
  function(run, run->task->task.data);
}

/* Calls it on a thread. */
static void call_on_thread(struct evd_run *run) {
  run->code_has_it = true;
  run->on_thread = true;
  timer_start(run->executor->loop, &run->timer, (double)run->execution->timeout_ms / 1e3, 0);
  tell_start(run);
  if (!threads_run(run->executor->threads, run)) {
    run->on_thread = false;
    evd_run_fail(run, EVD_STATUS_FAILED, "no thread can be started", true);
  }
}

/* Ends a run that no code has. */
static void end_by_itself(struct evd_run *run, enum ending_kind kind) {
  run->ending.kind = kind;
  tell_start(run);
  store(run, &run->ending);
}

void run_begin(struct evd_executor *executor, struct task *task, const evd_execution *row) {
  struct evd_run *run = make_run(executor, task, row);
  if (run == NULL) {
    return;
  }
  run->started_at = row->started_at;
  run->expires_at = row->expires_at;
  executor->running++;
  task->running++;
  executor->blocking += task->task.blocking;
  if (task->task.sequence != NULL) {
    end_by_itself(run, ENDING_SEQUENCE);
  } else if (task->task.blocking) {
    call_on_thread(run);
  } else {
    call(run, task->task.run, row->timeout_ms);
  }
}

void run_begin_parent(struct evd_executor *executor, struct task *task, const evd_execution *row,
                      evd_future *children) {
  struct evd_run *run =
      run_find(executor, row->execution_id) == NULL ? make_run(executor, task, row) : NULL;
  if (run == NULL) {
    return; /* it is done when its lease is over; or it is being done */
  }
  executor->under_way++;
  run->children = evd_future_retain(children);
  run->expires_at = row->on_children_finished_processing_expires_at;
  if (task->task.finalize != NULL) {
    call(run, task->task.finalize, FINALIZE_TIMEOUT_MS);
  } else {
    end_by_itself(run, ENDING_GO_ON);
  }
}

bool run_claimed_again(struct evd_run *run, const evd_execution *row) {
  if (run->outcome != RUN_OPEN) {
    return false;
  }
  run->started_at = row->started_at;
  run->expires_at = row->expires_at;
  return true;
}
