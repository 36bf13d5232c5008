/* The tasks that an executor knows. */
#ifndef EXECUTOR_TASKS_H
#define EXECUTOR_TASKS_H

#include <evdurable/executor.h>

#include "model/hash.h"

struct task {
  UT_hash_handle hh;
  evd_task task;          /* its texts are this task's own */
  char *retry;            /* retry_options as JSON */
  size_t sequence_length; /* of task.sequence */
  int32_t running;        /* runs here */
};

struct tasks {
  struct task *by_id;
  const char **ids; /* room for all ids: the list of a claim */
};

evd_code tasks_add(struct tasks *tasks, const evd_task *task, evd_error *error);
struct task *tasks_find(const struct tasks *tasks, const char *id);

/* Whether an attempt is made of it here: it is no sleeping task. */
bool task_is_run(const struct task *task);

/* Lists the ids of all tasks in tasks->ids; how many there are. */
size_t tasks_list(struct tasks *tasks);

void tasks_free(struct tasks *tasks);

/* Retry options as JSON, where 0 stands for what is not given; NULL if memory ran out. */
char *tasks_retry_json(const evd_retry_options *retry);

#endif
