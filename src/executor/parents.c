/*
 * Going on with parents whose children have finished: reads the children, and begins a run that
 * decides what follows. What fails on the way is done again when the lease is over.
 */
#include "executor/parents.h"

#include <stdlib.h>

#include "executor/run.h"
#include "executor/transitions.h"

/* The lease is longer than a finalize function may take (run.c), and its outcome. */
enum { PARENTS_LIMIT = 100, PARENTS_LEASE_MS = 120000 };

/* A parent whose children are being read. */
struct parent {
  struct evd_executor *executor;
  evd_execution *row; /* owned */
};

static void free_parent(struct parent *parent) {
  free(parent->row);
  free(parent);
}

static void got_children(evd_future *future, void *data) {
  struct parent *parent = data;
  struct evd_executor *executor = parent->executor;
  struct task *task = tasks_find(&executor->tasks, parent->row->task_id);
  if (evd_future_code(future) != EVD_OK) {
    executor_trouble(executor, evd_future_error(future));
  } else if (task != NULL) {
    run_begin_parent(executor, task, parent->row, future);
  }
  free_parent(parent);
  executor_answered(executor);
}

static void begin_parent(struct evd_executor *executor, const evd_execution *row) {
  struct parent *parent = calloc(1, sizeof *parent);
  evd_execution *copy = evd_execution_copy(row);
  if (parent == NULL || copy == NULL) {
    free(parent);
    free(copy);
    return;
  }
  *parent = (struct parent){executor, copy};
  evd_future *future = evd_get_by_parent(executor->storage, copy->execution_id);
  if (!executor_then(executor, future, got_children, parent)) {
    free_parent(parent);
  }
}

static void claimed(evd_future *future, void *data) {
  struct evd_executor *executor = data;
  executor_take_rows(executor, &executor->parents, future, PARENTS_LIMIT, begin_parent);
}

void parents_begin(struct step *step) {
  struct evd_executor *executor = step->data;
  int64_t now = evd_now();
  evd_changes changes = {0};
  const size_t count = tasks_list(&executor->tasks);
  const evd_parents parents = {.status = EVD_STATUS_WAITING_FOR_CHILDREN,
                               .ocfp_status = EVD_OCFP_IDLE,
                               .task_ids = executor->tasks.ids,
                               .task_id_count = count};
  if (count == 0) {
    return;
  }
  transition_to_ocfp(&changes, EVD_OCFP_PROCESSING, now);
  evd_set(&changes, on_children_finished_processing_expires_at, now + PARENTS_LEASE_MS);
  evd_future *future =
      evd_claim_by_children_finished(executor->storage, &parents, &changes, PARENTS_LIMIT);
  if (executor_then(executor, future, claimed, executor)) {
    step_sent(step);
  }
}
