/* The model of the record, and sample executions made from it. */
#include "support/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "support/check.h"

#define SETTABLE 1U
#define UNSETTABLE 2U
#define NULLABLE 4U
#define WITH_PARENT 8U

#define COLUMNS(COLUMN)                                                                  \
  COLUMN(root_task_id, SAMPLE_TEXT, 0)                                                   \
  COLUMN(root_execution_id, SAMPLE_TEXT, 0)                                              \
  COLUMN(parent_task_id, SAMPLE_TEXT, 0)                                                 \
  COLUMN(parent_execution_id, SAMPLE_TEXT, 0)                                            \
  COLUMN(index_in_parent_children, SAMPLE_INT32, WITH_PARENT)                            \
  COLUMN(is_only_child_of_parent, SAMPLE_BOOL, WITH_PARENT)                              \
  COLUMN(is_finalize_of_parent, SAMPLE_BOOL, WITH_PARENT)                                \
  COLUMN(task_id, SAMPLE_TEXT, 0)                                                        \
  COLUMN(execution_id, SAMPLE_TEXT, 0)                                                   \
  COLUMN(is_sleeping_task, SAMPLE_BOOL, 0)                                               \
  COLUMN(sleeping_task_unique_id, SAMPLE_TEXT, 0)                                        \
  COLUMN(retry_options, SAMPLE_JSON, 0)                                                  \
  COLUMN(sleep_ms_before_run, SAMPLE_INT64, 0)                                           \
  COLUMN(timeout_ms, SAMPLE_INT64, 0)                                                    \
  COLUMN(are_children_sequential, SAMPLE_BOOL, 0)                                        \
  COLUMN(input, SAMPLE_JSON, 0)                                                          \
  COLUMN(executor_id, SAMPLE_TEXT, SETTABLE | UNSETTABLE | NULLABLE)                     \
  COLUMN(status, SAMPLE_ENUM, SETTABLE)                                                  \
  COLUMN(is_finished, SAMPLE_BOOL, SETTABLE)                                             \
  COLUMN(run_output, SAMPLE_JSON, SETTABLE | UNSETTABLE | NULLABLE)                      \
  COLUMN(output, SAMPLE_JSON, SETTABLE | NULLABLE)                                       \
  COLUMN(error, SAMPLE_JSON, SETTABLE | UNSETTABLE | NULLABLE)                           \
  COLUMN(retry_attempts, SAMPLE_INT32, SETTABLE)                                         \
  COLUMN(start_at, SAMPLE_INT64, SETTABLE)                                               \
  COLUMN(started_at, SAMPLE_INT64, SETTABLE | UNSETTABLE | NULLABLE)                     \
  COLUMN(expires_at, SAMPLE_INT64, SETTABLE | UNSETTABLE | NULLABLE)                     \
  COLUMN(waiting_for_children_started_at, SAMPLE_INT64, SETTABLE | NULLABLE)             \
  COLUMN(waiting_for_finalize_started_at, SAMPLE_INT64, SETTABLE | NULLABLE)             \
  COLUMN(finished_at, SAMPLE_INT64, SETTABLE | NULLABLE)                                 \
  COLUMN(children, SAMPLE_JSON, SETTABLE | NULLABLE)                                     \
  COLUMN(active_children_count, SAMPLE_INT32, SETTABLE)                                  \
  COLUMN(on_children_finished_processing_status, SAMPLE_ENUM, SETTABLE)                  \
  COLUMN(on_children_finished_processing_expires_at, SAMPLE_INT64,                       \
         SETTABLE | UNSETTABLE | NULLABLE)                                               \
  COLUMN(on_children_finished_processing_finished_at, SAMPLE_INT64, SETTABLE | NULLABLE) \
  COLUMN(finalize, SAMPLE_JSON, SETTABLE | NULLABLE)                                     \
  COLUMN(close_status, SAMPLE_ENUM, SETTABLE)                                            \
  COLUMN(close_expires_at, SAMPLE_INT64, SETTABLE | UNSETTABLE | NULLABLE)               \
  COLUMN(closed_at, SAMPLE_INT64, SETTABLE | NULLABLE)                                   \
  COLUMN(needs_promise_cancellation, SAMPLE_BOOL, SETTABLE)                              \
  COLUMN(created_at, SAMPLE_INT64, 0)                                                    \
  COLUMN(updated_at, SAMPLE_INT64, SETTABLE)

#define LINE(name, kind, flags) [evd_column_##name] = {offsetof(evd_execution, name), kind, flags},
#define OR_BIT(name, kind, flags) | UINT64_C(1) << evd_column_##name

static const struct {
  size_t offset;
  enum sample_kind kind;
  unsigned flags;
} model[EVD_COLUMN_COUNT] = {COLUMNS(LINE)};

_Static_assert((0 COLUMNS(OR_BIT)) == (UINT64_C(1) << EVD_COLUMN_COUNT) - 1,
               "each column has a line here and a value in sample_full()");

enum sample_kind sample_kind(evd_column column) {
  return model[column].kind;
}

bool sample_is_settable(evd_column column) {
  return model[column].flags & SETTABLE;
}

bool sample_is_unsettable(evd_column column) {
  return model[column].flags & UNSETTABLE;
}

bool sample_is_nullable(evd_column column) {
  return model[column].flags & NULLABLE;
}

void *sample_member(evd_execution *execution, evd_column column) {
  return (char *)execution + model[column].offset;
}

static const void *member(const evd_execution *execution, evd_column column) {
  return (const char *)execution + model[column].offset;
}

/* The size of a member of this kind. */
static size_t kind_size(enum sample_kind kind) {
  switch (kind) {
  case SAMPLE_TEXT:
  case SAMPLE_JSON: return sizeof(const char *);
  case SAMPLE_INT64: return sizeof(int64_t);
  case SAMPLE_BOOL: return sizeof(bool);
  case SAMPLE_INT32:
  case SAMPLE_ENUM: break;
  }
  return sizeof(int32_t);
}

evd_execution sample_execution(const char *id) {
  evd_execution execution;
  evd_execution_init(
      &execution, id, "task", "{\"n\":1}",
      &(evd_run_options){.now = SAMPLE_TIME, .sleep_ms_before_run = 5, .timeout_ms = 1000});
  return execution;
}

evd_execution sample_sleeping(const char *id, const char *unique_id) {
  evd_execution execution;
  evd_execution_init_sleeping(&execution, id, "sleeping_task", unique_id, "null",
                              &(evd_run_options){.now = SAMPLE_TIME, .timeout_ms = 1000});
  return execution;
}

evd_execution sample_child(const char *id, const char *parent_id, int32_t index) {
  evd_execution parent = sample_execution(parent_id);
  evd_execution child = sample_execution(id);
  evd_execution_set_parent(&child, &parent, index, false, false);
  return child;
}

evd_execution sample_finished_child(const char *id, const char *parent_id, int32_t index) {
  evd_execution child = sample_child(id, parent_id, index);
  child.status = EVD_STATUS_COMPLETED;
  child.is_finished = true;
  child.finished_at = SAMPLE_TIME + 1;
  return child;
}

evd_execution sample_parent(const char *id, int32_t active_children) {
  evd_execution parent = sample_execution(id);
  parent.status = EVD_STATUS_WAITING_FOR_CHILDREN;
  parent.active_children_count = active_children;
  return parent;
}

int sample_number(const char *id) {
  const char *at = strrchr(id, '_');
  char *end;
  long number = at != NULL ? strtol(at + 1, &end, 10) : -1;
  return at != NULL && end > at + 1 ? (int)number : -1;
}

evd_execution sample_full(const char *id) {
  return (evd_execution){
      .root_task_id = "root_task",
      .root_execution_id = "root_execution",
      .parent_task_id = "parent_task",
      .parent_execution_id = "parent_execution",
      .index_in_parent_children = 3,
      .is_only_child_of_parent = true,
      .is_finalize_of_parent = true,
      .task_id = "full_task",
      .execution_id = id,
      .is_sleeping_task = true,
      .sleeping_task_unique_id = text("unique of %s", id),
      .retry_options = "{\"maxAttempts\":3,\"baseDelayMs\":10,\"delayMultiplier\":1.5,"
                       "\"maxDelayMs\":1000}",
      .sleep_ms_before_run = 11,
      .timeout_ms = 12,
      .are_children_sequential = true,
      .input = "{\"a\":[1,2.5,-3,true,false,null,\"x\"],\"b\":{\"c\":{}}}",
      .executor_id = "executor",
      .status = EVD_STATUS_FINALIZE_FAILED,
      .is_finished = true,
      .run_output = "[\"run\",{\"output\":1}]",
      .output = "\"output\"",
      .error = "{\"errorType\":\"generic\",\"message\":\"it failed\",\"isRetryable\":true,"
               "\"isInternal\":false}",
      .retry_attempts = 2,
      .start_at = SAMPLE_TIME + 1,
      .started_at = SAMPLE_TIME + 2,
      .expires_at = SAMPLE_TIME + 3,
      .waiting_for_children_started_at = SAMPLE_TIME + 4,
      .waiting_for_finalize_started_at = SAMPLE_TIME + 5,
      .finished_at = SAMPLE_TIME + 6,
      .children = "[{\"taskId\":\"t\",\"executionId\":\"e\"}]",
      .active_children_count = 4,
      .on_children_finished_processing_status = EVD_OCFP_PROCESSED,
      .on_children_finished_processing_expires_at = SAMPLE_TIME + 7,
      .on_children_finished_processing_finished_at = SAMPLE_TIME + 8,
      .finalize = "{\"taskId\":\"f\",\"executionId\":\"fe\"}",
      .close_status = EVD_CLOSE_CLOSED,
      .close_expires_at = SAMPLE_TIME + 9,
      .closed_at = SAMPLE_TIME + 10,
      .needs_promise_cancellation = true,
      .created_at = SAMPLE_TIME,
      .updated_at = SAMPLE_TIME + 11,
  };
}

/* A text for a column that no sample has. */
static const char *other_text(evd_column column) {
  switch (column) {
  case evd_column_executor_id: return "another_executor";
  case evd_column_error:
    return "{\"errorType\":\"timed_out\",\"message\":\"too late\",\"isRetryable\":false,"
           "\"isInternal\":true}";
  case evd_column_children:
    return "[{\"taskId\":\"t1\",\"executionId\":\"e1\"},{\"taskId\":\"t2\",\"executionId\":"
           "\"e2\"}]";
  case evd_column_finalize: return "{\"taskId\":\"f1\",\"executionId\":\"fe1\"}";
  default: return "{\"another\":[\"value\"]}";
  }
}

void sample_set(evd_changes *changes, evd_column column) {
  void *value = sample_member(&changes->values, column);
  changes->set |= UINT64_C(1) << column;
  switch (model[column].kind) {
  case SAMPLE_TEXT:
  case SAMPLE_JSON: *(const char **)value = other_text(column); break;
  case SAMPLE_INT32: *(int32_t *)value = 77; break;
  case SAMPLE_INT64: *(int64_t *)value = SAMPLE_TIME + 1000 + column; break;
  case SAMPLE_BOOL: *(bool *)value = column != evd_column_needs_promise_cancellation; break;
  case SAMPLE_ENUM: *(int32_t *)value = 2; break;
  }
  if (column != evd_column_updated_at) {
    evd_set(changes, updated_at, SAMPLE_TIME + 1000);
  }
}

evd_changes sample_changes(evd_status status) {
  evd_changes changes = {0};
  evd_set(&changes, updated_at, SAMPLE_TIME + 1000);
  if (status) {
    evd_set(&changes, status, status);
  }
  return changes;
}

void sample_clear(evd_execution *execution, evd_column column) {
  void *value = sample_member(execution, column);
  if (model[column].kind == SAMPLE_INT64) {
    *(int64_t *)value = EVD_NONE;
  } else {
    memset(value, 0, kind_size(model[column].kind));
  }
}

void sample_apply(evd_execution *row, const evd_changes *changes) {
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    uint64_t bit = UINT64_C(1) << column;
    if (changes->unset & bit) {
      sample_clear(row, column);
    } else if (changes->add & bit) { /* retry_attempts, or the test is wrong */
      int64_t sum = (int64_t)row->retry_attempts + changes->values.retry_attempts;
      row->retry_attempts = sum < INT32_MAX ? (int32_t)sum : INT32_MAX;
    } else if (changes->set & bit) {
      memcpy(sample_member(row, column), member(&changes->values, column),
             kind_size(model[column].kind));
    }
  }
}

/* Whether two JSON texts have the same value. */
static bool same_json(const char *a, const char *b) {
  if (strcmp(a, b) == 0) {
    return true;
  }
  cJSON *left = cJSON_Parse(a);
  cJSON *right = cJSON_Parse(b);
  bool same = cJSON_Compare(left, right, true);
  if (left != NULL && right != NULL && cJSON_IsNumber(left) && isinf(left->valuedouble)) {
    same = cJSON_IsNumber(right) && left->valuedouble == right->valuedouble;
  }
  cJSON_Delete(left);
  cJSON_Delete(right);
  return same;
}

static bool same_member(const evd_execution *a, const evd_execution *b, evd_column column) {
  const void *left = member(a, column);
  const void *right = member(b, column);
  enum sample_kind kind = model[column].kind;
  if (kind != SAMPLE_TEXT && kind != SAMPLE_JSON) {
    return memcmp(left, right, kind_size(kind)) == 0;
  }
  const char *left_text = *(const char *const *)left;
  const char *right_text = *(const char *const *)right;
  if (left_text == NULL || right_text == NULL) {
    return left_text == right_text;
  }
  return kind == SAMPLE_JSON ? same_json(left_text, right_text) : !strcmp(left_text, right_text);
}

evd_column sample_difference(const evd_execution *a, const evd_execution *b) {
  evd_column column = 0;
  while (column < EVD_COLUMN_COUNT) {
    bool skipped = (model[column].flags & WITH_PARENT) && a->parent_execution_id == NULL;
    if (!skipped && !same_member(a, b, column)) {
      break;
    }
    column++;
  }
  return column;
}

/* A member as text, for a message. */
static const char *describe(const evd_execution *execution, evd_column column) {
  const void *value = member(execution, column);
  switch (model[column].kind) {
  case SAMPLE_TEXT:
  case SAMPLE_JSON:
    return *(const char *const *)value != NULL ? text("\"%.200s\"", *(const char *const *)value)
                                               : "NULL";
  case SAMPLE_INT64:
    return *(const int64_t *)value == EVD_NONE ? "NULL"
                                               : text("%lld", (long long)*(const int64_t *)value);
  case SAMPLE_BOOL: return *(const bool *)value ? "true" : "false";
  case SAMPLE_INT32:
  case SAMPLE_ENUM: break;
  }
  return text("%d", *(const int32_t *)value);
}

void expect_row_at(const evd_execution *row, const evd_execution *expected, const char *file,
                   int line) {
  if (row == NULL) {
    fail_at(file, line, "no row %s", expected->execution_id);
  }
  evd_column column = sample_difference(row, expected);
  if (column < EVD_COLUMN_COUNT) {
    fail_at(file, line, "%s of %s is %s, not %s", evd_column_name(column), expected->execution_id,
            describe(row, column), describe(expected, column));
  }
}
