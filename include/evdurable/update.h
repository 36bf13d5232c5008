/**
 * @file update.h
 * The changes of an update, and filters.
 */
#ifndef EVDURABLE_UPDATE_H
#define EVDURABLE_UPDATE_H

#include <evdurable/execution.h>

EVD_BEGIN_DECLS

/**
 * The changes that an update makes: columns to set, and columns to unset (to NULL). Start from all
 * zero and use evd_set() and evd_unset(). A column that is both set and unset is unset.
 *
 * These can be set: executor_id, status, is_finished, run_output, output, error, retry_attempts,
 * start_at, started_at, expires_at, waiting_for_children_started_at,
 * waiting_for_finalize_started_at, finished_at, children, active_children_count,
 * on_children_finished_processing_status, on_children_finished_processing_expires_at,
 * on_children_finished_processing_finished_at, finalize, close_status, close_expires_at, closed_at,
 * needs_promise_cancellation, updated_at (by default the current time).
 *
 * These can be unset: executor_id, run_output, error, started_at, expires_at,
 * on_children_finished_processing_expires_at, close_expires_at.
 *
 * retry_attempts can also be added to, evd_add(), so that one statement counts an attempt of many
 * rows.
 *
 * Other columns fail with EVD_EINVAL, and so does setting a column to NULL.
 */
typedef struct evd_changes {
  uint64_t set;         /**< Bit evd_column_x: column x takes values.x. */
  uint64_t unset;       /**< Bit evd_column_x: column x becomes NULL. */
  uint64_t add;         /**< Of the columns in `set`: values.x is added to column x. */
  evd_execution values; /**< The values of the columns in `set`. */
} evd_changes;

/**
 * Sets a column; the compiler checks the value's type against the record's member.
 * @code
 *   evd_changes changes = {0};
 *   evd_set(&changes, status, EVD_STATUS_RUNNING);
 *   evd_set(&changes, started_at, evd_now());
 *   evd_unset(&changes, error);
 * @endcode
 */
#define evd_set(changes, column, value)                            \
  ((void)((changes)->set |= UINT64_C(1) << evd_column_##column,    \
          (changes)->add &= ~(UINT64_C(1) << evd_column_##column), \
          (changes)->values.column = (value)))

/**
 * Adds to retry_attempts, at least 0. A sum above 2^31 - 1 becomes that. Of evd_set() and evd_add()
 * for the same column, the last counts.
 *
 * Such an update is not idempotent: repeat it after an unknown outcome only with a filter that it
 * does not match a second time.
 */
#define evd_add(changes, column, value)                         \
  ((void)((changes)->set |= UINT64_C(1) << evd_column_##column, \
          (changes)->add |= UINT64_C(1) << evd_column_##column, \
          (changes)->values.column = (value)))

/** Unsets a column (to NULL). */
#define evd_unset(changes, column) ((void)((changes)->unset |= UINT64_C(1) << evd_column_##column))

/** Yes, no or either. `true` is EVD_YES, but `false` is EVD_ANY: use EVD_NO. */
typedef enum evd_maybe { EVD_ANY = 0, EVD_YES, EVD_NO } evd_maybe;

/**
 * The rows that an operation by id may change or return; all zero is every row. Use it for
 * optimistic concurrency, such as "finish it if it is still running".
 *
 * An executor should name itself and the attempt too (fencing). If the run outlived its
 * expires_at and another executor has claimed the row since, or this one has claimed it again, the
 * outcome of the old attempt then matches nothing. `executor_id` must be unique to a process; two
 * claims of the same row within a millisecond need different `started_at`.
 * @code
 *   evd_filter mine = {.status = EVD_STATUS_RUNNING,
 *                      .executor_id = row->executor_id,
 *                      .started_at = row->started_at};
 *   evd_update(storage, row->execution_id, &mine, &changes);
 * @endcode
 */
typedef struct evd_filter {
  evd_status status; /**< 0 is any. */
  evd_maybe is_sleeping_task;
  evd_maybe is_finished;
  const char *executor_id; /**< NULL is any. Copied before the call returns. */
  int64_t started_at;      /**< Of the attempt, as the claim's changes set it; 0 is any. */
} evd_filter;

EVD_END_DECLS

#endif
