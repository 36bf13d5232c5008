/* evdurable export: prints executions as JSON lines. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/progress.h"
#include "cli/rows.h"
#include "model/error.h"

/* Rows of a page: each page is a query of its own, so that none holds a snapshot for long. */
enum { PAGE_ROWS = 2000 };

static const char help[] =
    "Usage: evdurable export [OPTION...]\n"
    "\n"
    "Prints executions as JSON objects, one per line, in the order of their ids, for import. It reads\n"
    "page by page, and needs a few megabytes whatever the table's size: a row that changes meanwhile is\n"
    "printed as it was when its page was read. A row with values that no execution can have is skipped\n"
    "and reported on standard error; the exit status is then 1.\n"
    "\n" ROWS_OPTIONS_HELP "\n"
    "Examples:\n"
    "  evdurable export >backup.jsonl\n"
    "  evdurable export --status finished --older-than 30d | gzip >old.jsonl.gz\n";

struct export {
  struct buffer last; /* the id after which the next page begins */
  int64_t rows;       /* printed */
  int64_t page_rows;  /* of the page, printed or not */
  int64_t left_out;   /* not printed: they hold what no execution can */
  bool failed;        /* the error was printed, or will be with the output */
  struct progress progress;
};

/* The next page begins after this row, or a later one. */
static void end_row(struct export *export, const char *id) {
  buffer_reset(&export->last);
  buffer_append(&export->last, id);
  export->page_rows++;
}

static bool print_row(const char *const *values, void *data) {
  struct export *export = data;
  evd_error error;
  char *json = rows_json(values, &error);
  if (json != NULL) {
    export->failed = puts(json) < 0;
    export->rows++;
  } else if (error.code == EVD_EDATABASE) {
    (void)progress_end(&export->progress);
    rows_leave_out(&export->left_out, &error);
  } else {
    export->failed = true;
    cli_fail(&error);
  }
  free(json);
  end_row(export, values[evd_column_execution_id]);
  return !export->failed;
}

static void leave_out(const char *id, const evd_error *error, void *data) {
  struct export *export = data;
  (void)progress_end(&export->progress);
  rows_leave_out(&export->left_out, error);
  end_row(export, id);
}

/* Prints a page. There is no way past an id with which it ends as it began: it was not read as it
 * is in the table, where SQLite has blobs and texts with zero bytes. */
static evd_code print_page(struct cli *cli, struct sql_client *client,
                           const struct row_filter *filter, struct export *export,
                           evd_error *error) {
  struct row_query query = {.count = 0};
  char *begin = buffer_take(&export->last);
  if (begin == NULL) {
    return error_set_no_memory(error);
  }
  rows_select(&query, sql_client_dialect(client), &cli->table);
  rows_where(&query, filter);
  buffer_append(&query.sql, " and execution_id > ?");
  rows_add_parameter(&query, begin);
  buffer_printf(&query.sql, " order by execution_id limit %d", PAGE_ROWS);
  export->page_rows = 0;
  buffer_append(&export->last, "");
  struct row_reader reader = {print_row, leave_out, export};
  evd_code code = rows_run(client, &query, &reader, error);
  if (code == EVD_OK && export->last.failed) {
    code = error_set_no_memory(error);
  }
  if (code == EVD_OK && export->page_rows > 0 && strcmp(export->last.text, begin) == 0) {
    code = rows_unfit(evd_column_execution_id, begin, begin, error);
  }
  free(begin);
  return code;
}

static int print_pages(struct cli *cli, struct sql_client *client,
                       const struct row_filter *filter) {
  struct export export = {.rows = 0};
  evd_error error;
  int status = CLI_OK;
  buffer_append(&export.last, "");
  progress_begin(&export.progress, "exported");
  do {
    if (print_page(cli, client, filter, &export, &error) != EVD_OK) {
      status = cli_fail_query(cli, client, &error);
    } else if (export.failed || ferror(stdout) != 0) {
      status = CLI_FAILED;
    }
    progress_show(&export.progress, export.rows, -1);
  } while (status == CLI_OK && export.page_rows == PAGE_ROWS);
  buffer_free(&export.last);
  double seconds = progress_end(&export.progress);
  int left_out = rows_end_left_out(export.left_out);
  status = status != CLI_OK ? status : left_out;
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
    return cli_usage("unexpected argument \"%s\"", argv[optind]);
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
