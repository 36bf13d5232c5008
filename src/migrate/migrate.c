/* Runs the steps of the migrations, and records them. */
#include "migrate/migrate.h"

#include <stdio.h>

#include "config.h"
#include "migrate/lock.h"
#include "migrate/situation.h"
#include "model/error.h"
#include "sql/script.h"

/* A migration under way. */
struct migrator {
  struct sql_client *client;
  const struct table_name *table;
  const struct migrate_options *options;
  struct migrate_result *result;
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

/* The outcome of a commit without an answer is unknown. */
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

/* Runs the steps of a migration, or (0) of options, and moves *step past them. */
static evd_code run_steps(struct migrator *migrator, int number, const struct step **step,
                          evd_error *error) {
  for (; *step != NULL && (*step)->number == number; *step = (*step)->next) {
    evd_code code = run_step(migrator, (*step)->what, (*step)->sql, error);
    if (code != EVD_OK) {
      return code;
    }
  }
  return EVD_OK;
}

static evd_code make_record_table(struct migrator *migrator, evd_error *error) {
  struct buffer sql = {0};
  record_append_table(&sql, sql_client_dialect(migrator->client), migrator->table);
  evd_code code = sql.failed ? error_set_no_memory(error)
                             : sql_client_execute(migrator->client, sql.text, error);
  buffer_free(&sql);
  return code;
}

static evd_code record(struct migrator *migrator, int number, evd_error *error) {
  struct buffer sql = {0};
  char what[64];
  record_append(&sql, number, PACKAGE_VERSION, sql_client_dialect(migrator->client),
                migrator->table);
  snprintf(what, sizeof what, "record migration %d", number);
  evd_code code =
      sql.failed ? error_set_no_memory(error) : run_step(migrator, what, sql.text, error);
  buffer_free(&sql);
  return code;
}

/* Runs the migrations in their order, each recorded once all its steps are done. */
static evd_code run_migrations(struct migrator *migrator, const struct situation *situation,
                               evd_error *error) {
  const struct step *step = situation->plan.first;
  for (int number = 1; number <= SCHEMA_VERSION; number++) {
    evd_code code = run_steps(migrator, number, &step, error);
    if (code == EVD_OK && !situation->record.migrations[number - 1].applied) {
      code = record(migrator, number, error);
    }
    if (code != EVD_OK) {
      return code;
    }
  }
  return run_steps(migrator, 0, &step, error);
}

static evd_code read_situation(struct migrator *migrator, struct situation *situation,
                               evd_error *error) {
  const struct migrate_options *options = migrator->options;
  return situation_read(migrator->client, migrator->table, &options->schema, options->drop_strict,
                        situation, error);
}

/* Does all there is to do, under the lock. */
static evd_code run_all(struct migrator *migrator, evd_error *error) {
  struct situation situation;
  evd_code code = make_record_table(migrator, error);
  if (code == EVD_OK) {
    code = read_situation(migrator, &situation, error);
  }
  if (code != EVD_OK) {
    return code;
  }
  if (situation.refusal.code != EVD_OK) {
    *error = situation.refusal;
    code = error->code;
  } else {
    code = run_migrations(migrator, &situation, error);
  }
  situation_free(&situation);
  return code;
}

/* What there is to be done, as it looks without the lock: what others undo meanwhile they might as
 * well undo a moment later. Errors are told by whoever has the lock. */
struct outlook {
  bool complete; /* the table lacks nothing */
  bool recorded; /* all migrations are recorded, or may be */
};

static struct outlook look_out(struct migrator *migrator) {
  struct situation situation;
  evd_error ignored;
  if (read_situation(migrator, &situation, &ignored) != EVD_OK) {
    return (struct outlook){.complete = false};
  }
  struct outlook outlook = {.complete = situation_is_complete(&situation),
                            .recorded = record_is_complete(&situation.record)};
  situation_free(&situation);
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

void migrate_sql(struct buffer *buffer, int number, const struct dialect *dialect,
                 const struct table_name *table, const evd_schema_options *options) {
  script_migrate(buffer, dialect, table, options, number);
  record_append_table(buffer, dialect, table);
  record_append(buffer, number, NULL, dialect, table);
}
