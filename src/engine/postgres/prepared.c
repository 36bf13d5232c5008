/* The prepared statements of a connection, the least recently used of which gives way. */
#include "engine/postgres/prepared.h"

#include <stdio.h>
#include <stdlib.h>

#include "model/hash.h"

/* A failed allocation is seen by the entry that is not in the table. */

struct prepared_statement {
  struct statement_key key;
  unsigned number;
  uint64_t used; /* prepared.uses at its last use */
  UT_hash_handle hh;
};

static void forget(struct prepared *prepared, struct prepared_statement *statement) {
  HASH_DEL(prepared->statements, statement);
  prepared->count--;
  free(statement);
}

unsigned postgres_prepared_find(struct prepared *prepared, const struct statement_key *key) {
  struct prepared_statement *statement;
  HASH_FIND(hh, prepared->statements, key, sizeof *key, statement);
  if (statement == NULL) {
    return 0;
  }
  statement->used = ++prepared->uses;
  return statement->number;
}

unsigned postgres_prepared_add(struct prepared *prepared, const struct statement_key *key) {
  struct prepared_statement *statement = calloc(1, sizeof *statement);
  if (statement == NULL) {
    return 0;
  }
  statement->key = *key;
  statement->number = ++prepared->last_number;
  statement->used = ++prepared->uses;
  HASH_ADD(hh, prepared->statements, key, sizeof statement->key, statement);
  if (statement->hh.tbl == NULL) {
    free(statement);
    return 0;
  }
  prepared->count++;
  return statement->number;
}

unsigned postgres_prepared_evict(struct prepared *prepared) {
  struct prepared_statement *oldest = prepared->statements;
  if (oldest == NULL || prepared->count <= PREPARED_MAX) {
    return 0;
  }
  for (struct prepared_statement *statement = oldest; statement != NULL;
       statement = statement->hh.next) {
    if (statement->used < oldest->used) {
      oldest = statement;
    }
  }
  unsigned number = oldest->number;
  forget(prepared, oldest);
  return number;
}

void postgres_prepared_remove(struct prepared *prepared, unsigned number) {
  struct prepared_statement *statement;
  struct prepared_statement *next;
  HASH_ITER (hh, prepared->statements, statement, next) {
    if (statement->number == number) {
      forget(prepared, statement);
      return;
    }
  }
}

void postgres_prepared_name(unsigned number, char name[PREPARED_NAME_SIZE]) {
  snprintf(name, PREPARED_NAME_SIZE, "evdurable_%u", number);
}

void postgres_prepared_clear(struct prepared *prepared) {
  struct prepared_statement *statement = prepared->statements;
  HASH_CLEAR(hh, prepared->statements);
  prepared->count = 0;
  while (statement != NULL) {
    struct prepared_statement *next = statement->hh.next;
    free(statement);
    statement = next;
  }
}
