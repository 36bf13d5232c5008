/* Operations 9, 10 and 11: which rows each is for. What all share is in selections.c. */
#include "suite/suite.h"

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
  assert_int_equal(await_count(evd_expire_by_expires_at(suite.storage, EVD_STATUS_RUNNING, false,
                                                        SAMPLE_TIME, &changes, 10)),
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
    assert_int_equal(await_count(evd_expire_by_expires_at(suite.storage, rows[i].status, i % 2,
                                                          SAMPLE_TIME, &changes, 10)),
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
  assert_int_equal(await_count(evd_expire_by_expires_at(suite.storage, EVD_STATUS_RUNNING, false,
                                                        SAMPLE_TIME + 11, &changes, 10)),
                   1);
  sample_apply(&row, &changes);
  suite_expect(&row);
}

int expire_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(expires_at_is_compared_strictly),
      suite_test(ocfp_expires_at_is_compared_strictly),
      suite_test(close_expires_at_is_compared_strictly),
      suite_test(expires_at_is_for_one_status_and_kind),
      suite_test(an_expired_execution_becomes_ready_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
