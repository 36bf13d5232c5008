/**
 * @file storage.h
 * A storage of task executions: opening, the 17 operations, statistics, closing.
 *
 * A storage belongs to the thread that runs its loop. Several may share a loop; several threads
 * may each have their own loop and storages.
 *
 * After fork(), storages, futures and loops of the parent are the parent's alone: a child that does not
 * exec must not call anything with them, nor release or close them, and should leave by _exit(). Worker
 * threads do not exist in it, and SQLite and the client libraries may hold locks of theirs: a child opens
 * a storage of its own after an exec, or was forked before its parent opened its first storage.
 */
#ifndef EVDURABLE_STORAGE_H
#define EVDURABLE_STORAGE_H

#include <evdurable/error.h>
#include <evdurable/execution.h>
#include <evdurable/export.h>
#include <evdurable/future.h>
#include <evdurable/update.h>

EVD_BEGIN_DECLS

struct ev_loop;

/** The operations, for statistics and logs. */
typedef enum evd_operation {
  EVD_OPERATION_INSERT,
  EVD_OPERATION_GET,
  EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID,
  EVD_OPERATION_UPDATE,
  EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN,
  EVD_OPERATION_CLAIM_BY_START_AT,
  EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED,
  EVD_OPERATION_CLAIM_BY_CLOSE_STATUS,
  EVD_OPERATION_EXPIRE_BY_EXPIRES_AT,
  EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT,
  EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT,
  EVD_OPERATION_CLAIM_BY_CANCELLATION,
  EVD_OPERATION_GET_BY_PARENT,
  EVD_OPERATION_UPDATE_BY_PARENT,
  EVD_OPERATION_CLOSE_FINISHED,
  EVD_OPERATION_DELETE,
  EVD_OPERATION_DELETE_ALL,
  EVD_OPERATION_COUNT
} evd_operation;

/** The name of an operation, e.g. "claim_by_start_at"; NULL past the last. Static. */
EVD_API const char *evd_operation_name(evd_operation operation);

/** What evd_storage_open() does about the table. */
typedef enum evd_schema_mode {
  EVD_SCHEMA_CHECK = 0, /**< Fails with EVD_ESCHEMA when the table is missing or unfit. */
  EVD_SCHEMA_CREATE,    /**< Creates the table and its indexes where missing, then checks. */
  EVD_SCHEMA_SKIP,      /**< Only reads which columns there are. */
  EVD_SCHEMA_MIGRATE    /**< Does what `evdurable migrate up` does, however long it takes, then
                             checks: creates the table, or gives one that is there what it lacks.
                             Safe for many who open at once. */
} evd_schema_mode;

/** How grave a log event is. */
typedef enum evd_log_level {
  EVD_LOG_ERROR = 1,
  EVD_LOG_WARNING,
  EVD_LOG_INFO,
  EVD_LOG_QUERY /**< Every statement, with its duration. */
} evd_log_level;

/** Something worth telling. Its pointers are valid only during the callback. */
typedef struct evd_log_event {
  evd_log_level level;
  const char *message;     /**< For people; never NULL. */
  const char *sql;         /**< The statement of an EVD_LOG_QUERY; else NULL. Holds no values. */
  evd_operation operation; /**< Of an EVD_LOG_QUERY. */
  size_t batch_size;       /**< Requests in the statement's batch. */
  double duration_ms;      /**< From sending the statement to its result. */
} evd_log_event;

/** Called on the loop's thread. It must not call back into the storage. */
typedef void (*evd_log_callback)(const evd_log_event *event, void *data);

/** How a storage is opened. All zero is the default. Strings are copied. */
typedef struct evd_options {
  const char *table;            /**< NULL is "task_executions"; may be "schema.table". */
  evd_schema_mode schema;       /**< Default EVD_SCHEMA_CHECK. */
  bool test_mode;               /**< Lets evd_delete() and evd_delete_all() delete. */
  size_t batch_max_requests;    /**< Most requests in a batch; 0 is 128; 1 switches batching off.
                                     Reads beyond 64 are spread over what the engine can take. */
  size_t batch_max_bytes;       /**< Most bytes in a batch of several requests; 0 is 4 MiB. */
  size_t pending_max_requests;  /**< Past it: EVD_EBUSY. 0 is 100,000. */
  size_t pending_max_bytes;     /**< Past it: EVD_EBUSY. 0 is 256 MiB. */
  int64_t operation_timeout_ms; /**< From submission to result; 0 is 30,000; -1 is none. */
  int retry_max_attempts;       /**< Inner retries of a conflict; 0 is 10; -1 is none. */
  evd_log_callback log;         /**< NULL is silence. */
  void *log_data;
  evd_log_level log_level; /**< Events up to this one; 0 is EVD_LOG_WARNING. */
} evd_options;

/**
 * Opens a storage on the caller's loop. Never blocks; the future has the storage
 * (evd_future_storage()), which the caller must close with evd_storage_close(). Cancelling the future
 * ends the opening, but for a migration that has begun. Whether EVD_SCHEMA_CREATE or EVD_SCHEMA_MIGRATE
 * did anything by then is not known: the outcome is EVD_OUTCOME_UNKNOWN.
 *
 * @param loop    runs on this thread; must outlive the storage and its futures.
 * @param url     - `sqlite:path`, `sqlite::memory:`, or an SQLite `file:` URI
 *                - `postgresql://user:password@host:port/database?options`, or libpq keywords
 *                - `mysql://user:password@host:port/database?options`, or `mariadb://`
 * @param options may be NULL for the defaults.
 *
 * Errors: EVD_EINVAL (the URL or an option; field names it), EVD_EUNAVAILABLE (cannot connect; the
 * message says where and why), EVD_ESCHEMA (the table), EVD_EDATABASE (an SQLite file that is none or
 * may not be written).
 */
EVD_API evd_future *evd_storage_open(struct ev_loop *loop, const char *url,
                                     const evd_options *options);

/**
 * Closes a storage: no new operation is taken (each fails with EVD_ECLOSED), pending ones may finish
 * until the drain time is over, then fail with EVD_ECLOSED. May be called in a callback. Until the
 * future is finished the storage may still be used, in vain; after that it is gone. Futures stay
 * valid until they are released; what memory is left of the storage goes with this one.
 *
 * @param storage  NULL is fine: there is nothing to close, and the future is null.
 * @param drain_ms how long to wait for what is pending; 0: what has not left yet fails now (very much
 *                 of it in several turns of the loop); negative: as long as it takes.
 * @return a future that is finished when everything is closed, after the callbacks of all operations;
 *         it has no result. EVD_EMISUSE when the storage is closing already.
 */
EVD_API evd_future *evd_storage_close(evd_storage *storage, int64_t drain_ms);

/** The engine's name: "sqlite", "postgres" or "mysql". Static. */
EVD_API const char *evd_storage_engine(const evd_storage *storage);

/*
 * The operations. Each names the framework's operation that it is. All take the storage first,
 * never block, copy what they are given before they return, and give back a future. All can fail
 * with EVD_EINVAL (evd_error.field names the argument or column), EVD_EBUSY, EVD_ETIMEDOUT,
 * EVD_ECLOSED, EVD_EUNAVAILABLE, EVD_ECONFLICT and EVD_EDATABASE. Every operation is atomic: it is
 * applied whole or not at all, and once it has succeeded it is durable.
 *
 * Operations that the caller has not awaited are concurrent with each other, but two updates by id
 * (evd_update(), evd_update_and_insert_children()) of one execution are applied in the order of
 * their submission.
 *
 * A claim selects up to `limit` rows in the stated order, skips rows that another transaction
 * holds, applies the changes to exactly those, and has the rows as they are after it, in that
 * order. Two concurrent claims never have the same row for the same transition. A limit of 0 or
 * less touches nothing. Times to compare with lie within +-(2^53 - 1), as all times do.
 */

/**
 * Inserts executions, all or none (insertMany). Result: count. Fails with EVD_EDUPLICATE when an
 * execution_id or a sleeping_task_unique_id exists already, and inserts nothing.
 */
EVD_API evd_future *evd_insert(evd_storage *storage, const evd_execution *executions, size_t count);

/** Gets one by id if the filter admits it (getManyById). Result: row. `filter` may be NULL. */
EVD_API evd_future *evd_get(evd_storage *storage, const char *execution_id,
                            const evd_filter *filter);

/** Gets the one with this unique id (getManyBySleepingTaskUniqueId). Result: row. */
EVD_API evd_future *evd_get_by_sleeping_task_unique_id(evd_storage *storage, const char *unique_id);

/** Updates one by id if the filter admits it (updateManyById). Result: matched. */
EVD_API evd_future *evd_update(evd_storage *storage, const char *execution_id,
                               const evd_filter *filter, const evd_changes *changes);

/**
 * Updates one by id if the filter admits it and, only if so, inserts its children, in one
 * transaction (updateManyByIdAndInsertChildrenIfUpdated). Result: matched. EVD_EDUPLICATE among the
 * children undoes the update as well.
 */
EVD_API evd_future *evd_update_and_insert_children(evd_storage *storage, const char *execution_id,
                                                   const evd_filter *filter,
                                                   const evd_changes *changes,
                                                   const evd_execution *children, size_t count);

/**
 * Claims those with this status and start_at < start_at_before, ordered by start_at; sets
 * expires_at to started_at + the row's timeout_ms beside the changes, whatever they say of it
 * (updateByStatusAndStartAtLessThanAndReturn). Result: rows. To claim what is due now, give
 * evd_now() + 1. The sum is 2^53 - 1 at most.
 */
EVD_API evd_future *evd_claim_by_start_at(evd_storage *storage, evd_status status,
                                          int64_t start_at_before, int64_t started_at,
                                          const evd_changes *changes, int64_t limit);

/**
 * Claims those with this status, this ocfp status and no active children, ordered by updated_at
 * (updateByStatusAndOnChildrenFinishedProcessingStatusAndActiveChildrenCountZeroAndReturn).
 * Result: rows.
 */
EVD_API evd_future *evd_claim_by_children_finished(evd_storage *storage, evd_status status,
                                                   evd_ocfp_status ocfp_status,
                                                   const evd_changes *changes, int64_t limit);

/** Claims by close_status, ordered by updated_at (updateByCloseStatusAndReturn). Result: rows. */
EVD_API evd_future *evd_claim_by_close_status(evd_storage *storage, evd_close_status close_status,
                                              const evd_changes *changes, int64_t limit);

/**
 * Updates those with this status, is_sleeping_task and expires_at < before, ordered by expires_at
 * (updateByStatusAndIsSleepingTaskAndExpiresAtLessThan). Result: count.
 */
EVD_API evd_future *evd_expire_by_expires_at(evd_storage *storage, evd_status status,
                                             bool is_sleeping_task, int64_t before,
                                             const evd_changes *changes, int64_t limit);

/**
 * Updates those with on_children_finished_processing_expires_at < before, ordered by it
 * (updateByOnChildrenFinishedProcessingExpiresAtLessThan). Result: count.
 */
EVD_API evd_future *evd_expire_by_ocfp_expires_at(evd_storage *storage, int64_t before,
                                                  const evd_changes *changes, int64_t limit);

/**
 * Updates those with close_expires_at < before, ordered by it
 * (updateByCloseExpiresAtLessThan). Result: count.
 */
EVD_API evd_future *evd_expire_by_close_expires_at(evd_storage *storage, int64_t before,
                                                   const evd_changes *changes, int64_t limit);

/**
 * Claims by executor_id and needs_promise_cancellation, ordered by updated_at
 * (updateByExecutorIdAndNeedsPromiseCancellationAndReturn). Result: rows.
 */
EVD_API evd_future *evd_claim_by_cancellation(evd_storage *storage, const char *executor_id,
                                              bool needs_promise_cancellation,
                                              const evd_changes *changes, int64_t limit);

/**
 * Gets all children of a parent (getManyByParentExecutionId). Result: rows, ordered by
 * index_in_parent_children, then execution_id.
 */
EVD_API evd_future *evd_get_by_parent(evd_storage *storage, const char *parent_execution_id);

/**
 * Updates all children of a parent that are finished or not
 * (updateManyByParentExecutionIdAndIsFinished). Result: count.
 */
EVD_API evd_future *evd_update_by_parent(evd_storage *storage, const char *parent_execution_id,
                                         bool is_finished, const evd_changes *changes);

/**
 * Updates by is_finished and close_status, ordered by updated_at, and for each row so updated takes
 * 1 off its parent's active_children_count (and sets the parent's updated_at to that of the
 * changes), in one transaction
 * (updateAndDecrementParentActiveChildrenCountByIsFinishedAndCloseStatus). Result: count of rows
 * updated, parents not included. The counter has no lower bound: it ends at -1 where a finalize task is
 * closed, which the framework does not count.
 */
EVD_API evd_future *evd_close_finished(evd_storage *storage, bool is_finished,
                                       evd_close_status close_status, const evd_changes *changes,
                                       int64_t limit);

/** Deletes one by id, in test mode; else it does nothing (deleteById). Result: count. */
EVD_API evd_future *evd_delete(evd_storage *storage, const char *execution_id);

/** Deletes all, in test mode; else it does nothing (deleteAll). Result: count. */
EVD_API evd_future *evd_delete_all(evd_storage *storage);

/** Latencies, from submission to result, in milliseconds, to within 3 %. */
typedef struct evd_latency {
  double p50, p90, p99, p999, max;
} evd_latency;

/** What one operation did since the storage was opened. */
typedef struct evd_operation_stats {
  uint64_t requests;  /**< Submitted and accepted. */
  uint64_t merged;    /**< Reads that shared another's. */
  uint64_t batches;   /**< Sent to the engine, retries and splits included. */
  uint64_t batched;   /**< Requests in those; batched / batches is the mean batch. */
  uint64_t batch_max; /**< The largest batch. */
  uint64_t retries;   /**< Batches sent again after a conflict or a lost connection. */
  uint64_t splits;    /**< Batches split to find a culprit. */
  uint64_t failures;  /**< Requests that failed. */
  uint64_t pending;   /**< Requests not finished now. */
  evd_latency latency;
} evd_operation_stats;

/** What a storage did since it was opened. */
typedef struct evd_stats {
  evd_operation_stats operations[EVD_OPERATION_COUNT];
  uint64_t pending_requests; /**< Queue depth now: waiting and under way. */
  uint64_t pending_bytes;    /**< Memory that those hold. */
  uint64_t refused;          /**< Submissions refused with EVD_EBUSY. */
  uint64_t connections;      /**< Open connections to the database now. */
  uint64_t reconnections;    /**< Connections opened after one was lost. */
  uint64_t rows_unreadable;  /**< Rows that claims met and could not read; see the contract. */
} evd_stats;

/** Fills in the statistics. */
EVD_API void evd_storage_stats(const evd_storage *storage, evd_stats *stats);

/** Statistics as a table for people; release it with free(). NULL when memory is out. */
EVD_API char *evd_stats_text(const evd_stats *stats);

EVD_END_DECLS

#endif
