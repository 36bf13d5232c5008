/* What each status implies, as a table. */
#include "executor/transitions.h"

#include "model/columns.h"

#define BIT(column) COLUMN_BIT(evd_column_##column)

/* For each status: the column that notes when it was reached (EVD_COLUMN_COUNT: none), and those
 * that it unsets. A run's state (run_output) outlives READY: it is what the next attempt begins
 * with. A cancelled execution keeps executor_id: its executor has to find it. */
static const struct {
  evd_column time;
  uint64_t unset;
} implied[] = {
    [EVD_STATUS_READY] = {EVD_COLUMN_COUNT, BIT(started_at) | BIT(expires_at) | BIT(executor_id)},
    [EVD_STATUS_RUNNING] = {evd_column_started_at, 0},
    [EVD_STATUS_WAITING_FOR_CHILDREN] = {evd_column_waiting_for_children_started_at,
                                         BIT(error) | BIT(expires_at) | BIT(executor_id)},
    [EVD_STATUS_WAITING_FOR_FINALIZE] = {evd_column_waiting_for_finalize_started_at,
                                         BIT(error) | BIT(expires_at) | BIT(executor_id)},
    [EVD_STATUS_COMPLETED] = {evd_column_finished_at,
                              BIT(error) | BIT(run_output) | BIT(expires_at) | BIT(executor_id)},
    [EVD_STATUS_FAILED] = {evd_column_finished_at,
                           BIT(run_output) | BIT(expires_at) | BIT(executor_id)},
    [EVD_STATUS_TIMED_OUT] = {evd_column_finished_at,
                              BIT(run_output) | BIT(expires_at) | BIT(executor_id)},
    [EVD_STATUS_FINALIZE_FAILED] = {evd_column_finished_at,
                                    BIT(run_output) | BIT(expires_at) | BIT(executor_id)},
    [EVD_STATUS_CANCELLED] = {evd_column_finished_at, BIT(run_output) | BIT(expires_at)},
};

/* Sets a column of times. */
static void set_time(evd_changes *changes, evd_column column, int64_t now) {
  if (column != EVD_COLUMN_COUNT) {
    column_set_integer(&changes->values, column, now);
    changes->set |= COLUMN_BIT(column);
  }
}

void transition_to_status(evd_changes *changes, evd_status status, int64_t now) {
  evd_set(changes, status, status);
  evd_set(changes, updated_at, now);
  if (evd_status_is_finished(status)) {
    evd_set(changes, is_finished, true);
  }
  set_time(changes, implied[status].time, now);
  changes->unset |= implied[status].unset;
}

void transition_to_ocfp(evd_changes *changes, evd_ocfp_status status, int64_t now) {
  evd_set(changes, on_children_finished_processing_status, status);
  evd_set(changes, updated_at, now);
  if (status != EVD_OCFP_PROCESSING) {
    evd_unset(changes, on_children_finished_processing_expires_at);
  }
  if (status == EVD_OCFP_PROCESSED) {
    evd_set(changes, on_children_finished_processing_finished_at, now);
  }
}

void transition_to_close(evd_changes *changes, evd_close_status status, int64_t now) {
  evd_set(changes, close_status, status);
  evd_set(changes, updated_at, now);
  if (status != EVD_CLOSE_CLOSING) {
    evd_unset(changes, close_expires_at);
  }
  if (status == EVD_CLOSE_CLOSED) {
    evd_set(changes, closed_at, now);
  }
}
