/* Checks executions, changes and arguments before anything is sent. */
#include "model/check.h"

#include <string.h>

#include "model/columns.h"
#include "model/error.h"
#include "model/json.h"

static evd_code missing(const char *field, evd_error *error) {
  return error_set(error, EVD_EINVAL, field, "%s is missing", field);
}

evd_code check_id(const char *id, const char *field, size_t max, evd_error *error) {
  size_t length;

  if (id == NULL) {
    return missing(field, error);
  }
  length = strnlen(id, max + 1);
  if (length == 0) {
    return error_set(error, EVD_EINVAL, field, "%s is empty", field);
  }
  if (length > max) {
    return error_set(error, EVD_EINVAL, field, "%s is longer than %zu bytes", field, max);
  }
  if (!utf8_is_valid(id, length)) {
    return error_set(error, EVD_EINVAL, field, "%s is not valid UTF-8", field);
  }
  return EVD_OK;
}

evd_code check_json(const char *text, evd_column column, evd_error *error) {
  const char *field = columns[column].name;
  enum json_kind kind;
  const char *reason;
  size_t offset;

  if (text == NULL) {
    return missing(field, error);
  }
  kind = json_scan(text, strlen(text), &reason, &offset);
  if (kind == JSON_INVALID) { /* bytes are counted from 1 */
    return error_set(error, EVD_EINVAL, field, "%s is not valid JSON: %s at byte %zu", field,
                     reason, offset + 1);
  }
  if (columns[column].type == COLUMN_JSON_OBJECT && kind != JSON_OBJECT) {
    return error_set(error, EVD_EINVAL, field, "%s is not a JSON object", field);
  }
  if (columns[column].type == COLUMN_JSON_ARRAY && kind != JSON_ARRAY) {
    return error_set(error, EVD_EINVAL, field, "%s is not a JSON array", field);
  }
  return EVD_OK;
}

evd_code check_time(int64_t time, const char *field, evd_error *error) {
  if (time == EVD_NONE) {
    return missing(field, error);
  }
  if (time < -COLUMN_INTEGER_MAX || time > COLUMN_INTEGER_MAX) {
    return error_set(error, EVD_EINVAL, field,
                     "%s is not between -(2^53 - 1) and 2^53 - 1 milliseconds", field);
  }
  return EVD_OK;
}

evd_code check_quantity(int64_t quantity, const char *field, evd_error *error) {
  if (quantity < 0) {
    return error_set(error, EVD_EINVAL, field, "%s is negative", field);
  }
  if (quantity > COLUMN_INTEGER_MAX) {
    return error_set(error, EVD_EINVAL, field, "%s is more than 2^53 - 1", field);
  }
  return EVD_OK;
}

/* An enumeration, of which `name` is the text or NULL. */
static evd_code check_name(const char *name, unsigned number, const char *field, evd_error *error) {
  if (name != NULL) {
    return EVD_OK;
  }
  if (number == 0) {
    return missing(field, error);
  }
  return error_set(error, EVD_EINVAL, field, "%s has an invalid value (%u)", field, number);
}

evd_code check_status(evd_status status, const char *field, evd_error *error) {
  return check_name(evd_status_name(status), (unsigned)status, field, error);
}

evd_code check_ocfp_status(evd_ocfp_status status, const char *field, evd_error *error) {
  return check_name(evd_ocfp_status_name(status), (unsigned)status, field, error);
}

evd_code check_close_status(evd_close_status status, const char *field, evd_error *error) {
  return check_name(evd_close_status_name(status), (unsigned)status, field, error);
}

/* A column's value, which must not be NULL. */
static evd_code check_value(const evd_execution *execution, evd_column column, evd_error *error) {
  const void *member = (const char *)execution + columns[column].offset;
  const char *field = columns[column].name;

  switch (columns[column].type) {
  case COLUMN_ID: return check_id(*(const char *const *)member, field, EVD_ID_MAX, error);
  case COLUMN_UNIQUE_ID:
    return check_id(*(const char *const *)member, field, EVD_UNIQUE_ID_MAX, error);
  case COLUMN_JSON:
  case COLUMN_JSON_OBJECT:
  case COLUMN_JSON_ARRAY: return check_json(*(const char *const *)member, column, error);
  case COLUMN_COUNT32:
    return column == evd_column_index_in_parent_children
               ? EVD_OK
               : check_quantity(*(const int32_t *)member, field, error);
  case COLUMN_DURATION: return check_quantity(*(const int64_t *)member, field, error);
  case COLUMN_TIME: return check_time(*(const int64_t *)member, field, error);
  case COLUMN_BOOL: return EVD_OK;
  case COLUMN_STATUS: return check_status(*(const evd_status *)member, field, error);
  case COLUMN_OCFP_STATUS: return check_ocfp_status(*(const evd_ocfp_status *)member, field, error);
  case COLUMN_CLOSE_STATUS:
    return check_close_status(*(const evd_close_status *)member, field, error);
  }
  return EVD_OK;
}

/* A finalize task is not counted among the active children of its parent, but taken off when it is
 * closed: the counter of a parent that has one ends at -1. */
static bool is_counter_past_finalize(const evd_execution *execution, evd_column column) {
  return column == evd_column_active_children_count && execution->active_children_count == -1 &&
         execution->finalize != NULL;
}

evd_code check_column(const evd_execution *execution, evd_column column, evd_error *error) {
  if (is_counter_past_finalize(execution, column)) {
    return EVD_OK;
  }
  if (columns[column].null != COLUMN_NOT_NULL && column_get(execution, column).kind == VALUE_NULL) {
    return EVD_OK;
  }
  return check_value(execution, column, error);
}

/* Two ids of which both or neither must be there. */
static evd_code check_pair(const char *task_id, const char *execution_id, const char *task_field,
                           const char *execution_field, evd_error *error) {
  if (task_id == NULL && execution_id != NULL) {
    return error_set(error, EVD_EINVAL, task_field, "%s is missing beside %s", task_field,
                     execution_field);
  }
  if (task_id != NULL && execution_id == NULL) {
    return error_set(error, EVD_EINVAL, execution_field, "%s is missing beside %s", execution_field,
                     task_field);
  }
  return EVD_OK;
}

/* What must hold between columns. */
static evd_code check_relations(const evd_execution *execution, evd_error *error) {
  static const char *const unique_id = "sleeping_task_unique_id";
  evd_code code = check_pair(execution->root_task_id, execution->root_execution_id, "root_task_id",
                             "root_execution_id", error);

  if (code == EVD_OK) {
    code = check_pair(execution->parent_task_id, execution->parent_execution_id, "parent_task_id",
                      "parent_execution_id", error);
  }
  if (code != EVD_OK) {
    return code;
  }
  if (!execution->is_sleeping_task && execution->sleeping_task_unique_id != NULL) {
    return error_set(error, EVD_EINVAL, unique_id, "%s is given to a task that is not sleeping",
                     unique_id);
  }
  return EVD_OK;
}

evd_code evd_execution_check(const evd_execution *execution, evd_error *error) {
  evd_code code = check_relations(execution, error);

  for (int column = 0; column < EVD_COLUMN_COUNT && code == EVD_OK; column++) {
    code = check_column(execution, (evd_column)column, error);
  }
  return code;
}

/* Says in an error which of several records it is about. */
static void name_record(evd_error *error, const char *argument, size_t index) {
  evd_error about = *error;

  error_set(error, about.code, about.field, "%s[%zu].%s", argument, index, about.message);
}

evd_code check_executions(const evd_execution *executions, size_t count, const char *argument,
                          evd_error *error) {
  if (count > 0 && executions == NULL) {
    return error_set(error, EVD_EINVAL, argument, "%s is NULL", argument);
  }
  for (size_t i = 0; i < count; i++) {
    evd_code code = evd_execution_check(&executions[i], error);
    if (code != EVD_OK) {
      if (count > 1) {
        name_record(error, argument, i);
      }
      return code;
    }
  }
  return EVD_OK;
}

/* One column that is unset. */
static evd_code check_unset(evd_column column, evd_error *error) {
  const char *field = columns[column].name;

  if (columns[column].unsettable) {
    return EVD_OK;
  }
  return error_set(error, EVD_EINVAL, field, "%s cannot be unset", field);
}

/* One column that is set and not unset. */
static evd_code check_set(const evd_changes *changes, evd_column column, evd_error *error) {
  const char *field = columns[column].name;

  if ((changes->add & COLUMN_BIT(column)) != 0 && !columns[column].addable) {
    return error_set(error, EVD_EINVAL, field, "%s cannot be added to", field);
  }
  if (!columns[column].settable) {
    return error_set(error, EVD_EINVAL, field, "%s cannot be changed", field);
  }
  if (columns[column].null == COLUMN_NULLABLE &&
      column_get(&changes->values, column).kind == VALUE_NULL) {
    return error_set(error, EVD_EINVAL, field,
                     columns[column].unsettable ? "%s is set to NULL; unset it instead"
                                                : "%s cannot be set to NULL",
                     field);
  }
  return check_value(&changes->values, column, error);
}

evd_code check_changes(const evd_changes *changes, evd_error *error) {
  uint64_t all = COLUMN_BIT(EVD_COLUMN_COUNT) - 1;
  evd_code code = EVD_OK;

  if (((changes->set | changes->unset) & ~all) != 0) {
    return error_set(error, EVD_EINVAL, "changes", "changes name a column that does not exist");
  }
  if ((changes->add & ~changes->set) != 0) {
    return error_set(error, EVD_EINVAL, "changes", "changes add to a column that is not in set");
  }
  for (int column = 0; column < EVD_COLUMN_COUNT && code == EVD_OK; column++) {
    if ((changes->unset & COLUMN_BIT(column)) != 0) {
      code = check_unset((evd_column)column, error);
    } else if ((changes->set & COLUMN_BIT(column)) != 0) {
      code = check_set(changes, (evd_column)column, error);
    }
  }
  return code;
}

evd_code check_maybe(evd_maybe maybe, const char *field, evd_error *error) {
  if (maybe == EVD_ANY || maybe == EVD_NO || maybe == EVD_YES) {
    return EVD_OK;
  }
  return error_set(error, EVD_EINVAL, field, "%s has an invalid value (%u)", field,
                   (unsigned)maybe);
}

evd_code check_task_ids(const char *const *ids, size_t count, evd_error *error) {
  evd_code code = EVD_OK;

  if (ids == NULL && count > 0) {
    return missing("task_ids", error);
  }
  if (count > EVD_TASK_IDS_MAX) {
    return error_set(error, EVD_EINVAL, "task_ids", "task_ids has more than %d ids",
                     EVD_TASK_IDS_MAX);
  }
  for (size_t i = 0; i < count && code == EVD_OK; i++) {
    code = check_id(ids[i], "task_ids", EVD_ID_MAX, error);
  }
  return code;
}

evd_code check_filter(const evd_filter *filter, evd_error *error) {
  evd_code code = EVD_OK;

  if (filter->status != 0) {
    code = check_status(filter->status, "status", error);
  }
  if (code == EVD_OK) {
    code = check_maybe(filter->is_sleeping_task, "is_sleeping_task", error);
  }
  if (code == EVD_OK) {
    code = check_maybe(filter->is_finished, "is_finished", error);
  }
  if (code == EVD_OK && filter->executor_id != NULL) {
    code = check_id(filter->executor_id, "executor_id", EVD_ID_MAX, error);
  }
  if (code == EVD_OK && filter->started_at != 0) {
    code = check_time(filter->started_at, "started_at", error);
  }
  return code;
}
