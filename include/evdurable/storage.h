/**
 * @file storage.h
 * A storage of task executions: opening, the operations, statistics, closing.
 *
 * A storage belongs to the thread that runs its loop. Several storages can share a loop, and
 * several threads can each have their own loop and storages.
 *
 * After fork(), the parent's storages, futures and loops can only be used by the parent. A child
 * that does not exec must not use, release or close them, and should end with _exit(): it has no
 * worker threads, and locks of SQLite and the client libraries may be held for ever. Open a storage
 * in a child only after exec, or fork before the parent opens its first storage.
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
  EVD_OPERATION_GET_TREE,
  EVD_OPERATION_UPDATE_BY_PARENT,
  EVD_OPERATION_CLOSE_FINISHED,
  EVD_OPERATION_DELETE,
  EVD_OPERATION_DELETE_ALL,
  EVD_OPERATION_COUNT
} evd_operation;

/** The name of an operation, e.g. "claim_by_start_at"; NULL for other values. Static. */
EVD_API const char *evd_operation_name(evd_operation operation);

/** What evd_storage_open() does about the table. */
typedef enum evd_schema_mode {
  EVD_SCHEMA_CHECK = 0, /**< Fails with EVD_ESCHEMA if the table is missing or unsuitable. */
  EVD_SCHEMA_CREATE,    /**< Creates the table and its indexes if missing, then checks. */
  EVD_SCHEMA_SKIP,      /**< Only reads which columns exist. */
  EVD_SCHEMA_MIGRATE    /**< Does what `evdurable migrate up` does, however long it takes, then
                             checks: creates the table, or adds what it lacks. Several
                             processes can do so at once. */
} evd_schema_mode;

/** The severity of a log event. */
typedef enum evd_log_level {
  EVD_LOG_ERROR = 1,
  EVD_LOG_WARNING,
  EVD_LOG_INFO,
  EVD_LOG_QUERY /**< Every statement, with its duration. */
} evd_log_level;

/** A log event. Its pointers are valid only during the callback. */
typedef struct evd_log_event {
  evd_log_level level;
  const char *message;     /**< For people; never NULL. */
  const char *sql;         /**< The statement of an EVD_LOG_QUERY, without values; else NULL. */
  evd_operation operation; /**< Of an EVD_LOG_QUERY. */
  size_t batch_size;       /**< Requests in the statement's batch. */
  double duration_ms;      /**< From sending the statement to its result. */
} evd_log_event;

/** Called on the loop's thread. It must not use the storage. */
typedef void (*evd_log_callback)(const evd_log_event *event, void *data);

/** How to open a storage. All zero is the default. Strings are copied. */
typedef struct evd_options {
  const char *table;            /**< NULL is "task_executions"; may be "schema.table". */
  evd_schema_mode schema;       /**< Default EVD_SCHEMA_CHECK. */
  bool test_mode;               /**< Lets evd_delete() and evd_delete_all() delete. */
  size_t batch_max_requests;    /**< The most requests in a batch; 0 is 128; 1 disables batching.
                                     More than 64 reads are divided among free connections. */
  size_t batch_max_bytes;       /**< The most bytes in a batch of several requests; 0 is 4 MiB. */
  size_t pending_max_requests;  /**< Beyond it, EVD_EBUSY; 0 is 100,000. */
  size_t pending_max_bytes;     /**< Beyond it, EVD_EBUSY; 0 is 256 MiB. */
  int64_t operation_timeout_ms; /**< From submission to result; 0 is 30,000; -1 is none. */
  int conflict_retries_max;     /**< Internal retries after a conflict; 0 is 10; -1 is none. */
  evd_log_callback log;         /**< NULL: no log. */
  void *log_data;
  evd_log_level log_level; /**< The least severe level that is logged; 0 is EVD_LOG_WARNING. */
} evd_options;

/**
 * Opens a storage on the caller's loop, without blocking. The future's result is the storage
 * (evd_future_storage()); the caller closes it with evd_storage_close(). Cancelling the future
 * stops the opening, except for a migration that has begun. It is then unknown whether
 * EVD_SCHEMA_CREATE or EVD_SCHEMA_MIGRATE changed anything (EVD_OUTCOME_UNKNOWN).
 *
 * @param loop    the loop that this thread runs; must outlive the storage and its futures.
 * @param url     - `sqlite:path`, `sqlite::memory:`, or an SQLite `file:` URI
 *                - `postgresql://user:password@host:port/database?options`, or libpq keywords
 *                - `mysql://user:password@host:port/database?options`, or `mariadb://`
 * @param options may be NULL for the defaults.
 *
 * Errors: EVD_EINVAL (the URL or an option; field names it), EVD_EUNAVAILABLE (cannot connect; the
 * message says where and why), EVD_ESCHEMA (the table), EVD_EDATABASE (the file is not an SQLite
 * database, or cannot be written).
 */
EVD_API evd_future *evd_storage_open(struct ev_loop *loop, const char *url,
                                     const evd_options *options);

/**
 * Closes a storage. New operations fail with EVD_ECLOSED. Pending operations may finish during the
 * drain time; those that do not, fail with EVD_ECLOSED. May be called in a callback. Calls with the
 * storage fail with EVD_ECLOSED until the future has finished; after that, the storage must not be
 * used. Releasing the future frees the storage. Futures of operations stay valid until they are
 * released.
 *
 * @param storage  NULL: there is nothing to close, and the future is null.
 * @param drain_ms how long to wait for pending operations. 0: those not yet sent fail at once (many
 *                 of them over several iterations of the loop). Negative: without limit.
 * @return a future that finishes when everything is closed, after the callbacks of all operations;
 *         it has no result. EVD_EMISUSE if the storage is already closing.
 */
EVD_API evd_future *evd_storage_close(evd_storage *storage, int64_t drain_ms);

/** The engine's name: "sqlite", "postgres" or "mysql". Static. */
EVD_API const char *evd_storage_engine(const evd_storage *storage);

/*
 * The operations; in parentheses, the name of each in the framework. All take the storage first,
 * never block, copy their arguments before they return, and return a future. All can fail with
 * EVD_EINVAL (evd_error.field names the argument or column), EVD_EBUSY, EVD_ETIMEDOUT, EVD_ECLOSED,
 * EVD_EUNAVAILABLE, EVD_ECONFLICT and EVD_EDATABASE. Every operation is atomic: it is applied as a
 * whole or not at all. Once it has succeeded, it is durable.
 *
 * Pending operations are concurrent with each other, except that updates by id (evd_update(),
 * evd_update_and_insert_children()) of the same execution are applied in the order of submission.
 *
 * A claim selects at most `limit` rows in the stated order, skips rows that another transaction has
 * locked, applies the changes, and returns the changed rows in that order. Two concurrent claims
 * never return the same row for the same transition. A limit of 0 or less selects nothing. Times to
 * compare with lie within +-(2^53 - 1), as all times do.
 */

/**
 * Inserts executions, all or none (insertMany). Result: count. Fails with EVD_EDUPLICATE, without
 * inserting any, if an execution_id or a sleeping_task_unique_id already exists.
 */
EVD_API evd_future *evd_insert(evd_storage *storage, const evd_execution *executions, size_t count);

/** Gets an execution by id if it passes the filter (getManyById); NULL is none. Result: row. */
EVD_API evd_future *evd_get(evd_storage *storage, const char *execution_id,
                            const evd_filter *filter);

/** Gets the execution with this unique id (getManyBySleepingTaskUniqueId). Result: row. */
EVD_API evd_future *evd_get_by_sleeping_task_unique_id(evd_storage *storage, const char *unique_id);

/** Updates an execution by id if it passes the filter (updateManyById). Result: matched. */
EVD_API evd_future *evd_update(evd_storage *storage, const char *execution_id,
                               const evd_filter *filter, const evd_changes *changes);

/**
 * Updates an execution by id if it passes the filter, and then also inserts its children, in one
 * transaction (updateManyByIdAndInsertChildrenIfUpdated). Result: matched. If a child fails with
 * EVD_EDUPLICATE, the update is undone too.
 */
EVD_API evd_future *evd_update_and_insert_children(evd_storage *storage, const char *execution_id,
                                                   const evd_filter *filter,
                                                   const evd_changes *changes,
                                                   const evd_execution *children, size_t count);

/** The most task ids in the list of a claim. */
#define EVD_TASK_IDS_MAX 1000

/** Which executions evd_claim_by_start_at() claims, and when their runs expire. */
typedef struct evd_due {
  evd_status status;           /**< Normally EVD_STATUS_READY. */
  int64_t start_at_before;     /**< start_at < this; evd_now() + 1 claims all that is due. */
  int64_t started_at;          /**< expires_at becomes this + the row's timeout_ms, at most
                                2^53 - 1. Later than now, it gives the run that much more time
                                before others may take it for expired. */
  const char *const *task_ids; /**< Only executions of these tasks; NULL is any task. Copied. */
  size_t task_id_count;        /**< At most EVD_TASK_IDS_MAX; 0 with a list selects nothing. */
} evd_due;

/**
 * Claims executions that are due, ordered by start_at (updateByStatusAndStartAtLessThanAndReturn),
 * applies the changes and sets expires_at. Result: rows.
 *
 * With task ids, the index on task_id and start_at serves it (migration 2), however many executions
 * of other tasks are due before. On a table without it, the claim reads over all of those.
 */
EVD_API evd_future *evd_claim_by_start_at(evd_storage *storage, const evd_due *due,
                                          const evd_changes *changes, int64_t limit);

/** Which parents evd_claim_by_children_finished() claims. */
typedef struct evd_parents {
  evd_status status;           /**< Normally EVD_STATUS_WAITING_FOR_CHILDREN. */
  evd_ocfp_status ocfp_status; /**< Normally EVD_OCFP_IDLE. */
  const char *const *task_ids; /**< Only parents of these tasks; NULL is any task. Copied. The claim
                                    reads over the others, of which there are few: they wait. */
  size_t task_id_count;        /**< At most EVD_TASK_IDS_MAX; 0 with a list selects nothing. */
} evd_parents;

/**
 * Claims executions without active children, ordered by updated_at
 * (updateByStatusAndOnChildrenFinishedProcessingStatusAndActiveChildrenCountZeroAndReturn). Result:
 * rows.
 */
EVD_API evd_future *evd_claim_by_children_finished(evd_storage *storage, const evd_parents *parents,
                                                   const evd_changes *changes, int64_t limit);

/** Claims by close_status, ordered by updated_at (updateByCloseStatusAndReturn). Result: rows. */
EVD_API evd_future *evd_claim_by_close_status(evd_storage *storage, evd_close_status close_status,
                                              const evd_changes *changes, int64_t limit);

/** Which executions evd_expire_by_expires_at() updates. */
typedef struct evd_expired {
  evd_status status;         /**< Normally EVD_STATUS_RUNNING. */
  bool is_sleeping_task;     /**< Sleeping tasks only, or all others only. */
  int64_t expires_at_before; /**< expires_at < this; normally evd_now(). */
  evd_maybe attempts_left;   /**< EVD_YES: only those with retry_attempts < maxAttempts +
                                  extra_attempts, maxAttempts being that of their retry_options (0
                                  where that is no integer); EVD_NO: only the others. */
  int32_t extra_attempts;    /**< At least 0: attempts beside maxAttempts that may expire. */
} evd_expired;

/**
 * Updates executions whose runs have expired, ordered by expires_at
 * (updateByStatusAndIsSleepingTaskAndExpiresAtLessThan). Result: count.
 *
 * Recovery that counts attempts, so that an execution that kills its process does not run for ever,
 * is two calls: one fails what has no attempts left, the other gives back the rest.
 * @code
 *   evd_expired expired = {.status = EVD_STATUS_RUNNING, .expires_at_before = evd_now()};
 *   expired.attempts_left = EVD_NO;
 *   evd_expire_by_expires_at(storage, &expired, &fail, 100);
 *   expired.attempts_left = EVD_YES;
 *   evd_add(&give_back, retry_attempts, 1);
 *   evd_expire_by_expires_at(storage, &expired, &give_back, 100);
 * @endcode
 */
EVD_API evd_future *evd_expire_by_expires_at(evd_storage *storage, const evd_expired *expired,
                                             const evd_changes *changes, int64_t limit);

/**
 * Updates executions with on_children_finished_processing_expires_at < before, ordered by it
 * (updateByOnChildrenFinishedProcessingExpiresAtLessThan). Result: count.
 */
EVD_API evd_future *evd_expire_by_ocfp_expires_at(evd_storage *storage, int64_t before,
                                                  const evd_changes *changes, int64_t limit);

/**
 * Updates executions with close_expires_at < before, ordered by it
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
 * Gets an execution and all that are below it: its children, their children, and so on. Result:
 * rows, ordered by created_at, then parent_execution_id, index_in_parent_children and execution_id;
 * none if there is no such execution. For the whole tree of an execution, pass its
 * root_execution_id, or its own id if that is NULL. All rows are in memory at once.
 *
 * The rows are found from parent to child, by the index on parent_execution_id, as they are in one
 * snapshot of the database.
 */
EVD_API evd_future *evd_get_tree(evd_storage *storage, const char *execution_id);

/**
 * Updates the children of a parent that have this is_finished
 * (updateManyByParentExecutionIdAndIsFinished). Result: count.
 */
EVD_API evd_future *evd_update_by_parent(evd_storage *storage, const char *parent_execution_id,
                                         bool is_finished, const evd_changes *changes);

/**
 * Updates executions with this is_finished and close_status, ordered by updated_at. In the same
 * transaction, decrements the parent's active_children_count by 1 for each of them, and sets the
 * parent's updated_at to that of the changes
 * (updateAndDecrementParentActiveChildrenCountByIsFinishedAndCloseStatus). Result: count of the
 * rows updated, without the parents. The counter has no lower bound: closing a finalize task, which
 * the framework does not count, takes it to -1.
 */
EVD_API evd_future *evd_close_finished(evd_storage *storage, bool is_finished,
                                       evd_close_status close_status, const evd_changes *changes,
                                       int64_t limit);

/** Deletes an execution by id in test mode; otherwise does nothing (deleteById). Result: count. */
EVD_API evd_future *evd_delete(evd_storage *storage, const char *execution_id);

/** Deletes all executions in test mode; otherwise does nothing (deleteAll). Result: count. */
EVD_API evd_future *evd_delete_all(evd_storage *storage);

/** Latencies from submission to result in milliseconds, accurate to 3 %. */
typedef struct evd_latency {
  double p50, p90, p99, p999, max;
} evd_latency;

/** Statistics of one operation since the storage was opened. */
typedef struct evd_operation_stats {
  uint64_t requests;  /**< Submitted and accepted. */
  uint64_t merged;    /**< Reads that shared the result of another. */
  uint64_t batches;   /**< Sent to the engine, including retries and splits. */
  uint64_t batched;   /**< Requests in them; batched / batches is the mean batch. */
  uint64_t batch_max; /**< The largest batch. */
  uint64_t retries;   /**< Batches sent again after a conflict or a lost connection. */
  uint64_t splits;    /**< Batches split to find the request that fails. */
  uint64_t failures;  /**< Requests that failed. */
  uint64_t pending;   /**< Requests that have not finished. */
  evd_latency latency;
} evd_operation_stats;

/** Statistics of a storage since it was opened. */
typedef struct evd_stats {
  evd_operation_stats operations[EVD_OPERATION_COUNT];
  uint64_t pending_requests; /**< Requests that wait or are in flight. */
  uint64_t pending_bytes;    /**< Their memory. */
  uint64_t refused;          /**< Submissions refused with EVD_EBUSY. */
  uint64_t connections;      /**< Open connections to the database. */
  uint64_t reconnections;    /**< Connections opened to replace lost ones. */
  uint64_t rows_unreadable;  /**< Rows that claims could not read; see docs/contract.md. */
} evd_stats;

/** Fills in the statistics. */
EVD_API void evd_storage_stats(const evd_storage *storage, evd_stats *stats);

/** The statistics as a readable table, to be released with free(); NULL if memory ran out. */
EVD_API char *evd_stats_text(const evd_stats *stats);

EVD_END_DECLS

#endif
