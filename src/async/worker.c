/* A thread with a queue of jobs, whose ends are reported to the loop. */
#include "async/worker.h"

#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/error.h"

/* Jobs in order, first in first out. */
struct jobs {
  struct job *first;
  struct job **last;
};

/* Shared by the loop's thread and the worker's; the one that leaves last frees it. */
struct worker {
  /* Loop's thread only. */
  struct ev_loop *loop;
  ev_async wake_loop;
  size_t under_way; /* submitted and not done: while above 0, wake_loop keeps the loop alive */
  pthread_t thread;

  /* Both, under the mutex. */
  pthread_mutex_t mutex;
  pthread_cond_t wake_worker;
  struct jobs waiting;
  struct jobs finished;
  bool running;   /* a job is being run */
  bool leaving;   /* worker_free() was called */
  bool abandoned; /* and did not wait for the thread, which frees the worker itself */
};

static void jobs_clear(struct jobs *jobs) {
  jobs->first = NULL;
  jobs->last = &jobs->first;
}

static void jobs_push(struct jobs *jobs, struct job *job) {
  job->next = NULL;
  *jobs->last = job;
  jobs->last = &job->next;
}

static struct job *jobs_pop(struct jobs *jobs) {
  struct job *job = jobs->first;
  if (job != NULL) {
    jobs->first = job->next;
    if (jobs->first == NULL) {
      jobs->last = &jobs->first;
    }
  }
  return job;
}

static void abandon(struct job *job) {
  if (job->abandoned != NULL) {
    job->abandoned(job);
  }
}

static void abandon_all(struct jobs *jobs) {
  struct job *job;
  while ((job = jobs_pop(jobs)) != NULL) {
    abandon(job);
  }
}

static void destroy(struct worker *worker) {
  pthread_cond_destroy(&worker->wake_worker);
  pthread_mutex_destroy(&worker->mutex);
  free(worker);
}

/* The worker's thread. */

/* Waits for a job; NULL when the worker is leaving. Called with the mutex held. */
static struct job *next_job(struct worker *worker) {
  while (!worker->leaving && worker->waiting.first == NULL) {
    pthread_cond_wait(&worker->wake_worker, &worker->mutex);
  }
  return worker->leaving ? NULL : jobs_pop(&worker->waiting);
}

/* Tells the loop that a job is finished. The send is a system call: with the mutex held, the loop's
 * thread would wait for it. Nobody frees the worker or ends the loop meanwhile: no job is running,
 * so worker_free() waits for the thread. Called with the mutex held, and again after. */
static void wake_the_loop(struct worker *worker) {
  pthread_mutex_unlock(&worker->mutex);
  ev_async_send(worker->loop, &worker->wake_loop);
  pthread_mutex_lock(&worker->mutex);
}

static void *work(void *data) {
  struct worker *worker = data;
  struct job *job;
  pthread_mutex_lock(&worker->mutex);
  while ((job = next_job(worker)) != NULL) {
    worker->running = true;
    pthread_mutex_unlock(&worker->mutex);
    job->run(job);
    pthread_mutex_lock(&worker->mutex);
    worker->running = false;
    if (worker->leaving) {
      abandon(job);
    } else {
      jobs_push(&worker->finished, job);
      wake_the_loop(worker);
    }
  }
  bool abandoned = worker->abandoned;
  pthread_mutex_unlock(&worker->mutex);
  if (abandoned) {
    destroy(worker);
  }
  return NULL;
}

/* The loop's thread. */

static void hold_loop(struct worker *worker) {
  if (worker->under_way++ == 0) {
    ev_ref(worker->loop);
  }
}

static void let_loop_go(struct worker *worker) {
  if (--worker->under_way == 0) {
    ev_unref(worker->loop);
  }
}

/* Reports one job and looks for the next in another event: a done may free the worker. */
static void report_finished(struct ev_loop *loop, ev_async *wake_loop, int events) {
  (void)events;
  struct worker *worker = wake_loop->data;
  pthread_mutex_lock(&worker->mutex);
  struct job *job = jobs_pop(&worker->finished);
  bool more = worker->finished.first != NULL;
  pthread_mutex_unlock(&worker->mutex);
  if (more) {
    ev_feed_event(loop, wake_loop, EV_ASYNC);
  }
  if (job != NULL) {
    let_loop_go(worker);
    job->done(job);
  }
}

/* Starts the thread with all signals blocked: they are the program's own affair. */
static int start_thread(struct worker *worker) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int status = pthread_create(&worker->thread, NULL, work, worker);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return status;
}

struct worker *worker_new(struct ev_loop *loop, evd_error *error) {
  struct worker *worker = calloc(1, sizeof *worker);
  if (worker == NULL) {
    error_set_no_memory(error);
    return NULL;
  }
  worker->loop = loop;
  jobs_clear(&worker->waiting);
  jobs_clear(&worker->finished);
  pthread_mutex_init(&worker->mutex, NULL);
  pthread_cond_init(&worker->wake_worker, NULL);
  ev_async_init(&worker->wake_loop, report_finished);
  worker->wake_loop.data = worker;
  int status = start_thread(worker);
  if (status != 0) {
    error_set(error, EVD_ENOMEM, "", "cannot start a thread: %s", strerror(status));
    destroy(worker);
    return NULL;
  }
  ev_async_start(loop, &worker->wake_loop);
  ev_unref(loop);
  return worker;
}

void worker_submit(struct worker *worker, struct job *job) {
  hold_loop(worker);
  pthread_mutex_lock(&worker->mutex);
  jobs_push(&worker->waiting, job);
  pthread_cond_signal(&worker->wake_worker);
  pthread_mutex_unlock(&worker->mutex);
}

void worker_free(struct worker *worker) {
  if (worker == NULL) {
    return;
  }
  if (worker->under_way == 0) {
    ev_ref(worker->loop);
  }
  ev_async_stop(worker->loop, &worker->wake_loop);

  pthread_mutex_lock(&worker->mutex);
  abandon_all(&worker->finished);
  abandon_all(&worker->waiting);
  worker->leaving = true;
  worker->abandoned = worker->running;
  bool abandoned = worker->abandoned;
  pthread_t thread = worker->thread;
  pthread_cond_signal(&worker->wake_worker);
  pthread_mutex_unlock(&worker->mutex);

  if (abandoned) {
    pthread_detach(thread);
  } else {
    pthread_join(thread, NULL);
    destroy(worker);
  }
}
