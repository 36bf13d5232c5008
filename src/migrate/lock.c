#include "migrate/lock.h"

#include <time.h>

#include "engine/clock.h"
#include "model/error.h"

enum { PAUSE_MS = 50 };

/* The lock's name has the table's. PostgreSQL's is also that under which a storage creates its table
 * when it is opened. */
#define POSTGRES_KEY "(hashtext('evdurable'), hashtext(?))"
#define MYSQL_KEY \
  "concat('evdurable ', left(sha2(concat(coalesce(nullif(?, ''), database()), '.', ?), 256), 40))"

static evd_code run_on_key(struct migrate_lock *lock, const char *sql, int64_t *answer,
                           evd_error *error) {
  struct buffer quoted = {0};
  const char *parameters[] = {lock->table.schema, lock->table.name};
  if (sql_client_dialect(lock->client) == DIALECT_POSTGRES) {
    sql_table(&quoted, DIALECT_POSTGRES, &lock->table);
    parameters[0] = quoted.text;
  }
  evd_code code = quoted.failed
                      ? error_set(error, EVD_ENOMEM, "", "memory ran out")
                      : sql_client_integer(lock->client, sql, parameters, 0, answer, error);
  buffer_free(&quoted);
  return code;
}

/* Tries once. *taken says whether it has the lock. */
static evd_code try_sqlite(struct migrate_lock *lock, bool *taken, evd_error *error) {
  evd_error failure;
  evd_code code = sql_client_execute(lock->client, "begin immediate", &failure);
  *taken = code == EVD_OK;
  if (code == EVD_OK || code == EVD_ECONFLICT) {
    return EVD_OK;
  }
  *error = failure;
  return code;
}

/* It does not wait in the server: "create index concurrently" waits for all who wait there. */
static evd_code try_postgres(struct migrate_lock *lock, bool *taken, evd_error *error) {
  int64_t answer = 0;
  const char *sql = lock->is_transaction ? "select pg_try_advisory_xact_lock" POSTGRES_KEY "::int"
                                         : "select pg_try_advisory_lock" POSTGRES_KEY "::int";
  evd_code code = lock->is_transaction ? sql_client_execute(lock->client, "begin", error) : EVD_OK;
  if (code == EVD_OK) {
    code = run_on_key(lock, sql, &answer, error);
  }
  *taken = code == EVD_OK && answer == 1;
  if (!*taken && lock->is_transaction) {
    evd_error ignored; /* a connection that is lost says so at the next statement */
    sql_client_execute(lock->client, "rollback", &ignored);
  }
  return code;
}

static evd_code try_mysql(struct migrate_lock *lock, bool *taken, evd_error *error) {
  int64_t answer = 0;
  evd_code code = run_on_key(lock, "select get_lock(" MYSQL_KEY ", 0)", &answer, error);
  *taken = code == EVD_OK && answer == 1;
  return code;
}

static evd_code try_take(struct migrate_lock *lock, bool *taken, evd_error *error) {
  switch (sql_client_dialect(lock->client)) {
  case DIALECT_SQLITE: return try_sqlite(lock, taken, error);
  case DIALECT_POSTGRES: return try_postgres(lock, taken, error);
  case DIALECT_MYSQL: return try_mysql(lock, taken, error);
  }
  return EVD_OK;
}

/* Says who has held it all that time. SQLite's lock is that of everybody who writes. */
static evd_code set_waited(const struct migrate_lock *lock, int64_t wait_ms, evd_error *error) {
  long long seconds = (long long)wait_ms / 1000;
  if (sql_client_dialect(lock->client) == DIALECT_SQLITE) {
    return error_set(error, EVD_ECONFLICT, "", "another process has been writing to %s for %lld s",
                     sql_client_place(lock->client), seconds);
  }
  return error_set(error, EVD_ECONFLICT, "",
                   "another migration of table %s has been under way for %lld s", lock->table.name,
                   seconds);
}

evd_code lock_take(struct migrate_lock *lock, struct sql_client *client,
                   const struct table_name *table, bool concurrently, int64_t wait_ms,
                   evd_error *error) {
  enum dialect dialect = sql_client_dialect(client);
  *lock = (struct migrate_lock){
      .client = client,
      .table = *table,
      .is_transaction = dialect == DIALECT_SQLITE || (dialect == DIALECT_POSTGRES && !concurrently),
  };
  double end = clock_seconds() + (double)wait_ms / 1000;
  for (;;) {
    bool taken = false;
    evd_code code = try_take(lock, &taken, error);
    if (code != EVD_OK || taken) {
      return code;
    }
    if (clock_seconds() >= end) {
      return set_waited(lock, wait_ms, error);
    }
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
  }
}

evd_code lock_release(struct migrate_lock *lock, bool failed, evd_error *error) {
  evd_error ignored;
  int64_t answer;
  if (lock->is_transaction) {
    return failed ? sql_client_execute(lock->client, "rollback", &ignored)
                  : sql_client_execute(lock->client, "commit", error);
  }
  if (sql_client_dialect(lock->client) == DIALECT_MYSQL) {
    run_on_key(lock, "select release_lock(" MYSQL_KEY ")", &answer, &ignored);
  } else {
    run_on_key(lock, "select pg_advisory_unlock" POSTGRES_KEY "::int", &answer, &ignored);
  }
  return EVD_OK; /* a session that has ended holds no lock */
}
