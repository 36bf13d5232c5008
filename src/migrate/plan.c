/* Plans the steps that a table needs, in the order of the migrations. */
#include "migrate/plan.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "model/columns.h"
#include "model/error.h"
#include "sql/strict.h"

/* A plan being made. */
struct planner {
  const struct catalog *catalog;
  const struct table_name *table;
  const struct plan_options *options;
  bool framework_shape; /* of the table as it is, or will be */
  int number;           /* of the migration whose steps are being added */
  struct plan *plan;
  struct step *last; /* NULL: none yet */
  bool failed;       /* memory ran out */
};

/* Adds a step; takes both texts over. */
static void add_step(struct planner *planner, struct buffer *what, struct buffer *sql) {
  struct step *step = calloc(1, sizeof *step);
  char *what_text = buffer_take(what);
  char *sql_text = buffer_take(sql);
  if (step == NULL || what_text == NULL || sql_text == NULL) {
    free(what_text);
    free(sql_text);
    free(step);
    planner->failed = true;
    return;
  }
  *step = (struct step){.number = planner->number, .what = what_text, .sql = sql_text};
  if (planner->last != NULL) {
    planner->last->next = step;
  } else {
    planner->plan->first = step;
  }
  planner->last = step;
}

static void plan_table(struct planner *planner) {
  struct buffer what = {0};
  struct buffer sql = {0};
  buffer_printf(&what, "create table %s", planner->table->name);
  schema_create_table(&sql, planner->catalog->dialect, planner->table, planner->framework_shape,
                      planner->number);
  buffer_append(&sql, ";\n");
  add_step(planner, &what, &sql);
}

/* Adds a column that is missing. */
static evd_code plan_column(struct planner *planner, evd_column column, evd_error *error) {
  const struct catalog *catalog = planner->catalog;
  bool required = columns[column].null == COLUMN_NOT_NULL && columns[column].default_text == NULL;
  if (required && catalog->has_rows) {
    return error_set(
        error, EVD_ESCHEMA, columns[column].name,
        "table %s lacks the column %s, and its value in the existing rows is not known; "
        "add it yourself",
        planner->table->name, columns[column].name);
  }
  struct buffer what = {0};
  struct buffer sql = {0};
  buffer_printf(&what, "add column %s", columns[column].name);
  schema_add_column(&sql, catalog->dialect, planner->table, planner->framework_shape, column);
  buffer_append(&sql, ";\n");
  add_step(planner, &what, &sql);
  return EVD_OK;
}

/* An index that a failed "create index concurrently" has left is of no use, and in the way. */
static void plan_drop_invalid(struct planner *planner, const char *name) {
  struct buffer what = {0};
  struct buffer sql = {0};
  bool concurrently = planner->options->schema.concurrently;
  buffer_printf(&what, "drop invalid index %s", name);
  buffer_append(&sql, concurrently ? "drop index concurrently " : "drop index ");
  struct quoted_table quoted = sql_quote_table(planner->catalog->dialect, planner->table);
  buffer_append(&sql, quoted.schema);
  sql_identifier(&sql, planner->catalog->dialect, name);
  buffer_append(&sql, ";\n");
  add_step(planner, &what, &sql);
}

static void plan_index(struct planner *planner, bool framework_shape,
                       const struct index_definition *definition) {
  const struct dialect *dialect = planner->catalog->dialect;
  bool concurrently = planner->options->schema.concurrently && planner->catalog->exists &&
                      dialect->has_concurrent_indexes;
  struct buffer what = {0};
  struct buffer sql = {0};
  buffer_append(&what, "add index ");
  schema_index_name(&what, planner->table, framework_shape, definition->suffix);
  schema_create_index(&sql, dialect, planner->table, framework_shape, definition, concurrently);
  buffer_append(&sql, ";\n");
  add_step(planner, &what, &sql);
}

/* Whether a definition's predicate is only "is not null": then a whole index is hardly larger. */
static bool is_nearly_whole(const struct catalog *catalog,
                            const struct index_definition *definition) {
  return !catalog->dialect->has_partial_indexes || definition->terms[0].kind == INDEX_TERM_END ||
         definition->terms[0].kind == INDEX_TERM_NOT_NULL;
}

/* Adds one of our indexes, if it is missing. */
static void plan_own_index(struct planner *planner, const struct index_definition *definition) {
  const struct catalog *catalog = planner->catalog;
  struct buffer name = {0};
  schema_index_name(&name, planner->table, false, definition->suffix);
  if (name.failed) {
    planner->failed = true;
    buffer_free(&name);
    return;
  }
  const struct catalog_index *present = catalog_find_index(catalog, name.text);
  bool invalid = present != NULL && !present->valid && catalog->dialect->has_concurrent_indexes;
  bool served = catalog_is_served(catalog, definition) &&
                (!planner->options->adopt || is_nearly_whole(catalog, definition));
  if (invalid) {
    plan_drop_invalid(planner, name.text);
  }
  if ((present == NULL || invalid) && !served) {
    plan_index(planner, false, definition);
  }
  buffer_free(&name);
}

/* Adds the columns that are missing of a migration. */
static evd_code plan_columns(struct planner *planner, evd_error *error) {
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (columns[column].since == planner->number && !planner->catalog->columns[column].present &&
        plan_column(planner, (evd_column)column, error) != EVD_OK) {
      return error->code;
    }
  }
  return EVD_OK;
}

/* A new table: what a migration makes of it. */
static evd_code plan_creation(struct planner *planner, evd_error *error) {
  bool first = planner->number == 1;
  size_t count;
  const struct index_definition *indexes = schema_indexes(planner->framework_shape, &count);
  if (first) {
    plan_table(planner);
  } else if (plan_columns(planner, error) != EVD_OK) {
    return error->code;
  }
  for (size_t i = 0; i < count; i++) {
    bool with_table = first && !planner->catalog->dialect->creates_indexes_apart;
    if (indexes[i].since == planner->number && !with_table) {
      plan_index(planner, planner->framework_shape, &indexes[i]);
    }
  }
  return EVD_OK;
}

/* What a table lacks of a migration. */
static evd_code plan_completion(struct planner *planner, evd_error *error) {
  const struct catalog *catalog = planner->catalog;
  if (plan_columns(planner, error) != EVD_OK) {
    return error->code;
  }
  size_t count;
  if (planner->number == 1 && !catalog_has_unique_id(catalog)) {
    plan_index(planner, true, &schema_indexes(true, &count)[0]);
  }
  const struct index_definition *indexes = schema_indexes(false, &count);
  for (size_t i = 0; i < count; i++) {
    if (indexes[i].since == planner->number) {
      plan_own_index(planner, &indexes[i]);
    }
  }
  return EVD_OK;
}

/* Adds the trigger of strict transitions, or drops it. */
static void plan_strict(struct planner *planner) {
  const struct plan_options *options = planner->options;
  bool present = planner->catalog->strict;
  struct buffer what = {0};
  struct buffer sql = {0};
  if (options->drop_strict && present) {
    buffer_append(&what, "drop trigger ");
    strict_drop(&sql, planner->catalog->dialect, planner->table);
  } else if (!options->drop_strict && options->schema.strict_transitions && !present) {
    buffer_append(&what, "add trigger ");
    strict_create(&sql, planner->catalog->dialect, planner->table);
  } else {
    return;
  }
  strict_name(&what, planner->table);
  add_step(planner, &what, &sql);
}

/* Whether there can be a table as the options want it. */
static evd_code check_table(const struct planner *planner, evd_error *error) {
  const struct catalog *catalog = planner->catalog;
  if (catalog->is_other) {
    return error_set(error, EVD_ESCHEMA, "table",
                     "%s is not a table: a view or another object has this name",
                     planner->table->name);
  }
  if (catalog->exists && planner->options->schema.framework_shape && !catalog->framework_shape) {
    return error_set(error, EVD_ESCHEMA, "table",
                     "table %s exists already and does not have the framework's shape; export it, "
                     "create another and import",
                     planner->table->name);
  }
  return EVD_OK;
}

evd_code plan_make(const struct catalog *catalog, const struct table_name *table,
                   const struct plan_options *options, struct plan *plan, evd_error *error) {
  *plan = (struct plan){0};
  struct planner planner = {.catalog = catalog,
                            .table = table,
                            .options = options,
                            .framework_shape = catalog->exists ? catalog->framework_shape
                                                               : options->schema.framework_shape,
                            .plan = plan};
  evd_code code = check_table(&planner, error);
  for (int number = 1; code == EVD_OK && number <= SCHEMA_VERSION; number++) {
    planner.number = number;
    code = catalog->exists ? plan_completion(&planner, error) : plan_creation(&planner, error);
  }
  if (code == EVD_OK) {
    planner.number = 0;
    plan_strict(&planner);
  }
  if (code == EVD_OK && planner.failed) {
    code = error_set_no_memory(error);
  }
  if (code != EVD_OK) {
    plan_free(plan);
  }
  return code;
}

void plan_free(struct plan *plan) {
  struct step *step;
  struct step *next;
  LL_FOREACH_SAFE (plan->first, step, next) {
    free(step->what);
    free(step->sql);
    free(step);
  }
  plan->first = NULL;
}
