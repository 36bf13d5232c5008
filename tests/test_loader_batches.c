/* How the loader forms batches, against an engine that answers as the test tells it. */
#include "support/scripted_engine.h"

static void identical_reads_that_wait_are_one_read(void **state) {
  struct fixture *fixture = *state;
  evd_future *futures[3];
  for (int i = 0; i < 3; i++) {
    futures[i] = submit_get(fixture, "a");
  }
  turn_until_held(fixture, 1);
  assert_int_equal(fixture->engine.held[0]->count, 1);
  evd_future *later = submit_get(fixture, "a"); /* the first has left: it may be too old for this */
  turn_until_held(fixture, 2);
  evd_future_cancel(futures[1]);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(evd_future_code(futures[0]), EVD_OK);
  assert_int_equal(evd_future_code(futures[1]), EVD_ECANCELED);
  assert_int_equal(evd_future_code(futures[2]), EVD_OK);
  assert_int_equal(evd_future_code(later), EVD_EPENDING);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  evd_stats stats;
  loader_stats(fixture->loader, &stats);
  assert_int_equal(stats.operations[EVD_OPERATION_GET].merged, 2);
  for (int i = 0; i < 3; i++) {
    evd_future_release(futures[i]);
  }
  evd_future_release(later);
}

static void batches_grow_while_the_engine_is_busy(void **state) {
  struct fixture *fixture = *state;
  static const char *const ids[] = {"a", "b", "c", "d", "e", "f"};
  evd_future *futures[6];
  fixture->engine.capacity = 1;
  for (int i = 0; i < 6; i++) {
    futures[i] = submit_update(fixture, ids[i], i);
    turn(fixture);
  }
  assert_int_equal(fixture->engine.held_count, 1);
  assert_int_equal(fixture->engine.held[0]->count, 1);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  turn_until_held(fixture, 1);
  assert_int_equal(fixture->engine.held[0]->count, 5);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  for (int i = 0; i < 6; i++) {
    evd_future_release(futures[i]);
  }
}

/* Submits operations on so many ids, and says how large the batches are that leave. */
static void send_many(struct fixture *fixture, evd_future *(*submit)(struct fixture *, int),
                      int count, const size_t *sizes, size_t batches) {
  evd_future *futures[300];
  fixture->loader->limits.batch_requests = 128;
  fixture->loader->limits.pending_requests = 300;
  for (int i = 0; i < count; i++) {
    futures[i] = submit(fixture, i);
  }
  turn_until_held(fixture, batches);
  for (size_t i = 0; i < batches; i++) {
    assert_int_equal(fixture->engine.held[0]->count, sizes[i]);
    answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  }
  for (int i = 0; i < count; i++) {
    assert_int_equal(evd_future_code(futures[i]), EVD_OK);
    evd_future_release(futures[i]);
  }
}

static void reads_are_spread_over_what_the_engine_can_take(void **state) {
  struct fixture *fixture = *state;
  fixture->engine.capacity = 3;
  send_many(fixture, submit_get_of, 240, (size_t[]){80, 80, 80}, 3);
  send_many(fixture, submit_get_of, 100, (size_t[]){64, 36}, 2); /* few are not spread further */
  send_many(fixture, submit_get_of, 60, (size_t[]){60}, 1);
}

static void reads_leave_room_for_what_else_waits(void **state) {
  static const size_t sizes[] = {80, 80, 1};
  struct fixture *fixture = *state;
  evd_future *futures[161];
  fixture->engine.capacity = 3;
  fixture->loader->limits.batch_requests = 128;
  fixture->loader->limits.pending_requests = 300;
  for (int i = 0; i < 160; i++) {
    futures[i] = submit_get_of(fixture, i);
  }
  futures[160] = submit_update_of(fixture, 0);
  turn_until_held(fixture, 3);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(fixture->engine.held[0]->count, sizes[i]);
    answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  }
  for (int i = 0; i < 161; i++) {
    evd_future_release(futures[i]);
  }
}

static void writes_are_not_spread(void **state) {
  struct fixture *fixture = *state;
  fixture->engine.capacity = 3;
  send_many(fixture, submit_update_of, 240, (size_t[]){128, 112}, 2);
}

static void past_the_bound_submissions_are_refused_and_later_taken_again(void **state) {
  struct fixture *fixture = *state;
  fixture->loader->limits.pending_requests = 2;
  evd_future *first = submit_update(fixture, "a", 1);
  evd_future *second = submit_update(fixture, "b", 2);
  evd_future *refused = submit_update(fixture, "c", 3);
  assert_int_equal(evd_future_code(refused), EVD_EBUSY);
  turn_until_held(fixture, 1);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  evd_future *taken = submit_update(fixture, "c", 3);
  assert_int_equal(evd_future_code(taken), EVD_EPENDING);
  turn_until_held(fixture, 1);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  evd_future_release(first);
  evd_future_release(second);
  evd_future_release(refused);
  evd_future_release(taken);
}

static void a_read_takes_only_so_many_others_with_it(void **state) {
  struct fixture *fixture = *state;
  fixture->engine.capacity = 0;
  evd_future *futures[100];
  for (int i = 0; i < 100; i++) {
    futures[i] = submit_get(fixture, "a");
  }
  fixture->engine.capacity = 1;
  turn_until_held(fixture, 1);
  assert_int_equal(fixture->engine.held[0]->count, 2);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  for (int i = 0; i < 100; i++) {
    assert_int_equal(evd_future_code(futures[i]), EVD_OK);
    evd_future_release(futures[i]);
  }
}

/* It would be out of time with the old one. */
static void a_read_does_not_join_an_old_one(void **state) {
  struct fixture *fixture = *state;
  static const int64_t time_outs[] = {-1, 30000, 1000};
  static const double ages[] = {1.5, 1.5, 0.2};
  for (int i = 0; i < 3; i++) {
    fixture->loader->limits.timeout_ms = time_outs[i];
    fixture->engine.capacity = 0;
    evd_future *old = submit_get(fixture, "a");
    fixture->loader->oldest->submitted -= ages[i];
    evd_future *young = submit_get(fixture, "a");
    evd_future *joined = submit_get(fixture, "a");
    fixture->engine.capacity = 1;
    turn_until_held(fixture, 1);
    assert_int_equal(fixture->engine.held[0]->count, 2);
    answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
    assert_int_equal(evd_future_code(old), EVD_OK);
    assert_int_equal(evd_future_code(young), EVD_OK);
    assert_int_equal(evd_future_code(joined), EVD_OK);
    evd_future_release(old);
    evd_future_release(young);
    evd_future_release(joined);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      loader_test(identical_reads_that_wait_are_one_read),
      loader_test(batches_grow_while_the_engine_is_busy),
      loader_test(reads_are_spread_over_what_the_engine_can_take),
      loader_test(reads_leave_room_for_what_else_waits),
      loader_test(writes_are_not_spread),
      loader_test(past_the_bound_submissions_are_refused_and_later_taken_again),
      loader_test(a_read_takes_only_so_many_others_with_it),
      loader_test(a_read_does_not_join_an_old_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
