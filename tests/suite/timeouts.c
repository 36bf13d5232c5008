/* Operations that take too long, or whose rows another session holds. */
#include "suite/suite.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

/* How long operations may take in these tests. */
enum { TIMEOUT_MS = 200 };

static void set_up_locked(evd_execution *row) {
  suite_needs_shared();
  *row = sample_execution("te_1");
  suite_insert(row);
  suite_reopen((evd_options){.operation_timeout_ms = TIMEOUT_MS, .conflict_retries_max = 1000});
}

/* The operation fails when its time is over; or a little before, where the database says that the
 * lock is not to be had, and so that nothing was applied. */
static evd_error await_out_of_time(evd_future *future) {
  (void)evd_future_await(future);
  const evd_error *error = evd_future_error(future);
  bool is_conflict = error->code == EVD_ECONFLICT && error->outcome == EVD_OUTCOME_NOT_APPLIED;
  expect(error->code == EVD_ETIMEDOUT || is_conflict, "%s: %s", evd_code_name(error->code),
         error->message);
  return *error;
}

static void an_operation_that_another_session_holds_up_times_out(void **state) {
  evd_execution row;
  set_up_locked(&row);
  suite_lock("true");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  int64_t start = evd_now();
  evd_error error =
      await_out_of_time(keep_future(evd_update(suite.storage, "te_1", NULL, &changes)));
  int64_t took = evd_now() - start;
  suite_unlock();
  assert_true(error.retryable);
  expect(took >= TIMEOUT_MS / 4, "%d ms", (int)took);
}

static void after_a_time_out_the_storage_works_again(void **state) {
  evd_execution row;
  set_up_locked(&row);
  suite_lock("true");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_future *futures[10];
  for (int i = 0; i < 10; i++) {
    futures[i] = keep_future(evd_update(suite.storage, "te_1", NULL, &changes));
  }
  for (int i = 0; i < 10; i++) {
    (void)await_out_of_time(futures[i]);
  }
  suite_unlock();
  while (await_code(evd_update(suite.storage, "te_1", NULL, &changes)) != EVD_OK) {
    ; /* the server may not have seen yet that the lock is free */
  }
  suite_reopen((evd_options){0});
  sample_apply(&row, &changes);
  suite_expect(&row);
}

/* What was never with the database is known not to have been applied. */
static void an_operation_that_never_left_was_not_applied(void **state) {
  evd_execution row;
  set_up_locked(&row);
  suite_lock("true");
  evd_changes first = sample_changes(EVD_STATUS_RUNNING);
  evd_changes second = sample_changes(EVD_STATUS_CANCELLED);
  evd_future *blocking = keep_future(evd_update(suite.storage, "te_1", NULL, &first));
  evd_future *behind = keep_future(evd_update(suite.storage, "te_1", NULL, &second));
  (void)await_out_of_time(blocking);
  evd_error error = await_out_of_time(behind);
  suite_unlock();
  if (evd_future_code(blocking) == EVD_ECONFLICT) {
    return; /* a little before its time was over, so that the other may have left after all */
  }
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  suite_run_loop(0.3);
  suite_reopen((evd_options){0});
  assert_int_not_equal(suite_get("te_1")->status, EVD_STATUS_CANCELLED);
}

static void what_times_out_is_applied_whole_or_not_at_all(void **state) {
  enum { CALLS = 600, ROWS = 10 };
  suite_reopen((evd_options){.operation_timeout_ms = 30});
  evd_future *futures[CALLS];
  for (int i = 0; i < CALLS; i++) {
    evd_execution rows[ROWS];
    for (int j = 0; j < ROWS; j++) {
      rows[j] = sample_full(text("te_%d_%d", i, j));
    }
    futures[i] = keep_future(evd_insert(suite.storage, rows, ROWS));
  }
  int timed_out = 0;
  for (int i = 0; i < CALLS; i++) {
    timed_out += evd_future_await(futures[i]) == EVD_ETIMEDOUT;
  }
  assert_true(timed_out > 0);
  ev_run(suite.loop, 0);
  if (suite_is_shared()) {
    suite_reopen((evd_options){0});
  }
  for (int i = 0; i < CALLS; i++) {
    const evd_error *error = evd_future_error(futures[i]);
    bool there = suite_is_shared() && suite_get(text("te_%d_0", i)) != NULL;
    expect(error->code == EVD_OK || error->code == EVD_ETIMEDOUT, "%s: %s",
           evd_code_name(error->code), error->message);
    for (int j = 1; j < ROWS && suite_is_shared(); j += 4) {
      assert_true((suite_get(text("te_%d_%d", i, j)) != NULL) == there);
    }
    if (suite_is_shared() && error->code == EVD_OK) {
      assert_true(there);
    }
    if (error->code && error->outcome == EVD_OUTCOME_NOT_APPLIED) {
      assert_false(there);
    }
  }
}

static void without_a_time_out_operations_wait(void **state) {
  suite_needs_shared();
  suite_reopen((evd_options){.operation_timeout_ms = -1, .conflict_retries_max = 1000});
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  suite_lock("true");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_future *future = keep_future(evd_update(suite.storage, "te_1", NULL, &changes));
  suite_run_loop(0.5);
  assert_int_equal(evd_future_code(future), EVD_EPENDING);
  suite_unlock();
  assert_int_equal(evd_future_await(future), EVD_OK);
  sample_apply(&row, &changes);
  suite_expect(&row);
}

/* The test's URL with one more parameter. */
static const char *url_with(const char *parameter) {
  return text("%s%c%s", suite.url, strchr(suite.url, '?') != NULL ? '&' : '?', parameter);
}

static void the_most_retries_are_not_none(void **state) {
  suite_needs_shared();
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  bool is_sqlite = strcmp(suite.engine, "sqlite") == 0;
  evd_storage *storage = await_storage(
      evd_storage_open(suite.loop, is_sqlite ? url_with("busy_timeout=5") : suite.url,
                       &(evd_options){.table = suite.table, .conflict_retries_max = INT_MAX}));
  suite_lock("true");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_future *future = keep_future(evd_update(storage, "te_1", NULL, &changes));
  suite_run_loop(0.3);
  suite_unlock();
  assert_int_equal(evd_future_await(future), EVD_OK);
  suite_close(storage);
}

/* A program that is not event-driven works between its calls, and the loop's clock stands still. */
static void time_outs_do_not_count_what_the_program_did_before(void **state) {
  enum { TIME_OUT_MS = 500 };
  suite_reopen((evd_options){.operation_timeout_ms = TIME_OUT_MS});
  for (int i = 0; i < 2; i++) {
    usleep(2 * TIME_OUT_MS * 1000);
    int64_t start = evd_now();
    evd_code code = await_code(evd_get(suite.storage, "te_1", NULL));
    expect(code == EVD_OK || evd_now() - start >= TIME_OUT_MS, "%s", evd_code_name(code));
  }
}

static void opening_does_not_count_what_the_program_did_before(void **state) {
  enum { TIME_OUT_S = 1 };
  bool is_sqlite = strcmp(suite.engine, "sqlite") == 0;
  const char *url = is_sqlite ? suite.url : url_with(text("connect_timeout=%d", TIME_OUT_S));
  usleep(2 * TIME_OUT_S * 1000 * 1000);
  int64_t start = evd_now();
  evd_future *opening = keep_future(evd_storage_open(
      suite.loop, url, &(evd_options){.table = suite.table, .schema = EVD_SCHEMA_CREATE}));
  if (evd_future_await(opening) == EVD_OK) {
    evd_storage *storage;
    assert_int_equal(evd_future_storage(opening, &storage), EVD_OK);
    suite_close(storage);
  } else {
    expect(evd_now() - start >= TIME_OUT_S * 1000, "%s", evd_future_error(opening)->message);
  }
}

int timeouts_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(an_operation_that_another_session_holds_up_times_out),
      suite_test(after_a_time_out_the_storage_works_again),
      suite_test(an_operation_that_never_left_was_not_applied),
      suite_test(what_times_out_is_applied_whole_or_not_at_all),
      suite_test(without_a_time_out_operations_wait),
      suite_test(the_most_retries_are_not_none),
      suite_test(time_outs_do_not_count_what_the_program_did_before),
      suite_test(opening_does_not_count_what_the_program_did_before),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
