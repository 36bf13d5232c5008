/* Takes the lock of migrations, and waits for another's. */
#include "migrate/lock.h"

#include <time.h>

#include "async/clock.h"
#include "model/error.h"

enum { PAUSE_MS = 50 };

static evd_code run_on_lock(struct migrate_lock *lock, const char *sql, int64_t *answer,
                            evd_error *error) {
  const char *const parameters[] = {lock->table.schema, lock->table.name};
  return sql_client_integer(lock->client, sql, parameters, 0, answer, error);
}

/* Tries once. *taken says whether it has the lock. */
static evd_code try_take(struct migrate_lock *lock, bool *taken, evd_error *error) {
  const struct lock_statements *statements = &sql_client_dialect(lock->client)->lock;
  const char *try = lock->is_transaction ? statements->try_transaction : statements->try_session;
  int64_t answer = 1;
  *taken = false;
  if (lock->is_transaction) {
    evd_error failure;
    evd_code code = sql_client_execute(lock->client, statements->begin, &failure);
    if (code != EVD_OK) {
      *error = failure;
      return code == EVD_ECONFLICT ? EVD_OK : code;
    }
  }
  evd_code code = try != NULL ? run_on_lock(lock, try, &answer, error) : EVD_OK;
  *taken = code == EVD_OK && answer == 1;
  if (!*taken && lock->is_transaction) {
    evd_error ignored; /* a connection that is lost says so at the next statement */
    sql_client_execute(lock->client, "rollback", &ignored);
  }
  return code;
}

/* Says who has held it all that time. In a file it is the lock of everybody who writes. */
static evd_code set_waited(const struct migrate_lock *lock, int64_t wait_ms, evd_error *error) {
  long long seconds = (long long)wait_ms / 1000;
  if (!sql_client_dialect(lock->client)->is_server) {
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
  const struct dialect *dialect = sql_client_dialect(client);
  *lock = (struct migrate_lock){
      .client = client,
      .table = *table,
      .is_transaction =
          dialect->has_ddl_transactions && !(concurrently && dialect->has_concurrent_indexes),
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
  run_on_lock(lock, sql_client_dialect(lock->client)->lock.release_session, &answer, &ignored);
  return EVD_OK; /* a session that has ended holds no lock */
}
