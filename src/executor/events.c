/* What happened, and which steps may have work now. */
#include "executor/events.h"

#include "executor/wait.h"

void event_claimable(struct evd_executor *executor) {
  executor->claims_left = 0; /* the lists have all their turns from now */
  step_hint(&executor->claim);
}

void event_due(struct evd_executor *executor, const char *task_id, int64_t start_at) {
  int64_t now = evd_now();
  const struct task *task = tasks_find(&executor->tasks, task_id);
  if (task == NULL || !task_is_run(task)) {
    return;
  }
  if (start_at <= now) {
    event_claimable(executor);
  } else {
    step_hint_in(&executor->claim, (double)(start_at - now) / 1e3);
  }
}

void event_finished(struct evd_executor *executor, const char *execution_id, bool closed) {
  wait_finished(executor, execution_id);
  if (!closed) {
    step_hint(&executor->close);
  }
}

void event_spawned(struct evd_executor *executor, size_t children) {
  if (children > 0) {
    event_claimable(executor);
  } else {
    step_hint(&executor->parents);
  }
}

void event_slot_freed(struct evd_executor *executor, const struct task *task) {
  int32_t task_max = task->task.run_max;
  bool task_was_full = task_max > 0 && task->running + 1 >= task_max;
  bool threads_were_full =
      task->task.blocking && executor->blocking + 1 >= executor->options.threads_max;
  if (executor->full || task_was_full || threads_were_full) {
    event_claimable(executor);
  }
}
