/* Large values and results, several connections at once, and the end of the MySQL engine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/mysql_case.h"

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
  driver_insert(&test.driver, rows, ROWS);
  struct request updates[ROWS];
  evd_changes changes[ROWS];
  for (int i = 0; i < ROWS; i++) {
    changes[i] = sample_changes(EVD_STATUS_COMPLETED);
    evd_set(&changes[i], output, large_json(SIZE + 10 + (size_t)i));
    sample_apply(&rows[i], &changes[i]);
    updates[i] = driver_updating(rows[i].execution_id, &changes[i]);
  }
  driver_run_ok(&test.driver, updates, ROWS);
  for (int i = 0; i < ROWS; i++) {
    expect_row(driver_get(&test.driver, rows[i].execution_id), &rows[i]);
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
  evd_error error = driver_run(&test.driver, &request, 1);
  assert_int_equal(error.code, EVD_EDUPLICATE);
  assert_int_equal(native_number(test.native, "select count(*) from task_executions;"), 0);
  rows[ROWS - 1].execution_id = "te_last";
  driver_run_ok(&test.driver, &request, 1);
  assert_int_equal(native_number(test.native, "select count(*) from task_executions;"), ROWS);
}

static void what_no_packet_holds_is_bad_input_and_costs_no_connection(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  int64_t limit = native_number(test.native, "select @@max_allowed_packet;");
  if (limit > 32 * 1024 * 1024) {
    skip();
  }
  evd_execution row = sample_execution("a");
  row.input = large_json((size_t)limit);
  struct request request = {
      .operation = EVD_OPERATION_INSERT, .executions = &row, .execution_count = 1};
  evd_error error = driver_run(&test.driver, &request, 1);
  assert_int_equal(error.code, EVD_EINVAL);
  assert_non_null(strstr(error.message, "max_allowed_packet"));
  assert_string_equal(error.field, "input");
  insert_id("a");
  struct engine_stats stats = {0};
  test.driver.ops->stats(test.driver.engine, &stats);
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
  driver_run_ok(&test.driver, &insertion, 1);

  unsigned before = ev_iteration(test.driver.loop);
  struct request get = {.operation = EVD_OPERATION_GET_BY_PARENT, .id = "te_parent"};
  driver_run_ok(&test.driver, &get, 1);
  assert_true(ev_iteration(test.driver.loop) - before > TURNS);
  assert_int_equal(records_count(get.rows), ROWS);
  for (int i = 0; i < ROWS; i++) {
    expect_row(&records_rows(get.rows)[i], &rows[i]);
  }
  records_release(get.rows);
}

static void batches_at_once_have_connections_of_their_own(void **state) {
  (void)state;
  needs_mysql();
  open_with("pool_min=3&pool_max=3");
  while (test.driver.ops->capacity(test.driver.engine) < 3) {
    ev_run(test.driver.loop, EVRUN_ONCE);
  }
  insert_ids((const char *[]){"a", "b", "c"}, 3);
  native_run(test.native,
             "begin; select * from task_executions where execution_id = 'a' for update;"
             "select * from task_executions where execution_id = 'b' for update;");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request requests[] = {driver_updating("a", &changes), driver_updating("b", &changes),
                               driver_updating("c", &changes)};
  struct request *pointers[] = {&requests[0], &requests[1], &requests[2]};
  struct batch batches[3];
  for (int i = 0; i < 3; i++) {
    batches[i] =
        (struct batch){.operation = EVD_OPERATION_UPDATE, .count = 1, .requests = &pointers[i]};
    driver_submit(&test.driver, &batches[i]);
  }
  assert_int_equal(test.driver.ops->capacity(test.driver.engine), 0);
  driver_wait(&test.driver, &batches[2]);
  assert_int_equal(requests[2].count, 1);
  native_run(test.native, "rollback;");
  driver_wait(&test.driver, &batches[0]);
  driver_wait(&test.driver, &batches[1]);
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
    while (test.driver.ops->capacity(test.driver.engine) < 3) {
      ev_run(test.driver.loop, EVRUN_ONCE);
    }
    int kept = count_threads() - before;
    expect(kept >= 2 && kept <= 3, "%d threads", kept);
    native_run(test.native,
               text("%s;", native_text(test.native, "select group_concat('kill ', id separator ';')"
                                                    " from information_schema.processlist"
                                                    " where db = database()"
                                                    " and id <> connection_id();")));
    usleep(50000);
    ev_run(test.driver.loop, EVRUN_NOWAIT);
  }
}

static void statements_are_recorded_for_the_log_without_their_values(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  insert_ids((const char *[]){"secret_a", "secret_b"}, 2);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request requests[] = {driver_updating("secret_a", &changes),
                               driver_updating("secret_b", &changes)};
  struct request *pointers[] = {&requests[0], &requests[1]};
  struct batch batch = {.operation = EVD_OPERATION_UPDATE, .count = 2, .requests = pointers};
  test.driver.record_queries = true;
  driver_submit(&test.driver, &batch);
  driver_wait(&test.driver, &batch);
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
  native_run(test.native, "begin; select * from task_executions for update;");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request request = driver_updating("a", &changes);
  struct request *pointer = &request;
  struct batch batch = {.operation = EVD_OPERATION_UPDATE, .count = 1, .requests = &pointer};
  driver_submit(&test.driver, &batch);
  ev_run(test.driver.loop, EVRUN_NOWAIT);
  test.driver.ops->close(test.driver.engine, true);
  driver_wait(&test.driver, &batch);
  assert_int_equal(batch.error.code, EVD_ECLOSED);
  assert_int_equal(batch.error.outcome, EVD_OUTCOME_UNKNOWN);
  while (!test.driver.closed) {
    ev_run(test.driver.loop, EVRUN_ONCE);
  }
  ev_loop_destroy(test.driver.loop);
  native_run(test.native, "rollback;");
  native_close(test.native);
  test.native = NULL;
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

int main(void) {
  const struct CMUnitTest tests[] = {
      mysql_test(documents_of_a_megabyte_come_and_go),
      mysql_test(a_large_insert_is_all_or_nothing),
      mysql_test(what_no_packet_holds_is_bad_input_and_costs_no_connection),
      mysql_test(the_rows_of_a_large_result_take_several_turns_of_the_loop),
      mysql_test(batches_at_once_have_connections_of_their_own),
      mysql_test(workers_stay_for_the_next_connections),
      mysql_test(statements_are_recorded_for_the_log_without_their_values),
      mysql_test(closing_by_force_answers_what_is_under_way),
      mysql_test(a_wrong_password_is_said_once_with_the_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
