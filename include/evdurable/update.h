/**
 * @file update.h
 * What an update changes, and which rows a filter admits.
 */
#ifndef EVDURABLE_UPDATE_H
#define EVDURABLE_UPDATE_H

#include <evdurable/execution.h>

EVD_BEGIN_DECLS

/**
 * The changes that an update makes: some columns set, some unset (to NULL). Start from all zero
 * and use evd_set() and evd_unset(); a column both set and unset ends unset.
 *
 * Set can be: executor_id, status, is_finished, run_output, output, error, retry_attempts,
 * start_at, started_at, expires_at, waiting_for_children_started_at,
 * waiting_for_finalize_started_at, finished_at, children, active_children_count,
 * on_children_finished_processing_status, on_children_finished_processing_expires_at,
 * on_children_finished_processing_finished_at, finalize, close_status, close_expires_at, closed_at,
 * needs_promise_cancellation, updated_at (the current time where the caller does not set it).
 *
 * Unset can be: executor_id, run_output, error, started_at, expires_at,
 * on_children_finished_processing_expires_at, close_expires_at.
 *
 * Other columns are refused with EVD_EINVAL, as is setting a column to NULL.
 */
typedef struct evd_changes {
  uint64_t set;         /**< Bit evd_column_x: column x takes value.x. */
  uint64_t unset;       /**< Bit evd_column_x: column x becomes NULL. */
  evd_execution values; /**< Only the members in `set` have a meaning. */
} evd_changes;

/**
 * Sets a column; the value is checked by the compiler against the record's member.
 * @code
 *   evd_changes changes = {0};
 *   evd_set(&changes, status, EVD_STATUS_RUNNING);
 *   evd_set(&changes, started_at, evd_now());
 *   evd_unset(&changes, error);
 * @endcode
 */
#define evd_set(changes, column, value) \
  ((void)((changes)->set |= UINT64_C(1) << evd_column_##column, (changes)->values.column = (value)))

/** Unsets a column (to NULL). */
#define evd_unset(changes, column) ((void)((changes)->unset |= UINT64_C(1) << evd_column_##column))

/** Yes, no, or whatever. `true` is EVD_YES, but `false` is EVD_ANY: write EVD_NO. */
typedef enum evd_maybe { EVD_ANY = 0, EVD_YES, EVD_NO } evd_maybe;

/**
 * Which rows an operation by id may touch or return; all zero admits every row. This is the
 * framework's optimistic concurrency: "finish it if it is still running".
 * @code
 *   evd_update(storage, id, &(evd_filter){.status = EVD_STATUS_RUNNING}, &changes);
 * @endcode
 */
typedef struct evd_filter {
  evd_status status; /**< 0 is any. */
  evd_maybe is_sleeping_task;
  evd_maybe is_finished;
} evd_filter;

EVD_END_DECLS

#endif
