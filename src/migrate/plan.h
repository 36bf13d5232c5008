/*
 * What a table lacks, as the statements that give it that: the difference between the catalog and
 * the schema. Columns and indexes are never dropped.
 */
#ifndef MIGRATE_PLAN_H
#define MIGRATE_PLAN_H

#include <evdurable/schema.h>

#include "migrate/catalog.h"

/* One statement, or several that belong together. Owns its texts. */
struct step {
  struct step *next;
  int number; /* the migration that it is of; 0: of none, but of an option */
  char *what; /* for people: "add index task_executions_ready" */
  char *sql;  /* each statement ended by ";\n" */
};

struct plan {
  struct step *first;
};

struct plan_options {
  evd_schema_options schema; /* its table has no meaning here */
  bool drop_strict;          /* drops the trigger, instead */
  /* Also gives a table that another made our own partial indexes beside its whole ones, which do
   * the same work at a higher price. Otherwise an index is missing only if no other does its
   * work. */
  bool adopt;
};

/*
 * Makes the plan, whose steps are in the order of the migrations.
 *
 * @return EVD_ESCHEMA when a column is missing whose value in the existing rows is not known, or
 *         when the name is no table's.
 */
evd_code plan_make(const struct catalog *catalog, const struct table_name *table,
                   const struct plan_options *options, struct plan *plan, evd_error *error);

void plan_free(struct plan *plan);

#endif
