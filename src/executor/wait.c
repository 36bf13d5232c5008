/*
 * Waiting for executions to finish. Who waits looks again and again, after longer and longer pauses
 * that end at the same times for all, so that many look by one statement. What finishes here is
 * looked at once.
 */
#include "executor/wait.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "async/clock.h"
#include "async/timer.h"
#include "executor/promise.h"
#include "model/check.h"
#include "model/error.h"
#include "storage.h"

/* Seconds between two looks, at first and at most; and the times at which looks begin. */
static const double PAUSE_FIRST = 0.1;
static const double PAUSE_LONGEST = 2.5;
static const double GRID = 0.1;

/* One evd_wait(). */
struct waiter {
  UT_hash_handle hh;   /* by execution id: the first of those that wait for the same */
  struct waiter *next; /* the next of these */
  struct promise promise;
  struct evd_executor *executor;
  ev_timer timer;
  double pause;
  double deadline; /* clock_seconds(); 0: never */
  bool looking;    /* a get is under way */
  bool again;      /* the execution has finished meanwhile */
  char id[EVD_ID_MAX + 1];
};

static void look(struct waiter *waiter);

/* Takes a waiter out of the table. Where others wait for the same, the next one becomes the first.
 * (Should memory be short for that, they are not told at once: they look all the same.) */
static void take_out(struct waiter *waiter) {
  struct evd_executor *executor = waiter->executor;
  struct waiter *first;
  HASH_FIND_STR(executor->waiters, waiter->id, first);
  if (first == waiter) {
    struct waiter *next = waiter->next;
    HASH_DEL(executor->waiters, waiter);
    if (next != NULL) {
      HASH_ADD_STR(executor->waiters, id, next);
    }
    return;
  }
  while (first != NULL && first->next != waiter) {
    first = first->next;
  }
  if (first != NULL) {
    first->next = waiter->next;
  }
}

static void free_waiter(struct waiter *waiter) {
  struct evd_executor *executor = waiter->executor;
  ev_timer_stop(executor->loop, &waiter->timer);
  take_out(waiter);
  executor->stats.waiters--;
  free(waiter);
}

static void fail_waiter(struct waiter *waiter, const evd_error *error) {
  promise_break(&waiter->promise, error);
  free_waiter(waiter);
}

/* Looks again after a pause, or gives up. */
static void pause_waiter(struct waiter *waiter) {
  double now = clock_seconds();
  double then = ceil((now + waiter->pause) / GRID) * GRID;
  if (waiter->deadline > 0 && now >= waiter->deadline) {
    evd_error error;
    error_set(&error, EVD_ETIMEDOUT, "", "execution %s has not finished in time", waiter->id);
    fail_waiter(waiter, &error);
    return;
  }
  if (waiter->deadline > 0 && then > waiter->deadline) {
    then = waiter->deadline;
  }
  waiter->pause = fmin(waiter->pause * 2, PAUSE_LONGEST);
  timer_start(waiter->executor->loop, &waiter->timer, waiter->again ? 0 : then - now, 0);
  waiter->again = false;
}

static void looked(evd_future *future, void *data) {
  struct waiter *waiter = data;
  struct evd_executor *executor = waiter->executor;
  const evd_error *error = evd_future_error(future);
  const evd_execution *row;
  evd_code code = evd_future_row(future, &row);
  waiter->looking = false;
  if (waiter->promise.future == NULL) {
    free_waiter(waiter); /* nobody waits any more */
  } else if (code == EVD_OK && (row == NULL || row->is_finished)) {
    promise_keep_rows(&waiter->promise, future);
    free_waiter(waiter);
  } else if (code != EVD_OK && !error->retryable) {
    fail_waiter(waiter, error);
  } else {
    pause_waiter(waiter);
  }
  executor_answered(executor);
}

static void look(struct waiter *waiter) {
  evd_future *future = evd_get(waiter->executor->storage, waiter->id, NULL);
  if (executor_then(waiter->executor, future, looked, waiter)) {
    waiter->looking = true;
  } else {
    pause_waiter(waiter);
  }
}

static void timer_fired(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)loop, (void)events;
  struct waiter *waiter = timer->data;
  if (waiter->promise.future == NULL) {
    free_waiter(waiter);
  } else {
    look(waiter);
  }
}

void wait_finished(struct evd_executor *executor, const char *execution_id) {
  struct waiter *waiter;
  HASH_FIND_STR(executor->waiters, execution_id, waiter);
  for (; waiter != NULL; waiter = waiter->next) {
    if (waiter->looking) {
      waiter->again = true;
    } else {
      timer_start(executor->loop, &waiter->timer, 0, 0);
    }
  }
}

/* Puts a waiter into the table; false if memory ran out. */
static bool put_in(struct waiter *waiter) {
  struct evd_executor *executor = waiter->executor;
  struct waiter *first;
  HASH_FIND_STR(executor->waiters, waiter->id, first);
  if (first != NULL) {
    waiter->next = first->next;
    first->next = waiter;
    return true;
  }
  HASH_ADD_STR(executor->waiters, id, waiter);
  return waiter->hh.tbl != NULL;
}

evd_future *evd_wait(evd_executor *executor, const char *execution_id, int64_t timeout_ms) {
  evd_error error;
  if (check_id(execution_id, "execution_id", EVD_ID_MAX, &error) != EVD_OK) {
    return future_failed(executor->storage->reactor, &error);
  }
  if (executor->state > EXECUTOR_STARTED) {
    error_set(&error, EVD_ECLOSED, "", "the executor stops");
    return future_failed(executor->storage->reactor, &error);
  }
  struct waiter *waiter = calloc(1, sizeof *waiter);
  evd_future *future = waiter != NULL ? promise_init(&waiter->promise, executor) : NULL;
  if (future == NULL) {
    free(waiter);
    return NULL;
  }
  waiter->executor = executor;
  waiter->pause = PAUSE_FIRST;
  waiter->deadline = timeout_ms >= 0 ? clock_seconds() + (double)timeout_ms / 1e3 : 0;
  memcpy(waiter->id, execution_id, strlen(execution_id) + 1);
  ev_timer_init(&waiter->timer, timer_fired, 0, 0);
  waiter->timer.data = waiter;
  if (!put_in(waiter)) {
    error_set_no_memory(&error);
    promise_break(&waiter->promise, &error);
    free(waiter);
    return future;
  }
  executor->stats.waiters++;
  look(waiter);
  return future;
}

void wait_stop(struct evd_executor *executor) {
  struct waiter *first;
  struct waiter *next_first;
  evd_error error;
  error_set(&error, EVD_ECLOSED, "", "the executor stops");
  HASH_ITER (hh, executor->waiters, first, next_first) {
    for (struct waiter *waiter = first, *next; waiter != NULL; waiter = next) {
      next = waiter->next;
      if (waiter->looking) {
        promise_break(&waiter->promise, &error);
      } else {
        fail_waiter(waiter, &error);
      }
    }
  }
}
