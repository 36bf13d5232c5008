/**
 * @file execution.h
 * A task execution: one durable run of a task, and one row of the table.
 *
 * The record, its column names and its states are those of the TypeScript framework
 * durable-execution, so that both can work on one table.
 */
#ifndef EVDURABLE_EXECUTION_H
#define EVDURABLE_EXECUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <evdurable/error.h>
#include <evdurable/export.h>

EVD_BEGIN_DECLS

/** The NULL of integer columns that may be NULL. Text columns use a null pointer. */
#define EVD_NONE INT64_MIN

/** Bytes in a generated id, with its terminating zero. */
#define EVD_ID_SIZE 28

/** The most bytes in an id or name, without its terminating zero. */
#define EVD_ID_MAX 64

/** The most bytes in a sleeping_task_unique_id, without its terminating zero. */
#define EVD_UNIQUE_ID_MAX 255

/** The states of an execution. Zero is not a state, so that a forgotten status is an error. */
typedef enum evd_status {
  EVD_STATUS_READY = 1,
  EVD_STATUS_RUNNING,
  EVD_STATUS_FAILED,
  EVD_STATUS_TIMED_OUT,
  EVD_STATUS_WAITING_FOR_CHILDREN,
  EVD_STATUS_WAITING_FOR_FINALIZE,
  EVD_STATUS_FINALIZE_FAILED,
  EVD_STATUS_COMPLETED,
  EVD_STATUS_CANCELLED
} evd_status;

/** Progress of on_children_finished_processing ("ocfp"), once all children have finished. */
typedef enum evd_ocfp_status {
  EVD_OCFP_IDLE = 1,
  EVD_OCFP_PROCESSING,
  EVD_OCFP_PROCESSED
} evd_ocfp_status;

/** Progress of closing a finished execution. */
typedef enum evd_close_status {
  EVD_CLOSE_IDLE = 1,
  EVD_CLOSE_READY,
  EVD_CLOSE_CLOSING,
  EVD_CLOSE_CLOSED
} evd_close_status;

/** A status as text in the database and in JSON, e.g. "ready"; NULL for other values. Static. */
EVD_API const char *evd_status_name(evd_status status);
/** An ocfp status as text, e.g. "idle"; NULL for other values. Static. */
EVD_API const char *evd_ocfp_status_name(evd_ocfp_status status);
/** A close status as text, e.g. "closed"; NULL for other values. Static. */
EVD_API const char *evd_close_status_name(evd_close_status status);
/** The status with this text; 0 if there is none. */
EVD_API evd_status evd_status_from_name(const char *name);
/** The ocfp status with this text; 0 if there is none. */
EVD_API evd_ocfp_status evd_ocfp_status_from_name(const char *name);
/** The close status with this text; 0 if there is none. */
EVD_API evd_close_status evd_close_status_from_name(const char *name);
/** Whether a status is final: failed, timed_out, finalize_failed, completed or cancelled. */
EVD_API bool evd_status_is_finished(evd_status status);

/**
 * A task execution.
 *
 * Times are milliseconds since the Unix epoch, UTC. Times, delays and time-outs lie within +-(2^53
 * - 1), the range of exact integers in JavaScript. Ids and names are 1 to 64 bytes of UTF-8. JSON
 * members are the text of a JSON document. Members that may be NULL say so; NULL is a null pointer
 * or EVD_NONE. Initialize records with evd_execution_init(): in a record of zeros, times that may
 * be NULL are the beginning of 1970.
 *
 * The record does not own its strings. Strings that the caller passes in must live until the call
 * returns. Strings of a result live as long as the result. Those of evd_execution_copy() are part
 * of its one block of memory.
 */
typedef struct evd_execution {
  const char *root_task_id;      /**< Task of the tree's root; NULL in the root. */
  const char *root_execution_id; /**< The tree's root; both or neither. */
  const char *parent_task_id;    /**< NULL if there is no parent; both or neither. */
  const char *parent_execution_id;
  int32_t index_in_parent_children; /**< From 0, or -1; meaningless without a parent. */
  bool is_only_child_of_parent;     /**< Meaningless without a parent. */
  bool is_finalize_of_parent;       /**< Meaningless without a parent. */
  const char *task_id;
  const char *execution_id; /**< The primary key. */
  bool is_sleeping_task;
  const char
      *sleeping_task_unique_id; /**< 1 to 255 bytes, exactly for sleeping tasks, else NULL. */
  const char *retry_options;    /**< JSON object: maxAttempts, baseDelayMs, ... */
  int64_t sleep_ms_before_run;  /**< Milliseconds from enqueueing to start_at. */
  int64_t timeout_ms; /**< Time limit of a run in milliseconds, from which a claim by start_at
                           sets expires_at. With 0, a claim expires at once. */
  bool are_children_sequential;
  const char *input;       /**< JSON. */
  const char *executor_id; /**< The executor that runs it, or NULL. */
  evd_status status;
  bool is_finished;
  const char *run_output; /**< JSON or NULL. */
  const char *output;     /**< JSON or NULL. */
  const char *error;      /**< JSON object: errorType, message, isRetryable, isInternal; or NULL. */
  int32_t retry_attempts;
  int64_t start_at;                        /**< The earliest time to run it. */
  int64_t started_at;                      /**< May be EVD_NONE. */
  int64_t expires_at;                      /**< May be EVD_NONE. */
  int64_t waiting_for_children_started_at; /**< May be EVD_NONE. */
  int64_t waiting_for_finalize_started_at; /**< May be EVD_NONE. */
  int64_t finished_at;                     /**< May be EVD_NONE. */
  const char *children;                    /**< JSON array of {taskId, executionId}, or NULL. */
  int32_t active_children_count;           /**< At least 0; -1 after a finalize task was closed. */
  evd_ocfp_status on_children_finished_processing_status;
  int64_t on_children_finished_processing_expires_at;  /**< May be EVD_NONE. */
  int64_t on_children_finished_processing_finished_at; /**< May be EVD_NONE. */
  const char *finalize; /**< JSON object {taskId, executionId} or NULL. */
  evd_close_status close_status;
  int64_t close_expires_at; /**< May be EVD_NONE. */
  int64_t closed_at;        /**< May be EVD_NONE. */
  bool needs_promise_cancellation;
  int64_t created_at;
  int64_t updated_at;
} evd_execution;

/** The columns, in the order of the record's members and of the table. */
typedef enum evd_column {
  evd_column_root_task_id,
  evd_column_root_execution_id,
  evd_column_parent_task_id,
  evd_column_parent_execution_id,
  evd_column_index_in_parent_children,
  evd_column_is_only_child_of_parent,
  evd_column_is_finalize_of_parent,
  evd_column_task_id,
  evd_column_execution_id,
  evd_column_is_sleeping_task,
  evd_column_sleeping_task_unique_id,
  evd_column_retry_options,
  evd_column_sleep_ms_before_run,
  evd_column_timeout_ms,
  evd_column_are_children_sequential,
  evd_column_input,
  evd_column_executor_id,
  evd_column_status,
  evd_column_is_finished,
  evd_column_run_output,
  evd_column_output,
  evd_column_error,
  evd_column_retry_attempts,
  evd_column_start_at,
  evd_column_started_at,
  evd_column_expires_at,
  evd_column_waiting_for_children_started_at,
  evd_column_waiting_for_finalize_started_at,
  evd_column_finished_at,
  evd_column_children,
  evd_column_active_children_count,
  evd_column_on_children_finished_processing_status,
  evd_column_on_children_finished_processing_expires_at,
  evd_column_on_children_finished_processing_finished_at,
  evd_column_finalize,
  evd_column_close_status,
  evd_column_close_expires_at,
  evd_column_closed_at,
  evd_column_needs_promise_cancellation,
  evd_column_created_at,
  evd_column_updated_at,
  EVD_COLUMN_COUNT
} evd_column;

/** The name of a column, e.g. "execution_id"; NULL for other values. Static. */
EVD_API const char *evd_column_name(evd_column column);

/** The default time limit of a run, in milliseconds. */
#define EVD_TIMEOUT_DEFAULT_MS 60000

/** How to run a new execution. All zero: at once, for EVD_TIMEOUT_DEFAULT_MS, one attempt. */
typedef struct evd_run_options {
  int64_t now;                 /**< The time of creation; 0 is the current time. */
  const char *retry_options;   /**< JSON object; NULL is {"maxAttempts":0}: no retries. */
  int64_t sleep_ms_before_run; /**< Milliseconds from creation to start_at. */
  int64_t timeout_ms;          /**< Time limit of a run; 0 is EVD_TIMEOUT_DEFAULT_MS. */
  bool are_children_sequential;
} evd_run_options;

/** The current time in milliseconds since the Unix epoch, UTC. Any thread. */
EVD_API int64_t evd_now(void);

/**
 * Writes a new execution id: "te_" and 24 lower-case characters that begin with the time, so that
 * ids sort by time of creation (to the millisecond; strictly within one thread). Any thread.
 */
EVD_API void evd_id_generate(char id[EVD_ID_SIZE]);

/**
 * Fills in a new execution: ready, starting at now + sleep_ms_before_run.
 *
 * @param execution    is overwritten; it keeps pointers to the strings given here.
 * @param execution_id from evd_id_generate(), or the caller's own.
 * @param task_id      the task it runs.
 * @param input        JSON text.
 * @param options      NULL is all zero.
 *
 * @code
 *   char id[EVD_ID_SIZE];
 *   evd_execution execution;
 *   evd_id_generate(id);
 *   evd_execution_init(&execution, id, "send_mail", "{\"to\":\"ann@example.org\"}", NULL);
 *   evd_future_then(evd_insert(storage, &execution, 1), inserted, server);
 * @endcode
 *
 * A timeout_ms of 0 in the options is EVD_TIMEOUT_DEFAULT_MS. For an execution that expires as soon
 * as it is claimed, set execution.timeout_ms to 0 after this call.
 */
EVD_API void evd_execution_init(evd_execution *execution, const char *execution_id,
                                const char *task_id, const char *input,
                                const evd_run_options *options);

/**
 * Fills in a new sleeping execution, which has a unique id and is running: started_at = now,
 * expires_at = now + sleep_ms_before_run + timeout_ms. Otherwise as evd_execution_init().
 */
EVD_API void evd_execution_init_sleeping(evd_execution *execution, const char *execution_id,
                                         const char *task_id, const char *sleeping_task_unique_id,
                                         const char *input, const evd_run_options *options);

/**
 * Makes an execution the child of another: sets parent and root ids and the position among the
 * children. The child keeps pointers to the parent's strings.
 *
 * @param index    from 0.
 * @param is_only  whether it is the parent's only child.
 * @param is_final whether it is the parent's finalize task.
 */
EVD_API void evd_execution_set_parent(evd_execution *child, const evd_execution *parent,
                                      int32_t index, bool is_only, bool is_final);

/** A deep copy in one block, to be released with free(); NULL if memory ran out. Any thread. */
EVD_API evd_execution *evd_execution_copy(const evd_execution *execution);

/**
 * Checks whether an execution can be stored; if not, the error names the first bad field. Every
 * operation does this itself. Any thread.
 *
 * @param error may be NULL.
 * @return EVD_OK or EVD_EINVAL.
 */
EVD_API evd_code evd_execution_check(const evd_execution *execution, evd_error *error);

/**
 * The record as one JSON object with camelCase keys, as the framework writes it, on one line. NULL
 * columns are omitted. JSON columns are embedded as JSON, without white space between tokens.
 *
 * @return text to be released with free(); NULL if memory ran out or a JSON member is not JSON.
 */
EVD_API char *evd_execution_to_json(const evd_execution *execution);

/**
 * The same, with root and parent as objects, as the framework's own records have them:
 * `"root": {"taskId", "executionId"}`, `"parent": {"taskId", "executionId",
 * "indexInParentChildren", "isOnlyChildOfParent", "isFinalizeOfParent"}`. (The framework has input,
 * run_output and output as strings of JSON; here they are embedded.)
 */
EVD_API char *evd_execution_to_nested_json(const evd_execution *execution);

/**
 * Several records as one JSON array, for evd_insert_sql(). Checks them as evd_insert() does.
 *
 * @param error filled in on failure: EVD_EINVAL with the field, and which record it is in the
 *              message; EVD_ENOMEM. May be NULL.
 * @return text to be released with free(), or NULL.
 */
EVD_API char *evd_executions_to_json(const evd_execution *executions, size_t count,
                                     evd_error *error);

/**
 * Reads a record that evd_execution_to_json() or evd_execution_to_nested_json() wrote. Unknown keys
 * are errors; numbers must be integers. Keys of nullable columns may be omitted, and those of
 * columns with a default: isSleepingTask, areChildrenSequential and needsPromiseCancellation
 * (false), sleepMsBeforeRun, retryAttempts and activeChildrenCount (0),
 * onChildrenFinishedProcessingStatus ("idle").
 *
 * @param error is filled in on failure; may be NULL.
 * @return one block to be released with free(), or NULL.
 */
EVD_API evd_execution *evd_execution_from_json(const char *json, evd_error *error);

/** The contents of retry_options. */
typedef struct evd_retry_options {
  int32_t max_attempts;    /**< Retries after the first attempt. */
  int64_t base_delay_ms;   /**< EVD_NONE if absent. */
  double delay_multiplier; /**< 0 if absent. */
  int64_t max_delay_ms;    /**< EVD_NONE if absent. */
} evd_retry_options;

/** The text of retry_options, to be released with free(); NULL if memory ran out. */
EVD_API char *evd_retry_options_to_json(const evd_retry_options *options);
/** Reads retry_options; EVD_EINVAL with the field's name if they are not valid. */
EVD_API evd_code evd_retry_options_from_json(const char *json, evd_retry_options *options,
                                             evd_error *error);

EVD_END_DECLS

#endif
