/* evdurable enqueue: stores a new execution. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/text.h"

static const char help[] =
    "Usage: evdurable enqueue [OPTION...] TASK\n"
    "       evdurable enqueue --sql [--engine NAME] [--framework]\n"
    "\n"
    "Stores a new execution of a task, for an executor to run, and prints its id.\n"
    "\n"
    "  --input JSON          the input (default null); @FILE reads a file, @- standard input\n"
    "  --id ID               the execution's id (default: a new one)\n"
    "  --delay D             start no earlier than D from now: 10s, 2h, 1d, ...\n"
    "  --timeout D           time limit of a run (default 1m); with 0s a claim expires at once\n"
    "  --max-attempts N      retries after the first attempt (default 0)\n"
    "  --retry-options JSON  maxAttempts, baseDelayMs, delayMultiplier and maxDelayMs\n"
    "  --sleeping ID         store a sleeping execution with this unique id\n"
    "\n"
    "  --sql                 store nothing; print the statement with which any program enqueues in a\n"
    "                        transaction of its own. Its parameter is a JSON array of executions.\n"
    "  --engine NAME         sqlite, postgres or mysql (default: that of the URL)\n"
    "  --framework           for a table in the TypeScript framework's shape\n"
    "\n"
    "Examples:\n"
    "  evdurable enqueue send_mail --input '{\"to\":\"ann@example.org\"}' --timeout 30s\n"
    "  evdurable enqueue nightly_report --delay 8h --max-attempts 3\n"
    "  generate | evdurable enqueue import_rows --input @-\n"
    "  evdurable enqueue --sql --engine postgres >enqueue.sql\n";

enum {
  OPTION_INPUT = 1,
  OPTION_ID,
  OPTION_DELAY,
  OPTION_TIMEOUT,
  OPTION_MAX_ATTEMPTS,
  OPTION_RETRY_OPTIONS,
  OPTION_SLEEPING,
  OPTION_SQL,
  OPTION_ENGINE,
  OPTION_FRAMEWORK
};

static const struct option options[] = {
    CLI_COMMON_OPTIONS,
    {"input", required_argument, NULL, OPTION_INPUT},
    {"id", required_argument, NULL, OPTION_ID},
    {"delay", required_argument, NULL, OPTION_DELAY},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"max-attempts", required_argument, NULL, OPTION_MAX_ATTEMPTS},
    {"retry-options", required_argument, NULL, OPTION_RETRY_OPTIONS},
    {"sleeping", required_argument, NULL, OPTION_SLEEPING},
    {"sql", no_argument, NULL, OPTION_SQL},
    {"engine", required_argument, NULL, OPTION_ENGINE},
    {"framework", no_argument, NULL, OPTION_FRAMEWORK},
    {NULL, 0, NULL, 0}};

/* What to store. */
struct order {
  const char *task, *id, *sleeping;
  const char *input; /* as given: JSON, or @FILE */
  int64_t max_attempts;
  int64_t timeout_ms; /* -1: the default */
  evd_run_options run;
  bool sql; /* only print the statement */
  const char *engine;
  bool framework;
};

static int read_duration(const char *name, int64_t *milliseconds) {
  return text_read_duration(optarg, milliseconds)
             ? CLI_OK
             : cli_usage("--%s: \"%s\" is not a duration, such as 10s or 2h", name, optarg);
}

static int take_option(struct order *order, int option) {
  switch (option) {
  case OPTION_INPUT: order->input = optarg; return CLI_OK;
  case OPTION_ID: order->id = optarg; return CLI_OK;
  case OPTION_DELAY: return read_duration("delay", &order->run.sleep_ms_before_run);
  case OPTION_TIMEOUT: return read_duration("timeout", &order->timeout_ms);
  case OPTION_RETRY_OPTIONS: order->run.retry_options = optarg; return CLI_OK;
  case OPTION_SLEEPING: order->sleeping = optarg; return CLI_OK;
  case OPTION_SQL: order->sql = true; return CLI_OK;
  case OPTION_ENGINE: order->engine = optarg; return CLI_OK;
  case OPTION_FRAMEWORK: order->framework = true; return CLI_OK;
  case OPTION_MAX_ATTEMPTS:
    if (!text_read_number(optarg, 0, &order->max_attempts) || order->max_attempts > INT32_MAX) {
      return cli_usage("--max-attempts must be an integer of at least 0");
    }
    return CLI_OK;
  default: return CLI_OK;
  }
}

/* Stores the execution; says what is wrong with it. */
static int insert(struct cli *cli, const evd_execution *execution) {
  int status;
  evd_storage *storage = cli_open_storage(cli, NULL, &status);
  if (storage == NULL) {
    return status;
  }
  evd_future *inserted = evd_insert(storage, execution, 1);
  if (evd_future_await(inserted) == EVD_EDUPLICATE) {
    status = cli_fail_text("an execution with this %s already exists",
                           evd_future_error(inserted)->field);
  } else if (evd_future_code(inserted) != EVD_OK) {
    status = cli_fail(evd_future_error(inserted));
  } else if (cli->json) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "executionId", execution->execution_id);
    status = cli_print_json(json);
  } else {
    char id[EVD_ID_MAX * 4 + 4];
    text_printable(execution->execution_id, EVD_ID_MAX, id, sizeof id);
    puts(id);
  }
  evd_future_release(inserted);
  cli_close_storage(storage);
  return status;
}

/* Gives an execution this time-out, which may be 0. */
static void set_timeout(evd_execution *execution, int64_t timeout_ms) {
  if (execution->is_sleeping_task) {
    execution->expires_at += timeout_ms - execution->timeout_ms;
  }
  execution->timeout_ms = timeout_ms;
}

static int enqueue(struct cli *cli, const struct order *order) {
  evd_run_options run_options = order->run;
  char id[EVD_ID_SIZE];
  char retry_options[64];
  char *read = NULL;
  const char *input = order->input != NULL ? order->input : "null";
  if (input[0] == '@') {
    read = lines_read_file(input + 1);
    if (read == NULL) {
      return CLI_FAILED;
    }
    input = read;
  }
  if (run_options.retry_options == NULL) {
    snprintf(retry_options, sizeof retry_options, "{\"maxAttempts\":%" PRId64 "}",
             order->max_attempts);
    run_options.retry_options = retry_options;
  }
  evd_id_generate(id);
  const char *execution_id = order->id != NULL ? order->id : id;
  evd_execution execution;
  if (order->sleeping != NULL) {
    evd_execution_init_sleeping(&execution, execution_id, order->task, order->sleeping, input,
                                &run_options);
  } else {
    evd_execution_init(&execution, execution_id, order->task, input, &run_options);
  }
  if (order->timeout_ms >= 0) {
    set_timeout(&execution, order->timeout_ms);
  }
  int status = insert(cli, &execution);
  free(read);
  return status;
}

/* Prints the statement that inserts executions. */
static int print_sql(const struct cli *cli, const struct order *order) {
  const evd_schema_options shape = {.table = cli->table_text, .framework_shape = order->framework};
  const struct dialect *dialect = cli_find_dialect(cli, order->engine);
  if (dialect == NULL) {
    return CLI_USAGE;
  }
  evd_error error;
  char *sql = evd_insert_sql(dialect->name, &shape, &error);
  if (sql == NULL) {
    return error.code == EVD_EINVAL ? cli_usage("%s", error.message) : cli_fail(&error);
  }
  puts(sql);
  free(sql);
  return CLI_OK;
}

static int run(struct cli *cli, int argc, char **argv) {
  struct order order = {.timeout_ms = -1};
  int option;
  while ((option = cli_next_option(cli, argc, argv, options, help)) != -1) {
    if (option == '?' || option == CLI_OPTION_HELP) {
      return cli_end_of_options(option);
    }
    if (take_option(&order, option) != CLI_OK) {
      return CLI_USAGE;
    }
  }
  if (order.sql) {
    return optind == argc ? print_sql(cli, &order)
                          : cli_usage("--sql prints a statement for any task: it takes none");
  }
  if (order.engine != NULL || order.framework) {
    return cli_usage("--engine and --framework are for --sql");
  }
  if (argc - optind != 1) {
    return cli_usage("no task given");
  }
  order.task = argv[optind];
  return enqueue(cli, &order);
}

const struct cli_command cli_enqueue = {"enqueue", "store a new execution of a task", run};
