/*
 * One migrator at a time: others wait for it, and then find everything done.
 *
 * Where the database can undo its DDL (SQLite, PostgreSQL), the lock is a transaction, and all of a
 * migration is done or nothing. MySQL commits at each DDL statement, and PostgreSQL cannot build an
 * index concurrently in a transaction: then the lock is the session's (GET_LOCK, an advisory lock).
 */
#ifndef MIGRATE_LOCK_H
#define MIGRATE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "migrate/client.h"

struct migrate_lock {
  struct sql_client *client;
  struct table_name table;
  bool is_transaction;
};

/* Waits for the lock for so long; EVD_ECONFLICT when another holds it all that time. */
evd_code lock_take(struct migrate_lock *lock, struct sql_client *client,
                   const struct table_name *table, bool concurrently, int64_t wait_ms,
                   evd_error *error);

/* Lets go of it. A transaction is committed, or, when `failed`, rolled back. The error is filled in
 * only when the commit fails. */
evd_code lock_release(struct migrate_lock *lock, bool failed, evd_error *error);

#endif
