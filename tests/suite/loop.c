/* The caller's loop: the library holds it only while something is pending, and never up. */
#include "suite/suite.h"

#include <pthread.h>
#include <stdio.h>

/* A timer that ends a run that does not end by itself. */
static void break_run(struct ev_loop *loop, ev_timer *timer, int events) {
  *(bool *)timer->data = true;
  ev_break(loop, EVBREAK_ALL);
}

/* Whether ev_run() returns, when nothing but the library could hold it. */
static bool run_returns(void) {
  bool broken = false;
  ev_timer guard;
  ev_timer_init(&guard, break_run, 3, 0);
  guard.data = &broken;
  ev_now_update(suite.loop);
  ev_timer_start(suite.loop, &guard);
  ev_unref(suite.loop);
  ev_run(suite.loop, 0);
  ev_ref(suite.loop);
  ev_timer_stop(suite.loop, &guard);
  return !broken;
}

static void ev_run_returns_when_nothing_is_pending(void **state) {
  assert_true(run_returns());
  await_ok(evd_get(suite.storage, "te_1", NULL));
  assert_true(run_returns());
}

static void count_call(evd_future *future, void *data) {
  ++*(int *)data;
}

static void ev_run_returns_after_all_that_was_pending(void **state) {
  int calls = 0;
  for (int i = 0; i < 300; i++) {
    evd_execution row = sample_execution(text("te_%d", i));
    evd_future_then(evd_insert(suite.storage, &row, 1), count_call, &calls);
  }
  assert_true(run_returns());
  assert_int_equal(calls, 300);
}

static void ev_run_returns_after_closing(void **state) {
  int calls = 0;
  evd_future_then(evd_storage_close(suite.storage, 5000), count_call, &calls);
  suite.storage = NULL;
  assert_true(run_returns());
  assert_int_equal(calls, 1);
}

static void count_tick(struct ev_loop *loop, ev_timer *timer, int events) {
  ++*(int *)timer->data;
}

static void the_loop_turns_while_the_database_is_busy(void **state) {
  suite_needs_shared();
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  suite_lock("true");
  int ticks = 0;
  ev_timer timer;
  ev_timer_init(&timer, count_tick, 0.005, 0.005);
  timer.data = &ticks;
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_future *future = keep_future(evd_update(suite.storage, "te_1", NULL, &changes));
  ev_timer_start(suite.loop, &timer);
  while (ticks < 50) {
    ev_run(suite.loop, EVRUN_ONCE);
  }
  assert_int_equal(evd_future_code(future), EVD_EPENDING);
  ev_timer_stop(suite.loop, &timer);
  suite_unlock();
  assert_int_equal(evd_future_await(future), EVD_OK);
}

/* How many requests end in one turn of the loop, at most. */
struct turns {
  evd_storage *storage;
  evd_future *closed; /* when it is finished, the storage is gone; or NULL */
  uint64_t pending;
  uint64_t most;
  ev_prepare prepare;
};

static void note_turn(struct ev_loop *loop, ev_prepare *prepare, int events) {
  struct turns *turns = prepare->data;
  evd_stats stats = {.pending_requests = 0};
  if (turns->closed == NULL || evd_future_code(turns->closed) == EVD_EPENDING) {
    evd_storage_stats(turns->storage, &stats);
  }
  uint64_t ended = turns->pending - stats.pending_requests;
  turns->pending = stats.pending_requests;
  turns->most = ended > turns->most ? ended : turns->most;
}

enum { MANY = 20000 };

/* So many updates that wait for a row which another session holds; and who watches how they end. */
static void submit_many(struct turns *turns, evd_options options) {
  suite_needs_shared();
  options.conflict_retries_max = 1000;
  suite_reopen(options);
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  suite_lock("true");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  for (int i = 0; i < MANY; i++) {
    keep_future(evd_update(suite.storage, "te_1", NULL, &changes));
  }
  *turns = (struct turns){.storage = suite.storage, .pending = MANY};
  ev_prepare_init(&turns->prepare, note_turn);
  turns->prepare.data = turns;
  ev_prepare_start(suite.loop, &turns->prepare);
  ev_unref(suite.loop);
}

static void expect_short_turns(struct turns *turns) {
  ev_ref(suite.loop);
  ev_prepare_stop(suite.loop, &turns->prepare);
  suite_unlock();
  assert_true(turns->pending <= 1); /* of the one that is with the database, nobody knows */
  expect(turns->most <= 512, "%d requests ended in one turn", (int)turns->most);
}

static void the_loop_turns_while_very_much_times_out(void **state) {
  struct turns turns;
  submit_many(&turns, (evd_options){.operation_timeout_ms = 1000});
  while (turns.pending > 1) {
    ev_run(suite.loop, EVRUN_ONCE);
  }
  expect_short_turns(&turns);
}

static void the_loop_turns_while_very_much_is_aborted(void **state) {
  struct turns turns;
  submit_many(&turns, (evd_options){0});
  turns.closed = keep_future(evd_storage_close(suite.storage, 0));
  suite.storage = NULL;
  assert_int_equal(evd_future_await(turns.closed), EVD_OK);
  expect_short_turns(&turns);
}

static void several_storages_share_a_loop(void **state) {
  enum { STORAGES = 5, ROWS = 40 };
  evd_storage *storages[STORAGES];
  evd_future *futures[STORAGES * ROWS];
  for (int i = 0; i < STORAGES; i++) {
    storages[i] = suite_open((evd_options){0});
  }
  for (int i = 0; i < STORAGES * ROWS; i++) {
    evd_execution row = sample_execution(text("te_%d", i));
    futures[i] = evd_insert(storages[i % STORAGES], &row, 1);
  }
  for (int i = 0; i < STORAGES * ROWS; i++) {
    await_ok(futures[i]);
  }
  for (int i = 0; i < STORAGES * ROWS; i++) {
    const char *id = text("te_%d", i);
    assert_non_null(await_row(evd_get(storages[i % STORAGES], id, NULL)));
    assert_true((suite_get(id) != NULL) == suite_is_shared());
  }
  for (int i = 0; i < STORAGES; i++) {
    suite_close(storages[i]);
  }
}

/* A thread with a loop and a storage of its own. It counts what went wrong. */
struct worker_thread {
  pthread_t thread;
  int number;
  int failures;
};

enum { THREADS = 4, THREAD_ROWS = 100 };

static void count_failure(evd_future *future, void *data) {
  struct worker_thread *worker = data;
  worker->failures += evd_future_code(future) != EVD_OK;
}

static void insert_rows(struct worker_thread *worker, evd_storage *storage) {
  for (int i = 0; i < THREAD_ROWS; i++) {
    char id[32];
    snprintf(id, sizeof id, "te_%d_%d", worker->number, i);
    evd_execution row = sample_execution(id);
    evd_future_then(evd_insert(storage, &row, 1), count_failure, worker);
  }
}

static void *run_thread(void *data) {
  struct worker_thread *worker = data;
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  evd_options options = {.table = suite.table};
  if (!suite_is_shared()) {
    options.schema = EVD_SCHEMA_CREATE;
  }
  evd_future *opening = evd_storage_open(loop, suite.url, &options);
  evd_storage *storage = NULL;
  worker->failures += evd_future_await(opening) != EVD_OK;
  (void)evd_future_storage(opening, &storage);
  evd_future_release(opening);
  if (storage != NULL) {
    insert_rows(worker, storage);
    ev_run(loop, 0);
    evd_future *closed = evd_storage_close(storage, -1);
    worker->failures += evd_future_await(closed) != EVD_OK;
    evd_future_release(closed);
  }
  ev_loop_destroy(loop);
  return NULL;
}

static void threads_have_loops_and_storages_of_their_own(void **state) {
  struct worker_thread workers[THREADS];
  for (int i = 0; i < THREADS; i++) {
    workers[i] = (struct worker_thread){.number = i};
    assert_int_equal(pthread_create(&workers[i].thread, NULL, run_thread, &workers[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(workers[i].thread, NULL);
    assert_int_equal(workers[i].failures, 0);
  }
  if (suite_is_shared()) {
    assert_int_equal(await_count(evd_delete_all(suite.storage)), THREADS * THREAD_ROWS);
  }
}

int loop_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(ev_run_returns_when_nothing_is_pending),
      suite_test(ev_run_returns_after_all_that_was_pending),
      suite_test(ev_run_returns_after_closing),
      suite_test(the_loop_turns_while_the_database_is_busy),
      suite_test(the_loop_turns_while_very_much_times_out),
      suite_test(the_loop_turns_while_very_much_is_aborted),
      suite_test(several_storages_share_a_loop),
      suite_test(threads_have_loops_and_storages_of_their_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
