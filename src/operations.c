/* The operations: each checks what it is given and hands a request to the loader. */
#include <string.h>

#include <evdurable/storage.h>

#include "model/check.h"
#include "model/error.h"
#include "storage.h"

static evd_future *fail(evd_storage *storage, const evd_error *error) {
  return future_failed(storage->reactor, error);
}

/* Submits a request whose changes were checked; sees to it that updated_at is set. */
static evd_future *submit_changes(evd_storage *storage, struct request request,
                                  const evd_changes *changes) {
  request.changes = changes;
  if (changes->set & (UINT64_C(1) << evd_column_updated_at)) {
    return loader_submit(storage->loader, &request);
  }
  evd_changes stamped = *changes;
  evd_set(&stamped, updated_at, evd_now());
  request.changes = &stamped;
  return loader_submit(storage->loader, &request);
}

static evd_code check_given_changes(const evd_changes *changes, evd_error *error) {
  if (changes == NULL) {
    return error_set(error, EVD_EINVAL, "changes", "changes is NULL");
  }
  return check_changes(changes, error);
}

static evd_code check_given_filter(const evd_filter *filter, evd_error *error) {
  return filter != NULL ? check_filter(filter, error) : EVD_OK;
}

static evd_filter filter_or_any(const evd_filter *filter) {
  return filter != NULL ? *filter : (evd_filter){0};
}

/* By id. */

evd_future *evd_insert(evd_storage *storage, const evd_execution *executions, size_t count) {
  evd_error error;
  if (check_executions(executions, count, "executions", &error) != EVD_OK) {
    return fail(storage, &error);
  }
  if (count == 0) {
    return loader_submit_nothing(storage->loader, RESULT_COUNT);
  }
  struct request request = {
      .operation = EVD_OPERATION_INSERT, .executions = executions, .execution_count = count};
  return loader_submit(storage->loader, &request);
}

evd_future *evd_get(evd_storage *storage, const char *execution_id, const evd_filter *filter) {
  evd_error error;
  if (check_id(execution_id, "execution_id", EVD_ID_MAX, &error) != EVD_OK ||
      check_given_filter(filter, &error) != EVD_OK) {
    return fail(storage, &error);
  }
  struct request request = {
      .operation = EVD_OPERATION_GET, .id = execution_id, .filter = filter_or_any(filter)};
  return loader_submit(storage->loader, &request);
}

evd_future *evd_get_by_sleeping_task_unique_id(evd_storage *storage, const char *unique_id) {
  evd_error error;
  if (check_id(unique_id, "sleeping_task_unique_id", EVD_UNIQUE_ID_MAX, &error) != EVD_OK) {
    return fail(storage, &error);
  }
  struct request request = {.operation = EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID,
                            .id = unique_id};
  return loader_submit(storage->loader, &request);
}

evd_future *evd_update(evd_storage *storage, const char *execution_id, const evd_filter *filter,
                       const evd_changes *changes) {
  evd_error error;
  if (check_id(execution_id, "execution_id", EVD_ID_MAX, &error) != EVD_OK ||
      check_given_filter(filter, &error) != EVD_OK ||
      check_given_changes(changes, &error) != EVD_OK) {
    return fail(storage, &error);
  }
  struct request request = {
      .operation = EVD_OPERATION_UPDATE, .id = execution_id, .filter = filter_or_any(filter)};
  return submit_changes(storage, request, changes);
}

evd_future *evd_update_and_insert_children(evd_storage *storage, const char *execution_id,
                                           const evd_filter *filter, const evd_changes *changes,
                                           const evd_execution *children, size_t count) {
  evd_error error;
  if (check_id(execution_id, "execution_id", EVD_ID_MAX, &error) != EVD_OK ||
      check_given_filter(filter, &error) != EVD_OK ||
      check_given_changes(changes, &error) != EVD_OK ||
      check_executions(children, count, "children", &error) != EVD_OK) {
    return fail(storage, &error);
  }
  struct request request = {.operation = EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN,
                            .id = execution_id,
                            .filter = filter_or_any(filter),
                            .executions = children,
                            .execution_count = count};
  return submit_changes(storage, request, changes);
}

/* Claims. A limit of nothing is answered here. */

static evd_future *claim(evd_storage *storage, struct request *request, const evd_changes *changes,
                         int64_t limit, enum result_kind kind) {
  evd_error error;
  if (check_given_changes(changes, &error) != EVD_OK) {
    return fail(storage, &error);
  }
  if (limit <= 0) {
    return loader_submit_nothing(storage->loader, kind);
  }
  request->limit = limit;
  return submit_changes(storage, *request, changes);
}

static evd_code check_due(const evd_due *due, evd_error *error) {
  if (due == NULL) {
    return error_set(error, EVD_EINVAL, "due", "due is NULL");
  }
  evd_code code = check_status(due->status, "status", error);
  if (code == EVD_OK) {
    code = check_time(due->start_at_before, "start_at_before", error);
  }
  if (code == EVD_OK) {
    code = check_time(due->started_at, "started_at", error);
  }
  return code == EVD_OK ? check_task_ids(due->task_ids, due->task_id_count, error) : code;
}

/* The limit of a claim whose list of tasks is empty is that of one that selects nothing. */
static int64_t limit_for(const char *const *task_ids, size_t count, int64_t limit) {
  return task_ids != NULL && count == 0 ? 0 : limit;
}

evd_future *evd_claim_by_start_at(evd_storage *storage, const evd_due *due,
                                  const evd_changes *changes, int64_t limit) {
  evd_error error;
  if (check_due(due, &error) != EVD_OK) {
    return fail(storage, &error);
  }
  struct request request = {.operation = EVD_OPERATION_CLAIM_BY_START_AT,
                            .status = due->status,
                            .before = due->start_at_before,
                            .started_at = due->started_at,
                            .task_ids = due->task_ids,
                            .task_id_count = due->task_id_count};
  return claim(storage, &request, changes, limit_for(due->task_ids, due->task_id_count, limit),
               RESULT_ROWS);
}

static evd_code check_parents(const evd_parents *parents, evd_error *error) {
  if (parents == NULL) {
    return error_set(error, EVD_EINVAL, "parents", "parents is NULL");
  }
  evd_code code = check_status(parents->status, "status", error);
  if (code == EVD_OK) {
    code = check_ocfp_status(parents->ocfp_status, "ocfp_status", error);
  }
  return code == EVD_OK ? check_task_ids(parents->task_ids, parents->task_id_count, error) : code;
}

evd_future *evd_claim_by_children_finished(evd_storage *storage, const evd_parents *parents,
                                           const evd_changes *changes, int64_t limit) {
  evd_error error;
  if (check_parents(parents, &error) != EVD_OK) {
    return fail(storage, &error);
  }
  struct request request = {.operation = EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED,
                            .status = parents->status,
                            .ocfp_status = parents->ocfp_status,
                            .task_ids = parents->task_ids,
                            .task_id_count = parents->task_id_count};
  return claim(storage, &request, changes,
               limit_for(parents->task_ids, parents->task_id_count, limit), RESULT_ROWS);
}

evd_future *evd_claim_by_close_status(evd_storage *storage, evd_close_status close_status,
                                      const evd_changes *changes, int64_t limit) {
  evd_error error;
  if (check_close_status(close_status, "close_status", &error) != EVD_OK) {
    return fail(storage, &error);
  }
  struct request request = {.operation = EVD_OPERATION_CLAIM_BY_CLOSE_STATUS,
                            .close_status = close_status};
  return claim(storage, &request, changes, limit, RESULT_ROWS);
}

evd_future *evd_claim_by_cancellation(evd_storage *storage, const char *executor_id,
                                      bool needs_promise_cancellation, const evd_changes *changes,
                                      int64_t limit) {
  evd_error error;
  if (check_id(executor_id, "executor_id", EVD_ID_MAX, &error) != EVD_OK) {
    return fail(storage, &error);
  }
  struct request request = {.operation = EVD_OPERATION_CLAIM_BY_CANCELLATION,
                            .id = executor_id,
                            .flag = needs_promise_cancellation};
  return claim(storage, &request, changes, limit, RESULT_ROWS);
}

/* Expiries. */

static evd_code check_expired(const evd_expired *expired, evd_error *error) {
  if (expired == NULL) {
    return error_set(error, EVD_EINVAL, "expired", "expired is NULL");
  }
  evd_code code = check_status(expired->status, "status", error);
  if (code == EVD_OK) {
    code = check_time(expired->expires_at_before, "expires_at_before", error);
  }
  if (code == EVD_OK) {
    code = check_maybe(expired->attempts_left, "attempts_left", error);
  }
  return code == EVD_OK ? check_quantity(expired->extra_attempts, "extra_attempts", error) : code;
}

evd_future *evd_expire_by_expires_at(evd_storage *storage, const evd_expired *expired,
                                     const evd_changes *changes, int64_t limit) {
  evd_error error;
  if (check_expired(expired, &error) != EVD_OK) {
    return fail(storage, &error);
  }
  struct request request = {.operation = EVD_OPERATION_EXPIRE_BY_EXPIRES_AT,
                            .status = expired->status,
                            .flag = expired->is_sleeping_task,
                            .before = expired->expires_at_before,
                            .attempts_left = expired->attempts_left,
                            .extra_attempts = expired->extra_attempts};
  return claim(storage, &request, changes, limit, RESULT_COUNT);
}

static evd_future *expire(evd_storage *storage, evd_operation operation, int64_t before,
                          const evd_changes *changes, int64_t limit) {
  evd_error error;
  if (check_time(before, "before", &error) != EVD_OK) {
    return fail(storage, &error);
  }
  struct request request = {.operation = operation, .before = before};
  return claim(storage, &request, changes, limit, RESULT_COUNT);
}

evd_future *evd_expire_by_ocfp_expires_at(evd_storage *storage, int64_t before,
                                          const evd_changes *changes, int64_t limit) {
  return expire(storage, EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT, before, changes, limit);
}

evd_future *evd_expire_by_close_expires_at(evd_storage *storage, int64_t before,
                                           const evd_changes *changes, int64_t limit) {
  return expire(storage, EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT, before, changes, limit);
}

/* By parent, and closing. */

evd_future *evd_get_by_parent(evd_storage *storage, const char *parent_execution_id) {
  evd_error error;
  if (check_id(parent_execution_id, "parent_execution_id", EVD_ID_MAX, &error) != EVD_OK) {
    return fail(storage, &error);
  }
  struct request request = {.operation = EVD_OPERATION_GET_BY_PARENT, .id = parent_execution_id};
  return loader_submit(storage->loader, &request);
}

evd_future *evd_get_tree(evd_storage *storage, const char *execution_id) {
  evd_error error;
  if (check_id(execution_id, "execution_id", EVD_ID_MAX, &error) != EVD_OK) {
    return fail(storage, &error);
  }
  struct request request = {.operation = EVD_OPERATION_GET_TREE, .id = execution_id};
  return loader_submit(storage->loader, &request);
}

evd_future *evd_update_by_parent(evd_storage *storage, const char *parent_execution_id,
                                 bool is_finished, const evd_changes *changes) {
  evd_error error;
  if (check_id(parent_execution_id, "parent_execution_id", EVD_ID_MAX, &error) != EVD_OK ||
      check_given_changes(changes, &error) != EVD_OK) {
    return fail(storage, &error);
  }
  struct request request = {
      .operation = EVD_OPERATION_UPDATE_BY_PARENT, .id = parent_execution_id, .flag = is_finished};
  return submit_changes(storage, request, changes);
}

evd_future *evd_close_finished(evd_storage *storage, bool is_finished,
                               evd_close_status close_status, const evd_changes *changes,
                               int64_t limit) {
  evd_error error;
  if (check_close_status(close_status, "close_status", &error) != EVD_OK) {
    return fail(storage, &error);
  }
  struct request request = {
      .operation = EVD_OPERATION_CLOSE_FINISHED, .flag = is_finished, .close_status = close_status};
  return claim(storage, &request, changes, limit, RESULT_COUNT);
}

/* 16 and 17: deletions, in test mode. */

evd_future *evd_delete(evd_storage *storage, const char *execution_id) {
  evd_error error;
  if (check_id(execution_id, "execution_id", EVD_ID_MAX, &error) != EVD_OK) {
    return fail(storage, &error);
  }
  if (!storage->test_mode) {
    return loader_submit_nothing(storage->loader, RESULT_COUNT);
  }
  struct request request = {.operation = EVD_OPERATION_DELETE, .id = execution_id};
  return loader_submit(storage->loader, &request);
}

evd_future *evd_delete_all(evd_storage *storage) {
  if (!storage->test_mode) {
    return loader_submit_nothing(storage->loader, RESULT_COUNT);
  }
  struct request request = {.operation = EVD_OPERATION_DELETE_ALL};
  return loader_submit(storage->loader, &request);
}
