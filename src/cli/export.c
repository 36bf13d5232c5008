/* evdurable export: prints executions as JSON lines. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/progress.h"
#include "cli/rows.h"

/* Rows of a page: each page is a query of its own, so that none holds a snapshot for long. */
enum { PAGE_ROWS = 2000 };

static const char help[] =
    "Usage: evdurable export [OPTION...]\n"
    "\n"
    "Prints executions as JSON objects, one a line, by their ids, for import. It takes a few\n"
    "megabytes, whatever the table's size, and reads page by page: rows that change meanwhile are\n"
    "printed as they were when their page was read.\n"
    "\n" ROWS_OPTIONS_HELP "\n"
    "Examples:\n"
    "  evdurable export >backup.jsonl\n"
    "  evdurable export --status finished --older-than 30d | gzip >old.jsonl.gz\n";

struct export {
  char last[EVD_ID_MAX * 4 + 1]; /* the id after which the next page begins */
  int64_t rows;
  int64_t page_rows;
  bool failed; /* which has been said */
  struct progress progress;
};

static bool print_row(const char *const *values, void *data) {
  struct export *export = data;
  evd_execution execution;
  char *json = rows_read(values, &execution) ? evd_execution_to_json(&execution) : NULL;
  if (json == NULL || strlen(execution.execution_id) >= sizeof(export->last)) {
    cli_fail_text("row %s holds what no execution can, or memory ran out",
                  values[evd_column_execution_id]);
    export->failed = true;
  } else {
    export->failed = puts(json) < 0;
    (void)snprintf(export->last, sizeof(export->last), "%s", execution.execution_id);
    export->page_rows++;
  }
  free(json);
  return !export->failed;
}

static evd_code print_page(struct cli *cli, struct sql_client *client,
                           const struct row_filter *filter, struct export *export,
                           evd_error *error) {
  struct row_query query = {.count = 0};
  rows_select(&query, sql_client_dialect(client), &cli->table);
  rows_where(&query, filter);
  buffer_append(&query.sql, " and execution_id > ?");
  rows_add_parameter(&query, export->last);
  buffer_printf(&query.sql, " order by execution_id limit %d", PAGE_ROWS);
  export->page_rows = 0;
  char begin[sizeof(export->last)]; /* print_row() moves `last` on while the query is under way */
  memcpy(begin, export->last, sizeof(begin));
  query.parameters[query.count - 1] = begin;
  return rows_run(client, &query, print_row, export, error);
}

static int print_pages(struct cli *cli, struct sql_client *client,
                       const struct row_filter *filter) {
  struct export export = {.rows = 0};
  evd_error error;
  int status = CLI_OK;
  progress_begin(&export.progress, "exported");
  do {
    if (print_page(cli, client, filter, &export, &error) != EVD_OK) {
      status = cli_fail(&error);
    } else if (export.failed || ferror(stdout) != 0) {
      status = CLI_FAILED;
    }
    export.rows += export.page_rows;
    progress_show(&export.progress, export.rows, -1);
  } while (status == CLI_OK && export.page_rows == PAGE_ROWS);
  double seconds = progress_end(&export.progress);
  if (export.progress.shown && status == CLI_OK) {
    fprintf(stderr, "%" PRId64 " exported, %.1f s\n", export.rows, seconds);
  }
  return status;
}

static int run(struct cli *cli, int argc, char **argv) {
  static const struct option options[] = {CLI_COMMON_OPTIONS, ROWS_OPTIONS, {NULL, 0, NULL, 0}};
  struct row_filter filter = {0};
  int option;
  while ((option = cli_next_option(cli, argc, argv, options, help)) != -1) {
    if (option == '?' || option == CLI_OPTION_HELP) {
      return cli_end_of_options(option);
    }
    if (rows_option(&filter, option, optarg) != CLI_OK) {
      return CLI_USAGE;
    }
  }
  if (optind < argc) {
    return cli_usage("what is \"%s\"?", argv[optind]);
  }
  int status;
  struct sql_client *client = cli_connect(cli, false, &status);
  if (client != NULL) {
    status = print_pages(cli, client, &filter);
    sql_client_close(client);
  }
  return status;
}

const struct cli_command cli_export = {"export", "print executions as JSON lines", run};
