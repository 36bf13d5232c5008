/*
 * The migrations: numbered, each done once, and recorded in a table beside the data ("<table>_migrations").
 *
 *   number  name               what it does
 *   1       table_and_indexes  makes the table; or gives one that is there what it lacks
 *
 * A migration is a line in migrate.c: its SQL for whoever runs it with a tool of their own, and how it
 * is done here. Whatever is done must be good to be done again: on MySQL, a migration may have
 * stopped half-way.
 */
#ifndef MIGRATE_MIGRATE_H
#define MIGRATE_MIGRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <evdurable/schema.h>

#include "migrate/client.h"

/* How long another's migration is waited for. */
#define MIGRATE_WAIT_MS 60000

struct migrate_options {
  evd_schema_options schema; /* its table has no meaning here */
  bool drop_strict;          /* takes the trigger away, rather */
  int64_t wait_ms;           /* for another's migration */
  /* Called before each step, e.g. "add index task_executions_ready". May be NULL. */
  void (*step)(const char *what, void *data);
  void *data;
};

/* What came of it. */
struct migrate_result {
  size_t steps;        /* done */
  bool is_transaction; /* on failure nothing of it stays; else the steps done do */
};

/* Brings the table up to date; where it is, nothing is locked, and it takes no privilege beyond those of
 * reading the table. A table that lacks nothing is left as it is by a user who may not write the record.
 * On failure the message names the step and what stays; then the same call does the rest. */
evd_code migrate_up(struct sql_client *client, const struct table_name *table,
                    const struct migrate_options *options, struct migrate_result *result,
                    evd_error *error);

/* A migration, and whether it was done. */
struct migrate_state {
  int number;
  char name[64];
  bool known;         /* to this library; one of a newer library may not be */
  bool applied;       /* it is recorded */
  bool unread;        /* whether it is recorded cannot be read, for want of a privilege */
  int64_t applied_at; /* milliseconds since the epoch */
  char version[32];   /* of the library that did it, or wrote its SQL */
};

enum { MIGRATE_STATES_MAX = 64 };

/* Reads which were done, in the order of their numbers. EVD_ESCHEMA names a table that has the record's
 * name and is none. */
evd_code migrate_read(struct sql_client *client, const struct table_name *table,
                      struct migrate_state states[MIGRATE_STATES_MAX], size_t *count,
                      evd_error *error);

/* How many migrations this library knows; their numbers are 1 to that. */
int migrate_count(void);

/* A migration's name, e.g. "table_and_indexes"; NULL when there is no such number. */
const char *migrate_name(int number);

/* Appends a migration as SQL for a tool of the user's own, ended by ";\n", with what records it. */
void migrate_sql(struct buffer *buffer, int number, const struct dialect *dialect,
                 const struct table_name *table, const evd_schema_options *options);

#endif
