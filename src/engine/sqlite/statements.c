/* Without memory an element is not added, and the program goes on. */

#include "engine/sqlite/statements.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "engine/sqlite/errors.h"
#include "model/error.h"
#include "sql/sqlite.h"

static void free_statement(struct statement *statement) {
  sqlite3_finalize(statement->handle);
  free(statement);
}

/* Forgets a statement. */
static void drop(struct statements *statements, struct statement *statement) {
  HASH_DEL(statements->by_key, statement);
  DL_DELETE(statements->recent, statement);
  statements->count--;
  free_statement(statement);
}

/* Prepares the statement of a key. */
static sqlite3_stmt *prepare(sqlite3 *db, const struct table_name *table,
                             const struct statement_key *key, evd_error *error) {
  struct buffer sql = {0};
  sqlite_statement(&sql, table, key);
  if (sql.failed) {
    buffer_free(&sql);
    error_set_no_memory(error);
    return NULL;
  }

  sqlite3_stmt *handle = NULL;
  int result = sqlite3_prepare_v3(db, sql.text, (int)sql.length + 1, SQLITE_PREPARE_PERSISTENT,
                                  &handle, NULL);
  if (result != SQLITE_OK) {
    sqlite_error_set(error, db, result, evd_operation_name((evd_operation)key->operation));
  }
  buffer_free(&sql);
  return handle;
}

/* Prepares and keeps a statement. */
static struct statement *add(struct statements *statements, sqlite3 *db,
                             const struct table_name *table, const struct statement_key *key,
                             evd_error *error) {
  sqlite3_stmt *handle = prepare(db, table, key, error);
  if (handle == NULL) {
    return NULL;
  }
  if (statements->count == STATEMENTS_MAX) {
    drop(statements, statements->recent->prev); /* the list's last */
  }

  struct statement *statement = calloc(1, sizeof *statement);
  if (statement != NULL) {
    statement->key = *key;
    statement->handle = handle;
    HASH_ADD(hh, statements->by_key, key, sizeof statement->key, statement);
  }
  if (statement == NULL || statement->hh.tbl == NULL) {
    sqlite3_finalize(handle);
    free(statement);
    error_set_no_memory(error);
    return NULL;
  }

  DL_PREPEND(statements->recent, statement);
  statements->count++;
  return statement;
}

/* The statement of a key; see statements.h. */
struct statement *sqlite_statements_get(struct statements *statements, sqlite3 *db,
                                        const struct table_name *table,
                                        const struct statement_key *key, evd_error *error) {
  struct statement *statement = statements->recent;
  if (statement != NULL && memcmp(&statement->key, key, sizeof *key) == 0) {
    return statement; /* one batch mostly has one kind of statement */
  }

  HASH_FIND(hh, statements->by_key, key, sizeof *key, statement);
  if (statement == NULL) {
    return add(statements, db, table, key, error);
  }
  DL_DELETE(statements->recent, statement);
  DL_PREPEND(statements->recent, statement);
  return statement;
}

/* Resets all statements. */
void sqlite_statements_reset(struct statements *statements) {
  struct statement *statement;
  DL_FOREACH (statements->recent, statement) {
    sqlite3_reset(statement->handle);
  }
}

/* Forgets all statements. */
void sqlite_statements_free(struct statements *statements) {
  HASH_CLEAR(hh, statements->by_key);
  struct statement *statement;
  struct statement *next;
  DL_FOREACH_SAFE (statements->recent, statement, next) {
    free_statement(statement);
  }
  *statements = (struct statements){0};
}
