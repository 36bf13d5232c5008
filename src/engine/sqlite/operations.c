/* What each operation does. */
#include "engine/sqlite/operations.h"

#include "engine/sqlite/claims.h"
#include "engine/sqlite/rows.h"
#include "engine/sqlite/steps.h"
#include "sql/sqlite.h"

/* Inserts executions, one after the other. */
static evd_code insert(struct connection *connection, const struct request *request,
                       evd_error *error) {
  struct statement_key key = sqlite_insert_key();
  struct statement *statement = sqlite_step_prepare(connection, &key, error);
  if (statement == NULL) {
    return error->code;
  }
  for (size_t i = 0; i < request->execution_count; i++) {
    int result = sqlite_rows_bind_execution(statement, &request->executions[i]);
    evd_code code = sqlite_step_write(connection, statement, result, NULL, error);
    if (code != EVD_OK) {
      return code;
    }
  }
  return EVD_OK;
}

/* Binds the id from parameter `next` on, and what the filter has for parameters. */
static int bind_id_and_filter(struct statement *statement, int next,
                              const struct request *request) {
  int result = sqlite_rows_bind_text(statement, next++, request->id);
  if (result == SQLITE_OK && (statement->key.filter_owner & FILTER_EXECUTOR_ID) != 0) {
    result = sqlite_rows_bind_text(statement, next++, request->filter.executor_id);
  }
  if (result == SQLITE_OK && (statement->key.filter_owner & FILTER_STARTED_AT) != 0) {
    result = sqlite_rows_bind_integer(statement, next, request->filter.started_at);
  }
  return result;
}

/* Reads the rows with the request's id. */
static evd_code get(struct connection *connection, struct request *request, size_t expected,
                    evd_error *error) {
  struct statement_key key = sqlite_statement_key(request, SQLITE_PART_MAIN);
  struct statement *statement = sqlite_step_prepare(connection, &key, error);
  if (statement == NULL) {
    return error->code;
  }

  int result = bind_id_and_filter(statement, 1, request);
  while ((result = sqlite_step_read(connection, statement, result)) == SQLITE_ROW) {
    if (sqlite_rows_add(statement, 0, expected, &request->rows, error) == NULL) {
      return error->code;
    }
    result = SQLITE_OK;
  }
  return sqlite_step_end(connection, statement, result, error);
}

/* Updates one by id. */
static evd_code update(struct connection *connection, struct request *request, evd_error *error) {
  struct statement_key key = sqlite_statement_key(request, SQLITE_PART_MAIN);
  struct statement *statement = sqlite_step_prepare(connection, &key, error);
  if (statement == NULL) {
    return error->code;
  }
  int next;
  int result = sqlite_rows_bind_changes(statement, request->changes, &next);
  if (result == SQLITE_OK) {
    result = bind_id_and_filter(statement, next, request);
  }
  return sqlite_step_write(connection, statement, result, &request->count, error);
}

/* Updates one by id and, if it matched, inserts its children. */
static evd_code update_and_insert_children(struct connection *connection, struct request *request,
                                           evd_error *error) {
  evd_code code = update(connection, request, error);
  if (code == EVD_OK && request->count > 0) {
    code = insert(connection, request, error);
  }
  return code;
}

/* Updates those that expired before a time. */
static evd_code expire(struct connection *connection, struct request *request, evd_error *error) {
  struct statement_key key = sqlite_statement_key(request, SQLITE_PART_MAIN);
  struct statement *statement = sqlite_step_prepare(connection, &key, error);
  if (statement == NULL) {
    return error->code;
  }
  int next;
  int result = sqlite_rows_bind_changes(statement, request->changes, &next);
  if (result == SQLITE_OK) {
    result = sqlite_rows_bind_integer(statement, next++, request->before);
  }
  if (result == SQLITE_OK && key.attempts_left != EVD_ANY) {
    result = sqlite_rows_bind_integer(statement, next++, request->extra_attempts);
  }
  if (result == SQLITE_OK) {
    result = sqlite_rows_bind_integer(statement, next, request->limit);
  }
  return sqlite_step_write(connection, statement, result, &request->count, error);
}

/* Deletes one by id, or all; in test mode only. */
static evd_code delete_rows(struct connection *connection, struct request *request,
                            evd_error *error) {
  if (!connection->test_mode) {
    return EVD_OK;
  }
  struct statement_key key = sqlite_statement_key(request, SQLITE_PART_MAIN);
  struct statement *statement = sqlite_step_prepare(connection, &key, error);
  if (statement == NULL) {
    return error->code;
  }
  int result = SQLITE_OK;
  if (request->operation == EVD_OPERATION_DELETE) {
    result = sqlite_rows_bind_text(statement, 1, request->id);
  }
  return sqlite_step_write(connection, statement, result, &request->count, error);
}

/* Runs a request; see operations.h. */
evd_code sqlite_operation_run(struct connection *connection, struct request *request,
                              evd_error *error) {
  switch (request->operation) {
  case EVD_OPERATION_INSERT: return insert(connection, request, error);
  case EVD_OPERATION_GET:
  case EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID: return get(connection, request, 1, error);
  case EVD_OPERATION_GET_BY_PARENT:
  case EVD_OPERATION_GET_TREE: return get(connection, request, 8, error);
  case EVD_OPERATION_UPDATE:
  case EVD_OPERATION_UPDATE_BY_PARENT: return update(connection, request, error);
  case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN:
    return update_and_insert_children(connection, request, error);
  case EVD_OPERATION_CLAIM_BY_START_AT:
  case EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED:
  case EVD_OPERATION_CLAIM_BY_CLOSE_STATUS:
  case EVD_OPERATION_CLAIM_BY_CANCELLATION: return sqlite_claim_rows(connection, request, error);
  case EVD_OPERATION_EXPIRE_BY_EXPIRES_AT:
  case EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT:
  case EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT: return expire(connection, request, error);
  case EVD_OPERATION_CLOSE_FINISHED: return sqlite_claim_and_close(connection, request, error);
  case EVD_OPERATION_DELETE:
  case EVD_OPERATION_DELETE_ALL: return delete_rows(connection, request, error);
  case EVD_OPERATION_COUNT: break;
  }
  return EVD_OK;
}
