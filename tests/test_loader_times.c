/*
 * The loader's time-outs, and its end, against an engine that answers as the test tells it: with a
 * clock that somebody sets, and without memory.
 */
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "model/error.h"
#include "support/scripted_engine.h"

/* How far somebody has set the clock of the day, in seconds. */
static time_t clock_step;

/* In place of the C library's, to be seen by libev, which asks one of these, as it was built. */
#define SEEN __attribute__((visibility("default")))

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
SEEN int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = (int)syscall(SYS_clock_gettime, clock, now);
  if (clock == CLOCK_REALTIME) {
    now->tv_sec += clock_step;
  }
  return result;
}

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
SEEN int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  int result = (int)syscall(SYS_gettimeofday, now, zone);
  now->tv_sec += clock_step;
  return result;
}

static void a_time_out_says_whether_the_request_had_left(void **state) {
  struct fixture *fixture = *state;
  fixture->engine.capacity = 1;
  evd_future *sent = submit_update(fixture, "a", 1);
  turn_until_held(fixture, 1);
  fixture->loader->limits.timeout_ms = 20; /* not before: a slow machine may take as long to send */
  evd_future *waiting = submit_update(fixture, "b", 2);
  assert_int_equal(evd_future_await(waiting), EVD_ETIMEDOUT);
  assert_int_equal(evd_future_error(waiting)->outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(evd_future_code(sent), EVD_ETIMEDOUT);
  assert_int_equal(evd_future_error(sent)->outcome, EVD_OUTCOME_UNKNOWN);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  evd_future_release(sent);
  evd_future_release(waiting);
}

/* A batch of two fails with this code when one of them has too little time left to be sent
 * again. */
static void fail_with_too_little_time(struct fixture *fixture, evd_code code) {
  evd_future *old = submit_update(fixture, "a", 1);
  evd_future *young = submit_update(fixture, "b", 2);
  fixture->loader->limits.timeout_ms = 30000;
  turn_until_held(fixture, 1);
  assert_int_equal(fixture->engine.held[0]->count, 2);
  fixture->loader->oldest->submitted -= 29.9;
  ((struct parcel *)fixture->engine.held[0])->sent -= 0.1; /* so long did it take */
  answer(fixture, code, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(evd_future_code(old), code);
  assert_int_equal(evd_future_error(old)->outcome, EVD_OUTCOME_NOT_APPLIED);
  turn_until_held(fixture, 1);
  assert_int_equal(fixture->engine.held[0]->count, 1);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(evd_future_code(young), EVD_OK);
  evd_future_release(old);
  evd_future_release(young);
}

static void what_has_no_time_for_a_part_of_its_own_fails_with_the_batch(void **state) {
  fail_with_too_little_time(*state, EVD_ETIMEDOUT);
}

/* What would only be with the engine again when its time is over is failed while it is known that
 * nothing was applied. */
static void a_conflict_without_time_for_another_attempt_is_given_up(void **state) {
  fail_with_too_little_time(*state, EVD_ECONFLICT);
}

static void what_is_out_of_time_before_it_could_leave_is_not_sent(void **state) {
  struct fixture *fixture = *state;
  fixture->loader->limits.timeout_ms = 30000;
  evd_future *late = submit_update(fixture, "a", 1);
  fixture->loader->oldest->submitted -= 31; /* so long did the program's own work take */
  evd_future *young = submit_update(fixture, "b", 2);
  assert_int_equal(evd_future_await(late), EVD_ETIMEDOUT);
  assert_int_equal(evd_future_error(late)->outcome, EVD_OUTCOME_NOT_APPLIED);
  turn_until_held(fixture, 1);
  assert_int_equal(fixture->engine.held[0]->count, 1);
  assert_int_equal(attempts_in(fixture->engine.held[0], 0), 2);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(evd_future_code(young), EVD_OK);
  evd_future_release(late);
  evd_future_release(young);
}

static void what_is_out_of_time_ends_even_if_the_timer_is_late(void **state) {
  struct fixture *fixture = *state;
  fixture->loader->limits.timeout_ms = 30000;
  evd_future *late = submit_update(fixture, "a", 1);
  turn_until_held(fixture, 1);
  fixture->loader->oldest->submitted -= 31;
  evd_future *young = submit_update(fixture, "b", 2);
  turn_until_held(fixture, 2);
  assert_int_equal(evd_future_code(late), EVD_ETIMEDOUT);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(evd_future_code(young), EVD_OK);
  evd_future_release(late);
  evd_future_release(young);
}

static void setting_the_clock_between_two_awaits_does_not_move_a_time_out(void **state) {
  struct fixture *fixture = *state;
  fixture->loader->limits.timeout_ms = 30000;
  turn(fixture);
  clock_step = 1000;
  evd_future *future = submit_update(fixture, "a", 1);
  turn_until_held(fixture, 1);
  double left = ev_timer_remaining(fixture->loop, &fixture->loader->expiry);
  assert_true(left > 20 && left <= 30);
  clock_step = 0;
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(evd_future_code(future), EVD_OK);
  evd_future_release(future);
}

static void a_time_out_without_a_connection_says_why_there_is_none(void **state) {
  struct fixture *fixture = *state;
  fixture->loader->limits.timeout_ms = 5;
  fixture->engine.capacity = 0;
  error_set(&fixture->engine.trouble, EVD_EUNAVAILABLE, "", "connection refused");
  evd_future *future = submit_update(fixture, "a", 1);
  assert_int_equal(evd_future_await(future), EVD_EUNAVAILABLE);
  assert_non_null(strstr(evd_future_error(future)->message, "connection refused"));
  evd_future_release(future);
}

static void note(void *data) {
  *(bool *)data = true;
}

static void draining_ends_when_the_last_request_has(void **state) {
  struct fixture *fixture = *state;
  bool emptied = false;
  evd_future *future = submit_update(fixture, "a", 1);
  loader_drain(fixture->loader, note, &emptied);
  evd_future *refused = submit_update(fixture, "b", 2);
  assert_int_equal(evd_future_code(refused), EVD_ECLOSED);
  turn_until_held(fixture, 1);
  assert_false(emptied);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  turn(fixture);
  assert_true(emptied);
  evd_future_release(future);
  evd_future_release(refused);
}

static void aborting_fails_what_waits_and_retries_nothing(void **state) {
  struct fixture *fixture = *state;
  fixture->engine.capacity = 1;
  evd_future *sent = submit_update(fixture, "a", 1);
  evd_future *blocked = submit_update(fixture, "a", 2);
  turn_until_held(fixture, 1);
  evd_future *queued = submit_update(fixture, "b", 3);
  evd_error error;
  error_set(&error, EVD_ECLOSED, "", "closed");
  bool ended = false;
  loader_abort(fixture->loader, &error, note, &ended);
  assert_int_equal(evd_future_code(blocked), EVD_ECLOSED);
  assert_int_equal(evd_future_code(queued), EVD_ECLOSED);
  assert_int_equal(evd_future_code(sent), EVD_EPENDING);
  assert_false(ended);
  turn(fixture);
  assert_true(ended);
  answer(fixture, EVD_ECONFLICT, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(evd_future_code(sent), EVD_ECONFLICT);
  evd_future_release(sent);
  evd_future_release(blocked);
  evd_future_release(queued);
}

/* Many requests that end at once. */
enum { MANY = 5000, MANY_AT_ONCE = 512 };

/* Submits updates that the engine does not take: some in one line, some that may leave. */
static evd_future **submit_many(struct fixture *fixture) {
  evd_future **futures = test_calloc(MANY, sizeof(evd_future *));
  fixture->loader->limits.pending_requests = MANY;
  fixture->loader->limits.pending_bytes = SIZE_MAX;
  fixture->engine.capacity = 0;
  for (int i = 0; i < MANY; i++) {
    char id[16];
    snprintf(id, sizeof id, "te_%d", i % 3 == 0 ? 0 : i);
    futures[i] = submit_update(fixture, id, i);
  }
  return futures;
}

/* Turns the loop until nothing is pending; each turn ends only so many. */
static void turn_until_ended(struct fixture *fixture) {
  while (fixture->loader->pending_requests > 0) {
    size_t before = fixture->loader->pending_requests;
    turn(fixture);
    assert_true(before - fixture->loader->pending_requests <= MANY_AT_ONCE);
  }
}

static void release_many(evd_future **futures, evd_code code) {
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(evd_future_code(futures[i]), code);
    evd_future_release(futures[i]);
  }
  test_free(futures);
}

static void a_time_out_of_many_does_not_hold_up_the_loop(void **state) {
  struct fixture *fixture = *state;
  fixture->loader->limits.timeout_ms = 300;
  evd_future **futures = submit_many(fixture);
  turn_until_ended(fixture);
  release_many(futures, EVD_ETIMEDOUT);
}

static void an_abort_of_many_does_not_hold_up_the_loop(void **state) {
  struct fixture *fixture = *state;
  evd_future **futures = submit_many(fixture);
  evd_error error;
  bool ended = false;
  error_set(&error, EVD_ECLOSED, "", "closed");
  loader_abort(fixture->loader, &error, note, &ended);
  assert_true(MANY - fixture->loader->pending_requests <= MANY_AT_ONCE);
  assert_false(ended);
  turn_until_ended(fixture);
  assert_true(ended);
  release_many(futures, EVD_ECLOSED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      loader_test(a_time_out_says_whether_the_request_had_left),
      loader_test(what_has_no_time_for_a_part_of_its_own_fails_with_the_batch),
      loader_test(a_conflict_without_time_for_another_attempt_is_given_up),
      loader_test(what_is_out_of_time_before_it_could_leave_is_not_sent),
      loader_test(what_is_out_of_time_ends_even_if_the_timer_is_late),
      loader_test(setting_the_clock_between_two_awaits_does_not_move_a_time_out),
      loader_test(a_time_out_without_a_connection_says_why_there_is_none),
      loader_test(draining_ends_when_the_last_request_has),
      loader_test(aborting_fails_what_waits_and_retries_nothing),
      loader_test(a_time_out_of_many_does_not_hold_up_the_loop),
      loader_test(an_abort_of_many_does_not_hold_up_the_loop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
