/* The benchmark: its options, and which parts it runs on which engines. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "ops.h"
#include "report.h"

static const char usage[] =
    "Usage: evdurable-bench [OPTION]...\n"
    "\n"
    "Measures evdurable: how many concurrent tasks a second it carries through, how long the loop\n"
    "is kept waiting meanwhile, and how its operations compare with the database's own client.\n"
    "\n"
    "  --engine=NAME     sqlite (default), postgres, mysql, or all\n"
    "  --quick           a tenth of the work, once: a smoke test, not a measurement\n"
    "  --json            one JSON object a line instead of tables\n"
    "  --help            this text\n"
    "\n"
    "To look closer:\n"
    "  --only=PART       tasks, connect (making connections over TLS), ops, one of them (insert, get,\n"
    "                    update, claim, claim-tasks), or memory, which is not run otherwise\n"
    "  --tasks=N         tasks in all (30000; memory: operations, 1000000)\n"
    "  --rows=N          rows each operation is measured on (10000)\n"
    "  --in-flight=N     at any time (tasks: 300; ops: 256)\n"
    "  --repeat=N        repetitions, of which the median is shown (5)\n"
    "  --url=URL         the database to work in; its tables bench_* are made and dropped\n"
    "\n"
    "SQLite works in a temporary directory (TMPDIR or /tmp), which should be on a real disk.\n"
    "The servers' URLs are taken from EVD_BENCH_POSTGRES_URL and EVD_BENCH_MYSQL_URL; bench/run\n"
    "starts private servers and sets them.\n"
    "\n"
    "Examples:\n"
    "  evdurable-bench\n"
    "  evdurable-bench --engine=all --json > results.jsonl\n"
    "  evdurable-bench --engine=postgres --only=ops --url=postgresql://localhost/test\n"
    "  evdurable-bench --only=memory\n";

enum {
  OPTION_ENGINE = 256,
  OPTION_ONLY,
  OPTION_TASKS,
  OPTION_ROWS,
  OPTION_IN_FLIGHT,
  OPTION_REPEAT,
  OPTION_URL,
  OPTION_QUICK,
  OPTION_JSON,
  OPTION_HELP
};

static const struct option long_options[] = {
    {"engine", required_argument, NULL, OPTION_ENGINE},
    {"only", required_argument, NULL, OPTION_ONLY},
    {"tasks", required_argument, NULL, OPTION_TASKS},
    {"rows", required_argument, NULL, OPTION_ROWS},
    {"in-flight", required_argument, NULL, OPTION_IN_FLIGHT},
    {"repeat", required_argument, NULL, OPTION_REPEAT},
    {"url", required_argument, NULL, OPTION_URL},
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

/* Reads the number of an option: 1 to 100 million. */
static bool read_count(const char *option, const char *text, size_t *count) {
  char *end;
  errno = 0;
  long number = strtol(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || number < 1 || number > 100000000) {
    return bench_fail("--%s: not a number from 1 to 100000000: %s", option, text);
  }
  *count = (size_t)number;
  return true;
}

static bool read_engine(const char *text, struct bench_options *options) {
  bool all = strcmp(text, "all") == 0;
  options->sqlite = all || strcmp(text, "sqlite") == 0;
  options->postgres = all || strcmp(text, "postgres") == 0;
  options->mysql = all || strcmp(text, "mysql") == 0;
  return options->sqlite || options->postgres || options->mysql ||
         bench_fail("--engine: not sqlite, postgres, mysql or all: %s", text);
}

static bool read_part(const char *text, struct bench_options *options) {
  options->tasks = strcmp(text, "tasks") == 0;
  options->connect = strcmp(text, "connect") == 0;
  options->ops = strcmp(text, "ops") == 0;
  options->memory = strcmp(text, "memory") == 0;
  for (enum op op = 0; op < OP_COUNT; op++) {
    if (strcmp(text, op_name(op)) == 0) {
      options->ops = true;
      options->only_op = text;
    }
  }
  return options->tasks || options->connect || options->ops || options->memory ||
         bench_fail("--only: not tasks, connect, ops, an op, or memory: %s", text);
}

/* Reads one option; false after an error has been printed. */
static bool read_option(int option, const char *name, struct bench_options *options) {
  switch (option) {
  case OPTION_ENGINE: return read_engine(optarg, options);
  case OPTION_ONLY: return read_part(optarg, options);
  case OPTION_TASKS: return read_count(name, optarg, &options->task_count);
  case OPTION_ROWS: return read_count(name, optarg, &options->row_count);
  case OPTION_IN_FLIGHT: return read_count(name, optarg, &options->in_flight);
  case OPTION_REPEAT: return read_count(name, optarg, &options->repetitions);
  case OPTION_URL: options->url = optarg; return true;
  case OPTION_QUICK: options->quick = true; return true;
  case OPTION_JSON: options->json = true; return true;
  default: return false; /* getopt_long has said why */
  }
}

/* Reads the command line. *done when all that was asked for has been printed. */
static bool read_options(int argc, char **argv, struct bench_options *options, bool *done) {
  int option, index = 0;
  while ((option = getopt_long(argc, argv, "", long_options, &index)) != -1) {
    if (option == OPTION_HELP) {
      fputs(usage, stdout);
      *done = true;
      return true;
    }
    if (!read_option(option, long_options[index].name, options)) {
      return false;
    }
  }
  if (optind < argc) {
    return bench_fail("unexpected argument: %s", argv[optind]);
  }
  if (options->url != NULL && options->sqlite + options->postgres + options->mysql > 1) {
    return bench_fail("--url: works with one engine only");
  }
  return true;
}

/* Runs one part on each engine that was asked for; a failing engine does not stop the next. */
static bool run_part(bool (*part)(const char *engine, const struct bench_options *options),
                     const struct bench_options *options) {
  bool ok = true;
  if (options->sqlite) {
    ok = part("sqlite", options) && ok;
  }
  if (options->postgres) {
    ok = part("postgres", options) && ok;
  }
  if (options->mysql) {
    ok = part("mysql", options) && ok;
  }
  return ok;
}

/* Runs the parts that were asked for. */
static bool run(const struct bench_options *options) {
  bool ok = true;
  if (options->tasks) {
    report_tasks_head(options);
    ok = run_part(bench_tasks, options) && ok;
  }
  if (options->connect && (options->postgres || options->mysql)) {
    report_connect_head(options);
    ok = run_part(bench_connect, options) && ok;
  }
  if (options->ops) {
    report_ops_head(options);
    ok = run_part(bench_ops, options) && ok;
  }
  if (options->memory) {
    report_memory_head(options);
    ok = run_part(bench_memory, options) && ok;
  }
  return ok;
}

int main(int argc, char **argv) {
  struct bench_options options = {.sqlite = true, .tasks = true, .connect = true, .ops = true};
  bool done = false;
  if (!read_options(argc, argv, &options, &done)) {
    fputs("Try evdurable-bench --help.\n", stderr);
    return 2;
  }
  if (done) {
    return 0;
  }
  setvbuf(stdout, NULL, _IOLBF, 0); /* each line is seen when it is there */
  bool ok = run(&options);
  targets_clean();
  return ok ? 0 : 1;
}
