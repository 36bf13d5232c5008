/* Operation 4: updating one by id; and 14, all children of a parent. */
#include "suite/suite.h"

#include <string.h>

/* The rows before an update: one with few columns filled in, one with all. */
static void insert_both(evd_execution rows[2]) {
  rows[0] = sample_execution("te_minimal");
  rows[1] = sample_full("te_full");
  await_ok(evd_insert(suite.storage, rows, 2));
}

/* Updates both and checks that they are what they should be, in every column. */
static void update_both(evd_execution rows[2], const evd_changes *changes) {
  evd_future *futures[2];
  for (int i = 0; i < 2; i++) {
    futures[i] = evd_update(suite.storage, rows[i].execution_id, NULL, changes);
  }
  for (int i = 0; i < 2; i++) {
    assert_true(await_matched(futures[i]));
    sample_apply(&rows[i], changes);
    suite_expect(&rows[i]);
  }
}

static void every_settable_column_can_be_set_alone(void **state) {
  evd_execution rows[2];
  insert_both(rows);
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    evd_changes changes = {0};
    if (!sample_is_settable(column)) {
      continue;
    }
    sample_set(&changes, column);
    update_both(rows, &changes);
  }
}

static void every_unsettable_column_can_be_unset_alone(void **state) {
  evd_execution rows[2];
  insert_both(rows);
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    evd_changes changes = sample_changes(0);
    if (!sample_is_unsettable(column)) {
      continue;
    }
    changes.unset = UINT64_C(1) << column;
    update_both(rows, &changes);
  }
}

static void a_column_both_set_and_unset_ends_unset(void **state) {
  evd_execution rows[2];
  insert_both(rows);
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    evd_changes changes = {0};
    if (!sample_is_unsettable(column)) {
      continue;
    }
    sample_set(&changes, column);
    changes.unset = UINT64_C(1) << column;
    update_both(rows, &changes);
  }
}

static void all_columns_can_be_set_at_once(void **state) {
  evd_execution rows[2];
  insert_both(rows);
  evd_changes changes = {0};
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (sample_is_settable(column)) {
      sample_set(&changes, column);
    }
  }
  update_both(rows, &changes);
}

static void all_columns_can_be_set_and_those_that_can_unset_at_once(void **state) {
  evd_execution rows[2];
  insert_both(rows);
  evd_changes changes = {0};
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (sample_is_settable(column)) {
      sample_set(&changes, column);
    }
    if (sample_is_unsettable(column)) {
      changes.unset |= UINT64_C(1) << column;
    }
  }
  update_both(rows, &changes);
}

static void every_enumeration_takes_each_of_its_values(void **state) {
  evd_execution rows[2];
  insert_both(rows);
  for (int i = 0; i < EVD_STATUS_CANCELLED; i++) {
    evd_changes changes = sample_changes((evd_status)(1 + i));
    evd_set(&changes, on_children_finished_processing_status, (evd_ocfp_status)(1 + i % 3));
    evd_set(&changes, close_status, (evd_close_status)(1 + i % 4));
    update_both(rows, &changes);
  }
}

static void updated_at_is_now_where_the_caller_does_not_set_it(void **state) {
  evd_execution rows[2];
  insert_both(rows);
  evd_changes changes = {0};
  evd_set(&changes, retry_attempts, 9);
  int64_t before = evd_now();
  assert_true(await_matched(evd_update(suite.storage, "te_full", NULL, &changes)));
  int64_t updated_at = suite_get("te_full")->updated_at;
  assert_true(updated_at >= before && updated_at <= evd_now());
}

static void changes_of_nothing_match_and_set_updated_at_only(void **state) {
  evd_execution rows[2];
  insert_both(rows);
  evd_changes changes = {0};
  assert_true(await_matched(evd_update(suite.storage, "te_full", NULL, &changes)));
  const evd_execution *row = suite_get("te_full");
  assert_true(row->updated_at > rows[1].updated_at);
  rows[1].updated_at = row->updated_at;
  expect_row(row, &rows[1]);
}

static void only_what_is_set_is_read(void **state) {
  evd_execution rows[2];
  insert_both(rows);
  evd_changes changes = {0};
  memset(&changes.values, 0xee, sizeof changes.values);
  evd_set(&changes, needs_promise_cancellation, true);
  evd_set(&changes, updated_at, SAMPLE_TIME + 1000);
  evd_unset(&changes, error);
  update_both(rows, &changes);
}

static void an_update_that_changes_no_value_matches(void **state) {
  evd_execution rows[2];
  insert_both(rows);
  evd_changes changes = {0};
  evd_set(&changes, updated_at, rows[1].updated_at);
  evd_set(&changes, status, rows[1].status);
  for (int i = 0; i < 3; i++) {
    assert_true(await_matched(evd_update(suite.storage, "te_full", NULL, &changes)));
  }
  suite_expect(&rows[1]);
}

static void an_unknown_id_succeeds_and_matches_nothing(void **state) {
  evd_execution rows[2];
  insert_both(rows);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  int64_t count = 1;
  evd_future *future = keep_future(evd_update(suite.storage, "te_unknown", NULL, &changes));
  assert_int_equal(evd_future_await(future), EVD_OK);
  assert_int_equal(evd_future_count(future, &count), EVD_OK);
  assert_int_equal(count, 0);
  assert_false(await_matched(evd_update(suite.storage, "te_unknown", NULL, &changes)));
  suite_expect(&rows[0]);
  suite_expect(&rows[1]);
}

/* Updates with other columns, masks and filters, all in one tick, each to its own row. */
static void different_updates_in_one_tick_each_do_their_own(void **state) {
  enum { ROWS = 120 };
  evd_execution *rows = keep_memory(ROWS * sizeof *rows);
  evd_future *futures[ROWS];
  for (int i = 0; i < ROWS; i++) {
    rows[i] = i % 2 ? sample_full(text("te_%d", i)) : sample_execution(text("te_%d", i));
  }
  await_ok(evd_insert(suite.storage, rows, ROWS));
  for (int i = 0; i < ROWS; i++) {
    evd_changes changes = sample_changes(0);
    evd_filter filter = {.is_sleeping_task = (evd_maybe)(i % 3)};
    for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
      if (sample_is_settable(column) && (i + column) % 3 == 0) {
        sample_set(&changes, column);
      }
      if (sample_is_unsettable(column) && (i + column) % 5 == 0) {
        changes.unset |= UINT64_C(1) << column;
      }
    }
    evd_set(&changes, retry_attempts, i);
    futures[i] = evd_update(suite.storage, rows[i].execution_id, &filter, &changes);
    if (i % 3 == 0 || (i % 3 == EVD_YES) == (i % 2)) {
      sample_apply(&rows[i], &changes);
    }
  }
  for (int i = 0; i < ROWS; i++) {
    assert_true(await_matched(futures[i]) == (i % 3 == 0 || (i % 3 == EVD_YES) == (i % 2)));
  }
  for (int i = 0; i < ROWS; i++) {
    suite_expect(&rows[i]);
  }
}

/* Four children of one parent, two of them finished, and one of another. */
static void insert_children(evd_execution rows[5]) {
  for (int i = 0; i < 5; i++) {
    const char *parent = i < 4 ? "te_parent" : "te_another";
    rows[i] = i % 2 ? sample_finished_child(text("te_%d", i), parent, i)
                    : sample_child(text("te_%d", i), parent, i);
  }
  await_ok(evd_insert(suite.storage, rows, 5));
}

static void an_update_by_parent_touches_its_unfinished_children(void **state) {
  evd_execution rows[5];
  insert_children(rows);
  evd_changes changes = sample_changes(0);
  evd_set(&changes, needs_promise_cancellation, true);
  evd_unset(&changes, executor_id);
  assert_int_equal(await_count(evd_update_by_parent(suite.storage, "te_parent", false, &changes)),
                   2);
  sample_apply(&rows[0], &changes);
  sample_apply(&rows[2], &changes);
  for (int i = 0; i < 5; i++) {
    suite_expect(&rows[i]);
  }
}

static void an_update_by_parent_touches_its_finished_children(void **state) {
  evd_execution rows[5];
  insert_children(rows);
  evd_changes changes = sample_changes(EVD_STATUS_CANCELLED);
  assert_int_equal(await_count(evd_update_by_parent(suite.storage, "te_parent", true, &changes)),
                   2);
  sample_apply(&rows[1], &changes);
  sample_apply(&rows[3], &changes);
  for (int i = 0; i < 5; i++) {
    suite_expect(&rows[i]);
  }
}

static void an_update_by_an_unknown_parent_touches_nothing(void **state) {
  evd_execution rows[5];
  insert_children(rows);
  evd_changes changes = sample_changes(EVD_STATUS_CANCELLED);
  assert_int_equal(await_count(evd_update_by_parent(suite.storage, "te_0", true, &changes)), 0);
  for (int i = 0; i < 5; i++) {
    suite_expect(&rows[i]);
  }
}

static void updates_by_several_parents_in_one_tick_each_do_their_own(void **state) {
  enum { PARENTS = 40 };
  evd_execution *rows = keep_memory(2 * PARENTS * sizeof *rows);
  evd_future *futures[PARENTS];
  for (int i = 0; i < 2 * PARENTS; i++) {
    rows[i] = sample_child(text("te_%d", i), text("te_parent_%d", i / 2), i % 2);
  }
  await_ok(evd_insert(suite.storage, rows, 2 * (size_t)PARENTS));
  for (int i = 0; i < PARENTS; i++) {
    evd_changes changes = sample_changes(i % 3 ? EVD_STATUS_CANCELLED : 0);
    evd_set(&changes, retry_attempts, i);
    futures[i] = evd_update_by_parent(suite.storage, text("te_parent_%d", i), i % 5 == 0, &changes);
    for (int j = 2 * i; i % 5 && j < 2 * i + 2; j++) {
      sample_apply(&rows[j], &changes);
    }
  }
  for (int i = 0; i < PARENTS; i++) {
    assert_int_equal(await_count(futures[i]), i % 5 ? 2 : 0);
  }
  for (int i = 0; i < 2 * PARENTS; i++) {
    suite_expect(&rows[i]);
  }
}

int update_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(every_settable_column_can_be_set_alone),
      suite_test(every_unsettable_column_can_be_unset_alone),
      suite_test(a_column_both_set_and_unset_ends_unset),
      suite_test(all_columns_can_be_set_at_once),
      suite_test(all_columns_can_be_set_and_those_that_can_unset_at_once),
      suite_test(every_enumeration_takes_each_of_its_values),
      suite_test(updated_at_is_now_where_the_caller_does_not_set_it),
      suite_test(changes_of_nothing_match_and_set_updated_at_only),
      suite_test(only_what_is_set_is_read),
      suite_test(an_update_that_changes_no_value_matches),
      suite_test(an_unknown_id_succeeds_and_matches_nothing),
      suite_test(different_updates_in_one_tick_each_do_their_own),
      suite_test(an_update_by_parent_touches_its_unfinished_children),
      suite_test(an_update_by_parent_touches_its_finished_children),
      suite_test(an_update_by_an_unknown_parent_touches_nothing),
      suite_test(updates_by_several_parents_in_one_tick_each_do_their_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
