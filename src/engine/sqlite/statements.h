/*
 * Prepared statements, kept by their key. Bounded: the one not used for longest makes room.
 */
#ifndef ENGINE_SQLITE_STATEMENTS_H
#define ENGINE_SQLITE_STATEMENTS_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include <evdurable/error.h>

#include "model/hash.h"
#include "sql/sql.h"

/* The most statements kept. An operation holds three at once at most. */
enum { STATEMENTS_MAX = 256 };

/* A prepared statement. Owned by the cache. */
struct statement {
  struct statement_key key;
  sqlite3_stmt *handle;
  uint64_t bound;  /* bit i: parameter i + 1 is bound to something other than NULL */
  double spent_ms; /* in the present batch, where times are taken */
  UT_hash_handle hh;
  struct statement *prev, *next; /* more recently and less recently used */
};

struct statements {
  struct statement *by_key;
  struct statement *recent; /* the most recently used first */
  size_t count;
};

/* The statement of a key for this table, prepared if need be; NULL with the error. It stays valid
 * until STATEMENTS_MAX others have been asked for. */
struct statement *sqlite_statements_get(struct statements *statements, sqlite3 *db,
                                        const struct table_name *table,
                                        const struct statement_key *key, evd_error *error);

/* Resets all statements: after a failure, whatever was under way. */
void sqlite_statements_reset(struct statements *statements);

void sqlite_statements_free(struct statements *statements);

#endif
