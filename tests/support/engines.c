/* Runs each test on every engine that the environment has. */
#include "support/engines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "suite/suite.h"
#include "support/check.h"
#include "support/native_sql.h"
#include "support/scratch.h"
#include "support/watchdog.h"

enum { ENGINES_MAX = 3, TESTS_MAX = 40, NAME_SIZE = 160 };

struct engine_case engine_case;
struct suite suite; /* what framework_table_make() looks at */

static const struct {
  const char *engine, *variable; /* NULL: a file */
} engines[] = {
#ifdef EVD_WITH_SQLITE
    {"sqlite", NULL},
#endif
#ifdef EVD_WITH_POSTGRES
    {"postgres", "EVD_TEST_POSTGRES_URL"},
#endif
#ifdef EVD_WITH_MYSQL
    {"mysql", "EVD_TEST_MYSQL_URL"},
#endif
};

/* A test on an engine. */
struct pairing {
  size_t engine;
  const struct engine_test *test;
  char name[NAME_SIZE];
};

static int set_up(void **state) {
  static unsigned number;
  static char table[48];
  const struct pairing *pairing = *state;
  const char *variable = engines[pairing->engine].variable;
  watchdog(600);
  snprintf(table, sizeof table, "evd_%d_%u", (int)getpid(), ++number);
  engine_case = (struct engine_case){
      .engine = engines[pairing->engine].engine,
      .url = variable != NULL ? getenv(variable) : text("sqlite:%s", scratch_new()),
      .table = table,
  };
  suite = (struct suite){.url = engine_case.url, .table = table, .engine = engine_case.engine};
  suite.loop = ev_loop_new(EVFLAG_AUTO);
  return 0;
}

bool engine_is(const char *name) {
  return strcmp(engine_case.engine, name) == 0;
}

struct table_name engine_table(const char *table) {
  struct table_name name;
  evd_error error;
  expect(table_name_parse(table, &name, &error) == EVD_OK, "%s", error.message);
  return name;
}

struct sql_client *engine_client(void) {
  evd_error error;
  struct sql_client *client = sql_client_open(engine_case.url, true, &error);
  expect(client, "%s", error.message);
  return client;
}

struct catalog engine_catalog(const char *table) {
  struct table_name name = engine_table(table);
  struct sql_client *client = engine_client();
  struct catalog catalog;
  evd_error error;
  expect(catalog_read(client, &name, &catalog, &error) == EVD_OK, "%s", error.message);
  sql_client_close(client);
  return catalog;
}

evd_error engine_try_up(const char *table, struct migrate_options options,
                        struct migrate_result *result) {
  struct table_name name = engine_table(table);
  struct sql_client *client = engine_client();
  evd_error error = {.code = EVD_OK};
  evd_error failure;
  if (options.wait_ms == 0) {
    options.wait_ms = 10000;
  }
  if (migrate_up(client, &name, &options, result, &failure) != EVD_OK) {
    error = failure;
  }
  sql_client_close(client);
  return error;
}

size_t engine_up(struct migrate_options options) {
  struct migrate_result result;
  evd_error error = engine_try_up(engine_case.table, options, &result);
  expect(error.code == EVD_OK, "%s", error.message);
  return result.steps;
}

evd_storage *engine_open(const char *table, evd_schema_mode schema) {
  evd_options options = {.table = table, .schema = schema, .test_mode = true};
  return await_storage(evd_storage_open(suite.loop, engine_case.url, &options));
}

void engine_close(evd_storage *storage) {
  await_ok(evd_storage_close(storage, -1));
}

static void run_pairing(void **state) {
  const struct pairing *pairing = *state;
  if (engine_case.url == NULL) {
    const char *variable = engines[pairing->engine].variable; /* NULL where an engine needs none */
    print_message("%s: %s is not set (tests/run sets it)\n", pairing->name,
                  variable != NULL ? variable : "a URL");
    skip();
  }
  pairing->test->run(state);
}

static int tear_down(void **state) {
  (void)state;
  if (engine_case.url != NULL) {
    native_run_once(engine_case.url, text("drop table if exists %s; drop table if exists "
                                          "%s_migrations;",
                                          engine_case.table, engine_case.table));
  }
  release_kept();
  ev_loop_destroy(suite.loop);
  watchdog(0);
  return 0;
}

int run_on_engines(const struct engine_test *tests, size_t count) {
  static struct pairing pairings[ENGINES_MAX * TESTS_MAX];
  static struct CMUnitTest all[ENGINES_MAX * TESTS_MAX];
  size_t total = 0;
  for (size_t i = 0; i < sizeof engines / sizeof engines[0]; i++) {
    for (size_t j = 0; j < count && j < TESTS_MAX; j++) {
      if (tests[j].engines != NULL && strstr(tests[j].engines, engines[i].engine) == NULL) {
        continue;
      }
      struct pairing *pairing = &pairings[total];
      *pairing = (struct pairing){.engine = i, .test = &tests[j]};
      snprintf(pairing->name, NAME_SIZE, "%s: %s", engines[i].engine, tests[j].name);
      all[total] = (struct CMUnitTest){.name = pairing->name,
                                       .test_func = run_pairing,
                                       .setup_func = set_up,
                                       .teardown_func = tear_down,
                                       .initial_state = pairing};
      total++;
    }
  }
  return _cmocka_run_group_tests("engines", all, total, NULL, NULL);
}
