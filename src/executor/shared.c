/* What the executor's files share. */
#include <stdlib.h>

#include "async/future.h"
#include "async/timer.h"
#include "executor/executor.h"
#include "executor/threads.h"
#include "model/error.h"

bool executor_then(struct evd_executor *executor, evd_future *future, evd_callback callback,
                   void *data) {
  if (evd_future_then(future, callback, data) != EVD_OK) {
    evd_error error;
    error_set_no_memory(&error);
    executor_trouble(executor, &error);
    return false;
  }
  executor->under_way++;
  return true;
}

void executor_free(struct evd_executor *executor) {
  ev_timer_stop(executor->loop, &executor->drain);
  tasks_free(&executor->tasks);
  threads_free(executor->threads);
  free(executor->id);
  free(executor);
}

static void let_go(void *executor) {
  executor_free(executor);
}

void executor_end_stop(struct evd_executor *executor) {
  if (executor->state != EXECUTOR_DRAINING || executor->running > 0 || executor->under_way > 0) {
    return;
  }
  executor->state = EXECUTOR_STOPPED;
  step_stop(&executor->cancel);
  evd_future *stopping = executor->stopping;
  if (stopping == NULL) { /* nobody waits for it */
    executor_free(executor);
    return;
  }
  executor->stopping = NULL;
  future_succeed(stopping,
                 &(struct result){.kind = RESULT_NOTHING, .owned = executor, .let_go = let_go});
}

void executor_answered(struct evd_executor *executor) {
  executor->under_way--;
  executor_end_stop(executor);
}

void executor_tell(struct evd_executor *executor, const evd_executor_event *event) {
  if (executor->options.hook != NULL) {
    executor->options.hook(event, executor->options.hook_data);
  }
}

void executor_trouble(struct evd_executor *executor, const evd_error *error) {
  executor_tell(executor, &(evd_executor_event){.kind = EVD_EVENT_TROUBLE, .error = error});
}

enum step_end executor_found(struct evd_executor *executor, const evd_future *future, int64_t count,
                             int64_t limit) {
  if (evd_future_code(future) != EVD_OK) {
    executor_trouble(executor, evd_future_error(future));
    return STEP_FAILED;
  }
  return count == 0 ? STEP_NOTHING : count < limit ? STEP_SOME : STEP_MORE;
}

void executor_take_rows(struct evd_executor *executor, struct step *step, evd_future *future,
                        size_t limit,
                        void (*take)(struct evd_executor *executor, const evd_execution *row)) {
  const evd_execution *rows;
  size_t count;
  (void)evd_future_rows(future, &rows, &count);
  enum step_end end = executor_found(executor, future, (int64_t)count, (int64_t)limit);
  for (size_t i = 0; i < count; i++) {
    take(executor, &rows[i]);
  }
  step_answered(step, end);
  executor_answered(executor);
}

int64_t executor_started_at(struct evd_executor *executor, int64_t now) {
  int64_t last = executor->last_started_at;
  executor->last_started_at = now > last ? now : last + 1;
  return executor->last_started_at;
}
