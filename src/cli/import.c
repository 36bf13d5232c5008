/* evdurable import: stores executions from JSON lines, through the library's own batches. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/progress.h"
#include "model/error.h"

/* So many inserts are under way at once, of so many bytes: enough to fill the engine's batches. */
enum { WINDOW_REQUESTS = 4096, WINDOW_BYTES = 32 << 20, TIMEOUT_MS = 300000, SAID_MAX = 50 };

static const char help[] =
    "Usage: evdurable import [OPTION...] [FILE]\n"
    "\n"
    "Stores executions from a file (or the standard input) of JSON objects, one a line, as export and\n"
    "list --json write them. It takes a few megabytes, whatever the file's size. Each line is stored\n"
    "or not by itself: when some fail, the others stay, and the import can be run again with\n"
    "--skip-duplicates.\n"
    "\n"
    "  --skip-duplicates  executions that are there already are no error; they are left as they are\n"
    "  --keep-going       goes on after a line that cannot be stored; says of the first 50 why\n"
    "\n"
    "Examples:\n"
    "  evdurable import backup.jsonl\n"
    "  evdurable export --url sqlite:old.db | evdurable import --url postgresql://db/new\n";

struct import {
  evd_storage *storage;
  struct lines lines;
  bool skip_duplicates, keep_going;
  bool stopping; /* takes no more lines */
  size_t pending_requests, pending_bytes;
  int64_t imported, duplicates, failed;
  struct progress progress;
};

/* A line under way. */
struct line {
  struct import *import;
  uint64_t number;
  size_t bytes;
};

/* Says what is wrong with a line, of the first few; and without --keep-going of one: others that were
 * under way with it may fail, too. */
static void refuse(struct import *import, uint64_t number, const evd_error *error) {
  import->failed++;
  import->stopping = import->stopping || !import->keep_going;
  if (import->failed > (import->keep_going ? SAID_MAX : 1)) {
    return;
  }
  (void)progress_end(&import->progress);
  fprintf(stderr, "evdurable: %s:%" PRIu64 ": %s\n", import->lines.path, number, error->message);
}

static void inserted(evd_future *future, void *data) {
  struct line *line = data;
  struct import *import = line->import;
  evd_code code = evd_future_code(future);
  if (code == EVD_OK) {
    import->imported++;
  } else if (code == EVD_EDUPLICATE && import->skip_duplicates) {
    import->duplicates++;
  } else {
    refuse(import, line->number, evd_future_error(future));
  }
  import->pending_requests--;
  import->pending_bytes -= line->bytes;
  free(line);
}

/* Submits the insertion of a line's execution. */
static void submit(struct import *import, const char *text, size_t bytes) {
  evd_error error;
  evd_execution *execution = evd_execution_from_json(text, &error);
  if (execution == NULL) {
    refuse(import, import->lines.number, &error);
    return;
  }
  struct line *line = malloc(sizeof(*line));
  evd_future *future = line != NULL ? evd_insert(import->storage, execution, 1) : NULL;
  free(execution);
  if (future == NULL) {
    free(line);
    cli_fail_text("memory ran out");
    import->stopping = true;
    import->failed++;
    return;
  }
  *line = (struct line){.import = import, .number = import->lines.number, .bytes = bytes};
  import->pending_requests++;
  import->pending_bytes += bytes;
  evd_future_then(future, inserted, line);
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
  } else if (strlen(text) < import->lines.length) {
    evd_error error;
    error_set(&error, EVD_EINVAL, "", "there is a zero byte in the line");
    refuse(import, import->lines.number, &error);
  } else if (!is_blank(text)) {
    submit(import, text, (size_t)(import->lines.taken - before));
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
      continue;
    }
    ev_run(EV_DEFAULT, EVRUN_ONCE);
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
    printf(", %" PRId64 " there already", import->duplicates);
  }
  if (import->failed > 0) {
    printf(", %" PRId64 " failed", import->failed);
  }
  printf(", %.1f s, %.0f a second\n", seconds,
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
    status = print_result(cli, import, progress_end(&import->progress));
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
    return cli_usage("which one file?");
  }
  return import_file(cli, &import, optind < argc ? argv[optind] : "-");
}

const struct cli_command cli_import = {"import", "store executions from JSON lines", run};
