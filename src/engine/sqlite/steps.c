/* Runs prepared statements. */
#include "engine/sqlite/steps.h"

#include "async/clock.h"
#include "engine/sqlite/errors.h"

/* The statement of a key. */
struct statement *sqlite_step_prepare(struct connection *connection,
                                      const struct statement_key *key, evd_error *error) {
  return sqlite_statements_get(&connection->statements, connection->db, &connection->table, key,
                               error);
}

/* Steps, and adds the time it took to the statement's where times are taken. */
static int step(struct connection *connection, struct statement *statement) {
  if (!connection->timing) {
    return sqlite3_step(statement->handle);
  }
  double start = clock_seconds();
  int result = sqlite3_step(statement->handle);
  statement->spent_ms += (clock_seconds() - start) * 1e3;
  return result;
}

/* Steps a reading statement. */
int sqlite_step_read(struct connection *connection, struct statement *statement, int result) {
  return result == SQLITE_OK ? step(connection, statement) : result;
}

/* Resets the statement and tells what `result` means. */
evd_code sqlite_step_end(struct connection *connection, struct statement *statement, int result,
                         evd_error *error) {
  evd_code code = EVD_OK;
  if (result != SQLITE_OK && result != SQLITE_DONE) {
    code = sqlite_error_set(error, connection->db, result,
                            evd_operation_name((evd_operation)statement->key.operation));
  }
  sqlite3_reset(statement->handle);
  return code;
}

/* Runs a writing statement. */
evd_code sqlite_step_write(struct connection *connection, struct statement *statement, int result,
                           int64_t *count, evd_error *error) {
  result = sqlite_step_read(connection, statement, result);
  if (result == SQLITE_DONE && count != NULL) {
    *count = sqlite3_changes64(connection->db);
  }
  return sqlite_step_end(connection, statement, result, error);
}
