/* What happened here, told to the steps that may have work now. These only make it faster: what is
 * missed, a step finds by itself. */
#ifndef EXECUTOR_EVENTS_H
#define EXECUTOR_EVENTS_H

#include "executor/executor.h"

/* There is something to claim, of any task. */
void event_claimable(struct evd_executor *executor);

/* An execution of this task is due at this time. */
void event_due(struct evd_executor *executor, const char *task_id, int64_t start_at);

/* An execution has finished; `closed` with the same write. */
void event_finished(struct evd_executor *executor, const char *execution_id, bool closed);

/* Children were stored; or none, of a parent that waits for no more. */
void event_spawned(struct evd_executor *executor, size_t children);

/* A slot is free that a run of this task had. */
void event_slot_freed(struct evd_executor *executor, const struct task *task);

#endif
