/* The statement that inserts executions from a JSON array, for programs with connections of their
 * own. */
#include <evdurable/schema.h>

#include "model/columns.h"
#include "model/error.h"
#include "sql/dialect.h"
#include "sql/schema.h"
#include "sql/sql.h"
#include "sql/template.h"

/* What the statement is made from. */
struct writer {
  struct buffer *buffer;
  const struct dialect *dialect;
  bool framework_shape;
};

static enum json_kind_of_column kind_of(evd_column column) {
  switch (columns[column].type) {
  case COLUMN_COUNT32:
  case COLUMN_DURATION:
  case COLUMN_TIME: return JSON_COLUMN_INTEGER;
  case COLUMN_BOOL: return JSON_COLUMN_BOOL;
  case COLUMN_JSON: return JSON_COLUMN_ANY;
  case COLUMN_JSON_OBJECT:
  case COLUMN_JSON_ARRAY: return JSON_COLUMN_DOCUMENT;
  default: return JSON_COLUMN_TEXT;
  }
}

/* Appends one of the dialect's templates for a column. */
static void append_for(const struct writer *writer, const char *template, evd_column column) {
  const struct template_value values[] = {
      {"column", columns[column].name},
      {"key", columns[column].json_key},
      {"type", schema_type(writer->dialect, writer->framework_shape, columns[column].type)},
      {NULL, NULL}};
  template_append(writer->buffer, template, values);
}

static void append_value(const struct writer *writer, evd_column column) {
  append_for(writer, writer->dialect->json_rows.values[kind_of(column)], column);
}

/* Appends what a column holds whose key is missing and that may not be NULL: its default, or what
 * evd_execution_init() gives it. False: nothing. */
static bool append_missing(const struct writer *writer, evd_column column) {
  struct buffer *buffer = writer->buffer;
  switch (column) {
  case evd_column_retry_options: buffer_append(buffer, "'{\"maxAttempts\":0}'"); return true;
  case evd_column_timeout_ms: buffer_printf(buffer, "%d", EVD_TIMEOUT_DEFAULT_MS); return true;
  case evd_column_input: buffer_append(buffer, "'null'"); return true;
  case evd_column_status:
    buffer_printf(buffer, "'%s'", evd_status_name(EVD_STATUS_READY));
    return true;
  case evd_column_is_finished: sql_bool(buffer, writer->dialect, false); return true;
  case evd_column_start_at:
    buffer_printf(buffer, "%s + coalesce(", writer->dialect->json_rows.now);
    append_value(writer, evd_column_sleep_ms_before_run);
    buffer_append(buffer, ", 0)");
    return true;
  case evd_column_close_status:
    buffer_printf(buffer, "'%s'", evd_close_status_name(EVD_CLOSE_IDLE));
    return true;
  case evd_column_created_at:
  case evd_column_updated_at: buffer_append(buffer, writer->dialect->json_rows.now); return true;
  default: break;
  }
  const char *text = columns[column].default_text;
  if (text != NULL && columns[column].type == COLUMN_BOOL) {
    sql_bool(buffer, writer->dialect, text[0] == 't');
  } else if (text != NULL) {
    const char *quote = column_is_enum(column) ? "'" : "";
    buffer_printf(buffer, "%s%s%s", quote, text, quote);
  }
  return text != NULL;
}

/* Appends what is inserted into a column. */
static void append_column(const struct writer *writer, evd_column column) {
  struct buffer missing = {0};
  struct writer aside = *writer;
  aside.buffer = &missing;
  bool has_default = append_missing(&aside, column);
  buffer_append(writer->buffer, has_default ? "coalesce(" : "");
  append_value(writer, column);
  if (has_default) {
    buffer_printf(writer->buffer, ", %s)", missing.failed ? "" : missing.text);
  }
  writer->buffer->failed = writer->buffer->failed || missing.failed;
  buffer_free(&missing);
}

/* Appends "from ...". */
static void append_rows(const struct writer *writer) {
  const struct json_rows *rows = &writer->dialect->json_rows;
  buffer_append(writer->buffer, rows->begin);
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    const char *definition = rows->columns[kind_of((evd_column)column)];
    if (definition != NULL) {
      buffer_append(writer->buffer, ", ");
      append_for(writer, definition, (evd_column)column);
    }
  }
  buffer_append(writer->buffer, rows->end);
}

EVD_API char *evd_insert_sql(const char *engine, const evd_schema_options *options,
                             evd_error *error) {
  struct table_name table;
  struct buffer buffer = {0};
  struct writer writer = {.buffer = &buffer, .dialect = dialect_by_name(engine, error)};
  const char *name = options != NULL && options->table != NULL ? options->table : "task_executions";
  if (writer.dialect == NULL || table_name_parse(name, &table, error) != EVD_OK) {
    return NULL;
  }
  writer.framework_shape = options != NULL && options->framework_shape;
  buffer_append(&buffer, "insert into ");
  sql_table(&buffer, writer.dialect, &table);
  buffer_append(&buffer, " (");
  sql_columns(&buffer, "");
  buffer_append(&buffer, ") select ");
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    buffer_append(&buffer, column > 0 ? ", " : "");
    append_column(&writer, (evd_column)column);
  }
  append_rows(&writer);
  char *sql = buffer_take(&buffer);
  if (sql == NULL) {
    error_set_no_memory(error);
  }
  return sql;
}
