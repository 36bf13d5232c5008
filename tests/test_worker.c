/* The worker thread: order, where each part runs, and leaving. */
#include <pthread.h>
#include <semaphore.h>

#include <ev.h>

#include "async/worker.h"
#include "support/check.h"
#include "support/watchdog.h"

/* A job that notes what happened to it. */
struct noted {
  struct job job; /* first */
  int number;
  pthread_t ran_on, done_on;
  sem_t *wait_for; /* run waits for it; NULL: at once */
  sem_t *running;  /* posted when run has begun */
  int runs, dones;
};

/* In the order in which they ran, and were reported. */
static int run_order[1000], done_order[1000];
static int run_count, done_count;

static struct ev_loop *loop;
static struct worker *worker;

static void run(struct job *job) {
  struct noted *noted = (struct noted *)job;
  noted->ran_on = pthread_self();
  noted->runs++;
  run_order[run_count++] = noted->number;
  if (noted->running != NULL) {
    sem_post(noted->running);
  }
  if (noted->wait_for != NULL) {
    sem_wait(noted->wait_for);
  }
}

static void done(struct job *job) {
  struct noted *noted = (struct noted *)job;
  noted->done_on = pthread_self();
  noted->dones++;
  done_order[done_count++] = noted->number;
}

static struct noted noted_job(int number) {
  return (struct noted){.job = {.run = run, .done = done}, .number = number};
}

static int set_up(void **state) {
  (void)state;
  watchdog(600);
  run_count = done_count = 0;
  loop = ev_loop_new(EVFLAG_AUTO);
  worker = worker_new(loop, NULL);
  return worker == NULL;
}

static int tear_down(void **state) {
  (void)state;
  worker_free(worker);
  worker = NULL;
  ev_run(loop, 0);
  ev_loop_destroy(loop);
  release_kept();
  watchdog(0);
  return 0;
}

static void jobs_run_on_another_thread_and_are_reported_on_this_one(void **state) {
  (void)state;
  struct noted one = noted_job(1);
  worker_submit(worker, &one.job);
  assert_int_equal(one.dones, 0);
  ev_run(loop, 0);
  assert_int_equal(one.runs, 1);
  assert_int_equal(one.dones, 1);
  assert_false(pthread_equal(one.ran_on, pthread_self()));
  assert_true(pthread_equal(one.done_on, pthread_self()));
}

static void jobs_run_and_are_reported_in_order(void **state) {
  (void)state;
  enum { JOBS = 500 };
  struct noted *jobs = keep_memory(JOBS * sizeof *jobs);
  for (int i = 0; i < JOBS; i++) {
    jobs[i] = noted_job(i);
    worker_submit(worker, &jobs[i].job);
    if (i % 50 == 0) {
      ev_run(loop, EVRUN_NOWAIT);
    }
  }
  ev_run(loop, 0);
  assert_int_equal(run_count, JOBS);
  assert_int_equal(done_count, JOBS);
  for (int i = 0; i < JOBS; i++) {
    assert_int_equal(run_order[i], i);
    assert_int_equal(done_order[i], i);
  }
}

static void the_loop_is_held_only_while_a_job_is_under_way(void **state) {
  (void)state;
  struct noted one = noted_job(1);
  ev_run(loop, 0); /* returns: there is nothing */
  worker_submit(worker, &one.job);
  ev_run(loop, 0);
  assert_int_equal(one.dones, 1);
  ev_run(loop, 0);
}

/* A job that submits the next when it is done. */
struct chained {
  struct job job; /* first */
  int left;
};

static void run_nothing(struct job *job) {
  (void)job;
}

static void submit_again(struct job *job) {
  struct chained *chained = (struct chained *)job;
  if (--chained->left > 0) {
    worker_submit(worker, job);
  }
}

static void a_job_may_be_submitted_again_when_it_is_done(void **state) {
  (void)state;
  struct chained chained = {.job = {.run = run_nothing, .done = submit_again}, .left = 100};
  worker_submit(worker, &chained.job);
  ev_run(loop, 0);
  assert_int_equal(chained.left, 0);
}

static void free_worker(struct job *job) {
  struct chained *chained = (struct chained *)job;
  chained->left--;
  worker_free(worker);
  worker = NULL;
}

static void a_done_may_free_the_worker(void **state) {
  (void)state;
  struct chained chained = {.job = {.run = run_nothing, .done = free_worker}, .left = 1};
  worker_submit(worker, &chained.job);
  ev_run(loop, 0);
  assert_int_equal(chained.left, 0);
  assert_null(worker);
}

/* For the test below; not on its stack, since the worker's thread may outlive it. */
static struct noted running_job, waiting_job;
static sem_t go_on, running, gone;
static pthread_t abandoned_on[3];

static void abandoned(struct job *job) {
  struct noted *noted = (struct noted *)job;
  abandoned_on[noted->number] = pthread_self();
  sem_post(&gone);
}

static void a_freed_worker_abandons_what_is_not_done(void **state) {
  (void)state;
  sem_init(&go_on, 0, 0);
  sem_init(&running, 0, 0);
  sem_init(&gone, 0, 0);
  running_job = noted_job(1);
  waiting_job = noted_job(2);
  running_job.wait_for = &go_on;
  running_job.running = &running;
  running_job.job.abandoned = waiting_job.job.abandoned = abandoned;
  worker_submit(worker, &running_job.job);
  worker_submit(worker, &waiting_job.job);
  sem_wait(&running);
  worker_free(worker);
  worker = NULL;
  ev_run(loop, 0); /* it holds the loop no longer */
  sem_wait(&gone);
  assert_true(pthread_equal(abandoned_on[2], pthread_self()));
  assert_int_equal(waiting_job.runs + waiting_job.dones, 0);
  sem_post(&go_on);
  sem_wait(&gone);
  assert_false(pthread_equal(abandoned_on[1], pthread_self()));
  assert_int_equal(running_job.runs, 1);
  assert_int_equal(running_job.dones, 0);
}

/* The thread may just be telling the loop of the last job, and the loop is gone at once after. */
static void a_worker_may_be_freed_while_it_wakes_the_loop(void **state) {
  (void)state;
  for (int i = 0; i < 300; i++) {
    struct ev_loop *brief = ev_loop_new(EVFLAG_AUTO);
    struct worker *freed = worker_new(brief, NULL);
    struct noted jobs[2] = {noted_job(1), noted_job(2)};
    run_count = done_count = 0;
    for (int j = 0; j < 2; j++) {
      worker_submit(freed, &jobs[j].job);
    }
    ev_run(brief, 0);
    worker_free(freed);
    ev_loop_destroy(brief);
    assert_int_equal(done_count, 2);
  }
}

static void freeing_nothing_is_safe(void **state) {
  (void)state;
  worker_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(jobs_run_on_another_thread_and_are_reported_on_this_one,
                                      set_up, tear_down),
      cmocka_unit_test_setup_teardown(jobs_run_and_are_reported_in_order, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_loop_is_held_only_while_a_job_is_under_way, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(a_job_may_be_submitted_again_when_it_is_done, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(a_done_may_free_the_worker, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_freed_worker_abandons_what_is_not_done, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_worker_may_be_freed_while_it_wakes_the_loop, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(freeing_nothing_is_safe, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
