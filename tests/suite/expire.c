/* Operations 9, 10 and 11: which rows each is for. What all share is in selections.c. */
#include <stdlib.h>
#include <string.h>

#include "suite/suite.h"
#include "support/native_sql.h"

/* Sets retry_attempts, by which a test sees who was touched. */
static evd_changes marking(void) {
  evd_changes changes = sample_changes(0);
  evd_set(&changes, retry_attempts, 99);
  return changes;
}

/* Rows with the column at each side of `before`, and NULL; only the first two expire. */
static void insert_times(evd_execution rows[5], evd_column column) {
  static const int64_t times[5] = {-5, SAMPLE_TIME - 1, SAMPLE_TIME, SAMPLE_TIME + 1, EVD_NONE};
  for (int i = 0; i < 5; i++) {
    rows[i] = sample_execution(text("te_%d", i));
    rows[i].status = EVD_STATUS_RUNNING;
    *(int64_t *)sample_member(&rows[i], column) = times[i];
  }
  await_ok(evd_insert(suite.storage, rows, 5));
}

static void expect_first_two(evd_execution rows[5], const evd_changes *changes) {
  for (int i = 0; i < 5; i++) {
    if (i < 2) {
      sample_apply(&rows[i], changes);
    }
    suite_expect(&rows[i]);
  }
}

static void expires_at_is_compared_strictly(void **state) {
  evd_execution rows[5];
  insert_times(rows, evd_column_expires_at);
  evd_changes changes = marking();
  assert_int_equal(await_count(evd_expire_by_expires_at(suite.storage, sample_expired(SAMPLE_TIME),
                                                        &changes, 10)),
                   2);
  expect_first_two(rows, &changes);
}

static void ocfp_expires_at_is_compared_strictly(void **state) {
  evd_execution rows[5];
  insert_times(rows, evd_column_on_children_finished_processing_expires_at);
  evd_changes changes = marking();
  assert_int_equal(
      await_count(evd_expire_by_ocfp_expires_at(suite.storage, SAMPLE_TIME, &changes, 10)), 2);
  expect_first_two(rows, &changes);
}

static void close_expires_at_is_compared_strictly(void **state) {
  evd_execution rows[5];
  insert_times(rows, evd_column_close_expires_at);
  evd_changes changes = marking();
  assert_int_equal(
      await_count(evd_expire_by_close_expires_at(suite.storage, SAMPLE_TIME, &changes, 10)), 2);
  expect_first_two(rows, &changes);
}

static void expires_at_is_for_one_status_and_kind(void **state) {
  enum { ROWS = EVD_STATUS_CANCELLED * 2 };
  evd_execution rows[ROWS];
  for (int i = 0; i < ROWS; i++) {
    const char *id = text("te_%d", i);
    rows[i] = i % 2 ? sample_sleeping(id, id) : sample_execution(id);
    rows[i].status = (evd_status)(1 + i / 2);
    rows[i].expires_at = SAMPLE_TIME - 1;
  }
  await_ok(evd_insert(suite.storage, rows, ROWS));
  for (int i = 0; i < ROWS; i++) {
    evd_changes changes = marking();
    const evd_expired expired = {
        .status = rows[i].status, .is_sleeping_task = i % 2, .expires_at_before = SAMPLE_TIME};
    assert_int_equal(await_count(evd_expire_by_expires_at(suite.storage, &expired, &changes, 10)),
                     1);
    sample_apply(&rows[i], &changes);
    suite_expect(&rows[i]);
  }
}

static void an_expired_execution_becomes_ready_again(void **state) {
  evd_execution row = sample_execution("te_1");
  row.status = EVD_STATUS_RUNNING;
  row.executor_id = "executor";
  row.started_at = SAMPLE_TIME;
  row.expires_at = SAMPLE_TIME + 10;
  suite_insert(&row);
  evd_changes changes = sample_changes(EVD_STATUS_READY);
  evd_set(&changes, start_at, SAMPLE_TIME + 20);
  evd_unset(&changes, executor_id);
  evd_unset(&changes, started_at);
  evd_unset(&changes, expires_at);
  assert_int_equal(await_count(evd_expire_by_expires_at(
                       suite.storage, sample_expired(SAMPLE_TIME + 11), &changes, 10)),
                   1);
  sample_apply(&row, &changes);
  suite_expect(&row);
}

/* Retry options, and how many attempts they allow after the first. */
static const struct {
  const char *options;
  int64_t attempts_max;
} allowed[] = {
    {"{\"maxAttempts\":0}", 0},
    {"{\"maxAttempts\":3}", 3},
    {"{ \"baseDelayMs\" : 10, \"maxAttempts\" : 2 , \"maxDelayMs\" : 7 }", 2},
    {"{\"maxAttempts\":1000000}", 1000000},
    {"{}", 0},
    {"{\"maxAttempts\":null}", 0},
    {"{\"maxAttempts\":\"3\"}", 0},
    {"{\"maxAttempts\":\"\\\"maxAttempts\\\": 3\"}", 0},
    {"{\"maxAttempts\":[3]}", 0},
    {"{\"maxattempts\":3}", 0},
    {"{\"name\":\"\\u00e9, maxAttempts: 3\",\"maxAttempts\":1}", 1},
};

enum { ALLOWED = sizeof allowed / sizeof *allowed, ATTEMPTS = 6 };

/* Running rows whose leases are over: of each options, with 0 to 5 attempts made. */
static evd_execution *insert_attempts(void) {
  evd_execution *rows = keep_memory(ALLOWED * ATTEMPTS * sizeof *rows);
  for (int i = 0; i < ALLOWED * ATTEMPTS; i++) {
    rows[i] = sample_execution(text("te_%d", i));
    rows[i].status = EVD_STATUS_RUNNING;
    rows[i].retry_options = allowed[i / ATTEMPTS].options;
    rows[i].retry_attempts = i % ATTEMPTS;
    rows[i].expires_at = SAMPLE_TIME + i;
  }
  await_ok(evd_insert(suite.storage, rows, ALLOWED * ATTEMPTS));
  return rows;
}

static void expiries_choose_by_the_attempts_that_are_left(void **state) {
  evd_execution *rows = insert_attempts();
  for (int extra = 0; extra < 3; extra++) {
    for (evd_maybe left = EVD_YES; left <= EVD_NO; left++) {
      int64_t expected = 0;
      evd_expired expired = *sample_expired(SAMPLE_TIME + ALLOWED * ATTEMPTS);
      expired.attempts_left = left;
      expired.extra_attempts = extra;
      evd_changes changes = {0};
      evd_set(&changes, updated_at, SAMPLE_TIME + extra * 10 + left);
      for (int i = 0; i < ALLOWED * ATTEMPTS; i++) {
        bool has = rows[i].retry_attempts < allowed[i / ATTEMPTS].attempts_max + extra;
        if (has == (left == EVD_YES)) {
          sample_apply(&rows[i], &changes);
          expected++;
        }
      }
      assert_int_equal(
          await_count(evd_expire_by_expires_at(suite.storage, &expired, &changes, 1000)), expected);
      for (int i = 0; i < ALLOWED * ATTEMPTS; i++) {
        suite_expect(&rows[i]);
      }
    }
  }
}

/* Makes a table on which retry_options may hold any text, and opens a storage on it. */
static evd_storage *open_with_free_options(const char *table) {
  const evd_schema_options options = {.table = table, .framework_shape = true};
  char *sql = evd_schema_sql(suite.engine, &options, NULL);
  native_run_once(suite.url, sql);
  free(sql);
  if (strcmp(suite.engine, "postgres") == 0) {
    native_run_once(suite.url, text("alter table %s alter retry_options type text;", table));
  } else if (strcmp(suite.engine, "mysql") == 0) {
    native_run_once(suite.url, text("alter table %s modify retry_options longtext;", table));
  }
  return suite_open((evd_options){.table = table});
}

/* A text in SQL; MySQL takes a backslash in it for the beginning of an escape. */
static const char *quoted(const char *plain) {
  const char *sql = "'";
  for (; *plain != '\0'; plain++) {
    bool escapes = *plain == '\\' && strcmp(suite.engine, "mysql") == 0;
    sql = text("%s%s%c", sql, escapes ? "\\" : "", *plain);
  }
  return text("%s'", sql);
}

/* Whatever others write there is no error, and allows no attempt but where it says so. */
static void strange_retry_options_are_not_in_the_way_of_others(void **state) {
  static const struct {
    const char *options;
    bool allows;
  } cases[] = {
      {"", false},
      {"junk", false},
      {"[", false},
      {"{\"maxAttempts\":", false},
      {"{\"maxAttempts\":1e99999}", false},
      {"{\"maxAttempts\":-1}", false},
      {"{\"maxAttempts\":2.5e0}", false},
      {"{\"maxAttempts\":123456789012345678}", true},
      {"{\"maxAttempts\":2,\"name\":\"\\u0000\"}", true},
  };
  enum { CASES = sizeof cases / sizeof *cases };
  suite_needs_shared();
  const char *table = text("%s_options", suite.table);
  evd_storage *storage = open_with_free_options(table);
  struct native *native = native_open(suite.url);
  int64_t allowed_count = 0;
  for (int i = 0; i < CASES; i++) {
    evd_execution row = sample_execution(text("te_%d", i));
    row.status = EVD_STATUS_RUNNING;
    row.expires_at = SAMPLE_TIME;
    await_ok(evd_insert(storage, &row, 1));
    native_run(native, text("update %s set retry_options = %s where execution_id = 'te_%d';", table,
                            quoted(cases[i].options), i));
    allowed_count += cases[i].allows;
  }
  evd_expired expired = *sample_expired(SAMPLE_TIME + 1);
  expired.attempts_left = EVD_YES;
  evd_changes changes = sample_changes(0);
  int64_t left = await_count(evd_expire_by_expires_at(storage, &expired, &changes, 100));
  expired.attempts_left = EVD_NO;
  int64_t spent = await_count(evd_expire_by_expires_at(storage, &expired, &changes, 100));
  suite_close(storage);
  native_run(native, text("drop table %s;", table));
  native_close(native);
  assert_int_equal(left, allowed_count);
  assert_int_equal(spent, CASES - allowed_count);
}

/* An execution whose every run ends its process: it has maxAttempts + extra attempts after the
 * first, as each recovery counts one, and then it fails. */
static void an_execution_that_always_expires_fails_in_the_end(void **state) {
  enum { MAX = 2, EXTRA = 1 };
  evd_execution row = sample_execution("te_1");
  row.retry_options = text("{\"maxAttempts\":%d}", MAX);
  suite_insert(&row);
  evd_changes run = sample_changes(EVD_STATUS_RUNNING);
  evd_changes fail = sample_changes(EVD_STATUS_FAILED);
  evd_set(&fail, is_finished, true);
  evd_changes give_back = sample_changes(EVD_STATUS_READY);
  evd_add(&give_back, retry_attempts, 1);
  evd_expired expired = *sample_expired(SAMPLE_TIME + 2000);
  expired.extra_attempts = EXTRA;
  int runs = 0;
  for (size_t count = 1; count > 0; runs += (int)count) {
    await_rows(evd_claim_by_start_at(suite.storage, sample_due(SAMPLE_TIME + 10), &run, 10),
               &count);
    expired.attempts_left = EVD_NO;
    await_ok(evd_expire_by_expires_at(suite.storage, &expired, &fail, 10));
    expired.attempts_left = EVD_YES;
    await_ok(evd_expire_by_expires_at(suite.storage, &expired, &give_back, 10));
  }
  assert_int_equal(runs, 1 + MAX + EXTRA);
  assert_int_equal(suite_get("te_1")->status, EVD_STATUS_FAILED);
  assert_int_equal(suite_get("te_1")->retry_attempts, MAX + EXTRA);
}

int expire_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(expires_at_is_compared_strictly),
      suite_test(ocfp_expires_at_is_compared_strictly),
      suite_test(close_expires_at_is_compared_strictly),
      suite_test(expires_at_is_for_one_status_and_kind),
      suite_test(an_expired_execution_becomes_ready_again),
      suite_test(expiries_choose_by_the_attempts_that_are_left),
      suite_test(strange_retry_options_are_not_in_the_way_of_others),
      suite_test(an_execution_that_always_expires_fails_in_the_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
