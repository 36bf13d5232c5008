/*
 * The executor's own: what its files share.
 *
 *   NEW ──evd_executor_start──> STARTED ──evd_executor_stop──> DRAINING ──all ended──> STOPPED
 *
 * Its work is done by steps (step.h). What happens in one hints at those that may have work now
 * (events.h); no step calls another, and none depends on a hint.
 */
#ifndef EXECUTOR_EXECUTOR_H
#define EXECUTOR_EXECUTOR_H

#include <evdurable/executor.h>

#include "executor/step.h"
#include "executor/tasks.h"

struct evd_run;
struct threads;
struct waiter;

struct evd_executor {
  evd_storage *storage;
  struct ev_loop *loop;
  evd_executor_options options; /* with the defaults filled in; its id is `id` */
  char *id;
  enum { EXECUTOR_NEW, EXECUTOR_STARTED, EXECUTOR_DRAINING, EXECUTOR_STOPPED } state;
  struct tasks tasks;
  struct evd_run *runs;     /* by execution id: those whose outcome is not settled */
  struct evd_run *next_run; /* while all runs are gone through: the one whose turn is next */
  int32_t running;          /* slots taken */
  int32_t blocking;         /* of these, by runs of blocking tasks */
  size_t under_way;         /* what has to end before the executor can: operations, finalizes */
  struct threads *threads;
  struct waiter *waiters;  /* by execution id */
  struct step claim;       /* claim.c */
  struct step close;       /* close.c: counts down, and closes */
  struct step parents;     /* parents.c */
  struct step cancel;      /* cancel.c */
  struct step recover;     /* recover.c */
  int recovery;            /* the one of its round whose turn it is */
  bool full;               /* the last round of claims was short of slots */
  size_t claims_left;      /* lists of tasks that have not had their turn */
  size_t claims_next;      /* the list whose turn is next */
  int64_t last_started_at; /* of a claim */
  ev_timer drain;          /* the end of the drain time */
  evd_future *stopping;    /* a maker's reference */
  evd_executor_stats stats;
};

/* Attaches a callback to an operation, which ends with executor_answered(). False after the future
 * failed for want of memory: the callback is then never called. */
bool executor_then(struct evd_executor *executor, evd_future *future, evd_callback callback,
                   void *data);

/* What was counted in under_way has ended. May free the executor, if it stops: call it last. */
void executor_answered(struct evd_executor *executor);

/* Ends the stop, when nothing is left that could call back. May free the executor: call it last. */
void executor_end_stop(struct evd_executor *executor);

/* Tells the hook. */
void executor_tell(struct evd_executor *executor, const evd_executor_event *event);

/* Tells the hook of an operation that failed. */
void executor_trouble(struct evd_executor *executor, const evd_error *error);

/* Ends an operation of a step that claims at most `limit` rows: takes each of them. May free the
 * executor: call it last. */
void executor_take_rows(struct evd_executor *executor, struct step *step, evd_future *future,
                        size_t limit,
                        void (*take)(struct evd_executor *executor, const evd_execution *row));

/* How an operation of a step ended that finds at most `limit`; tells the hook if it failed. */
enum step_end executor_found(struct evd_executor *executor, const evd_future *future, int64_t count,
                             int64_t limit);

/* started_at of a claim: now, and different from that of any claim before. */
int64_t executor_started_at(struct evd_executor *executor, int64_t now);

void executor_free(struct evd_executor *executor);

#endif
