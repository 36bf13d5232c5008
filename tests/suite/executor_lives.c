/*
 * The executor: the life of a run. What may happen to it (its end, a cancellation, its time-out,
 * the loss of its execution, a stop of the executor) may happen in any order, on the loop and on a
 * thread.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite/executor_case.h"

/* Stops. */

static void a_run_that_takes_too_long_times_out(void **state) {
  (void)state;
  const evd_task task = {.id = "hold", .run = hold, .timeout_ms = 20};
  executor_start(&task, 1, (evd_executor_options){.stop_grace_ms = 10});
  const evd_execution *row = executor_finished(executor_enqueue((evd_spec){.task_id = "hold"}));
  assert_int_equal(row->status, EVD_STATUS_TIMED_OUT);
  assert_non_null(strstr(row->error, "timed_out"));
  assert_int_equal(executor_stats().stopping, 1);
  assert_int_equal(executor_stats().running, 1); /* the slot is taken until the code has ended */
  evd_run_complete(held, "1");                   /* stores nothing */
  run_until(executor_stats().running == 0);
  assert_int_equal(executor_stats().stopping, 0);
  executor_stop();
}

static void a_time_out_is_retried(void **state) {
  (void)state;
  const evd_task task = {.id = "hold", .run = hold, .timeout_ms = 5, .retry = {.max_attempts = 1}};
  executor_start(&task, 1, (evd_executor_options){.stop_grace_ms = 5});
  const char *id = executor_enqueue((evd_spec){.task_id = "hold"});
  run_until(held != NULL);
  evd_run *first = held;
  run_until(calls == 2);
  evd_run_complete(first, "1");
  evd_run_complete(held, "2");
  const evd_execution *row = executor_finished(id);
  assert_int_equal(row->retry_attempts, 1);
  executor_stop();
}

static evd_stop_reason reasons[4];
static int told;

static void note_stop(evd_run *run, evd_stop_reason reason, void *data) {
  (void)run, (void)data;
  reasons[told++] = reason;
}

static void hold_and_listen(evd_run *run, void *data) {
  evd_run_on_stop(run, note_stop, NULL);
  hold(run, data);
}

static const char *start_listening(evd_executor_options options, int64_t timeout_ms) {
  const evd_task task = {.id = "hold", .run = hold_and_listen, .timeout_ms = timeout_ms};
  told = 0;
  executor_start(&task, 1, options);
  const char *id = executor_enqueue((evd_spec){.task_id = "hold"});
  run_until(held != NULL);
  return id;
}

static void a_run_that_is_cancelled_is_told(void **state) {
  (void)state;
  const char *id = start_listening((evd_executor_options){0}, 0);
  assert_true(await_matched(evd_cancel(executor, id)));
  run_until(told == 1);
  assert_int_equal(reasons[0], EVD_STOP_CANCELLED);
  evd_run_complete(held, "1");
  assert_int_equal(executor_finished(id)->status, EVD_STATUS_CANCELLED);
  assert_null(executor_finished(id)->output);
  executor_stop();
}

static void another_executor_cancels_it(void **state) {
  (void)state;
  evd_error error;
  const char *id = start_listening((evd_executor_options){.cancel_poll_ms = 10}, 0);
  evd_executor *other = evd_executor_new(suite.storage, NULL, &error);
  assert_non_null(other);
  assert_true(await_matched(evd_cancel(other, id)));
  run_until(told == 1);
  assert_int_equal(reasons[0], EVD_STOP_CANCELLED);
  evd_run_complete(held, "1");
  await_ok(evd_executor_stop(other, 0));
  executor_stop();
}

static void a_stop_gives_back_what_runs(void **state) {
  (void)state;
  const char *id = start_listening((evd_executor_options){0}, 0);
  evd_future *stopped = evd_executor_stop(executor, 0);
  assert_int_equal(told, 1);
  assert_int_equal(reasons[0], EVD_STOP_DRAINING);
  run_until(suite_get(id)->status == EVD_STATUS_READY);
  assert_int_equal(evd_future_code(stopped), EVD_EPENDING);
  evd_run_complete(held, "1");
  await_ok(stopped);
  const evd_execution *row = suite_get(id);
  assert_int_equal(row->status, EVD_STATUS_READY);
  assert_int_equal(row->retry_attempts, 0);
  assert_null(row->executor_id);
}

static void what_ends_while_it_stops_is_stored(void **state) {
  (void)state;
  const char *id = start_listening((evd_executor_options){0}, 0);
  evd_future *stopped = evd_executor_stop(executor, 60000);
  evd_run_complete(held, "1");
  await_ok(stopped);
  assert_int_equal(suite_get(id)->status, EVD_STATUS_COMPLETED);
}

static void its_time_is_limited_while_it_stops(void **state) {
  (void)state;
  const char *id = start_listening((evd_executor_options){.stop_grace_ms = 5}, 50);
  evd_future *stopped = evd_executor_stop(executor, 3600000);
  run_until(told == 2);
  assert_int_equal(reasons[1], EVD_STOP_TIMED_OUT);
  evd_run_complete(held, "1");
  await_ok(stopped);
  assert_int_equal(suite_get(id)->status, EVD_STATUS_TIMED_OUT);
}

static void it_can_be_cancelled_while_it_stops(void **state) {
  (void)state;
  const char *id = start_listening((evd_executor_options){.cancel_poll_ms = 5}, 0);
  evd_future *stopped = evd_executor_stop(executor, 3600000);
  assert_true(await_matched(evd_cancel(executor, id)));
  run_until(told == 2);
  assert_int_equal(reasons[1], EVD_STOP_CANCELLED);
  evd_run_complete(held, "1");
  await_ok(stopped);
  assert_int_equal(suite_get(id)->status, EVD_STATUS_CANCELLED);
}

static void nobody_waits_for_the_stop(void **state) {
  (void)state;
  const char *id = start_listening((evd_executor_options){0}, 0);
  evd_future *stopped = evd_executor_stop(executor, 0);
  evd_error error = await_error(evd_executor_stop(executor, 0), EVD_EMISUSE);
  assert_int_equal(error.code, EVD_EMISUSE);
  await_error(evd_enqueue(executor, &(evd_spec){.task_id = "hold"}, NULL), EVD_ECLOSED);
  evd_future_cancel(stopped);
  evd_future_release(stopped);
  evd_run_complete(held, "1");
  run_until(suite_get(id)->status == EVD_STATUS_COMPLETED);
}

/* One run ends another as it is told to stop. */
static evd_run *both[2];

static void end_both(evd_run *run, evd_stop_reason reason, void *data) {
  (void)run, (void)reason, (void)data;
  for (int i = 0; i < 2; i++) {
    evd_run *other = both[i];
    both[i] = NULL;
    if (other != NULL) {
      evd_run_complete(other, "1");
    }
  }
}

static void hold_both(evd_run *run, void *data) {
  (void)data;
  both[calls++] = run;
  evd_run_on_stop(run, end_both, NULL);
}

static void a_run_may_end_others_when_it_is_told(void **state) {
  (void)state;
  const evd_task task = {.id = "both", .run = hold_both};
  executor_start(&task, 1, (evd_executor_options){0});
  for (int i = 0; i < 2; i++) {
    executor_enqueue((evd_spec){.task_id = "both"});
  }
  run_until(calls == 2);
  executor_stop();
}

/* Every order. */

enum event { CANCEL, TIME_OUT, LOSE, STOP, END, EVENTS };

/* One life: what happens in it, in this order, and how many turns of the loop lie between. */
struct life {
  enum event order[EVENTS];
  int count;
  unsigned random;
  bool on_thread;
};

static unsigned draw(struct life *life, unsigned below) {
  life->random = life->random * 1103515245 + 12345;
  return (life->random >> 16) % below;
}

static void turn(struct life *life) {
  for (unsigned turns = draw(life, 6); turns > 0; turns--) {
    ev_run(suite.loop, EVRUN_NOWAIT);
  }
}

/* Ends a run in one of the ways in which a run ends. */
static void end_somehow(evd_run *run, unsigned way) {
  const evd_spec child = {.task_id = "nobody"};
  switch (way) {
  case 0: evd_run_complete(run, "1"); break;
  case 1: evd_run_fail(run, EVD_STATUS_FAILED, "no", false); break;
  case 2: evd_run_snooze(run, 3600000, "2"); break;
  case 3: evd_run_fail(run, EVD_STATUS_FAILED, "no", true); break;
  default: evd_run_spawn(run, NULL, &child, 1); break;
  }
}

static atomic_int thread_may_end;
static atomic_int thread_runs;
static unsigned thread_way;

static void hold_thread(evd_run *run, void *data) {
  (void)data;
  atomic_store(&thread_runs, 1);
  while (!atomic_load(&thread_may_end)) {
    usleep(100);
    (void)evd_run_stopped(run);
  }
  end_somehow(run, thread_way);
}

static void make_happen(struct life *life, enum event event, const char *id, evd_future **stopped) {
  evd_changes taken = {0};
  switch (event) {
  case CANCEL: evd_future_release(evd_cancel(executor, id)); break;
  case TIME_OUT:
    if (held != NULL) {
      evd_future_release(evd_run_extend(held, 1));
    }
    break;
  case LOSE:
    evd_set(&taken, executor_id, "another");
    evd_future_release(
        evd_update(suite.storage, id, &(evd_filter){.status = EVD_STATUS_RUNNING}, &taken));
    break;
  case STOP: *stopped = evd_executor_stop(executor, draw(life, 3)); break;
  case END:
    if (life->on_thread) {
      atomic_store(&thread_may_end, 1);
    } else {
      end_somehow(held, draw(life, 5));
      held = NULL;
    }
    break;
  default: break;
  }
}

static void live(struct life *life) {
  /* A task of its own: what lives before have left is not its affair. */
  const evd_task task = {.id = text("life_%u", life->random),
                         .run = life->on_thread ? hold_thread : hold_and_listen,
                         .blocking = life->on_thread,
                         .timeout_ms = life->on_thread ? 3 : 60000,
                         .retry = {.max_attempts = 1, .base_delay_ms = 3600000}};
  told = 0;
  atomic_store(&thread_may_end, 0);
  atomic_store(&thread_runs, 0);
  thread_way = draw(life, 5);
  executor_start(&task, 1, (evd_executor_options){.stop_grace_ms = 1, .cancel_poll_ms = 3});
  const char *id = executor_enqueue((evd_spec){.task_id = task.id});
  run_until(held != NULL || atomic_load(&thread_runs));
  evd_future *stopped = NULL;
  for (int i = 0; i < life->count; i++) {
    turn(life);
    make_happen(life, life->order[i], id, &stopped);
  }
  if (stopped == NULL) {
    stopped = evd_executor_stop(executor, 0);
  }
  await_ok(stopped);
  const evd_execution *row = suite_get(id);
  assert_true(row != NULL && row->retry_attempts <= 1);
  if (row->status == EVD_STATUS_RUNNING) { /* by "another" */
    assert_string_equal(row->executor_id, "another");
  }
}

/* All orders of these events in which the run ends once, some of them left out. */
static void live_all(bool on_thread, int rounds) {
  for (int round = 0; round < rounds; round++) {
    struct life life = {.random = (unsigned)round * 7919 + 1, .on_thread = on_thread};
    enum event events[EVENTS] = {CANCEL, TIME_OUT, LOSE, STOP, END};
    for (int i = EVENTS - 1; i > 0; i--) {
      int other = (int)draw(&life, (unsigned)i + 1);
      enum event event = events[i];
      events[i] = events[other];
      events[other] = event;
    }
    for (int i = 0; i < EVENTS; i++) {
      bool thread_times_out = on_thread && events[i] == TIME_OUT; /* by itself */
      if (events[i] == END || (!thread_times_out && draw(&life, 3) > 0)) {
        life.order[life.count++] = events[i];
      }
    }
    live(&life);
  }
}

static void a_run_lives_in_any_order(void **state) {
  (void)state;
  live_all(false, 150);
}

static void a_run_on_a_thread_lives_in_any_order(void **state) {
  (void)state;
  live_all(true, 60);
}

int executor_lives_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(a_run_that_takes_too_long_times_out),
      suite_test(a_time_out_is_retried),
      suite_test(a_run_that_is_cancelled_is_told),
      suite_test(another_executor_cancels_it),
      suite_test(a_stop_gives_back_what_runs),
      suite_test(what_ends_while_it_stops_is_stored),
      suite_test(its_time_is_limited_while_it_stops),
      suite_test(it_can_be_cancelled_while_it_stops),
      suite_test(nobody_waits_for_the_stop),
      suite_test(a_run_may_end_others_when_it_is_told),
      suite_test(a_run_lives_in_any_order),
      suite_test(a_run_on_a_thread_lives_in_any_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
