/*
 * The migrations: numbered, each done once, and recorded in a table beside the data
 * ("<table>_migrations").
 *
 *   number  name               what it does
 *   1       table_and_indexes  creates the table
 *
 * What a migration does stands in the tables of columns and indexes: each line says which migration
 * adds it. To add a migration: those lines, SCHEMA_VERSION (sql/schema.h), its name in record.c, a
 * line above. What was released never changes; tests/migrations/ has its SQL.
 */
#ifndef MIGRATE_RECORD_H
#define MIGRATE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "migrate/client.h"

/* A migration, and whether it was done. */
struct migration {
  int number;
  char name[64];
  bool known;         /* to this library; one of a newer library may not be */
  bool applied;       /* it is recorded */
  bool unread;        /* a privilege is missing to read whether it is recorded */
  int64_t applied_at; /* milliseconds since the epoch */
  char version
      [32]; /* of the library that did it; by a script, of that which brought the migration */
};

enum { RECORD_MIGRATIONS_MAX = 64 };

/* What is recorded. The first SCHEMA_VERSION are those that this library knows, in their order. */
struct record {
  struct migration migrations[RECORD_MIGRATIONS_MAX];
  size_t count;
};

/* Reads it; of a table that has none, nothing is applied. EVD_ESCHEMA names a table that has the
 * record's name and is none. */
evd_code record_read(struct sql_client *client, const struct table_name *table,
                     struct record *record, evd_error *error);

/* Whether all that this library knows are recorded, or may be. */
bool record_is_complete(const struct record *record);

/* Appends what creates the table of the record, if it is missing. */
void record_append_table(struct buffer *buffer, const struct dialect *dialect,
                         const struct table_name *table);

/* Appends what records a migration as done by a library of this version; NULL: by a script. A
 * second time it does nothing. */
void record_append(struct buffer *buffer, int number, const char *version,
                   const struct dialect *dialect, const struct table_name *table);

/* The name of a migration that this library knows, e.g. "table_and_indexes". */
const char *record_migration_name(int number);

#endif
