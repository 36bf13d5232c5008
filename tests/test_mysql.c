/*
 * What is special to the MySQL engine: its transactions and errors, and connections that are lost.
 * What it has in common with the others is in the suite of all engines; servers that die are in
 * test_mysql_faults.c.
 */
#include <string.h>

#include "support/mysql_case.h"

static void a_duplicate_undoes_the_whole_batch_and_is_named(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  evd_execution first = sample_sleeping("first", "unique");
  driver_insert(&test.driver, &first, 1);
  evd_execution rows[] = {sample_execution("a"), sample_execution("first"), sample_execution("b")};
  struct request requests[3];
  for (size_t i = 0; i < 3; i++) {
    requests[i] = (struct request){
        .operation = EVD_OPERATION_INSERT, .executions = &rows[i], .execution_count = 1};
  }
  evd_error error = driver_run(&test.driver, requests, 3);
  assert_int_equal(error.code, EVD_EDUPLICATE);
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_string_equal(error.field, "execution_id");
  assert_string_equal(error.native, "1062");
  assert_null(driver_get(&test.driver, "a"));

  rows[1] = sample_sleeping("second", "unique");
  error = driver_run(&test.driver, requests, 3);
  assert_int_equal(error.code, EVD_EDUPLICATE);
  assert_string_equal(error.field, "sleeping_task_unique_id");
  assert_null(driver_get(&test.driver, "a"));
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
    requests[i] = driver_updating(i == 0 ? "a" : "b", &changes);
    requests[i].operation = EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN;
    requests[i].executions = &children[i];
    requests[i].execution_count = 1;
  }
  evd_error error = driver_run(&test.driver, requests, 2);
  assert_int_equal(error.code, EVD_EDUPLICATE);
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(status_of("a"), EVD_STATUS_READY);
  assert_null(driver_get(&test.driver, "new"));
}

static void a_lock_that_stays_is_a_conflict_that_leaves_no_lock(void **state) {
  (void)state;
  needs_mysql();
  open_with("pool_max=1&lock_wait_timeout=1");
  insert_ids((const char *[]){"a", "b"}, 2);
  native_run(test.native,
             "begin; select * from task_executions where execution_id = 'b' for update;");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request requests[] = {driver_updating("a", &changes), driver_updating("b", &changes)};
  evd_error error = driver_run(&test.driver, requests, 2);
  assert_int_equal(error.code, EVD_ECONFLICT);
  assert_string_equal(error.native, "1205");
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_true(error.retryable);
  /* The engine's transaction has ended: we may have what it had locked. */
  native_run(test.native, "set innodb_lock_wait_timeout = 1;"
                          "update task_executions set retry_attempts = 1 where execution_id = 'a';"
                          "rollback;");
  assert_int_equal(status_of("a"), EVD_STATUS_READY);
  driver_run_ok(&test.driver, requests, 2);
  assert_int_equal(requests[0].count, 1);
  assert_int_equal(status_of("b"), EVD_STATUS_RUNNING);
}

static void a_deadlock_is_a_conflict_and_ends_the_transaction(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  insert_ids((const char *[]){"a", "b", "c"}, 3);
  /* We hold b, and have written more: the engine's transaction is the cheaper victim. */
  native_run(test.native, "begin; update task_executions set retry_attempts = 7"
                          " where execution_id in ('b', 'c');");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request requests[] = {driver_updating("a", &changes), driver_updating("b", &changes)};
  struct request *pointers[] = {&requests[0], &requests[1]};
  struct batch batch = {.operation = EVD_OPERATION_UPDATE, .count = 2, .requests = pointers};
  driver_submit(&test.driver, &batch);
  await_lock_wait(); /* the engine's session holds a and waits for b */
  native_run(test.native,
             "update task_executions set retry_attempts = 7 where execution_id = 'a';");
  driver_wait(&test.driver, &batch);
  assert_int_equal(batch.error.code, EVD_ECONFLICT);
  assert_string_equal(batch.error.native, "1213");
  assert_int_equal(batch.error.outcome, EVD_OUTCOME_NOT_APPLIED);
  native_run(test.native, "commit;");
  assert_int_equal(status_of("a"), EVD_STATUS_READY);
  assert_int_equal(driver_get(&test.driver, "a")->retry_attempts, 7);
}

/* An error of a single statement, as a trigger gives it that stands in for the server. */
static evd_error error_of_an_update(unsigned number) {
  native_run(test.native, text("create or replace trigger refuses before update on task_executions"
                               " for each row signal sqlstate '45000' set mysql_errno = %u;",
                               number));
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request request = driver_updating("a", &changes);
  return driver_run(&test.driver, &request, 1);
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
  native_run(test.native,
             "alter table task_executions add constraint task_executions_retry_attempts_check"
             " check (retry_attempts < 5);");
  insert_id("a");
  evd_changes changes = sample_changes(0);
  evd_set(&changes, retry_attempts, 6);
  struct request request = driver_updating("a", &changes);
  evd_error error = driver_run(&test.driver, &request, 1);
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
  evd_error error = driver_run(&test.driver, &request, 1);
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
  native_run(test.native, "create table plain as select * from task_executions;"
                          "drop table task_executions; rename table plain to task_executions;"
                          "alter table task_executions add primary key (execution_id),"
                          " modify task_id varchar(64), modify retry_attempts bigint;");
  driver_close(&test.driver);
  driver_open(&test.driver, mysql_url_with(test.url, "pool_max=1"), NULL, EVD_SCHEMA_SKIP);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    native_run(test.native, "delete from task_executions;");
    insert_ids((const char *[]){"a", "b"}, 2);
    native_run(test.native, text("update task_executions set %s = %s where execution_id = 'a';",
                                 cases[i].column, cases[i].value));
    struct request request = {.operation = EVD_OPERATION_GET, .id = "a"};
    evd_error error = driver_run(&test.driver, &request, 1);
    assert_int_equal(error.code, EVD_EDATABASE);
    assert_string_equal(error.field, cases[i].column);
    expect(strstr(error.message, text("of execution a has an invalid value in the database: %s",
                                      cases[i].says)) != NULL,
           "%s", error.message);
    assert_null(request.rows);
    assert_non_null(driver_get(&test.driver, "b"));

    evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
    struct request claim = claiming(&changes);
    claim.limit = 2;
    claim.started_at = 5;
    driver_run_ok(&test.driver, &claim, 1);
    assert_int_equal(claim.count,
                     1); /* b; a is claimed, too, unless it is its status that is odd */
    assert_int_equal(
        native_number(test.native,
                      "select count(*) from task_executions where status = 'running';"),
        i == 0 ? 1 : 2);
    records_release(claim.rows);
  }
}

static void an_idle_connection_that_the_server_ends_is_replaced(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  insert_id("a");
  kill_engine_session();
  while (test.driver.ops->trouble(test.driver.engine) == NULL) {
    ev_run(test.driver.loop, EVRUN_ONCE);
  }
  wait_for_capacity();
  assert_int_equal(status_of("a"), EVD_STATUS_READY);
  struct engine_stats stats = {0};
  test.driver.ops->stats(test.driver.engine, &stats);
  assert_int_equal(stats.reconnections, 1);
}

/* Kills the session of a batch that waits for a lock; the batch's error. */
static evd_error kill_batch(struct request *requests, size_t count) {
  struct request *pointers[8];
  for (size_t i = 0; i < count; i++) {
    pointers[i] = &requests[i];
  }
  struct batch batch = {.operation = requests[0].operation, .count = count, .requests = pointers};
  native_run(test.native, "begin; select * from task_executions for update;");
  driver_submit(&test.driver, &batch);
  await_lock_wait();
  kill_engine_session();
  driver_wait(&test.driver, &batch);
  native_run(test.native, "rollback;");
  wait_for_capacity();
  return batch.error;
}

static void a_connection_lost_before_the_commit_was_sent_has_changed_nothing(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  insert_id("a");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request request = driver_updating("a", &changes);
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
  struct request request = driver_updating("a", &changes);
  evd_error error = kill_batch(&request, 1);
  assert_int_equal(error.code, EVD_EUNAVAILABLE);
  assert_int_equal(error.outcome, EVD_OUTCOME_UNKNOWN);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      mysql_test(a_duplicate_undoes_the_whole_batch_and_is_named),
      mysql_test(a_duplicate_child_undoes_the_update),
      mysql_test(a_lock_that_stays_is_a_conflict_that_leaves_no_lock),
      mysql_test(a_deadlock_is_a_conflict_and_ends_the_transaction),
      mysql_test(an_error_of_committing_a_single_statement_leaves_it_unknown),
      mysql_test(a_check_of_the_table_is_a_constraint_and_named),
      mysql_test(json_that_the_server_does_not_take_is_named),
      mysql_test(what_a_record_cannot_hold_is_an_error_that_names_the_column),
      mysql_test(an_idle_connection_that_the_server_ends_is_replaced),
      mysql_test(a_connection_lost_before_the_commit_was_sent_has_changed_nothing),
      mysql_test(a_connection_lost_during_a_write_leaves_it_unknown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
