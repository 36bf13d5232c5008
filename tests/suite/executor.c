/* The executor: tasks without children. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite/executor_case.h"

/* Tasks. */

static void fail_twice(evd_run *run, void *data) {
  (void)data;
  if (calls++ < 2) {
    evd_run_fail(run, EVD_STATUS_FAILED, "not yet", true);
  } else {
    evd_run_complete(run, evd_run_execution(run)->error);
  }
}

static void count_to_three(evd_run *run, void *data) {
  (void)data;
  const char *state = evd_run_execution(run)->run_output;
  calls++;
  if (state != NULL && strcmp(state, "2") == 0) {
    evd_run_complete(run, "3");
  } else {
    evd_run_snooze(run, 1, state == NULL ? "1" : "2");
  }
}

static void block(evd_run *run, void *data) {
  atomic_int *count = data;
  (*count)++;
  usleep(1000);
  evd_run_complete(run, "\"blocked\"");
}

/* The tests. */

static void a_task_is_run_and_its_output_is_stored(void **state) {
  (void)state;
  const evd_task task = {.id = "echo", .run = echo};
  executor_start(&task, 1, (evd_executor_options){0});
  const evd_execution *row =
      executor_finished(executor_enqueue((evd_spec){.task_id = "echo", .input = "{\"a\":1}"}));
  assert_int_equal(row->status, EVD_STATUS_COMPLETED);
  assert_non_null(strstr(row->output, "\"a\""));
  assert_int_equal(row->close_status, EVD_CLOSE_CLOSED);
  assert_true(row->closed_at != EVD_NONE && row->finished_at != EVD_NONE);
  assert_null(row->executor_id);
  assert_true(row->expires_at == EVD_NONE);
  assert_int_equal(calls, 1);
  executor_stop();
}

static void without_input_and_output_they_are_null(void **state) {
  (void)state;
  const evd_task task = {.id = "echo", .run = echo};
  executor_start(&task, 1, (evd_executor_options){0});
  const evd_execution *row = executor_finished(executor_enqueue((evd_spec){.task_id = "echo"}));
  assert_string_equal(row->output, "null");
  executor_stop();
}

static void an_attempt_that_fails_is_made_again(void **state) {
  (void)state;
  const evd_task task = {
      .id = "fail_twice", .run = fail_twice, .retry = {.max_attempts = 5, .base_delay_ms = 1}};
  executor_start(&task, 1, (evd_executor_options){0});
  const evd_execution *row =
      executor_finished(executor_enqueue((evd_spec){.task_id = "fail_twice"}));
  assert_int_equal(row->status, EVD_STATUS_COMPLETED);
  assert_int_equal(row->retry_attempts, 2);
  assert_non_null(strstr(row->output, "not yet")); /* the error of the attempt before */
  assert_int_equal(calls, 3);
  assert_null(row->error);
  assert_int_equal(executor_stats().retried, 2);
  executor_stop();
}

static void the_last_attempt_that_fails_is_the_end(void **state) {
  (void)state;
  const evd_task task = {.id = "fail_twice", .run = fail_twice, .retry = {.max_attempts = 1}};
  executor_start(&task, 1, (evd_executor_options){0});
  const evd_execution *row =
      executor_finished(executor_enqueue((evd_spec){.task_id = "fail_twice"}));
  assert_int_equal(row->status, EVD_STATUS_FAILED);
  assert_int_equal(calls, 2);
  assert_non_null(strstr(row->error, "not yet"));
  executor_stop();
}

static void the_specification_goes_before_the_task(void **state) {
  (void)state;
  const evd_task task = {.id = "hold",
                         .run = hold,
                         .timeout_ms = 7000,
                         .sleep_ms_before_run = 60000,
                         .retry = {.max_attempts = 1}};
  executor_start(&task, 1, (evd_executor_options){0});
  const evd_retry_options retry = {.max_attempts = 4, .base_delay_ms = 9};
  const evd_execution *row = suite_get(executor_enqueue((evd_spec){.task_id = "hold"}));
  assert_int_equal(row->timeout_ms, 7000);
  assert_int_equal(row->sleep_ms_before_run, 60000);
  assert_int_equal(row->start_at, row->created_at + 60000);
  row = suite_get(executor_enqueue((evd_spec){
      .task_id = "hold", .timeout_ms = 8000, .sleep_ms_before_run = 50000, .retry = &retry}));
  assert_int_equal(row->timeout_ms, 8000);
  assert_int_equal(row->start_at, row->created_at + 50000);
  assert_null(strstr(row->retry_options, "maxDelayMs"));
  assert_non_null(strstr(row->retry_options, "4"));
  const char *now = executor_enqueue((evd_spec){.task_id = "hold", .sleep_ms_before_run = -1});
  run_until(held != NULL);
  assert_string_equal(evd_run_execution(held)->execution_id, now);
  evd_run_complete(held, NULL);
  executor_stop();
}

static void what_cannot_be_stored_is_refused(void **state) {
  (void)state;
  const evd_task tasks[] = {{.id = "echo", .run = echo}, {.id = "sleep"}};
  executor_start(tasks, 2, (evd_executor_options){0});
  static const struct {
    evd_spec spec;
    const char *field;
  } bad[] = {
      {{.task_id = NULL}, "task_id"},
      {{.task_id = ""}, "task_id"},
      {{.task_id = "echo", .input = "{"}, "input"},
      {{.task_id = "echo", .execution_id = ""}, "execution_id"},
      {{.task_id = "echo", .timeout_ms = -1}, "timeout_ms"},
      {{.task_id = "echo", .sleep_ms_before_run = -2}, "sleep_ms_before_run"},
      {{.task_id = "echo", .head_start_ms = -1}, "head_start_ms"},
      {{.task_id = "echo", .unique_id = "u"}, "unique_id"},
      {{.task_id = "sleep"}, "unique_id"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    evd_error error = await_error(evd_enqueue(executor, &bad[i].spec, NULL), EVD_EINVAL);
    assert_string_equal(error.field, bad[i].field);
  }
  executor_stop();
}

static void bad_tasks_and_options_are_refused(void **state) {
  (void)state;
  static const char *const none[] = {NULL};
  static const char *const some[] = {"a", NULL};
  const struct {
    evd_task task;
    const char *field;
  } bad[] = {
      {{.id = NULL}, "id"},
      {{.id = ""}, "id"},
      {{.id = "a", .timeout_ms = -1}, "timeout_ms"},
      {{.id = "a", .sleep_ms_before_run = -1}, "sleep_ms_before_run"},
      {{.id = "a", .run_max = -1}, "run_max"},
      {{.id = "a", .retry = {.max_attempts = -1}}, "max_attempts"},
      {{.id = "a", .retry = {.base_delay_ms = -1}}, "base_delay_ms"},
      {{.id = "a", .retry = {.delay_multiplier = -1}}, "delay_multiplier"},
      {{.id = "a", .retry = {.max_delay_ms = -1}}, "max_delay_ms"},
      {{.id = "a", .run = echo, .finalize = echo, .finalize_task = "b"}, "finalize_task"},
      {{.id = "a", .run = echo, .finalize_task = ""}, "finalize_task"},
      {{.id = "a", .sequence = none}, "sequence"},
      {{.id = "a", .run = echo, .sequence = some}, "sequence"},
  };
  evd_error error;
  const evd_executor_options negative = {.claim_max = -1};
  const evd_executor_options jitter = {.retry_jitter = 2};
  const evd_executor_options grace = {.stop_grace_ms = 10, .lease_ms = 5};
  assert_null(evd_executor_new(suite.storage, &negative, &error));
  assert_string_equal(error.field, "claim_max");
  assert_null(evd_executor_new(suite.storage, &jitter, &error));
  assert_string_equal(error.field, "retry_jitter");
  assert_null(evd_executor_new(suite.storage, &grace, &error));
  assert_string_equal(error.field, "stop_grace_ms");
  executor_start(NULL, 0, (evd_executor_options){0});
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(evd_executor_add(executor, &bad[i].task, &error), EVD_EINVAL);
    assert_string_equal(error.field, bad[i].field);
  }
  assert_int_equal(evd_executor_add(executor, &(evd_task){.id = "a"}, &error), EVD_OK);
  assert_int_equal(evd_executor_add(executor, &(evd_task){.id = "a"}, &error), EVD_EDUPLICATE);
  assert_int_equal(evd_executor_start(executor), EVD_EMISUSE);
  executor_stop();
}

static void a_snooze_spends_no_attempt_and_keeps_its_state(void **state) {
  (void)state;
  const evd_task task = {.id = "count", .run = count_to_three};
  executor_start(&task, 1, (evd_executor_options){0});
  const evd_execution *row = executor_finished(executor_enqueue((evd_spec){.task_id = "count"}));
  assert_int_equal(row->status, EVD_STATUS_COMPLETED);
  assert_string_equal(row->output, "3");
  assert_null(row->run_output);
  assert_int_equal(row->retry_attempts, 0);
  assert_int_equal(calls, 3);
  executor_stop();
}

static void bad_json(evd_run *run, void *data) {
  const char *how = data;
  if (strcmp(how, "complete") == 0) {
    evd_run_complete(run, "{");
  } else if (strcmp(how, "snooze") == 0) {
    evd_run_snooze(run, 0, "{");
  } else {
    evd_run_fail(run, EVD_STATUS_FAILED, "\xff\xfe", true);
  }
}

static void what_a_run_ends_with_and_cannot_be_stored_fails_it(void **state) {
  (void)state;
  static char ways[][9] = {"complete", "snooze", "fail"};
  evd_task tasks[3];
  for (int i = 0; i < 3; i++) {
    tasks[i] = (evd_task){.id = ways[i], .run = bad_json, .data = ways[i]};
  }
  executor_start(tasks, 3, (evd_executor_options){0});
  for (int i = 0; i < 3; i++) {
    const evd_execution *row = executor_finished(executor_enqueue((evd_spec){.task_id = ways[i]}));
    assert_int_equal(row->status, EVD_STATUS_FAILED);
    assert_non_null(row->error);
  }
  executor_stop();
}

static void blocking_tasks_run_on_threads(void **state) {
  (void)state;
  enum { RUNS = 40 };
  atomic_int count = 0;
  const evd_task task = {.id = "block", .run = block, .data = &count, .blocking = true};
  executor_start(&task, 1, (evd_executor_options){.threads_max = 3});
  const char *ids[RUNS];
  for (int i = 0; i < RUNS; i++) {
    ids[i] = executor_enqueue((evd_spec){.task_id = "block"});
  }
  for (int i = 0; i < RUNS; i++) {
    assert_string_equal(executor_finished(ids[i])->output, "\"blocked\"");
  }
  assert_int_equal(count, RUNS);
  executor_stop();
}

static void complete(evd_run *run, void *data) {
  (void)data;
  evd_run_complete(run, NULL);
}

static void forget(evd_run *run, void *data) {
  (void)run, (void)data;
}

static void a_blocking_task_that_does_not_end_its_run_fails(void **state) {
  (void)state;
  const evd_task task = {.id = "forget", .run = forget, .blocking = true};
  executor_start(&task, 1, (evd_executor_options){0});
  const evd_execution *row = executor_finished(executor_enqueue((evd_spec){.task_id = "forget"}));
  assert_int_equal(row->status, EVD_STATUS_FAILED);
  assert_non_null(strstr(row->error, "had not ended"));
  executor_stop();
}

static void a_task_that_is_not_known_is_left_alone(void **state) {
  (void)state;
  const evd_task task = {.id = "echo", .run = echo};
  executor_start(&task, 1, (evd_executor_options){0});
  const char *other = executor_enqueue((evd_spec){.task_id = "other"});
  executor_finished(executor_enqueue((evd_spec){.task_id = "echo", .input = "1"}));
  assert_int_equal(suite_get(other)->status, EVD_STATUS_READY);
  /* It is run as soon as it is known. */
  evd_error error;
  assert_int_equal(evd_executor_add(executor, &(evd_task){.id = "other", .run = echo}, &error),
                   EVD_OK);
  executor_finished(other);
  executor_stop();
}

static void an_id_of_ones_own_is_enqueued_once(void **state) {
  (void)state;
  const evd_task task = {.id = "echo", .run = echo};
  executor_start(&task, 1, (evd_executor_options){0});
  const evd_spec spec = {.task_id = "echo", .input = "1", .execution_id = "mine"};
  assert_int_equal(await_count(evd_enqueue(executor, &spec, NULL)), 1);
  executor_finished("mine");
  assert_int_equal(await_count(evd_enqueue(executor, &spec, NULL)), 0);
  assert_int_equal(calls, 1);
  executor_stop();
}

/* Limits. */

static int running;
static int most;

static void slow_over(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)loop, (void)events;
  evd_run *run = timer->data;
  free(timer);
  running--;
  evd_run_complete(run, "1");
}

static void finish_slowly(evd_run *run, void *data) {
  (void)data;
  ev_timer *timer = malloc(sizeof *timer);
  assert_non_null(timer);
  calls++;
  running++;
  most = running > most ? running : most;
  ev_timer_init(timer, slow_over, 0.002, 0);
  timer->data = run;
  ev_timer_start(suite.loop, timer);
}

static void run_many(evd_executor_options options, int32_t task_max, int expected) {
  enum { RUNS = 120 };
  const evd_task task = {.id = "slow", .run = finish_slowly, .run_max = task_max};
  const char *ids[RUNS];
  running = 0;
  most = 0;
  executor_start(&task, 1, options);
  for (int i = 0; i < RUNS; i++) {
    ids[i] = executor_enqueue((evd_spec){.task_id = "slow"});
  }
  for (int i = 0; i < RUNS; i++) {
    assert_int_equal(executor_finished(ids[i])->status, EVD_STATUS_COMPLETED);
  }
  assert_int_equal(calls, RUNS);
  expect(most <= expected, "%d ran at once", most);
  executor_stop();
}

static void no_more_run_at_once_than_may(void **state) {
  (void)state;
  run_many((evd_executor_options){.run_max = 7}, 0, 7);
}

static void no_more_of_a_task_run_at_once_than_may(void **state) {
  (void)state;
  run_many((evd_executor_options){0}, 3, 3);
}

/* Tasks with limits of their own ask for all slots; the others get theirs all the same. */
static void tasks_with_limits_do_not_keep_others_waiting(void **state) {
  (void)state;
  evd_task tasks[5] = {{.id = "echo", .run = echo},
                       {.id = "t1", .run = echo, .run_max = 50},
                       {.id = "t2", .run = echo, .run_max = 50},
                       {.id = "t3", .run = echo, .run_max = 50},
                       {.id = "t4", .run = complete, .run_max = 50, .blocking = true}};
  executor_start(
      tasks, 5, (evd_executor_options){.run_max = 60, .poll_ms = 3600000, .poll_idle_ms = 3600000});
  const char *ids[5];
  for (int i = 0; i < 5; i++) {
    ids[i] = executor_enqueue((evd_spec){.task_id = tasks[i].id, .input = "1"});
  }
  for (int i = 0; i < 5; i++) {
    executor_finished(ids[i]);
  }
  executor_stop();
}

/* Sleeping tasks. */

static void a_sleeping_task_is_woken_up(void **state) {
  (void)state;
  const evd_task task = {.id = "sleep", .timeout_ms = 60000};
  executor_start(&task, 1, (evd_executor_options){0});
  const char *good = executor_enqueue((evd_spec){.task_id = "sleep", .unique_id = "order 1"});
  const char *bad = executor_enqueue((evd_spec){.task_id = "sleep", .unique_id = "order 2"});
  assert_int_equal(suite_get(good)->status, EVD_STATUS_RUNNING);
  const evd_execution *row = await_row(evd_wake_up(executor, "order 1", "{\"paid\":1}", NULL));
  assert_string_equal(row->execution_id, good);
  assert_int_equal(row->status, EVD_STATUS_COMPLETED);
  assert_int_equal(row->close_status, EVD_CLOSE_CLOSED);
  assert_int_equal(executor_finished(good)->status, EVD_STATUS_COMPLETED);
  row = await_row(evd_wake_up(executor, "order 2", NULL, "not paid"));
  assert_int_equal(row->status, EVD_STATUS_FAILED);
  assert_non_null(strstr(row->error, "not paid"));
  assert_string_equal(row->execution_id, bad);
  /* A second time, nothing changes; what is not there, may come. */
  row = await_row(evd_wake_up(executor, "order 1", "2", NULL));
  assert_non_null(strstr(row->output, "paid"));
  assert_null(await_row(evd_wake_up(executor, "order 3", "1", NULL)));
  evd_error error = await_error(evd_wake_up(executor, "order 1", "{", NULL), EVD_EINVAL);
  assert_string_equal(error.field, "output");
  executor_stop();
}

static void a_sleeping_task_times_out(void **state) {
  (void)state;
  const evd_task task = {.id = "sleep", .timeout_ms = 1};
  executor_start(&task, 1, (evd_executor_options){.recover_ms = 10});
  const evd_execution *row =
      executor_finished(executor_enqueue((evd_spec){.task_id = "sleep", .unique_id = "nobody"}));
  assert_int_equal(row->status, EVD_STATUS_TIMED_OUT);
  size_t count;
  executor_tree_closed(row->execution_id, &count);
  executor_stop();
}

/* Waiting. */

static void waiting_has_an_end(void **state) {
  (void)state;
  executor_start(NULL, 0, (evd_executor_options){0});
  const char *id = executor_enqueue((evd_spec){.task_id = "other"});
  await_error(evd_wait(executor, id, 0), EVD_ETIMEDOUT);
  await_error(evd_wait(executor, id, 20), EVD_ETIMEDOUT);
  await_error(evd_wait(executor, NULL, 20), EVD_EINVAL);
  assert_null(await_row(evd_wait(executor, "none", -1)));
  evd_future *stopped = evd_wait(executor, id, -1);
  evd_future *cancelled = evd_wait(executor, id, -1);
  evd_future *other = evd_wait(executor, id, -1);
  assert_int_equal(executor_stats().waiters, 3);
  evd_future_cancel(cancelled);
  evd_future_release(cancelled);
  executor_stop();
  await_error(stopped, EVD_ECLOSED);
  await_error(other, EVD_ECLOSED);
}

static void many_wait_for_the_same(void **state) {
  (void)state;
  const evd_task task = {.id = "hold", .run = hold};
  executor_start(&task, 1, (evd_executor_options){0});
  const char *id = executor_enqueue((evd_spec){.task_id = "hold"});
  evd_future *waits[20];
  for (int i = 0; i < 20; i++) {
    waits[i] = evd_wait(executor, id, i % 3 == 0 ? 1 : -1);
  }
  for (int i = 0; i < 20; i += 3) {
    await_error(waits[i], EVD_ETIMEDOUT);
  }
  run_until(held != NULL);
  evd_run_complete(held, "1");
  for (int i = 0; i < 20; i++) {
    if (i % 3 != 0) {
      assert_string_equal(await_row(waits[i])->output, "1");
    }
  }
  assert_int_equal(executor_stats().waiters, 0);
  executor_stop();
}

/* The hook, and statistics. */

struct seen {
  int events[EVD_EVENT_TROUBLE + 1];
  evd_status ended;
};

static void note(const evd_executor_event *event, void *data) {
  struct seen *seen = data;
  seen->events[event->kind]++;
  if (event->kind == EVD_EVENT_ENDED) {
    seen->ended = event->status;
    assert_true(event->duration_ms >= 0);
  }
}

static void the_hook_is_told(void **state) {
  (void)state;
  struct seen seen = {0};
  const evd_task task = {.id = "echo", .run = echo};
  executor_start(&task, 1, (evd_executor_options){.hook = note, .hook_data = &seen});
  executor_finished(executor_enqueue((evd_spec){.task_id = "echo", .input = "1"}));
  run_until(executor_stats().running == 0); /* the row may be seen before its write is answered */
  assert_int_equal(seen.events[EVD_EVENT_ENQUEUED], 1);
  assert_int_equal(seen.events[EVD_EVENT_STARTED], 1);
  assert_int_equal(seen.events[EVD_EVENT_ENDED], 1);
  assert_int_equal(seen.ended, EVD_STATUS_COMPLETED);
  evd_executor_stats stats = executor_stats();
  assert_int_equal(stats.claimed, 1);
  assert_int_equal(stats.completed, 1);
  executor_stop();
}

/* An idle executor. */

static int statements;

static void count_statement(const evd_log_event *event, void *data) {
  (void)data;
  statements += event->level == EVD_LOG_QUERY && event->batch_size > 0;
}

/* All intervals are a hundredth of the default ones; the bound is by the time that it took, however
 * slow the machine. */
static void an_idle_executor_costs_little(void **state) {
  (void)state;
  const evd_task task = {.id = "echo", .run = echo};
  suite_reopen((evd_options){.log = count_statement, .log_level = EVD_LOG_QUERY});
  executor_start(&task, 1,
                 (evd_executor_options){.poll_ms = 5,
                                        .poll_idle_ms = 20,
                                        .maintain_ms = 20,
                                        .recover_ms = 100,
                                        .cancel_poll_ms = 10});
  run_until(executor_stats().polls >= 10);
  statements = 0;
  uint64_t polls = executor_stats().polls;
  double begin = ev_time();
  run_until(executor_stats().polls >= polls + 50);
  double seconds = ev_time() - begin;
  /* Claims 0.5 a second, parents 0.5, closing 1, recovery 0.5; a tenth more, as pauses vary.
   * Engines may take three statements for an operation. */
  double bound = 3 * 1.1 * 2.5 * 100 * seconds + 20;
  expect(statements <= bound, "%d statements in %f s", statements, seconds);
  executor_stop();
}

int executor_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(a_task_is_run_and_its_output_is_stored),
      suite_test(without_input_and_output_they_are_null),
      suite_test(an_attempt_that_fails_is_made_again),
      suite_test(the_last_attempt_that_fails_is_the_end),
      suite_test(the_specification_goes_before_the_task),
      suite_test(what_cannot_be_stored_is_refused),
      suite_test(bad_tasks_and_options_are_refused),
      suite_test(a_snooze_spends_no_attempt_and_keeps_its_state),
      suite_test(what_a_run_ends_with_and_cannot_be_stored_fails_it),
      suite_test(blocking_tasks_run_on_threads),
      suite_test(a_blocking_task_that_does_not_end_its_run_fails),
      suite_test(a_task_that_is_not_known_is_left_alone),
      suite_test(an_id_of_ones_own_is_enqueued_once),
      suite_test(no_more_run_at_once_than_may),
      suite_test(no_more_of_a_task_run_at_once_than_may),
      suite_test(tasks_with_limits_do_not_keep_others_waiting),
      suite_test(a_sleeping_task_is_woken_up),
      suite_test(a_sleeping_task_times_out),
      suite_test(waiting_has_an_end),
      suite_test(many_wait_for_the_same),
      suite_test(the_hook_is_told),
      suite_test(an_idle_executor_costs_little),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
