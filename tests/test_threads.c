/* Threads, each with a loop and storages of its own, on SQLite: what ThreadSanitizer is to see. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <ev.h>
#include <evdurable.h>

#include "support/check.h"
#include "support/sample.h"
#include "support/scratch.h"
#include "support/watchdog.h"

enum { THREADS = 4, ROWS = 400 };

/* A thread; it must not fail the test itself, so it counts. */
struct thread {
  pthread_t thread;
  const char *url;
  int number;
  int failures;
  struct ev_loop *loop;
  evd_storage *storage;
};

/* How often each row was claimed, by whichever thread. */
static atomic_int times_claimed[ROWS];

static evd_code finish(struct thread *thread, evd_future *future) {
  evd_code code = evd_future_await(future);
  if (code) {
    fprintf(stderr, "thread %d: %s\n", thread->number, evd_future_error(future)->message);
    thread->failures++;
  }
  return code;
}

static void open_storage(struct thread *thread) {
  evd_future *opening =
      evd_storage_open(thread->loop, thread->url, &(evd_options){.schema = EVD_SCHEMA_CREATE});
  thread->storage = NULL;
  if (finish(thread, opening) == EVD_OK) {
    (void)evd_future_storage(opening, &thread->storage);
  }
  evd_future_release(opening);
}

static void close_storage(struct thread *thread, int64_t drain_ms) {
  evd_future *closing = evd_storage_close(thread->storage, drain_ms);
  (void)finish(thread, closing);
  evd_future_release(closing);
}

/* Runs this in so many threads at once; how much failed. */
static int run_threads(void *(*run)(void *), const char *url) {
  struct thread threads[THREADS];
  int failures = 0;
  for (int i = 0; i < THREADS; i++) {
    threads[i] = (struct thread){.url = url, .number = i};
    if (pthread_create(&threads[i].thread, NULL, run, &threads[i])) {
      abort();
    }
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i].thread, NULL);
    failures += threads[i].failures;
  }
  return failures;
}

static void count_failure(evd_future *future, void *data) {
  struct thread *thread = data;
  thread->failures += evd_future_code(future) != EVD_OK;
}

/* Inserts ROWS executions, one by one, all in flight; the thread's number is in their ids. */
static void insert_rows(struct thread *thread) {
  for (int i = 0; i < ROWS; i++) {
    char id[32];
    snprintf(id, sizeof id, "te_%d_%d", thread->number, i);
    evd_execution row = sample_execution(id);
    evd_future_then(evd_insert(thread->storage, &row, 1), count_failure, thread);
  }
  ev_run(thread->loop, 0);
}

static void *insert_and_close(void *data) {
  struct thread *thread = data;
  thread->loop = ev_loop_new(EVFLAG_AUTO);
  open_storage(thread);
  if (thread->storage != NULL) {
    insert_rows(thread);
    close_storage(thread, -1);
  }
  ev_loop_destroy(thread->loop);
  return NULL;
}

static void threads_work_on_databases_of_their_own(void **state) {
  assert_int_equal(run_threads(insert_and_close, "sqlite::memory:"), 0);
}

static void threads_share_a_file(void **state) {
  assert_int_equal(run_threads(insert_and_close, text("sqlite:%s", scratch_new())), 0);
}

/* Claims until nothing is left. */
static void *claim_all(void *data) {
  struct thread *thread = data;
  thread->loop = ev_loop_new(EVFLAG_AUTO);
  open_storage(thread);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  size_t count = thread->storage != NULL ? 1 : 0;
  while (count > 0) {
    const evd_execution *rows;
    evd_future *claim =
        evd_claim_by_start_at(thread->storage, sample_due(SAMPLE_TIME + 1000), &changes, 7);
    (void)finish(thread, claim);
    (void)evd_future_rows(claim, &rows, &count);
    for (size_t i = 0; i < count; i++) {
      atomic_fetch_add(&times_claimed[sample_number(rows[i].execution_id)], 1);
    }
    evd_future_release(claim);
  }
  close_storage(thread, -1);
  ev_loop_destroy(thread->loop);
  return NULL;
}

static void threads_share_out_the_rows_that_they_claim(void **state) {
  const char *url = text("sqlite:%s", scratch_new());
  struct thread first = {.url = url, .loop = ev_loop_new(EVFLAG_AUTO)};
  open_storage(&first);
  insert_rows(&first);
  close_storage(&first, -1);
  ev_loop_destroy(first.loop);
  assert_int_equal(first.failures, 0);
  assert_int_equal(run_threads(claim_all, url), 0);
  for (int i = 0; i < ROWS; i++) {
    assert_int_equal(atomic_load(&times_claimed[i]), 1);
  }
}

/* Opens and closes again and again, with work pending that is dropped or finished. */
static void *open_and_close(void *data) {
  struct thread *thread = data;
  thread->loop = ev_loop_new(EVFLAG_AUTO);
  for (int i = 0; i < 15; i++) {
    open_storage(thread);
    if (thread->storage == NULL) {
      break;
    }
    for (int j = 0; j < 20; j++) {
      evd_future_release(evd_get(thread->storage, "te_1", NULL));
    }
    if (i % 2) {
      ev_run(thread->loop, EVRUN_NOWAIT);
    }
    close_storage(thread, i % 3 ? 0 : -1);
  }
  ev_loop_destroy(thread->loop);
  return NULL;
}

static void threads_open_and_close_storages_at_any_time(void **state) {
  assert_int_equal(run_threads(open_and_close, "sqlite::memory:"), 0);
  assert_int_equal(run_threads(open_and_close, text("sqlite:%s", scratch_new())), 0);
}

static int set_up(void **state) {
  watchdog(600);
  return 0;
}

static int tear_down(void **state) {
  release_kept();
  watchdog(0);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(threads_work_on_databases_of_their_own, set_up, tear_down),
      cmocka_unit_test_setup_teardown(threads_share_a_file, set_up, tear_down),
      cmocka_unit_test_setup_teardown(threads_share_out_the_rows_that_they_claim, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(threads_open_and_close_storages_at_any_time, set_up,
                                      tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
