#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "config.h"
#include "model/error.h"
#include "sql/dialect.h"

static const char *const operation_names[EVD_OPERATION_COUNT] = {
    [EVD_OPERATION_INSERT] = "insert",
    [EVD_OPERATION_GET] = "get",
    [EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID] = "get_by_sleeping_task_unique_id",
    [EVD_OPERATION_UPDATE] = "update",
    [EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN] = "update_and_insert_children",
    [EVD_OPERATION_CLAIM_BY_START_AT] = "claim_by_start_at",
    [EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED] = "claim_by_children_finished",
    [EVD_OPERATION_CLAIM_BY_CLOSE_STATUS] = "claim_by_close_status",
    [EVD_OPERATION_EXPIRE_BY_EXPIRES_AT] = "expire_by_expires_at",
    [EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT] = "expire_by_ocfp_expires_at",
    [EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT] = "expire_by_close_expires_at",
    [EVD_OPERATION_CLAIM_BY_CANCELLATION] = "claim_by_cancellation",
    [EVD_OPERATION_GET_BY_PARENT] = "get_by_parent",
    [EVD_OPERATION_UPDATE_BY_PARENT] = "update_by_parent",
    [EVD_OPERATION_CLOSE_FINISHED] = "close_finished",
    [EVD_OPERATION_DELETE] = "delete",
    [EVD_OPERATION_DELETE_ALL] = "delete_all",
};

const char *evd_operation_name(evd_operation operation) {
  return (unsigned)operation < EVD_OPERATION_COUNT ? operation_names[operation] : NULL;
}

bool operation_is_read(evd_operation operation) {
  return operation == EVD_OPERATION_GET ||
         operation == EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID ||
         operation == EVD_OPERATION_GET_BY_PARENT;
}

bool operation_is_claim(evd_operation operation) {
  return operation == EVD_OPERATION_CLAIM_BY_START_AT ||
         operation == EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED ||
         operation == EVD_OPERATION_CLAIM_BY_CLOSE_STATUS ||
         operation == EVD_OPERATION_CLAIM_BY_CANCELLATION;
}

bool operation_is_batched(evd_operation operation) {
  return operation_is_read(operation) || operation == EVD_OPERATION_INSERT ||
         operation == EVD_OPERATION_UPDATE ||
         operation == EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN ||
         operation == EVD_OPERATION_UPDATE_BY_PARENT;
}

void batch_record_query(struct batch *batch, const char *sql, double duration_ms) {
  if (!batch->record_queries) {
    return;
  }
  size_t length = strlen(sql) + 1;
  struct query_record *record = malloc(sizeof *record + length);
  if (!record) {
    return; /* only the log misses it */
  }
  record->duration_ms = duration_ms;
  memcpy(record->sql, sql, length);
  LL_APPEND(batch->queries, record);
}

void left_out_add(struct left_out *left_out, const char *id, const evd_error *why) {
  size_t size = strlen(id) + 1;
  struct left_out_row *row = malloc(sizeof *row + size);
  if (left_out->count++ == 0) {
    left_out->why = *why;
  }
  if (row) {
    memcpy(row->id, id, size);
    LL_PREPEND(left_out->rows, row);
  }
}

void left_out_move(struct left_out *to, struct left_out *from) {
  if (to->count == 0) {
    to->why = from->why;
  }
  to->count += from->count;
  LL_CONCAT(to->rows, from->rows);
  *from = (struct left_out){0};
}

void left_out_free(struct left_out *left_out) {
  struct left_out_row *row;
  struct left_out_row *next;
  LL_FOREACH_SAFE (left_out->rows, row, next) {
    free(row);
  }
  *left_out = (struct left_out){0};
}

/* The engines that were built in, and NULL. */
static const struct engine_ops *const engines[] = {
#ifdef EVD_WITH_SQLITE
    &engine_sqlite,
#endif
#ifdef EVD_WITH_POSTGRES
    &engine_postgres,
#endif
#ifdef EVD_WITH_MYSQL
    &engine_mysql,
#endif
    NULL,
};

const struct engine_ops *engine_for_url(const char *url, evd_error *error) {
  for (size_t i = 0; engines[i]; i++) {
    if (engines[i]->accepts(url)) {
      return engines[i];
    }
  }
  dialect_error_no_scheme(error);
  return NULL;
}
