/* Creates the table, and checks its columns and indexes. */
#include "engine/sqlite/table.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "engine/sqlite/errors.h"
#include "model/columns.h"
#include "model/error.h"
#include "sql/schema.h"
#include "sql/script.h"

/* What there is under the table's name. */
struct shape {
  bool exists;
  bool is_table;    /* and no view or virtual table */
  bool has_rowid;   /* rows are claimed by it */
  bool has_id;      /* the framework's key column */
  uint64_t present; /* bits of the columns there are */
  uint64_t unique;  /* bits of those that have a unique index */
  char foreign[64]; /* a column that is not ours and must not be NULL; "" for none */
};

/* Prepares a query whose parameters are all the table's name. */
static sqlite3_stmt *query(struct connection *connection, const char *sql, evd_error *error) {
  sqlite3_stmt *statement;
  int result = sqlite3_prepare_v2(connection->db, sql, -1, &statement, NULL);
  if (result == SQLITE_OK) {
    result = sqlite3_bind_text(statement, 1, connection->table.name, -1, SQLITE_STATIC);
  }
  if (result != SQLITE_OK) {
    sqlite_error_set(error, connection->db, result, "reading the schema");
    sqlite3_finalize(statement);
    return NULL;
  }
  return statement;
}

/* Ends a query; EVD_OK when it was read to its end or left early without an error. */
static evd_code finish(struct connection *connection, sqlite3_stmt *statement, evd_error *error) {
  int result = sqlite3_finalize(statement);
  return result == SQLITE_OK
             ? EVD_OK
             : sqlite_error_set(error, connection->db, result, "reading the schema");
}

/* Reads what kind of table it is. */
static evd_code read_kind(struct connection *connection, struct shape *shape, evd_error *error) {
  sqlite3_stmt *statement = query(connection,
                                  "select type = 'table', wr = 0 from pragma_table_list "
                                  "where schema = 'main' and name = ? collate nocase",
                                  error);
  if (statement == NULL) {
    return error->code;
  }
  if (sqlite3_step(statement) == SQLITE_ROW) {
    shape->exists = true;
    shape->is_table = sqlite3_column_int(statement, 0) != 0;
    shape->has_rowid = sqlite3_column_int(statement, 1) != 0;
  }
  return finish(connection, statement, error);
}

/* Reads which columns it has. */
static evd_code read_columns(struct connection *connection, struct shape *shape, evd_error *error) {
  sqlite3_stmt *statement =
      query(connection,
            "select lower(name), \"notnull\" and dflt_value is null and pk = 0 "
            "from pragma_table_info(?, 'main')",
            error);
  if (statement == NULL) {
    return error->code;
  }
  while (sqlite3_step(statement) == SQLITE_ROW) {
    const char *name = (const char *)sqlite3_column_text(statement, 0);
    evd_column column = name != NULL ? column_from_name(name) : EVD_COLUMN_COUNT;
    if (column != EVD_COLUMN_COUNT) {
      shape->present |= COLUMN_BIT(column);
    } else if (name != NULL && strcmp(name, "id") == 0) {
      shape->has_id = true;
    } else if (name != NULL && sqlite3_column_int(statement, 1) != 0) {
      snprintf(shape->foreign, sizeof shape->foreign, "%s", name);
    }
  }
  return finish(connection, statement, error);
}

/* Whether SQL ends in this, whatever its case, spaces, quotes and brackets. */
static bool ends_in(const char *sql, const char *end) {
  size_t at = strlen(sql);
  for (size_t left = strlen(end); left > 0; left--) {
    while (at > 0 && !isalnum((unsigned char)sql[at - 1]) && sql[at - 1] != '_') {
      at--;
    }
    if (at == 0 || tolower((unsigned char)sql[--at]) != end[left - 1]) {
      return false;
    }
  }
  return true;
}

/* Whether the SQL of a partial index leaves out only the rows in which the column is NULL. */
static bool is_where_not_null(const char *sql, const char *column) {
  char end[128];
  snprintf(end, sizeof end, "where%sisnotnull", column);
  bool is = ends_in(sql, end);
  snprintf(end, sizeof end, "where%snotnull", column);
  return is || ends_in(sql, end);
}

/* Reads which columns the database itself keeps unique: by an index of that column alone. What a
 * partial index leaves out stands only in its SQL. */
static evd_code read_uniqueness(struct connection *connection, struct shape *shape,
                                evd_error *error) {
  sqlite3_stmt *statement =
      query(connection,
            "select (select case count(*) when 1 then max(lower(i.name)) end"
            " from pragma_index_info(l.name, 'main') as i), "
            "case when l.partial then (select s.sql from main.sqlite_schema as s"
            " where s.type = 'index' and s.name = l.name) end "
            "from pragma_index_list(?, 'main') as l where l.\"unique\"",
            error);
  if (statement == NULL) {
    return error->code;
  }
  while (sqlite3_step(statement) == SQLITE_ROW) {
    const char *name = (const char *)sqlite3_column_text(statement, 0);
    const char *partial = (const char *)sqlite3_column_text(statement, 1);
    if (name != NULL && (partial == NULL || is_where_not_null(partial, name))) {
      evd_column column = column_from_name(name);
      shape->unique |= column != EVD_COLUMN_COUNT ? COLUMN_BIT(column) : 0;
    }
  }
  return finish(connection, statement, error);
}

/* Reads the table's shape. */
static evd_code read_shape(struct connection *connection, struct shape *shape, evd_error *error) {
  *shape = (struct shape){0};
  evd_code code = read_kind(connection, shape, error);
  if (code == EVD_OK && shape->exists) {
    code = read_columns(connection, shape, error);
  }
  if (code == EVD_OK && shape->exists) {
    code = read_uniqueness(connection, shape, error);
  }
  return code;
}

/* Says what is wrong with the table, but for its indexes: those are easily added, all else is a
 * migration's work. */
static evd_code check_columns(struct connection *connection, const struct shape *shape,
                              evd_error *error) {
  const char *name = connection->table.name;
  evd_code code = schema_check_columns(&connection->table, shape->present, error);
  if (code != EVD_OK) {
    return code;
  }
  if (!shape->is_table || !shape->has_rowid) {
    return error_set(error, EVD_ESCHEMA, "table",
                     "%s is not an ordinary table: views, virtual tables and tables WITHOUT ROWID "
                     "are not supported",
                     name);
  }
  if (shape->foreign[0] != '\0') {
    return error_set(error, EVD_ESCHEMA, shape->foreign,
                     "table %s has a column %s that is not an execution's and has no default", name,
                     shape->foreign);
  }
  return EVD_OK;
}

/* Says what the table lacks. */
static evd_code check_shape(struct connection *connection, const struct shape *shape,
                            evd_error *error) {
  static const evd_column unique[] = {evd_column_execution_id, evd_column_sleeping_task_unique_id};
  if (!shape->exists) {
    return schema_error_no_table(&connection->table, error);
  }
  evd_code code = check_columns(connection, shape, error);
  if (code != EVD_OK) {
    return code;
  }
  for (size_t i = 0; i < sizeof unique / sizeof unique[0]; i++) {
    const char *column = columns[unique[i]].name;
    if ((shape->unique & COLUMN_BIT(unique[i])) == 0) {
      return error_set(error, EVD_ESCHEMA, column,
                       "table %s has no unique index on %s; add it by `evdurable migrate up`",
                       connection->table.name, column);
    }
  }
  return EVD_OK;
}

/* Creates the table and its indexes where they are missing. Called in a transaction. */
static evd_code create_missing(struct connection *connection, evd_error *error) {
  struct shape shape;
  evd_code code = read_shape(connection, &shape, error);
  if (code != EVD_OK) {
    return code;
  }
  if (shape.exists && check_columns(connection, &shape, error) != EVD_OK) {
    return error->code;
  }

  const evd_schema_options options = {.framework_shape = shape.has_id};
  struct buffer sql = {0};
  script_create(&sql, &dialect_sqlite, &connection->table, &options, SCHEMA_VERSION);
  int result = sql.failed ? SQLITE_NOMEM : sqlite3_exec(connection->db, sql.text, NULL, NULL, NULL);
  buffer_free(&sql);
  return result == SQLITE_OK
             ? EVD_OK
             : sqlite_error_set(error, connection->db, result, "creating the table");
}

/* Creates what is missing, in one transaction: whoever opens at the same time waits. */
static evd_code create(struct connection *connection, evd_error *error) {
  evd_code code = sqlite_connection_execute(connection, "begin immediate", error);
  if (code == EVD_OK) {
    code = create_missing(connection, error);
  }
  if (code == EVD_OK) {
    code = sqlite_connection_execute(connection, "commit", error);
  }
  if (code != EVD_OK) {
    sqlite_connection_rollback(connection);
  }
  return code;
}

/* Finds out whether there is an index for claims by tasks. */
static evd_code read_task_index(struct connection *connection, evd_error *error) {
  struct buffer names = {0};
  schema_index_name(&names, &connection->table, false, INDEX_BY_TASK);
  buffer_append(&names, "', '");
  schema_index_name(&names, &connection->table, true, INDEX_STATUS_TASK_START_AT);
  struct buffer sql = {0};
  buffer_printf(&sql,
                "select 1 from main.sqlite_schema where type = 'index' and tbl_name = ? collate "
                "nocase and name collate nocase in ('%s')",
                names.failed ? "" : names.text);
  bool failed = names.failed || sql.failed;
  sqlite3_stmt *statement = failed ? NULL : query(connection, sql.text, error);
  buffer_free(&names);
  buffer_free(&sql);
  if (statement == NULL) {
    return failed ? error_set_no_memory(error) : error->code;
  }
  connection->has_task_index = sqlite3_step(statement) == SQLITE_ROW;
  return finish(connection, statement, error);
}

/* Creates or checks the table; see table.h. */
evd_code sqlite_table_prepare(struct connection *connection, evd_error *error) {
  evd_code code = EVD_OK;
  if (connection->schema == EVD_SCHEMA_CREATE) {
    code = create(connection, error);
  }
  if (code == EVD_OK && connection->schema != EVD_SCHEMA_SKIP) {
    struct shape shape;
    code = read_shape(connection, &shape, error);
    code = code == EVD_OK ? check_shape(connection, &shape, error) : code;
  }
  return code == EVD_OK ? read_task_index(connection, error) : code;
}
