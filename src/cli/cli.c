/* What all subcommands share: common options, connecting, printing errors and JSON. */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "cli/text.h"
#include "engine/engine.h"
#include "migrate/catalog.h"
#include "model/json_object.h"
#include "sql/schema.h"

int cli_next_option(struct cli *cli, int argc, char **argv, const struct option *options,
                    const char *help) {
  for (;;) {
    int option = getopt_long(argc, argv, "", options, NULL);
    switch (option) {
    case CLI_OPTION_URL: cli->url = optarg; break;
    case CLI_OPTION_TABLE: cli->table_text = optarg; break;
    case CLI_OPTION_JSON: cli->json = true; break;
    case CLI_OPTION_HELP: fputs(help, stdout); return option;
    default: return option;
    }
  }
}

int cli_end_of_options(int option) {
  return option == CLI_OPTION_HELP ? cli_end_output() : CLI_USAGE;
}

int cli_check_target(struct cli *cli) {
  evd_error error;
  if (cli->url == NULL || cli->url[0] == '\0') {
    return cli_usage("no database given; use --url or set EVDURABLE_URL");
  }
  if (table_name_parse(cli->table_text, &cli->table, &error) != EVD_OK) {
    return cli_usage("%s", error.message);
  }
  return CLI_OK;
}

int cli_usage(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("evdurable: ", stderr);
  vfprintf(stderr, format, arguments);
  fputs(" (see --help)\n", stderr);
  va_end(arguments);
  return CLI_USAGE;
}

int cli_fail_text(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("evdurable: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  return CLI_FAILED;
}

int cli_fail(const evd_error *error) {
  bool has_native = error->native[0] != '\0';
  char message[sizeof error->message + 4];
  text_printable(error->message, sizeof message, message, sizeof message);
  cli_fail_text("%s%s%s%s", message, has_native ? " [" : "", error->native, has_native ? "]" : "");
  return error->code == EVD_EINVAL && strcmp(error->field, "url") == 0 ? CLI_USAGE : CLI_FAILED;
}

int cli_fail_query(const struct cli *cli, struct sql_client *client, const evd_error *error) {
  enum catalog_kind kind;
  evd_error other;
  if (error->code == EVD_ESCHEMA && catalog_find(client, &cli->table, &kind, &other) == EVD_OK &&
      kind == CATALOG_NOTHING) {
    schema_error_no_table(&cli->table, &other);
    return cli_fail(&other);
  }
  return cli_fail(error);
}

const struct dialect *cli_find_dialect(const struct cli *cli, const char *engine) {
  evd_error ignored;
  const struct dialect *dialect = NULL;
  if (engine != NULL) {
    dialect = dialect_by_name(engine, &ignored);
  } else if (cli->url != NULL) {
    const struct engine_ops *ops = engine_for_url(cli->url, &ignored);
    dialect = ops != NULL ? ops->dialect : NULL;
  }
  if (dialect == NULL) {
    cli_usage("no database given; use --engine sqlite, postgres or mysql");
  }
  return dialect;
}

struct sql_client *cli_connect(struct cli *cli, bool create, int *status) {
  evd_error error;
  *status = cli_check_target(cli);
  if (*status != CLI_OK) {
    return NULL;
  }
  struct sql_client *client = sql_client_open(cli->url, create, &error);
  if (client == NULL) {
    *status = cli_fail(&error);
  }
  return client;
}

evd_future *cli_await(evd_future *future) {
  if (evd_future_await(future) == EVD_OK) {
    return future;
  }
  cli_fail(evd_future_error(future));
  evd_future_release(future);
  return NULL;
}

evd_storage *cli_open_storage(struct cli *cli, const evd_options *options, int *status) {
  *status = cli_check_target(cli);
  if (*status != CLI_OK) {
    return NULL;
  }
  evd_options all = options != NULL ? *options : (evd_options){.table = NULL};
  all.table = cli->table_text;
  evd_storage *storage = NULL;
  evd_future *opened = evd_storage_open(EV_DEFAULT, cli->url, &all);
  if (evd_future_await(opened) == EVD_OK) {
    evd_future_storage(opened, &storage);
  } else {
    *status = cli_fail(evd_future_error(opened));
  }
  evd_future_release(opened);
  return storage;
}

void cli_close_storage(evd_storage *storage) {
  evd_future *closed = evd_storage_close(storage, -1);
  evd_future_await(closed);
  evd_future_release(closed);
}

int cli_print_json(cJSON *json) {
  char *text = json != NULL ? cJSON_PrintUnformatted(json) : NULL;
  cJSON_Delete(json);
  if (text == NULL) {
    return cli_fail_text("out of memory");
  }
  puts(text);
  cJSON_free(text);
  return CLI_OK;
}

void cli_json_integer(cJSON *object, const char *key, int64_t integer) {
  json_add_integer(object, key, integer);
}

int cli_end_output(void) {
  static bool said;
  if (fflush(stdout) == 0 && ferror(stdout) == 0) {
    return CLI_OK;
  }
  if (!said) {
    cli_fail_text("cannot write the output: %s", strerror(errno));
    said = true;
  }
  return CLI_FAILED;
}
