/* Filters of executions as SQL, and executions read by an SQL session. */
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

/* For how many rows that are skipped the reason is printed. */
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
    snprintf(name, sizeof name, "%.*s", (int)length, value);
    evd_status status = evd_status_from_name(name);
    if (status != 0) {
      filter->statuses |= UINT32_C(1) << status;
    } else if (strcmp(name, "active") == 0 || strcmp(name, "finished") == 0) {
      filter->statuses |= statuses_that(name[0] == 'f');
    } else {
      return cli_usage("unknown status \"%s\"", name);
    }
    value += length + (value[length] == ',');
  }
  return CLI_OK;
}

static int read_age(const char *value, int64_t *time) {
  int64_t age;
  if (!text_read_duration(value, &age)) {
    return cli_usage("\"%s\" is not a duration, such as 7d, 12h or 90s", value);
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

void rows_select(struct row_query *query, const struct dialect *dialect,
                 const struct table_name *table) {
  buffer_append(&query->sql, "select ");
  sql_columns(&query->sql, "");
  query->from = query->sql.length;
  buffer_append(&query->sql, " from ");
  sql_table(&query->sql, dialect, table);
  query->from_end = query->sql.length;
}

/* A query's rows on their way to whom they are for. */
struct reading {
  const struct row_reader *reader;
  int64_t handed_on;
  struct buffer ids; /* each ended by zero */
};

static bool hand_on(const char *const *values, void *data) {
  struct reading *reading = data;
  reading->handed_on++;
  return reading->reader->row(values, reading->reader->data);
}

static bool add_id(const char *const *values, void *data) {
  struct reading *reading = data;
  const char *id = values[0] != NULL ? values[0] : "";
  buffer_append_bytes(&reading->ids, id, strlen(id) + 1);
  return !reading->ids.failed;
}

/* Whether a query may have failed on what is in a row. */
static bool may_be_a_rows(evd_code code) {
  return code == EVD_EINVAL || code == EVD_EDATABASE;
}

/* Reads one row; where that fails on what is in it, says so to the reader. */
static evd_code read_one(struct sql_client *client, const char *sql, const char *id,
                         struct reading *reading, evd_error *error) {
  const char *parameters[] = {id};
  evd_code code = sql_client_query(client, sql, parameters, hand_on, reading, error);
  if (!may_be_a_rows(code)) {
    return code;
  }
  char shown[EVD_ID_MAX * 4 + 4];
  evd_error why;
  text_printable(id, EVD_ID_MAX, shown, sizeof shown);
  error_set(&why, EVD_EDATABASE, "", "execution %s cannot be read: %s", shown, error->message);
  reading->reader->unreadable(id, &why, reading->reader->data);
  return EVD_OK;
}

/* A row has failed the whole query: reads the others one by one, past those that were read
 * before. */
static evd_code read_each(struct sql_client *client, const struct row_query *query,
                          struct reading *reading, evd_error *error) {
  struct buffer sql = {0};
  int64_t handed_on = reading->handed_on;
  buffer_printf(&sql, "select execution_id%s", query->sql.text + query->from);
  evd_code code =
      sql.failed ? error_set_no_memory(error)
                 : sql_client_query(client, sql.text, query->parameters, add_id, reading, error);
  buffer_reset(&sql);
  buffer_printf(&sql, "%.*s where execution_id = ?", (int)query->from_end, query->sql.text);
  if (code == EVD_OK && (sql.failed || reading->ids.failed)) {
    code = error_set_no_memory(error);
  }
  size_t place = 0;
  for (int64_t i = 0; code == EVD_OK && place < reading->ids.length; i++) {
    const char *id = reading->ids.text + place;
    place += strlen(id) + 1;
    code = i < handed_on ? EVD_OK : read_one(client, sql.text, id, reading, error);
  }
  buffer_free(&sql);
  return code;
}

evd_code rows_run(struct sql_client *client, struct row_query *query,
                  const struct row_reader *reader, evd_error *error) {
  struct reading reading = {.reader = reader};
  evd_code code = query->sql.failed ? error_set_no_memory(error)
                                    : sql_client_query(client, query->sql.text, query->parameters,
                                                       hand_on, &reading, error);
  if (may_be_a_rows(code)) {
    code = read_each(client, query, &reading, error);
  }
  buffer_free(&query->sql);
  buffer_free(&reading.ids);
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
  text_printable(id != NULL ? id : "NULL", EVD_ID_MAX, shown_id, sizeof shown_id);
  text_printable(value != NULL ? value : "NULL", EVD_ID_MAX, shown_value, sizeof shown_value);
  return execution_unfit(column, shown_id, value != NULL ? shown_value : NULL, error);
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
  error_set_no_memory(error);
  return NULL;
}

void rows_leave_out(int64_t *left_out, const evd_error *error) {
  if (++*left_out <= LEFT_OUT_SAID_MAX) {
    cli_fail(error);
  }
}

int rows_end_left_out(int64_t left_out) {
  return left_out == 0 ? CLI_OK : cli_fail_text("%" PRId64 " executions were skipped", left_out);
}
