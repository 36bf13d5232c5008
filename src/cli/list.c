/* evdurable list: executions, the newest first. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/rows.h"
#include "cli/table.h"
#include "cli/text.h"

enum { LIMIT_DEFAULT = 50, ID_COLUMNS = 64, OPTION_LIMIT = 1 };

static const char help[] =
    "Usage: evdurable list [OPTION...]\n"
    "\n"
    "Lists executions in descending order of their ids: the newest first, if evdurable made the ids.\n"
    "\n" ROWS_OPTIONS_HELP "  --limit N        at most N executions (default 50)\n"
    "  --json           whole records, one JSON object per line, as export writes them\n"
    "\n"
    "Examples:\n"
    "  evdurable list --status failed,timed_out --newer-than 1d\n"
    "  evdurable list --task send_mail --status active --older-than 1h\n"
    "  evdurable list --parent te_01jxyz --json | jq .output\n";

/* What the rows go to. */
struct listing {
  bool json;
  bool failed; /* memory ran out; the error was printed */
  int64_t now;
  int64_t left_out; /* rows that hold what no execution can */
  struct table table;
};

static void add_execution(struct listing *listing, const evd_execution *execution) {
  char age[32];
  char start[32];
  char attempts[16];
  text_duration(listing->now > execution->created_at ? listing->now - execution->created_at : 0,
                age, sizeof age);
  text_time(execution->start_at, start, sizeof start);
  snprintf(attempts, sizeof attempts, "%" PRId32, execution->retry_attempts);
  table_add(&listing->table,
            (const char *const[]){execution->execution_id, execution->task_id,
                                  evd_status_name(execution->status),
                                  evd_close_status_name(execution->close_status), age, start,
                                  attempts, execution->executor_id},
            ID_COLUMNS);
}

/* Prints a row as JSON, or adds it to the table. */
static evd_code take_row(struct listing *listing, const char *const *values, evd_error *error) {
  if (listing->json) {
    char *json = rows_json(values, error);
    if (json == NULL) {
      return error->code;
    }
    puts(json);
    free(json);
    return EVD_OK;
  }
  evd_execution execution;
  evd_code code = rows_read(values, &execution, error);
  if (code == EVD_OK) {
    add_execution(listing, &execution);
  }
  return code;
}

static bool list_row(const char *const *values, void *data) {
  struct listing *listing = data;
  evd_error error;
  evd_code code = take_row(listing, values, &error);
  if (code == EVD_EDATABASE) {
    rows_leave_out(&listing->left_out, &error);
  } else if (code != EVD_OK) {
    listing->failed = true;
    cli_fail(&error);
  }
  return !listing->failed;
}

static void leave_out(const char *id, const evd_error *error, void *data) {
  (void)id;
  struct listing *listing = data;
  rows_leave_out(&listing->left_out, error);
}

static int list_rows(struct cli *cli, const struct row_filter *filter, int64_t limit) {
  int status;
  struct sql_client *client = cli_connect(cli, false, &status);
  if (client == NULL) {
    return status;
  }
  struct row_query query = {.count = 0};
  rows_select(&query, sql_client_dialect(client), &cli->table);
  rows_where(&query, filter);
  buffer_printf(&query.sql, " order by execution_id desc limit %" PRId64, limit);

  struct listing listing = {.json = cli->json, .now = evd_now()};
  table_begin(&listing.table, 8,
              (const char *const[]){"EXECUTION", "TASK", "STATUS", "CLOSE", ">AGE", "START",
                                    ">ATTEMPTS", "EXECUTOR"});
  struct row_reader reader = {list_row, leave_out, &listing};
  evd_error error;
  if (rows_run(client, &query, &reader, &error) != EVD_OK) {
    status = cli_fail_query(cli, client, &error);
  } else if (listing.table.failed) {
    status = cli_fail_text("out of memory");
  } else if (listing.failed) {
    status = CLI_FAILED;
  }
  if (cli->json || status != CLI_OK) {
    table_free(&listing.table);
  } else {
    table_end(&listing.table);
  }
  int left_out = rows_end_left_out(listing.left_out);
  status = status != CLI_OK ? status : left_out;
  sql_client_close(client);
  return status;
}

static int run(struct cli *cli, int argc, char **argv) {
  static const struct option options[] = {CLI_COMMON_OPTIONS,
                                          ROWS_OPTIONS,
                                          {"limit", required_argument, NULL, OPTION_LIMIT},
                                          {NULL, 0, NULL, 0}};
  struct row_filter filter = {0};
  int64_t limit = LIMIT_DEFAULT;
  int option;
  while ((option = cli_next_option(cli, argc, argv, options, help)) != -1) {
    if (option == '?' || option == CLI_OPTION_HELP) {
      return cli_end_of_options(option);
    }
    if (option != OPTION_LIMIT) {
      if (rows_option(&filter, option, optarg) != CLI_OK) {
        return CLI_USAGE;
      }
    } else if (!text_read_number(optarg, 1, &limit)) {
      return cli_usage("--limit must be an integer of at least 1");
    }
  }
  if (optind < argc) {
    return cli_usage("unexpected argument \"%s\"", argv[optind]);
  }
  return list_rows(cli, &filter, limit);
}

const struct cli_command cli_list = {"list", "list executions by status, task, parent or age", run};
