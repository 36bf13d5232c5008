/* evdurable check: finds problems of the table, and their fixes. */
#include <stdio.h>
#include <stdlib.h>

#include <ev.h>

#include "cli/cli.h"
#include "cli/findings.h"
#include "migrate/findings.h"
#include "migrate/privileges.h"

static const char help[] =
    "Usage: evdurable check [OPTION...]\n"
    "\n"
    "Checks the table's columns, types and indexes, the migrations, and the user's privileges. Prints\n"
    "each problem with its fix. Exits with 3 if there is a problem (notes do not count).\n"
    "\n"
    "Examples:\n"
    "  evdurable check\n"
    "  evdurable check --json | jq -r '.findings[].fix'\n";

static evd_code find_in_table(struct sql_client *client, const struct table_name *table,
                              struct findings *findings, evd_error *error) {
  struct situation situation;
  evd_schema_options schema = {.table = NULL};
  evd_code code = situation_read(client, table, &schema, false, &situation, error);
  if (code == EVD_OK) {
    findings_of_table(findings, &situation, table);
    situation_free(&situation);
  }
  return code;
}

static evd_code find(struct sql_client *client, const struct table_name *table,
                     struct findings *findings, evd_error *error) {
  bool hidden;
  evd_code code = privileges_find(client, table, findings, &hidden, error);
  return code != EVD_OK || hidden ? code : find_in_table(client, table, findings, error);
}

/* Whether a storage opens, which is what counts in the end. */
static void find_by_opening(struct cli *cli, struct findings *findings) {
  evd_options options = {.table = cli->table_text};
  evd_future *opened = evd_storage_open(EV_DEFAULT, cli->url, &options);
  evd_storage *storage = NULL;
  if (evd_future_await(opened) == EVD_OK) {
    evd_future_storage(opened, &storage);
    cli_close_storage(storage);
  } else {
    findings_add(findings, SEVERITY_ERROR, "storage", "", "cannot be opened: %s",
                 evd_future_error(opened)->message);
  }
  evd_future_release(opened);
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
  struct sql_client *client = cli_connect(cli, false, &status);
  if (client == NULL) {
    return status;
  }
  struct findings findings = {.first = NULL};
  evd_error error;
  evd_code code = find(client, &cli->table, &findings, &error);
  if (code == EVD_OK && findings_worst(&findings) != SEVERITY_ERROR) {
    find_by_opening(cli, &findings);
  }
  status = code == EVD_OK ? cli_print_findings(cli, &findings) : cli_fail(&error);
  findings_free(&findings);
  sql_client_close(client);
  return status;
}

const struct cli_command cli_check = {"check", "find problems of the table, and their fixes", run};
