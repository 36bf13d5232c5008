/*
 * An SQLite file that others use, too: locks, other processes, files that go away; and how the
 * engine ends.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>
#include <evdurable.h>

#include "support/check.h"
#include "support/engine_driver.h"
#include "support/native_sql.h"
#include "support/process.h"
#include "support/sample.h"
#include "support/scratch.h"
#include "support/watchdog.h"

static const char *new_url(const char *parameters) {
  return text("sqlite:%s%s", scratch_new(), parameters);
}

static int64_t count_rows(const char *url) {
  struct native *native = native_open(url);
  int64_t count = native_number(native, "select count(*) from task_executions;");
  native_close(native);
  return count;
}

/* The path in a URL without parameters. */
static const char *path_of(const char *url) {
  return url + strlen("sqlite:");
}

/* --- others on the same file --- */

static void a_lock_held_too_long_is_a_conflict_and_reads_go_on(void **state) {
  (void)state;
  const char *url = new_url("");
  struct driver driver;
  driver_open_new(&driver, text("%s?busy_timeout=30", url));
  evd_execution first = sample_execution("first");
  evd_execution second = sample_execution("second");
  driver_insert(&driver, &first, 1);

  struct native *native = native_open(url);
  native_run(native, "begin immediate; update task_executions set retry_attempts = 7;");
  evd_error error = driver_insert_one(&driver, &second);
  assert_int_equal(error.code, EVD_ECONFLICT);
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_true(error.retryable);
  assert_string_equal(error.native, "SQLITE_BUSY");
  assert_int_equal(driver_get(&driver, "first")->retry_attempts, 0);
  native_run(native, "commit;");
  native_close(native);

  assert_int_equal(driver_insert_one(&driver, &second).code, EVD_OK);
  assert_int_equal(driver_get(&driver, "first")->retry_attempts, 7);
  driver_close(&driver);
}

/* And what its holder changed meanwhile is seen: the claim begins with the lock, not with a
 * look. */
static void a_lock_held_for_a_while_is_waited_for(void **state) {
  (void)state;
  const char *url = new_url("");
  struct driver driver;
  driver_open_new(&driver, url);
  evd_execution executions[] = {sample_execution("a"), sample_execution("b")};
  driver_insert(&driver, executions, 2);
  struct native *native = native_open(url);
  native_run(native, "begin immediate;"
                     "update task_executions set status = 'running' where execution_id = 'a';");

  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request request = {.operation = EVD_OPERATION_CLAIM_BY_START_AT,
                            .status = EVD_STATUS_READY,
                            .before = INT64_MAX,
                            .changes = &changes,
                            .limit = 10};
  struct batch batch = {
      .operation = request.operation, .count = 1, .requests = (struct request *[]){&request}};
  driver_submit(&driver, &batch);
  usleep(50 * 1000);
  native_run(native, "commit;");
  native_close(native);
  driver_wait(&driver, &batch);
  expect(batch.error.code == EVD_OK, "%s", batch.error.message);
  assert_int_equal(records_count(request.rows), 1);
  assert_string_equal(records_rows(request.rows)->execution_id, "b");
  records_release(request.rows);
  driver_close(&driver);
}

static void a_wait_for_a_lock_holds_up_reads_for_a_second_at_most(void **state) {
  (void)state;
  const char *url = new_url("");
  struct driver driver;
  driver_open_new(&driver, text("%s?busy_timeout=1000000", url));
  struct native *native = native_open(url);
  native_run(native, "begin immediate;");

  evd_execution execution = sample_execution("id");
  struct request insertion = driver_insertion(&execution);
  struct batch batch = {
      .operation = EVD_OPERATION_INSERT, .count = 1, .requests = (struct request *[]){&insertion}};
  driver_submit(&driver, &batch);
  assert_null(driver_get(&driver, "id")); /* the watchdog is sooner than busy_timeout */
  assert_int_equal(batch.error.code, EVD_ECONFLICT);
  assert_int_equal(batch.error.outcome, EVD_OUTCOME_NOT_APPLIED);
  native_run(native, "commit;");
  native_close(native);
  driver_close(&driver);
}

static void a_commit_that_finds_a_reader_is_rolled_back(void **state) {
  (void)state;
  const char *url = new_url("");
  struct driver driver;
  driver_open_new(&driver, text("%s?journal_mode=delete&busy_timeout=30", url));
  struct native *native = native_open(url);
  native_run(native, "begin; select count(*) from task_executions;");
  evd_execution execution = sample_execution("id");
  evd_error error = driver_insert_one(&driver, &execution);
  assert_int_equal(error.code, EVD_ECONFLICT);
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  native_run(native, "commit;");
  native_close(native);
  assert_null(driver_get(&driver, "id"));
  assert_int_equal(driver_insert_one(&driver, &execution).code, EVD_OK);
  driver_close(&driver);
}

static void a_journal_mode_that_cannot_be_had_is_told(void **state) {
  (void)state;
  const char *url = new_url("");
  struct driver driver;
  driver_open_new(&driver, url);
  evd_error error = driver_open_fails(text("%s?journal_mode=delete&busy_timeout=30", url), NULL,
                                      EVD_SCHEMA_CHECK);
  assert_int_equal(error.code, EVD_EUNAVAILABLE);
  assert_true(error.retryable);
  assert_string_equal(error.native, "SQLITE_BUSY");
  driver_close(&driver);
}

static atomic_bool stop_writing;

/* Tries to write all the time. While a commit waits for readers, nobody else can begin to read. */
static void *write_restlessly(void *path) {
  sqlite3 *db;
  sqlite3_open(path, &db);
  sqlite3_busy_timeout(db, 10);
  while (!atomic_load(&stop_writing)) {
    sqlite3_exec(db, "begin immediate; insert into t values (1); commit", NULL, NULL, NULL);
    sqlite3_exec(db, "rollback", NULL, NULL, NULL);
    usleep(10 * 1000);
  }
  sqlite3_close(db);
  return NULL;
}

static void a_journal_mode_is_waited_for_only_so_long_among_restless_writers(void **state) {
  (void)state;
  const char *url = new_url("");
  struct native *native = native_open(url);
  native_run(native, "create table t (a); begin; select count(*) from t;");
  pthread_t writer;
  atomic_store(&stop_writing, false);
  assert_int_equal(pthread_create(&writer, NULL, write_restlessly, (void *)path_of(url)), 0);

  struct driver driver;
  driver_open(&driver, text("%s?busy_timeout=1000", url), NULL, EVD_SCHEMA_SKIP);
  atomic_store(&stop_writing, true);
  pthread_join(writer, NULL);
  native_close(native);
  assert_int_equal(driver.open_error.code, EVD_EUNAVAILABLE);
}

static void a_database_opened_for_reading_can_be_read(void **state) {
  (void)state;
  const char *url = new_url("");
  struct driver writer;
  driver_open_new(&writer, url);
  evd_execution execution = sample_execution("id");
  driver_insert(&writer, &execution, 1);

  struct driver reader;
  driver_open(&reader, text("file:%s?mode=ro", path_of(url)), NULL, EVD_SCHEMA_CHECK);
  expect(reader.open_error.code == EVD_OK, "%s", reader.open_error.message);
  assert_non_null(driver_get(&reader, "id"));
  execution.execution_id = "other";
  evd_error error = driver_insert_one(&reader, &execution);
  assert_int_equal(error.code, EVD_EDATABASE);
  assert_string_equal(error.native, "SQLITE_READONLY");
  driver_close(&reader);
  driver_close(&writer);
}

static void a_file_that_was_deleted_or_replaced_takes_no_more(void **state) {
  (void)state;
  const char *url = new_url("");
  struct driver driver;
  driver_open_new(&driver, url);
  evd_execution execution = sample_execution("id");
  driver_insert(&driver, &execution, 1);
  assert_int_equal(unlink(path_of(url)), 0);
  execution.execution_id = "other";
  for (int i = 0; i < 2; i++) {
    evd_error error = driver_insert_one(&driver, &execution);
    assert_int_equal(error.code, EVD_EDATABASE);
    assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
    assert_string_equal(error.native, "SQLITE_READONLY_DBMOVED");
    assert_non_null(strstr(error.message, path_of(url)));
    FILE *other = fopen(path_of(url), "w"); /* then it is another file */
    assert_non_null(other);
    assert_int_equal(fclose(other), 0);
  }
  driver_close(&driver);
}

static void a_table_dropped_meanwhile_is_an_error_of_the_schema(void **state) {
  (void)state;
  const char *url = new_url("");
  struct driver driver;
  driver_open_new(&driver, url);
  evd_execution execution = sample_execution("id");
  driver_insert(&driver, &execution, 1);
  native_run_once(url, "drop table task_executions;");
  evd_error error = driver_insert_one(&driver, &execution);
  assert_int_equal(error.code, EVD_ESCHEMA);
  assert_non_null(strstr(error.message, "task_executions"));
  driver_close(&driver);
}

/* --- processes --- */

enum { PROCESSES = 4, ROWS_EACH = 300, CLAIM_LIMIT = 7 };

/* A batch's answer; a conflict is tried again, as the loader does. */
static void run_stubbornly(struct driver *driver, struct request *request) {
  evd_error error;
  do {
    error = driver_run(driver, request, 1);
  } while (error.code == EVD_ECONFLICT);
  expect(error.code == EVD_OK, "%s", error.message);
}

/* What each process does: opens (and creates, all at once), inserts its rows, claims what there is
 * until nothing is left, and writes the ids that it claimed. */
static int work(const char *url, const char *name) {
  struct driver driver;
  driver_open_new(&driver, url);
  for (int i = 0; i < ROWS_EACH; i++) {
    evd_execution execution = sample_execution(text("%s-%d", name, i));
    struct request request = driver_insertion(&execution);
    run_stubbornly(&driver, &request);
  }
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_set(&changes, executor_id, name);
  size_t count;
  do {
    struct request request = {.operation = EVD_OPERATION_CLAIM_BY_START_AT,
                              .status = EVD_STATUS_READY,
                              .before = INT64_MAX,
                              .changes = &changes,
                              .limit = CLAIM_LIMIT};
    run_stubbornly(&driver, &request);
    count = records_count(request.rows);
    for (size_t i = 0; i < count; i++) {
      printf("%s\n", records_rows(request.rows)[i].execution_id);
    }
    records_release(request.rows);
  } while (count > 0);
  driver_close(&driver);
  release_kept();
  return fflush(stdout) == 0 ? 0 : 1;
}

static void several_processes_claim_each_row_once(void **state) {
  (void)state;
  const char *url = new_url("");
  struct process processes[PROCESSES];
  for (int i = 0; i < PROCESSES; i++) {
    processes[i] = process_start((const char *[]){"work", url, text("executor%d", i), NULL});
  }
  bool claimed[PROCESSES][ROWS_EACH] = {{false}};
  int claims = 0;
  for (int i = 0; i < PROCESSES; i++) {
    FILE *output = fdopen(dup(processes[i].output), "r");
    assert_non_null(output);
    char line[64];
    while (fgets(line, sizeof line, output) != NULL) {
      char *dash;
      long process = strtol(line + strlen("executor"), &dash, 10);
      long row = strtol(dash + 1, NULL, 10);
      expect(!claimed[process][row], "%s was claimed twice", line);
      claimed[process][row] = true;
      claims++;
    }
    (void)fclose(output);
    assert_int_equal(process_wait(&processes[i]), 0);
  }
  assert_int_equal(claims, PROCESSES * ROWS_EACH);
  struct native *native = native_open(url);
  assert_int_equal(
      native_number(native, "select count(*) from task_executions where status = 'running';"),
      PROCESSES * ROWS_EACH);
  native_close(native);
}

/* --- capacity and closing --- */

static void there_is_room_for_two_batches(void **state) {
  (void)state;
  const char *url = new_url("");
  struct driver driver;
  driver_open_new(&driver, url);
  const struct engine_ops *ops = driver.ops;
  assert_int_equal(ops->capacity(driver.engine), 2);
  evd_execution executions[] = {sample_execution("a"), sample_execution("b")};
  struct request requests[] = {driver_insertion(&executions[0]), driver_insertion(&executions[1])};
  struct batch batches[2];
  for (size_t i = 0; i < 2; i++) {
    batches[i] = (struct batch){.operation = EVD_OPERATION_INSERT,
                                .count = 1,
                                .requests = (struct request *[]){&requests[i]}};
  }
  struct request *pointers[] = {&requests[0], &requests[1]};
  batches[0].requests = &pointers[0];
  batches[1].requests = &pointers[1];
  driver_submit(&driver, &batches[0]);
  assert_int_equal(ops->capacity(driver.engine), 1);
  driver_submit(&driver, &batches[1]);
  assert_int_equal(ops->capacity(driver.engine), 0);
  driver_wait(&driver, &batches[0]);
  driver_wait(&driver, &batches[1]);
  assert_int_equal(ops->capacity(driver.engine), 2);

  struct engine_stats stats;
  ops->stats(driver.engine, &stats);
  assert_int_equal(stats.connections, 1);
  assert_int_equal(stats.reconnections, 0);
  assert_null(ops->trouble(driver.engine));
  driver_close(&driver);
}

static void closing_finishes_what_was_submitted(void **state) {
  (void)state;
  const char *url = new_url("");
  struct driver driver;
  driver_open_new(&driver, url);
  evd_execution executions[] = {sample_execution("a"), sample_execution("b")};
  struct request requests[] = {driver_insertion(&executions[0]), driver_insertion(&executions[1])};
  struct request *pointers[] = {&requests[0], &requests[1]};
  struct batch batches[2];
  for (size_t i = 0; i < 2; i++) {
    batches[i] =
        (struct batch){.operation = EVD_OPERATION_INSERT, .count = 1, .requests = &pointers[i]};
    driver_submit(&driver, &batches[i]);
  }
  driver_close(&driver);
  for (size_t i = 0; i < 2; i++) {
    assert_true(batches[i].done == NULL);
    assert_int_equal(batches[i].error.code, EVD_OK);
  }
  assert_int_equal(count_rows(url), 2);
  assert_int_equal(access(text("%s-wal", path_of(url)), F_OK), -1);
}

static void an_abort_ends_the_wait_for_a_lock(void **state) {
  (void)state;
  const char *url = new_url("");
  struct driver driver;
  driver_open_new(&driver, text("%s?busy_timeout=1000000", url));
  struct native *native = native_open(url);
  native_run(native, "begin immediate;");

  evd_execution executions[] = {sample_execution("a"), sample_execution("b")};
  struct request requests[] = {driver_insertion(&executions[0]), driver_insertion(&executions[1])};
  struct request *pointers[] = {&requests[0], &requests[1]};
  struct batch batches[2];
  for (size_t i = 0; i < 2; i++) {
    batches[i] =
        (struct batch){.operation = EVD_OPERATION_INSERT, .count = 1, .requests = &pointers[i]};
    driver_submit(&driver, &batches[i]);
  }
  usleep(20 * 1000);
  driver.ops->close(driver.engine, false);
  driver.ops->close(driver.engine, true);
  driver_close(&driver); /* the watchdog is sooner than busy_timeout */
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(batches[i].error.code, EVD_ECLOSED);
    assert_int_equal(batches[i].error.outcome, EVD_OUTCOME_NOT_APPLIED);
  }
  native_run(native, "commit;");
  native_close(native);
  assert_int_equal(count_rows(url), 0);
}

/* A batch that keeps the database at work for hours: a trigger counts to a trillion. */
static void an_abort_interrupts_a_long_statement(void **state) {
  (void)state;
  const char *url = new_url("");
  struct driver driver;
  driver_open_new(&driver, url);
  evd_execution execution = sample_execution("id");
  driver_insert(&driver, &execution, 1);
  native_run_once(url, "create trigger slow after update on task_executions begin "
                       "update task_executions set retry_attempts = (with recursive n(i) as "
                       "(select 1 union all select i + 1 from n where i < 1000000000000) "
                       "select max(i) from n); end;");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request request = driver_updating("id", &changes);
  struct batch batch = {
      .operation = EVD_OPERATION_UPDATE, .count = 1, .requests = (struct request *[]){&request}};
  driver_submit(&driver, &batch);
  usleep(50 * 1000);
  driver.ops->close(driver.engine, true);
  driver_close(&driver);
  assert_int_equal(batch.error.code, EVD_ECLOSED);
  assert_int_equal(batch.error.outcome, EVD_OUTCOME_NOT_APPLIED);
  struct native *native = native_open(url);
  assert_string_equal(native_text(native, "select status from task_executions;"), "ready");
  native_close(native);
}

/* What an engine tells about its opening when it is closed meanwhile. */
static void on_opened(void *owner, const evd_error *error) {
  *(evd_code *)owner = error != NULL ? error->code : EVD_OK;
}

static void on_closed(void *owner) {
  (void)owner;
}

static void an_engine_can_be_closed_while_it_opens(void **state) {
  (void)state;
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  for (int aborts = 0; aborts < 2; aborts++) {
    evd_code code = EVD_EPENDING;
    struct engine_config config = {
        .loop = loop,
        .url = "sqlite::memory:",
        .table = "task_executions",
        .schema = EVD_SCHEMA_CREATE,
        .timeout_ms = -1,
        .callbacks = {.opened = on_opened, .closed = on_closed, .owner = &code},
    };
    evd_error error;
    struct engine *engine = engine_sqlite.open(&config, &error);
    assert_non_null(engine);
    assert_int_equal(engine_sqlite.capacity(engine), 0);
    engine_sqlite.close(engine, aborts == 1);
    engine_sqlite.close(engine, aborts == 1);
    ev_run(loop, 0); /* ends when nothing is left to do */
    assert_int_equal(code, EVD_ECLOSED);
  }
  ev_loop_destroy(loop);
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

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "work") == 0) {
    return work(argv[2], argv[3]);
  }
  const struct CMUnitTest tests[] = {
      test(a_lock_held_too_long_is_a_conflict_and_reads_go_on),
      test(a_lock_held_for_a_while_is_waited_for),
      test(a_wait_for_a_lock_holds_up_reads_for_a_second_at_most),
      test(a_commit_that_finds_a_reader_is_rolled_back),
      test(a_journal_mode_that_cannot_be_had_is_told),
      test(a_journal_mode_is_waited_for_only_so_long_among_restless_writers),
      test(a_database_opened_for_reading_can_be_read),
      test(a_file_that_was_deleted_or_replaced_takes_no_more),
      test(a_table_dropped_meanwhile_is_an_error_of_the_schema),
      test(several_processes_claim_each_row_once),
      test(there_is_room_for_two_batches),
      test(closing_finishes_what_was_submitted),
      test(an_abort_ends_the_wait_for_a_lock),
      test(an_abort_interrupts_a_long_statement),
      test(an_engine_can_be_closed_while_it_opens),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
