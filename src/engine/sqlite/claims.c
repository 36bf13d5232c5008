/* Selects rows, and changes exactly those: claims, expiries, closing. */
#include "engine/sqlite/claims.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "engine/engine.h"
#include "engine/sqlite/rows.h"
#include "engine/sqlite/steps.h"
#include "model/columns.h"
#include "model/error.h"
#include "model/execution.h"
#include "sql/sqlite.h"

/* A row that was selected. */
struct selected {
  int64_t rowid;
  int64_t expires_at; /* claim_by_start_at */
  size_t parent; /* close_finished: where its parent's id is in `parents`; NO_PARENT for none */
};

#define NO_PARENT SIZE_MAX

/* The rows that were selected, in their order. Owned by the operation. */
struct selection {
  struct selected *rows;
  size_t count;
  size_t size;
  struct buffer parents; /* the parents' ids, each ended by zero */
};

/* A new last row; NULL if memory ran out. */
static struct selected *selection_add(struct selection *selection) {
  if (selection->count == selection->size) {
    size_t size = selection->size > 0 ? selection->size * 2 : 64;
    struct selected *rows = reallocarray(selection->rows, size, sizeof *rows);
    if (rows == NULL) {
      return NULL;
    }
    selection->rows = rows;
    selection->size = size;
  }
  return &selection->rows[selection->count++];
}

static void selection_free(struct selection *selection) {
  free(selection->rows);
  buffer_free(&selection->parents);
}

/* The task ids of a claim as a JSON array, to be released with cJSON_free(); NULL for none, or with
 * the error if memory ran out. */
static char *task_ids_json(const struct request *request, evd_error *error) {
  error->code = EVD_OK;
  if (request->task_id_count == 0) {
    return NULL;
  }
  cJSON *array = cJSON_CreateStringArray(request->task_ids, (int)request->task_id_count);
  char *json = array != NULL ? cJSON_PrintUnformatted(array) : NULL;
  cJSON_Delete(array);
  if (json == NULL) {
    error_set_no_memory(error);
  }
  return json;
}

/* Binds the parameters of a selection: the id, the time, the task ids, the limit, where the
 * operation has them. */
static int bind_selection(struct statement *statement, const struct request *request,
                          const char *task_ids) {
  int index = 1;
  int result = SQLITE_OK;
  if (request->operation == EVD_OPERATION_CLAIM_BY_CANCELLATION) {
    result = sqlite_rows_bind_text(statement, index++, request->id);
  } else if (request->operation == EVD_OPERATION_CLAIM_BY_START_AT) {
    result = sqlite_rows_bind_integer(statement, index++, request->before);
  }
  if (result == SQLITE_OK && task_ids != NULL) {
    result = sqlite_rows_bind_text(statement, index++, task_ids);
  }
  return result == SQLITE_OK ? sqlite_rows_bind_integer(statement, index, request->limit) : result;
}

/* Keeps the present row of a claim. One with a value that cannot be is claimed as well, and left
 * out of the answer: see struct left_out. */
static evd_code keep_claimed(struct connection *connection, struct statement *statement,
                             struct request *request, struct selection *selection,
                             evd_error *error) {
  struct selected *selected = selection_add(selection);
  if (selected == NULL) {
    return error_set_no_memory(error);
  }
  selected->rowid = sqlite3_column_int64(statement->handle, 0);
  selected->expires_at = request->started_at;
  evd_error why;
  const evd_execution *row =
      sqlite_rows_add(statement, 1, (size_t)request->limit, &request->rows, &why);
  if (row != NULL) {
    selected->expires_at = execution_expires_at(request->started_at, row->timeout_ms);
    return EVD_OK;
  }
  if (why.code == EVD_EDATABASE) {
    left_out_add(connection->left_out,
                 sqlite_rows_value_text(statement, 1 + evd_column_execution_id), &why);
    return EVD_OK;
  }
  *error = why;
  return why.code;
}

/* Keeps the present row of close_finished. */
static evd_code keep_closed(struct connection *connection, struct statement *statement,
                            struct request *request, struct selection *selection,
                            evd_error *error) {
  (void)connection, (void)request;
  struct selected *selected = selection_add(selection);
  if (selected == NULL) {
    return error_set_no_memory(error);
  }
  selected->rowid = sqlite3_column_int64(statement->handle, 0);
  selected->parent = NO_PARENT;
  const char *parent = (const char *)sqlite3_column_text(statement->handle, 1);
  if (parent != NULL) {
    selected->parent = selection->parents.length;
    buffer_append_bytes(&selection->parents, parent, strlen(parent) + 1);
  }
  return selection->parents.failed ? error_set_no_memory(error) : EVD_OK;
}

typedef evd_code (*keep_row)(struct connection *, struct statement *, struct request *,
                             struct selection *, evd_error *);

/* The key of a claim's selection: by the index of tasks where there is one. */
static struct statement_key selection_key(const struct connection *connection,
                                          const struct request *request) {
  struct statement_key key = sqlite_statement_key(request, SQLITE_PART_MAIN);
  if (key.by_tasks == BY_TASKS_FILTER && connection->has_task_index &&
      request->operation == EVD_OPERATION_CLAIM_BY_START_AT &&
      request->status == EVD_STATUS_READY) {
    key.by_tasks = BY_TASKS_INDEX;
  }
  return key;
}

/* Selects the rows of these tasks and keeps each. */
static evd_code select_rows_of(struct connection *connection, struct request *request,
                               const char *task_ids, struct selection *selection, keep_row keep,
                               evd_error *error) {
  struct statement_key key = selection_key(connection, request);
  struct statement *statement = sqlite_step_prepare(connection, &key, error);
  if (statement == NULL) {
    return error->code;
  }

  int result = bind_selection(statement, request, task_ids);
  while ((result = sqlite_step_read(connection, statement, result)) == SQLITE_ROW) {
    evd_code code = keep(connection, statement, request, selection, error);
    if (code != EVD_OK) {
      return code;
    }
    result = SQLITE_OK;
  }
  return sqlite_step_end(connection, statement, result, error);
}

/* Selects the rows and keeps each. */
static evd_code select_rows(struct connection *connection, struct request *request,
                            struct selection *selection, keep_row keep, evd_error *error) {
  char *task_ids = task_ids_json(request, error);
  evd_code code = error->code;
  if (code == EVD_OK) {
    code = select_rows_of(connection, request, task_ids, selection, keep, error);
  }
  cJSON_free(task_ids);
  return code;
}

/*
 * Changes the selected rows, one after the other. The changes' parameters are bound once; the
 * rowid, and for claim_by_start_at the time at which the row expires, for each row.
 */
static evd_code change_rows(struct connection *connection, struct request *request,
                            const struct selection *selection, evd_error *error) {
  struct statement_key key = sqlite_statement_key(request, SQLITE_PART_ROW);
  struct statement *statement = sqlite_step_prepare(connection, &key, error);
  if (statement == NULL) {
    return error->code;
  }

  const struct selected *rows = selection->rows;
  bool expires = request->operation == EVD_OPERATION_CLAIM_BY_START_AT;
  int next;
  int result = sqlite_rows_bind_changes(statement, request->changes, &next);
  for (size_t i = 0; i < selection->count; i++) {
    int index = next;
    if (result == SQLITE_OK && expires) {
      result = sqlite_rows_bind_integer(statement, index++, rows[i].expires_at);
    }
    if (result == SQLITE_OK) {
      result = sqlite_rows_bind_integer(statement, index, rows[i].rowid);
    }
    evd_code code = sqlite_step_write(connection, statement, result, NULL, error);
    if (code != EVD_OK) {
      return code;
    }
  }
  return EVD_OK;
}

/* Copies the changes so that their texts live as long as the records. False without memory. */
static bool copy_changes(struct records *records, const evd_changes *changes, evd_changes *copy) {
  *copy = *changes;
  for (uint64_t set = changes->set & ~changes->unset; set != 0; set &= set - 1) {
    evd_column column = (evd_column)__builtin_ctzll(set);
    struct value value = column_get(&changes->values, column);
    if (value.kind != VALUE_TEXT || column_is_enum(column)) {
      continue;
    }
    const char *text = records_text(records, value.text, strlen(value.text));
    if (text == NULL || !column_set_text(&copy->values, column, text)) {
      return false;
    }
  }
  return true;
}

/* Makes the claimed rows what they now are in the database. */
static evd_code apply_changes(struct request *request, evd_error *error) {
  evd_changes changes;
  if (!copy_changes(request->rows, request->changes, &changes)) {
    return error_set_no_memory(error);
  }
  evd_execution *rows = records_rows(request->rows);
  for (size_t i = 0; i < records_count(request->rows); i++) {
    changes_apply(&changes, &rows[i]);
    if (request->operation == EVD_OPERATION_CLAIM_BY_START_AT) {
      rows[i].expires_at = execution_expires_at(request->started_at, rows[i].timeout_ms);
    }
  }
  return EVD_OK;
}

/* Claims; see claims.h. */
evd_code sqlite_claim_rows(struct connection *connection, struct request *request,
                           evd_error *error) {
  struct selection selection = {0};
  evd_code code = select_rows(connection, request, &selection, keep_claimed, error);
  if (code == EVD_OK && selection.count > 0) {
    code = change_rows(connection, request, &selection, error);
  }
  if (code == EVD_OK && request->rows != NULL) {
    code = apply_changes(request, error);
  }
  selection_free(&selection);
  return code;
}

static int compare_parents(const void *a, const void *b, void *data) {
  const char *parents = data;
  const struct selected *left = a;
  const struct selected *right = b;
  if (left->parent == NO_PARENT || right->parent == NO_PARENT) {
    return (left->parent == NO_PARENT) - (right->parent == NO_PARENT);
  }
  return strcmp(parents + left->parent, parents + right->parent);
}

/* Takes the closed children off their parents: once a parent, for all of its children. */
static evd_code take_off_parents(struct connection *connection, struct request *request,
                                 struct selection *selection, evd_error *error) {
  struct statement_key key = sqlite_statement_key(request, SQLITE_PART_PARENT);
  struct statement *statement = sqlite_step_prepare(connection, &key, error);
  if (statement == NULL) {
    return error->code;
  }

  char *parents = selection->parents.text;
  struct selected *rows = selection->rows;
  qsort_r(rows, selection->count, sizeof *rows, compare_parents, parents);

  int result = sqlite_rows_bind_integer(statement, 2, request->changes->values.updated_at);
  for (size_t i = 0, end; i < selection->count && rows[i].parent != NO_PARENT; i = end) {
    for (end = i + 1; end < selection->count && rows[end].parent != NO_PARENT; end++) {
      if (compare_parents(&rows[i], &rows[end], parents) != 0) {
        break;
      }
    }
    if (result == SQLITE_OK) {
      result = sqlite_rows_bind_integer(statement, 1, (int64_t)(end - i));
    }
    if (result == SQLITE_OK) {
      result = sqlite_rows_bind_text(statement, 3, parents + rows[i].parent);
    }
    evd_code code = sqlite_step_write(connection, statement, result, NULL, error);
    if (code != EVD_OK) {
      return code;
    }
  }
  return EVD_OK;
}

/* Closes finished executions; see claims.h. */
evd_code sqlite_claim_and_close(struct connection *connection, struct request *request,
                                evd_error *error) {
  struct selection selection = {0};
  evd_code code = select_rows(connection, request, &selection, keep_closed, error);
  if (code == EVD_OK && selection.count > 0) {
    code = change_rows(connection, request, &selection, error);
  }
  if (code == EVD_OK && selection.parents.length > 0) {
    code = take_off_parents(connection, request, &selection, error);
  }
  if (code == EVD_OK) {
    request->count = (int64_t)selection.count;
  }
  selection_free(&selection);
  return code;
}
