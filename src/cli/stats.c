/* evdurable stats: how many executions there are in each status, and what waits for how long. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/table.h"
#include "cli/text.h"
#include "model/error.h"

static const char help[] =
    "Usage: evdurable stats [OPTION...]\n"
    "\n"
    "Counts executions by status, and what is waiting: how long the oldest due execution has been due,\n"
    "how many runs have expired, how many parents wait. It reads the whole table: on a large one, ask a\n"
    "replica, or not every second.\n"
    "\n"
    "  --watch[=D]  repeat every D (default 2s) until interrupted\n"
    "\n"
    "Examples:\n"
    "  evdurable stats\n"
    "  evdurable stats --watch=10s\n"
    "  evdurable stats --json | jq .overdueMs\n";

enum { WATCH_DEFAULT_MS = 2000, OPTION_WATCH = 1 };

/* What is counted beside the statuses. */
enum figure {
  FIGURE_DUE,
  FIGURE_OLDEST_DUE, /* a time; EVD_NONE when there is none */
  FIGURE_EXPIRED,
  FIGURE_OLDEST_EXPIRED, /* likewise */
  FIGURE_PARENTS_WAITING,
  FIGURE_PARENTS_READY,
  FIGURE_TO_CLOSE,
  FIGURE_TO_CANCEL,
  FIGURE_COUNT
};

struct figures {
  int64_t now;
  int64_t statuses[EVD_STATUS_CANCELLED + 1];
  int64_t total;
  int64_t figures[FIGURE_COUNT];
};

/* The queries of the figures: "select WHAT from the table where CONDITION", and before now where
 * the condition ends in "<". The conditions are those of the partial indexes. */
static const struct {
  const char *what, *condition;
} figure_queries[FIGURE_COUNT] = {
    [FIGURE_DUE] = {"count(*)", "status = 'ready' and start_at <"},
    [FIGURE_OLDEST_DUE] = {"min(start_at)", "status = 'ready' and start_at <"},
    [FIGURE_EXPIRED] = {"count(*)", "status = 'running' and expires_at <"},
    [FIGURE_OLDEST_EXPIRED] = {"min(expires_at)", "status = 'running' and expires_at <"},
    [FIGURE_PARENTS_WAITING] = {"count(*)",
                                "status = 'waiting_for_children' and active_children_count > 0"},
    [FIGURE_PARENTS_READY] = {"count(*)", "status = 'waiting_for_children' and "
                                          "on_children_finished_processing_status = 'idle' and "
                                          "active_children_count = 0"},
    [FIGURE_TO_CLOSE] = {"count(*)", "is_finished and close_status <> 'closed'"},
    [FIGURE_TO_CANCEL] = {"count(*)", "needs_promise_cancellation"},
};

static bool count_status(const char *const *values, void *data) {
  struct figures *figures = data;
  evd_status status = evd_status_from_name(values[0]);
  figures->statuses[status] += strtoll(values[1], NULL, 10);
  figures->total += strtoll(values[1], NULL, 10);
  return true;
}

static evd_code read_figure(struct sql_client *client, const char *table, struct figures *figures,
                            enum figure figure, evd_error *error) {
  struct buffer sql = {0};
  const char *condition = figure_queries[figure].condition;
  buffer_printf(&sql, "select %s from %s where %s", figure_queries[figure].what, table, condition);
  if (condition[strlen(condition) - 1] == '<') {
    buffer_printf(&sql, " %" PRId64, figures->now);
  }
  evd_code code = sql.failed ? error_set_no_memory(error)
                             : sql_client_integer(client, sql.text, NULL, EVD_NONE,
                                                  &figures->figures[figure], error);
  buffer_free(&sql);
  return code;
}

static evd_code read_figures(struct sql_client *client, const struct table_name *name,
                             struct figures *figures, evd_error *error) {
  struct buffer table = {0};
  struct buffer sql = {0};
  *figures = (struct figures){.now = evd_now()};
  sql_table(&table, sql_client_dialect(client), name);
  buffer_printf(&sql, "select status, count(*) from %s group by status",
                table.failed ? "" : table.text);
  evd_code code = table.failed || sql.failed
                      ? error_set_no_memory(error)
                      : sql_client_query(client, sql.text, NULL, count_status, figures, error);
  for (int figure = 0; code == EVD_OK && figure < FIGURE_COUNT; figure++) {
    code = read_figure(client, table.text, figures, (enum figure)figure, error);
  }
  buffer_free(&sql);
  buffer_free(&table);
  return code;
}

/* How long ago a time was; 0 for none. */
static int64_t since(const struct figures *figures, enum figure figure) {
  int64_t time = figures->figures[figure];
  return time == EVD_NONE ? 0 : figures->now - time;
}

static int print_json(const struct figures *figures) {
  cJSON *json = cJSON_CreateObject();
  cli_json_integer(json, "time", figures->now);
  cli_json_integer(json, "total", figures->total);
  cJSON *statuses = cJSON_AddObjectToObject(json, "statuses");
  for (int status = EVD_STATUS_READY; status <= EVD_STATUS_CANCELLED; status++) {
    cli_json_integer(statuses, evd_status_name((evd_status)status), figures->statuses[status]);
  }
  cli_json_integer(json, "due", figures->figures[FIGURE_DUE]);
  cli_json_integer(json, "overdueMs", since(figures, FIGURE_OLDEST_DUE));
  cli_json_integer(json, "expired", figures->figures[FIGURE_EXPIRED]);
  cli_json_integer(json, "expiredMs", since(figures, FIGURE_OLDEST_EXPIRED));
  cli_json_integer(json, "parentsWaiting", figures->figures[FIGURE_PARENTS_WAITING]);
  cli_json_integer(json, "parentsReady", figures->figures[FIGURE_PARENTS_READY]);
  cli_json_integer(json, "toClose", figures->figures[FIGURE_TO_CLOSE]);
  cli_json_integer(json, "toCancel", figures->figures[FIGURE_TO_CANCEL]);
  return cli_print_json(json);
}

static void add_line(struct table *table, const char *name, int64_t count, const char *remark) {
  char number[24];
  snprintf(number, sizeof number, "%" PRId64, count);
  table_add(table, (const char *const[]){name, number, remark}, 100);
}

/* A line whose remark tells of the oldest. */
static void add_aged_line(struct table *table, const struct figures *figures, const char *name,
                          enum figure count, enum figure oldest, const char *format) {
  char age[32];
  char remark[80] = "";
  text_duration(since(figures, oldest), age, sizeof age);
  if (figures->figures[count] > 0) {
    snprintf(remark, sizeof remark, "%s %s", format, age);
  }
  add_line(table, name, figures->figures[count], remark);
}

static void print_text(const struct figures *figures, FILE *file) {
  struct table table;
  table_begin(&table, 2, (const char *const[]){"STATUS", ">EXECUTIONS"});
  for (int status = EVD_STATUS_READY; status <= EVD_STATUS_CANCELLED; status++) {
    add_line(&table, evd_status_name((evd_status)status), figures->statuses[status], NULL);
  }
  add_line(&table, "total", figures->total, NULL);
  table_end_to(&table, file);
  putc('\n', file);
  table_begin(&table, 3, (const char *const[]){"WAITING", ">EXECUTIONS", ""});
  add_aged_line(&table, figures, "due", FIGURE_DUE, FIGURE_OLDEST_DUE, "oldest for");
  add_aged_line(&table, figures, "expired runs", FIGURE_EXPIRED, FIGURE_OLDEST_EXPIRED,
                "oldest by");
  add_line(&table, "parents with unfinished children", figures->figures[FIGURE_PARENTS_WAITING],
           NULL);
  add_line(&table, "parents ready to continue", figures->figures[FIGURE_PARENTS_READY], NULL);
  add_line(&table, "finished, not closed", figures->figures[FIGURE_TO_CLOSE], NULL);
  add_line(&table, "to be cancelled", figures->figures[FIGURE_TO_CANCEL], NULL);
  table_end_to(&table, file);
}

/* Prints the lines that fit a terminal, as far as they fit, at the top of the empty screen. */
static void print_lines(const char *lines, const struct winsize *size) {
  int left = size->ws_row > 1 ? size->ws_row - 1 : INT_MAX;
  fputs("\033[H\033[2J", stdout);
  while (*lines != '\0' && left-- > 0) {
    int length = (int)strcspn(lines, "\n");
    printf("%.*s\n", size->ws_col > 0 && length > size->ws_col ? size->ws_col : length, lines);
    lines += length + (lines[length] == '\n');
  }
}

/* Prints to a terminal that is watched. */
static int print_screen(const struct figures *figures) {
  struct winsize size = {0};
  char *lines = NULL;
  size_t length = 0;
  FILE *file = open_memstream(&lines, &length);
  if (file == NULL) {
    return cli_fail_text("out of memory");
  }
  print_text(figures, file);
  if (fclose(file) != 0 || lines == NULL) {
    free(lines);
    return cli_fail_text("out of memory");
  }
  (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
  print_lines(lines, &size);
  free(lines);
  return CLI_OK;
}

static int print_figures(const struct cli *cli, const struct figures *figures, bool watches) {
  if (cli->json) {
    return print_json(figures);
  }
  if (watches && isatty(STDOUT_FILENO)) {
    return print_screen(figures);
  }
  print_text(figures, stdout);
  return CLI_OK;
}

/* Prints once, or again and again. */
static int print_all(struct cli *cli, struct sql_client *client, int64_t watch_ms) {
  struct figures figures;
  evd_error error;
  for (;;) {
    if (read_figures(client, &cli->table, &figures, &error) != EVD_OK) {
      return cli_fail_query(cli, client, &error);
    }
    int status = print_figures(cli, &figures, watch_ms > 0);
    if (status != CLI_OK || watch_ms == 0) {
      return status;
    }
    if (cli_end_output() != CLI_OK) {
      return CLI_FAILED;
    }
    nanosleep(&(struct timespec){.tv_sec = watch_ms / 1000, .tv_nsec = watch_ms % 1000 * 1000000},
              NULL);
  }
}

static int run(struct cli *cli, int argc, char **argv) {
  static const struct option options[] = {
      CLI_COMMON_OPTIONS, {"watch", optional_argument, NULL, OPTION_WATCH}, {NULL, 0, NULL, 0}};
  int64_t watch_ms = 0;
  int option;
  while ((option = cli_next_option(cli, argc, argv, options, help)) != -1) {
    if (option == '?' || option == CLI_OPTION_HELP) {
      return cli_end_of_options(option);
    }
    watch_ms = WATCH_DEFAULT_MS;
    if (optarg != NULL && (!text_read_duration(optarg, &watch_ms) || watch_ms < 1)) {
      return cli_usage("--watch: \"%s\" is not a duration, such as 2s", optarg);
    }
  }
  if (optind < argc) {
    return cli_usage("unexpected argument \"%s\"", argv[optind]);
  }
  int status;
  struct sql_client *client = cli_connect(cli, false, &status);
  if (client != NULL) {
    status = print_all(cli, client, watch_ms);
    sql_client_close(client);
  }
  return status;
}

const struct cli_command cli_stats = {"stats", "count executions by status, and what is waiting",
                                      run};
