#include "cli/rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"
#include "model/columns.h"
#include "model/error.h"
#include "model/execution.h"
#include "model/json.h"

/* Of so many rows that are left out it is said why. */
enum { LEFT_OUT_SAID_MAX = 50 };

/* Options. */

/* The statuses that are finished, or those that are not, as bits. */
static uint32_t statuses_that(bool are_finished) {
  uint32_t bits = 0;
  for (int status = EVD_STATUS_READY; status <= EVD_STATUS_CANCELLED; status++) {
    if (evd_status_is_finished((evd_status)status) == are_finished) {
      bits |= UINT32_C(1) << status;
    }
  }
  return bits;
}

/* Reads "ready,running". */
static int read_statuses(struct row_filter *filter, const char *value) {
  while (*value != '\0') {
    char name[32];
    size_t length = strcspn(value, ",");
    (void)snprintf(name, sizeof(name), "%.*s", (int)length, value);
    evd_status status = evd_status_from_name(name);
    if (status != 0) {
      filter->statuses |= UINT32_C(1) << status;
    } else if (strcmp(name, "active") == 0 || strcmp(name, "finished") == 0) {
      filter->statuses |= statuses_that(name[0] == 'f');
    } else {
      return cli_usage("there is no status \"%s\"", name);
    }
    value += length + (value[length] == ',');
  }
  return CLI_OK;
}

static int read_age(const char *value, int64_t *time) {
  int64_t age;
  if (!text_read_duration(value, &age)) {
    return cli_usage("\"%s\" is no duration, such as 7d, 12h or 90s", value);
  }
  *time = evd_now() - age;
  return CLI_OK;
}

int rows_option(struct row_filter *filter, int option, const char *value) {
  switch (option) {
  case ROWS_OPTION_STATUS: return read_statuses(filter, value);
  case ROWS_OPTION_TASK: filter->task = value; break;
  case ROWS_OPTION_PARENT: filter->parent = value; break;
  case ROWS_OPTION_ROOT: filter->root = value; break;
  case ROWS_OPTION_EXECUTOR: filter->executor = value; break;
  case ROWS_OPTION_OLDER_THAN: return read_age(value, &filter->created_before);
  case ROWS_OPTION_NEWER_THAN: return read_age(value, &filter->created_after);
  default: break;
  }
  return CLI_OK;
}

/* Queries. */

void rows_add_parameter(struct row_query *query, const char *value) {
  query->parameters[query->count++] = value;
}

static void add_text_condition(struct row_query *query, const char *column, const char *value) {
  if (value != NULL) {
    buffer_printf(&query->sql, " and %s = ?", column);
    rows_add_parameter(query, value);
  }
}

static void add_time_condition(struct row_query *query, int64_t time, const char *comparison) {
  if (time != 0) {
    buffer_printf(&query->sql, " and created_at %s %" PRId64, comparison, time);
  }
}

void rows_where(struct row_query *query, const struct row_filter *filter) {
  const char *before = " where status in (";
  for (int status = EVD_STATUS_READY; status <= EVD_STATUS_CANCELLED; status++) {
    if ((filter->statuses & (UINT32_C(1) << status)) != 0) {
      buffer_printf(&query->sql, "%s'%s'", before, evd_status_name((evd_status)status));
      before = ", ";
    }
  }
  buffer_append(&query->sql, filter->statuses != 0 ? ")" : " where 1 = 1");
  add_text_condition(query, "task_id", filter->task);
  add_text_condition(query, "parent_execution_id", filter->parent);
  add_text_condition(query, "root_execution_id", filter->root);
  add_text_condition(query, "executor_id", filter->executor);
  add_time_condition(query, filter->created_before, "<");
  add_time_condition(query, filter->created_after, ">=");
}

void rows_select(struct row_query *query, enum dialect dialect, const struct table_name *table) {
  buffer_append(&query->sql, "select ");
  sql_columns(&query->sql, dialect, "");
  buffer_append(&query->sql, " from ");
  sql_table(&query->sql, dialect, table);
}

evd_code rows_run(struct sql_client *client, struct row_query *query, sql_row row, void *data,
                  evd_error *error) {
  evd_code code = query->sql.failed ? error_set(error, EVD_ENOMEM, "", "memory ran out")
                                    : sql_client_query(client, query->sql.text, query->parameters,
                                                       row, data, error);
  buffer_free(&query->sql);
  return code;
}

/* Rows. */

/* A number, or PostgreSQL's t and f. */
static bool read_integer(const char *text, int64_t *integer) {
  if (strcmp(text, "t") == 0 || strcmp(text, "f") == 0) {
    *integer = text[0] == 't';
    return true;
  }
  char *end;
  errno = 0;
  *integer = strtoll(text, &end, 10);
  return errno == 0 && end > text && *end == '\0';
}

evd_code rows_unfit(evd_column column, const char *id, const char *value, evd_error *error) {
  char shown_id[EVD_ID_MAX * 4 + 4];
  char shown_value[EVD_ID_MAX * 4 + 4];
  text_printable(id != NULL ? id : "NULL", EVD_ID_MAX, shown_id, sizeof(shown_id));
  text_printable(value != NULL ? value : "NULL", EVD_ID_MAX, shown_value, sizeof(shown_value));
  return execution_unfit(column, shown_id, shown_value, error);
}

/* Reads one value; false when the column of an execution cannot have it. */
static bool read_value(evd_execution *execution, evd_column column, const char *value) {
  int64_t integer;
  if (value == NULL) {
    return column_load_null(execution, column); /* as execution_clear() left it */
  }
  if (column_is_text(column) || column_is_enum(column)) {
    return column_set_text(execution, column, value);
  }
  if (read_integer(value, &integer)) {
    return column_load_integer(execution, column, integer);
  }
  char *end;
  double real = strtod(value, &end);
  return end > value && *end == '\0' && column_load_real(execution, column, real);
}

evd_code rows_read(const char *const *values, evd_execution *execution, evd_error *error) {
  execution_clear(execution);
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (!read_value(execution, (evd_column)column, values[column])) {
      return rows_unfit((evd_column)column, values[evd_column_execution_id], values[column], error);
    }
  }
  return EVD_OK;
}

char *rows_json(const char *const *values, evd_error *error) {
  evd_execution execution;
  if (rows_read(values, &execution, error) != EVD_OK) {
    return NULL;
  }
  char *json = evd_execution_to_json(&execution);
  if (json != NULL) {
    return json;
  }
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    const char *value = column_is_json((evd_column)column) ? values[column] : NULL;
    if (value != NULL && json_scan(value, strlen(value), NULL, NULL) == JSON_INVALID) {
      rows_unfit((evd_column)column, execution.execution_id, value, error);
      return NULL;
    }
  }
  error_set(error, EVD_ENOMEM, "", "memory ran out");
  return NULL;
}

void rows_leave_out(int64_t *left_out, const evd_error *error) {
  if (++*left_out <= LEFT_OUT_SAID_MAX) {
    cli_fail(error);
  }
}

int rows_end_left_out(int64_t left_out) {
  return left_out == 0 ? CLI_OK : cli_fail_text("%" PRId64 " left out", left_out);
}
