/* The order of updates of one id. */
#include "suite/suite.h"

static void two_updates_of_one_id_are_applied_in_order(void **state) {
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  for (int i = 0; i < 20; i++) {
    evd_changes first = sample_changes(0), second = sample_changes(0);
    evd_set(&first, output, "\"first\"");
    evd_set(&first, executor_id, "first");
    evd_set(&second, output, "\"second\"");
    evd_future *futures[] = {evd_update(suite.storage, "te_1", NULL, &first),
                             evd_update(suite.storage, "te_1", NULL, &second)};
    assert_true(await_matched(futures[1]));
    assert_true(await_matched(futures[0]));
    sample_apply(&row, &first);
    sample_apply(&row, &second);
    suite_expect(&row);
  }
}

static void an_update_sees_the_state_that_the_one_before_it_left(void **state) {
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  static const evd_status statuses[] = {EVD_STATUS_READY, EVD_STATUS_RUNNING,
                                        EVD_STATUS_WAITING_FOR_CHILDREN,
                                        EVD_STATUS_WAITING_FOR_FINALIZE, EVD_STATUS_COMPLETED};
  evd_future *futures[4];
  for (int i = 0; i < 4; i++) {
    evd_changes changes = sample_changes(statuses[i + 1]);
    futures[i] = evd_update(suite.storage, "te_1", &(evd_filter){.status = statuses[i]}, &changes);
  }
  for (int i = 0; i < 4; i++) {
    assert_true(await_matched(futures[i]));
  }
  assert_int_equal(suite_get("te_1")->status, EVD_STATUS_COMPLETED);
}

static void updates_of_many_ids_interleaved_are_each_in_order(void **state) {
  enum { ROWS = 60, ROUNDS = 8 };
  evd_execution rows[ROWS];
  static evd_future *futures[ROUNDS][ROWS];
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("te_%d", i));
  }
  await_ok(evd_insert(suite.storage, rows, ROWS));
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < ROWS; i++) {
      evd_changes changes = sample_changes(0);
      int at = (i * 7 + round * 13) % ROWS;
      evd_set(&changes, retry_attempts, round);
      if ((at + round) % 3 == 0) {
        evd_set(&changes, output, text("[%d,%d]", at, round));
      }
      futures[round][i] = evd_update(suite.storage, rows[at].execution_id, NULL, &changes);
      sample_apply(&rows[at], &changes);
      if (i % 10 == 0) {
        evd_future_release(evd_get(suite.storage, rows[i].execution_id, NULL));
      }
    }
  }
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < ROWS; i++) {
      assert_true(await_matched(futures[round][i]));
    }
  }
  for (int i = 0; i < ROWS; i++) {
    suite_expect(&rows[i]);
  }
}

static void an_update_and_one_with_children_are_applied_in_order(void **state) {
  enum { ROWS = 30 };
  evd_execution rows[ROWS];
  evd_future *futures[ROWS][3];
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("te_%d", i));
  }
  await_ok(evd_insert(suite.storage, rows, ROWS));
  for (int i = 0; i < ROWS; i++) {
    const char *id = rows[i].execution_id;
    evd_execution child = sample_child(text("te_child_%d", i), id, 0);
    evd_changes run = sample_changes(EVD_STATUS_RUNNING);
    evd_changes wait = sample_changes(EVD_STATUS_WAITING_FOR_CHILDREN);
    evd_changes fail = sample_changes(EVD_STATUS_FAILED);
    futures[i][0] = evd_update(suite.storage, id, &(evd_filter){.status = EVD_STATUS_READY}, &run);
    futures[i][1] = evd_update_and_insert_children(
        suite.storage, id, &(evd_filter){.status = EVD_STATUS_RUNNING}, &wait, &child, 1);
    futures[i][2] = evd_update(suite.storage, id,
                               &(evd_filter){.status = EVD_STATUS_WAITING_FOR_CHILDREN}, &fail);
  }
  for (int i = 0; i < ROWS; i++) {
    for (int j = 0; j < 3; j++) {
      assert_true(await_matched(futures[i][j]));
    }
    assert_int_equal(suite_get(rows[i].execution_id)->status, EVD_STATUS_FAILED);
    assert_non_null(suite_get(text("te_child_%d", i)));
  }
}

static void an_update_that_fails_does_not_hold_up_the_next(void **state) {
  evd_execution rows[2] = {sample_execution("te_1"), sample_execution("te_2")};
  await_ok(evd_insert(suite.storage, rows, 2));
  evd_execution duplicate = sample_child("te_2", "te_1", 0);
  evd_changes wait = sample_changes(EVD_STATUS_WAITING_FOR_CHILDREN);
  evd_changes run = sample_changes(EVD_STATUS_RUNNING);
  evd_future *failing =
      evd_update_and_insert_children(suite.storage, "te_1", NULL, &wait, &duplicate, 1);
  evd_future *next =
      evd_update(suite.storage, "te_1", &(evd_filter){.status = EVD_STATUS_READY}, &run);
  await_error(failing, EVD_EDUPLICATE);
  assert_true(await_matched(next));
  sample_apply(&rows[0], &run);
  suite_expect(&rows[0]);
}

/* Callbacks in the order of the updates, too. */
struct callback {
  int *next;
  int number;
};

static void expect_turn(evd_future *future, void *data) {
  struct callback *callback = data;
  assert_int_equal(evd_future_code(future), EVD_OK);
  assert_int_equal((*callback->next)++, callback->number);
}

static void callbacks_of_updates_of_one_id_come_in_order(void **state) {
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  struct callback callbacks[30];
  int next = 0;
  for (int i = 0; i < 30; i++) {
    evd_changes changes = sample_changes(0);
    callbacks[i] = (struct callback){&next, i};
    evd_future_then(evd_update(suite.storage, "te_1", NULL, &changes), expect_turn, &callbacks[i]);
  }
  ev_run(suite.loop, 0);
  assert_int_equal(next, 30);
}

int order_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(two_updates_of_one_id_are_applied_in_order),
      suite_test(an_update_sees_the_state_that_the_one_before_it_left),
      suite_test(updates_of_many_ids_interleaved_are_each_in_order),
      suite_test(an_update_and_one_with_children_are_applied_in_order),
      suite_test(an_update_that_fails_does_not_hold_up_the_next),
      suite_test(callbacks_of_updates_of_one_id_come_in_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
