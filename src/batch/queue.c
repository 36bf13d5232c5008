/* The queues of waiting requests, the lines of updates of one id, and the batches under way. */
#include "batch/queue.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "async/clock.h"
#include "async/timer.h"

/* Queues. */

void loader_enqueue(struct loader *loader, struct pending *pending) {
  struct queue *queue = &loader->queues[pending->request.operation];
  pending->state = PENDING_QUEUED;
  DL_APPEND2(queue->first, pending, previous, next);
  queue->length++;
  if (operation_is_read(pending->request.operation)) {
    HASH_ADD(handle, loader->reads, key, pending->key_length, pending);
  }
  reactor_arm(loader->reactor);
}

void loader_close_read(struct loader *loader, struct pending *read) {
  if (read->handle.tbl != NULL) {
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is in the table
    HASH_DELETE(handle, loader->reads, read);
    read->handle.tbl = NULL;
  }
}

void loader_dequeue(struct loader *loader, struct pending *pending) {
  struct queue *queue = &loader->queues[pending->request.operation];
  DL_DELETE2(queue->first, pending, previous, next);
  queue->length--;
  loader_close_read(loader, pending);
}

/* Lines. */

static struct line *line_of(struct loader *loader, const char *id) {
  struct line *line;
  size_t length = strlen(id);
  HASH_FIND(handle, loader->lines, id, length, line);
  if (line != NULL) {
    return line;
  }
  line = calloc(1, sizeof *line + length + 1);
  if (line == NULL) {
    return NULL;
  }
  memcpy(line->id, id, length);
  HASH_ADD(handle, loader->lines, id, length, line);
  if (line->handle.tbl == NULL) { /* memory ran out */
    free(line);
    return NULL;
  }
  return line;
}

bool loader_enter_line(struct loader *loader, struct pending *pending) {
  struct line *line = line_of(loader, pending->request.id);
  if (line == NULL) {
    return false;
  }
  pending->line = line;
  if (line->first != NULL) {
    pending->state = PENDING_BLOCKED;
    DL_APPEND2(line->blocked, pending, previous, next);
  } else {
    line->first = pending;
    loader_enqueue(loader, pending);
  }
  return true;
}

/* The first of a line is done: the next may go. */
static void leave_line(struct loader *loader, struct line *line) {
  struct pending *next = line->blocked;
  line->first = next;
  if (next != NULL) {
    DL_DELETE2(line->blocked, next, previous, next);
    loader_enqueue(loader, next);
  } else {
    HASH_DELETE(handle, loader->lines, line);
    free(line);
  }
}

/* Batches. */

struct parcel *parcel_new(struct loader *loader, evd_operation operation, size_t size) {
  struct parcel *parcel = calloc(1, sizeof *parcel + size * sizeof *parcel->requests);
  if (parcel != NULL) {
    parcel->loader = loader;
    parcel->batch.operation = operation;
    parcel->batch.requests = parcel->requests;
    parcel->batch.record_queries = log_hears(loader->log, EVD_LOG_QUERY);
  }
  return parcel;
}

void parcel_add(struct parcel *parcel, struct pending *pending) {
  pending->state = PENDING_GATHERED;
  pending->parcel = parcel;
  parcel->requests[parcel->batch.count++] = &pending->request;
}

struct pending *parcel_at(const struct parcel *parcel, size_t index) {
  return (struct pending *)parcel->requests[index];
}

void parcel_free(struct parcel *parcel) {
  if (parcel != NULL) {
    left_out_free(&parcel->found);
    left_out_free(&parcel->batch.left_out);
  }
  free(parcel);
}

void loader_withdraw(struct loader *loader, struct pending *pending) {
  switch (pending->state) {
  case PENDING_BLOCKED:
    DL_DELETE2(pending->line->blocked, pending, previous, next);
    pending->line = NULL; /* it was not the first: nobody moves up for it */
    break;
  case PENDING_QUEUED: loader_dequeue(loader, pending); break;
  case PENDING_GATHERED: {
    struct batch *batch = &pending->parcel->batch;
    size_t kept = 0;
    for (size_t i = 0; i < batch->count; i++) {
      if (batch->requests[i] != &pending->request) {
        batch->requests[kept++] = batch->requests[i];
      }
    }
    batch->count = kept;
    break;
  }
  case PENDING_SENT: break;
  }
}

/* Futures. */

double loader_time_left(const struct loader *loader, const struct pending *pending) {
  if (loader->limits.timeout_ms < 0) {
    return INFINITY;
  }
  return pending->submitted + (double)loader->limits.timeout_ms / 1000 - clock_seconds();
}

/* The timer is set for the oldest at some time and not moved when that one is done: it fires early
 * now and then, finds nothing, and is set again. */
void loader_watch_expiry(struct loader *loader) {
  if (loader->limits.timeout_ms < 0) {
    return;
  }
  if (loader->oldest == NULL) {
    ev_timer_stop(loader->loop, &loader->expiry);
  } else if (!ev_is_active(&loader->expiry)) {
    double left = loader_time_left(loader, loader->oldest);
    timer_start(loader->loop, &loader->expiry, left > 0 ? left : 0, 0.);
  }
}

void loader_forget_futures(struct loader *loader, struct pending *pending, size_t count) {
  loader->pending_requests -= count;
  if (count > 0 && loader->pending_requests == 0) {
    ev_unref(loader->loop);
  }
  loader->counters[pending->request.operation].stats.pending -= count;
  if (count == pending->future_count) {
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is in the list
    DL_DELETE2(loader->oldest, pending, older, younger);
    loader_watch_expiry(loader);
  }
}

void loader_fail_futures(struct loader *loader, struct pending *pending, const evd_error *error) {
  if (pending->future_count == 0) {
    return;
  }
  loader->counters[pending->request.operation].stats.failures += pending->future_count;
  loader_forget_futures(loader, pending, pending->future_count);
  pending_fail(pending, error);
}

void loader_discard(struct loader *loader, struct pending *pending) {
  struct line *line = pending->line;
  loader->pending_bytes -= pending->bytes;
  pending_free(pending);
  if (line != NULL) {
    leave_line(loader, line);
  }
  reactor_arm(loader->reactor); /* what it held may be what others, or loader_drain(), wait for */
}
