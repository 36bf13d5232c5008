/* Back-pressure, and a great many requests at once. */
#include "suite/suite.h"

#include <stdio.h>

static uint64_t refused(void) {
  evd_stats stats;
  evd_storage_stats(suite.storage, &stats);
  return stats.refused;
}

static void past_the_limit_of_requests_submission_fails_at_once(void **state) {
  enum { LIMIT = 10, CALLS = 50 };
  suite_reopen((evd_options){.pending_max_requests = LIMIT});
  evd_future *futures[CALLS];
  for (int i = 0; i < CALLS; i++) {
    evd_execution row = sample_execution(text("te_%d", i));
    futures[i] = keep_future(evd_insert(suite.storage, &row, 1));
    assert_int_equal(evd_future_code(futures[i]), i < LIMIT ? EVD_EPENDING : EVD_EBUSY);
  }
  for (int i = 0; i < CALLS; i++) {
    assert_int_equal(evd_future_await(futures[i]), i < LIMIT ? EVD_OK : EVD_EBUSY);
    assert_true((suite_get(text("te_%d", i)) != NULL) == (i < LIMIT));
  }
  const evd_error *error = evd_future_error(futures[LIMIT]);
  assert_true(error->retryable);
  assert_int_equal(error->outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(refused(), CALLS - LIMIT);
  evd_execution row = sample_execution("te_after");
  suite_insert(&row);
}

static void past_the_limit_of_bytes_submission_fails_at_once(void **state) {
  enum { CALLS = 20 };
  suite_reopen((evd_options){.pending_max_bytes = 1 << 20});
  evd_future *futures[CALLS];
  int accepted = 0;
  for (int i = 0; i < CALLS; i++) {
    evd_execution row = sample_execution(text("te_%d", i));
    row.input = text("\"%0200000d\"", i);
    futures[i] = evd_insert(suite.storage, &row, 1);
    accepted += evd_future_code(futures[i]) == EVD_EPENDING;
  }
  expect(accepted >= 4 && accepted <= 6, "%d accepted", accepted);
  for (int i = 0; i < CALLS; i++) {
    assert_int_equal(await_code(futures[i]), i < accepted ? EVD_OK : EVD_EBUSY);
  }
  assert_int_equal(refused(), CALLS - accepted);
}

static void cancelling_makes_room(void **state) {
  suite_reopen((evd_options){.pending_max_requests = 1});
  evd_future *first = keep_future(evd_get(suite.storage, "te_1", NULL));
  assert_int_equal(await_code(evd_get(suite.storage, "te_2", NULL)), EVD_EBUSY);
  evd_future_cancel(first);
  assert_int_equal(await_code(evd_get(suite.storage, "te_2", NULL)), EVD_OK);
}

/* How a hundred thousand requests ended. */
struct ends {
  int ok, busy, other;
};

static void count_end(evd_future *future, void *data) {
  struct ends *ends = data;
  evd_code code = evd_future_code(future);
  ends->ok += code == EVD_OK;
  ends->busy += code == EVD_EBUSY;
  ends->other += code != EVD_OK && code != EVD_EBUSY;
}

static void a_hundred_thousand_requests_in_one_tick_are_served_or_refused(void **state) {
  enum { CALLS = 100100, LIMIT = 100000 };
  suite_reopen((evd_options){.operation_timeout_ms = -1});
  struct ends ends = {0};
  for (int i = 0; i < CALLS; i++) {
    char id[32];
    snprintf(id, sizeof id, "te_%d", i);
    evd_future *future;
    if (i % 10 == 0) {
      evd_execution row = sample_execution(id);
      future = evd_insert(suite.storage, &row, 1);
    } else if (i % 10 == 1) {
      evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
      future = evd_update(suite.storage, id, NULL, &changes);
    } else {
      future = evd_get(suite.storage, id, NULL);
    }
    assert_int_equal(evd_future_then(future, count_end, &ends), EVD_OK);
  }
  evd_stats stats;
  evd_storage_stats(suite.storage, &stats);
  assert_int_equal(stats.pending_requests, LIMIT);
  assert_true(stats.pending_bytes > 0);
  ev_run(suite.loop, 0);
  assert_int_equal(ends.ok, LIMIT);
  assert_int_equal(ends.busy, CALLS - LIMIT);
  assert_int_equal(ends.other, 0);
  evd_storage_stats(suite.storage, &stats);
  assert_int_equal(stats.pending_requests, 0);
  assert_int_equal(stats.pending_bytes, 0);
  assert_int_equal(stats.refused, CALLS - LIMIT);
  assert_non_null(suite_get("te_99990"));
}

/* Submits as much as is taken, again and again: nothing is lost. */
static void a_caller_that_comes_again_when_refused_loses_nothing(void **state) {
  enum { ROWS = 500 };
  suite_reopen((evd_options){.pending_max_requests = 64, .batch_max_requests = 16});
  evd_execution *rows = keep_memory(ROWS * sizeof *rows);
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("te_%d", i));
  }
  for (int next = 0; next < ROWS;) {
    evd_future *future = evd_insert(suite.storage, &rows[next], 1);
    if (evd_future_code(future) == EVD_EBUSY) {
      evd_future_release(future);
      ev_run(suite.loop, EVRUN_ONCE);
      continue;
    }
    keep_future(future);
    next++;
  }
  ev_run(suite.loop, 0);
  for (int i = 0; i < ROWS; i += 13) {
    suite_expect(&rows[i]);
  }
  assert_int_equal(await_count(evd_delete_all(suite.storage)), ROWS);
}

int pressure_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(past_the_limit_of_requests_submission_fails_at_once),
      suite_test(past_the_limit_of_bytes_submission_fails_at_once),
      suite_test(cancelling_makes_room),
      suite_test(a_hundred_thousand_requests_in_one_tick_are_served_or_refused),
      suite_test(a_caller_that_comes_again_when_refused_loses_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
