/* Operation 15: closing, and taking children off their parents' counters. */
#include "suite/selections.h"
#include "suite/suite.h"

static evd_changes closing(void) {
  evd_changes changes = sample_changes(0);
  evd_set(&changes, close_status, EVD_CLOSE_READY);
  return changes;
}

/* Closes what is finished and not closed; how many. */
static int64_t close_up_to(int64_t limit) {
  evd_changes changes = closing();
  return await_count(evd_close_finished(suite.storage, true, EVD_CLOSE_IDLE, &changes, limit));
}

/* The parent after so many of its children were closed. */
static void expect_parent(evd_execution *parent, int32_t closed) {
  parent->active_children_count -= closed;
  if (closed) {
    parent->updated_at = SAMPLE_TIME + 1000;
  }
  suite_expect(parent);
}

static void expect_closed(evd_execution *row) {
  evd_changes changes = closing();
  sample_apply(row, &changes);
  suite_expect(row);
}

static void a_finished_child_is_closed_and_taken_off_its_parent(void **state) {
  evd_execution rows[3] = {sample_parent("te_parent", 2),
                           sample_finished_child("te_0", "te_parent", 0),
                           sample_child("te_1", "te_parent", 1)};
  await_ok(evd_insert(suite.storage, rows, 3));
  assert_int_equal(close_up_to(10), 1);
  expect_parent(&rows[0], 1);
  expect_closed(&rows[1]);
  suite_expect(&rows[2]);
  assert_int_equal(close_up_to(10), 0);
  suite_expect(&rows[0]);
}

static void two_finished_children_of_one_parent_take_2_off(void **state) {
  evd_execution rows[3] = {sample_parent("te_parent", 5),
                           sample_finished_child("te_0", "te_parent", 0),
                           sample_finished_child("te_1", "te_parent", 1)};
  await_ok(evd_insert(suite.storage, rows, 3));
  assert_int_equal(close_up_to(10), 2);
  expect_parent(&rows[0], 2);
  expect_closed(&rows[1]);
  expect_closed(&rows[2]);
}

static void children_of_different_parents_each_take_off_their_own(void **state) {
  enum { PARENTS = 6 };
  evd_execution parents[PARENTS];
  int children = 0;
  for (int i = 0; i < PARENTS; i++) {
    parents[i] = sample_parent(text("te_parent_%d", i), 10);
    suite_insert(&parents[i]);
    for (int j = 0; j < i; j++, children++) {
      evd_execution child =
          sample_finished_child(text("te_%d_%d", i, j), parents[i].execution_id, j);
      suite_insert(&child);
    }
  }
  assert_int_equal(close_up_to(100), children);
  for (int i = 0; i < PARENTS; i++) {
    expect_parent(&parents[i], i);
  }
}

static void only_rows_within_the_limit_are_taken_off(void **state) {
  evd_execution parent = sample_parent("te_parent", 10);
  evd_execution children[6];
  suite_insert(&parent);
  for (int i = 0; i < 6; i++) {
    children[i] = sample_finished_child(text("te_%d", i), "te_parent", i);
    children[i].updated_at = SAMPLE_TIME + 10 - i;
  }
  await_ok(evd_insert(suite.storage, children, 6));
  assert_int_equal(close_up_to(2), 2);
  expect_parent(&parent, 2);
  for (int i = 0; i < 4; i++) {
    suite_expect(&children[i]);
  }
  expect_closed(&children[4]);
  expect_closed(&children[5]);
}

static void a_parent_may_itself_be_among_the_rows_closed(void **state) {
  evd_execution rows[4] = {sample_finished_child("te_parent", "te_top", 0),
                           sample_finished_child("te_0", "te_parent", 0),
                           sample_finished_child("te_1", "te_parent", 1),
                           sample_parent("te_top", 1)};
  rows[0].active_children_count = 2;
  await_ok(evd_insert(suite.storage, rows, 4));
  assert_int_equal(close_up_to(10), 3);
  rows[0].close_status = EVD_CLOSE_READY;
  expect_parent(&rows[0], 2);
  expect_closed(&rows[1]);
  expect_closed(&rows[2]);
  expect_parent(&rows[3], 1);
}

static void a_parent_among_the_rows_counts_down_from_what_the_changes_set(void **state) {
  evd_execution rows[2] = {sample_parent("te_parent", 5),
                           sample_finished_child("te_0", "te_parent", 0)};
  rows[0].is_finished = true;
  await_ok(evd_insert(suite.storage, rows, 2));
  evd_changes changes = closing();
  evd_set(&changes, active_children_count, 9);
  assert_int_equal(
      await_count(evd_close_finished(suite.storage, true, EVD_CLOSE_IDLE, &changes, 10)), 2);
  sample_apply(&rows[0], &changes);
  sample_apply(&rows[1], &changes);
  rows[0].active_children_count = 8;
  suite_expect(&rows[0]);
  suite_expect(&rows[1]);
}

static void rows_without_a_parent_are_closed(void **state) {
  evd_execution row = sample_execution("te_1");
  row.status = EVD_STATUS_FAILED;
  row.is_finished = true;
  suite_insert(&row);
  assert_int_equal(close_up_to(10), 1);
  expect_closed(&row);
}

static void a_parent_that_is_gone_is_no_error(void **state) {
  evd_execution row = sample_finished_child("te_1", "te_gone", 0);
  suite_insert(&row);
  assert_int_equal(close_up_to(10), 1);
  expect_closed(&row);
}

/* As the framework's own parents do whose finalize task is closed. */
static void a_counter_may_go_below_zero(void **state) {
  evd_execution parent = sample_parent("te_parent", 0);
  parent.status = EVD_STATUS_WAITING_FOR_FINALIZE;
  parent.finalize = "{\"taskId\":\"finalize\",\"executionId\":\"te_1\"}";
  evd_execution child = sample_finished_child("te_1", "te_parent", 0);
  child.is_finalize_of_parent = true;
  suite_insert(&parent);
  suite_insert(&child);
  assert_int_equal(close_up_to(10), 1);
  expect_parent(&parent, 1);
  evd_changes changes = sample_changes(EVD_STATUS_COMPLETED);
  assert_true(await_matched(evd_update(suite.storage, "te_parent", NULL, &changes)));
  sample_apply(&parent, &changes);
  suite_expect(&parent);
  await_ok(evd_delete_all(suite.storage));
  suite_insert(&parent); /* as from a backup */
  suite_expect(&parent);
}

static void only_one_is_finished_and_close_status_is_closed(void **state) {
  enum { ROWS = EVD_CLOSE_CLOSED * 2 };
  evd_execution rows[ROWS];
  for (int i = 0; i < ROWS; i++) {
    rows[i] = i % 2 ? sample_finished_child(text("te_%d", i), "te_gone", i)
                    : sample_child(text("te_%d", i), "te_gone", i);
    rows[i].close_status = (evd_close_status)(1 + i / 2);
  }
  await_ok(evd_insert(suite.storage, rows, ROWS));
  for (int i = 0; i < ROWS; i++) {
    evd_changes changes = sample_changes(0);
    evd_set(&changes, needs_promise_cancellation, true);
    assert_int_equal(
        await_count(evd_close_finished(suite.storage, i % 2, rows[i].close_status, &changes, 10)),
        1);
    sample_apply(&rows[i], &changes);
    suite_expect(&rows[i]);
  }
}

static void calls_at_once_lose_no_decrement(void **state) {
  enum { PARENTS = 5, CHILDREN = 60, CALLS = 30 };
  evd_execution parents[PARENTS];
  for (int i = 0; i < PARENTS; i++) {
    evd_execution children[CHILDREN];
    parents[i] = sample_parent(text("te_parent_%d", i), CHILDREN);
    for (int j = 0; j < CHILDREN; j++) {
      children[j] = sample_finished_child(text("te_%d_%d", i, j), parents[i].execution_id, j);
      children[j].updated_at = SAMPLE_TIME + (j * 7) % CHILDREN;
    }
    suite_insert(&parents[i]);
    await_ok(evd_insert(suite.storage, children, CHILDREN));
  }
  evd_future *futures[CALLS];
  evd_changes changes = closing();
  int64_t closed = 0;
  for (int i = 0; i < CALLS; i++) {
    futures[i] = evd_close_finished(suite.storage, true, EVD_CLOSE_IDLE, &changes, 11);
  }
  for (int i = 0; i < CALLS; i++) {
    closed += await_count(futures[i]);
  }
  assert_int_equal(closed, PARENTS * CHILDREN);
  for (int i = 0; i < PARENTS; i++) {
    expect_parent(&parents[i], CHILDREN);
  }
}

static void updates_of_the_parent_meanwhile_lose_nothing(void **state) {
  enum { CHILDREN = 40 };
  evd_execution parent = sample_parent("te_parent", CHILDREN);
  evd_execution children[CHILDREN];
  evd_future *closed[CHILDREN], *updated[CHILDREN];
  suite_insert(&parent);
  for (int i = 0; i < CHILDREN; i++) {
    children[i] = sample_finished_child(text("te_%d", i), "te_parent", i);
  }
  await_ok(evd_insert(suite.storage, children, CHILDREN));
  for (int i = 0; i < CHILDREN; i++) {
    evd_changes changes = closing();
    evd_changes mark = sample_changes(0);
    evd_set(&mark, retry_attempts, i);
    closed[i] = evd_close_finished(suite.storage, true, EVD_CLOSE_IDLE, &changes, 1);
    updated[i] = evd_update(suite.storage, "te_parent", NULL, &mark);
  }
  int64_t sum = 0;
  for (int i = 0; i < CHILDREN; i++) {
    sum += await_count(closed[i]);
    assert_true(await_matched(updated[i]));
  }
  assert_int_equal(sum, CHILDREN);
  parent.retry_attempts = CHILDREN - 1;
  expect_parent(&parent, CHILDREN);
}

/* A row that has neither parent nor children nor finalize has nothing to close: its outcome may
 * also say that it is closed. No stage of ours or the framework's looks at it again. */
static void a_row_that_is_closed_with_its_outcome_is_done(void **state) {
  static const evd_status outcomes[] = {EVD_STATUS_COMPLETED, EVD_STATUS_FAILED,
                                        EVD_STATUS_TIMED_OUT, EVD_STATUS_CANCELLED};
  enum { OUTCOMES = sizeof outcomes / sizeof *outcomes };
  evd_execution rows[OUTCOMES];
  for (int i = 0; i < OUTCOMES; i++) {
    rows[i] = sample_execution(text("te_%d", i));
  }
  await_ok(evd_insert(suite.storage, rows, OUTCOMES));
  evd_changes run = sample_changes(EVD_STATUS_RUNNING);
  evd_set(&run, executor_id, "executor"); /* of which the cancellations in `selections` are */
  evd_set(&run, started_at, SAMPLE_TIME);
  await_ok(evd_claim_by_start_at(suite.storage, sample_due(SAMPLE_TIME + 10), &run, OUTCOMES));
  for (int i = 0; i < OUTCOMES; i++) {
    evd_filter mine = {
        .status = EVD_STATUS_RUNNING, .executor_id = "executor", .started_at = SAMPLE_TIME};
    evd_changes outcome = sample_changes(outcomes[i]);
    evd_set(&outcome, is_finished, true);
    evd_set(&outcome, finished_at, SAMPLE_TIME + 5);
    evd_set(&outcome, close_status, EVD_CLOSE_CLOSED);
    evd_set(&outcome, closed_at, SAMPLE_TIME + 5);
    evd_unset(&outcome, expires_at);
    assert_true(await_matched(evd_update(suite.storage, rows[i].execution_id, &mine, &outcome)));
    sample_apply(&rows[i], &run);
    sample_apply(&rows[i], &outcome);
    suite_expect(&rows[i]);
  }
  for (int i = 0; i < SELECTIONS; i++) {
    evd_changes changes = sample_changes(0);
    int64_t count =
        selection_count(&selections[i], selections[i].run(suite.storage, &changes, 100));
    expect(count == 0, "%s found %lld rows", selections[i].name, (long long)count);
  }
  for (int i = 0; i < OUTCOMES; i++) {
    suite_expect(&rows[i]);
  }
}

int close_finished_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(a_finished_child_is_closed_and_taken_off_its_parent),
      suite_test(two_finished_children_of_one_parent_take_2_off),
      suite_test(children_of_different_parents_each_take_off_their_own),
      suite_test(only_rows_within_the_limit_are_taken_off),
      suite_test(a_parent_may_itself_be_among_the_rows_closed),
      suite_test(a_parent_among_the_rows_counts_down_from_what_the_changes_set),
      suite_test(rows_without_a_parent_are_closed),
      suite_test(a_parent_that_is_gone_is_no_error),
      suite_test(a_counter_may_go_below_zero),
      suite_test(only_one_is_finished_and_close_status_is_closed),
      suite_test(a_row_that_is_closed_with_its_outcome_is_done),
      suite_test(calls_at_once_lose_no_decrement),
      suite_test(updates_of_the_parent_meanwhile_lose_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
