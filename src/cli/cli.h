/*
 * What the subcommands of `evdurable` share: the common options, connecting, printing.
 *
 * A subcommand returns an exit status: one of enum cli_exit. What it finds goes to the standard
 * output, as text for people or (--json) as JSON for programs; errors go to the standard error.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <evdurable.h>

#include "migrate/client.h"
#include "sql/sql.h"

enum cli_exit {
  CLI_OK = 0,
  CLI_FAILED = 1, /* the database, a file, a bad record */
  CLI_USAGE = 2,  /* the command line */
  CLI_FOUND = 3   /* it worked, and the answer is bad news: see each subcommand */
};

struct cli {
  const char *url;        /* --url, or EVDURABLE_URL; NULL when there is neither */
  const char *table_text; /* --table, or EVDURABLE_TABLE, or the default */
  struct table_name table;
  bool json; /* --json */
};

struct cli_command {
  const char *name;
  const char *summary;
  int (*run)(struct cli *cli, int argc, char **argv);
};

extern const struct cli_command cli_migrate, cli_check, cli_stats, cli_list, cli_show, cli_enqueue,
    cli_import, cli_export, cli_prune, cli_doctor;

/* The common options, for the array of a getopt_long(); see cli_next_option(). */
enum { CLI_OPTION_URL = 1000, CLI_OPTION_TABLE, CLI_OPTION_JSON, CLI_OPTION_HELP };
#define CLI_COMMON_OPTIONS                                  \
  {"url", required_argument, NULL, CLI_OPTION_URL},         \
      {"table", required_argument, NULL, CLI_OPTION_TABLE}, \
      {"json", no_argument, NULL, CLI_OPTION_JSON}, {       \
    "help", no_argument, NULL, CLI_OPTION_HELP              \
  }

/* The next option that is the subcommand's own. Common ones are taken care of. -1 after the last;
 * CLI_OPTION_HELP when the help was printed: the subcommand ends with CLI_OK; '?' when the option
 * is wrong, after the error was printed: it ends with CLI_USAGE. */
int cli_next_option(struct cli *cli, int argc, char **argv, const struct option *options,
                    const char *help);

/* What a subcommand returns when its options end early: '?' or CLI_OPTION_HELP. */
int cli_end_of_options(int option);

/* Whether the URL and the table are good; says what is not: CLI_OK or CLI_USAGE. */
int cli_check_target(struct cli *cli);

/* The dialect of --engine (NULL: not given), or of the URL: nothing is connected to. NULL for none,
 * after that was said. */
const struct dialect *cli_find_dialect(const struct cli *cli, const char *engine);

/* Says on the standard error, after "evdurable: ", what is wrong; returns CLI_USAGE. */
int cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says why something failed, with what a terminal could take for a command made "?"; returns
 * CLI_FAILED, or CLI_USAGE for a bad URL. */
int cli_fail(const evd_error *error);
int cli_fail_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* cli_fail() for a query of the table: where that is not there, says so, and how to make it. */
int cli_fail_query(const struct cli *cli, struct sql_client *client, const evd_error *error);

/* Connects with an SQL session; NULL with *status on failure, after the error was printed. */
struct sql_client *cli_connect(struct cli *cli, bool create, int *status);

/* Opens a storage on the default loop, whose table must be there; NULL as above. */
evd_storage *cli_open_storage(struct cli *cli, const evd_options *options, int *status);

/* Waits until a storage is closed. */
void cli_close_storage(evd_storage *storage);

/* Waits for a future and takes it over on failure, which it says; NULL then. */
evd_future *cli_await(evd_future *future);

/* Prints an object or array on one line, and frees it. CLI_OK, or CLI_FAILED if memory ran out. */
int cli_print_json(cJSON *json);

/* Adds an integer, exactly. */
void cli_json_integer(cJSON *object, const char *key, int64_t integer);

/* Whether all that was printed is written; CLI_FAILED if not (a full disk), which is said once. */
int cli_end_output(void);

#endif
