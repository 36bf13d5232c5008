/*
 * What is special to the MySQL engine, on the server of EVD_TEST_MYSQL_URL: its transactions and
 * errors, large values, the tables that it finds, its connections. What it has in common with the
 * others is in the suite of all engines; servers that die are in test_mysql_faults.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>
#include <evdurable.h>

#include "engine/mysql/inspect.h"
#include "engine/mysql/url.h"
#include "sql/mysql_charset.h"
#include "support/check.h"
#include "support/engine_driver.h"
#include "support/mariadb_server.h"
#include "support/native_sql.h"
#include "support/sample.h"
#include "support/watchdog.h"

static struct driver driver;
static const char *url;
static struct native *native;

/* A new database with an empty table, an engine with these options and a session beside it. */
static void open_with(const char *options) {
  watchdog(600);
  url = mysql_database();
  native = native_open(url);
  driver_open_new(&driver, mysql_url_with(url, options));
}

static void open_all(void) {
  open_with("pool_max=1");
}

static int tear_down(void **state) {
  (void)state;
  if (native != NULL) {
    native_close(native);
    driver_close(&driver);
    mysql_drop_databases();
  }
  native = NULL;
  release_kept();
  watchdog(0);
  return 0;
}

/* Until the engine takes a batch again. */
static void wait_for_capacity(void) {
  while (driver.ops->capacity(driver.engine) == 0) {
    ev_run(driver.loop, EVRUN_ONCE);
  }
}

/* Until the engine's session waits for a lock. InnoDB renews what it shows here only when nobody has
 * looked for a moment. */
static void await_lock_wait(void) {
  do {
    usleep(200000);
    ev_run(driver.loop, EVRUN_NOWAIT);
  } while (native_number(native, "select count(*) from information_schema.innodb_trx"
                                 " join information_schema.processlist on id = trx_mysql_thread_id"
                                 " where trx_state = 'LOCK WAIT' and db = database();") == 0);
}

static struct request updating(const char *id, const evd_changes *changes) {
  return (struct request){.operation = EVD_OPERATION_UPDATE, .id = id, .changes = changes};
}

/* A claim of at most one row that is ready. */
static struct request claiming(const evd_changes *changes) {
  return (struct request){.operation = EVD_OPERATION_CLAIM_BY_START_AT,
                          .changes = changes,
                          .status = EVD_STATUS_READY,
                          .before = INT64_MAX,
                          .limit = 1};
}

/* Inserts plain rows with these ids. */
static void insert_ids(const char *const *ids, size_t count) {
  evd_execution *rows = keep_memory(count * sizeof *rows);
  for (size_t i = 0; i < count; i++) {
    rows[i] = sample_execution(ids[i]);
  }
  driver_insert(&driver, rows, count);
}

static void insert_id(const char *id) {
  insert_ids(&id, 1);
}

static evd_status status_of(const char *id) {
  const evd_execution *row = driver_get(&driver, id);
  assert_non_null(row);
  return row->status;
}

/* The connections of our database beside the native session's, for KILL. */
static int64_t engine_session(void) {
  return native_number(native, "select id from information_schema.processlist where db = database()"
                               " and id <> connection_id() order by id limit 1;");
}

static void kill_engine_session(void) {
  native_run(native, text("kill %lld;", (long long)engine_session()));
}

/* Has the engine's connection ended, and waits for the next. */
static void replace_connection(void) {
  kill_engine_session();
  while (driver.ops->trouble(driver.engine) == NULL) {
    ev_run(driver.loop, EVRUN_ONCE);
  }
  wait_for_capacity();
}

static bool is_mariadb(void) {
  return strstr(native_text(native, "select version();"), "MariaDB") != NULL;
}

/* --- transactions and errors --- */

static void a_duplicate_undoes_the_whole_batch_and_is_named(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  evd_execution first = sample_sleeping("first", "unique");
  driver_insert(&driver, &first, 1);
  evd_execution rows[] = {sample_execution("a"), sample_execution("first"), sample_execution("b")};
  struct request requests[3];
  for (size_t i = 0; i < 3; i++) {
    requests[i] = (struct request){
        .operation = EVD_OPERATION_INSERT, .executions = &rows[i], .execution_count = 1};
  }
  evd_error error = driver_run(&driver, requests, 3);
  assert_int_equal(error.code, EVD_EDUPLICATE);
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_string_equal(error.field, "execution_id");
  assert_string_equal(error.native, "1062");
  assert_null(driver_get(&driver, "a"));

  rows[1] = sample_sleeping("second", "unique");
  error = driver_run(&driver, requests, 3);
  assert_int_equal(error.code, EVD_EDUPLICATE);
  assert_string_equal(error.field, "sleeping_task_unique_id");
  assert_null(driver_get(&driver, "a"));
}

static void a_duplicate_child_undoes_the_update(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  insert_ids((const char *[]){"a", "b", "taken"}, 3);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_execution children[] = {sample_child("new", "a", 0), sample_child("taken", "b", 0)};
  struct request requests[2];
  for (size_t i = 0; i < 2; i++) {
    requests[i] = updating(i == 0 ? "a" : "b", &changes);
    requests[i].operation = EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN;
    requests[i].executions = &children[i];
    requests[i].execution_count = 1;
  }
  evd_error error = driver_run(&driver, requests, 2);
  assert_int_equal(error.code, EVD_EDUPLICATE);
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(status_of("a"), EVD_STATUS_READY);
  assert_null(driver_get(&driver, "new"));
}

static void a_lock_that_stays_is_a_conflict_that_leaves_no_lock(void **state) {
  (void)state;
  needs_mysql();
  open_with("pool_max=1&lock_wait_timeout=1");
  insert_ids((const char *[]){"a", "b"}, 2);
  native_run(native, "begin; select * from task_executions where execution_id = 'b' for update;");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request requests[] = {updating("a", &changes), updating("b", &changes)};
  evd_error error = driver_run(&driver, requests, 2);
  assert_int_equal(error.code, EVD_ECONFLICT);
  assert_string_equal(error.native, "1205");
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_true(error.retryable);
  /* The engine's transaction has ended: we may have what it had locked. */
  native_run(native, "set innodb_lock_wait_timeout = 1;"
                     "update task_executions set retry_attempts = 1 where execution_id = 'a';"
                     "rollback;");
  assert_int_equal(status_of("a"), EVD_STATUS_READY);
  driver_run_ok(&driver, requests, 2);
  assert_int_equal(requests[0].count, 1);
  assert_int_equal(status_of("b"), EVD_STATUS_RUNNING);
}

static void a_deadlock_is_a_conflict_and_ends_the_transaction(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  insert_ids((const char *[]){"a", "b", "c"}, 3);
  /* We hold b, and have written more: the engine's transaction is the cheaper victim. */
  native_run(native, "begin; update task_executions set retry_attempts = 7"
                     " where execution_id in ('b', 'c');");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request requests[] = {updating("a", &changes), updating("b", &changes)};
  struct request *pointers[] = {&requests[0], &requests[1]};
  struct batch batch = {.operation = EVD_OPERATION_UPDATE, .count = 2, .requests = pointers};
  driver_submit(&driver, &batch);
  await_lock_wait(); /* the engine's session holds a and waits for b */
  native_run(native, "update task_executions set retry_attempts = 7 where execution_id = 'a';");
  driver_wait(&driver, &batch);
  assert_int_equal(batch.error.code, EVD_ECONFLICT);
  assert_string_equal(batch.error.native, "1213");
  assert_int_equal(batch.error.outcome, EVD_OUTCOME_NOT_APPLIED);
  native_run(native, "commit;");
  assert_int_equal(status_of("a"), EVD_STATUS_READY);
  assert_int_equal(driver_get(&driver, "a")->retry_attempts, 7);
}

/* An error of a single statement, as a trigger gives it that stands in for the server. */
static evd_error error_of_an_update(unsigned number) {
  native_run(native, text("create or replace trigger refuses before update on task_executions"
                          " for each row signal sqlstate '45000' set mysql_errno = %u;",
                          number));
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request request = updating("a", &changes);
  return driver_run(&driver, &request, 1);
}

static void an_error_of_committing_a_single_statement_leaves_it_unknown(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  if (!is_mariadb()) {
    skip();
  }
  insert_id("a");
  static const unsigned of_commit[] = {1026, 1180, 3100};
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(error_of_an_update(of_commit[i]).outcome, EVD_OUTCOME_UNKNOWN);
  }
  assert_int_equal(error_of_an_update(1213).outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(error_of_an_update(1264).outcome, EVD_OUTCOME_NOT_APPLIED);
}

static void a_check_of_the_table_is_a_constraint_and_named(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  native_run(native,
             "alter table task_executions add constraint task_executions_retry_attempts_check"
             " check (retry_attempts < 5);");
  insert_id("a");
  evd_changes changes = sample_changes(0);
  evd_set(&changes, retry_attempts, 6);
  struct request request = updating("a", &changes);
  evd_error error = driver_run(&driver, &request, 1);
  assert_int_equal(error.code, EVD_ECONSTRAINT);
  assert_string_equal(error.field, "retry_attempts");
}

static void json_that_the_server_does_not_take_is_named(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  enum { DEPTH = 200 }; /* MariaDB takes 32 levels, MySQL 100 */
  char *input = keep_memory(2 * DEPTH + 1);
  memset(input, '[', DEPTH);
  memset(input + DEPTH, ']', DEPTH);
  evd_execution row = sample_execution("a");
  row.input = input;
  struct request request = {
      .operation = EVD_OPERATION_INSERT, .executions = &row, .execution_count = 1};
  evd_error error = driver_run(&driver, &request, 1);
  assert_int_equal(error.code, EVD_EINVAL);
  assert_string_equal(error.field, "input");
}

/* In the table that anybody may write what they like into. */
static void what_a_record_cannot_hold_is_an_error_that_names_the_column(void **state) {
  (void)state;
  needs_mysql();
  static const struct {
    const char *column, *value, *says;
  } cases[] = {{"status", "'sleepy'", "\"sleepy\""},
               {"timeout_ms", "9223372036854775807", "\"9223372036854775807\""},
               {"start_at", "-9007199254740992", "\"-9007199254740992\""},
               {"retry_attempts", "2147483648", "\"2147483648\""},
               {"task_id", "null", "NULL"}};
  open_all();
  native_run(native, "create table plain as select * from task_executions;"
                     "drop table task_executions; rename table plain to task_executions;"
                     "alter table task_executions add primary key (execution_id),"
                     " modify task_id varchar(64), modify retry_attempts bigint;");
  driver_close(&driver);
  driver_open(&driver, mysql_url_with(url, "pool_max=1"), NULL, EVD_SCHEMA_SKIP);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    native_run(native, "delete from task_executions;");
    insert_ids((const char *[]){"a", "b"}, 2);
    native_run(native, text("update task_executions set %s = %s where execution_id = 'a';",
                            cases[i].column, cases[i].value));
    struct request request = {.operation = EVD_OPERATION_GET, .id = "a"};
    evd_error error = driver_run(&driver, &request, 1);
    assert_int_equal(error.code, EVD_EDATABASE);
    assert_string_equal(error.field, cases[i].column);
    expect(strstr(error.message, text("of execution a is %s in", cases[i].says)) != NULL, "%s",
           error.message);
    assert_null(request.rows);
    assert_non_null(driver_get(&driver, "b"));

    evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
    struct request claim = claiming(&changes);
    claim.limit = 2;
    claim.started_at = 5;
    driver_run_ok(&driver, &claim, 1);
    assert_int_equal(claim.count,
                     1); /* b; a is claimed, too, unless it is its status that is odd */
    assert_int_equal(
        native_number(native, "select count(*) from task_executions where status = 'running';"),
        i == 0 ? 1 : 2);
    records_release(claim.rows);
  }
}

/* --- connections that are lost --- */

static void an_idle_connection_that_the_server_ends_is_replaced(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  insert_id("a");
  kill_engine_session();
  while (driver.ops->trouble(driver.engine) == NULL) {
    ev_run(driver.loop, EVRUN_ONCE);
  }
  wait_for_capacity();
  assert_int_equal(status_of("a"), EVD_STATUS_READY);
  struct engine_stats stats = {0};
  driver.ops->stats(driver.engine, &stats);
  assert_int_equal(stats.reconnections, 1);
}

/* Kills the session of a batch that waits for a lock; the batch's error. */
static evd_error kill_batch(struct request *requests, size_t count) {
  struct request *pointers[8];
  for (size_t i = 0; i < count; i++) {
    pointers[i] = &requests[i];
  }
  struct batch batch = {.operation = requests[0].operation, .count = count, .requests = pointers};
  native_run(native, "begin; select * from task_executions for update;");
  driver_submit(&driver, &batch);
  await_lock_wait();
  kill_engine_session();
  driver_wait(&driver, &batch);
  native_run(native, "rollback;");
  wait_for_capacity();
  return batch.error;
}

static void a_connection_lost_before_the_commit_was_sent_has_changed_nothing(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  insert_id("a");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request request = updating("a", &changes);
  request.operation = EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN;
  evd_error error = kill_batch(&request, 1);
  assert_int_equal(error.code, EVD_EUNAVAILABLE);
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_true(error.retryable);
  assert_int_equal(status_of("a"), EVD_STATUS_READY);
}

static void a_connection_lost_during_a_write_leaves_it_unknown(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  insert_id("a");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request request = updating("a", &changes);
  evd_error error = kill_batch(&request, 1);
  assert_int_equal(error.code, EVD_EUNAVAILABLE);
  assert_int_equal(error.outcome, EVD_OUTCOME_UNKNOWN);
}

/* --- large values and results --- */

static char *large_json(size_t size) {
  char *json = keep_memory(size + 1);
  memset(json, 'x', size);
  json[0] = json[size - 1] = '"';
  for (size_t i = 1; i + 3 < size; i += 97) {
    json[i] = json[i + 1] = i % 2 == 0 ? '\\' : '\'';
  }
  return json;
}

static void documents_of_a_megabyte_come_and_go(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  enum { ROWS = 4, SIZE = 1 << 20 };
  evd_execution rows[ROWS];
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("te_%d", i));
    rows[i].input = large_json(SIZE + (size_t)i);
  }
  driver_insert(&driver, rows, ROWS);
  struct request updates[ROWS];
  evd_changes changes[ROWS];
  for (int i = 0; i < ROWS; i++) {
    changes[i] = sample_changes(EVD_STATUS_COMPLETED);
    evd_set(&changes[i], output, large_json(SIZE + 10 + (size_t)i));
    sample_apply(&rows[i], &changes[i]);
    updates[i] = updating(rows[i].execution_id, &changes[i]);
  }
  driver_run_ok(&driver, updates, ROWS);
  for (int i = 0; i < ROWS; i++) {
    expect_row(driver_get(&driver, rows[i].execution_id), &rows[i]);
  }
}

static void a_large_insert_is_all_or_nothing(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  enum { ROWS = 12 };
  evd_execution rows[ROWS];
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("te_%d", i));
    rows[i].input = large_json(500000);
  }
  rows[ROWS - 1].execution_id = "te_0";
  struct request request = {
      .operation = EVD_OPERATION_INSERT, .executions = rows, .execution_count = ROWS};
  evd_error error = driver_run(&driver, &request, 1);
  assert_int_equal(error.code, EVD_EDUPLICATE);
  assert_int_equal(native_number(native, "select count(*) from task_executions;"), 0);
  rows[ROWS - 1].execution_id = "te_last";
  driver_run_ok(&driver, &request, 1);
  assert_int_equal(native_number(native, "select count(*) from task_executions;"), ROWS);
}

static void what_no_packet_holds_is_bad_input_and_costs_no_connection(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  int64_t limit = native_number(native, "select @@max_allowed_packet;");
  if (limit > 32 * 1024 * 1024) {
    skip();
  }
  evd_execution row = sample_execution("a");
  row.input = large_json((size_t)limit);
  struct request request = {
      .operation = EVD_OPERATION_INSERT, .executions = &row, .execution_count = 1};
  evd_error error = driver_run(&driver, &request, 1);
  assert_int_equal(error.code, EVD_EINVAL);
  assert_non_null(strstr(error.message, "max_allowed_packet"));
  assert_string_equal(error.field, "input");
  insert_id("a");
  struct engine_stats stats = {0};
  driver.ops->stats(driver.engine, &stats);
  assert_int_equal(stats.reconnections, 0);
}

static void the_rows_of_a_large_result_take_several_turns_of_the_loop(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  enum { ROWS = 4000, TURNS = 10 };
  evd_execution *rows = keep_memory(ROWS * sizeof *rows);
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_child(text("te_%04d", i), "te_parent", i);
  }
  struct request insertion = {
      .operation = EVD_OPERATION_INSERT, .executions = rows, .execution_count = ROWS};
  driver_run_ok(&driver, &insertion, 1);

  unsigned before = ev_iteration(driver.loop);
  struct request get = {.operation = EVD_OPERATION_GET_BY_PARENT, .id = "te_parent"};
  driver_run_ok(&driver, &get, 1);
  assert_true(ev_iteration(driver.loop) - before > TURNS);
  assert_int_equal(records_count(get.rows), ROWS);
  for (int i = 0; i < ROWS; i++) {
    expect_row(&records_rows(get.rows)[i], &rows[i]);
  }
  records_release(get.rows);
}

/* --- tables --- */

/* Reads our table as an engine does. */
static evd_error inspect(struct mydb_table *table) {
  evd_error error = {0};
  struct mydb_url *parts = mydb_url_parse(url, &error);
  MYSQL *mysql = mysql_init(NULL);
  assert_non_null(parts);
  assert_non_null(mysql_real_connect(mysql, parts->host, parts->user, parts->password,
                                     parts->database, parts->port, parts->socket, 0));
  *table = (struct mydb_table){0};
  assert_int_equal(table_name_parse("task_executions", &table->name, &error), EVD_OK);
  (void)mydb_inspect(mysql, EVD_SCHEMA_CHECK, table, &error);
  mysql_close(mysql);
  mydb_url_release(parts);
  return error;
}

static void each_operation_has_its_index(void **state) {
  (void)state;
  needs_mysql();
  static const evd_operation operations[] = {EVD_OPERATION_CLAIM_BY_START_AT,
                                             EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED,
                                             EVD_OPERATION_CLAIM_BY_CLOSE_STATUS,
                                             EVD_OPERATION_EXPIRE_BY_EXPIRES_AT,
                                             EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT,
                                             EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT,
                                             EVD_OPERATION_CLAIM_BY_CANCELLATION,
                                             EVD_OPERATION_GET_BY_PARENT,
                                             EVD_OPERATION_CLOSE_FINISHED};
  open_all();
  for (int framework = 0; framework < 2; framework++) {
    if (framework) {
      evd_schema_options options = {.framework_shape = true};
      char *sql = evd_schema_sql("mysql", &options, NULL);
      native_run(native, text("drop table task_executions; %s", sql));
      free(sql);
    }
    struct mydb_table table;
    assert_int_equal(inspect(&table).code, EVD_OK);
    assert_string_equal(table.id_index, framework ? "ix_task_executions_execution_id" : "PRIMARY");
    assert_true(table.unique_id_index[0] != '\0');
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
      expect(table.selection_index[operations[i]][0] != '\0', "%s has no index",
             evd_operation_name(operations[i]));
    }
  }
}

static void our_own_table_compares_ids_as_bytes(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  struct mydb_table table;
  assert_int_equal(inspect(&table).code, EVD_OK);
  assert_int_equal(table.comparison, MYDB_COMPARES_BYTES);
}

static void a_table_without_indexes_is_served_without(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  native_run(native, "alter table task_executions drop index task_executions_ready;");
  struct mydb_table table;
  assert_int_equal(inspect(&table).code, EVD_OK);
  assert_string_equal(table.selection_index[EVD_OPERATION_CLAIM_BY_START_AT], "");
}

static void an_index_that_the_server_is_told_to_ignore_is_not_forced(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  native_run(native, text("alter table task_executions alter index task_executions_ready %s;",
                          is_mariadb() ? "ignored" : "invisible"));
  struct mydb_table table;
  assert_int_equal(inspect(&table).code, EVD_OK);
  assert_string_equal(table.selection_index[EVD_OPERATION_CLAIM_BY_START_AT], "");
}

static void a_table_whose_ids_are_not_unique_is_unfit(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  native_run(native, "alter table task_executions drop primary key,"
                     " add unique key two (execution_id, task_id);");
  struct mydb_table table;
  evd_error error = inspect(&table);
  assert_int_equal(error.code, EVD_ESCHEMA);
  assert_string_equal(error.field, "execution_id");
}

static void a_table_whose_unique_ids_are_not_unique_is_unfit(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  struct mydb_table table;
  assert_int_equal(inspect(&table).code, EVD_OK);
  native_run(native, text("alter table task_executions drop index `%s`,"
                          " add index plain (sleeping_task_unique_id);",
                          table.unique_id_index));
  evd_error error = inspect(&table);
  assert_int_equal(error.code, EVD_ESCHEMA);
  assert_string_equal(error.field, "sleeping_task_unique_id");
  assert_non_null(strstr(error.message, "add a unique index"));
  native_run(native, text("alter table task_executions add unique index hidden"
                          " (sleeping_task_unique_id) %s;",
                          is_mariadb() ? "ignored" : "invisible"));
  assert_int_equal(inspect(&table).code, EVD_OK);
  assert_string_equal(table.unique_id_index, "");
}

/* Claims, and gives back whether this was in the statements. */
static bool claim_says(const char *sql) {
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request request = claiming(&changes);
  struct request *pointer = &request;
  struct batch batch = {.operation = request.operation, .count = 1, .requests = &pointer};
  driver.record_queries = true;
  driver_submit(&driver, &batch);
  driver_wait(&driver, &batch);
  driver.record_queries = false;
  assert_int_equal(batch.error.code, EVD_OK);
  records_release(request.rows);
  bool said = false;
  while (batch.queries != NULL) {
    said = said || strstr(batch.queries->sql, sql) != NULL;
    struct query_record *next = batch.queries->next;
    free(batch.queries);
    batch.queries = next;
  }
  return said;
}

static void an_index_that_goes_is_done_without_until_the_next_connection(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  insert_ids((const char *[]){"a", "b", "c", "d", "e", "f", "g"}, 7);
  const char *const changes_of_index[] = {
      "rename index task_executions_ready to renamed",
      text("alter index renamed %s", is_mariadb() ? "ignored" : "invisible")};
  assert_true(claim_says("force index (`task_executions_ready`)"));
  for (int i = 0; i < 2; i++) {
    native_run(native, text("alter table task_executions %s;", changes_of_index[i]));
    evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
    struct request request = claiming(&changes);
    evd_error error = driver_run(&driver, &request, 1);
    assert_int_equal(error.code, EVD_ECONFLICT);
    assert_string_equal(error.native, "1176");
    assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
    assert_true(error.retryable);
    assert_false(claim_says("force index"));

    replace_connection();
    assert_int_equal(claim_says("force index (`renamed`)"), i == 0);
    assert_true(claim_says("force index (`PRIMARY`)"));
  }
}

static void a_column_that_we_cannot_fill_in_makes_a_table_unfit(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  native_run(native, "alter table task_executions add column tenant int not null default 0,"
                     " add column region varchar(9);");
  struct mydb_table table;
  assert_int_equal(inspect(&table).code, EVD_OK);
  native_run(native, "alter table task_executions add column owner varchar(9) not null;");
  evd_error error = inspect(&table);
  assert_int_equal(error.code, EVD_ESCHEMA);
  assert_string_equal(error.field, "owner");
}

/* With a table whose ids compare so. */
static void open_with_collation(const char *collation) {
  open_all();
  driver_close(&driver);
  native_run(native, text("alter table task_executions convert to character set utf8mb4"
                          " collate %s;",
                          collation));
  driver_open(&driver, mysql_url_with(url, "pool_max=1"), NULL, EVD_SCHEMA_CHECK);
  assert_int_equal(driver.open_error.code, EVD_OK);
}

static void each_row_gets_its_own_value_where_the_table_compares_loosely(void **state) {
  (void)state;
  needs_mysql();
  open_with_collation("utf8mb4_general_ci");
  insert_id("abc");
  evd_changes changes[2] = {0};
  for (int i = 0; i < 2; i++) {
    evd_set(&changes[i], retry_attempts, 7 + i);
    evd_set(&changes[i], updated_at, 1);
  }
  struct request requests[] = {updating("Abc", &changes[0]), updating("abc", &changes[1])};
  driver_run_ok(&driver, requests, 2);
  assert_int_equal(requests[0].count, 0);
  assert_int_equal(requests[1].count, 1);
  assert_int_equal(driver_get(&driver, "abc")->retry_attempts, 8);
}

static void on_a_table_that_pads_an_id_with_spaces_is_another(void **state) {
  (void)state;
  needs_mysql();
  open_with_collation("utf8mb4_bin");
  insert_id("a ");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request requests[] = {updating("a", &changes), updating("b", &changes)};
  for (size_t count = 1; count <= 2; count++) {
    driver_run_ok(&driver, requests, count);
    assert_int_equal(requests[0].count, 0);
    assert_int_equal(status_of("a "), EVD_STATUS_READY);
  }
  const char *plan = native_text(
      native, "explain format=json select * from task_executions force index (`PRIMARY`)"
              " where execution_id in ('a', 'b') and cast(convert(execution_id using"
              " utf8mb4) as binary) in (cast('a' as binary), cast('b' as binary));");
  expect(strstr(plan, "range") != NULL, "%s", plan);
}

static void on_a_table_that_compares_loosely_only_the_very_id_counts(void **state) {
  (void)state;
  needs_mysql();
  open_with_collation("utf8mb4_general_ci");
  insert_ids((const char *[]){"Abc", "d"}, 2);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  static const char *const others[] = {"abc", "ABC", "Abc ", "D"};
  for (size_t i = 0; i < 4; i++) {
    assert_null(driver_get(&driver, others[i]));
    struct request requests[] = {updating(others[i], &changes), updating("x", &changes)};
    driver_run_ok(&driver, requests, 1);
    assert_int_equal(requests[0].count, 0);
    driver_run_ok(&driver, requests, 2);
    assert_int_equal(requests[0].count, 0);
  }
  assert_int_equal(status_of("Abc"), EVD_STATUS_READY);
  struct request request = updating("Abc", &changes);
  driver_run_ok(&driver, &request, 1);
  assert_int_equal(request.count, 1);
  assert_int_equal(status_of("Abc"), EVD_STATUS_RUNNING);
}

/* That an update of "abc" finds nothing, where there is "Abc". */
static void expect_only_the_very_id(void) {
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request request = updating("abc", &changes);
  driver_run_ok(&driver, &request, 1);
  assert_int_equal(request.count, 0);
  assert_int_equal(status_of("Abc"), EVD_STATUS_READY);
}

/* A table whose ids are of a character set of its own. */
static void open_with_charset(const char *charset) {
  open_all();
  driver_close(&driver);
  native_run(native, text("alter table task_executions"
                          " modify execution_id varchar(99) character set %s not null,"
                          " modify parent_execution_id varchar(99) character set %s,"
                          " modify executor_id varchar(99) character set %s,"
                          " modify sleeping_task_unique_id varchar(99) character set %s;",
                          charset, charset, charset, charset));
  driver_open(&driver, mysql_url_with(url, "pool_max=1"), NULL, EVD_SCHEMA_CHECK);
  assert_int_equal(driver.open_error.code, EVD_OK);
}

/* All operations by an id; how many rows they found, together. */
static int64_t find_by_every_id(const char *id, const evd_changes *changes) {
  struct request requests[] = {
      {.operation = EVD_OPERATION_GET, .id = id},
      {.operation = EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID, .id = id},
      {.operation = EVD_OPERATION_GET_BY_PARENT, .id = id},
      {.operation = EVD_OPERATION_UPDATE, .id = id, .changes = changes},
      {.operation = EVD_OPERATION_UPDATE_BY_PARENT, .id = id, .changes = changes},
      {.operation = EVD_OPERATION_CLAIM_BY_CANCELLATION,
       .id = id,
       .changes = changes,
       .flag = true,
       .limit = 9},
  };
  int64_t found = 0;
  for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
    driver_run_ok(&driver, &requests[i], 1);
    found +=
        requests[i].rows != NULL ? (int64_t)records_count(requests[i].rows) : requests[i].count;
    records_release(requests[i].rows);
  }
  return found;
}

static void an_id_that_the_character_set_cannot_hold_is_of_no_row(void **state) {
  (void)state;
  needs_mysql();
  static const char *const charsets[] = {"latin1 collate latin1_general_ci", "latin1",
                                         "utf8mb3 collate utf8mb3_bin"};
  static const char e_acute[] = "\xc3\xa9";
  static const char smile[] = "\xf0\x9f\x98\x80";
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  for (size_t i = 0; i < sizeof charsets / sizeof charsets[0]; i++) {
    open_with_charset(charsets[i]);
    evd_execution rows[] = {sample_execution(e_acute), sample_child("?", e_acute, 0),
                            sample_sleeping("sleeping", e_acute)};
    rows[0].executor_id = e_acute;
    rows[0].needs_promise_cancellation = true;
    driver_insert(&driver, rows, 3);
    assert_int_equal(find_by_every_id(e_acute, &changes), 6);
    assert_int_equal(find_by_every_id(smile, &changes), 0);
    struct request both[] = {updating(e_acute, &changes), updating(smile, &changes)};
    driver_run_ok(&driver, both, 2);
    assert_int_equal(both[0].count, 1);
    assert_int_equal(both[1].count, 0);
    evd_execution row = sample_sleeping("new", smile);
    evd_error error = driver_insert_one(&driver, &row);
    assert_int_equal(error.code, EVD_EINVAL);
    assert_string_equal(error.field, "sleeping_task_unique_id");
    (void)tear_down(state);
  }
}

/* The character in UTF-8. */
static const char *utf8(unsigned c) {
  return c < 0x80    ? text("%c", (int)c)
         : c < 0x800 ? text("%c%c", (int)(0xc0 | c >> 6), (int)(0x80 | (c & 0x3f)))
                     : text("%c%c%c", (int)(0xe0 | c >> 12), (int)(0x80 | (c >> 6 & 0x3f)),
                            (int)(0x80 | (c & 0x3f)));
}

static void latin1_holds_what_the_server_says(void **state) {
  (void)state;
  needs_mysql();
  static const char digits[] =
      "(select 0 as i union all select 1 union all select 2 union all select 3 union all select 4"
      " union all select 5 union all select 6 union all select 7 union all select 8 union all"
      " select 9 union all select 10 union all select 11 union all select 12 union all select 13"
      " union all select 14 union all select 15)";
  open_all();
  native_run(native, "set group_concat_max_len = 100000;");
  const char *held = native_text(
      native,
      text(
          "select concat(',', group_concat(n order by n), ',') from (select"
          " a.i * 4096 + b.i * 256 + c.i * 16 + d.i as n from %s a, %s b, %s c, %s d) numbers where"
          " n > 0 and n not between 55296 and 57343 and convert(convert(char(n using utf32) using"
          " latin1) using utf32) = char(n using utf32) collate utf32_bin;",
          digits, digits, digits, digits));
  assert_non_null(held);
  for (unsigned c = 1; c < 0x10000; c++) {
    if (c < 0xd800 || c > 0xdfff) {
      bool holds = strstr(held, text(",%u,", c)) != NULL;
      expect(mydb_charset_holds(MYDB_CHARSET_LATIN1, utf8(c)) == holds, "U+%04X", c);
    }
  }
}

static void in_a_table_that_comes_later_only_the_very_id_counts(void **state) {
  (void)state;
  needs_mysql();
  open_with_collation("utf8mb4_general_ci");
  insert_id("Abc");
  driver_close(&driver);
  native_run(native, "rename table task_executions to away;");
  driver_open(&driver, mysql_url_with(url, "pool_max=1"), NULL, EVD_SCHEMA_SKIP);
  assert_int_equal(driver.open_error.code, EVD_OK);
  native_run(native, "rename table away to task_executions;");
  expect_only_the_very_id();
}

/* The table changes, is away when a new connection would read it again, and comes back. */
static void what_is_known_of_a_table_stays_until_it_is_read_again(void **state) {
  (void)state;
  needs_mysql();
  open_with_collation("utf8mb4_general_ci");
  insert_id("Abc");
  native_run(native, "alter table task_executions rename index task_executions_ready to renamed;");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request request = claiming(&changes);
  assert_string_equal(driver_run(&driver, &request, 1).native, "1176");
  native_run(native, "rename table task_executions to away;");
  replace_connection();
  native_run(native, "rename table away to task_executions;");
  expect_only_the_very_id();
  replace_connection();
  expect_only_the_very_id();
  assert_true(claim_says("force index (`renamed`)"));
}

/* --- the pool, the log, closing --- */

static void batches_at_once_have_connections_of_their_own(void **state) {
  (void)state;
  needs_mysql();
  open_with("pool_min=3&pool_max=3");
  while (driver.ops->capacity(driver.engine) < 3) {
    ev_run(driver.loop, EVRUN_ONCE);
  }
  insert_ids((const char *[]){"a", "b", "c"}, 3);
  native_run(native, "begin; select * from task_executions where execution_id = 'a' for update;"
                     "select * from task_executions where execution_id = 'b' for update;");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request requests[] = {updating("a", &changes), updating("b", &changes),
                               updating("c", &changes)};
  struct request *pointers[] = {&requests[0], &requests[1], &requests[2]};
  struct batch batches[3];
  for (int i = 0; i < 3; i++) {
    batches[i] =
        (struct batch){.operation = EVD_OPERATION_UPDATE, .count = 1, .requests = &pointers[i]};
    driver_submit(&driver, &batches[i]);
  }
  assert_int_equal(driver.ops->capacity(driver.engine), 0);
  driver_wait(&driver, &batches[2]);
  assert_int_equal(requests[2].count, 1);
  native_run(native, "rollback;");
  driver_wait(&driver, &batches[0]);
  driver_wait(&driver, &batches[1]);
  assert_int_equal(batches[0].error.code, EVD_OK);
  assert_int_equal(batches[1].error.code, EVD_OK);
}

/* How many threads this process has. */
static int count_threads(void) {
  char line[128];
  long count = 0;
  FILE *status = fopen("/proc/self/status", "r");
  assert_non_null(status);
  while (count == 0 && fgets(line, sizeof line, status) != NULL) {
    if (strncmp(line, "Threads:", 8) == 0) {
      count = strtol(line + 8, NULL, 10);
    }
  }
  (void)fclose(status);
  return (int)count;
}

/* To end a thread is to wait for it: those that connected at once all stay. */
static void workers_stay_for_the_next_connections(void **state) {
  (void)state;
  needs_mysql();
  int before = count_threads();
  open_with("pool_min=3&pool_max=3");
  for (int i = 0; i < 2; i++) {
    while (driver.ops->capacity(driver.engine) < 3) {
      ev_run(driver.loop, EVRUN_ONCE);
    }
    int kept = count_threads() - before;
    expect(kept >= 2 && kept <= 3, "%d threads", kept);
    native_run(native,
               text("%s;", native_text(native, "select group_concat('kill ', id separator ';')"
                                               " from information_schema.processlist"
                                               " where db = database()"
                                               " and id <> connection_id();")));
    usleep(50000);
    ev_run(driver.loop, EVRUN_NOWAIT);
  }
}

static void statements_are_recorded_for_the_log_without_their_values(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  insert_ids((const char *[]){"secret_a", "secret_b"}, 2);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request requests[] = {updating("secret_a", &changes), updating("secret_b", &changes)};
  struct request *pointers[] = {&requests[0], &requests[1]};
  struct batch batch = {.operation = EVD_OPERATION_UPDATE, .count = 2, .requests = pointers};
  driver.record_queries = true;
  driver_submit(&driver, &batch);
  driver_wait(&driver, &batch);
  assert_int_equal(batch.error.code, EVD_OK);
  struct query_record *lock = batch.queries;
  assert_non_null(lock);
  struct query_record *update = lock->next;
  assert_non_null(update);
  assert_null(update->next);
  assert_non_null(strstr(lock->sql, "begin; select execution_id, "));
  assert_non_null(strstr(update->sql, "set status = ?"));
  assert_null(strstr(lock->sql, "secret"));
  assert_null(strstr(update->sql, "secret"));
  assert_true(lock->duration_ms > 0 && update->duration_ms > 0);
  free(lock);
  free(update);
}

static void closing_by_force_answers_what_is_under_way(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  insert_id("a");
  native_run(native, "begin; select * from task_executions for update;");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request request = updating("a", &changes);
  struct request *pointer = &request;
  struct batch batch = {.operation = EVD_OPERATION_UPDATE, .count = 1, .requests = &pointer};
  driver_submit(&driver, &batch);
  ev_run(driver.loop, EVRUN_NOWAIT);
  driver.ops->close(driver.engine, true);
  driver_wait(&driver, &batch);
  assert_int_equal(batch.error.code, EVD_ECLOSED);
  assert_int_equal(batch.error.outcome, EVD_OUTCOME_UNKNOWN);
  while (!driver.closed) {
    ev_run(driver.loop, EVRUN_ONCE);
  }
  ev_loop_destroy(driver.loop);
  native_run(native, "rollback;");
  native_close(native);
  native = NULL;
  mysql_drop_databases();
}

static void a_wrong_password_is_said_once_with_the_place(void **state) {
  (void)state;
  needs_mysql();
  const char *at = strrchr(text("%s", getenv("EVD_TEST_MYSQL_URL")), '@');
  assert_non_null(at);
  evd_error error = driver_open_fails(text("mysql://evd:wrong%s", at), NULL, EVD_SCHEMA_CHECK);
  assert_int_equal(error.code, EVD_EUNAVAILABLE);
  assert_string_equal(error.native, "1045");
  assert_non_null(strstr(error.message, "127.0.0.1:"));
  assert_null(strstr(error.message, "wrong"));
}

#define test(name) cmocka_unit_test_teardown(name, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      test(a_duplicate_undoes_the_whole_batch_and_is_named),
      test(a_duplicate_child_undoes_the_update),
      test(a_lock_that_stays_is_a_conflict_that_leaves_no_lock),
      test(a_deadlock_is_a_conflict_and_ends_the_transaction),
      test(an_error_of_committing_a_single_statement_leaves_it_unknown),
      test(a_check_of_the_table_is_a_constraint_and_named),
      test(json_that_the_server_does_not_take_is_named),
      test(what_a_record_cannot_hold_is_an_error_that_names_the_column),
      test(an_idle_connection_that_the_server_ends_is_replaced),
      test(a_connection_lost_before_the_commit_was_sent_has_changed_nothing),
      test(a_connection_lost_during_a_write_leaves_it_unknown),
      test(documents_of_a_megabyte_come_and_go),
      test(a_large_insert_is_all_or_nothing),
      test(what_no_packet_holds_is_bad_input_and_costs_no_connection),
      test(the_rows_of_a_large_result_take_several_turns_of_the_loop),
      test(each_operation_has_its_index),
      test(our_own_table_compares_ids_as_bytes),
      test(a_table_without_indexes_is_served_without),
      test(an_index_that_the_server_is_told_to_ignore_is_not_forced),
      test(a_table_whose_ids_are_not_unique_is_unfit),
      test(a_table_whose_unique_ids_are_not_unique_is_unfit),
      test(an_index_that_goes_is_done_without_until_the_next_connection),
      test(a_column_that_we_cannot_fill_in_makes_a_table_unfit),
      test(each_row_gets_its_own_value_where_the_table_compares_loosely),
      test(on_a_table_that_pads_an_id_with_spaces_is_another),
      test(on_a_table_that_compares_loosely_only_the_very_id_counts),
      test(an_id_that_the_character_set_cannot_hold_is_of_no_row),
      test(latin1_holds_what_the_server_says),
      test(in_a_table_that_comes_later_only_the_very_id_counts),
      test(what_is_known_of_a_table_stays_until_it_is_read_again),
      test(batches_at_once_have_connections_of_their_own),
      test(workers_stay_for_the_next_connections),
      test(statements_are_recorded_for_the_log_without_their_values),
      test(closing_by_force_answers_what_is_under_way),
      test(a_wrong_password_is_said_once_with_the_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
