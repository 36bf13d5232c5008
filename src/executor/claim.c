/*
 * Claims executions of the tasks that are known here, as many as there are free slots, and threads.
 * Tasks with a limit of their own are claimed each by itself, with its free slots; all others that
 * block together, and all others. So no execution is held here that does not run.
 */
#include "executor/claim.h"

#include <stdlib.h>

#include "executor/run.h"
#include "executor/transitions.h"
#include "model/error.h"

/* One claim of a round. */
struct claim {
  struct evd_executor *executor;
  int64_t limit;
};

/* If it failed, the row is left to its lease. */
static void given_back(evd_future *future, void *data) {
  struct evd_executor *executor = data;
  if (evd_future_code(future) != EVD_OK) {
    executor_trouble(executor, evd_future_error(future));
  }
  executor_answered(executor);
}

/* A row that nobody here can run: back to the others. */
static void give_back(struct evd_executor *executor, const evd_execution *row) {
  evd_changes changes = {0};
  const evd_filter mine = {
      .status = EVD_STATUS_RUNNING, .executor_id = executor->id, .started_at = row->started_at};
  transition_to_status(&changes, EVD_STATUS_READY, evd_now());
  evd_set(&changes, start_at, row->start_at);
  executor->stats.given_back++;
  executor_then(executor, evd_update(executor->storage, row->execution_id, &mine, &changes),
                given_back, executor);
}

/* Starts a claimed row. Without memory it is left to its lease. */
static void begin_row(struct evd_executor *executor, const evd_execution *row) {
  struct task *task = tasks_find(&executor->tasks, row->task_id);
  struct evd_run *run = run_find(executor, row->execution_id);
  if (run != NULL && run_claimed_again(run, row)) {
    return;
  }
  if (run != NULL || task == NULL || executor->state != EXECUTOR_STARTED) {
    give_back(executor, row);
  } else {
    run_begin(executor, task, row);
  }
}

static void claimed(evd_future *future, void *data) {
  struct claim *claim = data;
  struct evd_executor *executor = claim->executor;
  const size_t limit = (size_t)claim->limit;
  const evd_execution *rows;
  size_t count;
  evd_code code = evd_future_rows(future, &rows, &count);
  free(claim);
  executor->stats.polls++;
  executor->stats.polls_empty += code == EVD_OK && count == 0;
  executor->stats.claimed += count;
  if (count == limit) {
    executor->claims_left = 0; /* there may be more of these */
  }
  executor_take_rows(executor, &executor->claim, future, limit, begin_row);
}

/* Begins a claim of these tasks; false if memory ran out. */
static bool begin_claim(struct evd_executor *executor, const char *const *ids, size_t count,
                        int64_t limit) {
  int64_t now = evd_now();
  evd_changes changes = {0};
  const evd_due due = {.status = EVD_STATUS_READY,
                       .start_at_before = now + 1,
                       .started_at = now + executor->options.lease_ms,
                       .task_ids = ids,
                       .task_id_count = count};
  struct claim *claim = malloc(sizeof *claim);
  if (claim == NULL) {
    return false;
  }
  *claim = (struct claim){executor, limit};
  transition_to_status(&changes, EVD_STATUS_RUNNING, now);
  evd_set(&changes, executor_id, executor->id);
  evd_set(&changes, started_at, executor_started_at(executor, now));
  if (executor_then(executor, evd_claim_by_start_at(executor->storage, &due, &changes, limit),
                    claimed, claim)) {
    step_sent(&executor->claim);
    return true;
  }
  free(claim);
  return false;
}

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* Tasks that are claimed together. */
struct list {
  size_t count; /* their ids are in tasks->ids */
  bool blocking;
  int64_t limit;
};

/* Puts the tasks without a limit of their own together that block, or that do not. */
static void list_unlimited(struct evd_executor *executor, bool blocking, struct list *list) {
  *list = (struct list){.blocking = blocking, .limit = executor->options.claim_max};
  for (struct task *task = executor->tasks.by_id; task != NULL; task = task->hh.next) {
    if (task_is_run(task) && task->task.run_max == 0 && task->task.blocking == blocking) {
      executor->tasks.ids[list->count++] = task->task.id;
    }
  }
}

/* The list with this number: the two of tasks without a limit of their own, then each task that has
 * one. False if there are no more. */
static bool take_list(struct evd_executor *executor, size_t number, struct list *list) {
  if (number < 2) {
    list_unlimited(executor, number == 1, list);
    return true;
  }
  number -= 2;
  for (struct task *task = executor->tasks.by_id; task != NULL; task = task->hh.next) {
    if (!task_is_run(task) || task->task.run_max == 0 || number-- > 0) {
      continue;
    }
    executor->tasks.ids[0] = task->task.id;
    *list = (struct list){
        .count = 1,
        .blocking = task->task.blocking,
        .limit = smaller(task->task.run_max - task->running, executor->options.claim_max)};
    return true;
  }
  return false;
}

/* Claims for a list as many as there are slots, and threads. False if that is none. */
static bool claim_list(struct evd_executor *executor, const struct list *list) {
  int64_t limit = smaller(list->limit, executor->options.run_max - executor->running);
  if (list->blocking) {
    limit = smaller(limit, executor->options.threads_max - executor->blocking);
  }
  return list->count > 0 && limit > 0 &&
         begin_claim(executor, executor->tasks.ids, list->count, limit);
}

static size_t count_lists(struct evd_executor *executor) {
  struct list list;
  size_t count = 0;
  while (executor->tasks.by_id != NULL && take_list(executor, count, &list)) {
    count++;
  }
  return count;
}

/* A round is one claim: claims at the same time may hide rows from each other, as they pass over
 * what another has locked. The lists have their turns one after the other. */
void claim_begin(struct step *step) {
  struct evd_executor *executor = step->data;
  struct list list;
  bool sent = false;
  const size_t lists = count_lists(executor);
  executor->full = executor->options.run_max - executor->running < executor->options.claim_max;
  if (executor->claims_left == 0 || executor->claims_left > lists) {
    executor->claims_left = lists;
  }
  while (executor->claims_left > 0 && !sent) {
    executor->claims_left--;
    executor->claims_next = executor->claims_next < lists ? executor->claims_next : 0;
    sent = take_list(executor, executor->claims_next++, &list) && claim_list(executor, &list);
  }
  if (executor->claims_left > 0) {
    step_hint(step);
  }
}
