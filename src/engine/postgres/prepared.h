/*
 * The named statements of one connection, by the key of their text, up to a bound: past it the one
 * that was not used for longest gives way.
 *
 *   (find: none) ──add──> ASKED ──confirmed──> KNOWN ──evicted──> (gone)
 *                           └──refused──> (gone)
 */
#ifndef POSTGRES_PREPARED_H
#define POSTGRES_PREPARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sql/sql.h"

enum { PREPARED_MAX = 200, PREPARED_NAME_SIZE = 24 };

struct prepared_statement;

/* Zeroed, it is empty. */
struct prepared {
  struct prepared_statement *statements; /* a hash table */
  unsigned count;
  uint64_t uses; /* of any of them */
  unsigned last_number;
};

/* The number of the statement with this key, which is now the latest used; 0 when there is none. */
unsigned postgres_prepared_find(struct prepared *prepared, const struct statement_key *key);

/* A new statement; 0 if memory ran out. Another may be beyond the bound now: see
 * postgres_prepared_evict(). */
unsigned postgres_prepared_add(struct prepared *prepared, const struct statement_key *key);

/* Forgets one that is beyond the bound, for it to be deallocated; 0 when there is none. */
unsigned postgres_prepared_evict(struct prepared *prepared);

/* Forgets the statement with this number, which the server does not have. */
void postgres_prepared_remove(struct prepared *prepared, unsigned number);

/* The name of a statement. */
void postgres_prepared_name(unsigned number, char name[PREPARED_NAME_SIZE]);

/* Forgets all. */
void postgres_prepared_clear(struct prepared *prepared);

#endif
