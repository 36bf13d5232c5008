/*
 * Recovering executions whose lease is over: each kind by one statement for many rows. A run that
 * expired has spent an attempt; with crashes_max attempts more than its retry options allow it
 * fails, as it may be what kills its process.
 */
#include "executor/recover.h"

#include "executor/events.h"
#include "executor/transitions.h"

enum { RECOVER_LIMIT = 100 };

enum recovery {
  RECOVER_FAILED,   /* a run that expired once too often */
  RECOVER_READY,    /* a run that expired */
  RECOVER_SLEEPING, /* a sleeping task that was not woken up */
  RECOVER_PARENTS,
  RECOVER_CLOSING,
  RECOVERIES
};

static const char expired_error[] = "{\"errorType\":\"generic\",\"message\":\"the lease of the run "
                                    "expired\",\"isRetryable\":true,\"isInternal\":true}";
static const char failed_error[] =
    "{\"errorType\":\"generic\",\"message\":\"the lease of the run expired too often\","
    "\"isRetryable\":false,\"isInternal\":true}";
static const char timed_out_error[] =
    "{\"errorType\":\"timed_out\",\"message\":\"the sleeping task was not woken up in time\","
    "\"isRetryable\":false,\"isInternal\":false}";

/* The operation of one recovery. */
static evd_future *recover(struct evd_executor *executor, enum recovery recovery) {
  int64_t now = evd_now();
  evd_storage *storage = executor->storage;
  evd_changes changes = {0};
  evd_expired expired = {.status = EVD_STATUS_RUNNING,
                         .expires_at_before = now,
                         .extra_attempts = executor->options.crashes_max};
  switch (recovery) {
  case RECOVER_FAILED:
    transition_to_status(&changes, EVD_STATUS_FAILED, now);
    evd_set(&changes, error, failed_error);
    expired.attempts_left = EVD_NO;
    return evd_expire_by_expires_at(storage, &expired, &changes, RECOVER_LIMIT);
  case RECOVER_READY:
    transition_to_status(&changes, EVD_STATUS_READY, now);
    evd_set(&changes, error, expired_error);
    evd_set(&changes, start_at, now);
    evd_add(&changes, retry_attempts, 1);
    expired.attempts_left = EVD_YES;
    return evd_expire_by_expires_at(storage, &expired, &changes, RECOVER_LIMIT);
  case RECOVER_SLEEPING:
    transition_to_status(&changes, EVD_STATUS_TIMED_OUT, now);
    evd_set(&changes, error, timed_out_error);
    expired.is_sleeping_task = true;
    return evd_expire_by_expires_at(storage, &expired, &changes, RECOVER_LIMIT);
  case RECOVER_PARENTS:
    transition_to_ocfp(&changes, EVD_OCFP_IDLE, now);
    return evd_expire_by_ocfp_expires_at(storage, now, &changes, RECOVER_LIMIT);
  default:
    transition_to_close(&changes, EVD_CLOSE_READY, now);
    return evd_expire_by_close_expires_at(storage, now, &changes, RECOVER_LIMIT);
  }
}

/* What there may be to do now that so many were recovered. */
static void tell(struct evd_executor *executor, enum recovery recovery, int64_t count) {
  switch (recovery) {
  case RECOVER_READY:
    executor->stats.recovered += (uint64_t)count;
    event_claimable(executor);
    break;
  case RECOVER_FAILED:
    executor->stats.crashed_out += (uint64_t)count;
    step_hint(&executor->close);
    break;
  case RECOVER_PARENTS: step_hint(&executor->parents); break;
  default: step_hint(&executor->close); break;
  }
  executor_tell(executor, &(evd_executor_event){.kind = EVD_EVENT_RECOVERED});
}

static void send(struct evd_executor *executor);

static void recovered(evd_future *future, void *data) {
  struct evd_executor *executor = data;
  enum recovery recovery = (enum recovery)executor->recovery++;
  int64_t count;
  (void)evd_future_count(future, &count);
  enum step_end end = executor_found(executor, future, count, RECOVER_LIMIT);
  if (count > 0) {
    tell(executor, recovery, count);
  }
  if (executor->recovery < RECOVERIES && executor->state == EXECUTOR_STARTED) {
    send(executor);
  }
  step_answered(&executor->recover, end);
  executor_answered(executor);
}

static void send(struct evd_executor *executor) {
  evd_future *future = recover(executor, (enum recovery)executor->recovery);
  if (executor_then(executor, future, recovered, executor)) {
    step_sent(&executor->recover);
  }
}

/* One after the other: at the same time, they may hide rows from each other, as they pass over what
 * another has locked. */
void recover_begin(struct step *step) {
  struct evd_executor *executor = step->data;
  executor->recovery = 0;
  send(executor);
}
