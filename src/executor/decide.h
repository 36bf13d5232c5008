/* What the end of a run writes: decided here, without doing anything. */
#ifndef EXECUTOR_DECIDE_H
#define EXECUTOR_DECIDE_H

#include <stddef.h>

#include "executor/ending.h"
#include "executor/tasks.h"

/* What a decision is about. */
struct question {
  const struct tasks *tasks;
  const struct task *task;
  const evd_execution *execution; /* as it was claimed */
  double retry_jitter;
  bool is_finalizing; /* its children have finished: */
  const evd_execution *children;
  size_t child_count;
};

/* What is written, and what it means. */
struct decision {
  evd_status status;       /* that the execution will have */
  evd_changes changes;     /* their texts are the ending's, or in `texts` */
  evd_execution *children; /* to be inserted */
  size_t child_count;
  int64_t start_at;       /* when it is ready again */
  bool closed;            /* with the same write */
  bool others_may_insert; /* the same children, if this one is late */
  enum decision_reason { BECAUSE_ENDED, BECAUSE_RETRY, BECAUSE_SNOOZE, BECAUSE_GIVEN_BACK } reason;
  evd_execution **owned; /* the children, each by itself */
  char *texts[4];
  size_t text_count;
};

/* `decision` is overwritten; release it with decision_clear(). */
void decide(const struct question *question, const struct ending *ending,
            struct decision *decision);

void decision_clear(struct decision *decision);

#endif
