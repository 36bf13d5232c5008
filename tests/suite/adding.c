/* Changes that add to retry_attempts, in every operation that takes changes. */
#include "suite/suite.h"

static evd_changes adding(int32_t number) {
  evd_changes changes = sample_changes(0);
  evd_add(&changes, retry_attempts, number);
  return changes;
}

/* A row with so many attempts. */
static evd_execution attempted(const char *id, int32_t attempts) {
  evd_execution row = sample_execution(id);
  row.retry_attempts = attempts;
  return row;
}

static void expect_attempts(const char *id, int32_t attempts) {
  const evd_execution *row = suite_get(id);
  expect(row->retry_attempts == attempts, "%s has %d attempts, not %d", id, row->retry_attempts,
         attempts);
}

static void an_update_adds(void **state) {
  evd_execution row = attempted("te_1", 3);
  suite_insert(&row);
  for (int32_t number = 0; number < 3; number++) {
    evd_changes changes = adding(number);
    assert_true(await_matched(evd_update(suite.storage, "te_1", NULL, &changes)));
    sample_apply(&row, &changes);
    suite_expect(&row);
  }
  assert_int_equal(row.retry_attempts, 3 + 1 + 2);
}

/* Updates that add, and others that set, of rows with other numbers, all in one tick. */
static void updates_that_add_and_that_set_share_a_tick(void **state) {
  enum { ROWS = 100 };
  static evd_execution rows[ROWS];
  evd_future *futures[ROWS];
  evd_changes changes[ROWS];
  for (int i = 0; i < ROWS; i++) {
    rows[i] = attempted(text("te_%d", i), i);
  }
  await_ok(evd_insert(suite.storage, rows, ROWS));
  for (int i = 0; i < ROWS; i++) {
    changes[i] = adding(i % 7);
    if (i % 3 == 0) {
      evd_set(&changes[i], retry_attempts, 1000 + i);
    }
    futures[i] = evd_update(suite.storage, rows[i].execution_id, NULL, &changes[i]);
  }
  for (int i = 0; i < ROWS; i++) {
    assert_true(await_matched(futures[i]));
    sample_apply(&rows[i], &changes[i]);
    suite_expect(&rows[i]);
  }
  expect_attempts("te_3", 1003);
  expect_attempts("te_5", 10);
}

static void updates_of_one_row_in_a_tick_add_up(void **state) {
  enum { UPDATES = 20 };
  evd_execution row = attempted("te_1", 0);
  suite_insert(&row);
  evd_future *futures[UPDATES];
  for (int i = 0; i < UPDATES; i++) {
    evd_changes changes = adding(i);
    futures[i] = evd_update(suite.storage, "te_1", NULL, &changes);
  }
  for (int i = 0; i < UPDATES; i++) {
    assert_true(await_matched(futures[i]));
  }
  expect_attempts("te_1", UPDATES * (UPDATES - 1) / 2);
}

/* One row that has counted to the end is not in the way of others. */
static void a_sum_that_does_not_fit_is_the_largest_number(void **state) {
  evd_execution rows[] = {attempted("te_1", INT32_MAX), attempted("te_2", INT32_MAX - 1),
                          attempted("te_3", 1)};
  await_ok(evd_insert(suite.storage, rows, 3));
  evd_changes changes = adding(2);
  evd_future *futures[3];
  for (int i = 0; i < 3; i++) {
    futures[i] = evd_update(suite.storage, rows[i].execution_id, NULL, &changes);
  }
  for (int i = 0; i < 3; i++) {
    assert_true(await_matched(futures[i]));
    sample_apply(&rows[i], &changes);
    suite_expect(&rows[i]);
  }
  changes = adding(INT32_MAX);
  assert_true(await_matched(evd_update(suite.storage, "te_3", NULL, &changes)));
  expect_attempts("te_3", INT32_MAX);
  expect_attempts("te_2", INT32_MAX);
}

static void a_claim_adds_and_returns_the_sums(void **state) {
  evd_execution rows[] = {attempted("te_1", 0), attempted("te_2", 5), attempted("te_3", INT32_MAX)};
  for (int i = 0; i < 3; i++) {
    rows[i].start_at = SAMPLE_TIME + i;
  }
  await_ok(evd_insert(suite.storage, rows, 3));
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_add(&changes, retry_attempts, 1);
  size_t count;
  const evd_execution *claimed = await_rows(
      evd_claim_by_start_at(suite.storage, sample_due(SAMPLE_TIME + 10), &changes, 10), &count);
  assert_int_equal(count, 3);
  for (int i = 0; i < 3; i++) {
    sample_apply(&rows[i], &changes);
    rows[i].expires_at = SAMPLE_TIME + rows[i].timeout_ms;
    expect_row(&claimed[i], &rows[i]);
    suite_expect(&rows[i]);
  }
}

static void operations_on_many_rows_add(void **state) {
  evd_execution parent = sample_parent("te_parent", 2);
  evd_execution child = sample_child("te_child", "te_parent", 0);
  evd_execution finished = sample_finished_child("te_finished", "te_parent", 1);
  evd_execution expired = attempted("te_expired", 4);
  expired.status = EVD_STATUS_RUNNING;
  expired.expires_at = SAMPLE_TIME;
  const evd_execution rows[] = {parent, child, finished, expired};
  await_ok(evd_insert(suite.storage, rows, 4));

  evd_changes changes = adding(2);
  await_ok(evd_update_by_parent(suite.storage, "te_parent", false, &changes));
  expect_attempts("te_child", 2);
  await_ok(evd_expire_by_expires_at(suite.storage, sample_expired(SAMPLE_TIME + 1), &changes, 10));
  expect_attempts("te_expired", 6);
  evd_set(&changes, close_status, EVD_CLOSE_READY);
  await_ok(evd_close_finished(suite.storage, true, EVD_CLOSE_IDLE, &changes, 10));
  expect_attempts("te_finished", 2);
  assert_int_equal(suite_get("te_parent")->active_children_count, 1);

  evd_execution more = sample_child("te_more", "te_parent", 2);
  changes = adding(1);
  assert_true(await_matched(
      evd_update_and_insert_children(suite.storage, "te_parent", NULL, &changes, &more, 1)));
  expect_attempts("te_parent", 1);
}

static void only_retry_attempts_is_added_to(void **state) {
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    evd_changes changes = {0};
    if (column == evd_column_retry_attempts || !sample_is_settable(column)) {
      continue;
    }
    sample_set(&changes, column);
    changes.add = UINT64_C(1) << column;
    evd_error error = await_error(evd_update(suite.storage, "te_1", NULL, &changes), EVD_EINVAL);
    assert_string_equal(error.field, evd_column_name(column));
  }
  evd_changes changes = adding(-1);
  evd_error error = await_error(evd_update(suite.storage, "te_1", NULL, &changes), EVD_EINVAL);
  assert_string_equal(error.field, "retry_attempts");
  changes = (evd_changes){.add = UINT64_C(1) << evd_column_retry_attempts};
  error = await_error(evd_update(suite.storage, "te_1", NULL, &changes), EVD_EINVAL);
  assert_string_equal(error.field, "changes");
}

static void the_last_of_setting_and_adding_counts(void **state) {
  evd_execution row = attempted("te_1", 10);
  suite_insert(&row);
  evd_changes changes = sample_changes(0);
  evd_add(&changes, retry_attempts, 1);
  evd_set(&changes, retry_attempts, 2);
  await_ok(evd_update(suite.storage, "te_1", NULL, &changes));
  expect_attempts("te_1", 2);
  evd_add(&changes, retry_attempts, 5);
  await_ok(evd_update(suite.storage, "te_1", NULL, &changes));
  expect_attempts("te_1", 7);
}

int adding_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(an_update_adds),
      suite_test(updates_that_add_and_that_set_share_a_tick),
      suite_test(updates_of_one_row_in_a_tick_add_up),
      suite_test(a_sum_that_does_not_fit_is_the_largest_number),
      suite_test(a_claim_adds_and_returns_the_sums),
      suite_test(operations_on_many_rows_add),
      suite_test(only_retry_attempts_is_added_to),
      suite_test(the_last_of_setting_and_adding_counts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
