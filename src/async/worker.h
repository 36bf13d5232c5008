/*
 * A thread that runs jobs in order, for calls that may block: SQLite, name resolution, handshakes.
 */
#ifndef ASYNC_WORKER_H
#define ASYNC_WORKER_H

#include <evdurable/error.h>

struct ev_loop;
struct worker;

/* A job. Embed it; the memory is the submitter's until done is called, and then again. */
struct job {
  void (*run)(struct job *job);  /* on the worker's thread */
  void (*done)(struct job *job); /* on the loop's thread, from the loop */
  /* In place of done when the worker is freed before: on the loop's thread (not begun) or the
   * worker's (running: after run). For the job's memory; may be NULL. */
  void (*abandoned)(struct job *job);
  struct job *next; /* the worker's */
};

/* Starts the thread. While no job is under way it holds no reference on the loop.
 * NULL with the error if no thread or memory is available. */
struct worker *worker_new(struct ev_loop *loop, evd_error *error);

/* Jobs run one after the other, in the order of submission. Loop's thread only. */
void worker_submit(struct worker *worker, struct job *job);

/*
 * Ends the worker: jobs not begun are abandoned, the one that is running is left to finish on its
 * own and then abandoned, and the thread frees itself. Waits for nothing but the end of a thread
 * that has no job, which takes a wake-up. Loop's thread only; not from within the run of a job. A
 * caller that wants its jobs done waits for them first.
 */
void worker_free(struct worker *worker); /* NULL is fine */

#endif
