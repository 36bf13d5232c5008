/* Closing a storage, with and without work pending. */
#include "suite/suite.h"

#include <unistd.h>

enum { ROWS = 400 };

/* Submits an insert for each row; the futures. */
static evd_future **submit_rows(void) {
  evd_future **futures = keep_memory(ROWS * sizeof *futures);
  for (int i = 0; i < ROWS; i++) {
    evd_execution row = sample_execution(text("te_%d", i));
    futures[i] = keep_future(evd_insert(suite.storage, &row, 1));
  }
  return futures;
}

/* Closes the test's storage. */
static evd_future *close_storage(int64_t drain_ms) {
  evd_future *closed = keep_future(evd_storage_close(suite.storage, drain_ms));
  suite.storage = NULL;
  return closed;
}

/* Opens it again and checks that just those rows are there whose insert succeeded. */
static void expect_what_succeeded(evd_future **futures) {
  if (!suite_is_shared()) {
    return;
  }
  suite.storage = suite_open((evd_options){0});
  for (int i = 0; i < ROWS; i++) {
    const evd_error *error = evd_future_error(futures[i]);
    bool there = suite_get(text("te_%d", i)) != NULL;
    if (error->code == EVD_OK) {
      assert_true(there);
    } else if (error->outcome == EVD_OUTCOME_NOT_APPLIED) {
      assert_false(there);
    }
  }
}

static void a_drain_without_end_finishes_all_that_is_pending(void **state) {
  evd_future **futures = submit_rows();
  evd_future *closed = close_storage(-1);
  assert_int_equal(evd_future_code(closed), EVD_EPENDING);
  assert_int_equal(evd_future_await(closed), EVD_OK);
  for (int i = 0; i < ROWS; i++) {
    assert_int_equal(evd_future_code(futures[i]), EVD_OK);
  }
  expect_what_succeeded(futures);
}

static void a_drain_with_enough_time_finishes_all_that_is_pending(void **state) {
  evd_future **futures = submit_rows();
  assert_int_equal(evd_future_await(close_storage(20000)), EVD_OK);
  for (int i = 0; i < ROWS; i++) {
    assert_int_equal(evd_future_code(futures[i]), EVD_OK);
  }
  expect_what_succeeded(futures);
}

static void without_a_drain_what_has_not_left_fails(void **state) {
  evd_future **futures = submit_rows();
  evd_future *closed = close_storage(0);
  assert_int_equal(evd_future_await(closed), EVD_OK);
  for (int i = 0; i < ROWS; i++) {
    assert_int_equal(evd_future_code(futures[i]), EVD_ECLOSED);
    assert_int_equal(evd_future_error(futures[i])->outcome, EVD_OUTCOME_NOT_APPLIED);
  }
  expect_what_succeeded(futures);
}

static void without_a_drain_what_has_left_ends_one_way_or_the_other(void **state) {
  evd_future **futures = submit_rows();
  ev_run(suite.loop, EVRUN_NOWAIT);
  assert_int_equal(evd_future_await(close_storage(0)), EVD_OK);
  for (int i = 0; i < ROWS; i++) {
    evd_code code = evd_future_code(futures[i]);
    assert_true(code == EVD_OK || code == EVD_ECLOSED);
  }
  expect_what_succeeded(futures);
}

static void a_drain_whose_time_is_over_fails_what_is_left(void **state) {
  suite_needs_shared();
  evd_execution row = sample_execution("te_locked");
  suite_insert(&row);
  suite_lock("true");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_future *sent = keep_future(evd_update(suite.storage, "te_locked", NULL, &changes));
  evd_future *behind = keep_future(evd_update(suite.storage, "te_locked", NULL, &changes));
  suite_run_loop(0.05);
  int64_t start = evd_now();
  evd_future *closed = close_storage(100);
  assert_int_equal(evd_future_await(closed), EVD_OK);
  int64_t took = evd_now() - start;
  expect(took >= 80, "closing took %d ms", (int)took);
  suite_unlock();
  assert_int_equal(evd_future_code(behind), EVD_ECLOSED);
  assert_int_equal(evd_future_error(behind)->outcome, EVD_OUTCOME_NOT_APPLIED);
  expect(evd_future_code(sent) == EVD_ECLOSED, "%s: %s", evd_code_name(evd_future_code(sent)),
         evd_future_error(sent)->message);
}

static void a_drain_does_not_count_what_the_program_did_before(void **state) {
  suite_needs_shared();
  evd_execution row = sample_execution("te_locked");
  suite_insert(&row);
  suite_lock("true");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  keep_future(evd_update(suite.storage, "te_locked", NULL, &changes));
  suite_run_loop(0.05);
  usleep(500 * 1000);
  int64_t start = evd_now();
  assert_int_equal(evd_future_await(close_storage(300)), EVD_OK);
  int64_t took = evd_now() - start;
  expect(took >= 280, "a drain of 300 ms ended after %d ms", (int)took);
}

static void count_call(evd_future *future, void *data) {
  ++*(int *)data;
}

static void callbacks_come_before_closing_ends(void **state) {
  enum { CALLS = 20000 }; /* more than the library calls back in one go */
  static const int64_t drains[] = {-1, 0};
  for (int i = 0; i < 2; i++) {
    int calls = 0;
    if (suite.storage == NULL) {
      suite.storage = suite_open((evd_options){0});
    }
    for (int j = 0; j < CALLS; j++) {
      evd_future_then(evd_get(suite.storage, text("te_%d", j), NULL), count_call, &calls);
    }
    assert_int_equal(evd_future_await(close_storage(drains[i])), EVD_OK);
    assert_int_equal(calls, CALLS);
  }
}

/* Callbacks that go on using a storage until its closing has ended. */
struct insister {
  evd_storage *storage;
  bool closed;
  int calls;
};

static void note_end(evd_future *future, void *data) {
  struct insister *insister = data;
  insister->closed = true;
}

static void insist(evd_future *future, void *data) {
  struct insister *insister = data;
  evd_stats stats;
  insister->calls++;
  if (!insister->closed) {
    evd_storage_stats(insister->storage, &stats);
    evd_future_then(evd_get(insister->storage, "te_again", NULL), insist, insister);
  }
}

static void until_closing_has_ended_the_storage_may_be_used_in_vain(void **state) {
  enum { CALLS = 1500, MERGED = 64 }; /* so that many are answered at once */
  static const int64_t drains[] = {-1, 0, 20000};
  for (int i = 0; i < 6; i++) {
    if (suite.storage == NULL) {
      suite.storage = suite_open((evd_options){0});
    }
    struct insister insister = {.storage = suite.storage};
    for (int j = 0; j < CALLS; j++) {
      evd_future_then(evd_get(suite.storage, text("te_%d", j / MERGED), NULL), insist, &insister);
    }
    evd_future *closed = close_storage(drains[i / 2]);
    if (i % 2) {
      assert_int_equal(evd_future_await(closed), EVD_OK);
      insister.closed = true;
    } else {
      evd_future_then(evd_future_retain(closed), note_end, &insister);
    }
    ev_run(suite.loop, 0);
    assert_true(insister.closed);
    assert_true(insister.calls >= CALLS);
  }
}

static void nothing_new_is_taken_while_closing(void **state) {
  evd_execution row = sample_execution("te_1");
  evd_storage *storage = suite.storage;
  evd_future *before = keep_future(evd_insert(storage, &row, 1));
  evd_future *closed = close_storage(-1);
  evd_future *after = keep_future(evd_get(storage, "te_1", NULL));
  evd_future *again = keep_future(evd_storage_close(storage, -1));
  assert_int_equal(evd_future_await(again), EVD_EMISUSE);
  assert_int_equal(evd_future_await(after), EVD_ECLOSED);
  assert_int_equal(evd_future_error(after)->outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(evd_future_await(closed), EVD_OK);
  assert_int_equal(evd_future_code(before), EVD_OK);
}

static void not_even_what_does_nothing_is_taken_while_closing(void **state) {
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_storage *storage = suite.storage;
  evd_future *closed = close_storage(-1);
  await_error(evd_insert(storage, NULL, 0), EVD_ECLOSED);
  await_error(evd_claim_by_close_status(storage, EVD_CLOSE_READY, &changes, 0), EVD_ECLOSED);
  await_error(evd_expire_by_close_expires_at(storage, 1, &changes, -1), EVD_ECLOSED);
  assert_int_equal(evd_future_await(closed), EVD_OK);

  evd_options options = {.table = suite.table,
                         .schema = suite.framework ? EVD_SCHEMA_CHECK : EVD_SCHEMA_CREATE};
  storage = await_storage(evd_storage_open(suite.loop, suite.url, &options));
  closed = keep_future(evd_storage_close(storage, -1));
  await_error(evd_delete(storage, "te_1"), EVD_ECLOSED);
  await_error(evd_delete_all(storage), EVD_ECLOSED);
  assert_int_equal(evd_future_await(closed), EVD_OK);
}

/* A callback that closes the storage, and sees to it that the closing ends. */
struct closer {
  int64_t drain_ms;
  int closed;
};

static void note_closed(evd_future *future, void *data) {
  struct closer *closer = data;
  closer->closed += evd_future_code(future) == EVD_OK;
}

static void close_within(evd_future *future, void *data) {
  struct closer *closer = data;
  if (suite.storage != NULL) {
    evd_future_then(evd_storage_close(suite.storage, closer->drain_ms), note_closed, closer);
  }
  suite.storage = NULL;
}

static void a_callback_may_close_the_storage(void **state) {
  static const int64_t drains[] = {-1, 0, 1000};
  for (int i = 0; i < 3; i++) {
    if (suite.storage == NULL) {
      suite.storage = suite_open((evd_options){0});
    }
    await_ok(evd_delete_all(suite.storage));
    struct closer closer = {.drain_ms = drains[i]};
    evd_future_then(evd_get(suite.storage, "te_1", NULL), close_within, &closer);
    evd_future **futures = submit_rows();
    ev_run(suite.loop, 0);
    assert_int_equal(closer.closed, 1);
    assert_null(suite.storage);
    expect_what_succeeded(futures);
  }
}

static void a_callback_of_a_failed_submission_may_close_the_storage(void **state) {
  struct closer closer = {.drain_ms = 0};
  evd_future_then(evd_get(suite.storage, "", NULL), close_within, &closer);
  ev_run(suite.loop, 0);
  assert_int_equal(closer.closed, 1);
}

static void a_storage_can_be_closed_as_soon_as_it_is_open(void **state) {
  for (int i = 0; i < 10; i++) {
    evd_storage *storage = suite_open((evd_options){0});
    evd_future *closed = evd_storage_close(storage, i % 2 ? 0 : -1);
    await_ok(closed);
  }
}

static void closing_unobserved_closes_all_the_same(void **state) {
  evd_future **futures = submit_rows();
  evd_future_release(evd_storage_close(suite.storage, -1));
  suite.storage = NULL;
  ev_run(suite.loop, 0);
  for (int i = 0; i < ROWS; i++) {
    assert_int_equal(evd_future_code(futures[i]), EVD_OK);
  }
}

static void closing_a_null_storage_is_safe(void **state) {
  evd_future_release(evd_storage_close(NULL, 0));
}

int close_storage_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(a_drain_without_end_finishes_all_that_is_pending),
      suite_test(a_drain_with_enough_time_finishes_all_that_is_pending),
      suite_test(without_a_drain_what_has_not_left_fails),
      suite_test(without_a_drain_what_has_left_ends_one_way_or_the_other),
      suite_test(a_drain_whose_time_is_over_fails_what_is_left),
      suite_test(a_drain_does_not_count_what_the_program_did_before),
      suite_test(callbacks_come_before_closing_ends),
      suite_test(until_closing_has_ended_the_storage_may_be_used_in_vain),
      suite_test(nothing_new_is_taken_while_closing),
      suite_test(not_even_what_does_nothing_is_taken_while_closing),
      suite_test(a_callback_may_close_the_storage),
      suite_test(a_callback_of_a_failed_submission_may_close_the_storage),
      suite_test(a_storage_can_be_closed_as_soon_as_it_is_open),
      suite_test(closing_unobserved_closes_all_the_same),
      suite_test(closing_a_null_storage_is_safe),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
