/* The definitions of the table and its indexes as SQL. */
#include "sql/schema.h"

#include <stdio.h>
#include <string.h>

#include "model/columns.h"
#include "model/error.h"

enum { INDEX_NAME_MAX = 63 };

/* Terms of partial indexes. */
#define TERM_IS(column, text) \
  { INDEX_TERM_EQUALS, evd_column_##column, text }
#define TERM_TRUE(column) \
  { INDEX_TERM_TRUE, evd_column_##column, NULL }
#define TERM_ZERO(column) \
  { INDEX_TERM_ZERO, evd_column_##column, NULL }
#define TERM_NOT_NULL(column) \
  { INDEX_TERM_NOT_NULL, evd_column_##column, NULL }

/* Our own indexes. Each serves what its comment names; a row is only in those of its present state,
 * so that inserting and updating touch few of them. No suffix begins another: MySQL takes the
 * beginning of an index's name in "force index" for the index. */
static const struct index_definition own_indexes[] = {
    /* get_by_sleeping_task_unique_id */
    {1,
     "sleeping_task_unique_id",
     true,
     1,
     {evd_column_sleeping_task_unique_id},
     {TERM_NOT_NULL(sleeping_task_unique_id)}},
    /* claim_by_start_at */
    {1, "ready", false, 1, {evd_column_start_at}, {TERM_IS(status, "ready")}},
    /* claim_by_children_finished */
    {1,
     "children_finished",
     false,
     1,
     {evd_column_updated_at},
     {TERM_IS(status, "waiting_for_children"),
      TERM_IS(on_children_finished_processing_status, "idle"), TERM_ZERO(active_children_count)}},
    /* claim_by_close_status */
    {1, "close_ready", false, 1, {evd_column_updated_at}, {TERM_IS(close_status, "ready")}},
    /* expire_by_expires_at */
    {1,
     "running",
     false,
     2,
     {evd_column_is_sleeping_task, evd_column_expires_at},
     {TERM_IS(status, "running")}},
    /* expire_by_ocfp_expires_at */
    {1,
     "ocfp_expires_at",
     false,
     1,
     {evd_column_on_children_finished_processing_expires_at},
     {TERM_NOT_NULL(on_children_finished_processing_expires_at)}},
    /* expire_by_close_expires_at */
    {1,
     "close_expires_at",
     false,
     1,
     {evd_column_close_expires_at},
     {TERM_NOT_NULL(close_expires_at)}},
    /* claim_by_cancellation */
    {1,
     "cancellation",
     false,
     2,
     {evd_column_executor_id, evd_column_updated_at},
     {TERM_TRUE(needs_promise_cancellation)}},
    /* get_by_parent, update_by_parent */
    {1, "parent", false, 1, {evd_column_parent_execution_id}, {TERM_NOT_NULL(parent_execution_id)}},
    /* close_finished */
    {1,
     "finished",
     false,
     1,
     {evd_column_updated_at},
     {TERM_TRUE(is_finished), TERM_IS(close_status, "idle")}},
    /* claim_by_start_at, of some tasks */
    {2,
     INDEX_BY_TASK,
     false,
     2,
     {evd_column_task_id, evd_column_start_at},
     {TERM_IS(status, "ready")}},
};

/* The framework's indexes, with its names. */
static const struct index_definition framework_indexes[] = {
    {1, "execution_id", true, 1, {evd_column_execution_id}, {{0}}},
    {1, "sleeping_task_unique_id", true, 1, {evd_column_sleeping_task_unique_id}, {{0}}},
    {1, "status_start_at", false, 2, {evd_column_status, evd_column_start_at}, {{0}}},
    {1,
     "status_ocfp_status_acc_updated_at",
     false,
     4,
     {evd_column_status, evd_column_on_children_finished_processing_status,
      evd_column_active_children_count, evd_column_updated_at},
     {{0}}},
    {1,
     "close_status_updated_at",
     false,
     2,
     {evd_column_close_status, evd_column_updated_at},
     {{0}}},
    {1,
     "status_is_sleeping_task_expires_at",
     false,
     3,
     {evd_column_status, evd_column_is_sleeping_task, evd_column_expires_at},
     {{0}}},
    {1,
     "on_ocfp_expires_at",
     false,
     1,
     {evd_column_on_children_finished_processing_expires_at},
     {{0}}},
    {1, "close_expires_at", false, 1, {evd_column_close_expires_at}, {{0}}},
    {1,
     "executor_id_npc_updated_at",
     false,
     3,
     {evd_column_executor_id, evd_column_needs_promise_cancellation, evd_column_updated_at},
     {{0}}},
    {1,
     "parent_execution_id_is_finished",
     false,
     2,
     {evd_column_parent_execution_id, evd_column_is_finished},
     {{0}}},
    {1,
     "is_finished_close_status_updated_at",
     false,
     3,
     {evd_column_is_finished, evd_column_close_status, evd_column_updated_at},
     {{0}}},
    /* Ours: the framework has no claims by tasks. */
    {2,
     INDEX_STATUS_TASK_START_AT,
     false,
     3,
     {evd_column_status, evd_column_task_id, evd_column_start_at},
     {{0}}},
};

/* The indexes of a shape. */
const struct index_definition *schema_indexes(bool framework_shape, size_t *count) {
  if (framework_shape) {
    *count = sizeof framework_indexes / sizeof framework_indexes[0];
    return framework_indexes;
  }
  *count = sizeof own_indexes / sizeof own_indexes[0];
  return own_indexes;
}

/* FNV-1a, 32 bits. */
static uint32_t name_hash(const char *name) {
  uint32_t hash = 2166136261U;
  for (; *name != '\0'; name++) {
    hash = (hash ^ (unsigned char)*name) * 16777619U;
  }
  return hash;
}

/* The name of an index or a constraint; see schema.h. */
void schema_index_name(struct buffer *buffer, const struct table_name *table, bool framework_shape,
                       const char *suffix) {
  const char *prefix = framework_shape ? "ix_" : "";
  size_t start = buffer->length;
  buffer_printf(buffer, "%s%s_%s", prefix, table->name, suffix);
  if (buffer->failed || buffer->length - start <= INDEX_NAME_MAX) {
    return;
  }

  char hash[16];
  int hash_length = snprintf(hash, sizeof hash, "_%08x_", name_hash(buffer->text + start));
  size_t fixed = strlen(prefix) + (size_t)hash_length + strlen(suffix);
  int kept = (int)(INDEX_NAME_MAX - fixed);
  buffer->length = start;
  buffer_printf(buffer, "%s%.*s%s%s", prefix, kept, table->name, hash, suffix);
}

/* Appends an index's quoted name. */
static void append_index_name(struct buffer *buffer, const struct dialect *dialect,
                              const struct table_name *table, bool framework_shape,
                              const char *suffix) {
  struct buffer name = {0};
  schema_index_name(&name, table, framework_shape, suffix);
  if (name.failed) {
    buffer->failed = true;
  } else {
    sql_identifier(buffer, dialect, name.text);
  }
  buffer_free(&name);
}

/* The type of a column's values; see schema.h. */
const char *schema_type(const struct dialect *dialect, bool framework_shape,
                        enum column_type type) {
  const char *framework_type = framework_shape ? dialect->framework_types[type] : NULL;
  return framework_type != NULL ? framework_type : dialect->types[type];
}

/* Appends a column's definition without its default. */
static void append_column(struct buffer *buffer, const struct dialect *dialect,
                          bool framework_shape, evd_column column) {
  buffer_printf(buffer, "%s %s", columns[column].name,
                schema_type(dialect, framework_shape, columns[column].type));
  if (columns[column].null == COLUMN_NOT_NULL) {
    buffer_append(buffer, " not null");
  }
}

/* Appends " default ...", if the column has one. */
static void append_default(struct buffer *buffer, evd_column column) {
  const char *text = columns[column].default_text;
  if (text != NULL) {
    const char *quote = column_is_text(column) || column_is_enum(column) ? "'" : "";
    buffer_printf(buffer, " default %s%s%s", quote, text, quote);
  }
}

/* One column as "create table" has it; see schema.h. */
void schema_column(struct buffer *buffer, const struct dialect *dialect, bool framework_shape,
                   evd_column column) {
  append_column(buffer, dialect, framework_shape, column);
  if (columns[column].since > 1) {
    append_default(buffer, column);
  }
}

/* Appends the lines of a version's columns, each after a new line, with commas between them. */
static void append_columns(struct buffer *buffer, const struct dialect *dialect,
                           bool framework_shape, int version) {
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    if (columns[i].since > version) {
      continue;
    }
    buffer_append(buffer, i > 0 ? ",\n  " : "\n  ");
    schema_column(buffer, dialect, framework_shape, (evd_column)i);
    if (i == evd_column_execution_id && !framework_shape) {
      buffer_append(buffer, " primary key");
    }
  }
}

/* The text of an enumeration's value; NULL past the last. */
static const char *enum_name(enum column_type type, int value) {
  switch (type) {
  case COLUMN_STATUS: return evd_status_name((evd_status)value);
  case COLUMN_OCFP_STATUS: return evd_ocfp_status_name((evd_ocfp_status)value);
  case COLUMN_CLOSE_STATUS: return evd_close_status_name((evd_close_status)value);
  default: return NULL;
  }
}

/* Appends "column in ('a', 'b')", with all values of an enumeration, or "column = 'a' or column =
 * 'b'". */
static void append_enum_check(struct buffer *buffer, const struct dialect *dialect,
                              const struct column *column) {
  bool list = !dialect->checks_by_or;
  for (int value = 1; enum_name(column->type, value) != NULL; value++) {
    if (value == 1 || !list) {
      buffer_printf(buffer, "%s%s%s", value > 1 ? " or " : "", column->name,
                    list ? " in (" : " = ");
    } else {
      buffer_append(buffer, ", ");
    }
    buffer_printf(buffer, "'%s'", enum_name(column->type, value));
  }
  buffer_append(buffer, list ? ")" : "");
}

/* Appends what keeps out what is not JSON. (Of NULL, json_valid() says that it is not valid.) */
static void append_json_check(struct buffer *buffer, const struct column *column) {
  if (column->null != COLUMN_NOT_NULL) {
    buffer_printf(buffer, "%s is null or ", column->name);
  }
  buffer_printf(buffer, "json_valid(%s)", column->name);
}

/* Whether our own shape has a constraint on a column: of an enumeration, and JSON where the type
 * does not say it. */
static bool has_check(const struct dialect *dialect, evd_column column) {
  return column_is_enum(column) || (dialect->checks_json && column_is_json(column));
}

/* Appends "constraint ... check (...)". */
static void append_check(struct buffer *buffer, const struct dialect *dialect,
                         const struct table_name *table, evd_column column) {
  buffer_append(buffer, "constraint ");
  if (dialect->checks_by_column) {
    sql_identifier(buffer, dialect, columns[column].name);
  } else {
    struct buffer suffix = {0};
    buffer_printf(&suffix, "%s_check", columns[column].name);
    buffer->failed = buffer->failed || suffix.failed;
    append_index_name(buffer, dialect, table, false, suffix.failed ? "" : suffix.text);
    buffer_free(&suffix);
  }
  buffer_append(buffer, " check (");
  if (column_is_json(column)) {
    append_json_check(buffer, &columns[column]);
  } else {
    append_enum_check(buffer, dialect, &columns[column]);
  }
  buffer_append(buffer, ")");
}

/* Appends the constraints of a version's columns. */
static void append_checks(struct buffer *buffer, const struct dialect *dialect,
                          const struct table_name *table, int version) {
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (columns[column].since <= version && has_check(dialect, (evd_column)column)) {
      buffer_append(buffer, ",\n  ");
      append_check(buffer, dialect, table, (evd_column)column);
    }
  }
}

/* A column that is added; see schema.h. */
void schema_add_column(struct buffer *buffer, const struct dialect *dialect,
                       const struct table_name *table, bool framework_shape, evd_column column) {
  bool required = columns[column].null == COLUMN_NOT_NULL && columns[column].default_text == NULL;
  buffer_append(buffer, "alter table ");
  sql_table(buffer, dialect, table);
  buffer_append(buffer, " add column ");
  append_column(buffer, dialect, framework_shape, column);
  append_default(buffer, column);
  buffer_append(buffer, required && dialect->adds_with_default ? " default 0" : "");
  if (!framework_shape && has_check(dialect, column)) {
    buffer_append(buffer, dialect->adds_check_inline ? " " : ", add ");
    append_check(buffer, dialect, table, column);
  }
}

/* An index's columns; see schema.h. */
void schema_index_columns(struct buffer *buffer, const struct dialect *dialect,
                          const struct index_definition *index) {
  const char *comma = "";
  for (size_t i = 0; !dialect->has_partial_indexes && i < INDEX_TERMS_MAX; i++) {
    const struct index_term *term = &index->terms[i];
    if (term->kind != INDEX_TERM_END && term->kind != INDEX_TERM_NOT_NULL) {
      buffer_printf(buffer, "%s%s", comma, columns[term->column].name);
      comma = ", ";
    }
  }
  for (size_t i = 0; i < index->column_count; i++) {
    buffer_printf(buffer, "%s%s", comma, columns[index->columns[i]].name);
    comma = ", ";
  }
}

/* Appends one term of a partial index's predicate. */
static void append_term(struct buffer *buffer, const struct dialect *dialect,
                        const struct index_term *term) {
  buffer_append(buffer, columns[term->column].name);
  switch (term->kind) {
  case INDEX_TERM_END: break;
  case INDEX_TERM_EQUALS: buffer_printf(buffer, " = '%s'", term->text); break;
  case INDEX_TERM_TRUE:
    buffer_append(buffer, " = ");
    sql_bool(buffer, dialect, true);
    break;
  case INDEX_TERM_ZERO: buffer_append(buffer, " = 0"); break;
  case INDEX_TERM_NOT_NULL: buffer_append(buffer, " is not null"); break;
  }
}

/* Appends " where ..." when the index is partial. */
static void append_predicate(struct buffer *buffer, const struct dialect *dialect,
                             const struct index_definition *index) {
  if (!dialect->has_partial_indexes) {
    return;
  }
  for (size_t i = 0; i < INDEX_TERMS_MAX && index->terms[i].kind != INDEX_TERM_END; i++) {
    buffer_append(buffer, i == 0 ? " where " : " and ");
    append_term(buffer, dialect, &index->terms[i]);
  }
}

/* Appends a version's indexes as lines of "create table". */
static void append_keys(struct buffer *buffer, const struct dialect *dialect,
                        const struct table_name *table, bool framework_shape, int version) {
  size_t count;
  const struct index_definition *indexes = schema_indexes(framework_shape, &count);
  for (size_t i = 0; i < count; i++) {
    if (indexes[i].since > version) {
      continue;
    }
    buffer_append(buffer, indexes[i].unique ? ",\n  unique key " : ",\n  key ");
    append_index_name(buffer, dialect, table, framework_shape, indexes[i].suffix);
    buffer_append(buffer, " (");
    schema_index_columns(buffer, dialect, &indexes[i]);
    buffer_append(buffer, ")");
  }
}

/* The statement that creates the table; see schema.h. */
void schema_create_table(struct buffer *buffer, const struct dialect *dialect,
                         const struct table_name *table, bool framework_shape, int version) {
  buffer_append(buffer, "create table if not exists ");
  sql_table(buffer, dialect, table);
  buffer_append(buffer, " (");
  if (framework_shape) {
    buffer_printf(buffer, "\n  %s,", dialect->framework_key);
  }
  append_columns(buffer, dialect, framework_shape, version);
  if (!framework_shape) {
    append_checks(buffer, dialect, table, version);
  }
  if (!dialect->creates_indexes_apart) {
    append_keys(buffer, dialect, table, framework_shape, version);
  }
  buffer_append(buffer, "\n)");
  buffer_append(buffer, framework_shape ? dialect->framework_options : dialect->table_options);
}

/* The statement that creates an index; see schema.h. */
void schema_create_index(struct buffer *buffer, const struct dialect *dialect,
                         const struct table_name *table, bool framework_shape,
                         const struct index_definition *index, bool concurrently) {
  buffer_append(buffer, index->unique ? "create unique index " : "create index ");
  if (concurrently && dialect->has_concurrent_indexes) {
    buffer_append(buffer, "concurrently ");
  }
  if (dialect->creates_indexes_apart) {
    buffer_append(buffer, "if not exists ");
  }

  struct table_name on = *table;
  if (dialect->index_has_schema && table->schema[0] != '\0') {
    sql_identifier(buffer, dialect, table->schema);
    buffer_append(buffer, ".");
    on.schema[0] = '\0';
  }
  append_index_name(buffer, dialect, table, framework_shape, index->suffix);
  buffer_append(buffer, " on ");
  sql_table(buffer, dialect, &on);
  buffer_append(buffer, " (");
  schema_index_columns(buffer, dialect, index);
  buffer_append(buffer, ")");
  append_predicate(buffer, dialect, index);
}

/* Says that the table is missing. */
evd_code schema_error_no_table(const struct table_name *table, evd_error *error) {
  return error_set(error, EVD_ESCHEMA, "table",
                   "there is no table %s%s%s; create it by opening with EVD_SCHEMA_CREATE or by "
                   "`evdurable migrate up`",
                   table->schema, table->schema[0] != '\0' ? "." : "", table->name);
}

/* Says which columns are missing, if any are. */
evd_code schema_check_columns(const struct table_name *table, uint64_t present, evd_error *error) {
  const char *first = NULL;
  struct buffer names = {0};
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if ((present & COLUMN_BIT(column)) == 0) {
      buffer_printf(&names, "%s%s", first != NULL ? ", " : "", columns[column].name);
      first = first != NULL ? first : columns[column].name;
    }
  }
  if (first == NULL) {
    return EVD_OK;
  }

  evd_code code = error_set(error, EVD_ESCHEMA, first,
                            "table %s%s%s lacks these columns; `evdurable migrate up` adds those "
                            "for which it knows a value: %s",
                            table->schema, table->schema[0] != '\0' ? "." : "", table->name,
                            names.failed ? first : names.text);
  buffer_free(&names);
  return code;
}
