/*
 * The loader against an engine that answers as the test tells it: conflicts, lost connections and
 * slow answers, which a real database gives only by chance. What it does with real ones is in the
 * engine-agnostic suite.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#include <evdurable.h>

#include "batch/queue.h"
#include "model/error.h"
#include "sql/dialect.h"
#include "support/watchdog.h"

enum { BATCHES_MAX = 16 };

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

/* In place of the library's calloc(), by the linker's --wrap. */

static bool memory_is_out;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size) {
  return memory_is_out ? NULL : __real_calloc(count, size);
}

/* An engine that holds its batches until the test answers them. */
struct scripted {
  size_t capacity;
  struct batch *held[BATCHES_MAX]; /* oldest first */
  size_t held_count;
  evd_error trouble;
};

static size_t scripted_capacity(const struct engine *engine) {
  const struct scripted *scripted = (const struct scripted *)engine;
  return scripted->capacity - scripted->held_count;
}

static void scripted_submit(struct engine *engine, struct batch *batch) {
  struct scripted *scripted = (struct scripted *)engine;
  assert_true(scripted->held_count < BATCHES_MAX);
  scripted->held[scripted->held_count++] = batch;
}

static const evd_error *scripted_trouble(const struct engine *engine) {
  const struct scripted *scripted = (const struct scripted *)engine;
  return scripted->trouble.code == EVD_OK ? NULL : &scripted->trouble;
}

static const struct dialect scripted_dialect = {.name = "scripted"};

static const struct engine_ops scripted_ops = {.dialect = &scripted_dialect,
                                               .capacity = scripted_capacity,
                                               .submit = scripted_submit,
                                               .trouble = scripted_trouble};

struct fixture {
  struct ev_loop *loop;
  struct reactor *reactor;
  struct log log;
  struct limits limits;
  struct loader *loader;
  struct scripted engine;
};

static int set_up(void **state) {
  struct fixture *fixture = test_calloc(1, sizeof *fixture);
  clock_step = 0;
  fixture->loop = ev_loop_new(EVFLAG_AUTO);
  fixture->reactor = reactor_new(fixture->loop);
  fixture->limits = (struct limits){.batch_requests = 8,
                                    .batch_bytes = 1 << 20,
                                    .pending_requests = 100,
                                    .pending_bytes = 1 << 20,
                                    .timeout_ms = -1,
                                    .attempts = 3};
  fixture->loader = loader_new(fixture->reactor, &fixture->limits, &fixture->log);
  fixture->engine.capacity = 2;
  loader_start(fixture->loader, &scripted_ops, (struct engine *)&fixture->engine);
  *state = fixture;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(fixture->loader->pending_requests, 0);
  assert_int_equal(fixture->loader->pending_bytes, 0);
  loader_free(fixture->loader);
  ev_run(fixture->loop, EVRUN_NOWAIT); /* callbacks that are due */
  reactor_release(fixture->reactor);
  ev_loop_destroy(fixture->loop);
  test_free(fixture);
  return 0;
}

static void turn(struct fixture *fixture) {
  ev_run(fixture->loop, EVRUN_NOWAIT);
}

/* Turns the loop until the engine holds this many batches. */
static void turn_until_held(struct fixture *fixture, size_t count) {
  watchdog(600);
  while (fixture->engine.held_count < count) {
    turn(fixture);
  }
  watchdog(0);
  assert_int_equal(fixture->engine.held_count, count);
}

/* Answers the oldest batch that the engine holds. */
static void answer(struct fixture *fixture, evd_code code, evd_outcome outcome) {
  struct scripted *engine = &fixture->engine;
  assert_true(engine->held_count > 0);
  struct batch *batch = engine->held[0];
  engine->held_count--;
  memmove(&engine->held[0], &engine->held[1], engine->held_count * sizeof(struct batch *));
  if (code == EVD_OK) {
    for (size_t i = 0; i < batch->count; i++) {
      batch->requests[i]->count = 1;
    }
  } else {
    error_set(&batch->error, code, "", "as the test says");
    batch->error.outcome = outcome;
  }
  batch->done(batch);
}

static evd_future *submit_update(struct fixture *fixture, const char *id, int32_t attempts) {
  evd_changes changes = {.set = 0};
  evd_set(&changes, retry_attempts, attempts);
  struct request request = {.operation = EVD_OPERATION_UPDATE, .id = id, .changes = &changes};
  return loader_submit(fixture->loader, &request);
}

static evd_future *submit_get(struct fixture *fixture, const char *id) {
  struct request request = {.operation = EVD_OPERATION_GET, .id = id};
  return loader_submit(fixture->loader, &request);
}

static evd_future *submit_get_of(struct fixture *fixture, int number) {
  char id[16];
  snprintf(id, sizeof id, "%d", number);
  return submit_get(fixture, id);
}

static evd_future *submit_update_of(struct fixture *fixture, int number) {
  char id[16];
  snprintf(id, sizeof id, "%d", number);
  return submit_update(fixture, id, number);
}

static int32_t attempts_in(const struct batch *batch, size_t index) {
  return batch->requests[index]->changes->values.retry_attempts;
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

/* Until nothing is pending: answers batches that hold the update numbered 2 with this error, and others
 * well. How many there were. */
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

/* A batch of two fails with this code when one of them has too little time left to be sent again. */
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

static void a_time_out_says_whether_the_request_had_left(void **state) {
  struct fixture *fixture = *state;
  fixture->loader->limits.timeout_ms = 20;
  fixture->engine.capacity = 1;
  evd_future *sent = submit_update(fixture, "a", 1);
  turn_until_held(fixture, 1);
  evd_future *waiting = submit_update(fixture, "b", 2);
  assert_int_equal(evd_future_await(waiting), EVD_ETIMEDOUT);
  assert_int_equal(evd_future_error(waiting)->outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_int_equal(evd_future_code(sent), EVD_ETIMEDOUT);
  assert_int_equal(evd_future_error(sent)->outcome, EVD_OUTCOME_UNKNOWN);
  answer(fixture, EVD_OK, EVD_OUTCOME_NOT_APPLIED);
  evd_future_release(sent);
  evd_future_release(waiting);
}

/* What would only be with the engine again when its time is over is failed while it is known that
 * nothing was applied. */
static void a_conflict_without_time_for_another_attempt_is_given_up(void **state) {
  fail_with_too_little_time(*state, EVD_ECONFLICT);
}

static void what_is_out_of_time_before_it_could_leave_is_not_sent(void **state) {
  struct fixture *fixture = *state;
  fixture->loader->limits.timeout_ms = 30;
  evd_future *late = submit_update(fixture, "a", 1);
  usleep(50 * 1000); /* the program's own work */
  evd_future *young = submit_update(fixture, "b", 2);
  assert_int_equal(evd_future_await(late), EVD_ETIMEDOUT);
  assert_int_equal(evd_future_error(late)->outcome, EVD_OUTCOME_NOT_APPLIED);
  fixture->loader->limits.timeout_ms = 10000;
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_conflict_is_tried_again_and_then_succeeds),
      TEST(a_conflict_that_stays_is_given_up_after_the_last_attempt),
      TEST(a_write_whose_outcome_is_unknown_is_not_sent_again),
      TEST(a_read_whose_connection_was_lost_is_sent_again),
      TEST(a_failed_batch_is_split_until_the_culprit_stands_alone),
      TEST(a_batch_that_there_is_no_memory_to_split_fails_with_its_error),
      TEST(a_row_that_stays_locked_fails_only_who_wants_it),
      TEST(what_has_no_time_for_a_part_of_its_own_fails_with_the_batch),
      TEST(reads_that_the_database_ends_are_not_split),
      TEST(updates_of_one_id_are_at_work_one_at_a_time_even_through_a_retry),
      TEST(a_cancelled_update_lets_the_next_of_its_line_go),
      TEST(a_request_that_nobody_waits_for_is_not_sent_again),
      TEST(cancelling_what_backs_off_leaves_nothing_behind),
      TEST(identical_reads_that_wait_are_one_read),
      TEST(batches_grow_while_the_engine_is_busy),
      TEST(reads_are_spread_over_what_the_engine_can_take),
      TEST(reads_leave_room_for_what_else_waits),
      TEST(writes_are_not_spread),
      TEST(past_the_bound_submissions_are_refused_and_later_taken_again),
      TEST(a_time_out_says_whether_the_request_had_left),
      TEST(a_conflict_without_time_for_another_attempt_is_given_up),
      TEST(what_is_out_of_time_before_it_could_leave_is_not_sent),
      TEST(what_is_out_of_time_ends_even_if_the_timer_is_late),
      TEST(setting_the_clock_between_two_awaits_does_not_move_a_time_out),
      TEST(a_time_out_without_a_connection_says_why_there_is_none),
      TEST(draining_ends_when_the_last_request_has),
      TEST(aborting_fails_what_waits_and_retries_nothing),
      TEST(a_time_out_of_many_does_not_hold_up_the_loop),
      TEST(an_abort_of_many_does_not_hold_up_the_loop),
      TEST(a_read_takes_only_so_many_others_with_it),
      TEST(a_read_does_not_join_an_old_one),
      TEST(what_a_group_has_no_memory_for_is_released_once),
      cmocka_unit_test(histogram_quantiles_are_right_to_within_three_percent),
  };
  return cmocka_run_group_tests_name("loader", tests, NULL, NULL);
}
