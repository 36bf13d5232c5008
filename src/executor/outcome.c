/* Conditional writes that are repeated until their outcome is known. */
#include "executor/outcome.h"

#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "async/timer.h"
#include "model/columns.h"
#include "model/error.h"
#include "model/execution.h"

/* Seconds between two tries: at first, and at most. */
static const double PAUSE_FIRST = 0.025;
static const double PAUSE_LONGEST = 5;

/* A write under way. One block of memory with all that it was given. */
struct outcome {
  struct ev_loop *loop;
  evd_storage *storage;
  struct outcome_write write;
  outcome_callback done;
  void *data;
  ev_timer timer;
  double pause;
  bool unclear; /* an earlier try may have been applied */
};

static void end(struct outcome *outcome, enum outcome_end how, const evd_error *error) {
  outcome_callback done = outcome->done;
  void *data = outcome->data;
  evd_error kept = {0};
  if (error != NULL) {
    kept = *error;
  }
  free(outcome);
  done(how, error != NULL ? &kept : NULL, data);
}

static void send(struct outcome *outcome);

static void pause_over(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)loop, (void)events;
  send(timer->data);
}

/* Tries again after a pause, if there is time. */
static void try_again(struct outcome *outcome, const evd_error *error) {
  if (evd_now() + (int64_t)(outcome->pause * 1000) >= outcome->write.deadline) {
    end(outcome, OUTCOME_LOST, error);
    return;
  }
  timer_start(outcome->loop, &outcome->timer, outcome->pause, 0);
  outcome->pause *= 2;
  outcome->pause = outcome->pause < PAUSE_LONGEST ? outcome->pause : PAUSE_LONGEST;
}

/* Whether a row is as the write would have left it. Each write sets one of the two statuses. */
static bool is_written(const struct outcome *outcome, const evd_execution *row) {
  const evd_changes *changes = &outcome->write.changes;
  const evd_execution *values = &changes->values;
  const uint64_t ocfp = COLUMN_BIT(evd_column_on_children_finished_processing_status);
  bool sets_status = (changes->set & COLUMN_BIT(evd_column_status)) != 0;
  bool sets_ocfp = (changes->set & ocfp) != 0;
  return row->updated_at == values->updated_at && (!sets_status || row->status == values->status) &&
         (!sets_ocfp || row->on_children_finished_processing_status ==
                            values->on_children_finished_processing_status);
}

static void compared(evd_future *future, void *data) {
  struct outcome *outcome = data;
  const evd_execution *row;
  const evd_error *error = evd_future_error(future);
  if (evd_future_row(future, &row) != EVD_OK) {
    if (error->retryable) {
      try_again(outcome, error);
    } else {
      end(outcome, OUTCOME_LOST, error);
    }
    return;
  }
  bool stored = row != NULL && is_written(outcome, row);
  end(outcome, stored ? OUTCOME_STORED : OUTCOME_LOST, NULL);
}

static void compare(struct outcome *outcome) {
  evd_future *future = evd_get(outcome->storage, outcome->write.execution_id, NULL);
  if (evd_future_then(future, compared, outcome) != EVD_OK) {
    evd_error error;
    error_set_no_memory(&error);
    try_again(outcome, &error);
  }
}

static void answered(evd_future *future, void *data) {
  struct outcome *outcome = data;
  const evd_error *error = evd_future_error(future);
  bool matched;
  if (evd_future_matched(future, &matched) == EVD_OK) {
    if (!matched && outcome->unclear) {
      compare(outcome);
    } else {
      end(outcome, matched ? OUTCOME_STORED : OUTCOME_LOST, NULL);
    }
    return;
  }
  bool there_already =
      error->code == EVD_EDUPLICATE && (outcome->unclear || outcome->write.others_may_insert);
  outcome->unclear = outcome->unclear || error->outcome == EVD_OUTCOME_UNKNOWN;
  if (error->code == EVD_ECLOSED) {
    end(outcome, OUTCOME_LOST, error);
  } else if (there_already) {
    compare(outcome); /* the children are those of the earlier try, or of another executor */
  } else if (error->retryable || error->outcome == EVD_OUTCOME_UNKNOWN ||
             error->code == EVD_ENOMEM) {
    try_again(outcome, error);
  } else {
    end(outcome, OUTCOME_REFUSED, error);
  }
}

static void send(struct outcome *outcome) {
  const struct outcome_write *write = &outcome->write;
  evd_future *future =
      write->child_count > 0
          ? evd_update_and_insert_children(outcome->storage, write->execution_id, &write->filter,
                                           &write->changes, write->children, write->child_count)
          : evd_update(outcome->storage, write->execution_id, &write->filter, &write->changes);
  if (evd_future_then(future, answered, outcome) != EVD_OK) {
    evd_error error;
    error_set_no_memory(&error);
    try_again(outcome, &error);
  }
}

static const char *copy_text(const char *text, char **to) {
  size_t size = text != NULL ? strlen(text) + 1 : 0;
  char *copy = *to;
  if (text == NULL) {
    return NULL;
  }
  memcpy(copy, text, size);
  *to += size;
  return copy;
}

bool outcome_write(struct ev_loop *loop, evd_storage *storage, const struct outcome_write *write,
                   outcome_callback done, void *data) {
  size_t texts = strlen(write->execution_id) + 1 + changes_text_size(&write->changes);
  texts += write->filter.executor_id != NULL ? strlen(write->filter.executor_id) + 1 : 0;
  for (size_t i = 0; i < write->child_count; i++) {
    texts += execution_text_size(&write->children[i]);
  }
  size_t children = write->child_count * sizeof *write->children;
  struct outcome *outcome = malloc(sizeof *outcome + children + texts);
  if (outcome == NULL) {
    return false;
  }
  evd_execution *copies = (evd_execution *)(void *)(outcome + 1);
  char *text = (char *)(copies + write->child_count);
  *outcome = (struct outcome){.loop = loop,
                              .storage = storage,
                              .write = *write,
                              .done = done,
                              .data = data,
                              .pause = PAUSE_FIRST};
  outcome->write.execution_id = copy_text(write->execution_id, &text);
  outcome->write.filter.executor_id = copy_text(write->filter.executor_id, &text);
  changes_copy_into(&outcome->write.changes, &write->changes, &text);
  for (size_t i = 0; i < write->child_count; i++) {
    execution_copy_into(&copies[i], &write->children[i], &text);
  }
  outcome->write.children = copies;
  ev_timer_init(&outcome->timer, pause_over, 0, 0);
  outcome->timer.data = outcome;
  send(outcome);
  return true;
}
