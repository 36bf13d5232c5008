#include "sql/script.h"

#include "model/error.h"
#include "sql/schema.h"
#include "sql/strict.h"

void script_append(struct buffer *buffer, const struct dialect *dialect,
                   const struct table_name *table, const evd_schema_options *options) {
  bool framework_shape = options->framework_shape;
  size_t count;
  const struct index_definition *indexes = schema_indexes(framework_shape, &count);
  schema_create_table(buffer, dialect, table, framework_shape);
  buffer_append(buffer, ";\n");
  for (size_t i = 0; dialect->creates_indexes_apart && i < count; i++) {
    schema_create_index(buffer, dialect, table, framework_shape, &indexes[i],
                        options->concurrently);
    buffer_append(buffer, ";\n");
  }
  if (options->strict_transitions) {
    strict_create(buffer, dialect, table);
  }
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
  script_append(&buffer, dialect, &table, options);
  char *sql = buffer_take(&buffer);
  if (sql == NULL) {
    error_set_no_memory(error);
  }
  return sql;
}
