/* Cancelling executions, and stopping the runs of those that were cancelled. */
#include "executor/cancel.h"

#include <stdlib.h>
#include <string.h>

#include "executor/events.h"
#include "executor/outcome.h"
#include "executor/promise.h"
#include "executor/run.h"
#include "executor/transitions.h"
#include "model/check.h"
#include "model/error.h"
#include "storage.h"

enum { CANCEL_LIMIT = 100 };

static const char cancelled_error[] =
    "{\"errorType\":\"cancelled\",\"message\":\"the execution was "
    "cancelled\",\"isRetryable\":false,\"isInternal\":false}";

/* The step. */

static void stop_run(struct evd_executor *executor, const evd_execution *row) {
  struct evd_run *run = run_find(executor, row->execution_id);
  if (run != NULL && run->started_at == row->started_at) {
    run_stop(run, EVD_STOP_CANCELLED);
  }
}

static void claimed(evd_future *future, void *data) {
  struct evd_executor *executor = data;
  executor_take_rows(executor, &executor->cancel, future, CANCEL_LIMIT, stop_run);
}

void cancel_begin(struct step *step) {
  struct evd_executor *executor = step->data;
  evd_changes changes = {0};
  if (executor->runs == NULL) {
    return;
  }
  evd_set(&changes, needs_promise_cancellation, false);
  evd_future *future =
      evd_claim_by_cancellation(executor->storage, executor->id, true, &changes, CANCEL_LIMIT);
  if (executor_then(executor, future, claimed, executor)) {
    step_sent(step);
  }
}

/* evd_cancel(). */

/* For how many milliseconds it is tried, if its outcome is unknown. */
enum { TRIED_MS = 30000 };

struct cancelling {
  struct promise promise;
  struct evd_executor *executor;
  char id[EVD_ID_MAX + 1];
};

static void cancelled(enum outcome_end end, const evd_error *error, void *data) {
  struct cancelling *cancelling = data;
  struct evd_executor *executor = cancelling->executor;
  if (error != NULL) {
    promise_break(&cancelling->promise, error);
  } else {
    promise_keep(&cancelling->promise, RESULT_MATCHED, end == OUTCOME_STORED ? 1 : 0);
  }
  if (end == OUTCOME_STORED) {
    event_finished(executor, cancelling->id, false);
    step_hint(&executor->cancel);
  }
  free(cancelling);
  executor_answered(executor);
}

/* Stores the cancellation; takes `cancelling` over. */
static void cancel(struct cancelling *cancelling) {
  struct evd_executor *executor = cancelling->executor;
  struct outcome_write write = {.execution_id = cancelling->id,
                                .filter = {.is_finished = EVD_NO},
                                .deadline = evd_now() + TRIED_MS};
  transition_to_status(&write.changes, EVD_STATUS_CANCELLED, evd_now());
  evd_set(&write.changes, error, cancelled_error);
  evd_set(&write.changes, needs_promise_cancellation, true);
  executor->under_way++;
  if (!outcome_write(executor->loop, executor->storage, &write, cancelled, cancelling)) {
    evd_error error;
    error_set_no_memory(&error);
    cancelled(OUTCOME_LOST, &error, cancelling);
  }
}

evd_future *evd_cancel(evd_executor *executor, const char *execution_id) {
  evd_error error;
  if (check_id(execution_id, "execution_id", EVD_ID_MAX, &error) != EVD_OK) {
    return future_failed(executor->storage->reactor, &error);
  }
  struct cancelling *cancelling = calloc(1, sizeof *cancelling);
  evd_future *future = cancelling != NULL ? promise_init(&cancelling->promise, executor) : NULL;
  if (future == NULL) {
    free(cancelling);
    return NULL;
  }
  cancelling->executor = executor;
  memcpy(cancelling->id, execution_id, strlen(execution_id) + 1);
  cancel(cancelling);
  return future;
}
