/*
 * The privileges on the table that the operations need, and the session's user lacks.
 */
#ifndef MIGRATE_PRIVILEGES_H
#define MIGRATE_PRIVILEGES_H

#include <stdbool.h>

#include "migrate/client.h"
#include "migrate/findings.h"
#include "sql/buffer.h"
#include "sql/sql.h"

/*
 * Adds a finding for what is not granted, with the statement that grants it: an error for SELECT,
 * INSERT and UPDATE, a note for DELETE, which only `evdurable prune` and test mode need. A file has
 * no users, and a table that is not there is for others to tell of.
 *
 * @param hidden whether even the table's existence cannot be seen without what is missing: then
 *               nothing more can be checked.
 */
evd_code privileges_find(struct sql_client *client, const struct table_name *table,
                         struct findings *findings, bool *hidden, evd_error *error);

/* Within the room. */

/* What is asked, and what came of it. */
struct privilege_search {
  struct sql_client *client;
  const struct table_name *table;
  struct quoted_table quoted;
  struct findings *findings;
  struct buffer user;    /* as "grant" has it */
  struct buffer missing; /* "insert, update" */
  bool lacks_delete;
  bool hidden; /* that there is a table cannot be seen without what is missing */
};

/* Notes that a privilege on the table is missing. */
void privileges_note_missing(struct privilege_search *search, const char *privilege);

/* Adds findings of those that were noted. */
void privileges_add_table_grants(struct privilege_search *search);

/* Adds a finding of what is to be granted on something. */
void privileges_add_grant(struct privilege_search *search, enum severity severity,
                          const char *privileges, const char *on, const char *why);

/* How each database is asked. */
evd_code privileges_find_postgres(struct privilege_search *search, evd_error *error);
evd_code privileges_find_mysql(struct privilege_search *search, evd_error *error);

#endif
