/*
 * What is known of a table before anything is done to it, for `migrate up`, `migrate status` and
 * `check` alike: which migrations are recorded, what there is, and what is to be done.
 */
#ifndef MIGRATE_SITUATION_H
#define MIGRATE_SITUATION_H

#include "migrate/catalog.h"
#include "migrate/plan.h"
#include "migrate/record.h"

/* Owns what it holds. */
struct situation {
  struct record record;
  struct catalog catalog;
  struct plan plan;
  evd_error refusal; /* why the table cannot be migrated (EVD_ESCHEMA); then the plan is empty */
};

/* Reads it. A table that another made is adopted (struct plan_options) unless the first migration
 * is recorded. */
evd_code situation_read(struct sql_client *client, const struct table_name *table,
                        const evd_schema_options *schema, bool drop_strict,
                        struct situation *situation, evd_error *error);

/* Whether `migrate up` has nothing to do but, perhaps, to record it. */
bool situation_is_complete(const struct situation *situation);

void situation_free(struct situation *situation);

#endif
