/*
 * What is special to the SQLite engine: its batches as transactions, its errors, its statements.
 * What it has in common with the others is in the suite of all engines.
 */
#include <stdlib.h>
#include <string.h>

#include <evdurable.h>
#include <sqlite3.h>

#include "engine/sqlite/batches.h"
#include "engine/sqlite/open.h"
#include "model/columns.h"
#include "support/check.h"
#include "support/engine_driver.h"
#include "support/native_sql.h"
#include "support/sample.h"
#include "support/scratch.h"
#include "support/watchdog.h"

static const char *new_url(const char *parameters) {
  return text("sqlite:%s%s", scratch_new(), parameters);
}

/* --- batches and their errors --- */

static void a_duplicate_undoes_the_whole_batch_and_is_named(void **state) {
  (void)state;
  struct driver driver;
  driver_open_new(&driver, "sqlite::memory:");
  evd_execution first = sample_sleeping("first", "unique");
  driver_insert(&driver, &first, 1);

  evd_execution executions[] = {sample_execution("a"), sample_execution("b"),
                                sample_execution("first"), sample_execution("c")};
  struct request requests[4];
  for (size_t i = 0; i < 4; i++) {
    requests[i] = driver_insertion(&executions[i]);
  }
  evd_error error = driver_run(&driver, requests, 4);
  assert_int_equal(error.code, EVD_EDUPLICATE);
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_string_equal(error.field, "execution_id");
  assert_string_equal(error.native, "SQLITE_CONSTRAINT_PRIMARYKEY");
  assert_null(driver_get(&driver, "a"));

  evd_execution second = sample_sleeping("second", "unique");
  error = driver_insert_one(&driver, &second);
  assert_int_equal(error.code, EVD_EDUPLICATE);
  assert_string_equal(error.field, "sleeping_task_unique_id");
  assert_string_equal(error.native, "SQLITE_CONSTRAINT_UNIQUE");

  requests[2] = driver_insertion(&second);
  second.sleeping_task_unique_id = "other";
  driver_run_ok(&driver, requests, 4);
  assert_non_null(driver_get(&driver, "c"));
  driver_close(&driver);
}

static void a_duplicate_in_the_frameworks_table_is_named_as_well(void **state) {
  (void)state;
  const char *url = new_url("");
  char *sql = evd_schema_sql("sqlite", &(evd_schema_options){.framework_shape = true}, NULL);
  native_run_once(url, sql);
  free(sql);
  struct driver driver;
  driver_open_new(&driver, url);
  evd_execution first = sample_sleeping("first", "unique");
  evd_execution second = sample_sleeping("second", "unique");
  driver_insert(&driver, &first, 1);
  evd_execution same = sample_execution("first");
  evd_error error = driver_insert_one(&driver, &same);
  assert_int_equal(error.code, EVD_EDUPLICATE);
  assert_string_equal(error.field, "execution_id");
  error = driver_insert_one(&driver, &second);
  assert_int_equal(error.code, EVD_EDUPLICATE);
  assert_string_equal(error.field, "sleeping_task_unique_id");
  driver_close(&driver);
}

static void a_duplicate_child_undoes_its_parents_update(void **state) {
  (void)state;
  struct driver driver;
  driver_open_new(&driver, "sqlite::memory:");
  evd_execution parents[] = {sample_execution("p1"), sample_execution("p2")};
  driver_insert(&driver, parents, 2);
  evd_execution children[] = {sample_child("c1", "p1", 0), sample_child("c1", "p2", 0)};
  evd_changes changes = sample_changes(EVD_STATUS_WAITING_FOR_CHILDREN);
  struct request requests[2];
  for (size_t i = 0; i < 2; i++) {
    requests[i] = driver_updating(parents[i].execution_id, &changes);
    requests[i].operation = EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN;
    requests[i].executions = &children[i];
    requests[i].execution_count = 1;
  }
  assert_int_equal(driver_run(&driver, requests, 2).code, EVD_EDUPLICATE);
  assert_int_equal(driver_get(&driver, "p1")->status, EVD_STATUS_READY);
  assert_null(driver_get(&driver, "c1"));
  assert_int_equal(requests[0].count, 0);
  driver_close(&driver);
}

static void what_a_constraint_refuses_is_named(void **state) {
  (void)state;
  struct driver driver;
  driver_open_new(&driver, "sqlite::memory:");
  evd_execution bad = sample_execution("bad");
  bad.task_id = NULL;
  evd_error error = driver_insert_one(&driver, &bad);
  assert_int_equal(error.code, EVD_ECONSTRAINT);
  assert_string_equal(error.field, "task_id");
  assert_string_equal(error.native, "SQLITE_CONSTRAINT_NOTNULL");
  driver_close(&driver);
}

static void what_a_trigger_refuses_is_told_in_its_words(void **state) {
  (void)state;
  const char *url = new_url("");
  struct driver driver;
  driver_open_new(&driver, url);
  native_run_once(url, "create trigger strict before update of status on task_executions "
                       "when old.is_finished begin select raise(abort, 'it is finished'); end;");
  evd_execution finished = sample_finished_child("done", "parent", 0);
  driver_insert(&driver, &finished, 1);
  evd_changes changes = sample_changes(EVD_STATUS_READY);
  struct request request = driver_updating("done", &changes);
  evd_error error = driver_run(&driver, &request, 1);
  assert_int_equal(error.code, EVD_ECONSTRAINT);
  assert_non_null(strstr(error.message, "it is finished"));
  driver_close(&driver);
}

static void a_row_that_no_execution_can_hold_is_named(void **state) {
  (void)state;
  const char *url = new_url("");
  char *sql = evd_schema_sql("sqlite", &(evd_schema_options){.framework_shape = true}, NULL);
  native_run_once(url, sql);
  free(sql);
  struct driver driver;
  driver_open_new(&driver, url);
  evd_execution execution = sample_execution("odd");
  driver_insert(&driver, &execution, 1);
  native_run_once(url, "update task_executions set close_status = 'ajar';");
  struct request request = {.operation = EVD_OPERATION_GET, .id = "odd"};
  evd_error error = driver_run(&driver, &request, 1);
  assert_int_equal(error.code, EVD_EDATABASE);
  assert_string_equal(error.field, "close_status");
  assert_non_null(strstr(error.message, "odd"));
  assert_null(request.rows);
  native_run_once(url, "update task_executions set close_status = 'idle';");
  assert_non_null(driver_get(&driver, "odd"));
  driver_close(&driver);
}

/* A URL of a new database whose table takes any value in any column. */
static const char *lax_url(void) {
  const char *url = new_url("");
  const char *list = "id integer primary key";
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    bool is_text = column_is_text(column) || column_is_enum(column);
    list = text("%s, %s %s", list, evd_column_name(column), is_text ? "text" : "integer");
  }
  native_run_once(url, text("create table task_executions (%s);"
                            "create unique index e on task_executions (execution_id);"
                            "create unique index u on task_executions (sleeping_task_unique_id);",
                            list));
  return url;
}

static void a_value_that_no_execution_can_have_is_named(void **state) {
  (void)state;
  static const struct {
    const char *change, *field;
  } cases[] = {
      {"start_at = 'abc'", "start_at"},
      {"start_at = 1e300", "start_at"},
      {"retry_attempts = 1.5", "retry_attempts"},
      {"start_at = x'31'", "start_at"},
      {"start_at = null", "start_at"},
      {"is_finished = 'no'", "is_finished"},
      {"retry_attempts = 2147483648", "retry_attempts"},
      {"retry_attempts = -1", "retry_attempts"},
      {"timeout_ms = 9223372036854775807", "timeout_ms"},
      {"timeout_ms = 9007199254740992", "timeout_ms"},
      {"timeout_ms = -1", "timeout_ms"},
      {"timeout_ms = null", "timeout_ms"},
      {"finished_at = 9007199254740992", "finished_at"},
      {"finished_at = -9007199254740992", "finished_at"},
      {"finished_at = -9223372036854775807 - 1", "finished_at"},
      {"status = null", "status"},
      {"status = 5", "status"},
      {"task_id = null", "task_id"},
      {"input = null", "input"},
      {"active_children_count = null", "active_children_count"},
      {"needs_promise_cancellation = null", "needs_promise_cancellation"},
      {"parent_execution_id = 'parent'", "index_in_parent_children"},
  };
  const char *url = lax_url();
  struct driver driver;
  driver_open_new(&driver, url);
  struct native *native = native_open(url);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    evd_execution execution = sample_execution(text("te_%zu", i));
    driver_insert(&driver, &execution, 1);
    native_run(native, text("update task_executions set %s where execution_id = '%s';",
                            cases[i].change, execution.execution_id));
    struct request request = {.operation = EVD_OPERATION_GET, .id = execution.execution_id};
    evd_error error = driver_run(&driver, &request, 1);
    expect(error.code == EVD_EDATABASE, "%s: %s", cases[i].change, error.message);
    assert_string_equal(error.field, cases[i].field);
    assert_non_null(strstr(error.message, execution.execution_id));
    assert_null(request.rows);
  }
  native_close(native);
  driver_close(&driver);
}

/* What the close of children leaves of a parent that counted fewer. */
static void a_count_of_children_below_zero_can_be_read(void **state) {
  (void)state;
  struct driver driver;
  driver_open_new(&driver, "sqlite::memory:");
  evd_execution executions[] = {sample_execution("parent"),
                                sample_finished_child("c", "parent", 0)};
  driver_insert(&driver, executions, 2);
  evd_changes changes = sample_changes(0);
  evd_set(&changes, close_status, EVD_CLOSE_READY);
  struct request request = {.operation = EVD_OPERATION_CLOSE_FINISHED,
                            .flag = true,
                            .close_status = EVD_CLOSE_IDLE,
                            .changes = &changes,
                            .limit = 10};
  driver_run_ok(&driver, &request, 1);
  assert_int_equal(driver_get(&driver, "parent")->active_children_count, -1);
  driver_close(&driver);
}

static void a_claim_leaves_out_what_no_execution_can_have(void **state) {
  (void)state;
  static const struct {
    const char *value;
    int64_t expires_at;
  } timeouts[] = {{"9223372036854775807", SAMPLE_TIME},
                  {"'abc'", SAMPLE_TIME},
                  {"-9223372036854775807", SAMPLE_TIME}};
  enum { COUNT = sizeof timeouts / sizeof timeouts[0] };
  const char *url = lax_url();
  struct driver driver;
  driver_open_new(&driver, url);
  struct native *native = native_open(url);
  for (int i = 0; i < COUNT; i++) {
    evd_execution odd = sample_execution(text("odd_%d", i));
    driver_insert(&driver, &odd, 1);
    native_run(native, text("update task_executions set timeout_ms = %s where execution_id = '%s';",
                            timeouts[i].value, odd.execution_id));
  }
  evd_execution longest = sample_execution("longest");
  longest.timeout_ms = SAMPLE_MAX_TIME;
  driver_insert(&driver, &longest, 1);

  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request request = {.operation = EVD_OPERATION_CLAIM_BY_START_AT,
                            .status = EVD_STATUS_READY,
                            .before = SAMPLE_MAX_TIME,
                            .started_at = SAMPLE_TIME,
                            .changes = &changes,
                            .limit = 10};
  struct batch batch = {
      .operation = request.operation, .count = 1, .requests = (struct request *[]){&request}};
  driver_submit(&driver, &batch);
  driver_wait(&driver, &batch);
  expect(batch.error.code == EVD_OK, "%s", batch.error.message);
  assert_int_equal(batch.left_out.count, COUNT);
  assert_string_equal(batch.left_out.why.field, "timeout_ms");
  assert_int_equal(records_count(request.rows), 1);
  assert_int_equal(records_rows(request.rows)->expires_at, SAMPLE_MAX_TIME);
  expect_row(driver_get(&driver, "longest"), records_rows(request.rows));
  records_release(request.rows);
  size_t named = 0;
  for (const struct left_out_row *row = batch.left_out.rows; row != NULL; row = row->next) {
    named++;
  }
  assert_int_equal(named, COUNT);
  left_out_free(&batch.left_out);
  for (int i = 0; i < COUNT; i++) {
    assert_int_equal(native_number(native, text("select expires_at from task_executions where "
                                                "status = 'running' and execution_id = 'odd_%d';",
                                                i)),
                     timeouts[i].expires_at);
  }
  native_close(native);
  driver_close(&driver);
}

/* SQLite's json_valid() says no where memory ran out, and a constraint of ours asks it. */
static void memory_that_runs_out_is_no_constraint(void **state) {
  (void)state;
  enum { STEP = 16 * 1024, BYTES = 300000 };
  struct driver driver;
  driver_open_new(&driver, text("sqlite:%s", scratch_new()));
  char *document = keep_memory(BYTES + 3);
  memset(document, '1', BYTES);
  for (int i = 0; i < BYTES; i += 2) {
    document[i] = i == 0 ? '[' : ',';
  }
  document[BYTES] = ']';
  evd_execution row = sample_execution("te_0");
  row.input = document;
  int failures = 0;
  evd_error error;
  for (int64_t limit = sqlite3_memory_used() + STEP;; limit += STEP) {
    sqlite3_hard_heap_limit64(limit);
    error = driver_insert_one(&driver, &row);
    if (error.code == EVD_OK) {
      break;
    }
    expect(error.code == EVD_ENOMEM, "%s %s", evd_code_name(error.code), error.message);
    failures++;
  }
  sqlite3_hard_heap_limit64(0);
  assert_true(failures > 0);
  driver_close(&driver);
}

static void a_constraint_of_the_users_own_is_one(void **state) {
  (void)state;
  const char *url = text("sqlite:%s", scratch_new());
  evd_schema_options options = {.framework_shape = false};
  char *sql = evd_schema_sql("sqlite", &options, NULL);
  assert_non_null(sql);
  const char *first = strstr(sql, "constraint ");
  assert_non_null(first);
  native_run_once(url,
                  text("%.*sconstraint small check (length(input) < 5), check (1 <> input),\n%s",
                       (int)(first - sql), sql, first));
  free(sql);
  struct driver driver;
  driver_open(&driver, url, NULL, EVD_SCHEMA_CHECK);
  static const char *const inputs[] = {"[1,2,3,4]", "1"};
  for (size_t i = 0; i < 2; i++) {
    evd_execution row = sample_execution("te_0");
    row.input = inputs[i];
    evd_error error = driver_insert_one(&driver, &row);
    expect(error.code == EVD_ECONSTRAINT, "%s %s", evd_code_name(error.code), error.message);
  }
  driver_close(&driver);
}

/* A batch of one request straight on a connection. */
static evd_error run_on(struct connection *connection, struct request *request) {
  struct batch batch = {
      .operation = request->operation, .count = 1, .requests = (struct request *[]){request}};
  sqlite_batch_run(connection, &batch);
  return batch.error;
}

static atomic_bool not_aborting;

/* A connection to a new database in memory. */
static void open_connection(struct connection *connection) {
  *connection = (struct connection){
      .aborting = &not_aborting, .schema = EVD_SCHEMA_CREATE, .table = {.name = "task_executions"}};
  evd_error error = {0};
  assert_int_equal(sqlite_url_parse("sqlite::memory:", &connection->url, &error), EVD_OK);
  expect(sqlite_connection_open(connection, &error) == EVD_OK, "%s", error.message);
}

static void close_connection(struct connection *connection) {
  sqlite_connection_close(connection);
  sqlite_url_free(&connection->url);
}

static void a_full_database_undoes_the_batch_and_goes_on(void **state) {
  (void)state;
  struct connection connection;
  open_connection(&connection);
  sqlite3_exec(connection.db, "pragma max_page_count = 1", NULL, NULL, NULL);

  evd_execution executions[200];
  for (int i = 0; i < 200; i++) {
    executions[i] = sample_execution(text("id%d", i));
  }
  struct request request = {
      .operation = EVD_OPERATION_INSERT, .executions = executions, .execution_count = 200};
  evd_error error = run_on(&connection, &request);
  assert_int_equal(error.code, EVD_EDATABASE);
  assert_string_equal(error.native, "SQLITE_FULL");
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(sqlite3_get_autocommit(connection.db), 1);

  struct request get = {.operation = EVD_OPERATION_GET, .id = "id0"};
  assert_int_equal(run_on(&connection, &get).code, EVD_OK);
  assert_null(get.rows);
  sqlite3_exec(connection.db, "pragma max_page_count = 100000", NULL, NULL, NULL);
  assert_int_equal(run_on(&connection, &request).code, EVD_OK);
  close_connection(&connection);
}

/* --- statements --- */

static void statements_are_kept_up_to_a_bound(void **state) {
  (void)state;
  struct connection connection;
  open_connection(&connection);
  evd_execution execution = sample_execution("id");
  struct request request = driver_insertion(&execution);
  assert_int_equal(run_on(&connection, &request).code, EVD_OK);

  struct request get = {.operation = EVD_OPERATION_GET, .id = "id"};
  for (uint32_t i = 0; i < 4 * STATEMENTS_MAX; i++) {
    evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
    for (uint32_t bit = 0; bit < 10; bit++) { /* 1,024 kinds of changes */
      evd_column column = (evd_column)(evd_column_retry_attempts + bit);
      if ((i >> bit & 1) != 0 && sample_is_settable(column)) {
        sample_set(&changes, column);
      }
    }
    request = driver_updating("id", &changes);
    assert_int_equal(run_on(&connection, &request).code, EVD_OK);
    assert_int_equal(request.count, 1);
    assert_int_equal(run_on(&connection, &get).code, EVD_OK);
    assert_int_equal(records_count(get.rows), 1);
    records_release(get.rows);
    get.rows = NULL;
    assert_true(connection.statements.count <= STATEMENTS_MAX);
  }
  assert_int_equal(connection.statements.count, STATEMENTS_MAX);

  int prepared = 0;
  sqlite3_stmt *statement = NULL;
  while ((statement = sqlite3_next_stmt(connection.db, statement)) != NULL) {
    prepared++;
  }
  assert_int_equal(prepared, STATEMENTS_MAX + 3); /* begin, begin immediate, commit */
  close_connection(&connection);
}

static void the_statement_used_least_recently_makes_room(void **state) {
  (void)state;
  struct connection connection;
  open_connection(&connection);
  evd_error error;
  struct statement *first = NULL;
  for (uint32_t i = 0; i < 2 * STATEMENTS_MAX; i++) {
    /* The same text under many keys. */
    struct statement_key key = {.operation = EVD_OPERATION_GET, .rows = i};
    struct statement *statement = sqlite_statements_get(&connection.statements, connection.db,
                                                        &connection.table, &key, &error);
    assert_non_null(statement);
    first = i == 0 ? statement : first;
    key.rows = 0;
    assert_ptr_equal(first, sqlite_statements_get(&connection.statements, connection.db,
                                                  &connection.table, &key, &error));
  }
  close_connection(&connection);
}

static void a_column_that_is_null_again_is_bound_again(void **state) {
  (void)state;
  struct driver driver;
  driver_open_new(&driver, "sqlite::memory:");
  evd_execution executions[] = {sample_execution("plain1"), sample_full("full"),
                                sample_execution("plain2")};
  driver_insert(&driver, executions, 3);
  for (size_t i = 0; i < 3; i++) {
    expect_row(driver_get(&driver, executions[i].execution_id), &executions[i]);
  }
  driver_close(&driver);
}

static void statements_are_recorded_in_their_order_without_values(void **state) {
  (void)state;
  struct driver driver;
  driver_open_new(&driver, "sqlite::memory:");
  evd_execution children[] = {sample_finished_child("secret1", "parent", 0),
                              sample_finished_child("secret2", "parent", 1)};
  driver_insert(&driver, children, 2);

  evd_changes changes = sample_changes(0);
  evd_set(&changes, close_status, EVD_CLOSE_READY);
  struct request request = {.operation = EVD_OPERATION_CLOSE_FINISHED,
                            .flag = true,
                            .close_status = EVD_CLOSE_IDLE,
                            .changes = &changes,
                            .limit = 10};
  struct batch batch = {
      .operation = request.operation, .count = 1, .requests = (struct request *[]){&request}};
  driver.record_queries = true;
  driver_submit(&driver, &batch);
  driver_wait(&driver, &batch);
  assert_int_equal(batch.error.code, EVD_OK);
  assert_int_equal(request.count, 2);

  static const char *const beginnings[] = {
      "select rowid, parent_execution_id from", "update \"task_executions\" set close_status = ?",
      "update \"task_executions\" set active_children_count", "commit"};
  struct query_record *query = batch.queries;
  for (size_t i = 0; i < 4; i++) {
    assert_non_null(query);
    expect(strncmp(query->sql, beginnings[i], strlen(beginnings[i])) == 0, "%s", query->sql);
    assert_null(strstr(query->sql, "secret"));
    assert_true(query->duration_ms >= 0 && query->duration_ms < 10000);
    struct query_record *next = query->next;
    free(query);
    query = next;
  }
  assert_null(query);
  driver_close(&driver);
}

static void claimed_rows_outlive_the_changes(void **state) {
  (void)state;
  struct driver driver;
  driver_open_new(&driver, "sqlite::memory:");
  evd_execution execution = sample_execution("id");
  driver_insert(&driver, &execution, 1);

  char *executor = strdup("executor");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_set(&changes, executor_id, executor);
  evd_unset(&changes, expires_at); /* yields to the time that the claim sets */
  struct request request = {.operation = EVD_OPERATION_CLAIM_BY_START_AT,
                            .status = EVD_STATUS_READY,
                            .before = INT64_MAX,
                            .started_at = 500,
                            .changes = &changes,
                            .limit = 1};
  driver_run_ok(&driver, &request, 1);
  memset(executor, 'x', strlen(executor));
  free(executor);

  assert_int_equal(records_count(request.rows), 1);
  const evd_execution *row = records_rows(request.rows);
  assert_string_equal(row->executor_id, "executor");
  assert_int_equal(row->status, EVD_STATUS_RUNNING);
  assert_int_equal(row->expires_at, 1500);
  expect_row(driver_get(&driver, "id"), row);
  records_release(request.rows);
  driver_close(&driver);
}

static int setup(void **state) {
  (void)state;
  watchdog(600);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  release_kept();
  return 0;
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      test(a_duplicate_undoes_the_whole_batch_and_is_named),
      test(a_duplicate_in_the_frameworks_table_is_named_as_well),
      test(a_duplicate_child_undoes_its_parents_update),
      test(what_a_constraint_refuses_is_named),
      test(what_a_trigger_refuses_is_told_in_its_words),
      test(a_row_that_no_execution_can_hold_is_named),
      test(a_value_that_no_execution_can_have_is_named),
      test(a_count_of_children_below_zero_can_be_read),
      test(memory_that_runs_out_is_no_constraint),
      test(a_constraint_of_the_users_own_is_one),
      test(a_claim_leaves_out_what_no_execution_can_have),
      test(a_full_database_undoes_the_batch_and_goes_on),
      test(statements_are_kept_up_to_a_bound),
      test(the_statement_used_least_recently_makes_room),
      test(a_column_that_is_null_again_is_bound_again),
      test(statements_are_recorded_in_their_order_without_values),
      test(claimed_rows_outlive_the_changes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
