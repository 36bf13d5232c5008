/* Creates the table, and finds out what its columns, indexes and character sets are. */
#include "engine/mysql/inspect.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/mysql/errors.h"
#include "model/columns.h"
#include "model/error.h"
#include "sql/schema.h"

enum { INDEX_COLUMNS_SEEN = 4, SERVER_NO_SUCH_TABLE = 1146, SERVER_NO_SUCH_DATABASE = 1049 };

/* An index, as far as it matters. */
struct index {
  char name[MYDB_NAME_SIZE];
  bool unique;
  bool usable;                            /* for whole values, by the optimizer */
  size_t count;                           /* of columns, more than are seen included */
  evd_column columns[INDEX_COLUMNS_SEEN]; /* EVD_COLUMN_COUNT: not one of ours */
};

/* An operation's wish for an index: these columns first, in any order, then its order. */
struct wish {
  evd_operation operation;
  bool by_task; /* a claim of one task */
  size_t equal_count;
  evd_column equal[3];
};

static const struct wish wishes[] = {
    {EVD_OPERATION_CLAIM_BY_START_AT, false, 1, {evd_column_status}},
    {EVD_OPERATION_CLAIM_BY_START_AT, true, 2, {evd_column_status, evd_column_task_id}},
    {EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED,
     false,
     3,
     {evd_column_status, evd_column_on_children_finished_processing_status,
      evd_column_active_children_count}},
    {EVD_OPERATION_CLAIM_BY_CLOSE_STATUS, false, 1, {evd_column_close_status}},
    {EVD_OPERATION_EXPIRE_BY_EXPIRES_AT,
     false,
     2,
     {evd_column_status, evd_column_is_sleeping_task}},
    {EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT, false, 0, {0}},
    {EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT, false, 0, {0}},
    {EVD_OPERATION_CLAIM_BY_CANCELLATION,
     false,
     2,
     {evd_column_executor_id, evd_column_needs_promise_cancellation}},
    {EVD_OPERATION_GET_BY_PARENT, false, 1, {evd_column_parent_execution_id}},
    {EVD_OPERATION_CLOSE_FINISHED, false, 2, {evd_column_is_finished, evd_column_close_status}},
};

/* Runs a statement; its result, if it has one, in *result for mysql_free_result(). */
static evd_code run(MYSQL *mysql, const struct buffer *sql, MYSQL_RES **result, evd_error *error) {
  *result = NULL;
  if (sql->failed) {
    return error_set_no_memory(error);
  }
  if (mysql_real_query(mysql, sql->text, sql->length) == 0) {
    *result = mysql_store_result(mysql);
    if (*result != NULL || mysql_errno(mysql) == 0) {
      return EVD_OK;
    }
  }
  mydb_errors_fill(mysql_errno(mysql), mysql_error(mysql), NULL, error);
  return error->code;
}

/* Creates the table and its indexes, unless another has done so meanwhile. */
static evd_code create(MYSQL *mysql, const struct table_name *name, evd_error *error) {
  struct buffer sql = {0};
  MYSQL_RES *result;
  schema_create_table(&sql, &dialect_mysql, name, false, SCHEMA_VERSION);
  evd_code code = run(mysql, &sql, &result, error);
  mysql_free_result(result);
  buffer_free(&sql);
  return code;
}

/* Sends "<what> t". */
static evd_code show(MYSQL *mysql, const char *what, const struct table_name *name,
                     MYSQL_RES **result, evd_error *error) {
  struct buffer sql = {0};
  buffer_append(&sql, what);
  sql_table(&sql, &dialect_mysql, name);
  evd_code code = run(mysql, &sql, result, error);
  buffer_free(&sql);
  unsigned number = mysql_errno(mysql);
  if (code != EVD_OK && (number == SERVER_NO_SUCH_TABLE || number == SERVER_NO_SUCH_DATABASE)) {
    return schema_error_no_table(name, error);
  }
  return code;
}

/* How a column compares, by its collation; NULL for none (a binary string, or no string). */
static enum mydb_comparison comparison_of(const char *collation) {
  if (collation == NULL) {
    return MYDB_COMPARES_BYTES;
  }
  bool is_wide = strncmp(collation, "utf8mb4_", strlen("utf8mb4_")) == 0;
  if ((is_wide && strstr(collation, "nopad_bin") != NULL) ||
      strcmp(collation, "utf8mb4_0900_bin") == 0) {
    return MYDB_COMPARES_BYTES;
  }
  size_t length = strlen(collation);
  bool binary = length > 4 && strcmp(collation + length - 4, "_bin") == 0;
  return binary ? MYDB_COMPARES_PADDED : MYDB_COMPARES_LOOSELY;
}

static bool is_looked_up(evd_column column) {
  return column == evd_column_execution_id || column == evd_column_parent_execution_id ||
         column == evd_column_executor_id || column == evd_column_sleeping_task_unique_id ||
         column == evd_column_task_id;
}

/* The columns of "show full columns": field, type, collation, null, key, default, extra. */
enum {
  SHOWN_FIELD,
  SHOWN_TYPE,
  SHOWN_COLLATION,
  SHOWN_NULL,
  SHOWN_KEY,
  SHOWN_DEFAULT,
  SHOWN_EXTRA
};

/* Reads which columns there are, and how ids compare. */
static evd_code read_columns(MYSQL *mysql, evd_schema_mode mode, struct mydb_table *table,
                             evd_error *error) {
  MYSQL_RES *result;
  evd_code code = show(mysql, "show full columns from ", &table->name, &result, error);
  if (code != EVD_OK) {
    return code;
  }
  uint64_t present = 0;
  enum mydb_comparison loosest = MYDB_COMPARES_BYTES;
  MYSQL_ROW row;
  while (code == EVD_OK && (row = mysql_fetch_row(result)) != NULL) {
    evd_column column = column_from_name(row[SHOWN_FIELD]);
    if (column != EVD_COLUMN_COUNT) {
      present |= COLUMN_BIT(column);
      enum mydb_comparison comparison = comparison_of(row[SHOWN_COLLATION]);
      if (is_looked_up(column)) {
        loosest = comparison > loosest ? comparison : loosest;
        table->charsets[column] = mydb_charset_of(row[SHOWN_COLLATION]);
      }
    } else if (mode != EVD_SCHEMA_SKIP && strcmp(row[SHOWN_NULL], "NO") == 0 &&
               row[SHOWN_DEFAULT] == NULL && row[SHOWN_EXTRA][0] == '\0') {
      code = error_set(error, EVD_ESCHEMA, row[SHOWN_FIELD],
                       "table %s: column %s is not null and has no default, so nothing can be "
                       "inserted; give it a default",
                       table->name.name, row[SHOWN_FIELD]);
    }
  }
  mysql_free_result(result);
  table->comparison = loosest;
  if (code == EVD_OK && mode != EVD_SCHEMA_SKIP) {
    code = schema_check_columns(&table->name, present, error);
  }
  return code;
}

/* Whether an index begins with what an operation selects and orders by. */
static bool serves(const struct index *index, const struct wish *wish) {
  for (size_t i = 0; i < wish->equal_count; i++) {
    bool found = false;
    for (size_t j = 0; j < wish->equal_count && j < index->count; j++) {
      found = found || index->columns[j] == wish->equal[i];
    }
    if (!found) {
      return false;
    }
  }
  evd_column order = sql_selection_order(wish->operation);
  return order == EVD_COLUMN_COUNT ||
         (index->count > wish->equal_count && index->columns[wish->equal_count] == order);
}

/* Keeps an index's name; the first one stays. */
static void keep_name(char *kept, const struct index *index) {
  if (kept[0] == '\0') {
    memcpy(kept, index->name, sizeof index->name);
  }
}

/* Keeps an index for what it is good for. Whether it makes a column unique does not depend on its
 * being usable. */
static void keep_index(struct mydb_table *table, const struct index *index, uint64_t *unique) {
  evd_column alone = index->unique && index->count == 1 ? index->columns[0] : EVD_COLUMN_COUNT;
  if (alone != EVD_COLUMN_COUNT) {
    *unique |= COLUMN_BIT(alone);
  }
  if (!index->usable) {
    return;
  }
  if (alone == evd_column_execution_id) {
    keep_name(table->id_index, index);
  }
  if (alone == evd_column_sleeping_task_unique_id) {
    keep_name(table->unique_id_index, index);
  }
  for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
    if (serves(index, &wishes[i])) {
      keep_name(wishes[i].by_task ? table->task_index : table->selection_index[wishes[i].operation],
                index);
    }
  }
}

/* The columns of "show index", as far as they matter; the one after the comments is Ignored on
 * MariaDB and Visible on MySQL. */
enum {
  INDEX_NON_UNIQUE = 1,
  INDEX_NAME,
  INDEX_SEQUENCE,
  INDEX_COLUMN,
  INDEX_PREFIX = 7,
  INDEX_TYPE = 10,
  INDEX_HIDDEN = 13
};

/* Whether the optimizer may use an index that this row is about, also for an order. */
static bool is_usable(MYSQL_RES *result, MYSQL_ROW row) {
  if (row[INDEX_TYPE] == NULL || strcmp(row[INDEX_TYPE], "BTREE") != 0) {
    return false;
  }
  if (mysql_num_fields(result) <= INDEX_HIDDEN || row[INDEX_HIDDEN] == NULL) {
    return true;
  }
  const MYSQL_FIELD *field = mysql_fetch_field_direct(result, INDEX_HIDDEN);
  bool ignored = strcasecmp(field->name, "Ignored") == 0;
  return strcmp(row[INDEX_HIDDEN], ignored ? "NO" : "YES") == 0;
}

/* Adds what one row of "show index" says to an index; a part of a column is none of ours. */
static void add_index_column(struct index *index, MYSQL_ROW row) {
  bool whole = row[INDEX_COLUMN] != NULL && row[INDEX_PREFIX] == NULL;
  if (index->count < INDEX_COLUMNS_SEEN) {
    index->columns[index->count] = whole ? column_from_name(row[INDEX_COLUMN]) : EVD_COLUMN_COUNT;
  }
  index->count++;
}

/* Whether the ids that must be unique are. */
static evd_code check_unique(const struct mydb_table *table, uint64_t unique, evd_error *error) {
  static const evd_column ids[] = {evd_column_execution_id, evd_column_sleeping_task_unique_id};
  for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
    const char *name = columns[ids[i]].name;
    if ((unique & COLUMN_BIT(ids[i])) == 0) {
      return error_set(error, EVD_ESCHEMA, name,
                       "table %s: %s is not unique; add a unique index on it", table->name.name,
                       name);
    }
  }
  return EVD_OK;
}

/* Reads which indexes there are. */
static evd_code read_indexes(MYSQL *mysql, evd_schema_mode mode, struct mydb_table *table,
                             evd_error *error) {
  MYSQL_RES *result;
  evd_code code = show(mysql, "show index from ", &table->name, &result, error);
  if (code != EVD_OK) {
    return code;
  }
  struct index index = {0};
  uint64_t unique = 0;
  MYSQL_ROW row;
  while ((row = mysql_fetch_row(result)) != NULL) {
    if (strcmp(row[INDEX_SEQUENCE], "1") == 0) {
      keep_index(table, &index, &unique);
      index = (struct index){.unique = strcmp(row[INDEX_NON_UNIQUE], "0") == 0,
                             .usable = is_usable(result, row)};
      strncpy(index.name, row[INDEX_NAME], sizeof index.name - 1);
    }
    add_index_column(&index, row);
  }
  keep_index(table, &index, &unique);
  mysql_free_result(result);
  return mode != EVD_SCHEMA_SKIP ? check_unique(table, unique, error) : EVD_OK;
}

evd_code mydb_inspect(MYSQL *mysql, evd_schema_mode mode, struct mydb_table *table,
                      evd_error *error) {
  table->comparison = MYDB_COMPARES_LOOSELY; /* the safe one, when it cannot be read */
  evd_code code = read_columns(mysql, mode, table, error);
  if (mode == EVD_SCHEMA_CREATE && code != EVD_OK && mysql_errno(mysql) == SERVER_NO_SUCH_TABLE) {
    code = create(mysql, &table->name, error);
    if (code == EVD_OK) {
      code = read_columns(mysql, mode, table, error);
    }
  }
  if (code == EVD_OK) {
    code = read_indexes(mysql, mode, table, error);
  }
  if (mode == EVD_SCHEMA_SKIP && code == EVD_ESCHEMA) {
    table->stale = true;
    return EVD_OK;
  }
  return code;
}
