/* What the loader does with an engine's answer to a batch. */
#include <stdlib.h>

#include <utlist.h>

#include "async/clock.h"
#include "async/timer.h"
#include "batch/queue.h"

/* The first pause before a batch is sent again, in seconds; doubled each time, up to the last. */
#define FIRST_PAUSE 0.002
#define LAST_PAUSE 0.25

enum verdict {
  DELIVER, /* each request has its answer */
  SPLIT,   /* the fault may be one request's: halve the batch */
  NARROW,  /* the fault may be one row's: halve the limit of the claim, or take that row alone */
  WIDEN,   /* that row is out of the way: claim as many as were asked for */
  RETRY,   /* the same may succeed */
  GIVE_UP  /* each request fails */
};

static bool may_be_one_requests_fault(const struct batch *batch) {
  const evd_error *error = &batch->error;
  switch (error->code) {
  case EVD_EINVAL:
  case EVD_EDUPLICATE:
  case EVD_ECONSTRAINT:
  case EVD_EDATABASE: return !error->retryable;
  case EVD_ETIMEDOUT: /* the database's own: it may have waited for a row that somebody holds */
    return !operation_is_read(batch->operation);
  default: return false;
  }
}

static bool may_be_retried(const struct batch *batch) {
  const evd_error *error = &batch->error;
  bool passing = error->code == EVD_ECONFLICT || error->code == EVD_EUNAVAILABLE;
  bool harmless = error->outcome == EVD_OUTCOME_NOT_APPLIED || operation_is_read(batch->operation);
  return passing && error->retryable && harmless;
}

/* Whether a row that the database cannot send may have failed a claim, whose operands were
 * checked. */
static bool may_be_one_rows_fault(const struct loader *loader, const struct batch *batch) {
  const evd_error *error = &batch->error;
  bool is_fault = error->code == EVD_EINVAL || error->code == EVD_EDATABASE;
  return is_fault && !error->retryable && error->outcome == EVD_OUTCOME_NOT_APPLIED &&
         operation_is_claim(batch->operation) && loader->ops->claims_ids &&
         !batch->requests[0]->ids_only;
}

static enum verdict judge(const struct loader *loader, const struct parcel *parcel) {
  const struct batch *batch = &parcel->batch;
  const evd_error *error = &batch->error;
  if (error->code == EVD_OK) {
    return batch->requests[0]->ids_only ? WIDEN : DELIVER;
  }
  if (loader->aborting) {
    return GIVE_UP;
  }
  if (may_be_retried(batch)) {
    return parcel->attempts < loader->limits.attempts ? RETRY : GIVE_UP;
  }
  if (may_be_one_rows_fault(loader, batch)) {
    return NARROW;
  }
  bool divisible = batch->count > 1 && error->outcome == EVD_OUTCOME_NOT_APPLIED;
  return divisible && may_be_one_requests_fault(batch) ? SPLIT : GIVE_UP;
}

static void deliver(struct loader *loader, struct parcel *parcel) {
  struct counters *counters = &loader->counters[parcel->batch.operation];
  double now = clock_seconds();
  for (size_t i = 0; i < parcel->batch.count; i++) {
    struct pending *pending = parcel_at(parcel, i);
    histogram_add(&counters->latency, (uint64_t)((now - pending->submitted) * 1e6));
    if (pending->future_count > 0) {
      loader_forget_futures(loader, pending, pending->future_count);
      pending_succeed(pending);
    }
    loader_discard(loader, pending);
  }
  parcel_free(parcel);
}

static void give_up(struct loader *loader, struct parcel *parcel) {
  for (size_t i = 0; i < parcel->batch.count; i++) {
    struct pending *pending = parcel_at(parcel, i);
    loader_fail_futures(loader, pending, &parcel->batch.error);
    loader_discard(loader, pending);
  }
  parcel_free(parcel);
}

/* Requests that nobody waits for any more are not made again. */
static void drop_unwanted(struct loader *loader, struct parcel *parcel) {
  size_t kept = 0;
  for (size_t i = 0; i < parcel->batch.count; i++) {
    struct pending *pending = parcel_at(parcel, i);
    if (pending->future_count > 0) {
      pending->state = PENDING_GATHERED;
      parcel->requests[kept++] = &pending->request;
    } else {
      loader_discard(loader, pending);
    }
  }
  parcel->batch.count = kept;
}

/* Requests whose time would be over before the next attempt is fail with what is known now: when
 * they time out while they are with the engine, nothing is known. */
static void fail_late(struct loader *loader, struct parcel *parcel, double needed) {
  size_t kept = 0;
  for (size_t i = 0; i < parcel->batch.count; i++) {
    struct pending *pending = parcel_at(parcel, i);
    if (loader_time_left(loader, pending) > needed) {
      parcel->requests[kept++] = &pending->request;
    } else {
      loader_fail_futures(loader, pending, &parcel->batch.error);
      loader_discard(loader, pending);
    }
  }
  parcel->batch.count = kept;
}

/* Makes a parcel what it was before it was sent. */
static void reset(struct parcel *parcel) {
  parcel->batch.error = (evd_error){0};
  left_out_free(&parcel->batch.left_out);
  batch_clear_answers(&parcel->batch);
}

/* The halves go again, the first half first, so that the earlier of two duplicates wins. */
static void split(struct loader *loader, struct parcel *parcel) {
  struct batch *batch = &parcel->batch;
  if (batch->error.code == EVD_ETIMEDOUT) {
    fail_late(loader, parcel, clock_seconds() - parcel->sent);
  }
  size_t half = (batch->count + 1) / 2;
  struct parcel *first = parcel_new(loader, batch->operation, half);
  struct parcel *second = parcel_new(loader, batch->operation, batch->count - half);
  if (first == NULL || second == NULL) {
    parcel_free(first);
    parcel_free(second);
    give_up(loader, parcel);
    return;
  }
  reset(parcel);
  loader->counters[batch->operation].stats.splits++;
  for (size_t i = 0; i < batch->count; i++) {
    parcel_add(i < half ? first : second, parcel_at(parcel, i));
  }
  DL_PREPEND2(loader->again, second, previous, next);
  DL_PREPEND2(loader->again, first, previous, next);
  parcel_free(parcel);
}

/* A claim that failed on a row goes again with half the limit. With a limit of 1 the row is known:
 * it is claimed without being read, to be given back when the claim is done. */
static void narrow(struct loader *loader, struct parcel *parcel) {
  struct request *request = parcel->requests[0];
  if (parcel->limit == 0) {
    parcel->limit = request->limit;
  }
  if (request->limit > 1) {
    request->limit /= 2;
  } else {
    request->ids_only = true;
    log_message(loader->log, EVD_LOG_WARNING, "a claim meets a row that cannot be read: %s",
                parcel->batch.error.message);
  }
  reset(parcel);
  parcel->attempts = 0;
  loader->counters[parcel->batch.operation].stats.splits++;
  DL_PREPEND2(loader->again, parcel, previous, next);
}

/* The row that stood in the way is claimed: the others are next. */
static void widen(struct loader *loader, struct parcel *parcel) {
  struct request *request = parcel->requests[0];
  left_out_move(&parcel->found, &parcel->batch.left_out);
  request->ids_only = false;
  request->limit = parcel->limit;
  reset(parcel);
  DL_PREPEND2(loader->again, parcel, previous, next);
}

static void send_again(struct ev_loop *loop, ev_timer *back_off, int events) {
  (void)loop;
  (void)events;
  struct parcel *parcel = back_off->data;
  struct loader *loader = parcel->loader;
  DL_DELETE2(loader->backing_off, parcel, previous, next);
  DL_APPEND2(loader->again, parcel, previous, next);
  reactor_arm(loader->reactor);
}

/* A pause that doubles with each attempt, jittered by half, so that two who collided part. */
static double pause_before(struct loader *loader, int attempts) {
  double pause = FIRST_PAUSE;
  for (int i = 1; i < attempts && pause < LAST_PAUSE; i++) {
    pause *= 2;
  }
  return pause * (0.5 + erand48(loader->jitter));
}

static void retry(struct loader *loader, struct parcel *parcel) {
  double pause = pause_before(loader, parcel->attempts);
  if (parcel->batch.error.code == EVD_ECONFLICT) {
    fail_late(loader, parcel, pause + clock_seconds() - parcel->sent);
  }
  if (parcel->batch.count == 0) {
    parcel_free(parcel);
    return;
  }
  reset(parcel);
  loader->counters[parcel->batch.operation].stats.retries++;
  DL_APPEND2(loader->backing_off, parcel, previous, next);
  ev_init(&parcel->back_off, send_again);
  parcel->back_off.data = parcel;
  timer_start(loader->loop, &parcel->back_off, pause, 0.);
}

/* Tells the log of each statement, in the order in which they were run. */
static void report_queries(struct loader *loader, struct batch *batch) {
  while (batch->queries != NULL) {
    struct query_record *query = batch->queries;
    batch->queries = query->next;
    log_event(loader->log, &(evd_log_event){.level = EVD_LOG_QUERY,
                                            .message = "query",
                                            .sql = query->sql,
                                            .operation = batch->operation,
                                            .batch_size = batch->count,
                                            .duration_ms = query->duration_ms});
    free(query);
  }
}

/* A claim is done: gives back the rows that it left out of its answer, and tells the log of
 * them. */
static void see_to_left_out(struct loader *loader, struct parcel *parcel) {
  struct left_out *found = &parcel->found;
  if (parcel->batch.error.code == EVD_OK) {
    left_out_move(found, &parcel->batch.left_out);
  }
  if (found->count == 0) {
    return;
  }
  log_message(loader->log, EVD_LOG_ERROR,
              "a claim met %zu rows that cannot be read, and gives them back: %s", found->count,
              found->why.message);
  loader->rows_unreadable += found->count;
  if (!loader->aborting) {
    loader_defer(loader, parcel->requests[0], found);
  }
}

void loader_batch_done(struct batch *batch) {
  struct parcel *parcel = (struct parcel *)batch;
  struct loader *loader = parcel->loader;
  report_queries(loader, batch);
  reactor_arm(loader->reactor); /* the engine has capacity again */

  enum verdict verdict = judge(loader, parcel);
  if (verdict == SPLIT || verdict == RETRY) {
    drop_unwanted(loader, parcel);
  } else if (verdict == DELIVER || verdict == GIVE_UP) {
    see_to_left_out(loader, parcel);
  }
  switch (verdict) {
  case DELIVER: deliver(loader, parcel); break;
  case NARROW: narrow(loader, parcel); break;
  case WIDEN: widen(loader, parcel); break;
  case SPLIT: split(loader, parcel); break;
  case RETRY: retry(loader, parcel); break;
  case GIVE_UP: give_up(loader, parcel); break;
  }
}
