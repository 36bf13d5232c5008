/* Clears, copies and changes records. */
#include "model/execution.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/columns.h"
#include "model/error.h"

/* The columns that changes set and do not unset. */
static uint64_t columns_set(const evd_changes *changes) {
  return changes->set & ~changes->unset;
}

/* Takes the lowest column out of a mask that is not empty. */
static evd_column take_column(uint64_t *mask) {
  evd_column column = (evd_column)__builtin_ctzll(*mask);

  *mask &= *mask - 1;
  return column;
}

/* A text member of a record; NULL for other columns. */
static const char *text_of(const evd_execution *execution, evd_column column) {
  return column_is_text(column)
             ? *(const char *const *)((const char *)execution + columns[column].offset)
             : NULL;
}

/* The bytes that a column's text takes in a copy. */
static size_t text_size(const evd_execution *execution, evd_column column) {
  const char *text = text_of(execution, column);

  return text == NULL ? 0 : strlen(text) + 1;
}

/* Moves a column's text, if it has one, to *text and *text past it. */
static void copy_text(evd_execution *execution, evd_column column, char **text) {
  size_t size = text_size(execution, column);

  if (size > 0) {
    column_set_text(execution, column, memcpy(*text, text_of(execution, column), size));
    *text += size;
  }
}

/* Copies one member from a record to another, a text as its pointer. */
static void copy_member(evd_execution *to, const evd_execution *from, evd_column column) {
  struct value value = column_get(from, column);

  switch (value.kind) {
  case VALUE_NULL: column_set_null(to, column); break;
  case VALUE_TEXT: column_set_text(to, column, value.text); break;
  case VALUE_INTEGER: column_set_integer(to, column, value.integer); break;
  }
}

/* Adds one record's count to another's; see evd_add() for a sum that does not fit. */
static void add_to_member(evd_execution *to, const evd_execution *from, evd_column column) {
  int64_t sum = column_get(to, column).integer + column_get(from, column).integer;

  column_set_integer(to, column, sum < INT32_MAX ? sum : INT32_MAX);
}

/* What column_set_null() makes of every column. A constant, so that records can be made before
 * main(): by constructors, and for C++ globals. */
static const evd_execution empty = {
    .started_at = EVD_NONE,
    .expires_at = EVD_NONE,
    .waiting_for_children_started_at = EVD_NONE,
    .waiting_for_finalize_started_at = EVD_NONE,
    .finished_at = EVD_NONE,
    .on_children_finished_processing_expires_at = EVD_NONE,
    .on_children_finished_processing_finished_at = EVD_NONE,
    .close_expires_at = EVD_NONE,
    .closed_at = EVD_NONE,
};

void execution_clear(evd_execution *execution) {
  memcpy(execution, &empty, sizeof empty);
}

size_t execution_text_size(const evd_execution *execution) {
  size_t size = 0;

  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    size += text_size(execution, (evd_column)column);
  }
  return size;
}

void execution_copy_into(evd_execution *to, const evd_execution *from, char **text) {
  *to = *from;
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    copy_text(to, (evd_column)column, text);
  }
}

size_t changes_text_size(const evd_changes *changes) {
  uint64_t mask = columns_set(changes);
  size_t size = 0;

  while (mask != 0) {
    size += text_size(&changes->values, take_column(&mask));
  }
  return size;
}

void changes_copy_into(evd_changes *to, const evd_changes *from, char **text) {
  uint64_t mask = columns_set(from);

  *to = (evd_changes){.set = from->set, .unset = from->unset, .add = from->add};
  while (mask != 0) {
    evd_column column = take_column(&mask);
    copy_member(&to->values, &from->values, column);
    copy_text(&to->values, column, text);
  }
}

evd_code execution_unfit(evd_column column, const char *id, const char *value, evd_error *error) {
  const char *quote = value != NULL ? "\"" : "";

  return error_set(error, EVD_EDATABASE, columns[column].name,
                   "%s of execution %s has an invalid value in the database: %s%.64s%s",
                   columns[column].name, id != NULL ? id : "NULL", quote,
                   value != NULL ? value : "NULL", quote);
}

int64_t execution_expires_at(int64_t started_at, int64_t timeout_ms) {
  int64_t most = COLUMN_INTEGER_MAX - started_at;

  if (timeout_ms < 0) {
    return started_at;
  }
  return started_at + (timeout_ms < most ? timeout_ms : most);
}

void changes_apply(const evd_changes *changes, evd_execution *execution) {
  uint64_t set = columns_set(changes);
  uint64_t unset = changes->unset;

  while (set != 0) {
    evd_column column = take_column(&set);
    if ((changes->add & COLUMN_BIT(column)) != 0) {
      add_to_member(execution, &changes->values, column);
    } else {
      copy_member(execution, &changes->values, column);
    }
  }
  while (unset != 0) {
    column_set_null(execution, take_column(&unset));
  }
}

evd_execution *evd_execution_copy(const evd_execution *execution) {
  evd_execution *copy = malloc(sizeof *copy + execution_text_size(execution));

  if (copy != NULL) {
    char *text = (char *)(copy + 1);
    execution_copy_into(copy, execution, &text);
  }
  return copy;
}

int64_t evd_now(void) {
  struct timespec now;

  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The sum, or the largest integer, which no check lets pass, where it does not fit. */
static int64_t add(int64_t a, int64_t b) {
  int64_t sum;

  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

void evd_execution_init(evd_execution *execution, const char *execution_id, const char *task_id,
                        const char *input, const evd_run_options *options) {
  static const evd_run_options defaults;
  const evd_run_options *run = options != NULL ? options : &defaults;
  int64_t now = run->now != 0 ? run->now : evd_now();

  execution_clear(execution);
  execution->task_id = task_id;
  execution->execution_id = execution_id;
  execution->retry_options =
      run->retry_options != NULL ? run->retry_options : "{\"maxAttempts\":0}";
  execution->sleep_ms_before_run = run->sleep_ms_before_run;
  execution->timeout_ms = run->timeout_ms != 0 ? run->timeout_ms : EVD_TIMEOUT_DEFAULT_MS;
  execution->are_children_sequential = run->are_children_sequential;
  execution->input = input;
  execution->status = EVD_STATUS_READY;
  execution->start_at = add(now, run->sleep_ms_before_run);
  execution->on_children_finished_processing_status = EVD_OCFP_IDLE;
  execution->close_status = EVD_CLOSE_IDLE;
  execution->created_at = now;
  execution->updated_at = now;
}

void evd_execution_init_sleeping(evd_execution *execution, const char *execution_id,
                                 const char *task_id, const char *sleeping_task_unique_id,
                                 const char *input, const evd_run_options *options) {
  evd_execution_init(execution, execution_id, task_id, input, options);
  execution->is_sleeping_task = true;
  execution->sleeping_task_unique_id = sleeping_task_unique_id;
  execution->status = EVD_STATUS_RUNNING;
  execution->started_at = execution->created_at;
  execution->expires_at = add(execution->start_at, execution->timeout_ms);
}

void evd_execution_set_parent(evd_execution *child, const evd_execution *parent, int32_t index,
                              bool is_only, bool is_final) {
  bool parent_is_top = parent->root_execution_id == NULL;

  child->root_task_id = parent_is_top ? parent->task_id : parent->root_task_id;
  child->root_execution_id = parent_is_top ? parent->execution_id : parent->root_execution_id;
  child->parent_task_id = parent->task_id;
  child->parent_execution_id = parent->execution_id;
  child->index_in_parent_children = index;
  child->is_only_child_of_parent = is_only;
  child->is_finalize_of_parent = is_final;
}
