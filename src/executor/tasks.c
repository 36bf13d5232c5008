/* The registry of tasks. */
#include "executor/tasks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/check.h"
#include "model/error.h"

static evd_code not_negative(const evd_task *task, int64_t value, const char *field,
                             evd_error *error) {
  return value >= 0
             ? EVD_OK
             : error_set(error, EVD_EINVAL, field, "task %s: %s is negative", task->id, field);
}

static evd_code check_retry(const evd_task *task, evd_error *error) {
  const evd_retry_options *retry = &task->retry;
  evd_code code = not_negative(task, retry->max_attempts, "max_attempts", error);
  if (code == EVD_OK && retry->base_delay_ms != EVD_NONE) {
    code = not_negative(task, retry->base_delay_ms, "base_delay_ms", error);
  }
  if (code == EVD_OK && retry->max_delay_ms != EVD_NONE) {
    code = not_negative(task, retry->max_delay_ms, "max_delay_ms", error);
  }
  if (code == EVD_OK && (!isfinite(retry->delay_multiplier) || retry->delay_multiplier < 0)) {
    return error_set(error, EVD_EINVAL, "delay_multiplier",
                     "task %s: delay_multiplier is not a number of at least 0", task->id);
  }
  return code;
}

static size_t count_sequence(const evd_task *task) {
  size_t count = 0;
  while (task->sequence != NULL && task->sequence[count] != NULL) {
    count++;
  }
  return count;
}

static evd_code check_sequence(const evd_task *task, evd_error *error) {
  evd_code code = EVD_OK;
  size_t count = count_sequence(task);
  if (task->sequence == NULL) {
    return EVD_OK;
  }
  if (count == 0 || task->run != NULL || task->finalize != NULL || task->finalize_task != NULL) {
    return error_set(error, EVD_EINVAL, "sequence", "task %s: a sequence %s", task->id,
                     count == 0 ? "needs a task" : "has no run, finalize or finalize_task");
  }
  for (size_t i = 0; code == EVD_OK && i < count; i++) {
    code = check_id(task->sequence[i], "sequence", EVD_ID_MAX, error);
  }
  return code;
}

static evd_code check_task(const evd_task *task, evd_error *error) {
  evd_code code = check_id(task->id, "id", EVD_ID_MAX, error);
  if (code == EVD_OK) {
    code = not_negative(task, task->timeout_ms, "timeout_ms", error);
  }
  if (code == EVD_OK) {
    code = not_negative(task, task->sleep_ms_before_run, "sleep_ms_before_run", error);
  }
  if (code == EVD_OK) {
    code = not_negative(task, task->run_max, "run_max", error);
  }
  if (code == EVD_OK && task->finalize != NULL && task->finalize_task != NULL) {
    return error_set(error, EVD_EINVAL, "finalize_task",
                     "task %s: it has both finalize and finalize_task", task->id);
  }
  if (code == EVD_OK && task->finalize_task != NULL) {
    code = check_id(task->finalize_task, "finalize_task", EVD_ID_MAX, error);
  }
  if (code == EVD_OK) {
    code = check_retry(task, error);
  }
  return code == EVD_OK ? check_sequence(task, error) : code;
}

static void free_task(struct task *task) {
  for (size_t i = 0; task->task.sequence != NULL && task->task.sequence[i] != NULL; i++) {
    free((void *)task->task.sequence[i]);
  }
  free((void *)task->task.sequence);
  free((void *)task->task.finalize_task);
  free((void *)task->task.id);
  free(task->retry);
  free(task);
}

char *tasks_retry_json(const evd_retry_options *retry) {
  evd_retry_options given = *retry;
  given.base_delay_ms = given.base_delay_ms != 0 ? given.base_delay_ms : EVD_NONE;
  given.max_delay_ms = given.max_delay_ms != 0 ? given.max_delay_ms : EVD_NONE;
  return evd_retry_options_to_json(&given);
}

/* Gives a task its own copy of a sequence; false if memory ran out. */
static bool copy_sequence(struct task *task, const char *const *sequence) {
  const char **copy = calloc(task->sequence_length + 1, sizeof *copy);
  task->task.sequence = copy;
  for (size_t i = 0; copy != NULL && i < task->sequence_length; i++) {
    copy[i] = strdup(sequence[i]);
    if (copy[i] == NULL) {
      return false;
    }
  }
  return copy != NULL;
}

/* A copy; NULL if memory ran out. */
static struct task *copy_task(const evd_task *task) {
  struct task *copy = calloc(1, sizeof *copy);
  if (copy == NULL) {
    return NULL;
  }
  copy->task = *task;
  copy->task.id = strdup(task->id);
  copy->task.finalize_task = task->finalize_task != NULL ? strdup(task->finalize_task) : NULL;
  copy->task.sequence = NULL;
  copy->retry = tasks_retry_json(&task->retry);
  copy->sequence_length = count_sequence(task);
  bool good = task->sequence == NULL || copy_sequence(copy, task->sequence);
  good = good && (task->finalize_task == NULL) == (copy->task.finalize_task == NULL);
  if (!good || copy->task.id == NULL || copy->retry == NULL) {
    free_task(copy);
    return NULL;
  }
  return copy;
}

/* Makes room for the ids of so many tasks; false if memory ran out. */
static bool make_room(struct tasks *tasks, size_t count) {
  const char **ids = realloc((void *)tasks->ids, count * sizeof *ids);
  if (ids == NULL) {
    return false;
  }
  tasks->ids = ids;
  return true;
}

evd_code tasks_add(struct tasks *tasks, const evd_task *task, evd_error *error) {
  evd_code code = check_task(task, error);
  size_t count = HASH_COUNT(tasks->by_id) + 1;
  if (code != EVD_OK) {
    return code;
  }
  if (tasks_find(tasks, task->id) != NULL) {
    return error_set(error, EVD_EDUPLICATE, "id", "there is a task %s already", task->id);
  }
  if (count > EVD_TASK_IDS_MAX) {
    return error_set(error, EVD_EINVAL, "id", "an executor has at most %d tasks", EVD_TASK_IDS_MAX);
  }
  struct task *added = make_room(tasks, count) ? copy_task(task) : NULL;
  if (added == NULL) {
    return error_set_no_memory(error);
  }
  HASH_ADD_KEYPTR(hh, tasks->by_id, added->task.id, strlen(added->task.id), added);
  if (added->hh.tbl == NULL) {
    free_task(added);
    return error_set_no_memory(error);
  }
  return EVD_OK;
}

struct task *tasks_find(const struct tasks *tasks, const char *id) {
  struct task *task;
  HASH_FIND_STR(tasks->by_id, id, task);
  return task;
}

bool task_is_run(const struct task *task) {
  return task->task.run != NULL || task->task.sequence != NULL;
}

void tasks_free(struct tasks *tasks) {
  struct task *task = tasks->by_id;
  HASH_CLEAR(hh, tasks->by_id);
  while (task != NULL) {
    struct task *next = task->hh.next;
    free_task(task);
    task = next;
  }
  free((void *)tasks->ids);
}

size_t tasks_list(struct tasks *tasks) {
  size_t count = 0;
  for (struct task *task = tasks->by_id; task != NULL; task = task->hh.next) {
    tasks->ids[count++] = task->task.id;
  }
  return count;
}
