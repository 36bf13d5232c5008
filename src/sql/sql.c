/* Table names, quoting, and the conditions that the dialects share. */
#include "sql/sql.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "model/columns.h"
#include "model/error.h"

enum {
  SCHEMA_NAME_MAX = 63, /* bytes; what PostgreSQL keeps of a name */
  TABLE_NAME_MAX = 48   /* leaves room for the names of indexes */
};

_Static_assert(SCHEMA_NAME_MAX < EVD_ID_MAX, "a table_name holds its parts");

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Whether the text's first `length` bytes are an identifier. */
static bool is_identifier(const char *text, size_t length) {
  if (length == 0 || !is_letter(text[0])) {
    return false;
  }
  for (size_t i = 1; i < length; i++) {
    char c = text[i];
    if (!is_letter(c) && !(c >= '0' && c <= '9') && c != '$') {
      return false;
    }
  }
  return true;
}

/* Reads a part of a table's name of at most `max` bytes into `part`. `what` it is, for people. */
static evd_code table_name_part(const char *text, size_t length, size_t max, const char *what,
                                char part[EVD_ID_MAX], evd_error *error) {
  if (!is_identifier(text, length)) {
    return error_set(error, EVD_EINVAL, "table",
                     "table: the %s name is not an identifier (a letter or underscore, then "
                     "letters, digits, underscores or $)",
                     what);
  }
  if (length > max) {
    return error_set(error, EVD_EINVAL, "table", "table: the %s name has more than %zu bytes", what,
                     max);
  }
  memcpy(part, text, length);
  part[length] = '\0';
  return EVD_OK;
}

/* Reads a table's name, with or without a schema before a dot. */
evd_code table_name_parse(const char *text, struct table_name *name, evd_error *error) {
  *name = (struct table_name){0};
  if (text == NULL) {
    return error_set(error, EVD_EINVAL, "table", "table: the name is missing");
  }

  const char *dot = strchr(text, '.');
  if (dot != NULL) {
    evd_code code = table_name_part(text, (size_t)(dot - text), SCHEMA_NAME_MAX, "schema's",
                                    name->schema, error);
    if (code != EVD_OK) {
      return code;
    }
    text = dot + 1;
  }
  return table_name_part(text, strlen(text), TABLE_NAME_MAX, "table's", name->name, error);
}

/* Checks the schema; see sql.h. */
evd_code table_name_check(const struct table_name *name, const struct dialect *dialect,
                          evd_error *error) {
  if (!dialect->has_schemas && name->schema[0] != '\0' && strcasecmp(name->schema, "main") != 0) {
    return error_set(error, EVD_EINVAL, "table",
                     "table: an SQLite database has no schemas but \"main\"");
  }
  return EVD_OK;
}

struct quoted_table sql_quote_table(const struct dialect *dialect, const struct table_name *name) {
  struct quoted_table quoted = {.schema = ""};
  char quote = dialect->quote; /* which no part of a table's name has in it */
  if (name->schema[0] != '\0') {
    snprintf(quoted.schema, sizeof quoted.schema, "%c%s%c.", quote, name->schema, quote);
  }
  snprintf(quoted.bare, sizeof quoted.bare, "%c%s%c", quote, name->name, quote);
  snprintf(quoted.whole, sizeof quoted.whole, "%s%s", quoted.schema, quoted.bare);
  return quoted;
}

/* Appends a table's name, its schema before it where it has one. */
void sql_table(struct buffer *buffer, const struct dialect *dialect,
               const struct table_name *name) {
  struct quoted_table quoted = sql_quote_table(dialect, name);
  buffer_append(buffer, quoted.whole);
}

/* Appends an identifier in quotes; quotes in it (an index may have any name) are doubled. */
void sql_identifier(struct buffer *buffer, const struct dialect *dialect, const char *name) {
  const char quote[] = {dialect->quote, '\0'};
  buffer_append(buffer, quote);
  for (size_t plain; name[plain = strcspn(name, quote)] != '\0'; name += plain + 1) {
    buffer_append_bytes(buffer, name, plain + 1);
    buffer_append(buffer, quote);
  }
  buffer_append(buffer, name);
  buffer_append(buffer, quote);
}

/* Appends a boolean literal. */
void sql_bool(struct buffer *buffer, const struct dialect *dialect, bool value) {
  buffer_append(buffer, dialect->booleans[value]);
}

/* Appends the names of all columns. None is a reserved word in any dialect, so none is quoted. */
void sql_columns(struct buffer *buffer, const char *prefix) {
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (column > 0) {
      buffer_append(buffer, ", ");
    }
    buffer_append(buffer, prefix);
    buffer_append(buffer, columns[column].name);
  }
}

/* The parameters of a filter. */
static uint8_t filter_owner(const evd_filter *filter) {
  uint8_t executor_id = filter->executor_id != NULL ? FILTER_EXECUTOR_ID : 0;
  uint8_t started_at = filter->started_at != 0 ? FILTER_STARTED_AT : 0;
  return executor_id | started_at;
}

/* Makes the key; only what the operation's statements depend on is taken from the request. */
struct statement_key statement_key(const struct request *request, uint8_t part, uint32_t rows) {
  struct statement_key key;
  memset(&key, 0, sizeof key);
  key.operation = (uint8_t)request->operation;
  key.part = part;
  key.rows = rows;
  if (request->changes != NULL) {
    key.set = request->changes->set & ~request->changes->unset;
    key.unset = request->changes->unset;
    key.add = request->changes->add & key.set;
  }

  switch (request->operation) {
  case EVD_OPERATION_GET:
  case EVD_OPERATION_UPDATE:
  case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN:
    key.filter_status = (uint8_t)request->filter.status;
    key.filter_is_sleeping_task = (uint8_t)request->filter.is_sleeping_task;
    key.filter_is_finished = (uint8_t)request->filter.is_finished;
    key.filter_owner = filter_owner(&request->filter);
    break;
  case EVD_OPERATION_CLAIM_BY_START_AT:
    key.status = (uint8_t)request->status;
    key.by_tasks = request->task_id_count > 0 ? BY_TASKS_FILTER : BY_TASKS_ANY;
    break;
  case EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED:
    key.status = (uint8_t)request->status;
    key.by_tasks = request->task_id_count > 0 ? BY_TASKS_FILTER : BY_TASKS_ANY;
    key.ocfp_status = (uint8_t)request->ocfp_status;
    break;
  case EVD_OPERATION_CLAIM_BY_CLOSE_STATUS:
    key.close_status = (uint8_t)request->close_status;
    break;
  case EVD_OPERATION_EXPIRE_BY_EXPIRES_AT:
    key.status = (uint8_t)request->status;
    key.flag = request->flag ? 1 : 0;
    key.attempts_left = (uint8_t)request->attempts_left;
    break;
  case EVD_OPERATION_CLAIM_BY_CANCELLATION:
  case EVD_OPERATION_UPDATE_BY_PARENT: key.flag = request->flag ? 1 : 0; break;
  case EVD_OPERATION_CLOSE_FINISHED:
    key.flag = request->flag ? 1 : 0;
    key.close_status = (uint8_t)request->close_status;
    break;
  case EVD_OPERATION_INSERT:
  case EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID:
  case EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT:
  case EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT:
  case EVD_OPERATION_GET_BY_PARENT:
  case EVD_OPERATION_GET_TREE:
  case EVD_OPERATION_DELETE:
  case EVD_OPERATION_DELETE_ALL:
  case EVD_OPERATION_COUNT: break;
  }
  return key;
}

/* Appends "status = 'ready'". */
static void equals_status(struct buffer *buffer, uint8_t status) {
  buffer_printf(buffer, "status = '%s'", evd_status_name((evd_status)status));
}

/* Appends "close_status = 'ready'". */
static void equals_close_status(struct buffer *buffer, uint8_t status) {
  buffer_printf(buffer, "close_status = '%s'", evd_close_status_name((evd_close_status)status));
}

/* Appends "is_finished = 1", or the dialect's like. */
static void equals_bool(struct buffer *buffer, const struct dialect *dialect, evd_column column,
                        bool value) {
  buffer_append(buffer, columns[column].name);
  buffer_append(buffer, " = ");
  sql_bool(buffer, dialect, value);
}

/* Appends " and retry_attempts < maxAttempts + ?", or not below it, where it matters. */
static void has_attempts_left(struct buffer *buffer, const struct statement_key *key,
                              const struct selection_writer *writer) {
  if (key->attempts_left != EVD_ANY) {
    buffer_printf(buffer, " and retry_attempts %s %s + ",
                  key->attempts_left == EVD_YES ? "<" : ">=", writer->max_attempts);
    writer->parameter(buffer, SELECTION_EXTRA_ATTEMPTS, writer->data);
  }
}

/* Appends " and task_id ..." for a list of tasks. */
static void is_of_tasks(struct buffer *buffer, const struct statement_key *key,
                        const struct selection_writer *writer) {
  if (key->by_tasks == BY_TASKS_FILTER) {
    buffer_append(buffer, " and ");
    writer->task_ids(buffer, writer->data);
  }
}

/* The condition of a selecting operation; see sql.h for what is a parameter. */
void sql_selection(struct buffer *buffer, const struct dialect *dialect,
                   const struct statement_key *key, const struct selection_writer *writer) {
  switch ((evd_operation)key->operation) {
  case EVD_OPERATION_CLAIM_BY_START_AT:
    equals_status(buffer, key->status);
    buffer_append(buffer, " and start_at < ");
    writer->parameter(buffer, SELECTION_BEFORE, writer->data);
    is_of_tasks(buffer, key, writer);
    break;
  case EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED:
    equals_status(buffer, key->status);
    buffer_printf(buffer, " and on_children_finished_processing_status = '%s'",
                  evd_ocfp_status_name((evd_ocfp_status)key->ocfp_status));
    buffer_append(buffer, " and active_children_count = 0");
    is_of_tasks(buffer, key, writer);
    break;
  case EVD_OPERATION_CLAIM_BY_CLOSE_STATUS: equals_close_status(buffer, key->close_status); break;
  case EVD_OPERATION_EXPIRE_BY_EXPIRES_AT:
    equals_status(buffer, key->status);
    buffer_append(buffer, " and ");
    equals_bool(buffer, dialect, evd_column_is_sleeping_task, key->flag != 0);
    buffer_append(buffer, " and expires_at < ");
    writer->parameter(buffer, SELECTION_BEFORE, writer->data);
    has_attempts_left(buffer, key, writer);
    break;
  case EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT:
    buffer_append(buffer, "on_children_finished_processing_expires_at < ");
    writer->parameter(buffer, SELECTION_BEFORE, writer->data);
    break;
  case EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT:
    buffer_append(buffer, "close_expires_at < ");
    writer->parameter(buffer, SELECTION_BEFORE, writer->data);
    break;
  case EVD_OPERATION_CLAIM_BY_CANCELLATION:
    buffer_append(buffer, "executor_id = ");
    writer->parameter(buffer, SELECTION_ID, writer->data);
    buffer_append(buffer, " and ");
    equals_bool(buffer, dialect, evd_column_needs_promise_cancellation, key->flag != 0);
    break;
  case EVD_OPERATION_UPDATE_BY_PARENT:
    buffer_append(buffer, "parent_execution_id = ");
    writer->parameter(buffer, SELECTION_ID, writer->data);
    buffer_append(buffer, " and ");
    equals_bool(buffer, dialect, evd_column_is_finished, key->flag != 0);
    break;
  case EVD_OPERATION_CLOSE_FINISHED:
    equals_bool(buffer, dialect, evd_column_is_finished, key->flag != 0);
    buffer_append(buffer, " and ");
    equals_close_status(buffer, key->close_status);
    break;
  case EVD_OPERATION_INSERT:
  case EVD_OPERATION_GET:
  case EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID:
  case EVD_OPERATION_UPDATE:
  case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN:
  case EVD_OPERATION_GET_BY_PARENT:
  case EVD_OPERATION_GET_TREE:
  case EVD_OPERATION_DELETE:
  case EVD_OPERATION_DELETE_ALL:
  case EVD_OPERATION_COUNT: break;
  }
}

/* The column by which an operation takes its rows; EVD_COLUMN_COUNT for no order. */
evd_column sql_selection_order(evd_operation operation) {
  switch (operation) {
  case EVD_OPERATION_CLAIM_BY_START_AT: return evd_column_start_at;
  case EVD_OPERATION_EXPIRE_BY_EXPIRES_AT: return evd_column_expires_at;
  case EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT:
    return evd_column_on_children_finished_processing_expires_at;
  case EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT: return evd_column_close_expires_at;
  case EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED:
  case EVD_OPERATION_CLAIM_BY_CLOSE_STATUS:
  case EVD_OPERATION_CLAIM_BY_CANCELLATION:
  case EVD_OPERATION_CLOSE_FINISHED: return evd_column_updated_at;
  default: return EVD_COLUMN_COUNT;
  }
}
