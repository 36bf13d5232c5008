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

/** The states of an execution. Zero is none of them: a forgotten status is an error. */
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

/** How far the processing of "all children have finished" is ("ocfp" for short). */
typedef enum evd_ocfp_status {
  EVD_OCFP_IDLE = 1,
  EVD_OCFP_PROCESSING,
  EVD_OCFP_PROCESSED
} evd_ocfp_status;

/** How far the closing of a finished execution is. */
typedef enum evd_close_status {
  EVD_CLOSE_IDLE = 1,
  EVD_CLOSE_READY,
  EVD_CLOSE_CLOSING,
  EVD_CLOSE_CLOSED
} evd_close_status;

/** The text a status has in the database and in JSON, e.g. "ready"; NULL for none. Static. */
EVD_API const char *evd_status_name(evd_status status);
/** The text of an ocfp status, e.g. "idle"; NULL for none. Static. */
EVD_API const char *evd_ocfp_status_name(evd_ocfp_status status);
/** The text of a close status, e.g. "closed"; NULL for none. Static. */
EVD_API const char *evd_close_status_name(evd_close_status status);
/** The status with this text; 0 when there is none. */
EVD_API evd_status evd_status_from_name(const char *name);
/** The ocfp status with this text; 0 when there is none. */
EVD_API evd_ocfp_status evd_ocfp_status_from_name(const char *name);
/** The close status with this text; 0 when there is none. */
EVD_API evd_close_status evd_close_status_from_name(const char *name);
/** Whether a status is final: failed, timed_out, finalize_failed, completed or cancelled. */
EVD_API bool evd_status_is_finished(evd_status status);

/**
 * A task execution.
 *
 * Times are milliseconds since the Unix epoch, UTC. Times, delays and time-outs lie within
 * +-(2^53 - 1), which is what a JavaScript number holds exactly. Ids and names are UTF-8 of 1 to
 * 64 bytes. JSON members are the text of a JSON document. What may be NULL is said; NULL is a null
 * pointer or EVD_NONE. Begin with evd_execution_init(): in a record of zeros the times that may be
 * NULL are not, but the beginning of 1970.
 *
 * The strings are not owned by the record: in a record that a caller passes in they need only
 * outlive the call; in a record of a result they live as long as the result; in a record from
 * evd_execution_copy() they live in its one block of memory.
 */
typedef struct evd_execution {
  const char *root_task_id;      /**< Task of the tree's top; NULL at the top itself. */
  const char *root_execution_id; /**< Execution at the tree's top; both or neither. */
  const char *parent_task_id;    /**< NULL without a parent; both or neither. */
  const char *parent_execution_id;
  int32_t index_in_parent_children; /**< From 0, or -1; without meaning when there is no parent. */
  bool is_only_child_of_parent;     /**< Without meaning when there is no parent. */
  bool is_finalize_of_parent;       /**< Without meaning when there is no parent. */
  const char *task_id;
  const char *execution_id; /**< The primary key. */
  bool is_sleeping_task;
  const char
      *sleeping_task_unique_id; /**< 1 to 255 bytes, exactly for sleeping tasks, else NULL. */
  const char *retry_options;    /**< JSON object: maxAttempts, baseDelayMs, ... */
  int64_t sleep_ms_before_run;  /**< Milliseconds from enqueueing to start_at. */
  int64_t timeout_ms; /**< How long a run may take, in milliseconds: a claim by start_at makes
                           expires_at of it. With 0 it expires the moment it is claimed. */
  bool are_children_sequential;
  const char *input;       /**< JSON. */
  const char *executor_id; /**< Who runs it; may be NULL. */
  evd_status status;
  bool is_finished;
  const char *run_output; /**< JSON or NULL. */
  const char *output;     /**< JSON or NULL. */
  const char *error;      /**< JSON object: errorType, message, isRetryable, isInternal; or NULL. */
  int32_t retry_attempts;
  int64_t start_at;                        /**< Not to be run before. */
  int64_t started_at;                      /**< May be EVD_NONE. */
  int64_t expires_at;                      /**< May be EVD_NONE. */
  int64_t waiting_for_children_started_at; /**< May be EVD_NONE. */
  int64_t waiting_for_finalize_started_at; /**< May be EVD_NONE. */
  int64_t finished_at;                     /**< May be EVD_NONE. */
  const char *children;                    /**< JSON array of {taskId, executionId}, or NULL. */
  int32_t active_children_count; /**< Not negative, but -1 where a finalize task was closed. */
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

/** The name of a column, e.g. "execution_id"; NULL past the last. Static. */
EVD_API const char *evd_column_name(evd_column column);

/** How long a run may take where nothing else is said, in milliseconds. */
#define EVD_TIMEOUT_DEFAULT_MS 60000

/** How a new execution is to run. All zero is: at once, for EVD_TIMEOUT_DEFAULT_MS, one attempt. */
typedef struct evd_run_options {
  int64_t now;                 /**< The time of creation; 0 is the current time. */
  const char *retry_options;   /**< JSON object; NULL is {"maxAttempts":0}: no second attempt. */
  int64_t sleep_ms_before_run; /**< Milliseconds from creation to start_at. */
  int64_t timeout_ms;          /**< Milliseconds a run may take; 0 is EVD_TIMEOUT_DEFAULT_MS. */
  bool are_children_sequential;
} evd_run_options;

/** The current time in milliseconds since the Unix epoch, UTC. Any thread. */
EVD_API int64_t evd_now(void);

/**
 * Writes a new execution id: "te_" and 24 lower-case characters, the time first, so that ids sort
 * by the time of their making (to the millisecond; within one thread strictly). Any thread.
 */
EVD_API void evd_id_generate(char id[EVD_ID_SIZE]);

/**
 * Fills in a new execution: ready, starting at now + sleep_ms_before_run.
 *
 * @param execution    is overwritten whole; it keeps pointers to the strings given here.
 * @param execution_id from evd_id_generate(), or the caller's own.
 * @param task_id      the task it runs.
 * @param input        JSON text.
 * @param options      may be NULL, as all zero.
 *
 * @code
 *   char id[EVD_ID_SIZE];
 *   evd_execution execution;
 *   evd_id_generate(id);
 *   evd_execution_init(&execution, id, "send_mail", "{\"to\":\"ann@example.org\"}", NULL);
 *   evd_future_then(evd_insert(storage, &execution, 1), inserted, server);
 * @endcode
 *
 * The options' timeout_ms of 0 is EVD_TIMEOUT_DEFAULT_MS. An execution that is to expire the moment it
 * is claimed gets execution.timeout_ms = 0 after this call.
 */
EVD_API void evd_execution_init(evd_execution *execution, const char *execution_id,
                                const char *task_id, const char *input,
                                const evd_run_options *options);

/**
 * Fills in a new sleeping execution: running from now on, started_at = now, expires_at = now +
 * sleep_ms_before_run + timeout_ms, found by its unique id. Else as evd_execution_init().
 */
EVD_API void evd_execution_init_sleeping(evd_execution *execution, const char *execution_id,
                                         const char *task_id, const char *sleeping_task_unique_id,
                                         const char *input, const evd_run_options *options);

/**
 * Makes an execution the child of another: parent and root ids and the place among the children.
 * The child keeps pointers to the parent's strings.
 *
 * @param index    from 0.
 * @param is_only  whether it is the parent's only child.
 * @param is_final whether it is the parent's finalize task.
 */
EVD_API void evd_execution_set_parent(evd_execution *child, const evd_execution *parent,
                                      int32_t index, bool is_only, bool is_final);

/** A deep copy in one block; release it with free(). NULL when memory is out. Any thread. */
EVD_API evd_execution *evd_execution_copy(const evd_execution *execution);

/**
 * Whether an execution can be stored; if not, the error names the first bad field. Every operation
 * does this itself. Any thread.
 *
 * @param error may be NULL.
 * @return EVD_OK or EVD_EINVAL.
 */
EVD_API evd_code evd_execution_check(const evd_execution *execution, evd_error *error);

/**
 * The whole record as one JSON object with camelCase keys, as the framework writes it; NULL
 * columns are left out. The JSON columns stand in it as JSON, not as text, without white space
 * between their tokens: the whole is one line.
 *
 * @return text to be released with free(); NULL when memory is out or a JSON member is not JSON.
 */
EVD_API char *evd_execution_to_json(const evd_execution *execution);

/**
 * The record that evd_execution_to_json() wrote. Unknown keys are errors; numbers must be whole.
 *
 * @param error is filled in on failure; may be NULL.
 * @return one block to be released with free(), or NULL.
 */
EVD_API evd_execution *evd_execution_from_json(const char *json, evd_error *error);

/** The contents of retry_options. */
typedef struct evd_retry_options {
  int32_t max_attempts;    /**< Attempts after the first. */
  int64_t base_delay_ms;   /**< EVD_NONE when not given. */
  double delay_multiplier; /**< 0 when not given. */
  int64_t max_delay_ms;    /**< EVD_NONE when not given. */
} evd_retry_options;

/** The text of retry_options; release it with free(). NULL when memory is out. */
EVD_API char *evd_retry_options_to_json(const evd_retry_options *options);
/** Reads retry_options; EVD_EINVAL with the field's name when it is not of that form. */
EVD_API evd_code evd_retry_options_from_json(const char *json, evd_retry_options *options,
                                             evd_error *error);

EVD_END_DECLS

#endif
