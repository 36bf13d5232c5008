#include "migrate/migrate.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "config.h"
#include "migrate/catalog.h"
#include "migrate/lock.h"
#include "migrate/plan.h"
#include "model/error.h"
#include "sql/script.h"
#include "sql/strict.h"

/* A migration under way. */
struct migrator {
  struct sql_client *client;
  const struct table_name *table;
  const struct migrate_options *options;
  struct migrate_result *result;
  bool was_applied; /* the migration that is being run was done before */
};

/* A line of the table of migrations. */
struct migration {
  const char *name;
  /* Its SQL, for other tools. */
  void (*sql)(struct buffer *buffer, const struct dialect *dialect, const struct table_name *table,
              const evd_schema_options *options);
  /* Does it here. */
  evd_code (*apply)(struct migrator *migrator, evd_error *error);
  /* Whether that would do anything; of one that mends. */
  evd_code (*look)(struct migrator *migrator, bool *pending, evd_error *error);
  bool mends; /* is run each time, for it does only what is missing */
};

/* Steps. */

/* Makes an error one that says what failed, and what stays. */
static void explain_failure(const char *what, const char *stays, evd_error *error) {
  evd_error cause = *error;
  error_set(error, cause.code, cause.field, "%s: %.220s; %s", what, cause.message, stays);
  error_set_native(error, cause.native);
}

static void explain_failed_step(const struct migrate_result *result, const char *what,
                                evd_error *error) {
  char stays[96] = "nothing was changed";
  if (!result->is_transaction && result->steps > 0) {
    snprintf(stays, sizeof stays, "the steps done before it stay (%zu); it can be run again",
             result->steps);
  }
  explain_failure(what, stays, error);
}

/* Of a commit whose answer did not come, nobody knows. */
static void explain_failed_commit(evd_error *error) {
  bool unanswered = error->code == EVD_EUNAVAILABLE;
  explain_failure("commit",
                  unanswered ? "whether it was done is not known; it can be run again"
                             : "nothing was changed",
                  error);
}

static evd_code run_step(struct migrator *migrator, const char *what, const char *sql,
                         evd_error *error) {
  const struct migrate_options *options = migrator->options;
  if (options->step != NULL) {
    options->step(what, options->data);
  }
  evd_code code = sql_client_execute(migrator->client, sql, error);
  if (code != EVD_OK) {
    explain_failed_step(migrator->result, what, error);
    return error->code;
  }
  migrator->result->steps++;
  return EVD_OK;
}

static evd_code run_plan(struct migrator *migrator, const struct plan *plan, evd_error *error) {
  const struct step *step;
  LL_FOREACH (plan->first, step) {
    evd_code code = run_step(migrator, step->what, step->sql, error);
    if (code != EVD_OK) {
      return code;
    }
  }
  return EVD_OK;
}

/* Migration 1. */

/* Reads what there is and makes the plan; both are to be freed when it succeeds. */
static evd_code base_plan(struct migrator *migrator, struct catalog *catalog, struct plan *plan,
                          evd_error *error) {
  evd_code code = catalog_read(migrator->client, migrator->table, catalog, error);
  if (code != EVD_OK) {
    return code;
  }
  code = plan_make(catalog, migrator->table, &migrator->options->schema, !migrator->was_applied,
                   plan, error);
  if (code != EVD_OK) {
    catalog_free(catalog);
  }
  return code;
}

static bool drops_strict(const struct migrator *migrator, const struct catalog *catalog) {
  return migrator->options->drop_strict && catalog->strict;
}

static evd_code base_look(struct migrator *migrator, bool *pending, evd_error *error) {
  struct catalog catalog;
  struct plan plan;
  evd_code code = base_plan(migrator, &catalog, &plan, error);
  if (code == EVD_OK) {
    *pending = plan.first != NULL || drops_strict(migrator, &catalog);
    plan_free(&plan);
    catalog_free(&catalog);
  }
  return code;
}

static evd_code base_apply(struct migrator *migrator, evd_error *error) {
  struct catalog catalog;
  struct plan plan;
  evd_code code = base_plan(migrator, &catalog, &plan, error);
  if (code != EVD_OK) {
    return code;
  }
  code = run_plan(migrator, &plan, error);
  plan_free(&plan);
  if (code == EVD_OK && drops_strict(migrator, &catalog)) {
    struct buffer sql = {0};
    strict_drop(&sql, catalog.dialect, migrator->table);
    code = sql.failed
               ? error_set_no_memory(error)
               : run_step(migrator, "drop the trigger of strict transitions", sql.text, error);
    buffer_free(&sql);
  }
  catalog_free(&catalog);
  return code;
}

/* The table of migrations: number 1 first. */
static const struct migration migrations[] = {
    {"table_and_indexes", script_append, base_apply, base_look, true},
};

enum { MIGRATION_COUNT = sizeof migrations / sizeof migrations[0] };

int migrate_count(void) {
  return MIGRATION_COUNT;
}

const char *migrate_name(int number) {
  return number >= 1 && number <= MIGRATION_COUNT ? migrations[number - 1].name : NULL;
}

/* The record. */

static struct table_name record_name(const struct table_name *table) {
  struct table_name name = *table;
  snprintf(name.name, sizeof name.name, "%.48s_migrations", table->name);
  return name;
}

static void append_record_table(struct buffer *buffer, const struct dialect *dialect,
                                const struct table_name *table) {
  struct table_name record = record_name(table);
  const char *text = dialect->types[COLUMN_ID];
  buffer_append(buffer, "create table if not exists ");
  sql_table(buffer, dialect, &record);
  buffer_printf(buffer,
                " (\n  number integer primary key,\n  name %s not null,\n"
                "  applied_at bigint not null,\n  version %s not null\n)%s;\n",
                text, text, dialect->framework_options);
}

/* Appends what records that a migration was done; a second time it does nothing. */
static void append_record(struct buffer *buffer, int number, const struct dialect *dialect,
                          const struct table_name *table) {
  struct table_name record = record_name(table);
  buffer_printf(buffer, "%s ", dialect->insert_missing);
  sql_table(buffer, dialect, &record);
  buffer_printf(buffer, " (number, name, applied_at, version)\n  values (%d, '%s', %s, '%s')%s;\n",
                number, migrate_name(number), dialect->now, PACKAGE_VERSION, dialect->on_duplicate);
}

void migrate_sql(struct buffer *buffer, int number, const struct dialect *dialect,
                 const struct table_name *table, const evd_schema_options *options) {
  migrations[number - 1].sql(buffer, dialect, table, options);
  append_record_table(buffer, dialect, table);
  append_record(buffer, number, dialect, table);
}

/* Reading the record. */

struct reading {
  struct migrate_state *states;
  size_t count;
  bool unfit; /* a row is of no migration */
};

/* A number as a database prints it. */
static bool read_number(const char *text, int64_t *number) {
  char *end;
  errno = 0;
  *number = text != NULL ? strtoll(text, &end, 10) : 0;
  return text != NULL && end > text && *end == '\0' && errno == 0;
}

/* The state with this number; one is added for a migration of a later library. NULL when there are
 * too many. */
static struct migrate_state *state_of(struct reading *reading, int number, const char *name) {
  for (size_t i = 0; i < reading->count; i++) {
    if (reading->states[i].number == number) {
      return &reading->states[i];
    }
  }
  if (reading->count == MIGRATE_STATES_MAX) {
    return NULL;
  }
  struct migrate_state *state = &reading->states[reading->count++];
  *state = (struct migrate_state){.number = number};
  snprintf(state->name, sizeof state->name, "%s", name);
  return state;
}

/* Takes a row of the record. The table may be another's, or have been made without "not null". */
static bool read_record(const char *const *values, void *data) {
  struct reading *reading = data;
  const char *name = values[1];
  const char *version = values[3];
  int64_t number;
  int64_t applied_at;
  if (!read_number(values[0], &number) || number < 1 || number > INT_MAX || name == NULL ||
      !read_number(values[2], &applied_at) || version == NULL) {
    reading->unfit = true;
    return false;
  }
  struct migrate_state *state = state_of(reading, (int)number, name);
  if (state == NULL) {
    return false;
  }
  state->applied = true;
  state->applied_at = applied_at;
  snprintf(state->version, sizeof state->version, "%s", version);
  return true;
}

/* Says that a table with the record's name is none. */
static evd_code refuse_record(const struct table_name *record, const char *why, evd_error *error) {
  return error_set(error, EVD_ESCHEMA, "table",
                   "%s%s%s is no record of migrations of evdurable (%.128s); rename it, or "
                   "call the table of executions otherwise",
                   record->schema, record->schema[0] != '\0' ? "." : "", record->name, why);
}

static evd_code read_records(struct sql_client *client, const struct table_name *record,
                             struct reading *reading, evd_error *error) {
  struct buffer sql = {0};
  buffer_append(&sql, "select number, name, applied_at, version from ");
  sql_table(&sql, sql_client_dialect(client), record);
  buffer_append(&sql, " order by number");
  evd_code code = sql.failed
                      ? error_set_no_memory(error)
                      : sql_client_query(client, sql.text, NULL, read_record, reading, error);
  buffer_free(&sql);
  if (code == EVD_ESCHEMA) {
    evd_error cause = *error;
    return refuse_record(record, cause.message, error);
  }
  if (code == EVD_OK && reading->unfit) {
    return refuse_record(record, "a row is of no migration", error);
  }
  return code;
}

/* Looks for a record that the catalog does not show: only the refusal to read it tells. */
static evd_code look_for_hidden(struct sql_client *client, const struct table_name *record,
                                evd_error *error) {
  const struct dialect *dialect = sql_client_dialect(client);
  if (!dialect->hides_tables) {
    return EVD_OK;
  }
  struct buffer sql = {0};
  buffer_append(&sql, "select 1 from ");
  sql_table(&sql, dialect, record);
  buffer_append(&sql, " limit 0");
  evd_code code =
      sql.failed ? error_set_no_memory(error) : sql_client_execute(client, sql.text, error);
  buffer_free(&sql);
  return code == EVD_ESCHEMA ? EVD_OK : code;
}

/* Notes that the record may be there, but may not be read. */
static void note_unread(struct reading *reading) {
  for (size_t i = 0; i < reading->count; i++) {
    reading->states[i].unread = true;
  }
}

evd_code migrate_read(struct sql_client *client, const struct table_name *table,
                      struct migrate_state states[MIGRATE_STATES_MAX], size_t *count,
                      evd_error *error) {
  struct reading reading = {.states = states};
  *count = 0;
  if (table_name_check(table, sql_client_dialect(client), error) != EVD_OK) {
    return error->code;
  }
  for (int number = 1; number <= MIGRATION_COUNT; number++) {
    struct migrate_state *state = &states[reading.count++];
    *state = (struct migrate_state){.number = number, .known = true};
    snprintf(state->name, sizeof state->name, "%s", migrate_name(number));
  }
  struct table_name record = record_name(table);
  enum catalog_kind kind;
  evd_code code = catalog_find(client, &record, &kind, error);
  if (code == EVD_OK && kind == CATALOG_OTHER) {
    code = refuse_record(&record, "it is no table", error);
  } else if (code == EVD_OK && kind == CATALOG_TABLE) {
    code = read_records(client, &record, &reading, error);
  } else if (code == EVD_OK) {
    code = look_for_hidden(client, &record, error);
  }
  if (code != EVD_OK && sql_client_is_denied(client, error)) {
    note_unread(&reading);
    code = EVD_OK;
  }
  *count = reading.count;
  return code;
}

/* Running. */

static evd_code make_record_table(struct migrator *migrator, evd_error *error) {
  struct buffer sql = {0};
  append_record_table(&sql, sql_client_dialect(migrator->client), migrator->table);
  evd_code code = sql.failed ? error_set_no_memory(error)
                             : sql_client_execute(migrator->client, sql.text, error);
  buffer_free(&sql);
  return code;
}

static evd_code record(struct migrator *migrator, int number, evd_error *error) {
  struct buffer sql = {0};
  char what[64];
  append_record(&sql, number, sql_client_dialect(migrator->client), migrator->table);
  snprintf(what, sizeof what, "record migration %d", number);
  evd_code code =
      sql.failed ? error_set_no_memory(error) : run_step(migrator, what, sql.text, error);
  buffer_free(&sql);
  return code;
}

/* Runs what is to be run, under the lock. */
static evd_code run_all(struct migrator *migrator, evd_error *error) {
  struct migrate_state states[MIGRATE_STATES_MAX] = {{0}};
  size_t count;
  evd_code code = make_record_table(migrator, error);
  if (code == EVD_OK) {
    code = migrate_read(migrator->client, migrator->table, states, &count, error);
  }
  for (int number = 1; code == EVD_OK && number <= MIGRATION_COUNT; number++) {
    const struct migration *migration = &migrations[number - 1];
    migrator->was_applied = states[number - 1].applied;
    if (!migrator->was_applied || migration->mends) {
      code = migration->apply(migrator, error);
    }
    if (code == EVD_OK && !migrator->was_applied) {
      code = record(migrator, number, error);
    }
  }
  return code;
}

/* What there is to be done, as it looks without the lock: what others undo meanwhile they might as well
 * undo a moment later. Errors are told by whoever has the lock. */
struct outlook {
  bool complete; /* the table lacks nothing */
  bool recorded; /* all migrations are recorded, or who knows */
};

static struct outlook look_out(struct migrator *migrator) {
  struct migrate_state states[MIGRATE_STATES_MAX] = {{0}};
  struct outlook outlook = {.complete = true, .recorded = true};
  size_t count;
  evd_error ignored;
  if (migrate_read(migrator->client, migrator->table, states, &count, &ignored) != EVD_OK) {
    return (struct outlook){.complete = false};
  }
  for (int number = 1; number <= MIGRATION_COUNT; number++) {
    const struct migration *migration = &migrations[number - 1];
    const struct migrate_state *state = &states[number - 1];
    bool pending = !state->applied && !migration->mends;
    migrator->was_applied = state->applied || state->unread;
    if (!pending && migration->mends && migration->look(migrator, &pending, &ignored) != EVD_OK) {
      pending = true;
    }
    outlook.complete = outlook.complete && !pending;
    outlook.recorded = outlook.recorded && (state->applied || state->unread);
  }
  return outlook;
}

/* Does it, with the lock that another's migration waits for. */
static evd_code lock_and_run(struct migrator *migrator, evd_error *error) {
  const struct migrate_options *options = migrator->options;
  struct migrate_lock lock;
  evd_code code = lock_take(&lock, migrator->client, migrator->table, options->schema.concurrently,
                            options->wait_ms, error);
  if (code != EVD_OK) {
    return code;
  }
  migrator->result->is_transaction = lock.is_transaction;
  code = run_all(migrator, error);
  evd_code released = lock_release(&lock, code != EVD_OK, error);
  if (code == EVD_OK && released != EVD_OK) {
    explain_failed_commit(error);
    code = released;
  }
  return code;
}

evd_code migrate_up(struct sql_client *client, const struct table_name *table,
                    const struct migrate_options *options, struct migrate_result *result,
                    evd_error *error) {
  struct migrator migrator = {
      .client = client, .table = table, .options = options, .result = result};
  *result = (struct migrate_result){0};
  evd_code code = table_name_check(table, sql_client_dialect(client), error);
  if (code != EVD_OK) {
    return code;
  }
  struct outlook outlook = look_out(&migrator);
  if (outlook.complete && outlook.recorded) {
    return EVD_OK;
  }
  code = lock_and_run(&migrator, error);
  if (code != EVD_OK && outlook.complete && sql_client_is_denied(client, error)) {
    *result = (struct migrate_result){0};
    return EVD_OK; /* only the record is missing, and is for somebody else to write */
  }
  return code;
}
