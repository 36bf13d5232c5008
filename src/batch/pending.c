/* A pending request: the deep copy of what the caller gave, in one block of memory. */
#include "batch/pending.h"

#include <stdlib.h>
#include <string.h>

#include "model/execution.h"

/* Where the parts of a block begin: the struct with its key, then the records, then the texts. */
struct layout {
  size_t key_length;
  size_t changes;
  size_t executions;
  size_t task_ids;
  size_t texts;
  size_t bytes;
};

static size_t align(size_t offset) {
  size_t to = _Alignof(max_align_t);
  return (offset + to - 1) / to * to;
}

static size_t length_or_0(const char *text) {
  return text != NULL ? strlen(text) : 0;
}

static size_t key_length(const struct request *request) {
  const char *executor_id = request->filter.executor_id;
  return READ_KEY_PREFIX + length_or_0(request->id) +
         (executor_id != NULL ? 1 + strlen(executor_id) : 0);
}

static struct layout lay_out(const struct request *request) {
  struct layout layout;
  layout.key_length = key_length(request);
  layout.changes = align(offsetof(struct pending, key) + layout.key_length + 1);
  layout.executions =
      layout.changes + (request->changes != NULL ? align(sizeof *request->changes) : 0);
  layout.task_ids = layout.executions + request->execution_count * sizeof *request->executions;
  layout.texts = layout.task_ids + request->task_id_count * sizeof *request->task_ids;
  layout.bytes =
      layout.texts + (request->changes != NULL ? changes_text_size(request->changes) : 0);
  for (size_t i = 0; i < request->execution_count; i++) {
    layout.bytes += execution_text_size(&request->executions[i]);
  }
  for (size_t i = 0; i < request->task_id_count; i++) {
    layout.bytes += strlen(request->task_ids[i]) + 1;
  }
  return layout;
}

static int compare_texts(const void *a, const void *b) {
  const char *const *first = a;
  const char *const *second = b;
  return strcmp(*first, *second);
}

/* Copies the list of task ids, each once, in their order. How many there are. */
static size_t copy_task_ids(const char **to, const struct request *request, char **text) {
  size_t count = request->task_id_count;
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    size_t size = strlen(request->task_ids[i]) + 1;
    to[i] = memcpy(*text, request->task_ids[i], size);
    *text += size;
  }
  qsort(to, count, sizeof *to, compare_texts);
  for (size_t i = 0; i < count; i++) {
    if (kept == 0 || strcmp(to[kept - 1], to[i]) != 0) {
      to[kept++] = to[i];
    }
  }
  return kept;
}

size_t pending_key(const struct request *request, char key[READ_KEY_MAX]) {
  const evd_filter *filter = &request->filter;
  size_t length = length_or_0(request->id);
  char *end = key + READ_KEY_PREFIX + length;
  key[0] = (char)request->operation;
  key[1] = (char)filter->status;
  key[2] = (char)filter->is_sleeping_task;
  key[3] = (char)filter->is_finished;
  memcpy(key + 4, &filter->started_at, sizeof filter->started_at);
  if (length > 0) {
    memcpy(key + READ_KEY_PREFIX, request->id, length);
  }
  if (filter->executor_id != NULL) {
    *end++ = '\0';
    size_t executor_length = strlen(filter->executor_id);
    memcpy(end, filter->executor_id, executor_length);
    end += executor_length;
  }
  return (size_t)(end - key);
}

struct pending *pending_new(const struct request *request) {
  struct layout layout = lay_out(request);
  struct pending *pending = malloc(layout.bytes);
  if (pending == NULL) {
    return NULL;
  }
  memset(pending, 0, sizeof *pending);
  pending->request = *request;
  pending->bytes = layout.bytes;
  pending->last_future = &pending->futures;
  pending->key_length = pending_key(request, pending->key);
  pending->key[pending->key_length] = '\0';
  pending->request.id = request->id != NULL ? pending->key + READ_KEY_PREFIX : NULL;
  if (request->filter.executor_id != NULL) {
    pending->request.filter.executor_id =
        pending->key + pending->key_length - strlen(request->filter.executor_id);
  }

  char *block = (char *)pending;
  char *text = block + layout.texts;
  if (request->changes != NULL) {
    evd_changes *changes = (evd_changes *)(void *)(block + layout.changes);
    changes_copy_into(changes, request->changes, &text);
    pending->request.changes = changes;
  }
  if (request->execution_count > 0) {
    evd_execution *executions = (evd_execution *)(void *)(block + layout.executions);
    for (size_t i = 0; i < request->execution_count; i++) {
      execution_copy_into(&executions[i], &request->executions[i], &text);
    }
    pending->request.executions = executions;
  }
  if (request->task_id_count > 0) {
    const char **task_ids = (const char **)(void *)(block + layout.task_ids);
    pending->request.task_id_count = copy_task_ids(task_ids, request, &text);
    pending->request.task_ids = task_ids;
  }
  return pending;
}

void pending_free(struct pending *pending) {
  records_release(pending->request.rows);
  free(pending);
}

void pending_add_future(struct pending *pending, evd_future *future) {
  *future_link(future) = NULL;
  *pending->last_future = future;
  pending->last_future = future_link(future);
  pending->future_count++;
}

void pending_remove_future(struct pending *pending, evd_future *future) {
  evd_future **at = &pending->futures;
  while (*at != future) {
    at = future_link(*at);
  }
  *at = *future_link(future);
  if (pending->last_future == future_link(future)) {
    pending->last_future = at;
  }
  pending->future_count--;
}

static evd_future *pop_future(struct pending *pending) {
  evd_future *future = pending->futures;
  if (future != NULL) {
    pending_remove_future(pending, future);
  }
  return future;
}

static enum result_kind result_kind_of(evd_operation operation) {
  switch (operation) {
  case EVD_OPERATION_GET:
  case EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID: return RESULT_ROW;
  case EVD_OPERATION_CLAIM_BY_START_AT:
  case EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED:
  case EVD_OPERATION_CLAIM_BY_CLOSE_STATUS:
  case EVD_OPERATION_CLAIM_BY_CANCELLATION:
  case EVD_OPERATION_GET_BY_PARENT:
  case EVD_OPERATION_GET_TREE: return RESULT_ROWS;
  case EVD_OPERATION_UPDATE:
  case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN: return RESULT_MATCHED;
  default: return RESULT_COUNT;
  }
}

void pending_succeed(struct pending *pending) {
  struct request *request = &pending->request;
  struct result result = {.kind = result_kind_of(request->operation), .count = request->count};
  if (request->operation == EVD_OPERATION_INSERT) {
    result.count = (int64_t)request->execution_count;
  }
  evd_future *future;
  while ((future = pop_future(pending)) != NULL) {
    result.rows = request->rows != NULL ? records_retain(request->rows) : NULL;
    future_succeed(future, &result);
  }
}

void pending_fail(struct pending *pending, const evd_error *error) {
  evd_future *future;
  while ((future = pop_future(pending)) != NULL) {
    future_fail(future, error);
  }
}

size_t pending_weight(const struct pending *pending) {
  return pending->request.execution_count > 1 ? pending->request.execution_count : 1;
}
