/* evdurable migrate: brings the table up to date, says whether it is, or prints the SQL. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/table.h"
#include "cli/text.h"
#include "migrate/migrate.h"
#include "migrate/situation.h"

static const char help[] =
    "Usage: evdurable migrate up|status|sql [OPTION...]\n"
    "\n"
    "  up      creates the table, or adds what it lacks; safe to run at every start and from many\n"
    "          places at once\n"
    "  status  prints which migrations are applied and which steps are pending (exit status 3 if any)\n"
    "  sql     prints the SQL, for another migration tool\n"
    "\n"
    "  --concurrently   up, sql: PostgreSQL builds indexes without blocking writers\n"
    "  --strict         up, sql: adds a trigger that refuses to change the status of a finished\n"
    "                   execution\n"
    "  --no-strict      up: drops that trigger\n"
    "  --framework      up, sql: creates a table as the TypeScript package does\n"
    "  --engine NAME    sql: sqlite, postgres or mysql, instead of a URL\n"
    "  --write DIR      sql: writes each migration to a file of its own in DIR, which it creates\n"
    "                   (0001_table_and_indexes.sql, ...); files that exist are left as they are\n"
    "  --from NUMBER    sql: only migrations from this number on\n"
    "\n"
    "Examples:\n"
    "  evdurable migrate up --url sqlite:app.db\n"
    "  evdurable migrate up --url postgresql://app@db/app --table app.tasks --concurrently\n"
    "  evdurable migrate status\n"
    "  evdurable migrate sql --engine postgres --write migrations/\n";

struct arguments {
  struct migrate_options options;
  const char *engine;
  const char *directory;
  int64_t from; /* the first number */
};

/* up */

/* What is said of the steps. */
struct telling {
  bool json;
  cJSON *steps;
};

static void tell_step(const char *what, void *data) {
  struct telling *telling = data;
  if (telling->json) {
    cJSON_AddItemToArray(telling->steps, cJSON_CreateString(what));
  } else {
    printf("%s\n", what);
    fflush(stdout);
  }
}

static int print_result(const struct cli *cli, struct telling *telling, size_t steps) {
  if (!cli->json) {
    puts(steps == 0 ? "nothing to do" : "done");
    return CLI_OK;
  }
  cJSON *json = cJSON_CreateObject();
  cJSON_AddItemToObject(json, "steps", telling->steps);
  telling->steps = NULL;
  return cli_print_json(json);
}

static int run_up(struct cli *cli, struct arguments *arguments) {
  int status;
  struct sql_client *client = cli_connect(cli, true, &status);
  if (client == NULL) {
    return status;
  }
  struct telling telling = {.json = cli->json, .steps = cJSON_CreateArray()};
  struct migrate_result result;
  evd_error error;
  arguments->options.step = tell_step;
  arguments->options.data = &telling;
  arguments->options.wait_ms = MIGRATE_WAIT_MS;
  if (migrate_up(client, &cli->table, &arguments->options, &result, &error) == EVD_OK) {
    status = print_result(cli, &telling, result.steps);
  } else {
    status = cli_fail(&error);
  }
  cJSON_Delete(telling.steps);
  sql_client_close(client);
  return status;
}

/* status */

static int print_status_json(const struct situation *situation) {
  cJSON *json = cJSON_CreateObject();
  cJSON *list = cJSON_AddArrayToObject(json, "migrations");
  for (size_t i = 0; i < situation->record.count; i++) {
    const struct migration *migration = &situation->record.migrations[i];
    cJSON *item = cJSON_CreateObject();
    cli_json_integer(item, "number", migration->number);
    cJSON_AddStringToObject(item, "name", migration->name);
    if (!migration->unread) {
      cJSON_AddBoolToObject(item, "applied", migration->applied);
    }
    if (migration->applied) {
      cli_json_integer(item, "appliedAt", migration->applied_at);
      cJSON_AddStringToObject(item, "version", migration->version);
    }
    cJSON_AddItemToArray(list, item);
  }
  list = cJSON_AddArrayToObject(json, "pendingSteps");
  for (const struct step *step = situation->plan.first; step != NULL; step = step->next) {
    cJSON_AddItemToArray(list, cJSON_CreateString(step->what));
  }
  return cli_print_json(json);
}

static int print_status(const struct situation *situation) {
  struct table table;
  table_begin(&table, 4, (const char *const[]){">NUMBER", "MIGRATION", "APPLIED", "VERSION"});
  for (size_t i = 0; i < situation->record.count; i++) {
    const struct migration *migration = &situation->record.migrations[i];
    char number[16];
    char time[32];
    snprintf(number, sizeof number, "%d", migration->number);
    snprintf(time, sizeof time, "%s", migration->unread ? "permission denied" : "not yet");
    if (migration->applied) {
      text_time(migration->applied_at, time, sizeof time);
    }
    table_add(&table, (const char *const[]){number, migration->name, time, migration->version}, 64);
  }
  table_end(&table);
  if (situation->plan.first != NULL) {
    puts("\n`evdurable migrate up` would:");
  }
  for (const struct step *step = situation->plan.first; step != NULL; step = step->next) {
    printf("  %s\n", step->what);
  }
  return CLI_OK;
}

static int run_status(struct cli *cli) {
  int status;
  struct sql_client *client = cli_connect(cli, false, &status);
  if (client == NULL) {
    return status;
  }
  struct situation situation;
  evd_schema_options schema = {.table = NULL};
  evd_error error;
  if (situation_read(client, &cli->table, &schema, false, &situation, &error) != EVD_OK) {
    status = cli_fail(&error);
  } else {
    bool pending = !situation_is_complete(&situation) || !record_is_complete(&situation.record);
    if (situation.refusal.code != EVD_OK) {
      status = cli_fail(&situation.refusal);
    } else {
      status = cli->json ? print_status_json(&situation) : print_status(&situation);
      status = status == CLI_OK && pending ? CLI_FOUND : status;
    }
    situation_free(&situation);
  }
  sql_client_close(client);
  return status;
}

/* sql */

/* Whether a file's text is this. */
static bool file_has(FILE *file, const char *text) {
  while (*text != '\0' && fgetc(file) == (unsigned char)*text) {
    text++;
  }
  return *text == '\0' && fgetc(file) == EOF;
}

/* Leaves a file that is there as it is, for the other tool has applied it, and says so if it is not
 * the migration's. */
static int keep_file(const char *path, const char *sql) {
  FILE *file = fopen(path, "r");
  if (file == NULL) {
    return cli_fail_text("%s: %s", path, strerror(errno));
  }
  if (!file_has(file, sql)) {
    fprintf(stderr, "evdurable: %s exists and differs from what would be written; not changed\n",
            path);
  }
  fclose(file);
  return CLI_OK;
}

/* Writes a migration's file, if it is new. */
static int write_file(const char *directory, int number, const char *sql) {
  char path[4096];
  int length = snprintf(path, sizeof path, "%s/%04d_%s.sql", directory, number,
                        record_migration_name(number));
  if (length >= (int)sizeof path) {
    return cli_fail_text("%s: %s", directory, strerror(ENAMETOOLONG));
  }
  FILE *file = fopen(path, "wx");
  if (file == NULL && errno == EEXIST) {
    return keep_file(path, sql);
  }
  if (file == NULL) {
    return cli_fail_text("%s: %s", path, strerror(errno));
  }
  bool good = fputs(sql, file) >= 0;
  good = fclose(file) == 0 && good;
  if (!good) {
    int status = cli_fail_text("%s: %s", path, strerror(errno));
    remove(path); /* half a file would be taken for one that exists */
    return status;
  }
  puts(path);
  return CLI_OK;
}

static int run_sql(struct cli *cli, const struct arguments *arguments) {
  evd_error error;
  const struct dialect *dialect = cli_find_dialect(cli, arguments->engine);
  if (dialect == NULL) {
    return CLI_USAGE;
  }
  if (table_name_parse(cli->table_text, &cli->table, &error) != EVD_OK) {
    return cli_usage("%s", error.message);
  }
  if (arguments->directory != NULL && mkdir(arguments->directory, 0777) != 0 && errno != EEXIST) {
    return cli_fail_text("%s: %s", arguments->directory, strerror(errno));
  }
  int status = CLI_OK;
  for (int64_t number = arguments->from; status == CLI_OK && number <= SCHEMA_VERSION; number++) {
    struct buffer sql = {0};
    migrate_sql(&sql, (int)number, dialect, &cli->table, &arguments->options.schema);
    if (sql.failed) {
      status = cli_fail_text("out of memory");
    } else if (arguments->directory != NULL) {
      status = write_file(arguments->directory, (int)number, sql.text);
    } else {
      fputs(sql.text, stdout);
    }
    buffer_free(&sql);
  }
  return status;
}

/* The command line. */

enum {
  OPTION_CONCURRENTLY = 1,
  OPTION_STRICT,
  OPTION_NO_STRICT,
  OPTION_FRAMEWORK,
  OPTION_ENGINE,
  OPTION_WRITE,
  OPTION_FROM
};

static const struct option options[] = {CLI_COMMON_OPTIONS,
                                        {"concurrently", no_argument, NULL, OPTION_CONCURRENTLY},
                                        {"strict", no_argument, NULL, OPTION_STRICT},
                                        {"no-strict", no_argument, NULL, OPTION_NO_STRICT},
                                        {"framework", no_argument, NULL, OPTION_FRAMEWORK},
                                        {"engine", required_argument, NULL, OPTION_ENGINE},
                                        {"write", required_argument, NULL, OPTION_WRITE},
                                        {"from", required_argument, NULL, OPTION_FROM},
                                        {NULL, 0, NULL, 0}};

/* Takes an option; false for a number that is none. */
static bool take_option(struct arguments *arguments, int option) {
  evd_schema_options *schema = &arguments->options.schema;
  switch (option) {
  case OPTION_CONCURRENTLY: schema->concurrently = true; break;
  case OPTION_STRICT: schema->strict_transitions = true; break;
  case OPTION_NO_STRICT: arguments->options.drop_strict = true; break;
  case OPTION_FRAMEWORK: schema->framework_shape = true; break;
  case OPTION_ENGINE: arguments->engine = optarg; break;
  case OPTION_WRITE: arguments->directory = optarg; break;
  case OPTION_FROM: return text_read_number(optarg, 1, &arguments->from);
  default: break;
  }
  return true;
}

static int run(struct cli *cli, int argc, char **argv) {
  struct arguments arguments = {.from = 1};
  int option;
  while ((option = cli_next_option(cli, argc, argv, options, help)) != -1) {
    if (option == '?' || option == CLI_OPTION_HELP) {
      return cli_end_of_options(option);
    }
    if (!take_option(&arguments, option)) {
      return cli_usage("--from must be an integer of at least 1");
    }
  }
  if (argc - optind != 1) {
    return cli_usage("use migrate up, migrate status or migrate sql");
  }
  if (arguments.options.drop_strict && arguments.options.schema.strict_transitions) {
    return cli_usage("--strict and --no-strict cannot be combined");
  }
  const char *what = argv[optind];
  if (strcmp(what, "up") == 0) {
    return run_up(cli, &arguments);
  }
  if (strcmp(what, "status") == 0) {
    return run_status(cli);
  }
  if (strcmp(what, "sql") == 0) {
    return run_sql(cli, &arguments);
  }
  return cli_usage("unknown command \"migrate %s\"; use migrate up, migrate status or migrate sql",
                   what);
}

const struct cli_command cli_migrate = {"migrate", "create or upgrade the table", run};
