/*
 * The engine-agnostic suite, on any database:
 *
 *     tests/engine-suite URL [GROUP...]
 *
 * or with the URL in EVD_TEST_URL. Without groups, all are run. The database needs nothing but the
 * right to make tables; in-memory databases skip what needs a second connection.
 */
#include "suite/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "suite/executor_kills.h"
#include "suite/framework_table.h"
#include "suite/processes.h"

struct group {
  const char *name;
  int (*run)(void);
  bool both_shapes; /* run again on a table that the framework made */
};

static const struct group groups[] = {
    {"insert_get", insert_get_tests, true},
    {"insert_sql", insert_sql_tests, true},
    {"values", values_tests, true},
    {"filters", filters_tests, true},
    {"fencing", fencing_tests, true},
    {"update", update_tests, true},
    {"adding", adding_tests, true},
    {"children", children_tests, true},
    {"claims", claims_tests, true},
    {"task_ids", task_ids_tests, true},
    {"trees", trees_tests, true},
#ifdef EVD_WITH_EXECUTOR
    {"executor", executor_tests, true},
    {"executor_families", executor_families_tests, true},
    {"executor_lives", executor_lives_tests, false},
    {"executor_recovery", executor_recovery_tests, true},
    {"executor_kills", executor_kills_tests, false},
#endif
    {"selections", selections_tests, true},
    {"expire", expire_tests, true},
    {"close_finished", close_finished_tests, true},
    {"delete", delete_tests, false},
    {"bad_records", bad_records_tests, false},
    {"bad_calls", bad_calls_tests, false},
    {"bad_opens", bad_opens_tests, false},
    {"futures", futures_tests, false},
    {"cancel", cancel_tests, false},
    {"batching", batching_tests, true},
    {"order", order_tests, false},
    {"pressure", pressure_tests, false},
    {"timeouts", timeouts_tests, false},
    {"turns", turns_tests, false},
    {"close_storage", close_storage_tests, false},
    {"loop", loop_tests, false},
    {"stats", stats_tests, false},
    {"concurrency", concurrency_tests, true},
};

enum { GROUPS = sizeof groups / sizeof *groups };

/* Whether this group was asked for. */
static bool is_wanted(const char *name, char *const *names) {
  if (*names == NULL) {
    return true;
  }
  while (*names != NULL && strcmp(*names, name) != 0) {
    names++;
  }
  return *names != NULL;
}

static int run_groups(char *const *names) {
  int failures = 0;
  for (int i = 0; i < GROUPS; i++) {
    if (is_wanted(groups[i].name, names) && (groups[i].both_shapes || !suite.framework)) {
      printf("# %s%s\n", groups[i].name, suite.framework ? ", on the framework's table" : "");
      fflush(stdout);
      failures += groups[i].run();
    }
  }
  return failures;
}

/* The engine of the URL, by opening it; ends the program when that fails. */
static void find_engine(void) {
  suite.loop = ev_loop_new(EVFLAG_AUTO);
  evd_future *opening = evd_storage_open(
      suite.loop, suite.url, &(evd_options){.table = suite.table, .schema = EVD_SCHEMA_CREATE});
  if (evd_future_await(opening) || evd_future_storage(opening, &suite.storage)) {
    fprintf(stderr, "cannot open %s: %s\n", suite.url, evd_future_error(opening)->message);
    exit(EXIT_FAILURE);
  }
  evd_future_release(opening);
  suite.engine = evd_storage_engine(suite.storage);
  evd_future *closing = evd_storage_close(suite.storage, -1);
  (void)evd_future_await(closing);
  evd_future_release(closing);
  ev_loop_destroy(suite.loop);
  suite.storage = NULL;
}

static int run_on_framework_table(char *const *names) {
  suite.framework = true;
  char table[64];
  snprintf(table, sizeof table, "suite_%d_framework", (int)getpid());
  suite.table = table;
  framework_table_make(table, EVD_COLUMN_COUNT);
  release_kept();
  int failures = run_groups(names);
  if (is_wanted("framework_table", names)) {
    failures += framework_table_tests();
  }
  framework_table_drop(table);
  release_kept();
  return failures;
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], WORK_ROLE) == 0) {
    return work_role(argv[2], argv[3]);
  }
  if (argc == 4 && strcmp(argv[1], LATE_ROLE) == 0) {
    return late_role(argv[2], argv[3]);
  }
#ifdef EVD_WITH_EXECUTOR
  if (argc == 6 && strcmp(argv[1], EXECUTE_ROLE) == 0) {
    return execute_role(argv[2], argv[3], argv[4], argv[5]);
  }
#endif
  suite.url = argc > 1 ? argv[1] : getenv("EVD_TEST_URL");
  if (suite.url == NULL) {
    fprintf(stderr, "usage: %s URL [GROUP...]\n", argv[0]);
    return EXIT_FAILURE;
  }
  char *const *names = argc > 1 ? argv + 2 : argv + argc;
  char table[64];
  snprintf(table, sizeof table, "suite_%d", (int)getpid());
  suite.table = table;
  find_engine();
  int failures = run_groups(names);
  if (suite_is_shared()) {
    framework_table_drop(table);
    failures += run_on_framework_table(names);
  }
  release_kept();
  return failures > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
