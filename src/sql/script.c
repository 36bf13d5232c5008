/* The schema and the migrations as scripts. */
#include "sql/script.h"

#include "model/columns.h"
#include "model/error.h"
#include "sql/schema.h"
#include "sql/strict.h"

/* Appends the statements of the indexes that migrations from `first` to `last` add. */
static void append_indexes(struct buffer *buffer, const struct dialect *dialect,
                           const struct table_name *table, const evd_schema_options *options,
                           int first, int last) {
  size_t count;
  const struct index_definition *indexes = schema_indexes(options->framework_shape, &count);
  for (size_t i = 0; i < count; i++) {
    if (indexes[i].since >= first && indexes[i].since <= last) {
      schema_create_index(buffer, dialect, table, options->framework_shape, &indexes[i],
                          options->concurrently);
      buffer_append(buffer, ";\n");
    }
  }
}

void script_create(struct buffer *buffer, const struct dialect *dialect,
                   const struct table_name *table, const evd_schema_options *options, int version) {
  schema_create_table(buffer, dialect, table, options->framework_shape, version);
  buffer_append(buffer, ";\n");
  if (dialect->creates_indexes_apart) {
    append_indexes(buffer, dialect, table, options, 1, version);
  }
  if (options->strict_transitions) {
    strict_create(buffer, dialect, table);
  }
}

void script_migrate(struct buffer *buffer, const struct dialect *dialect,
                    const struct table_name *table, const evd_schema_options *options, int number) {
  if (number == 1) {
    script_create(buffer, dialect, table, options, number);
    return;
  }
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (columns[column].since == number) {
      schema_add_column(buffer, dialect, table, options->framework_shape, (evd_column)column);
      buffer_append(buffer, ";\n");
    }
  }
  append_indexes(buffer, dialect, table, options, number, number);
}

EVD_API char *evd_schema_sql(const char *engine, const evd_schema_options *options,
                             evd_error *error) {
  const evd_schema_options defaults = {0};
  struct table_name table;
  if (options == NULL) {
    options = &defaults;
  }
  const char *name = options->table != NULL ? options->table : "task_executions";
  const struct dialect *dialect = dialect_by_name(engine, error);
  if (dialect == NULL || table_name_parse(name, &table, error) != EVD_OK) {
    return NULL;
  }
  struct buffer buffer = {0};
  script_create(&buffer, dialect, &table, options, SCHEMA_VERSION);
  char *sql = buffer_take(&buffer);
  if (sql == NULL) {
    error_set_no_memory(error);
  }
  return sql;
}
