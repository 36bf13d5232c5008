/*
 * A tiny executor. An execution goes through these states; everything is stored before it is done:
 *
 *   READY --claim--> RUNNING --run ends--> COMPLETED
 *     ^                 |
 *     ├──── expired ────┤   its executor died: any executor gives it back
 *     |                 └─> FAILED, when that has happened too often
 *
 * A run may take its execution's timeout_ms. The claim expires SLACK_MS after that, so that an
 * outcome that is stored at the last moment does not meet the recovery. An execution that has
 * neither parent nor children is closed with its outcome: then "evdurable prune" may delete it.
 */
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

#include "executor.h"

#define CLAIM_SECONDS 0.05 /* between two looks for work */
#define CLAIM_LIMIT 64
#define SLACK_MS 10000
#define EXTRA_ATTEMPTS 3 /* that may expire, beside the execution's maxAttempts */
#define RUN_SECONDS 0.02 /* what a task "takes" */

struct executor {
  struct ev_loop *loop;
  evd_storage *storage;
  char id[EVD_ID_SIZE]; /* like no other process's, nor that of this one's last run */
  ev_timer claim_timer;
  size_t pending; /* claims under way, executions that run, outcomes being stored */
  bool claiming;
  void (*stopped)(void *data); /* NULL while it is not to stop */
  void *data;
};

/* An execution that runs here. Frees itself when its outcome is stored. */
struct run {
  struct executor *executor;
  ev_timer timer;
  evd_execution *execution; /* owned: the claim's result is gone when the task ends */
};

/* Something has ended; ends the executor, if it is to stop and this was the last. */
static void ended(struct executor *executor) {
  executor->pending--;
  if (executor->pending > 0 || executor->stopped == NULL) {
    return;
  }
  executor->stopped(executor->data);
  free(executor);
}

/* The outcome is stored, or the execution had expired and is another's: both are fine. When it
 * could not be stored, the execution expires and runs again. */
static void outcome_stored(evd_future *future, void *data) {
  struct run *run = data;
  if (evd_future_code(future) != EVD_OK) {
    fprintf(stderr, "completing: %s\n", evd_future_error(future)->message);
  }
  ended(run->executor);
  free(run->execution);
  free(run);
}

/* The task is done. */
static void run_ended(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)loop, (void)events;
  struct run *run = timer->data;
  evd_changes changes = {0};
  evd_filter mine = {.status = EVD_STATUS_RUNNING,
                     .executor_id = run->execution->executor_id,
                     .started_at = run->execution->started_at};
  evd_set(&changes, status, EVD_STATUS_COMPLETED);
  evd_set(&changes, is_finished, true);
  evd_set(&changes, output, run->execution->input);
  evd_set(&changes, finished_at, evd_now());
  if (run->execution->parent_execution_id == NULL) {
    evd_set(&changes, close_status, EVD_CLOSE_CLOSED);
    evd_set(&changes, closed_at, evd_now());
  }
  evd_unset(&changes, expires_at);
  evd_future *future =
      evd_update(run->executor->storage, run->execution->execution_id, &mine, &changes);
  if (evd_future_then(future, outcome_stored, run) != EVD_OK) {
    outcome_stored(NULL, run); /* out of memory */
  }
}

/* Starts one claimed execution. Without memory it is left alone: it expires and runs again. */
static void run_start(struct executor *executor, const evd_execution *execution) {
  struct run *run = calloc(1, sizeof *run);
  evd_execution *copy = evd_execution_copy(execution);
  if (run == NULL || copy == NULL) {
    free(run);
    free(copy);
    return;
  }
  run->executor = executor;
  run->execution = copy;
  run->timer.data = run;
  ev_timer_init(&run->timer, run_ended, RUN_SECONDS, 0);
  ev_timer_start(executor->loop, &run->timer);
  executor->pending++;
}

static void claimed(evd_future *future, void *data) {
  struct executor *executor = data;
  const evd_execution *rows;
  size_t count;
  executor->claiming = false;
  if (evd_future_rows(future, &rows, &count) != EVD_OK) {
    fprintf(stderr, "claiming: %s\n", evd_future_error(future)->message);
  }
  for (size_t i = 0; i < count; i++) {
    run_start(executor, &rows[i]);
  }
  if (count == CLAIM_LIMIT && executor->stopped == NULL) { /* there is more: look again at once */
    ev_feed_event(executor->loop, &executor->claim_timer, EV_TIMER);
  }
  ended(executor);
}

/* Gives back what an executor left that died, and fails what has died with its executor too often:
 * it may be the cause. Nobody waits for the results. */
static void recover(struct executor *executor, int64_t now) {
  evd_changes give_back = {0}, fail = {0};
  evd_expired expired = {
      .status = EVD_STATUS_RUNNING, .expires_at_before = now, .extra_attempts = EXTRA_ATTEMPTS};
  evd_set(&fail, status, EVD_STATUS_FAILED);
  evd_set(&fail, is_finished, true);
  evd_set(&fail, finished_at, now);
  evd_set(&fail, error,
          "{\"errorType\":\"generic\",\"message\":\"expired too often\","
          "\"isRetryable\":false,\"isInternal\":true}");
  evd_unset(&fail, expires_at);
  expired.attempts_left = EVD_NO;
  evd_future_release(evd_expire_by_expires_at(executor->storage, &expired, &fail, CLAIM_LIMIT));

  evd_set(&give_back, status, EVD_STATUS_READY);
  evd_add(&give_back, retry_attempts, 1);
  evd_unset(&give_back, executor_id);
  evd_unset(&give_back, started_at);
  evd_unset(&give_back, expires_at);
  expired.attempts_left = EVD_YES;
  evd_future_release(
      evd_expire_by_expires_at(executor->storage, &expired, &give_back, CLAIM_LIMIT));
}

/* Looks for work. */
static void claim(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)loop, (void)events;
  struct executor *executor = timer->data;
  int64_t now = evd_now();
  evd_changes changes = {0};
  if (executor->claiming) {
    return;
  }
  recover(executor, now);
  evd_set(&changes, status, EVD_STATUS_RUNNING);
  evd_set(&changes, executor_id, executor->id);
  evd_set(&changes, started_at, now);
  const evd_due due = {.status = EVD_STATUS_READY,
                       .start_at_before = now + 1,
                       .started_at = now + SLACK_MS}; /* before others take it for expired */
  evd_future *future = evd_claim_by_start_at(executor->storage, &due, &changes, CLAIM_LIMIT);
  if (evd_future_then(future, claimed, executor) == EVD_OK) {
    executor->claiming = true;
    executor->pending++;
  }
}

struct executor *executor_start(struct ev_loop *loop, evd_storage *storage) {
  struct executor *executor = calloc(1, sizeof *executor);
  if (executor == NULL) {
    return NULL;
  }
  executor->loop = loop;
  executor->storage = storage;
  evd_id_generate(executor->id);
  executor->claim_timer.data = executor;
  ev_timer_init(&executor->claim_timer, claim, 0, CLAIM_SECONDS);
  ev_timer_start(loop, &executor->claim_timer);
  return executor;
}

void executor_stop(struct executor *executor, void (*stopped)(void *data), void *data) {
  ev_timer_stop(executor->loop, &executor->claim_timer);
  ev_clear_pending(executor->loop, &executor->claim_timer);
  executor->stopped = stopped;
  executor->data = data;
  executor->pending++; /* this call itself */
  ended(executor);
}
