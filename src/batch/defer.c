/*
 * Rows that a claim took and could not read: they are given back at once, for no executor will run
 * them. They go behind the others, so that a claim does not meet them first each time.
 */
#include <string.h>

#include "batch/queue.h"
#include "model/columns.h"

/* How much later than others a row that cannot be read is due again, in milliseconds. */
enum { DEFERRED_MS = 60000 };

/* What a claim may leave behind on a row beside what it selects by. */
static const uint64_t traces = COLUMN_BIT(evd_column_executor_id) |
                               COLUMN_BIT(evd_column_started_at) |
                               COLUMN_BIT(evd_column_expires_at) |
                               COLUMN_BIT(evd_column_on_children_finished_processing_expires_at) |
                               COLUMN_BIT(evd_column_close_expires_at);

/* The changes that undo a claim's, as far as it can be known what was there before: what it selects
 * by gets its value back, and its traces go. */
static evd_changes undoing(const struct request *claim) {
  evd_changes undo = {.unset = claim->changes->set & traces};
  bool sets_status = (claim->changes->set & COLUMN_BIT(evd_column_status)) != 0;
  int64_t due = COLUMN_INTEGER_MAX - DEFERRED_MS;
  evd_set(&undo, updated_at, evd_now());
  if (sets_status && claim->status != 0) {
    evd_set(&undo, status, claim->status);
  }
  switch (claim->operation) {
  case EVD_OPERATION_CLAIM_BY_START_AT:
    undo.unset |= COLUMN_BIT(evd_column_expires_at);
    evd_set(&undo, start_at, (claim->before < due ? claim->before : due) + DEFERRED_MS);
    break;
  case EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED:
    evd_set(&undo, on_children_finished_processing_status, claim->ocfp_status);
    break;
  case EVD_OPERATION_CLAIM_BY_CLOSE_STATUS:
    evd_set(&undo, close_status, claim->close_status);
    break;
  default: /* by cancellation */
    undo.unset &= ~COLUMN_BIT(evd_column_executor_id);
    evd_set(&undo, executor_id, claim->id);
    evd_set(&undo, needs_promise_cancellation, claim->flag);
    break;
  }
  return undo;
}

/* Rows as the claim left them: another may have claimed them since. */
static evd_filter claimed(const struct request *claim) {
  const evd_execution *values = &claim->changes->values;
  uint64_t set = claim->changes->set & ~claim->changes->unset;
  evd_filter filter = {.status = claim->status};
  if ((set & COLUMN_BIT(evd_column_status)) != 0) {
    filter.status = values->status;
  }
  if ((set & COLUMN_BIT(evd_column_executor_id)) != 0) {
    filter.executor_id = values->executor_id;
  }
  if ((set & COLUMN_BIT(evd_column_started_at)) != 0) {
    filter.started_at = values->started_at;
  }
  return filter;
}

void loader_defer(struct loader *loader, const struct request *claim,
                  const struct left_out *left_out) {
  evd_changes undo = undoing(claim);
  const struct left_out_row *row;
  for (row = left_out->rows; row != NULL; row = row->next) {
    struct request update = {.operation = EVD_OPERATION_UPDATE,
                             .id = row->id,
                             .filter = claimed(claim),
                             .changes = &undo};
    evd_future_release(loader_admit(loader, &update));
  }
}
