/* The column table, and access to a record's members by it. */
#include "model/columns.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A line of the table: the member, its key in JSON, its type, what it holds when no value is given,
 * what updates may do. A column that another migration than the first adds has a COLUMN_SINCE()
 * with its number. */
#define COLUMN(...) COLUMN_SINCE(1, __VA_ARGS__)
#define COLUMN_SINCE(since, member, key, type, ...) \
  [evd_column_##                                    \
      member] = {#member, key, offsetof(evd_execution, member), since, COLUMN_##type, __VA_ARGS__}

/* When a column is NULL, and its default. */
#define NULLABLE COLUMN_NULLABLE, NULL
#define WITH_PARENT COLUMN_WITH_PARENT, NULL
#define REQUIRED COLUMN_NOT_NULL, NULL
#define DEFAULT(text) COLUMN_NOT_NULL, text

/* What an update may do with a column: {settable, unsettable, addable}. */
#define FIXED false, false, false
#define SET true, false, false
#define SET_UNSET true, true, false
#define SET_ADD true, false, true

const struct column columns[EVD_COLUMN_COUNT] = {
    COLUMN(root_task_id, "rootTaskId", ID, NULLABLE, FIXED),
    COLUMN(root_execution_id, "rootExecutionId", ID, NULLABLE, FIXED),
    COLUMN(parent_task_id, "parentTaskId", ID, NULLABLE, FIXED),
    COLUMN(parent_execution_id, "parentExecutionId", ID, NULLABLE, FIXED),
    COLUMN(index_in_parent_children, "indexInParentChildren", COUNT32, WITH_PARENT, FIXED),
    COLUMN(is_only_child_of_parent, "isOnlyChildOfParent", BOOL, WITH_PARENT, FIXED),
    COLUMN(is_finalize_of_parent, "isFinalizeOfParent", BOOL, WITH_PARENT, FIXED),
    COLUMN(task_id, "taskId", ID, REQUIRED, FIXED),
    COLUMN(execution_id, "executionId", ID, REQUIRED, FIXED),
    COLUMN(is_sleeping_task, "isSleepingTask", BOOL, DEFAULT("false"), FIXED),
    COLUMN(sleeping_task_unique_id, "sleepingTaskUniqueId", UNIQUE_ID, NULLABLE, FIXED),
    COLUMN(retry_options, "retryOptions", JSON_OBJECT, REQUIRED, FIXED),
    COLUMN(sleep_ms_before_run, "sleepMsBeforeRun", DURATION, DEFAULT("0"), FIXED),
    COLUMN(timeout_ms, "timeoutMs", DURATION, REQUIRED, FIXED),
    COLUMN(are_children_sequential, "areChildrenSequential", BOOL, DEFAULT("false"), FIXED),
    COLUMN(input, "input", JSON, REQUIRED, FIXED),
    COLUMN(executor_id, "executorId", ID, NULLABLE, SET_UNSET),
    COLUMN(status, "status", STATUS, REQUIRED, SET),
    COLUMN(is_finished, "isFinished", BOOL, REQUIRED, SET),
    COLUMN(run_output, "runOutput", JSON, NULLABLE, SET_UNSET),
    COLUMN(output, "output", JSON, NULLABLE, SET),
    COLUMN(error, "error", JSON_OBJECT, NULLABLE, SET_UNSET),
    COLUMN(retry_attempts, "retryAttempts", COUNT32, DEFAULT("0"), SET_ADD),
    COLUMN(start_at, "startAt", TIME, REQUIRED, SET),
    COLUMN(started_at, "startedAt", TIME, NULLABLE, SET_UNSET),
    COLUMN(expires_at, "expiresAt", TIME, NULLABLE, SET_UNSET),
    COLUMN(waiting_for_children_started_at, "waitingForChildrenStartedAt", TIME, NULLABLE, SET),
    COLUMN(waiting_for_finalize_started_at, "waitingForFinalizeStartedAt", TIME, NULLABLE, SET),
    COLUMN(finished_at, "finishedAt", TIME, NULLABLE, SET),
    COLUMN(children, "children", JSON_ARRAY, NULLABLE, SET),
    COLUMN(active_children_count, "activeChildrenCount", COUNT32, DEFAULT("0"), SET),
    COLUMN(on_children_finished_processing_status, "onChildrenFinishedProcessingStatus",
           OCFP_STATUS, DEFAULT("idle"), SET),
    COLUMN(on_children_finished_processing_expires_at, "onChildrenFinishedProcessingExpiresAt",
           TIME, NULLABLE, SET_UNSET),
    COLUMN(on_children_finished_processing_finished_at, "onChildrenFinishedProcessingFinishedAt",
           TIME, NULLABLE, SET),
    COLUMN(finalize, "finalize", JSON_OBJECT, NULLABLE, SET),
    COLUMN(close_status, "closeStatus", CLOSE_STATUS, REQUIRED, SET),
    COLUMN(close_expires_at, "closeExpiresAt", TIME, NULLABLE, SET_UNSET),
    COLUMN(closed_at, "closedAt", TIME, NULLABLE, SET),
    COLUMN(needs_promise_cancellation, "needsPromiseCancellation", BOOL, DEFAULT("false"), SET),
    COLUMN(created_at, "createdAt", TIME, REQUIRED, FIXED),
    COLUMN(updated_at, "updatedAt", TIME, REQUIRED, SET),
};

_Static_assert(EVD_COLUMN_COUNT <= 64, "the masks of evd_changes have 64 bits");

const char *evd_column_name(evd_column column) {
  return (unsigned)column < EVD_COLUMN_COUNT ? columns[column].name : NULL;
}

/* The address of a column's member. */
static const void *member_of(const evd_execution *execution, evd_column column) {
  return (const char *)execution + columns[column].offset;
}

static void *member_to_set(evd_execution *execution, evd_column column) {
  return (char *)execution + columns[column].offset;
}

static struct value text_or_null(const char *text) {
  return (struct value){.kind = text == NULL ? VALUE_NULL : VALUE_TEXT, .text = text};
}

static struct value integer_value(int64_t integer) {
  return (struct value){.kind = VALUE_INTEGER, .integer = integer};
}

static struct value time_or_null(int64_t time) {
  return (struct value){.kind = time == EVD_NONE ? VALUE_NULL : VALUE_INTEGER, .integer = time};
}

struct value column_get(const evd_execution *execution, evd_column column) {
  const void *member = member_of(execution, column);

  if (columns[column].null == COLUMN_WITH_PARENT && execution->parent_execution_id == NULL) {
    return (struct value){.kind = VALUE_NULL};
  }
  switch (columns[column].type) {
  case COLUMN_ID:
  case COLUMN_UNIQUE_ID:
  case COLUMN_JSON:
  case COLUMN_JSON_OBJECT:
  case COLUMN_JSON_ARRAY: return text_or_null(*(const char *const *)member);
  case COLUMN_COUNT32: return integer_value(*(const int32_t *)member);
  case COLUMN_DURATION: return integer_value(*(const int64_t *)member);
  case COLUMN_TIME: return time_or_null(*(const int64_t *)member);
  case COLUMN_BOOL: return integer_value(*(const bool *)member);
  case COLUMN_STATUS: return text_or_null(evd_status_name(*(const evd_status *)member));
  case COLUMN_OCFP_STATUS:
    return text_or_null(evd_ocfp_status_name(*(const evd_ocfp_status *)member));
  case COLUMN_CLOSE_STATUS:
    return text_or_null(evd_close_status_name(*(const evd_close_status *)member));
  }
  return (struct value){.kind = VALUE_NULL};
}

bool column_set_text(evd_execution *execution, evd_column column, const char *text) {
  void *member = member_to_set(execution, column);

  switch (columns[column].type) {
  case COLUMN_ID:
  case COLUMN_UNIQUE_ID:
  case COLUMN_JSON:
  case COLUMN_JSON_OBJECT:
  case COLUMN_JSON_ARRAY: *(const char **)member = text; return true;
  case COLUMN_STATUS: return (*(evd_status *)member = evd_status_from_name(text)) != 0;
  case COLUMN_OCFP_STATUS:
    return (*(evd_ocfp_status *)member = evd_ocfp_status_from_name(text)) != 0;
  case COLUMN_CLOSE_STATUS:
    return (*(evd_close_status *)member = evd_close_status_from_name(text)) != 0;
  case COLUMN_COUNT32:
  case COLUMN_DURATION:
  case COLUMN_TIME:
  case COLUMN_BOOL: return false;
  }
  return false;
}

bool column_set_integer(evd_execution *execution, evd_column column, int64_t integer) {
  void *member = member_to_set(execution, column);

  switch (columns[column].type) {
  case COLUMN_COUNT32:
    if (integer < INT32_MIN || integer > INT32_MAX) {
      return false;
    }
    *(int32_t *)member = (int32_t)integer;
    return true;
  case COLUMN_DURATION:
  case COLUMN_TIME: *(int64_t *)member = integer; return true;
  case COLUMN_BOOL: *(bool *)member = integer != 0; return true;
  case COLUMN_ID:
  case COLUMN_UNIQUE_ID:
  case COLUMN_JSON:
  case COLUMN_JSON_OBJECT:
  case COLUMN_JSON_ARRAY:
  case COLUMN_STATUS:
  case COLUMN_OCFP_STATUS:
  case COLUMN_CLOSE_STATUS: return false;
  }
  return false;
}

void column_set_null(evd_execution *execution, evd_column column) {
  void *member = member_to_set(execution, column);

  switch (columns[column].type) {
  case COLUMN_ID:
  case COLUMN_UNIQUE_ID:
  case COLUMN_JSON:
  case COLUMN_JSON_OBJECT:
  case COLUMN_JSON_ARRAY: *(const char **)member = NULL; break;
  case COLUMN_COUNT32: *(int32_t *)member = 0; break;
  case COLUMN_DURATION: *(int64_t *)member = 0; break;
  case COLUMN_TIME:
    *(int64_t *)member = columns[column].null == COLUMN_NULLABLE ? EVD_NONE : 0;
    break;
  case COLUMN_BOOL: *(bool *)member = false; break;
  case COLUMN_STATUS: *(evd_status *)member = 0; break;
  case COLUMN_OCFP_STATUS: *(evd_ocfp_status *)member = 0; break;
  case COLUMN_CLOSE_STATUS: *(evd_close_status *)member = 0; break;
  }
}

bool column_set_default(evd_execution *execution, evd_column column) {
  const char *text = columns[column].default_text;

  if (text == NULL) {
    return false;
  }
  if (column_is_text(column) || column_is_enum(column)) {
    return column_set_text(execution, column, text);
  }
  return column_set_integer(execution, column,
                            columns[column].type == COLUMN_BOOL ? strcmp(text, "true") == 0
                                                                : strtoll(text, NULL, 10));
}

bool column_load_integer(evd_execution *execution, evd_column column, int64_t integer) {
  enum column_type type = columns[column].type;
  bool is_signed = type == COLUMN_TIME || column == evd_column_active_children_count ||
                   column == evd_column_index_in_parent_children;
  int64_t least = is_signed ? -COLUMN_INTEGER_MAX : 0;

  if (type != COLUMN_BOOL && (integer < least || integer > COLUMN_INTEGER_MAX)) {
    return false;
  }
  return column_set_integer(execution, column, integer);
}

bool column_load_real(evd_execution *execution, evd_column column, double real) {
  enum column_type type = columns[column].type;
  bool fits = fabs(real) <= (double)COLUMN_INTEGER_MAX; /* also false of what is no number */

  return (type == COLUMN_TIME || type == COLUMN_DURATION) && fits &&
         column_load_integer(execution, column, llround(real));
}

bool column_load_null(const evd_execution *execution, evd_column column) {
  enum column_null null = columns[column].null;

  return null == COLUMN_NULLABLE ||
         (null == COLUMN_WITH_PARENT && execution->parent_execution_id == NULL);
}

evd_column column_from_name(const char *name) {
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (strcmp(columns[column].name, name) == 0) {
      return (evd_column)column;
    }
  }
  return EVD_COLUMN_COUNT;
}

evd_column column_from_json_key(const char *key) {
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (strcmp(columns[column].json_key, key) == 0) {
      return (evd_column)column;
    }
  }
  return EVD_COLUMN_COUNT;
}
