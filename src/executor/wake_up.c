/* Waking up sleeping tasks: their outcome comes from outside. */
#include <stdlib.h>
#include <string.h>

#include "executor/events.h"
#include "executor/family.h"
#include "executor/outcome.h"
#include "executor/promise.h"
#include "executor/transitions.h"
#include "model/error.h"
#include "storage.h"

/* For how many milliseconds the outcome is tried to be stored. */
enum { TRIED_MS = 30000 };

/* One evd_wake_up(): finds the execution, stores the outcome, reads it back. */
struct waking {
  struct promise promise;
  struct evd_executor *executor;
  evd_changes changes; /* their texts are owned */
  char *text;          /* output or error */
  evd_execution *row;  /* as it was found; owned */
};

static void end(struct waking *waking, const evd_error *error, const evd_future *row) {
  if (error != NULL) {
    promise_break(&waking->promise, error);
  } else {
    promise_keep_rows(&waking->promise, row);
  }
  free(waking->text);
  free(waking->row);
  free(waking);
}

static void read_back(evd_future *future, void *data) {
  struct waking *waking = data;
  struct evd_executor *executor = waking->executor;
  const evd_error *error = evd_future_error(future);
  end(waking, error->code != EVD_OK ? error : NULL, future);
  executor_answered(executor);
}

/* It is stored, or the execution had finished before: the row says which. */
static void stored(enum outcome_end how, const evd_error *error, void *data) {
  struct waking *waking = data;
  struct evd_executor *executor = waking->executor;
  if (how == OUTCOME_STORED) {
    event_finished(executor, waking->row->execution_id, waking->row->parent_execution_id == NULL);
  }
  if (error != NULL) {
    end(waking, error, NULL);
  } else if (!executor_then(executor, evd_get(executor->storage, waking->row->execution_id, NULL),
                            read_back, waking)) {
    evd_error no_memory;
    error_set_no_memory(&no_memory);
    end(waking, &no_memory, NULL);
  }
  executor_answered(executor);
}

static void found(evd_future *future, void *data) {
  struct waking *waking = data;
  struct evd_executor *executor = waking->executor;
  const evd_execution *row;
  const evd_error *error = evd_future_error(future);
  evd_error no_memory;
  if (evd_future_row(future, &row) != EVD_OK || row == NULL) {
    end(waking, error->code != EVD_OK ? error : NULL, future);
    executor_answered(executor);
    return;
  }
  waking->row = evd_execution_copy(row);
  struct outcome_write write = {
      .execution_id = row->execution_id,
      .filter = {.is_sleeping_task = EVD_YES, .is_finished = EVD_NO},
      .changes = waking->changes,
      .deadline = evd_now() + TRIED_MS,
  };
  if (row->parent_execution_id == NULL) {
    transition_to_close(&write.changes, EVD_CLOSE_CLOSED, evd_now());
  }
  executor->under_way++;
  if (waking->row == NULL ||
      !outcome_write(executor->loop, executor->storage, &write, stored, waking)) {
    executor->under_way--;
    error_set_no_memory(&no_memory);
    end(waking, &no_memory, NULL);
  }
  executor_answered(executor);
}

/* Fills in what is to be stored; false if memory ran out. */
static bool describe(struct waking *waking, const char *output, const char *message) {
  evd_status status = message != NULL ? EVD_STATUS_FAILED : EVD_STATUS_COMPLETED;
  waking->text = message != NULL ? family_error("generic", message, false, false)
                                 : strdup(output != NULL ? output : "null");
  transition_to_status(&waking->changes, status, evd_now());
  if (message != NULL) {
    evd_set(&waking->changes, error, waking->text);
  } else {
    evd_set(&waking->changes, output, waking->text);
  }
  return waking->text != NULL;
}

evd_future *evd_wake_up(evd_executor *executor, const char *unique_id, const char *output,
                        const char *error_message) {
  struct waking *waking = calloc(1, sizeof *waking);
  evd_future *future = waking != NULL ? promise_init(&waking->promise, executor) : NULL;
  if (future == NULL) {
    free(waking);
    return NULL;
  }
  waking->executor = executor;
  evd_future *get = evd_get_by_sleeping_task_unique_id(executor->storage, unique_id);
  if (!describe(waking, output, error_message)) {
    evd_error error;
    error_set_no_memory(&error);
    evd_future_release(get);
    end(waking, &error, NULL);
  } else if (!executor_then(executor, get, found, waking)) {
    evd_error error;
    error_set_no_memory(&error);
    end(waking, &error, NULL);
  }
  return future;
}
