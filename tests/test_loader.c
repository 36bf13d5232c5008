/*
 * The loader against an engine that answers as the test tells it: conflicts, lost connections,
 * split batches, cancelled requests. What it does with real engines is in the engine-agnostic
 * suite.
 */
#include "support/scripted_engine.h"

/* In place of the library's calloc(), by the linker's --wrap. */

static bool memory_is_out;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size) {
  return memory_is_out ? NULL : __real_calloc(count, size);
}

static void a_conflict_is_tried_again_and_then_succeeds(void **state) {
  struct fixture *fixture = *state;
  evd_future *future = submit_update(fixture, "a", 1);
  turn_until_held(fixture, 1);
  answer(fixture, EVD_ECONFLICT, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(evd_future_code(future), EVD_EPENDING);
  turn_until_held(fixture, 1);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(evd_future_code(future), EVD_OK);
  evd_stats stats;
  loader_stats(fixture->loader, &stats);
  assert_int_equal(stats.operations[EVD_OPERATION_UPDATE].retries, 1);
  evd_future_release(future);
}

static void a_conflict_that_stays_is_given_up_after_the_last_attempt(void **state) {
  struct fixture *fixture = *state;
  evd_future *future = submit_update(fixture, "a", 1);
  for (int i = 0; i < fixture->limits.attempts; i++) {
    turn_until_held(fixture, 1);
    answer(fixture, EVD_ECONFLICT, EVD_OUTCOME_NOT_APPLIED);
  }
  assert_int_equal(evd_future_code(future), EVD_ECONFLICT);
  assert_true(evd_future_error(future)->retryable);
  evd_future_release(future);
}

static void a_write_whose_outcome_is_unknown_is_not_sent_again(void **state) {
  struct fixture *fixture = *state;
  evd_future *future = submit_update(fixture, "a", 1);
  turn_until_held(fixture, 1);
  answer(fixture, EVD_EUNAVAILABLE, EVD_OUTCOME_UNKNOWN);
  assert_int_equal(evd_future_code(future), EVD_EUNAVAILABLE);
  assert_int_equal(evd_future_error(future)->outcome, EVD_OUTCOME_UNKNOWN);
  evd_future_release(future);
}

static void a_read_whose_connection_was_lost_is_sent_again(void **state) {
  struct fixture *fixture = *state;
  evd_future *future = submit_get(fixture, "a");
  turn_until_held(fixture, 1);
  answer(fixture, EVD_EUNAVAILABLE, EVD_OUTCOME_UNKNOWN);
  turn_until_held(fixture, 1);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(evd_future_code(future), EVD_OK);
  evd_future_release(future);
}

static void a_failed_batch_is_split_until_the_culprit_stands_alone(void **state) {
  struct fixture *fixture = *state;
  static const char *const ids[] = {"a", "b", "c", "d"};
  evd_future *futures[4];
  fixture->engine.capacity = 1;
  for (int i = 0; i < 4; i++) {
    futures[i] = submit_update(fixture, ids[i], i);
  }
  turn_until_held(fixture, 1);
  assert_int_equal(fixture->engine.held[0]->count, 4);
  answer(fixture, EVD_EDUPLICATE, EVD_OUTCOME_NOT_APPLIED);
  turn_until_held(fixture, 1);
  assert_int_equal(fixture->engine.held[0]->count, 2);
  assert_int_equal(attempts_in(fixture->engine.held[0], 0), 0);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  turn_until_held(fixture, 1);
  answer(fixture, EVD_EDUPLICATE, EVD_OUTCOME_NOT_APPLIED);
  turn_until_held(fixture, 1);
  answer(fixture, EVD_EDUPLICATE, EVD_OUTCOME_NOT_APPLIED);
  turn_until_held(fixture, 1);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(evd_future_code(futures[i]), i == 2 ? EVD_EDUPLICATE : EVD_OK);
    evd_future_release(futures[i]);
  }
}

static void a_batch_that_there_is_no_memory_to_split_fails_with_its_error(void **state) {
  struct fixture *fixture = *state;
  evd_future *futures[] = {submit_update(fixture, "a", 1), submit_update(fixture, "b", 2)};
  turn_until_held(fixture, 1);
  memory_is_out = true;
  answer(fixture, EVD_EDUPLICATE, EVD_OUTCOME_NOT_APPLIED);
  memory_is_out = false;
  for (int i = 0; i < 2; i++) {
    assert_int_equal(evd_future_code(futures[i]), EVD_EDUPLICATE);
    evd_future_release(futures[i]);
  }
}

/* Until nothing is pending: answers batches that hold the update numbered 2 with this error, and
 * others well. How many there were. */
static int answer_until_one_stands_alone(struct fixture *fixture, evd_code code) {
  int batches = 0;
  while (fixture->loader->pending_requests > 0) {
    bool bad = false;
    turn_until_held(fixture, 1);
    for (size_t i = 0; i < fixture->engine.held[0]->count; i++) {
      bad = bad || attempts_in(fixture->engine.held[0], i) == 2;
    }
    answer(fixture, bad ? code : EVD_OK, EVD_OUTCOME_NOT_APPLIED);
    batches++;
  }
  return batches;
}

/* For one row that another transaction holds, the database ends the whole batch. */
static void a_row_that_stays_locked_fails_only_who_wants_it(void **state) {
  struct fixture *fixture = *state;
  evd_future *futures[8];
  fixture->engine.capacity = 1;
  for (int i = 0; i < 8; i++) {
    futures[i] = submit_update_of(fixture, i);
  }
  assert_int_equal(answer_until_one_stands_alone(fixture, EVD_ETIMEDOUT), 1 + 2 + 2 + 2);
  for (int i = 0; i < 8; i++) {
    assert_int_equal(evd_future_code(futures[i]), i == 2 ? EVD_ETIMEDOUT : EVD_OK);
    assert_int_equal(evd_future_error(futures[i])->outcome, EVD_OUTCOME_NOT_APPLIED);
    evd_future_release(futures[i]);
  }
}

static void reads_that_the_database_ends_are_not_split(void **state) {
  struct fixture *fixture = *state;
  evd_future *futures[] = {submit_get(fixture, "a"), submit_get(fixture, "b")};
  turn_until_held(fixture, 1);
  answer(fixture, EVD_ETIMEDOUT, EVD_OUTCOME_NOT_APPLIED);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(evd_future_code(futures[i]), EVD_ETIMEDOUT);
    evd_future_release(futures[i]);
  }
}

static void updates_of_one_id_are_at_work_one_at_a_time_even_through_a_retry(void **state) {
  struct fixture *fixture = *state;
  evd_future *futures[3];
  for (int32_t i = 0; i < 3; i++) {
    futures[i] = submit_update(fixture, "a", i);
  }
  turn_until_held(fixture, 1);
  answer(fixture, EVD_ECONFLICT, EVD_OUTCOME_NOT_APPLIED);
  for (int32_t i = 0; i < 3; i++) {
    turn_until_held(fixture, 1);
    assert_int_equal(fixture->engine.held[0]->count, 1);
    assert_int_equal(attempts_in(fixture->engine.held[0], 0), i);
    answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
    assert_int_equal(evd_future_code(futures[i]), EVD_OK);
    evd_future_release(futures[i]);
  }
}

static void a_cancelled_update_lets_the_next_of_its_line_go(void **state) {
  struct fixture *fixture = *state;
  evd_future *first = submit_update(fixture, "a", 1);
  evd_future *second = submit_update(fixture, "a", 2);
  evd_future *third = submit_update(fixture, "a", 3);
  evd_future_cancel(second);
  evd_future_cancel(first);
  assert_int_equal(evd_future_error(first)->outcome, EVD_OUTCOME_NOT_APPLIED);
  turn_until_held(fixture, 1);
  assert_int_equal(attempts_in(fixture->engine.held[0], 0), 3);
  evd_future_cancel(third);
  assert_int_equal(evd_future_error(third)->outcome, EVD_OUTCOME_UNKNOWN);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  evd_future_release(first);
  evd_future_release(second);
  evd_future_release(third);
}

static void a_request_that_nobody_waits_for_is_not_sent_again(void **state) {
  struct fixture *fixture = *state;
  evd_future *kept = submit_update(fixture, "a", 1);
  evd_future *cancelled = submit_update(fixture, "b", 2);
  turn_until_held(fixture, 1);
  evd_future_cancel(cancelled);
  answer(fixture, EVD_ECONFLICT, EVD_OUTCOME_NOT_APPLIED);
  turn_until_held(fixture, 1);
  assert_int_equal(fixture->engine.held[0]->count, 1);
  assert_int_equal(attempts_in(fixture->engine.held[0], 0), 1);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  evd_future_release(kept);
  evd_future_release(cancelled);
}

static void cancelling_what_backs_off_leaves_nothing_behind(void **state) {
  struct fixture *fixture = *state;
  evd_future *future = submit_update(fixture, "a", 1);
  turn_until_held(fixture, 1);
  answer(fixture, EVD_ECONFLICT, EVD_OUTCOME_NOT_APPLIED);
  evd_future_cancel(future);
  assert_int_equal(evd_future_error(future)->outcome, EVD_OUTCOME_NOT_APPLIED);
  evd_future_release(future);
  assert_int_equal(fixture->loader->pending_requests, 0);
}

static void what_a_group_has_no_memory_for_is_released_once(void **state) {
  struct fixture *fixture = *state;
  evd_future *once = submit_update(fixture, "a", 1);
  evd_future *twice = submit_update(fixture, "b", 2);
  evd_future *members[] = {submit_update(fixture, "c", 3), once};
  evd_future *others = evd_future_all(&members[0], 1);
  evd_future *futures[] = {twice, NULL, members[0], evd_future_retain(once), twice};
  memory_is_out = true;
  assert_null(evd_future_all(futures, 5));
  memory_is_out = false;
  turn_until_held(fixture, 1);
  assert_int_equal(fixture->engine.held[0]->count, 3); /* they go on unobserved */
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(evd_future_code(once), EVD_OK);
  assert_int_equal(evd_future_code(others), EVD_OK);
  evd_future *again = evd_future_all(&members[1], 1); /* nobody has it */
  assert_int_equal(evd_future_code(again), EVD_OK);
  evd_future_release(again);
  evd_future_release(others);
}

static void histogram_quantiles_are_right_to_within_three_percent(void **state) {
  (void)state;
  static struct histogram histogram;
  for (uint64_t value = 1; value <= 100000; value++) {
    histogram_add(&histogram, value);
  }
  static const double shares[] = {0.01, 0.5, 0.9, 0.99, 0.999};
  for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
    double exact = shares[i] * 100000;
    double found = (double)histogram_quantile(&histogram, shares[i]);
    assert_true(found >= exact && found <= exact * 1.032);
  }
  assert_int_equal(histogram_quantile(&histogram, 1), 100000);
  histogram_add(&histogram, UINT64_MAX);
  assert_int_equal(histogram.max, UINT64_MAX);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      loader_test(a_conflict_is_tried_again_and_then_succeeds),
      loader_test(a_conflict_that_stays_is_given_up_after_the_last_attempt),
      loader_test(a_write_whose_outcome_is_unknown_is_not_sent_again),
      loader_test(a_read_whose_connection_was_lost_is_sent_again),
      loader_test(a_failed_batch_is_split_until_the_culprit_stands_alone),
      loader_test(a_batch_that_there_is_no_memory_to_split_fails_with_its_error),
      loader_test(a_row_that_stays_locked_fails_only_who_wants_it),
      loader_test(reads_that_the_database_ends_are_not_split),
      loader_test(updates_of_one_id_are_at_work_one_at_a_time_even_through_a_retry),
      loader_test(a_cancelled_update_lets_the_next_of_its_line_go),
      loader_test(a_request_that_nobody_waits_for_is_not_sent_again),
      loader_test(cancelling_what_backs_off_leaves_nothing_behind),
      loader_test(what_a_group_has_no_memory_for_is_released_once),
      cmocka_unit_test(histogram_quantiles_are_right_to_within_three_percent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
