/*
 * What a table lacks, as the statements that give it that: the difference between the catalog and the
 * schema. Nothing is ever taken away from a table.
 */
#ifndef MIGRATE_PLAN_H
#define MIGRATE_PLAN_H

#include <evdurable/schema.h>

#include "migrate/catalog.h"

/* One statement, or several that belong together. Owns its texts. */
struct step {
  struct step *next;
  char *what; /* for people: "add index task_executions_ready" */
  char *sql;  /* each statement ended by ";\n" */
};

struct plan {
  struct step *first;
};

/*
 * Makes the plan.
 *
 * @param adopt also gives a table that another made our own partial indexes beside its whole ones,
 *              which do the same work at a higher price. Otherwise only work that no index does is
 *              an index missing.
 * @return EVD_ESCHEMA when a column is missing that rows of the table cannot do without, or when the name
 *         is no table's.
 */
evd_code plan_make(const struct catalog *catalog, const struct table_name *table,
                   const evd_schema_options *options, bool adopt, struct plan *plan,
                   evd_error *error);

void plan_free(struct plan *plan);

#endif
