/*
 * A run: one attempt, from its claim until its outcome is stored and its code has ended it.
 *
 *   code:     HAS IT ──ending call──> DONE
 *   outcome:  OPEN ──ending call, or given up──> STORING ──> SETTLED
 *
 * The slot is free, and the run is freed, when both are at their end. A stop (time-out,
 * cancellation, execution lost, executor stops) tells the code. What it has not ended after the
 * grace is given up: then the executor stores the outcome, and what the code ends later stores
 * nothing.
 *
 * A parent whose children have finished has a run, too, for its finalize function, or for what the
 * executor does in its place. It takes no slot.
 */
#ifndef EXECUTOR_RUN_H
#define EXECUTOR_RUN_H

#include <stdatomic.h>

#include "executor/decide.h"
#include "executor/ending.h"
#include "executor/executor.h"

struct evd_run {
  UT_hash_handle hh; /* by execution id, until its outcome is settled */
  struct evd_executor *executor;
  struct task *task;
  evd_execution *execution; /* owned: as it was claimed */
  int64_t started_at;       /* of the claim by which the execution is ours */
  int64_t expires_at;       /* of its lease */
  double began;             /* clock_seconds() */
  ev_timer timer;           /* the time-out; after a stop the grace */
  _Atomic evd_stop_reason stopped;
  evd_stop_callback on_stop;
  void *on_stop_data;
  struct ending ending;
  evd_future *children; /* of a parent: that of evd_get_by_parent(); else NULL */
  bool code_has_it;
  bool on_thread; /* the code is on a thread of the pool */
  enum { RUN_OPEN, RUN_STORING, RUN_SETTLED } outcome;
  struct decision decision; /* while it is stored */
  int refused;              /* how often the database has refused what was to be stored */
};

/* Starts a run of a claimed execution; takes a slot. If memory runs out, the execution is left to
 * its lease. */
void run_begin(struct evd_executor *executor, struct task *task, const evd_execution *row);

/* The same of a parent whose children have finished. Keeps the future, which has the children. */
void run_begin_parent(struct evd_executor *executor, struct task *task, const evd_execution *row,
                      evd_future *children);

/* The run of an execution that runs here; NULL. */
struct evd_run *run_find(const struct evd_executor *executor, const char *execution_id);

/* The execution was claimed again by this executor, as the loop was blocked past the lease: the run
 * that goes on has it. False if its outcome is on its way: it is not. */
bool run_claimed_again(struct evd_run *run, const evd_execution *row);

/* The function of a run on a thread has returned. On the loop. */
void run_thread_ended(struct evd_run *run);

/* Asks a run to stop. After EVD_STOP_DRAINING another reason may follow; else the first counts. */
void run_stop(struct evd_run *run, evd_stop_reason reason);

/* Asks all to stop as the executor does; gives up those that have not ended since. */
void run_drain_all(struct evd_executor *executor);
void run_give_up_all(struct evd_executor *executor);

#endif
