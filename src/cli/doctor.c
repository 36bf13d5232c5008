/* evdurable doctor: whether the database's settings are those that durable work needs. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"
#include "cli/findings.h"
#include "cli/table.h"
#include "engine/clock.h"
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

/* A setting, and what it should be. */
struct setting {
  const char *name;
  const char *sql;  /* its value, as text */
  const char *good; /* values that are good, "|" between; NULL: any is */
  int64_t least;    /* or: a number at least so large; 0: any is */
  enum finding_level level;
  const char *advice; /* why another is not good */
};

static const struct setting sqlite_settings[] = {
    {"version", "select sqlite_version()", NULL, 0, FINDING_NOTE, NULL},
    {"journal_mode", "pragma journal_mode", "wal", 0, FINDING_WARNING,
     "in modes other than wal, readers and writers block each other; a storage switches to wal when "
     "it opens the database, unless its URL says otherwise"},
    {"page_size", "pragma page_size", NULL, 0, FINDING_NOTE, NULL},
    {"page_count", "pragma page_count", NULL, 0, FINDING_NOTE, NULL},
    {"freelist_count", "pragma freelist_count", NULL, 0, FINDING_NOTE, NULL},
    {"auto_vacuum", "pragma auto_vacuum", NULL, 0, FINDING_NOTE, NULL},
    {"encoding", "pragma encoding", "UTF-8", 0, FINDING_WARNING,
     "every statement converts its texts to UTF-8 and back"},
    {NULL, NULL, NULL, 0, FINDING_NOTE, NULL}};

#define POSTGRES_SETTING(name) "select current_setting('" name "')"

static const struct setting postgres_settings[] = {
    {"version", "select current_setting('server_version_num')", NULL, 140000, FINDING_ERROR,
     "evdurable needs PostgreSQL 14 or later"},
    {"in recovery", "select pg_is_in_recovery()::int", "0", 0, FINDING_ERROR,
     "this is a standby: it accepts no writes"},
    {"fsync", POSTGRES_SETTING("fsync"), "on", 0, FINDING_ERROR,
     "a system crash can destroy the database"},
    {"full_page_writes", POSTGRES_SETTING("full_page_writes"), "on", 0, FINDING_ERROR,
     "a system crash can destroy pages"},
    {"synchronous_commit", POSTGRES_SETTING("synchronous_commit"),
     "on|local|remote_write|remote_apply", 0, FINDING_WARNING,
     "a crash loses what was acknowledged just before it"},
    {"autovacuum", POSTGRES_SETTING("autovacuum"), "on", 0, FINDING_WARNING,
     "each execution is updated several times: without vacuum the table grows without limit"},
    {"default_transaction_isolation", POSTGRES_SETTING("default_transaction_isolation"),
     "read committed", 0, FINDING_WARNING,
     "concurrent claims then fail with serialization errors and are retried, unless the URL sets "
     "isolation"},
    {"server_encoding", POSTGRES_SETTING("server_encoding"), "UTF8|SQL_ASCII", 0, FINDING_WARNING,
     "texts with characters outside it are refused"},
    {"no encoding", "select (current_setting('server_encoding') = 'SQL_ASCII')::int", "0", 0,
     FINDING_WARNING,
     "SQL_ASCII accepts any bytes: texts from other programs that are not UTF-8 cannot be read, and "
     "JSON with \\u escapes beyond ASCII is refused"},
    {"max_connections", POSTGRES_SETTING("max_connections"), NULL, 0, FINDING_NOTE, NULL},
    {"connections", "select count(*) from pg_stat_activity where backend_type = 'client backend'",
     NULL, 0, FINDING_NOTE, NULL},
    {"statement_timeout", POSTGRES_SETTING("statement_timeout"), NULL, 0, FINDING_NOTE, NULL},
    {"lock_timeout", POSTGRES_SETTING("lock_timeout"), NULL, 0, FINDING_NOTE, NULL},
    {"idle_in_transaction_session_timeout", POSTGRES_SETTING("idle_in_transaction_session_timeout"),
     NULL, 0, FINDING_NOTE, NULL},
    {"deadlock_timeout", POSTGRES_SETTING("deadlock_timeout"), NULL, 0, FINDING_NOTE, NULL},
    {NULL, NULL, NULL, 0, FINDING_NOTE, NULL}};

static const struct setting mysql_settings[] = {
    {"version", "select version()", NULL, 0, FINDING_NOTE, NULL},
    {"read_only", "select @@global.read_only", "0", 0, FINDING_ERROR,
     "the server accepts no writes"},
    {"innodb_flush_log_at_trx_commit", "select @@global.innodb_flush_log_at_trx_commit", "1|3", 0,
     FINDING_WARNING, "a crash loses what was acknowledged in the second before it"},
    {"innodb_doublewrite", "select @@global.innodb_doublewrite", "1|ON|DETECT_AND_RECOVER", 0,
     FINDING_WARNING, "a system crash can destroy pages"},
    {"log_bin", "select @@global.log_bin", NULL, 0, FINDING_NOTE, NULL},
    {"sync_binlog", "select if(@@global.log_bin, @@global.sync_binlog, 'no log')", "1|no log", 0,
     FINDING_WARNING, "after a crash, this server and its replicas may differ"},
    {"innodb_lock_wait_timeout", "select @@global.innodb_lock_wait_timeout", NULL, 0, FINDING_NOTE,
     NULL},
    {"max_allowed_packet", "select @@global.max_allowed_packet", NULL, 4 << 20, FINDING_WARNING,
     "batches are limited to it, and larger executions are refused: use 16 MB or more"},
    {"wait_timeout", "select @@global.wait_timeout", NULL, 0, FINDING_NOTE, NULL},
    {"max_connections", "select @@global.max_connections", NULL, 0, FINDING_NOTE, NULL},
    {"connections", "select count(*) from information_schema.processlist", NULL, 0, FINDING_NOTE,
     NULL},
    {NULL, NULL, NULL, 0, FINDING_NOTE, NULL}};

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
static bool is_unknown(const evd_error *error) {
  static const char postgres_undefined_object[] = "42704";
  static const char mysql_unknown_system_variable[] = "1193";
  return strcmp(error->native, postgres_undefined_object) == 0 ||
         strcmp(error->native, mysql_unknown_system_variable) == 0;
}

/* Asks for one setting; one that the server does not know is passed over. */
static evd_code examine(struct examination *examination, const struct setting *setting,
                        evd_error *error) {
  char *value;
  evd_code code = sql_client_text(examination->client, setting->sql, NULL, &value, error);
  if (code != EVD_OK) {
    evd_error cause = *error;
    if (is_unknown(&cause)) {
      return EVD_OK;
    }
    error_set(error, code, "", "the setting %s cannot be read: %s", setting->name, cause.message);
    error_set_native(error, cause.native);
    return code;
  }
  if (value != NULL) {
    char object[96];
    (void)snprintf(object, sizeof(object), "setting %s", setting->name);
    add_value(examination, setting->name, value);
    bool is_good = (setting->good == NULL || is_one_of(value, setting->good)) &&
                   (setting->least == 0 || strtoll(value, NULL, 10) >= setting->least);
    if (!is_good) {
      findings_add(&examination->findings, setting->level, object, "", "is %s: %s", value,
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
  (void)snprintf(text, sizeof(text), "%.3f ms", shortest * 1e3);
  add_value(examination, "round trip", text);
  return EVD_OK;
}

/* Compares the server's clock with ours: start_at and the like are told by the clocks of executors. */
static evd_code compare_clocks(struct examination *examination, evd_error *error) {
  bool is_postgres = sql_client_dialect(examination->client) == DIALECT_POSTGRES;
  int64_t theirs;
  int64_t before = evd_now();
  evd_code code = sql_client_integer(
      examination->client,
      is_postgres ? "select cast(floor(extract(epoch from clock_timestamp()) * 1000) as bigint)"
                  : "select cast(unix_timestamp(sysdate(3)) * 1000 as signed)",
      NULL, before, &theirs, error);
  if (code != EVD_OK) {
    return code;
  }
  int64_t after = evd_now();
  int64_t skew = theirs < before ? theirs - before : theirs > after ? theirs - after : 0;
  char text[32];
  (void)snprintf(text, sizeof(text), "%" PRId64 " ms", skew);
  add_value(examination, "clock skew", text);
  if (llabs(skew) > SKEW_MS) {
    findings_add(&examination->findings, FINDING_WARNING, "clock", "",
                 "of the server differs by %" PRId64 " ms: where clocks differ, executors run too "
                 "early or too late, and take each other's runs for expired",
                 skew);
  }
  return EVD_OK;
}

/* Whether an SQLite file takes writes: only a write tells, for the file, its directory or the whole
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
    findings_add(&examination->findings, FINDING_ERROR, "database", "", "accepts no writes: %s",
                 error.message);
  }
}

static evd_code examine_all(struct examination *examination, evd_error *error) {
  static const struct setting *const settings[] = {[DIALECT_SQLITE] = sqlite_settings,
                                                   [DIALECT_POSTGRES] = postgres_settings,
                                                   [DIALECT_MYSQL] = mysql_settings};
  enum dialect dialect = sql_client_dialect(examination->client);
  evd_code code = EVD_OK;
  add_value(examination, "database", sql_client_place(examination->client));
  for (const struct setting *setting = settings[dialect]; code == EVD_OK && setting->name != NULL;
       setting++) {
    code = examine(examination, setting, error);
  }
  if (code == EVD_OK && dialect == DIALECT_SQLITE) {
    try_to_write(examination);
  }
  if (code == EVD_OK && dialect != DIALECT_SQLITE) {
    code = measure_round_trip(examination, error);
  }
  if (code == EVD_OK && dialect != DIALECT_SQLITE) {
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
  return status == CLI_OK && findings_worst(findings) != FINDING_NOTE ? CLI_FOUND : status;
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
