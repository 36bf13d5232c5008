/*
 * Runs the migrations (record.h) that a table needs, or gives their SQL to whoever runs it with
 * another tool. Steps are planned by the difference between the table and the schema, so that a
 * migration that stopped half-way, as it may on MySQL, is completed by running it again.
 */
#ifndef MIGRATE_MIGRATE_H
#define MIGRATE_MIGRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <evdurable/schema.h>

#include "migrate/client.h"
#include "migrate/record.h"

/* How long another's migration is waited for. */
enum { MIGRATE_WAIT_MS = 60000 };

struct migrate_options {
  evd_schema_options schema; /* its table has no meaning here */
  bool drop_strict;          /* drops the trigger, instead */
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

/* Brings the table up to date; where it is, nothing is locked, and it takes no privilege beyond
 * those of reading the table. A table that lacks nothing is left as it is by a user who may not
 * write the record. On failure the message names the step and what stays; then the same call does
 * the rest. */
evd_code migrate_up(struct sql_client *client, const struct table_name *table,
                    const struct migrate_options *options, struct migrate_result *result,
                    evd_error *error);

/* Appends a migration as SQL for a tool of the user's own, ended by ";\n", with what records it. */
void migrate_sql(struct buffer *buffer, int number, const struct dialect *dialect,
                 const struct table_name *table, const evd_schema_options *options);

#endif
