/* evdurable prune: deletes executions that are finished and closed, in small transactions. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/rows.h"
#include "cli/text.h"
#include "model/error.h"

enum { BATCH_DEFAULT = 1000, BATCH_MAX = 10000, ID_SIZE = EVD_ID_MAX * 4 + 1 };

/* A batch that fails because of others' locks is tried so often, with such a pause. */
enum { ATTEMPTS = 10, PAUSE_MS = 200 };

static const char help[] =
    "Usage: evdurable prune --older-than D [OPTION...]\n"
    "\n"
    "Deletes executions that were closed longer ago than D. One whose parent or root is not closed\n"
    "stays, since it may still be read. Finished executions that were never closed stay, too, and are\n"
    "counted. Each batch is a transaction, so you can interrupt it at any time.\n"
    "\n"
    "  --older-than D  7d, 12h, ...; required\n"
    "  --dry-run       only counts what it would delete\n"
    "  --batch N       deletes N executions in each transaction (default 1000)\n"
    "  --limit N       deletes at most N executions\n"
    "\n"
    "Examples:\n"
    "  evdurable prune --older-than 30d --dry-run\n"
    "  evdurable prune --older-than 7d --json\n";

struct prune {
  struct cli *cli;
  struct sql_client *client;
  bool dry_run;
  int64_t older_than_ms; /* -1: not given */
  int64_t batch;
  int64_t limit;
  int64_t deleted;
  int64_t unclosed;     /* as old as those, finished, and not closed */
  char (*ids)[ID_SIZE]; /* of a batch */
  size_t count;
  bool too_long;      /* the id after those does not fit, and was cut */
  char last[ID_SIZE]; /* the id after which the next batch begins */
  struct progress progress;
};

/* Adds an id to the batch, which ends before one that is too long: a part of it would be another
 * row's, or nobody's. */
static bool add_id(const char *const *values, void *data) {
  struct prune *prune = data;
  prune->too_long = snprintf(prune->ids[prune->count], ID_SIZE, "%s", values[0]) >= ID_SIZE;
  prune->count += !prune->too_long;
  return !prune->too_long;
}

/* Appends "there is no other row with this id that is not closed". */
static void append_none_open(struct buffer *sql, const char *table, const char *id) {
  buffer_printf(sql,
                " and not exists (select 1 from %s o where o.execution_id = p.%s"
                " and o.close_status <> 'closed')",
                table, id);
}

/* Asks for the next batch, by the primary key: the whole pruning reads the table once. */
static evd_code read_batch(struct prune *prune, const char *table, int64_t before,
                           evd_error *error) {
  struct buffer sql = {0};
  const char *parameters[] = {prune->last};
  int64_t rest = prune->limit - prune->deleted;
  buffer_printf(&sql,
                "select p.execution_id from %s p where p.execution_id > ?"
                " and p.is_finished and p.close_status = 'closed'"
                " and coalesce(p.closed_at, p.finished_at, p.updated_at) < %" PRId64,
                table, before);
  append_none_open(&sql, table, "parent_execution_id");
  append_none_open(&sql, table, "root_execution_id");
  buffer_printf(&sql, " order by p.execution_id limit %" PRId64,
                rest < prune->batch ? rest : prune->batch);
  prune->count = 0;
  prune->too_long = false;
  evd_code code = sql.failed
                      ? error_set_no_memory(error)
                      : sql_client_query(prune->client, sql.text, parameters, add_id, prune, error);
  buffer_free(&sql);
  return code;
}

/* Finds the next batch. There is no way past an id that is too long to begin the batch after it;
 * nor past the one that the batch before ended with: it was not read as it is in the table, where
 * SQLite has blobs and texts with zero bytes. */
static evd_code find_batch(struct prune *prune, const char *table, int64_t before,
                           evd_error *error) {
  evd_code code = read_batch(prune, table, before, error);
  if (code != EVD_OK || (prune->count == 0 && !prune->too_long)) {
    return code;
  }
  const char *id = prune->ids[prune->count > 0 ? prune->count - 1 : 0];
  if (prune->count == 0 || strcmp(id, prune->last) == 0) {
    return rows_unfit(evd_column_execution_id, id, id, error);
  }
  memcpy(prune->last, id, ID_SIZE);
  return EVD_OK;
}

/* Deletes the batch. What it looked at may have changed since: so it looks again. */
static evd_code delete_batch(struct prune *prune, const char *table, evd_error *error) {
  struct buffer sql = {0};
  const char **parameters = calloc(prune->count, sizeof *parameters);
  buffer_printf(&sql, "delete from %s where is_finished and close_status = 'closed'", table);
  for (size_t i = 0; parameters != NULL && i < prune->count; i++) {
    buffer_append(&sql, i == 0 ? " and execution_id in (?" : ", ?");
    parameters[i] = prune->ids[i];
  }
  buffer_append(&sql, ")");
  evd_code code = parameters == NULL || sql.failed
                      ? error_set_no_memory(error)
                      : sql_client_query(prune->client, sql.text, parameters, NULL, NULL, error);
  prune->deleted += code == EVD_OK ? sql_client_changed(prune->client) : 0;
  buffer_free(&sql);
  free((void *)parameters);
  return code;
}

/* Deletes the batch; waits for others whose locks are in the way. */
static evd_code delete_patiently(struct prune *prune, const char *table, evd_error *error) {
  evd_code code = delete_batch(prune, table, error);
  for (int attempt = 1; code == EVD_ECONFLICT && attempt < ATTEMPTS; attempt++) {
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
    code = delete_batch(prune, table, error);
  }
  return code;
}

static evd_code prune_all(struct prune *prune, const char *table, int64_t before,
                          evd_error *error) {
  evd_code code = EVD_OK;
  do {
    code = find_batch(prune, table, before, error);
    if (code != EVD_OK || prune->count == 0) {
      break;
    }
    if (prune->dry_run) {
      prune->deleted += (int64_t)prune->count;
    } else {
      code = delete_patiently(prune, table, error);
    }
    progress_show(&prune->progress, prune->deleted, -1);
  } while (code == EVD_OK && prune->deleted < prune->limit);
  return code;
}

/* Counts what stays because nobody has closed it. */
static evd_code count_unclosed(struct prune *prune, const char *table, int64_t before,
                               evd_error *error) {
  struct buffer sql = {0};
  buffer_printf(&sql,
                "select count(*) from %s where is_finished and close_status <> 'closed'"
                " and coalesce(finished_at, updated_at) < %" PRId64,
                table, before);
  evd_code code =
      sql.failed ? error_set_no_memory(error)
                 : sql_client_integer(prune->client, sql.text, NULL, 0, &prune->unclosed, error);
  buffer_free(&sql);
  return code;
}

static int print_result(const struct prune *prune) {
  if (prune->cli->json) {
    cJSON *json = cJSON_CreateObject();
    cli_json_integer(json, prune->dry_run ? "prunable" : "deleted", prune->deleted);
    cli_json_integer(json, "unclosed", prune->unclosed);
    return cli_print_json(json);
  }
  printf("%" PRId64 " %s\n", prune->deleted, prune->dry_run ? "would be deleted" : "deleted");
  if (prune->unclosed > 0) {
    fprintf(stderr,
            "%" PRId64 " finished executions of that age were kept, because their executor has not"
            " closed them (close_status is not \"closed\")\n",
            prune->unclosed);
  }
  return CLI_OK;
}

static int run_prune(struct prune *prune) {
  int status;
  prune->client = cli_connect(prune->cli, false, &status);
  if (prune->client == NULL) {
    return status;
  }
  struct buffer table = {0};
  evd_error error;
  sql_table(&table, sql_client_dialect(prune->client), &prune->cli->table);
  prune->ids = calloc((size_t)prune->batch, sizeof *prune->ids);
  if (prune->ids == NULL || table.failed) {
    status = cli_fail_text("out of memory");
  } else {
    progress_begin(&prune->progress, prune->dry_run ? "found" : "deleted");
    int64_t before = evd_now() - prune->older_than_ms;
    evd_code code = prune_all(prune, table.text, before, &error);
    (void)progress_end(&prune->progress);
    if (code == EVD_OK) {
      code = count_unclosed(prune, table.text, before, &error);
    }
    status =
        code == EVD_OK ? print_result(prune) : cli_fail_query(prune->cli, prune->client, &error);
    if (code != EVD_OK && prune->deleted > 0 && !prune->dry_run) {
      cli_fail_text("%" PRId64 " executions were deleted before that", prune->deleted);
    }
  }
  free(prune->ids);
  buffer_free(&table);
  sql_client_close(prune->client);
  return status;
}

enum { OPTION_OLDER_THAN = 1, OPTION_DRY_RUN, OPTION_BATCH, OPTION_LIMIT };

static int take_option(struct prune *prune, int option) {
  switch (option) {
  case OPTION_OLDER_THAN:
    return text_read_duration(optarg, &prune->older_than_ms)
               ? CLI_OK
               : cli_usage("--older-than: \"%s\" is not a duration, such as 7d", optarg);
  case OPTION_DRY_RUN: prune->dry_run = true; return CLI_OK;
  case OPTION_BATCH:
    return text_read_number(optarg, 1, &prune->batch) && prune->batch <= BATCH_MAX
               ? CLI_OK
               : cli_usage("--batch must be an integer from 1 to %d", BATCH_MAX);
  case OPTION_LIMIT:
    return text_read_number(optarg, 1, &prune->limit)
               ? CLI_OK
               : cli_usage("--limit must be an integer of at least 1");
  default: return CLI_OK;
  }
}

static int run(struct cli *cli, int argc, char **argv) {
  static const struct option options[] = {
      CLI_COMMON_OPTIONS,
      {"older-than", required_argument, NULL, OPTION_OLDER_THAN},
      {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
      {"batch", required_argument, NULL, OPTION_BATCH},
      {"limit", required_argument, NULL, OPTION_LIMIT},
      {NULL, 0, NULL, 0}};
  struct prune prune = {
      .cli = cli, .older_than_ms = -1, .batch = BATCH_DEFAULT, .limit = INT64_MAX};
  int option;
  while ((option = cli_next_option(cli, argc, argv, options, help)) != -1) {
    if (option == '?' || option == CLI_OPTION_HELP) {
      return cli_end_of_options(option);
    }
    if (take_option(&prune, option) != CLI_OK) {
      return CLI_USAGE;
    }
  }
  if (optind < argc) {
    return cli_usage("unexpected argument \"%s\"", argv[optind]);
  }
  if (prune.older_than_ms < 0) {
    return cli_usage("--older-than is required");
  }
  return run_prune(&prune);
}

const struct cli_command cli_prune = {"prune", "delete executions that were closed long ago", run};
