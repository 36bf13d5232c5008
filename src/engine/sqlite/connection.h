/*
 * The connection to a database. Everything here may block: the worker's thread only.
 */
#ifndef ENGINE_SQLITE_CONNECTION_H
#define ENGINE_SQLITE_CONNECTION_H

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <evdurable/error.h>
#include <evdurable/storage.h>

#include "engine/sqlite/statements.h"
#include "engine/sqlite/url.h"
#include "sql/sql.h"

struct connection {
  /* Set before it is opened, by its owner. */
  struct sqlite_url url; /* owned */
  struct table_name table;
  evd_schema_mode schema;
  bool test_mode;
  const atomic_bool *aborting; /* nothing shall wait any more */
  int64_t batch_patience_ms;   /* how long a batch waits for another's lock */

  /* While it is open. */
  sqlite3 *db;
  sqlite3_stmt *begin_read;
  sqlite3_stmt *begin_write;
  sqlite3_stmt *commit;
  struct statements statements;
  bool has_task_index;       /* the table has the index for claims by tasks */
  bool timing;               /* statements note the time that they take */
  struct left_out *left_out; /* of the batch at work */
  int64_t patience_ms;       /* how long to wait for another's lock: longer while it is opened */
  double busy_since;         /* when the present wait for a lock began */
  char warning[256];         /* what opening has to tell people; "" for nothing */
};

/* Closes it, if it is open. The url is left to the owner. */
void sqlite_connection_close(struct connection *connection);

/* Begins a transaction: one that reads, or one that holds the write lock from now on. */
evd_code sqlite_connection_begin(struct connection *connection, bool write, evd_error *error);

/* Commits. When that fails, the transaction is rolled back; the error's outcome is unknown if the
 * disk failed while the commit was being made durable. */
evd_code sqlite_connection_commit(struct connection *connection, evd_error *error);

/* Rolls back, if there is a transaction, and resets all statements. */
void sqlite_connection_rollback(struct connection *connection);

/* EVD_EDATABASE when the database's file is no longer the one that was opened: what would be
 * written to it would be lost. */
evd_code sqlite_connection_check_file(struct connection *connection, evd_error *error);

/* Runs one statement that has no parameters and whose rows do not matter. */
evd_code sqlite_connection_execute(struct connection *connection, const char *sql,
                                   evd_error *error);

#endif
