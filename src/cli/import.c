/* evdurable import: stores executions from JSON lines, through the library's own batches. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include <utlist.h>

#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/progress.h"
#include "model/check.h"
#include "model/error.h"
#include "model/hash.h"

/* How many inserts are under way at once, and their bytes: enough to fill the engine's batches. */
enum { WINDOW_REQUESTS = 4096, WINDOW_BYTES = 32 << 20, TIMEOUT_MS = 300000, SAID_MAX = 50 };

static const char help[] =
    "Usage: evdurable import [OPTION...] [FILE]\n"
    "\n"
    "Stores executions from a file (or standard input) of JSON objects, one per line, as export and\n"
    "list --json write them. It needs a few megabytes whatever the file's size. Each line is stored by\n"
    "itself: if some fail, the others stay, and the import can be repeated with --skip-duplicates.\n"
    "\n"
    "  --skip-duplicates  skip executions that already exist, without changing them\n"
    "  --keep-going       continue after lines that cannot be stored; report the first 50\n"
    "\n"
    "Examples:\n"
    "  evdurable import backup.jsonl\n"
    "  evdurable export --url sqlite:old.db | evdurable import --url postgresql://db/new\n";

/* A line under way: from when it is read until it and all lines before it are done. */
struct line {
  struct import *import;
  struct line *next; /* in the file */
  uint64_t number;
  size_t bytes;
  enum { LINE_UNDER_WAY, LINE_IMPORTED, LINE_DUPLICATE, LINE_FAILED } state;
  evd_error error;          /* of one that failed */
  evd_execution *execution; /* with skip_duplicates: until the line is done */
  struct line *waiting;     /* later lines that have an id of this one */
  struct line *next_waiting;
  UT_hash_handle by_id, by_unique_id; /* in the tables of struct import */
};

struct import {
  evd_storage *storage;
  struct lines lines;
  bool skip_duplicates, keep_going;
  bool stopping; /* takes no more lines */
  size_t pending_requests, pending_bytes;
  int64_t imported, duplicates, failed;
  int64_t refused_duplicates;    /* of those that failed */
  struct line *first, *last;     /* under way */
  struct line *ids, *unique_ids; /* tables of the lines that are looked up and inserted now */
  struct progress progress;
};

/* Says what is wrong with a line, of the first few; and without --keep-going of one: others that
 * were under way with it may fail, too. */
static void refuse(struct import *import, const struct line *line) {
  import->failed++;
  import->refused_duplicates += line->error.code == EVD_EDUPLICATE;
  if (import->failed > (import->keep_going ? SAID_MAX : 1)) {
    return;
  }
  (void)progress_end(&import->progress);
  fprintf(stderr, "evdurable: %s:%" PRIu64 ": %s\n", import->lines.path, line->number,
          line->error.message);
}

/* Counts the lines that are done, up to the first that is not: so they are reported in the order of
 * the file. */
static void report_done(struct import *import) {
  struct line *line;
  while ((line = import->first) != NULL && line->state != LINE_UNDER_WAY) {
    import->first = line->next;
    import->imported += line->state == LINE_IMPORTED;
    import->duplicates += line->state == LINE_DUPLICATE;
    if (line->state == LINE_FAILED) {
      refuse(import, line);
    }
    import->pending_requests--;
    import->pending_bytes -= line->bytes;
    free(line);
  }
}

/*
 * Duplicates are looked up before they are inserted: an insert that fails for one fails its batch,
 * which is then split, and each failure is an error in the server's log. The insert still decides:
 * what another session has stored since is a duplicate, too. Of lines of the file that share an id,
 * later ones wait for the first.
 */

/* The line that is at work with the same execution_id or sleeping_task_unique_id. */
static struct line *find_rival(const struct import *import, const evd_execution *execution) {
  struct line *rival;
  HASH_FIND(by_id, import->ids, execution->execution_id, strlen(execution->execution_id), rival);
  if (rival == NULL && execution->sleeping_task_unique_id != NULL) {
    HASH_FIND(by_unique_id, import->unique_ids, execution->sleeping_task_unique_id,
              strlen(execution->sleeping_task_unique_id), rival);
  }
  return rival;
}

/* Without memory for it, a line is not in the tables: its rivals are found by their inserts. */
static void enter_tables(struct import *import, struct line *line) {
  const evd_execution *execution = line->execution;
  HASH_ADD_KEYPTR(by_id, import->ids, execution->execution_id, strlen(execution->execution_id),
                  line);
  if (execution->sleeping_task_unique_id != NULL) {
    HASH_ADD_KEYPTR(by_unique_id, import->unique_ids, execution->sleeping_task_unique_id,
                    strlen(execution->sleeping_task_unique_id), line);
  }
}

static void leave_tables(struct import *import, struct line *line) {
  if (line->by_id.tbl != NULL) {
    HASH_DELETE(by_id, import->ids, line);
  }
  if (line->by_unique_id.tbl != NULL) {
    HASH_DELETE(by_unique_id, import->unique_ids, line);
  }
}

static void begin(struct line *line);

/* Lines that waited for one that is done: duplicates of what it stored, or it is their turn. */
static void go_on_with(struct line *waiting, bool stored) {
  while (waiting != NULL) {
    struct line *line = waiting;
    waiting = line->next_waiting;
    line->next_waiting = NULL;
    if (stored) {
      line->state = LINE_DUPLICATE;
      free(line->execution);
      line->execution = NULL;
    } else {
      begin(line);
    }
  }
}

/* The line is done. It is freed by report_done(). */
static void finish(struct line *line, const evd_error *error) {
  struct import *import = line->import;
  struct line *waiting = line->waiting;
  if (error->code == EVD_OK) {
    line->state = LINE_IMPORTED;
  } else if (error->code == EVD_EDUPLICATE && import->skip_duplicates) {
    line->state = LINE_DUPLICATE;
  } else {
    line->state = LINE_FAILED;
    line->error = *error;
    import->stopping = import->stopping || !import->keep_going;
  }
  leave_tables(import, line);
  free(line->execution);
  line->execution = NULL;
  line->waiting = NULL;
  go_on_with(waiting, line->state == LINE_IMPORTED);
}

static void fail(struct line *line, evd_code code, const char *message) {
  evd_error error;
  error_set(&error, code, "", "%s", message);
  finish(line, &error);
}

/* Has the callback called with the line. */
static void await(struct line *line, evd_future *future,
                  void (*callback)(evd_future *future, void *data)) {
  if (future == NULL) {
    fail(line, EVD_ENOMEM, "out of memory");
  } else {
    evd_future_then(future, callback, line);
  }
}

static void inserted(evd_future *future, void *data) {
  finish(data, evd_future_error(future));
}

static void insert(struct line *line) {
  await(line, evd_insert(line->import->storage, line->execution, 1), inserted);
}

/* Where the look-up fails, the insert tells why. */
static bool has_found(const evd_future *future) {
  const evd_execution *row;
  return evd_future_row(future, &row) == EVD_OK && row != NULL;
}

static void looked_up_unique_id(evd_future *future, void *data) {
  struct line *line = data;
  if (has_found(future)) {
    fail(line, EVD_EDUPLICATE, "");
  } else {
    insert(line);
  }
}

static void looked_up_id(evd_future *future, void *data) {
  struct line *line = data;
  const char *unique_id = line->execution->sleeping_task_unique_id;
  if (has_found(future)) {
    fail(line, EVD_EDUPLICATE, "");
  } else if (unique_id != NULL) {
    await(line, evd_get_by_sleeping_task_unique_id(line->import->storage, unique_id),
          looked_up_unique_id);
  } else {
    insert(line);
  }
}

/* Looks the line's execution up, to be inserted if it is not there; or has it wait. */
static void begin(struct line *line) {
  struct line *rival = find_rival(line->import, line->execution);
  if (rival != NULL) {
    LL_APPEND2(rival->waiting, line, next_waiting);
    return;
  }
  enter_tables(line->import, line);
  await(line, evd_get(line->import->storage, line->execution->execution_id, NULL), looked_up_id);
}

/* A new line, the last under way. NULL if memory ran out, after the error was printed. */
static struct line *add_line(struct import *import, size_t bytes) {
  struct line *line = calloc(1, sizeof *line);
  if (line == NULL) {
    cli_fail_text("out of memory");
    import->stopping = true;
    import->failed++;
    return NULL;
  }
  line->import = import;
  line->number = import->lines.number;
  line->bytes = bytes;
  if (import->first == NULL) {
    import->first = line;
  } else {
    import->last->next = line;
  }
  import->last = line;
  import->pending_requests++;
  import->pending_bytes += bytes;
  return line;
}

/* Submits the insertion of a line's execution. */
static void submit(struct line *line, const char *text) {
  evd_error error;
  line->execution = evd_execution_from_json(text, &error);
  if (line->execution == NULL ||
      check_executions(line->execution, 1, "executions", &error) != EVD_OK) {
    finish(line, &error);
  } else if (line->import->skip_duplicates) {
    begin(line);
  } else {
    evd_execution *execution = line->execution;
    line->execution = NULL;
    await(line, evd_insert(line->import->storage, execution, 1), inserted);
    free(execution);
  }
}

static bool is_blank(const char *text) {
  while (*text == ' ' || *text == '\t' || *text == '\r') {
    text++;
  }
  return *text == '\0';
}

/* Takes the next line. */
static void take_line(struct import *import) {
  int64_t before = import->lines.taken;
  const char *text = lines_next(&import->lines);
  if (text == NULL) {
    import->stopping = true;
    import->failed += import->lines.failed;
    return;
  }
  bool has_zero = strlen(text) < import->lines.length;
  if (!has_zero && is_blank(text)) {
    return;
  }
  struct line *line = add_line(import, (size_t)(import->lines.taken - before));
  if (line != NULL && has_zero) {
    fail(line, EVD_EINVAL, "the line contains a zero byte");
  } else if (line != NULL) {
    submit(line, text);
  }
}

/* Whether the next line has to wait for those under way: the window is full, or the file is a pipe
 * that has none to give. */
static bool must_wait(const struct import *import) {
  return import->stopping || import->pending_requests >= WINDOW_REQUESTS ||
         import->pending_bytes >= WINDOW_BYTES ||
         (import->pending_requests > 0 && !lines_are_ready(&import->lines));
}

static void import_lines(struct import *import) {
  while (!import->stopping || import->pending_requests > 0) {
    if (!must_wait(import)) {
      take_line(import);
      report_done(import);
      continue;
    }
    ev_run(EV_DEFAULT, EVRUN_ONCE);
    report_done(import);
    const struct lines *lines = &import->lines;
    double share = lines->total > 0 ? (double)lines->taken / (double)lines->total : -1;
    progress_show(&import->progress, import->imported, share);
  }
}

static int print_result(const struct cli *cli, const struct import *import, double seconds) {
  int status = import->failed > 0 ? CLI_FAILED : CLI_OK;
  if (cli->json) {
    cJSON *json = cJSON_CreateObject();
    cli_json_integer(json, "imported", import->imported);
    cli_json_integer(json, "duplicates", import->duplicates);
    cli_json_integer(json, "failed", import->failed);
    int printed = cli_print_json(json);
    return status != CLI_OK ? status : printed;
  }
  printf("%" PRId64 " imported", import->imported);
  if (import->duplicates > 0) {
    printf(", %" PRId64 " already there", import->duplicates);
  }
  if (import->failed > 0) {
    printf(", %" PRId64 " failed", import->failed);
  }
  printf(", %.1f s, %.0f per second\n", seconds,
         seconds > 0 ? (double)import->imported / seconds : 0);
  return status;
}

static int import_file(struct cli *cli, struct import *import, const char *path) {
  int status;
  evd_options options = {.operation_timeout_ms = TIMEOUT_MS};
  if (!lines_open(&import->lines, path)) {
    return CLI_FAILED;
  }
  import->storage = cli_open_storage(cli, &options, &status);
  if (import->storage != NULL) {
    progress_begin(&import->progress, "imported");
    import_lines(import);
    double seconds = progress_end(&import->progress);
    if (import->failed > 0 && import->refused_duplicates == import->failed) {
      cli_fail_text("use --skip-duplicates to skip executions that already exist");
    }
    status = print_result(cli, import, seconds);
    cli_close_storage(import->storage);
  }
  lines_close(&import->lines);
  return status;
}

enum { OPTION_SKIP_DUPLICATES = 1, OPTION_KEEP_GOING };

static int run(struct cli *cli, int argc, char **argv) {
  static const struct option options[] = {
      CLI_COMMON_OPTIONS,
      {"skip-duplicates", no_argument, NULL, OPTION_SKIP_DUPLICATES},
      {"keep-going", no_argument, NULL, OPTION_KEEP_GOING},
      {NULL, 0, NULL, 0}};
  struct import import = {.storage = NULL};
  int option;
  while ((option = cli_next_option(cli, argc, argv, options, help)) != -1) {
    if (option == '?' || option == CLI_OPTION_HELP) {
      return cli_end_of_options(option);
    }
    import.skip_duplicates = import.skip_duplicates || option == OPTION_SKIP_DUPLICATES;
    import.keep_going = import.keep_going || option == OPTION_KEEP_GOING;
  }
  if (argc - optind > 1) {
    return cli_usage("more than one file given");
  }
  return import_file(cli, &import, optind < argc ? argv[optind] : "-");
}

const struct cli_command cli_import = {"import", "store executions from JSON lines", run};
