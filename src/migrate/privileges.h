/*
 * The privileges on the table that the operations need, and the session's user lacks.
 */
#ifndef MIGRATE_PRIVILEGES_H
#define MIGRATE_PRIVILEGES_H

#include <stdbool.h>

#include "migrate/client.h"
#include "migrate/findings.h"

/*
 * Adds a finding for what is not granted, with the statement that grants it: an error for SELECT, INSERT
 * and UPDATE, a note for DELETE, which only `evdurable prune` and test mode need. SQLite has no
 * privileges, and a table that is not there is for others to tell of.
 *
 * @param hidden that there is a table cannot be seen without what is missing: nothing more can be said.
 */
evd_code privileges_find(struct sql_client *client, const struct table_name *table,
                         struct findings *findings, bool *hidden, evd_error *error);

#endif
