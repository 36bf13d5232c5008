/* The connection to the file, and its settings. */
#include "engine/sqlite/connection.h"

#include "engine/sqlite/errors.h"
#include "model/error.h"

/* Runs a statement; see connection.h. */
evd_code sqlite_connection_execute(struct connection *connection, const char *sql,
                                   evd_error *error) {
  int result = sqlite3_exec(connection->db, sql, NULL, NULL, NULL);
  return result == SQLITE_OK ? EVD_OK : sqlite_error_set(error, connection->db, result, sql);
}

/* Closes the database. */
void sqlite_connection_close(struct connection *connection) {
  sqlite_statements_free(&connection->statements);
  sqlite3_finalize(connection->begin_read);
  sqlite3_finalize(connection->begin_write);
  sqlite3_finalize(connection->commit);
  connection->begin_read = connection->begin_write = connection->commit = NULL;
  sqlite3_close(connection->db);
  connection->db = NULL;
}

/* Runs a prepared statement that gives no rows. */
static int run(sqlite3_stmt *statement) {
  int result = sqlite3_step(statement);
  int reset = sqlite3_reset(statement);
  return result == SQLITE_DONE ? SQLITE_OK : reset;
}

/* Begins a transaction. */
evd_code sqlite_connection_begin(struct connection *connection, bool write, evd_error *error) {
  int result = run(write ? connection->begin_write : connection->begin_read);
  return result == SQLITE_OK ? EVD_OK : sqlite_error_set(error, connection->db, result, "begin");
}

/* Whether a commit that failed like this may be found on the disk after all. */
static bool is_in_doubt(int result) {
  return (result & 0xff) == SQLITE_IOERR;
}

/* Commits. */
evd_code sqlite_connection_commit(struct connection *connection, evd_error *error) {
  int result = run(connection->commit);
  if (result == SQLITE_OK) {
    return EVD_OK;
  }
  evd_code code = sqlite_error_set(error, connection->db, result, "commit");
  error->outcome = is_in_doubt(result) ? EVD_OUTCOME_UNKNOWN : EVD_OUTCOME_NOT_APPLIED;
  sqlite_connection_rollback(connection);
  return code;
}

/* Rolls back. SQLite has done that itself after some errors. */
void sqlite_connection_rollback(struct connection *connection) {
  sqlite_statements_reset(&connection->statements);
  if (sqlite3_get_autocommit(connection->db) == 0) {
    sqlite3_exec(connection->db, "rollback", NULL, NULL, NULL);
  }
}

/* Looks whether the file was deleted, moved or replaced. */
evd_code sqlite_connection_check_file(struct connection *connection, evd_error *error) {
  int moved = 0;
  int result = sqlite3_file_control(connection->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  if (result != SQLITE_OK || moved == 0) {
    return EVD_OK;
  }
  error_set(error, EVD_EDATABASE, "",
            "the database's file %s was deleted, moved or replaced since it was opened; open the "
            "storage again",
            connection->url.name);
  error_set_native(error, sqlite_error_name(SQLITE_READONLY_DBMOVED));
  return EVD_EDATABASE;
}
