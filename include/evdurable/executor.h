/**
 * @file executor.h
 * The executor: runs the tasks of durable executions on the caller's loop.
 *
 * It claims executions that are due, calls the tasks' functions, stores what became of each run,
 * retries, and recovers what executors that died have left. An execution runs at least once: after
 * a crash it runs again, so what a task does outside must be idempotent, or look whether it was
 * done. docs/executor.md is a guide.
 *
 * An executor belongs to its storage's loop and thread: call these functions only from there,
 * except those of a run of a blocking task, which its thread calls.
 */
#ifndef EVDURABLE_EXECUTOR_H
#define EVDURABLE_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <evdurable/error.h>
#include <evdurable/execution.h>
#include <evdurable/export.h>
#include <evdurable/future.h>
#include <evdurable/storage.h>

EVD_BEGIN_DECLS

/** Claims and runs executions. */
typedef struct evd_executor evd_executor;

/** One attempt of one execution. It is the task's from the call of its function to the ending call,
 * whatever happens meanwhile. */
typedef struct evd_run evd_run;

/** Why a run was asked to stop. */
typedef enum evd_stop_reason {
  EVD_STOP_NONE = 0,  /**< It was not. */
  EVD_STOP_DRAINING,  /**< The executor stops: end soon, or the execution is given back. Another
                           reason may follow. */
  EVD_STOP_CANCELLED, /**< Its execution, or one above it, was cancelled. */
  EVD_STOP_TIMED_OUT, /**< Its timeout_ms is over. */
  EVD_STOP_LOST       /**< The execution is another executor's: the lease was over. */
} evd_stop_reason;

/**
 * Runs an attempt. The function ends the run by exactly one of the ending calls
 * (evd_run_complete(), evd_run_fail(), evd_run_snooze(), evd_run_spawn()): before it returns, or in
 * any later callback on the loop. A blocking task's function is called on a thread, and must end
 * the run before it returns; otherwise the attempt fails.
 */
typedef void (*evd_run_callback)(evd_run *run, void *data);

/** Tells a run, on the loop, that it should end. It may call an ending function. */
typedef void (*evd_stop_callback)(evd_run *run, evd_stop_reason reason, void *data);

/**
 * A task: what an execution's task_id names. All but `data` is copied. Only id is needed: a task
 * with neither `run` nor `sequence` is a sleeping task (see evd_wake_up()).
 */
typedef struct evd_task {
  const char *id;              /**< 1 to EVD_ID_MAX bytes. */
  evd_run_callback run;        /**< Runs an attempt. */
  void *data;                  /**< For `run` and `finalize`; must outlive the executor. */
  int64_t timeout_ms;          /**< Time limit of a run, at least 1; 0 is EVD_TIMEOUT_DEFAULT_MS. */
  int64_t sleep_ms_before_run; /**< From enqueueing to the first run. Of a sleeping task, with
                                    timeout_ms: how long it waits to be woken up. */
  evd_retry_options retry; /**< All zero: no second attempt. max_delay_ms 0 is no bound of its own
                                (delays are at most 24 h). */
  int32_t run_max;         /**< At most so many runs here at a time; 0 is no limit of its own. */
  bool blocking;           /**< `run` may block: it is called on a thread. */
  /** Of a parent: called on the loop when all children have finished, at least once, for at most
   * 60 s; evd_run_children() has them. Not retried: if it fails, the execution is
   * EVD_STATUS_FINALIZE_FAILED. */
  evd_run_callback finalize;
  /** Or the id of a task that is run in its place, as durable as any other. Its input is
   * {"output": ..., "children": [...]}; its output is the parent's. With neither, that input is the
   * parent's output. */
  const char *finalize_task;
  const char *const *sequence; /**< Ids of tasks that run one after the other, ended by NULL: the
                                    first gets the input, each other the output of the one before,
                                    and the last one's is the output of all. In place of `run`. */
} evd_task;

/** An execution to enqueue. Only task_id is needed. */
typedef struct evd_spec {
  const char *task_id;      /**< It need not be known to this executor. */
  const char *input;        /**< JSON; NULL is null. */
  const char *execution_id; /**< NULL makes one. With the caller's own, enqueueing is idempotent. */
  const char *unique_id;    /**< Makes it the execution of a sleeping task. */
  const evd_retry_options *retry; /**< NULL: the task's. */
  int64_t sleep_ms_before_run;    /**< From now to the first run; 0: the task's; -1: none. */
  int64_t timeout_ms;             /**< 0: the task's. */
  int64_t head_start_ms;          /**< Priority: it counts as if it had been due so long already. */
} evd_spec;

/** What the hook is told of. */
typedef enum evd_executor_event_kind {
  EVD_EVENT_ENQUEUED = 1, /**< An execution was stored by evd_enqueue(). */
  EVD_EVENT_STARTED,      /**< A run begins. */
  EVD_EVENT_ENDED,        /**< What became of a run is stored. */
  EVD_EVENT_LOST,         /**< It is not: the execution is not this attempt's any more. */
  EVD_EVENT_RECOVERED,    /**< Executions whose lease was over were given back or failed. */
  EVD_EVENT_TROUBLE       /**< An operation of the storage failed; it is tried again. */
} evd_executor_event_kind;

/** An event. Its pointers are valid during the callback, which must not end runs. */
typedef struct evd_executor_event {
  evd_executor_event_kind kind;
  const evd_execution *execution; /**< NULL where the event is not about one. */
  evd_status status;      /**< ENDED: what was stored; EVD_STATUS_READY for a retry or a snooze. */
  double duration_ms;     /**< ENDED, LOST: from the run's beginning to its ending. */
  double lateness_ms;     /**< STARTED: from start_at to the run's beginning. */
  const evd_error *error; /**< Of the storage; NULL if there is none. */
} evd_executor_event;

/** All zero is the default, which stands in brackets. */
typedef struct evd_executor_options {
  /** Unique among all executors that ever ran, not a host's name: two executors of one id take each
   * other's outcomes for theirs. [made by evd_id_generate()] */
  const char *id;
  int32_t run_max;      /**< Runs at a time, including those that were told to stop. [1,000] */
  int32_t claim_max;    /**< Rows in a claim. [100] */
  int32_t threads_max;  /**< Threads for blocking tasks, started when needed. [4] */
  int64_t poll_ms;      /**< Between two looks for work; doubles while idle, up to: [500] */
  int64_t poll_idle_ms; /**< [2,000] */
  int64_t maintain_ms;  /**< Between two looks for parents and for what is to be closed. [2,000] */
  int64_t recover_ms;   /**< Between two looks for leases that are over. [10,000] */
  int64_t cancel_poll_ms; /**< Between two looks for cancellations, while anything runs. [1,000] */
  int64_t lease_ms;       /**< Added to timeout_ms: room for the stop, the write and differing
                                clocks. [60,000] */
  int64_t stop_grace_ms;  /**< From the stop of a run to giving it up; below lease_ms. [1,000] */
  int32_t crashes_max;    /**< Attempts beside maxAttempts that may end with a lease that is over;
                                then the execution fails. -1 is none. [3] */
  double retry_jitter;    /**< Part of a delay that is drawn at random: 0.2 is +-20 %. -1 is none.
                                [0.2] */
  void (*hook)(const evd_executor_event *event, void *data); /**< For traces and metrics. */
  void *hook_data;
} evd_executor_options;

/**
 * Makes an executor on a storage, which must outlive it.
 *
 * @return NULL and the error: EVD_EINVAL (with the option's name), EVD_ENOMEM.
 */
EVD_API evd_executor *evd_executor_new(evd_storage *storage, const evd_executor_options *options,
                                       evd_error *error);

/**
 * Adds a task, before or after the start. EVD_EINVAL; EVD_EDUPLICATE if there is a task of this id;
 * EVD_EMISUSE after evd_executor_stop().
 */
EVD_API evd_code evd_executor_add(evd_executor *executor, const evd_task *task, evd_error *error);

/**
 * Begins to claim and run. Until then, and without it, the executor can enqueue, wait, wake up and
 * cancel. From now on its timers keep ev_run() from returning, until it has stopped. EVD_EMISUSE if
 * it was started before.
 */
EVD_API evd_code evd_executor_start(evd_executor *executor);

/**
 * Stops: claims no more and tells each run (EVD_STOP_DRAINING). The execution of a run that has not
 * ended after drain_ms is given back: ready at once, its attempts as they were.
 *
 * The future finishes when every outcome is stored and every run has been ended by its task. The
 * executor lives until then, and until the future is released: both free it. Waits (evd_wait())
 * fail with EVD_ECLOSED, and so does what is enqueued from now on. EVD_EMISUSE at a second call.
 */
EVD_API evd_future *evd_executor_stop(evd_executor *executor, int64_t drain_ms);

/** The execution as it was claimed. Valid until the run is ended. Any thread. */
EVD_API const evd_execution *evd_run_execution(const evd_run *run);

/** The attempt: 0 is the first. Any thread. */
EVD_API int32_t evd_run_attempt(const evd_run *run);

/** Why the run was asked to stop, or EVD_STOP_NONE. Any thread: a blocking task looks from time to
 * time. */
EVD_API evd_stop_reason evd_run_stopped(const evd_run *run);

/**
 * Sets what is called when the run is asked to stop; at once if it was already. After
 * EVD_STOP_DRAINING it may be called once more, for another reason. On the loop only.
 */
EVD_API void evd_run_on_stop(evd_run *run, evd_stop_callback callback, void *data);

/**
 * Saves the run's state (JSON), which outlives a crash: the next attempt finds it in run_output.
 * On the loop only (on a thread: NULL). Result: matched; false if the execution is not this
 * attempt's any more.
 */
EVD_API evd_future *evd_run_save(evd_run *run, const char *state);

/**
 * Gives the run timeout_ms from now, whatever it had before. On the loop only (on a thread: NULL).
 * Result: matched, as above. EVD_EINVAL if it is not positive.
 */
EVD_API evd_future *evd_run_extend(evd_run *run, int64_t timeout_ms);

/*
 * The ending calls: each is the last with the run, and copies what it is given. On the loop; of a
 * blocking task, on its thread. After a stop they are taken all the same; what a cancelled, timed
 * out or lost run ends with is not stored.
 */

/** The execution is completed. output is JSON; NULL is null. */
EVD_API void evd_run_complete(evd_run *run, const char *output);

/**
 * The attempt failed. If it is retryable and attempts are left, the execution is ready again after
 * its delay; else it is finished.
 *
 * @param status  EVD_STATUS_FAILED, EVD_STATUS_TIMED_OUT, or EVD_STATUS_CANCELLED, which is never
 *                retried.
 * @param message for people; NULL is "".
 */
EVD_API void evd_run_fail(evd_run *run, evd_status status, const char *message, bool retryable);

/**
 * The execution runs again after delay_ms, and no attempt is spent: for polling, and for loops.
 *
 * @param state JSON that the next run finds in run_output; NULL keeps what is there.
 */
EVD_API void evd_run_snooze(evd_run *run, int64_t delay_ms, const char *state);

/**
 * The execution waits for children, which run in parallel. When all have finished, whatever became
 * of them, the task's finalize function goes on. Without children, it goes on at once.
 *
 * @param output   JSON; what the parent's run has found, for finalize and the parent's output.
 * @param children copied; each as in evd_enqueue(). A bad one fails the attempt.
 */
EVD_API void evd_run_spawn(evd_run *run, const char *output, const evd_spec *children,
                           size_t count);

/** In finalize: the children, in their order. Valid until the run is ended. Else EVD_EMISUSE. */
EVD_API evd_code evd_run_children(const evd_run *run, const evd_execution **rows, size_t *count);

/**
 * Stores a new execution. Its id is written to `id` at once (NULL: not wanted). If the outcome is
 * unknown, it is stored again under the same id for up to 30 s, until that is known.
 *
 * Result: count; 0 if there is an execution with the caller's own id already. EVD_EINVAL names the
 * field. EVD_ECLOSED: the executor stops.
 */
EVD_API evd_future *evd_enqueue(evd_executor *executor, const evd_spec *spec, char id[EVD_ID_SIZE]);

/**
 * Waits until an execution has finished. Result: its row; NULL if there is none. EVD_ETIMEDOUT when
 * the time is over (-1: never).
 */
EVD_API evd_future *evd_wait(evd_executor *executor, const char *execution_id, int64_t timeout_ms);

/**
 * Ends a sleeping execution: completes it (output is JSON; NULL is null), or fails it if there is
 * an error message. Result: its row as it is then, which may have finished before; NULL if there is
 * none with this unique id: it may come to be later.
 */
EVD_API evd_future *evd_wake_up(evd_executor *executor, const char *unique_id, const char *output,
                                const char *error_message);

/**
 * Cancels an execution that has not finished, and all below it. Its run, here or elsewhere, is told
 * (EVD_STOP_CANCELLED). Result: matched; false if it has finished, or there is none.
 */
EVD_API evd_future *evd_cancel(evd_executor *executor, const char *execution_id);

/** Counts since the executor was made, and how many there are now. */
typedef struct evd_executor_stats {
  uint64_t running;  /**< Now: runs, including those that were told to stop. */
  uint64_t stopping; /**< Now: of these, told to stop. */
  uint64_t waiters;  /**< Now: evd_wait() futures that have not finished. */
  uint64_t claimed, completed, failed, timed_out, retried, snoozed, spawned, cancelled;
  uint64_t recovered;   /**< Given back after their lease was over. */
  uint64_t crashed_out; /**< Failed, as that was once too often. */
  uint64_t lost;        /**< Runs that ended, and the execution was another's. */
  uint64_t given_back;  /**< At a stop, or of tasks that are not known here. */
  uint64_t polls, polls_empty;
} evd_executor_stats;
EVD_API void evd_executor_stats_get(const evd_executor *executor, evd_executor_stats *stats);

EVD_END_DECLS

#endif
