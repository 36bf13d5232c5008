/* Cancelling futures. */
#include "suite/suite.h"

static void count_cancelled(evd_future *future, void *data) {
  *(int *)data += evd_future_code(future) == EVD_ECANCELED;
}

static void what_has_not_left_is_not_made(void **state) {
  evd_execution row = sample_execution("te_1");
  evd_future *future = keep_future(evd_insert(suite.storage, &row, 1));
  evd_future_cancel(future);
  assert_int_equal(evd_future_await(future), EVD_ECANCELED);
  assert_int_equal(evd_future_error(future)->outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_null(suite_get("te_1"));
}

static void the_callback_of_a_cancelled_future_comes_once_from_the_loop(void **state) {
  int cancelled = 0;
  evd_execution row = sample_execution("te_1");
  evd_future *future = evd_future_retain(evd_insert(suite.storage, &row, 1));
  evd_future_then(future, count_cancelled, &cancelled);
  evd_future_cancel(future);
  assert_int_equal(cancelled, 0);
  evd_future_cancel(future);
  ev_run(suite.loop, 0);
  assert_int_equal(cancelled, 1);
  evd_future_release(future);
  assert_null(suite_get("te_1"));
}

static void what_has_left_is_made_whole_or_not_at_all(void **state) {
  enum { ROWS = 1500 };
  evd_execution *rows = keep_memory(ROWS * sizeof *rows);
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_full(text("te_%d", i));
  }
  evd_future *future = keep_future(evd_insert(suite.storage, rows, ROWS));
  ev_run(suite.loop, EVRUN_NOWAIT);
  evd_future_cancel(future);
  if (evd_future_await(future) == EVD_ECANCELED) {
    assert_int_equal(evd_future_error(future)->outcome, EVD_OUTCOME_UNKNOWN);
  }
  ev_run(suite.loop, 0); /* until the database is done with it */
  bool made = suite_get("te_0") != NULL;
  for (int i = 0; i < ROWS; i += 7) {
    assert_true((suite_get(rows[i].execution_id) != NULL) == made);
  }
  assert_true((suite_get(rows[ROWS - 1].execution_id) != NULL) == made);
}

static void cancelling_a_finished_future_has_no_effect(void **state) {
  evd_execution row = sample_execution("te_1");
  evd_future *future = keep_future(evd_insert(suite.storage, &row, 1));
  assert_int_equal(evd_future_await(future), EVD_OK);
  evd_future_cancel(future);
  assert_int_equal(evd_future_code(future), EVD_OK);
  suite_expect(&row);
}

static void neighbours_in_the_batch_are_not_cancelled(void **state) {
  enum { ROWS = 40 };
  evd_future *futures[ROWS];
  for (int i = 0; i < ROWS; i++) {
    evd_execution row = sample_execution(text("te_%d", i));
    futures[i] = keep_future(evd_insert(suite.storage, &row, 1));
  }
  for (int i = 0; i < ROWS; i += 3) {
    evd_future_cancel(futures[i]);
  }
  for (int i = 0; i < ROWS; i++) {
    assert_int_equal(evd_future_await(futures[i]), i % 3 ? EVD_OK : EVD_ECANCELED);
    assert_true((suite_get(text("te_%d", i)) != NULL) == (i % 3 != 0));
  }
}

static void cancelling_one_of_two_equal_gets_leaves_the_other(void **state) {
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  for (int which = 0; which < 2; which++) {
    evd_future *gets[2];
    for (int i = 0; i < 2; i++) {
      gets[i] = keep_future(evd_get(suite.storage, "te_1", NULL));
    }
    evd_future_cancel(gets[which]);
    assert_int_equal(evd_future_await(gets[1 - which]), EVD_OK);
    assert_int_equal(evd_future_code(gets[which]), EVD_ECANCELED);
    const evd_execution *got;
    assert_int_equal(evd_future_row(gets[1 - which], &got), EVD_OK);
    expect_row(got, &row);
  }
}

static void cancelling_an_update_leaves_those_before_and_after_it(void **state) {
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  evd_future *futures[3];
  for (int i = 0; i < 3; i++) {
    evd_changes changes = sample_changes(0);
    if (i == 0) {
      evd_set(&changes, executor_id, "first");
    } else if (i == 1) {
      evd_set(&changes, output, "\"second\"");
    } else {
      evd_set(&changes, retry_attempts, 3);
    }
    if (i != 1) {
      sample_apply(&row, &changes);
    }
    futures[i] = keep_future(evd_update(suite.storage, "te_1", NULL, &changes));
  }
  evd_future_cancel(futures[1]);
  assert_int_equal(evd_future_await(futures[0]), EVD_OK);
  assert_int_equal(evd_future_await(futures[2]), EVD_OK);
  assert_int_equal(evd_future_await(futures[1]), EVD_ECANCELED);
  suite_expect(&row);
}

static void cancelling_a_group_cancels_all_of_it(void **state) {
  evd_execution rows[3];
  evd_future *futures[3];
  for (int i = 0; i < 3; i++) {
    rows[i] = sample_execution(text("te_%d", i));
    futures[i] = evd_insert(suite.storage, &rows[i], 1);
  }
  evd_future *all = keep_future(evd_future_all(futures, 3));
  evd_future_cancel(all);
  assert_int_equal(evd_future_await(all), EVD_ECANCELED);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(evd_future_code(evd_future_at(all, (size_t)i)), EVD_ECANCELED);
    assert_null(suite_get(rows[i].execution_id));
  }
}

/* A callback that cancels another future. */
static void cancel_other(evd_future *future, void *data) {
  evd_future_cancel(data);
}

static void a_callback_may_cancel_other_futures(void **state) {
  evd_future *futures[20];
  for (int i = 0; i < 20; i++) {
    futures[i] = evd_future_retain(evd_get(suite.storage, text("te_%d", i), NULL));
  }
  for (int i = 0; i < 20; i++) {
    evd_future_then(futures[i], cancel_other, futures[(i + 7) % 20]);
  }
  ev_run(suite.loop, 0);
  for (int i = 0; i < 20; i++) {
    evd_code code = evd_future_code(futures[i]);
    assert_true(code == EVD_OK || code == EVD_ECANCELED);
    evd_future_release(futures[i]);
  }
}

int cancel_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(what_has_not_left_is_not_made),
      suite_test(the_callback_of_a_cancelled_future_comes_once_from_the_loop),
      suite_test(what_has_left_is_made_whole_or_not_at_all),
      suite_test(cancelling_a_finished_future_has_no_effect),
      suite_test(neighbours_in_the_batch_are_not_cancelled),
      suite_test(cancelling_one_of_two_equal_gets_leaves_the_other),
      suite_test(cancelling_an_update_leaves_those_before_and_after_it),
      suite_test(cancelling_a_group_cancels_all_of_it),
      suite_test(a_callback_may_cancel_other_futures),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
