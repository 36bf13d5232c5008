/* Futures: when callbacks come, what accessors say, groups, and misuse. */
#include "suite/suite.h"

#include <string.h>

/* What a callback saw. */
struct seen {
  int calls;
  evd_code code;
  bool matched;
  bool submitting;  /* set around a submission: the callback must not come within */
  evd_future *kept; /* what the callback retained, if it is to */
  bool keeps;
};

static void note(evd_future *future, void *data) {
  struct seen *seen = data;
  expect(!seen->submitting, "a callback within the call");
  seen->calls++;
  seen->code = evd_future_code(future);
  (void)evd_future_matched(future, &seen->matched);
  if (seen->keeps) {
    seen->kept = evd_future_retain(future);
  }
}

static void a_callback_comes_once_from_the_loop_with_the_result(void **state) {
  struct seen inserted = {.submitting = true}, refused = {.submitting = true};
  evd_execution good = sample_execution("te_1"), bad = sample_execution("");
  assert_int_equal(evd_future_then(evd_insert(suite.storage, &good, 1), note, &inserted), EVD_OK);
  assert_int_equal(evd_future_then(evd_insert(suite.storage, &bad, 1), note, &refused), EVD_OK);
  inserted.submitting = refused.submitting = false;
  assert_int_equal(inserted.calls + refused.calls, 0);
  ev_run(suite.loop, 0);
  assert_int_equal(inserted.calls, 1);
  assert_int_equal(inserted.code, EVD_OK);
  assert_int_equal(refused.calls, 1);
  assert_int_equal(refused.code, EVD_EINVAL);
  suite_expect(&good);
}

static void a_callback_on_a_finished_future_comes_from_the_loop_too(void **state) {
  struct seen seen = {.submitting = true};
  evd_future *future = evd_get(suite.storage, "te_1", NULL);
  assert_int_equal(evd_future_await(future), EVD_OK);
  assert_int_equal(evd_future_then(future, note, &seen), EVD_OK);
  seen.submitting = false;
  assert_int_equal(seen.calls, 0);
  ev_run(suite.loop, 0);
  assert_int_equal(seen.calls, 1);
}

static void a_result_retained_in_a_callback_outlives_it(void **state) {
  struct seen seen = {.keeps = true};
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  evd_future_then(evd_get(suite.storage, "te_1", NULL), note, &seen);
  ev_run(suite.loop, 0);
  const evd_execution *got;
  assert_int_equal(evd_future_row(seen.kept, &got), EVD_OK);
  expect_row(got, &row);
  evd_future_release(seen.kept);
}

static void a_result_outlives_the_storage(void **state) {
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  const evd_execution *got = suite_get("te_1");
  suite_close(suite.storage);
  suite.storage = NULL;
  expect_row(got, &row);
}

static void a_second_callback_is_misuse_and_changes_nothing(void **state) {
  struct seen first = {0}, second = {0};
  evd_future *future = evd_get(suite.storage, "te_1", NULL);
  assert_int_equal(evd_future_then(future, note, &first), EVD_OK);
  assert_int_equal(evd_future_then(future, note, &second), EVD_EMISUSE);
  ev_run(suite.loop, 0);
  assert_int_equal(first.calls, 1);
  assert_int_equal(second.calls, 0);
}

static void accessors_of_a_pending_future_say_so(void **state) {
  const evd_execution *row = &(evd_execution){0};
  int64_t count = 7;
  size_t rows = 7;
  bool matched = true;
  evd_storage *storage = suite.storage;
  evd_future *future = keep_future(evd_get(suite.storage, "te_1", NULL));
  assert_int_equal(evd_future_code(future), EVD_EPENDING);
  assert_int_equal(evd_future_error(future)->code, EVD_EPENDING);
  assert_int_equal(evd_future_row(future, &row), EVD_EPENDING);
  assert_null(row);
  row = &(evd_execution){0};
  assert_int_equal(evd_future_rows(future, &row, &rows), EVD_EPENDING);
  assert_true(row == NULL && rows == 0);
  assert_int_equal(evd_future_count(future, &count), EVD_EPENDING);
  assert_int_equal(count, 0);
  assert_int_equal(evd_future_matched(future, &matched), EVD_EPENDING);
  assert_false(matched);
  assert_int_equal(evd_future_storage(future, &storage), EVD_EPENDING);
  assert_null(storage);
  assert_int_equal(evd_future_await(future), EVD_OK);
}

static void an_accessor_of_another_result_is_misuse(void **state) {
  const evd_execution *row = &(evd_execution){0};
  int64_t count = 7;
  size_t rows = 7;
  bool matched = true;
  evd_storage *storage = suite.storage;
  evd_execution execution = sample_execution("te_1");
  evd_changes changes = sample_changes(0);
  evd_future *insert = keep_future(evd_insert(suite.storage, &execution, 1));
  evd_future *get = keep_future(evd_get(suite.storage, "te_1", NULL));
  evd_future *claim =
      keep_future(evd_claim_by_close_status(suite.storage, EVD_CLOSE_READY, &changes, 1));
  evd_future *nothing =
      keep_future(evd_claim_by_close_status(suite.storage, EVD_CLOSE_READY, &changes, 0));
  assert_int_equal(evd_future_await(insert), EVD_OK);
  assert_int_equal(evd_future_await(get), EVD_OK);
  assert_int_equal(evd_future_await(claim), EVD_OK);
  assert_int_equal(evd_future_await(nothing), EVD_OK);

  assert_int_equal(evd_future_row(insert, &row), EVD_EMISUSE);
  assert_null(row);
  assert_int_equal(evd_future_rows(insert, &row, &rows), EVD_EMISUSE);
  assert_int_equal(rows, 0);
  assert_int_equal(evd_future_matched(insert, &matched), EVD_EMISUSE);
  assert_false(matched);
  assert_int_equal(evd_future_storage(get, &storage), EVD_EMISUSE);
  assert_null(storage);
  assert_int_equal(evd_future_row(claim, &row), EVD_EMISUSE);
  assert_int_equal(evd_future_rows(claim, &row, &rows), EVD_OK);
  assert_int_equal(evd_future_count(claim, &count), EVD_OK);
  assert_int_equal(count, 0);
  assert_int_equal(evd_future_rows(nothing, &row, &rows), EVD_OK);
}

static void accessors_of_a_failed_future_give_its_code(void **state) {
  const evd_execution *row = &(evd_execution){0};
  int64_t count = 7;
  evd_future *future = keep_future(evd_get(suite.storage, "", NULL));
  assert_int_equal(evd_future_await(future), EVD_EINVAL);
  assert_int_equal(evd_future_row(future, &row), EVD_EINVAL);
  assert_null(row);
  assert_int_equal(evd_future_count(future, &count), EVD_EINVAL);
  assert_int_equal(count, 0);
}

static void the_error_of_a_success_is_none(void **state) {
  evd_future *future = keep_future(evd_get(suite.storage, "te_1", NULL));
  assert_int_equal(evd_future_await(future), EVD_OK);
  const evd_error *error = evd_future_error(future);
  assert_int_equal(error->code, EVD_OK);
  assert_string_equal(error->field, "");
}

static void a_null_future_is_one_that_failed_for_want_of_memory(void **state) {
  struct seen seen = {0};
  const evd_execution *row = &(evd_execution){0};
  size_t rows;
  int64_t count;
  bool matched;
  evd_storage *storage;
  assert_int_equal(evd_future_code(NULL), EVD_ENOMEM);
  assert_int_equal(evd_future_error(NULL)->code, EVD_ENOMEM);
  assert_int_equal(evd_future_await(NULL), EVD_ENOMEM);
  assert_int_equal(evd_future_then(NULL, note, &seen), EVD_ENOMEM);
  assert_int_equal(evd_future_row(NULL, &row), EVD_ENOMEM);
  assert_null(row);
  assert_int_equal(evd_future_rows(NULL, &row, &rows), EVD_ENOMEM);
  assert_int_equal(evd_future_count(NULL, &count), EVD_ENOMEM);
  assert_int_equal(evd_future_matched(NULL, &matched), EVD_ENOMEM);
  assert_int_equal(evd_future_storage(NULL, &storage), EVD_ENOMEM);
  assert_null(evd_future_at(NULL, 0));
  assert_null(evd_future_retain(NULL));
  evd_future_cancel(NULL);
  evd_future_release(NULL);
  ev_run(suite.loop, 0);
  assert_int_equal(seen.calls, 0);
}

static void a_released_operation_goes_on_unobserved(void **state) {
  evd_execution row = sample_execution("te_1");
  evd_future_release(evd_insert(suite.storage, &row, 1));
  ev_run(suite.loop, 0);
  suite_expect(&row);
}

static void each_reference_needs_its_release(void **state) {
  evd_future *future = evd_get(suite.storage, "te_1", NULL);
  assert_ptr_equal(evd_future_retain(future), future);
  evd_future_release(future);
  assert_int_equal(evd_future_await(future), EVD_OK);
  evd_future_release(future);
}

static void a_group_succeeds_when_all_do(void **state) {
  enum { COUNT = 20 };
  evd_future *futures[COUNT];
  for (int i = 0; i < COUNT; i++) {
    evd_execution row = sample_execution(text("te_%d", i));
    futures[i] = evd_insert(suite.storage, &row, 1);
  }
  evd_future *all = keep_future(evd_future_all(futures, COUNT));
  assert_int_equal(evd_future_code(all), EVD_EPENDING);
  assert_int_equal(evd_future_await(all), EVD_OK);
  for (int i = 0; i < COUNT; i++) {
    int64_t count;
    assert_int_equal(evd_future_count(evd_future_at(all, (size_t)i), &count), EVD_OK);
    assert_int_equal(count, 1);
  }
  assert_null(evd_future_at(all, COUNT));
}

static void a_group_waits_for_all_and_fails_by_the_first_in_time(void **state) {
  evd_execution there = sample_execution("te_there");
  suite_insert(&there);
  evd_execution bad = sample_execution("");
  evd_future *futures[] = {evd_get(suite.storage, "te_there", NULL),
                           evd_insert(suite.storage, &there, 1), evd_insert(suite.storage, &bad, 1),
                           evd_get(suite.storage, "te_gone", NULL)};
  evd_future *all = keep_future(evd_future_all(futures, 4));
  assert_int_equal(evd_future_await(all), EVD_EINVAL); /* known before the database was asked */
  assert_string_equal(evd_future_error(all)->field, "execution_id");
  assert_int_equal(evd_future_code(evd_future_at(all, 0)), EVD_OK);
  assert_int_equal(evd_future_code(evd_future_at(all, 1)), EVD_EDUPLICATE);
  assert_int_equal(evd_future_code(evd_future_at(all, 2)), EVD_EINVAL);
  assert_int_equal(evd_future_code(evd_future_at(all, 3)), EVD_OK);
}

static void a_group_takes_null_and_finished_futures(void **state) {
  struct seen seen = {.submitting = true};
  evd_future *finished = evd_get(suite.storage, "te_1", NULL);
  assert_int_equal(evd_future_await(finished), EVD_OK);
  evd_future *futures[] = {finished, NULL};
  evd_future *all = evd_future_all(futures, 2);
  assert_int_equal(evd_future_then(all, note, &seen), EVD_OK);
  seen.submitting = false;
  ev_run(suite.loop, 0);
  assert_int_equal(seen.calls, 1);
  assert_int_equal(seen.code, EVD_ENOMEM);
}

static void a_group_of_groups_is_one(void **state) {
  evd_future *inner[2][2];
  evd_future *outer[2];
  for (int i = 0; i < 2; i++) {
    for (int j = 0; j < 2; j++) {
      inner[i][j] = evd_get(suite.storage, text("te_%d", i * 2 + j), NULL);
    }
    outer[i] = evd_future_all(inner[i], 2);
  }
  evd_future *all = keep_future(evd_future_all(outer, 2));
  assert_int_equal(evd_future_await(all), EVD_OK);
  const evd_execution *row;
  assert_int_equal(evd_future_row(evd_future_at(evd_future_at(all, 1), 1), &row), EVD_OK);
}

static void a_group_may_be_released_while_pending(void **state) {
  evd_execution rows[2] = {sample_execution("te_1"), sample_execution("te_2")};
  evd_future *futures[2];
  for (int i = 0; i < 2; i++) {
    futures[i] = evd_insert(suite.storage, &rows[i], 1);
  }
  evd_future_release(evd_future_all(futures, 2));
  ev_run(suite.loop, 0);
  suite_expect(&rows[0]);
  suite_expect(&rows[1]);
}

static void a_group_with_a_future_twice_is_misuse(void **state) {
  for (int finished = 0; finished < 2; finished++) {
    evd_future *once = evd_get(suite.storage, "te_1", NULL);
    evd_future *twice = evd_get(suite.storage, "te_2", NULL);
    if (finished) {
      assert_int_equal(evd_future_await(twice), EVD_OK);
    }
    evd_future *futures[] = {twice, once, twice};
    await_error(evd_future_all(futures, 3), EVD_EMISUSE);
  }
}

static void a_member_of_a_group_cannot_be_taken_again(void **state) {
  for (int finished = 0; finished < 2; finished++) {
    struct seen seen = {0};
    evd_future *member = evd_get(suite.storage, "te_1", NULL);
    if (finished) {
      assert_int_equal(evd_future_await(member), EVD_OK);
    }
    evd_future *all = keep_future(evd_future_all(&member, 1));
    assert_int_equal(evd_future_then(member, note, &seen), EVD_EMISUSE);
    await_error(evd_future_all(&member, 1), EVD_EMISUSE);
    assert_int_equal(evd_future_await(all), EVD_OK);
    assert_int_equal(seen.calls, 0);
  }
}

/* A callback that runs the loop itself, once. */
static void run_loop(evd_future *future, void *data) {
  int *runs = data;
  ++*runs;
  ev_run(suite.loop, EVRUN_NOWAIT);
}

/* A timer's callback that runs the loop until a future is finished. */
static void run_loop_until(struct ev_loop *loop, ev_timer *timer, int events) {
  const evd_future *future = timer->data;
  while (evd_future_code(future) == EVD_EPENDING) {
    ev_run(loop, EVRUN_ONCE);
  }
  ev_run(loop, EVRUN_NOWAIT); /* in which who awaits it is told */
}

static void awaiting_ends_when_a_callback_runs_the_loop_meanwhile(void **state) {
  int runs = 0;
  for (int i = 0; i < 20; i++) {
    evd_future_then(evd_get(suite.storage, text("te_%d", i), NULL), run_loop, &runs);
    assert_int_equal(await_code(evd_get(suite.storage, "te_0", NULL)), EVD_OK);
  }
  assert_int_equal(runs, 20);
  for (int i = 0; i < 20; i++) {
    ev_timer timer;
    evd_future *future = keep_future(evd_get(suite.storage, "te_0", NULL));
    ev_timer_init(&timer, run_loop_until, 0, 0);
    timer.data = future;
    ev_timer_start(suite.loop, &timer);
    assert_int_equal(evd_future_await(future), EVD_OK);
    ev_timer_stop(suite.loop, &timer);
  }
}

static void break_loop(struct ev_loop *loop, ev_timer *timer, int events) {
  ev_break(loop, EVBREAK_ALL);
}

static void awaiting_ends_when_somebody_breaks_the_loop(void **state) {
  suite_needs_shared();
  suite_reopen((evd_options){.conflict_retries_max = 1000});
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  suite_lock("true");
  ev_timer timer;
  ev_timer_init(&timer, break_loop, 0.05, 0);
  ev_timer_start(suite.loop, &timer);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_future *future = keep_future(evd_update(suite.storage, "te_1", NULL, &changes));
  assert_int_equal(evd_future_await(future), EVD_EPENDING);
  suite_unlock();
  assert_int_equal(evd_future_await(future), EVD_OK);
}

/* A chain: each callback submits the next operation. */
struct chain {
  evd_execution row;
  int steps;
};

static void next_step(evd_future *future, void *data) {
  struct chain *chain = data;
  bool matched = false;
  assert_int_equal(evd_future_matched(future, &matched), EVD_OK);
  assert_true(matched);
  if (++chain->steps == 50) {
    return;
  }
  evd_changes changes = sample_changes(0);
  evd_set(&changes, retry_attempts, chain->steps);
  evd_future_then(evd_update(suite.storage, "te_1", NULL, &changes), next_step, chain);
}

static void callbacks_submit_the_next_operation(void **state) {
  struct chain chain = {.row = sample_execution("te_1")};
  suite_insert(&chain.row);
  evd_changes changes = sample_changes(0);
  evd_future_then(evd_update(suite.storage, "te_1", NULL, &changes), next_step, &chain);
  ev_run(suite.loop, 0);
  assert_int_equal(chain.steps, 50);
  assert_int_equal(suite_get("te_1")->retry_attempts, 49);
}

int futures_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(a_callback_comes_once_from_the_loop_with_the_result),
      suite_test(a_callback_on_a_finished_future_comes_from_the_loop_too),
      suite_test(a_result_retained_in_a_callback_outlives_it),
      suite_test(a_result_outlives_the_storage),
      suite_test(a_second_callback_is_misuse_and_changes_nothing),
      suite_test(accessors_of_a_pending_future_say_so),
      suite_test(an_accessor_of_another_result_is_misuse),
      suite_test(accessors_of_a_failed_future_give_its_code),
      suite_test(the_error_of_a_success_is_none),
      suite_test(a_null_future_is_one_that_failed_for_want_of_memory),
      suite_test(a_released_operation_goes_on_unobserved),
      suite_test(each_reference_needs_its_release),
      suite_test(a_group_succeeds_when_all_do),
      suite_test(a_group_waits_for_all_and_fails_by_the_first_in_time),
      suite_test(a_group_takes_null_and_finished_futures),
      suite_test(a_group_of_groups_is_one),
      suite_test(a_group_may_be_released_while_pending),
      suite_test(a_group_with_a_future_twice_is_misuse),
      suite_test(a_member_of_a_group_cannot_be_taken_again),
      suite_test(awaiting_ends_when_a_callback_runs_the_loop_meanwhile),
      suite_test(awaiting_ends_when_somebody_breaks_the_loop),
      suite_test(callbacks_submit_the_next_operation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
