/* evdurable doctor: whether the database's settings are those that durable work needs. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "async/clock.h"
#include "cli/cli.h"
#include "cli/findings.h"
#include "cli/table.h"
#include "migrate/privileges.h"
#include "model/error.h"

static const char help[] =
    "Usage: evdurable doctor [OPTION...]\n"
    "\n"
    "Checks the database's version, the settings that matter to durability, whether it accepts writes,\n"
    "and the user's privileges, and compares its clock with this machine's. Exits with 3 if something\n"
    "should be changed.\n"
    "\n"
    "Examples:\n"
    "  evdurable doctor\n"
    "  evdurable doctor --json | jq .values\n";

enum { SKEW_MS = 1000, ROUND_TRIPS = 5 };

/* What is asked. */
struct examination {
  struct cli *cli;
  struct sql_client *client;
  struct findings findings;
  struct table table;
  cJSON *values;
};

static void add_value(struct examination *examination, const char *name, const char *value) {
  cJSON_AddStringToObject(examination->values, name, value);
  table_add(&examination->table, (const char *const[]){name, value}, 80);
}

/* Whether a value is one of "a|b|c". */
static bool is_one_of(const char *value, const char *good) {
  while (*good != '\0') {
    size_t length = strcspn(good, "|");
    if (strlen(value) == length && strncasecmp(value, good, length) == 0) {
      return true;
    }
    good += length + (good[length] == '|');
  }
  return false;
}

/* Whether a setting could not be read because the server has none of its name: versions and forks
 * differ. */
static bool is_unknown(const struct sql_client *client, const evd_error *error) {
  const char *unknown_setting = sql_client_dialect(client)->unknown_setting;
  return unknown_setting != NULL && strcmp(error->native, unknown_setting) == 0;
}

/* Asks for one setting; one that the server does not know is passed over. */
static evd_code examine(struct examination *examination, const struct setting *setting,
                        evd_error *error) {
  char *value;
  evd_code code = sql_client_text(examination->client, setting->sql, NULL, &value, error);
  if (code != EVD_OK) {
    evd_error cause = *error;
    if (is_unknown(examination->client, &cause)) {
      return EVD_OK;
    }
    error_set(error, code, "", "the setting %s cannot be read: %s", setting->name, cause.message);
    error_set_native(error, cause.native);
    return code;
  }
  if (value != NULL) {
    char object[96];
    snprintf(object, sizeof object, "setting %s", setting->name);
    add_value(examination, setting->name, value);
    bool is_good = (setting->good == NULL || is_one_of(value, setting->good)) &&
                   (setting->least == 0 || strtoll(value, NULL, 10) >= setting->least);
    if (!is_good) {
      findings_add(&examination->findings, setting->severity, object, "", "is %s: %s", value,
                   setting->advice);
    }
  }
  free(value);
  return EVD_OK;
}

/* The shortest time of a statement that does nothing. */
static evd_code measure_round_trip(struct examination *examination, evd_error *error) {
  double shortest = INFINITY;
  for (int i = 0; i < ROUND_TRIPS; i++) {
    int64_t one;
    double begin = clock_seconds();
    evd_code code = sql_client_integer(examination->client, "select 1", NULL, 0, &one, error);
    if (code != EVD_OK) {
      return code;
    }
    shortest = fmin(shortest, clock_seconds() - begin);
  }
  char text[32];
  snprintf(text, sizeof text, "%.3f ms", shortest * 1e3);
  add_value(examination, "round trip", text);
  return EVD_OK;
}

/* Compares the server's clock with ours: start_at and the like are told by the clocks of
 * executors. */
static evd_code compare_clocks(struct examination *examination, evd_error *error) {
  char sql[160];
  int64_t theirs;
  snprintf(sql, sizeof sql, "select %s", sql_client_dialect(examination->client)->now);
  int64_t before = evd_now();
  evd_code code = sql_client_integer(examination->client, sql, NULL, before, &theirs, error);
  if (code != EVD_OK) {
    return code;
  }
  int64_t after = evd_now();
  int64_t skew = theirs < before ? theirs - before : theirs > after ? theirs - after : 0;
  char text[32];
  snprintf(text, sizeof text, "%" PRId64 " ms", skew);
  add_value(examination, "clock skew", text);
  if (llabs(skew) > SKEW_MS) {
    findings_add(&examination->findings, SEVERITY_WARNING, "clock", "",
                 "of the server differs by %" PRId64 " ms: where clocks differ, executors run too "
                 "early or too late, and take each other's runs for expired",
                 skew);
  }
  return EVD_OK;
}

/* Whether a file takes writes: only a write tells, for the file, its directory or the whole
 * file system may be read-only. It is taken back. Where another has the lock, it takes theirs. */
static void try_to_write(struct examination *examination) {
  evd_error error;
  evd_error ignored;
  evd_code code = sql_client_execute(examination->client, "begin immediate", &error);
  if (code == EVD_OK) {
    code = sql_client_execute(examination->client, "pragma user_version = 1", &error);
    sql_client_execute(examination->client, "rollback", &ignored);
  }
  bool takes_writes = code == EVD_OK || code == EVD_ECONFLICT;
  add_value(examination, "accepts writes", takes_writes ? "yes" : "no");
  if (!takes_writes) {
    findings_add(&examination->findings, SEVERITY_ERROR, "database", "", "accepts no writes: %s",
                 error.message);
  }
}

static evd_code examine_all(struct examination *examination, evd_error *error) {
  const struct dialect *dialect = sql_client_dialect(examination->client);
  evd_code code = EVD_OK;
  add_value(examination, "database", sql_client_place(examination->client));
  for (const struct setting *setting = dialect->settings; code == EVD_OK && setting->name != NULL;
       setting++) {
    code = examine(examination, setting, error);
  }
  if (code == EVD_OK && !dialect->is_server) {
    try_to_write(examination);
  }
  if (code == EVD_OK && dialect->is_server) {
    code = measure_round_trip(examination, error);
  }
  if (code == EVD_OK && dialect->is_server) {
    code = compare_clocks(examination, error);
  }
  if (code == EVD_OK) {
    bool hidden;
    code = privileges_find(examination->client, &examination->cli->table, &examination->findings,
                           &hidden, error);
  }
  return code;
}

/* Prints the values, and then what was found. */
static int print_all(struct examination *examination) {
  const struct findings *findings = &examination->findings;
  if (!examination->cli->json) {
    table_end(&examination->table);
    putchar('\n');
    return cli_print_findings(examination->cli, findings);
  }
  cJSON *json = cli_findings_json(findings);
  cJSON_AddItemToObject(json, "values", examination->values);
  examination->values = NULL;
  int status = cli_print_json(json);
  return status == CLI_OK && findings_worst(findings) != SEVERITY_NOTE ? CLI_FOUND : status;
}

static int run(struct cli *cli, int argc, char **argv) {
  static const struct option options[] = {CLI_COMMON_OPTIONS, {NULL, 0, NULL, 0}};
  int option = cli_next_option(cli, argc, argv, options, help);
  if (option != -1) {
    return cli_end_of_options(option);
  }
  if (optind < argc) {
    return cli_usage("unexpected argument \"%s\"", argv[optind]);
  }
  int status;
  struct examination examination = {.cli = cli};
  examination.client = cli_connect(cli, false, &status);
  if (examination.client == NULL) {
    return status;
  }
  evd_error error;
  examination.values = cJSON_CreateObject();
  table_begin(&examination.table, 2, (const char *const[]){"SETTING", "VALUE"});
  status = examine_all(&examination, &error) == EVD_OK ? print_all(&examination) : cli_fail(&error);
  table_free(&examination.table);
  findings_free(&examination.findings);
  cJSON_Delete(examination.values);
  sql_client_close(examination.client);
  return status;
}

const struct cli_command cli_doctor = {"doctor", "check the database's settings", run};
