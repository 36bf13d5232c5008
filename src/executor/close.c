/*
 * Closing what has finished, a batch a round:
 *
 *   1. counts: what is finished and idle becomes ready to be closed, and is taken off its parent's
 *      counter, in one transaction;
 *   2. claims what is ready, and closes each row: tells the parent of a finalize task, cancels what
 *      is left below a row that did not complete, and marks it closed.
 *
 * A row whose closing fails on the way is done again when its lease is over: each write is
 * conditional, or the same a second time.
 */
#include "executor/close.h"

#include <stdlib.h>
#include <string.h>

#include "executor/events.h"
#include "executor/transitions.h"

enum { CLOSE_LIMIT = 100, CLOSE_LEASE_MS = 120000 };

static const char parent_error[] =
    "{\"errorType\":\"cancelled\",\"message\":\"the parent execution "
    "failed\",\"isRetryable\":false,\"isInternal\":false}";

/* A row that is being closed. */
struct closing {
  struct evd_executor *executor;
  char id[EVD_ID_MAX + 1];
  char parent_id[EVD_ID_MAX + 1]; /* of a finalize task; else "" */
};

static void closed(evd_future *future, void *data) {
  struct closing *closing = data;
  struct evd_executor *executor = closing->executor;
  if (evd_future_code(future) != EVD_OK) {
    executor_trouble(executor, evd_future_error(future));
  }
  free(closing);
  executor_answered(executor);
}

/* All that belongs to the closing is done: marks the row. */
static void mark_closed(struct closing *closing) {
  const evd_filter finished = {.is_finished = EVD_YES};
  evd_changes changes = {0};
  transition_to_close(&changes, EVD_CLOSE_CLOSED, evd_now());
  struct evd_executor *executor = closing->executor;
  evd_future *future = evd_update(executor->storage, closing->id, &finished, &changes);
  if (!executor_then(executor, future, closed, closing)) {
    free(closing);
  }
}

/* What had to be done before is stored. */
static void settled(evd_future *future, void *data) {
  struct closing *closing = data;
  struct evd_executor *executor = closing->executor;
  if (evd_future_code(future) == EVD_OK) {
    if (closing->parent_id[0] != '\0') {
      event_finished(executor, closing->parent_id, false);
    }
    step_hint(&executor->close);  /* the children that were cancelled */
    step_hint(&executor->cancel); /* their runs */
    mark_closed(closing);
  } else {
    executor_trouble(executor, evd_future_error(future));
    free(closing);
  }
  executor_answered(executor);
}

/* The parent of a finalize task gets its output or error. */
static evd_future *tell_parent(struct evd_executor *executor, const evd_execution *row) {
  const evd_filter waiting = {.status = EVD_STATUS_WAITING_FOR_FINALIZE};
  bool completed = row->status == EVD_STATUS_COMPLETED;
  evd_changes changes = {0};
  transition_to_status(&changes, completed ? EVD_STATUS_COMPLETED : EVD_STATUS_FINALIZE_FAILED,
                       evd_now());
  if (completed) {
    evd_set(&changes, output, row->output != NULL ? row->output : "null");
  } else {
    evd_set(&changes, error, row->error != NULL ? row->error : parent_error);
  }
  return evd_update(executor->storage, row->parent_execution_id, &waiting, &changes);
}

static evd_future *cancel_children(struct evd_executor *executor, const evd_execution *row) {
  evd_changes changes = {0};
  transition_to_status(&changes, EVD_STATUS_CANCELLED, evd_now());
  evd_set(&changes, error, parent_error);
  evd_set(&changes, needs_promise_cancellation, true);
  return evd_update_by_parent(executor->storage, row->execution_id, false, &changes);
}

/* Whether anything may be below an execution. */
static bool has_children(const evd_execution *row) {
  return row->finalize != NULL || (row->children != NULL && strcmp(row->children, "[]") != 0);
}

static void close_row(struct evd_executor *executor, const evd_execution *row) {
  evd_future *futures[2];
  size_t count = 0;
  struct closing *closing = calloc(1, sizeof *closing);
  if (closing == NULL) {
    return; /* it is closed when its lease is over */
  }
  closing->executor = executor;
  memcpy(closing->id, row->execution_id, strlen(row->execution_id) + 1);
  if (row->is_finalize_of_parent && row->parent_execution_id != NULL) {
    memcpy(closing->parent_id, row->parent_execution_id, strlen(row->parent_execution_id) + 1);
    futures[count++] = tell_parent(executor, row);
  }
  if (row->status != EVD_STATUS_COMPLETED && has_children(row)) {
    futures[count++] = cancel_children(executor, row);
  }
  if (count == 0) {
    mark_closed(closing);
  } else if (!executor_then(executor, evd_future_all(futures, count), settled, closing)) {
    free(closing);
  }
}

static void claimed(evd_future *future, void *data) {
  struct evd_executor *executor = data;
  executor_take_rows(executor, &executor->close, future, CLOSE_LIMIT, close_row);
}

static void begin_claim(struct evd_executor *executor) {
  int64_t now = evd_now();
  evd_changes changes = {0};
  transition_to_close(&changes, EVD_CLOSE_CLOSING, now);
  evd_set(&changes, close_expires_at, now + CLOSE_LEASE_MS);
  evd_future *future =
      evd_claim_by_close_status(executor->storage, EVD_CLOSE_READY, &changes, CLOSE_LIMIT);
  if (executor_then(executor, future, claimed, executor)) {
    step_sent(&executor->close);
  }
}

static void counted(evd_future *future, void *data) {
  struct evd_executor *executor = data;
  int64_t count;
  if (evd_future_count(future, &count) == EVD_OK) {
    begin_claim(executor);
  }
  if (count > 0) {
    step_hint(&executor->parents); /* a counter may be at 0 */
  }
  step_answered(&executor->close, executor_found(executor, future, count, CLOSE_LIMIT));
  executor_answered(executor);
}

void close_begin(struct step *step) {
  struct evd_executor *executor = step->data;
  evd_changes changes = {0};
  transition_to_close(&changes, EVD_CLOSE_READY, evd_now());
  evd_future *future =
      evd_close_finished(executor->storage, true, EVD_CLOSE_IDLE, &changes, CLOSE_LIMIT);
  if (executor_then(executor, future, counted, executor)) {
    step_sent(step);
  }
}
