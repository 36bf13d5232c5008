/*
 * The engine-agnostic suite: what every engine must do, through the public interface only.
 *
 * Every test runs with a loop of its own and a storage opened on it, in test mode, on an empty
 * table; both are in `suite`.
 */
#ifndef SUITE_SUITE_H
#define SUITE_SUITE_H

#include <stdbool.h>

#include <ev.h>
#include <evdurable.h>

#include "support/await.h"
#include "support/check.h"
#include "support/sample.h"

/* What a test runs with. */
struct suite {
  const char *url;
  const char *table;
  const char *engine; /* as evd_storage_engine() */
  bool framework;     /* the table is one that the framework made */
  struct ev_loop *loop;
  evd_storage *storage; /* NULL: the test has closed it */
  struct native *lock;  /* see suite_lock() */
};

extern struct suite suite;

/* The setup and teardown of a test. */
int suite_set_up(void **state);
int suite_tear_down(void **state);

/* A line of a test group. */
#define suite_test(name) cmocka_unit_test_setup_teardown(name, suite_set_up, suite_tear_down)

/* Opens another storage on the same table and loop: the options' table, schema and test_mode are
 * filled in. On a database in memory it is another, empty one. */
evd_storage *suite_open(evd_options options);

/* Closes a storage, and waits for all that is pending. NULL is fine. */
void suite_close(evd_storage *storage);

/* Opens the test's storage again with these options. */
void suite_reopen(evd_options options);

/* Whether several storages can be opened on the database; skips the test otherwise. */
bool suite_is_shared(void);
void suite_needs_shared(void);

/* Inserts one execution. */
void suite_insert(const evd_execution *execution);

/* The row with this id, or NULL; it lives until the test ends. */
const evd_execution *suite_get(const char *id);

/* Checks that the row with the execution's id is stored and equal to it. */
#define suite_expect(execution) \
  expect_row_at(suite_get((execution)->execution_id), (execution), __FILE__, __LINE__)

/* How many rows the whole table has, as the database's own client counts them; by this condition
 * ("" for all). -1 when the database cannot be seen from outside. */
int64_t suite_count(const char *where);

/* Another session that holds the rows with this condition ("true" for all) against other writers;
 * on SQLite, which has no locks on rows, the whole database. Until suite_unlock(), or the end of
 * the test. Needs a shared database. */
void suite_lock(const char *where);
void suite_unlock(void);

/* Runs the loop for so long, whatever is pending. */
void suite_run_loop(double seconds);

/* The groups; each returns how many tests failed. */
int insert_get_tests(void);
int insert_sql_tests(void);
int values_tests(void);
int filters_tests(void);
int fencing_tests(void);
int update_tests(void);
int adding_tests(void);
int children_tests(void);
int claims_tests(void);
int task_ids_tests(void);
int trees_tests(void);
int executor_tests(void);
int executor_families_tests(void);
int executor_lives_tests(void);
int executor_recovery_tests(void);
int executor_kills_tests(void);
int selections_tests(void);
int expire_tests(void);
int close_finished_tests(void);
int delete_tests(void);
int bad_records_tests(void);
int bad_calls_tests(void);
int bad_opens_tests(void);
int futures_tests(void);
int cancel_tests(void);
int batching_tests(void);
int order_tests(void);
int pressure_tests(void);
int timeouts_tests(void);
int turns_tests(void);
int close_storage_tests(void);
int loop_tests(void);
int stats_tests(void);
int concurrency_tests(void);
int framework_table_tests(void);

#endif
