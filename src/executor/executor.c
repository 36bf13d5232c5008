/* The executor: making, starting and stopping it. */
#include "executor/executor.h"

#include <stdlib.h>
#include <string.h>

#include "async/future.h"
#include "async/timer.h"
#include "executor/cancel.h"
#include "executor/claim.h"
#include "executor/close.h"
#include "executor/events.h"
#include "executor/parents.h"
#include "executor/recover.h"
#include "executor/run.h"
#include "executor/threads.h"
#include "executor/wait.h"
#include "model/check.h"
#include "model/error.h"
#include "storage.h"

/* The defaults. */
static const evd_executor_options defaults = {
    .run_max = 1000,
    .claim_max = 100,
    .threads_max = 4,
    .poll_ms = 500,
    .poll_idle_ms = 2000,
    .maintain_ms = 2000,
    .recover_ms = 10000,
    .cancel_poll_ms = 1000,
    .lease_ms = 60000,
    .stop_grace_ms = 1000,
    .crashes_max = 3,
    .retry_jitter = 0.2,
};

/* A number of the options: its default for 0, an error if it is negative. */
#define TAKE(options, name)                                                   \
  do {                                                                        \
    if ((options)->name < 0) {                                                \
      return error_set(error, EVD_EINVAL, #name, #name " is negative");       \
    }                                                                         \
    (options)->name = (options)->name != 0 ? (options)->name : defaults.name; \
  } while (0)

static evd_code fill_in(evd_executor_options *options, evd_error *error) {
  TAKE(options, run_max);
  TAKE(options, claim_max);
  TAKE(options, threads_max);
  TAKE(options, poll_ms);
  TAKE(options, poll_idle_ms);
  TAKE(options, maintain_ms);
  TAKE(options, recover_ms);
  TAKE(options, cancel_poll_ms);
  TAKE(options, lease_ms);
  TAKE(options, stop_grace_ms);
  options->crashes_max = options->crashes_max == 0  ? defaults.crashes_max
                         : options->crashes_max < 0 ? 0
                                                    : options->crashes_max;
  if (options->poll_idle_ms < options->poll_ms) {
    return error_set(error, EVD_EINVAL, "poll_idle_ms", "poll_idle_ms is below poll_ms");
  }
  if (options->stop_grace_ms >= options->lease_ms) {
    return error_set(error, EVD_EINVAL, "stop_grace_ms", "stop_grace_ms is not below lease_ms");
  }
  if (!(options->retry_jitter <= 1)) {
    return error_set(error, EVD_EINVAL, "retry_jitter", "retry_jitter is above 1");
  }
  options->retry_jitter = options->retry_jitter == 0  ? defaults.retry_jitter
                          : options->retry_jitter < 0 ? 0
                                                      : options->retry_jitter;
  return options->id != NULL ? check_id(options->id, "id", EVD_ID_MAX, error) : EVD_OK;
}

static void init_steps(struct evd_executor *executor) {
  const evd_executor_options *options = &executor->options;
  struct ev_loop *loop = executor->loop;
  step_init(&executor->claim, loop, claim_begin, executor, (double)options->poll_ms / 1e3,
            (double)options->poll_idle_ms / 1e3);
  step_init(&executor->close, loop, close_begin, executor, (double)options->maintain_ms / 1e3,
            (double)options->maintain_ms / 1e3);
  step_init(&executor->parents, loop, parents_begin, executor, (double)options->maintain_ms / 1e3,
            (double)options->maintain_ms / 1e3);
  step_init(&executor->cancel, loop, cancel_begin, executor, (double)options->cancel_poll_ms / 1e3,
            (double)options->cancel_poll_ms / 1e3);
  step_init(&executor->recover, loop, recover_begin, executor, (double)options->recover_ms / 1e3,
            (double)options->recover_ms / 1e3);
}

/* The drain time is over: gives up the runs that have not ended. */
static void drain_over(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)loop, (void)events;
  run_give_up_all(timer->data);
}

evd_executor *evd_executor_new(evd_storage *storage, const evd_executor_options *options,
                               evd_error *error) {
  evd_executor_options filled = options != NULL ? *options : (evd_executor_options){0};
  char id[EVD_ID_SIZE];
  if (storage == NULL) {
    error_set(error, EVD_EINVAL, "storage", "storage is NULL");
    return NULL;
  }
  if (fill_in(&filled, error) != EVD_OK) {
    return NULL;
  }
  evd_id_generate(id);
  struct evd_executor *executor = calloc(1, sizeof *executor);
  if (executor == NULL) {
    error_set_no_memory(error);
    return NULL;
  }
  executor->storage = storage;
  executor->loop = storage->reactor->loop;
  executor->options = filled;
  executor->id = strdup(filled.id != NULL ? filled.id : id);
  executor->threads = threads_new(executor->loop, filled.threads_max, run_thread_ended);
  executor->options.id = executor->id;
  init_steps(executor);
  ev_timer_init(&executor->drain, drain_over, 0, 0);
  executor->drain.data = executor;
  if (executor->id == NULL || executor->threads == NULL) {
    executor_free(executor);
    error_set_no_memory(error);
    return NULL;
  }
  return executor;
}

evd_code evd_executor_add(evd_executor *executor, const evd_task *task, evd_error *error) {
  if (executor->state > EXECUTOR_STARTED) {
    return error_set(error, EVD_EMISUSE, "", "the executor stops");
  }
  evd_code code = tasks_add(&executor->tasks, task, error);
  if (code == EVD_OK) {
    event_claimable(executor);
  }
  return code;
}

evd_code evd_executor_start(evd_executor *executor) {
  if (executor->state != EXECUTOR_NEW) {
    return EVD_EMISUSE;
  }
  executor->state = EXECUTOR_STARTED;
  step_start(&executor->claim);
  step_start(&executor->close);
  step_start(&executor->parents);
  step_start(&executor->cancel);
  step_start(&executor->recover);
  return EVD_OK;
}

/* Stopping. */

/* The stop goes on, and nobody waits for it. */
static evd_outcome cancel_stop(evd_future *future, void *maker) {
  (void)future;
  struct evd_executor *executor = maker;
  executor->stopping = NULL;
  return EVD_OUTCOME_UNKNOWN;
}

evd_future *evd_executor_stop(evd_executor *executor, int64_t drain_ms) {
  evd_error error;
  if (executor->state > EXECUTOR_STARTED) {
    error_set(&error, EVD_EMISUSE, "", "the executor stops already");
    return future_failed(executor->storage->reactor, &error);
  }
  evd_future *future = future_new(executor->storage->reactor);
  if (future == NULL) {
    return NULL;
  }
  future_set_maker(future, cancel_stop, executor);
  executor->stopping = future;
  executor->state = EXECUTOR_DRAINING;
  executor->under_way++; /* this call */
  step_stop(&executor->claim);
  step_stop(&executor->close);
  step_stop(&executor->parents);
  step_stop(&executor->recover);
  wait_stop(executor);
  timer_start(executor->loop, &executor->drain, (double)(drain_ms > 0 ? drain_ms : 0) / 1e3, 0);
  run_drain_all(executor);
  executor_answered(executor);
  return future;
}

void evd_executor_stats_get(const evd_executor *executor, evd_executor_stats *stats) {
  *stats = executor->stats;
  stats->running = (uint64_t)executor->running;
}
