/*
 * What a caller asked for, as an engine sees it, and what the engine answers.
 */
#ifndef MODEL_REQUEST_H
#define MODEL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <evdurable/storage.h>

#include "model/records.h"

/*
 * One request. Its operands have been checked. The batch room owns it and the memory behind its
 * pointers; engines only read the operands and fill in the answer.
 */
struct request {
  evd_operation operation;

  /* Operands; which of them have a meaning, the operation says (see storage.h). */
  const char *id; /* an execution's, unique, parent's or executor's id */
  evd_filter filter;
  const evd_changes *changes; /* updated_at is always in `set` */
  const evd_execution *executions;
  size_t execution_count; /* may be 0 for children */
  evd_status status;
  evd_ocfp_status ocfp_status;
  evd_close_status close_status;
  bool flag;               /* is_sleeping_task, needs_promise_cancellation or is_finished */
  evd_maybe attempts_left; /* expire_by_expires_at */
  int32_t extra_attempts;
  const char *const *task_ids; /* claims by start_at and by children finished: NULL is any, */
  size_t task_id_count;        /* else each once, sorted */
  int64_t before;              /* exclusive upper bound of start_at, expires_at, ... */
  int64_t started_at; /* claim_by_start_at: expires_at = started_at + the row's timeout_ms */
  int64_t limit;      /* above 0: the front door answers the rest itself */
  bool ids_only;      /* claims, where engine_ops.claims_ids: the rows are not read, but left out */

  /* The answer, valid when the batch succeeded. */
  struct records *rows; /* gets and claims; NULL is no row; the batch room releases it */
  int64_t count;        /* updates, expiries, deletions: rows touched (1 or 0 by id) */
};

/* Whether the operation only reads. */
bool operation_is_read(evd_operation operation);

/* Whether the operation claims rows and returns them. */
bool operation_is_claim(evd_operation operation);

/* Whether several requests of this operation travel in one batch. */
bool operation_is_batched(evd_operation operation);

#endif
