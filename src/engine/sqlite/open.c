/* Opens the connection and prepares the table. */
#include "engine/sqlite/open.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "async/clock.h"
#include "engine/sqlite/errors.h"
#include "engine/sqlite/file.h"
#include "engine/sqlite/table.h"
#include "model/error.h"

enum {
  WAIT_MIN_US = 100,
  WAIT_MAX_US = 10 * 1000,
  CACHE_KIB = 16 * 1024,
  /* Pages in the log at which it is brought into the database: 16 MiB. At SQLite's own 1,000, a
   * page that is changed again and again is written there so often that updates are a fifth
   * slower. */
  CHECKPOINT_PAGES = 4000,
  WAL_LIMIT_BYTES = 64 * 1024 * 1024 /* what a checkpoint leaves of a larger log */
};

/*
 * Waits for another's lock, for the `attempt`th time: longer each time, by chance, so that several
 * processes do not wait in step. Not longer than WAIT_MAX_US, so that an abort is soon seen.
 * 0 when it has waited long enough.
 */
static int wait_for_lock(void *data, int attempt) {
  struct connection *connection = data;
  double now = clock_seconds();
  if (attempt == 0) {
    connection->busy_since = now;
  }
  if (atomic_load(connection->aborting) ||
      (now - connection->busy_since) * 1e3 >= (double)connection->patience_ms) {
    return 0;
  }

  long longest = attempt < 7 ? WAIT_MIN_US << attempt : WAIT_MAX_US;
  long chance = (long)fmod(now * 1e9 / 64, (double)longest); /* as good as dice */
  struct timespec pause = {.tv_nsec = (WAIT_MIN_US + chance) * 1000};
  nanosleep(&pause, NULL);
  return 1;
}

/* Runs a pragma that answers with a word, at most `size` - 1 bytes of which are kept. */
static int run_pragma(struct connection *connection, const char *sql, char *word, size_t size) {
  sqlite3_stmt *statement;
  int result = sqlite3_prepare_v2(connection->db, sql, -1, &statement, NULL);
  if (result != SQLITE_OK) {
    return result;
  }
  word[0] = '\0';
  if (sqlite3_step(statement) == SQLITE_ROW) {
    const char *text = (const char *)sqlite3_column_text(statement, 0);
    snprintf(word, size, "%s", text != NULL ? text : "");
  }
  return sqlite3_finalize(statement);
}

/* Sets the journal mode. A change of mode needs the file for itself, and SQLite does not wait for
 * that: so this does, and for the other locks on the way as well, or each try could wait anew. */
static evd_code set_journal_mode(struct connection *connection, evd_error *error) {
  const char *wanted = connection->url.journal_mode;
  char sql[64];
  char mode[16];
  snprintf(sql, sizeof sql, "pragma journal_mode = %s", wanted);

  int result;
  int attempt = 0;
  sqlite3_busy_handler(connection->db, NULL, NULL);
  do {
    result = run_pragma(connection, sql, mode, sizeof mode);
  } while ((result & 0xff) == SQLITE_BUSY && wait_for_lock(connection, attempt++) != 0);
  sqlite3_busy_handler(connection->db, wait_for_lock, connection);
  if (result != SQLITE_OK) {
    return sqlite_error_set(error, connection->db, result, sql);
  }

  if (strcasecmp(mode, wanted) != 0 && !connection->url.is_private) {
    snprintf(connection->warning, sizeof connection->warning,
             "SQLite keeps journal_mode %s where %s was asked for", mode, wanted);
  }
  return EVD_OK;
}

/* Brings the connection into the state that the engine relies on. */
static evd_code configure(struct connection *connection, evd_error *error) {
  sqlite3 *db = connection->db;
  /* "Full" is to survive a loss of power. Where the journal is deleted at the end of a transaction,
   * that takes "extra": the directory is synced, too. With a WAL the two are the same. */
  const char *synchronous = connection->url.synchronous;
  if (strcmp(synchronous, "full") == 0) {
    synchronous = "extra";
  }
  char sql[192];
  snprintf(sql, sizeof sql,
           "pragma synchronous = %s; pragma cache_size = -%d; "
           "pragma wal_autocheckpoint = %d; pragma journal_size_limit = %d",
           synchronous, CACHE_KIB, CHECKPOINT_PAGES, WAL_LIMIT_BYTES);
  int result = sqlite3_exec(db, sql, NULL, NULL, NULL);
  if (result != SQLITE_OK) {
    return sqlite_error_set(error, db, result, "settings");
  }
  return sqlite3_db_readonly(db, "main") == 0 ? set_journal_mode(connection, error) : EVD_OK;
}

/* Prepares the statements that begin and end transactions. */
static evd_code prepare_transactions(struct connection *connection, evd_error *error) {
  const struct {
    const char *sql;
    sqlite3_stmt **statement;
  } all[] = {{"begin", &connection->begin_read},
             {"begin immediate", &connection->begin_write},
             {"commit", &connection->commit}};

  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    int result = sqlite3_prepare_v3(connection->db, all[i].sql, -1, SQLITE_PREPARE_PERSISTENT,
                                    all[i].statement, NULL);
    if (result != SQLITE_OK) {
      return sqlite_error_set(error, connection->db, result, all[i].sql);
    }
  }
  return EVD_OK;
}

/* Opens the file, which is created only where the table may be, too. */
static evd_code open_file(struct connection *connection, evd_error *error) {
  bool create = connection->schema == EVD_SCHEMA_CREATE;
  evd_code code = sqlite_file_open(&connection->url, create, &connection->db, error);
  if (code == EVD_OK) {
    sqlite3_busy_handler(connection->db, wait_for_lock, connection);
  }
  return code;
}

/* EVD_EDATABASE when the file may only be read, unless the URL asks for that: SQLite opens it all
 * the same, and the first write would be the first to fail. */
static evd_code check_writable(struct connection *connection, evd_error *error) {
  const char *name = sqlite3_db_filename(connection->db, "main");
  const char *mode = name != NULL ? sqlite3_uri_parameter(name, "mode") : NULL;
  bool is_wanted = (mode != NULL && strcmp(mode, "ro") == 0) ||
                   (name != NULL && sqlite3_uri_boolean(name, "immutable", 0) != 0);
  if (is_wanted || sqlite3_db_readonly(connection->db, "main") != 1) {
    return EVD_OK;
  }
  error_set(error, EVD_EDATABASE, "url", "the file may not be written; %s",
            sqlite_file_reading_advice(&connection->url));
  error_set_native(error, sqlite_error_name(SQLITE_READONLY));
  return EVD_EDATABASE;
}

/* Opens the database; see open.h. */
evd_code sqlite_connection_open(struct connection *connection, evd_error *error) {
  connection->patience_ms = connection->url.busy_timeout_ms;
  evd_code code = open_file(connection, error);
  if (code == EVD_OK) {
    code = check_writable(connection, error);
  }
  if (code == EVD_OK) {
    code = sqlite_file_probe(connection->db, error);
  }
  if (code == EVD_OK) {
    code = configure(connection, error);
  }
  if (code == EVD_OK) {
    code = sqlite_table_prepare(connection, error);
  }
  if (code == EVD_OK) {
    code = prepare_transactions(connection, error);
  }
  if (code != EVD_OK) {
    sqlite_file_explain(&connection->url, error);
    sqlite_connection_close(connection);
    return error->code;
  }
  connection->patience_ms = connection->batch_patience_ms;
  return EVD_OK;
}
