/* New executions. */
#include "executor/spec.h"

#include <stdlib.h>
#include <string.h>

#include "model/error.h"

/* Fills it in; its texts are those of the specification and the task. */
static void fill_in(const struct task *task, const evd_spec *spec, const char *id,
                    const char *retry, evd_execution *execution) {
  const char *input = spec->input != NULL ? spec->input : "null";
  evd_run_options options = {.retry_options = retry,
                             .timeout_ms = spec->timeout_ms,
                             .sleep_ms_before_run = spec->sleep_ms_before_run};
  if (options.sleep_ms_before_run == 0 && task != NULL) {
    options.sleep_ms_before_run = task->task.sleep_ms_before_run;
  } else if (options.sleep_ms_before_run == -1) {
    options.sleep_ms_before_run = 0;
  }
  if (task != NULL) {
    options.retry_options = retry != NULL ? retry : task->retry;
    options.timeout_ms = spec->timeout_ms != 0 ? spec->timeout_ms : task->task.timeout_ms;
    options.are_children_sequential = task->task.sequence != NULL;
  }
  if (spec->unique_id != NULL) {
    evd_execution_init_sleeping(execution, id, spec->task_id, spec->unique_id, input, &options);
  } else {
    evd_execution_init(execution, id, spec->task_id, input, &options);
    execution->start_at -= spec->head_start_ms;
  }
}

static evd_execution *check_and_copy(const evd_execution *execution, evd_error *error) {
  if (evd_execution_check(execution, error) != EVD_OK) {
    return NULL;
  }
  evd_execution *copy = evd_execution_copy(execution);
  if (copy == NULL) {
    error_set_no_memory(error);
  }
  return copy;
}

static evd_code check_spec(const struct task *task, const evd_spec *spec, evd_error *error) {
  if (spec->head_start_ms < 0) {
    return error_set(error, EVD_EINVAL, "head_start_ms", "head_start_ms is negative");
  }
  if (task != NULL && spec->unique_id == NULL && !task_is_run(task)) {
    return error_set(error, EVD_EINVAL, "unique_id",
                     "unique_id is NULL, and %s is a sleeping task: nothing could wake it up",
                     spec->task_id);
  }
  if (task != NULL && spec->unique_id != NULL && task_is_run(task)) {
    return error_set(error, EVD_EINVAL, "unique_id", "%s is no sleeping task: it has no unique id",
                     spec->task_id);
  }
  return EVD_OK;
}

evd_execution *spec_execution(const struct tasks *tasks, const evd_spec *spec,
                              const struct place *place, evd_error *error) {
  evd_execution execution;
  char made[EVD_ID_SIZE];
  const char *id = spec->execution_id;
  char *retry = NULL;
  if (spec->task_id == NULL) {
    error_set(error, EVD_EINVAL, "task_id", "task_id is NULL");
    return NULL;
  }
  const struct task *task = tasks_find(tasks, spec->task_id);
  if (check_spec(task, spec, error) != EVD_OK) {
    return NULL;
  }
  if (spec->retry != NULL && (retry = tasks_retry_json(spec->retry)) == NULL) {
    error_set_no_memory(error);
    return NULL;
  }
  if (id == NULL) {
    evd_id_generate(made);
    id = made;
  }
  fill_in(task, spec, id, retry, &execution);
  if (place != NULL) {
    evd_execution_set_parent(&execution, place->parent, place->index, place->is_only,
                             place->is_finalize);
  }
  evd_execution *copy = check_and_copy(&execution, error);
  free(retry);
  return copy;
}

/* Copies. */

static size_t text_size(const char *text) {
  return text != NULL ? strlen(text) + 1 : 0;
}

static const char *copy_text(const char *text, char **to) {
  size_t size = text_size(text);
  char *copy = *to;
  if (text == NULL) {
    return NULL;
  }
  memcpy(copy, text, size);
  *to += size;
  return copy;
}

evd_spec *spec_copy_all(const evd_spec *specs, size_t count) {
  size_t texts = 0;
  for (size_t i = 0; i < count; i++) {
    texts += text_size(specs[i].task_id) + text_size(specs[i].input) +
             text_size(specs[i].execution_id) + text_size(specs[i].unique_id);
  }
  evd_spec *copies = malloc((count + 1) * (sizeof *copies + sizeof(evd_retry_options)) + texts);
  if (copies == NULL) {
    return NULL;
  }
  evd_retry_options *retries = (evd_retry_options *)(void *)(copies + count);
  char *text = (char *)(retries + count);
  for (size_t i = 0; i < count; i++) {
    copies[i] = specs[i];
    copies[i].task_id = copy_text(specs[i].task_id, &text);
    copies[i].input = copy_text(specs[i].input, &text);
    copies[i].execution_id = copy_text(specs[i].execution_id, &text);
    copies[i].unique_id = copy_text(specs[i].unique_id, &text);
    if (specs[i].retry != NULL) {
      retries[i] = *specs[i].retry;
      copies[i].retry = &retries[i];
    }
  }
  return copies;
}
