/* Storing new executions. */
#include <stdlib.h>
#include <string.h>

#include "async/timer.h"
#include "executor/events.h"
#include "executor/promise.h"
#include "executor/spec.h"
#include "model/error.h"
#include "storage.h"

/* Seconds between two tries, at first; and for how many milliseconds it is tried. */
static const double PAUSE_FIRST = 0.025;
static const double PAUSE_LONGEST = 1;
enum { TRIED_MS = 30000 };

struct enqueuing {
  struct promise promise;
  struct evd_executor *executor;
  evd_execution *execution; /* owned */
  ev_timer timer;
  double pause;
  int64_t deadline;
  bool own_id;  /* the caller's */
  bool unclear; /* an earlier try may have been applied */
};

static void send(struct enqueuing *enqueuing);

static void free_enqueuing(struct enqueuing *enqueuing) {
  free(enqueuing->execution);
  free(enqueuing);
}

/* It is stored; or there is an execution with this id already (count is 0). */
static void succeed(struct enqueuing *enqueuing, int64_t count) {
  struct evd_executor *executor = enqueuing->executor;
  const evd_execution *execution = enqueuing->execution;
  promise_keep(&enqueuing->promise, RESULT_COUNT, count);
  if (count > 0) {
    executor_tell(executor, &(evd_executor_event){.kind = EVD_EVENT_ENQUEUED,
                                                  .execution = execution,
                                                  .status = execution->status});
    event_due(executor, execution->task_id, execution->start_at);
  }
  free_enqueuing(enqueuing);
}

static void fail(struct enqueuing *enqueuing, const evd_error *error) {
  evd_error told = *error;
  if (enqueuing->unclear) {
    told.outcome = EVD_OUTCOME_UNKNOWN;
  }
  promise_break(&enqueuing->promise, &told);
  free_enqueuing(enqueuing);
}

static void pause_over(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)loop, (void)events;
  struct enqueuing *enqueuing = timer->data;
  struct evd_executor *executor = enqueuing->executor;
  send(enqueuing);
  executor_answered(executor);
}

static void try_again(struct enqueuing *enqueuing, const evd_error *error) {
  if (evd_now() >= enqueuing->deadline) {
    fail(enqueuing, error);
    return;
  }
  enqueuing->executor->under_way++;
  timer_start(enqueuing->executor->loop, &enqueuing->timer, enqueuing->pause, 0);
  enqueuing->pause *= 2;
  enqueuing->pause = enqueuing->pause < PAUSE_LONGEST ? enqueuing->pause : PAUSE_LONGEST;
}

static void inserted(evd_future *future, void *data) {
  struct enqueuing *enqueuing = data;
  struct evd_executor *executor = enqueuing->executor;
  const evd_error *error = evd_future_error(future);
  bool is_id = strcmp(error->field, "execution_id") == 0;
  if (error->code == EVD_OK) {
    succeed(enqueuing, 1);
  } else if (error->code == EVD_EDUPLICATE && is_id && (enqueuing->unclear || enqueuing->own_id)) {
    succeed(enqueuing, enqueuing->unclear ? 1 : 0);
  } else if (error->outcome == EVD_OUTCOME_UNKNOWN) {
    enqueuing->unclear = true;
    try_again(enqueuing, error);
  } else if (enqueuing->unclear && error->retryable) {
    try_again(enqueuing, error);
  } else {
    fail(enqueuing, error);
  }
  executor_answered(executor);
}

static void send(struct enqueuing *enqueuing) {
  struct evd_executor *executor = enqueuing->executor;
  evd_future *future = evd_insert(executor->storage, enqueuing->execution, 1);
  if (!executor_then(executor, future, inserted, enqueuing)) {
    evd_error error;
    error_set_no_memory(&error);
    fail(enqueuing, &error);
  }
}

/* Takes the execution over. */
static evd_future *enqueue(struct evd_executor *executor, evd_execution *execution, bool own_id) {
  struct enqueuing *enqueuing = calloc(1, sizeof *enqueuing);
  evd_future *future = enqueuing != NULL ? promise_init(&enqueuing->promise, executor) : NULL;
  if (future == NULL) {
    free(execution);
    free(enqueuing);
    return NULL;
  }
  enqueuing->executor = executor;
  enqueuing->execution = execution;
  enqueuing->pause = PAUSE_FIRST;
  enqueuing->deadline = evd_now() + TRIED_MS;
  enqueuing->own_id = own_id;
  ev_timer_init(&enqueuing->timer, pause_over, 0, 0);
  enqueuing->timer.data = enqueuing;
  send(enqueuing);
  return future;
}

evd_future *evd_enqueue(evd_executor *executor, const evd_spec *spec, char id[EVD_ID_SIZE]) {
  evd_error error;
  if (executor->state > EXECUTOR_STARTED) {
    error_set(&error, EVD_ECLOSED, "", "the executor stops");
    return future_failed(executor->storage->reactor, &error);
  }
  evd_execution *execution = spec_execution(&executor->tasks, spec, NULL, &error);
  if (execution == NULL) {
    return future_failed(executor->storage->reactor, &error);
  }
  if (id != NULL && spec->execution_id == NULL) {
    memcpy(id, execution->execution_id, EVD_ID_SIZE);
  }
  return enqueue(executor, execution, spec->execution_id != NULL);
}
