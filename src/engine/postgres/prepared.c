#include "engine/postgres/prepared.h"

#include <stdio.h>
#include <stdlib.h>

/* A failed allocation is seen by the entry that is not in the table. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct prepared_statement {
  struct statement_key key;
  unsigned number;
  UT_hash_handle hh;
};

static bool add(struct prepared *prepared, struct prepared_statement *statement) {
  HASH_ADD(hh, prepared->statements, key, sizeof(statement->key), statement);
  return statement->hh.tbl != NULL;
}

static void forget(struct prepared *prepared, struct prepared_statement *statement) {
  HASH_DEL(prepared->statements, statement);
  prepared->count--;
  free(statement);
}

unsigned prepared_find(struct prepared *prepared, const struct statement_key *key) {
  struct prepared_statement *statement;
  HASH_FIND(hh, prepared->statements, key, sizeof(*key), statement);
  if (statement == NULL) {
    return 0;
  }
  unsigned number = statement->number;
  if (statement->hh.next != NULL) { /* to the end: the table is in the order of use */
    HASH_DEL(prepared->statements, statement);
    if (!add(prepared, statement)) {
      prepared->count--;
      free(statement);
      return 0;
    }
  }
  return number;
}

unsigned prepared_add(struct prepared *prepared, const struct statement_key *key) {
  struct prepared_statement *statement = calloc(1, sizeof(*statement));
  if (statement == NULL) {
    return 0;
  }
  statement->key = *key;
  statement->number = ++prepared->last_number;
  if (!add(prepared, statement)) {
    free(statement);
    return 0;
  }
  prepared->count++;
  return statement->number;
}

unsigned prepared_evict(struct prepared *prepared) {
  if (prepared->count <= PREPARED_MAX) {
    return 0;
  }
  struct prepared_statement *oldest = prepared->statements;
  unsigned number = oldest->number;
  forget(prepared, oldest);
  return number;
}

void prepared_remove(struct prepared *prepared, unsigned number) {
  struct prepared_statement *statement;
  struct prepared_statement *next;
  HASH_ITER (hh, prepared->statements, statement, next) {
    if (statement->number == number) {
      forget(prepared, statement);
      return;
    }
  }
}

void prepared_name(unsigned number, char name[PREPARED_NAME_SIZE]) {
  snprintf(name, PREPARED_NAME_SIZE, "evdurable_%u", number);
}

void prepared_clear(struct prepared *prepared) {
  struct prepared_statement *statement;
  struct prepared_statement *next;
  HASH_ITER (hh, prepared->statements, statement, next) {
    forget(prepared, statement);
  }
}
