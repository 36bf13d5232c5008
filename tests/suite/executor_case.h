/* What the tests of the executor share: one executor on the test's storage. */
#ifndef SUITE_EXECUTOR_CASE_H
#define SUITE_EXECUTOR_CASE_H

#include "suite/suite.h"

/* The test's executor, from executor_start() to executor_stop(). */
extern evd_executor *executor;

/* Makes and starts it, with these tasks. Leftovers of a test before are forgotten. */
void executor_start(const evd_task *tasks, size_t count, evd_executor_options options);

/* Stops it, giving back at once what runs. */
void executor_stop(void);

/* Enqueues; the id, which lives until the test ends. */
const char *executor_enqueue(evd_spec spec);

/* Waits for the end of an execution: its row. */
const evd_execution *executor_finished(const char *id);

evd_executor_stats executor_stats(void);

/* Runs the loop until the condition holds. */
#define run_until(condition)          \
  do {                                \
    while (!(condition)) {            \
      ev_run(suite.loop, EVRUN_ONCE); \
    }                                 \
  } while (0)

/* Waits until the execution and all below it are finished and closed: the tree's rows. */
const evd_execution *executor_tree_closed(const char *id, size_t *count);

/* Makes all leases of a tree end now, but those of runs of this executor (NULL: of all). */
void executor_end_leases(const char *id, const char *but);

/* The number that a text begins with. */
long number(const char *text);

/* Tasks that many tests need. Those that hold keep their run in `held` (newest), and count. */
extern evd_run *held;
extern int calls;
void echo(evd_run *run, void *data);      /* its output is its input */
void fail_once(evd_run *run, void *data); /* fails for good, with the message "no" */
void hold(evd_run *run, void *data);      /* does not end it */

#endif
