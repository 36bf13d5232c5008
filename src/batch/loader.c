#include "batch/loader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "async/clock.h"
#include "model/error.h"

/* A read that has waited for longer, in seconds, or with so many is not joined by more. */
#define MERGE_AGE_MAX 1.
#define MERGE_MAX 64

/* Fewer reads are not spread over several batches. */
#define READS_MIN 64

/* Taking requests. */

static evd_future *refuse(struct loader *loader, evd_code code, const char *why) {
  evd_error error;
  error_set(&error, code, "", "%s", why);
  return future_failed(loader->reactor, &error);
}

static evd_future *refuse_for_good(struct loader *loader) {
  return refuse(loader, EVD_ECLOSED, "the storage is closing");
}

static bool is_full(const struct loader *loader) {
  return loader->pending_requests >= loader->limits.pending_requests ||
         loader->pending_bytes >= loader->limits.pending_bytes;
}

/* Lets no more reads join this one. */
static void close_read(struct loader *loader, struct pending *read) {
  if (read->handle.tbl) {
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is in the table
    HASH_DELETE(handle, loader->reads, read);
    read->handle.tbl = NULL;
  }
}

/* Whether a read may wait with this one: it shares its time-out, and is answered in one go with all
 * the others. */
static bool may_join(const struct loader *loader, const struct pending *read) {
  double age_max = MERGE_AGE_MAX;
  if (loader->limits.timeout_ms >= 0) {
    age_max = fmin(age_max, (double)loader->limits.timeout_ms / 1000 / 10);
  }
  return read->future_count < MERGE_MAX && clock_seconds() - read->submitted <= age_max;
}

/* A waiting read that asks the same, and that one more may join. */
static struct pending *find_read(struct loader *loader, const struct request *request) {
  char key[READ_KEY_MAX];
  size_t length = pending_key(request, key);
  struct pending *found;
  HASH_FIND(handle, loader->reads, key, length, found);
  if (found && !may_join(loader, found)) {
    close_read(loader, found); /* the next to come takes its place */
    found = NULL;
  }
  return found;
}

/* Gives the request one more future. */
static evd_future *attach_future(struct loader *loader, struct pending *pending) {
  evd_future *future = future_new(loader->reactor);
  if (!future) {
    return NULL;
  }
  future_set_maker(future, loader_cancel, pending);
  pending_add_future(pending, future);
  if (loader->pending_requests++ == 0) {
    ev_ref(loader->loop); /* somebody waits: the loop must not end for want of watchers */
  }
  evd_operation_stats *stats = &loader->counters[pending->request.operation].stats;
  stats->requests++;
  stats->pending++;
  return future;
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

static bool is_update_by_id(evd_operation operation) {
  return operation == EVD_OPERATION_UPDATE || operation == EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN;
}

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

static struct line *line_of(struct loader *loader, const char *id) {
  struct line *line;
  size_t length = strlen(id);
  HASH_FIND(handle, loader->lines, id, length, line);
  if (line) {
    return line;
  }
  line = calloc(1, sizeof *line + length + 1);
  if (!line) {
    return NULL;
  }
  memcpy(line->id, id, length);
  HASH_ADD(handle, loader->lines, id, length, line);
  if (!line->handle.tbl) { /* memory was out */
    free(line);
    return NULL;
  }
  return line;
}

/* Puts an update into the line of its id. False when memory is out. */
static bool enter_line(struct loader *loader, struct pending *pending) {
  struct line *line = line_of(loader, pending->request.id);
  if (!line) {
    return false;
  }
  pending->line = line;
  if (line->first) {
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
  if (next) {
    DL_DELETE2(line->blocked, next, previous, next);
    loader_enqueue(loader, next);
  } else {
    HASH_DELETE(handle, loader->lines, line);
    free(line);
  }
}

evd_future *loader_admit(struct loader *loader, const struct request *request) {
  struct pending *pending = pending_new(request);
  evd_future *future = pending ? attach_future(loader, pending) : NULL;
  if (!future) {
    free(pending);
    return NULL;
  }
  pending->loader = loader;
  pending->number = loader->submitted++;
  pending->submitted = clock_seconds();
  loader->pending_bytes += pending->bytes;
  DL_APPEND2(loader->oldest, pending, older, younger);
  if (!is_update_by_id(request->operation)) {
    loader_enqueue(loader, pending);
  } else if (!enter_line(loader, pending)) {
    evd_error error;
    error_set(&error, EVD_ENOMEM, "", "memory ran out");
    loader_fail_futures(loader, pending, &error);
    loader_discard(loader, pending);
  }
  loader_watch_expiry(loader);
  return future;
}

evd_future *loader_submit(struct loader *loader, const struct request *request) {
  if (loader->refusing) {
    return refuse_for_good(loader);
  }
  if (is_full(loader)) {
    loader->refused++;
    return refuse(loader, EVD_EBUSY, "too many requests are pending; try again when some are done");
  }
  if (operation_is_read(request->operation)) {
    struct pending *same = find_read(loader, request);
    if (same) {
      loader->counters[request->operation].stats.merged++;
      return attach_future(loader, same);
    }
  }
  return loader_admit(loader, request);
}

evd_future *loader_submit_nothing(struct loader *loader, enum result_kind kind) {
  if (loader->refusing) {
    return refuse_for_good(loader);
  }
  return future_succeeded(loader->reactor, &(struct result){.kind = kind});
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
  if (line) {
    leave_line(loader, line);
  }
  reactor_arm(loader->reactor); /* what it held may be what others, or loader_drain(), wait for */
}

/* Forming batches. */

/* The queue whose head was submitted first; NULL when all are empty. */
static struct queue *longest_waiting(struct loader *loader) {
  struct queue *oldest = NULL;
  for (int i = 0; i < EVD_OPERATION_COUNT; i++) {
    struct queue *queue = &loader->queues[i];
    if (queue->first && (!oldest || queue->first->number < oldest->first->number)) {
      oldest = queue;
    }
  }
  return oldest;
}

/* How many more batches the engine can take, when each other queue that waits has one. At least 1. */
static size_t capacity_for(const struct loader *loader, const struct queue *queue) {
  size_t capacity = loader->ops->capacity(loader->engine);
  for (int i = 0; i < EVD_OPERATION_COUNT && capacity > 1; i++) {
    capacity -= loader->queues[i].first && &loader->queues[i] != queue;
  }
  return capacity > 0 ? capacity : 1;
}

/* The most that the next batch of a queue may weigh. The reads that wait are spread over what the
 * engine can take, so that it works at several batches while another is decoded; writes are not, for
 * each batch of them is a transaction. */
static size_t weight_max(const struct loader *loader, const struct queue *queue) {
  size_t most = loader->limits.batch_requests;
  if (!operation_is_read(queue->first->request.operation)) {
    return most;
  }
  size_t capacity = capacity_for(loader, queue);
  size_t share = (queue->length + capacity - 1) / capacity;
  if (share < READS_MIN) {
    share = READS_MIN;
  }
  return share < most ? share : most;
}

/* How many requests of a queue, from its head, make the next batch; at least one. */
static size_t next_batch_size(const struct loader *loader, const struct queue *queue) {
  if (!operation_is_batched(queue->first->request.operation)) {
    return 1;
  }
  size_t most = weight_max(loader, queue);
  size_t weight = 0;
  size_t bytes = 0;
  size_t count = 0;
  for (const struct pending *pending = queue->first; pending; pending = pending->next) {
    weight += pending_weight(pending);
    bytes += pending->bytes;
    if (count > 0 && (weight > most || bytes > loader->limits.batch_bytes)) {
      break;
    }
    count++;
  }
  return count;
}

static void dequeue(struct loader *loader, struct queue *queue, struct pending *pending) {
  DL_DELETE2(queue->first, pending, previous, next);
  queue->length--;
  close_read(loader, pending);
}

struct parcel *parcel_new(struct loader *loader, evd_operation operation, size_t size) {
  struct parcel *parcel = calloc(1, sizeof *parcel + size * sizeof *parcel->requests);
  if (parcel) {
    parcel->loader = loader;
    parcel->batch.operation = operation;
    parcel->batch.requests = parcel->requests;
    parcel->batch.owner = loader;
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
  if (parcel) {
    left_out_free(&parcel->found);
    left_out_free(&parcel->batch.left_out);
  }
  free(parcel);
}

/* Memory for a batch is out: its first request fails for it. */
static void fail_first(struct loader *loader, struct queue *queue) {
  evd_error error;
  error_set(&error, EVD_ENOMEM, "", "memory ran out");
  loader_fail(loader, queue->first, &error);
}

/* A new batch from the queue that has waited longest; NULL when there is nothing to send. */
static struct parcel *gather(struct loader *loader) {
  struct queue *queue;
  while ((queue = longest_waiting(loader))) {
    size_t size = next_batch_size(loader, queue);
    struct parcel *parcel = parcel_new(loader, queue->first->request.operation, size);
    if (!parcel) {
      fail_first(loader, queue);
      continue;
    }
    while (queue->first && parcel->batch.count < size) {
      struct pending *pending = queue->first;
      dequeue(loader, queue, pending);
      parcel_add(parcel, pending);
    }
    return parcel;
  }
  return NULL;
}

/* The next batch to send; one whose requests were all withdrawn is none. */
static struct parcel *next_parcel(struct loader *loader) {
  struct parcel *parcel;
  while ((parcel = loader->again)) {
    DL_DELETE2(loader->again, parcel, previous, next);
    if (parcel->batch.count > 0) {
      return parcel;
    }
    parcel_free(parcel);
  }
  return gather(loader);
}

static void send_parcel(struct loader *loader, struct parcel *parcel) {
  struct batch *batch = &parcel->batch;
  evd_operation_stats *stats = &loader->counters[batch->operation].stats;
  stats->batches++;
  stats->batched += batch->count;
  if (batch->count > stats->batch_max) {
    stats->batch_max = batch->count;
  }
  for (size_t i = 0; i < batch->count; i++) {
    parcel_at(parcel, i)->state = PENDING_SENT;
  }
  parcel->attempts++;
  parcel->sent = clock_seconds();
  loader->ops->submit(loader->engine, batch);
}

/* Sends what the engine can take. */
static void send_all(struct loader *loader) {
  while (loader->engine && loader->ops->capacity(loader->engine) > 0) {
    struct parcel *parcel = next_parcel(loader);
    if (!parcel) {
      return;
    }
    send_parcel(loader, parcel);
  }
}

/* Whether requests are out of time that the timer has not ended yet: the loop did not turn for long. */
static bool is_behind(const struct loader *loader) {
  return loader->oldest && loader_time_left(loader, loader->oldest) <= 0;
}

/* Does what the tick is for: sends, or goes on to end what is pending. What is out of time is not sent:
 * nobody would know then what became of it. It ends first, here: to wait for the timer would be to
 * trust that it is not late. */
static void flush(void *data) {
  struct loader *loader = data;
  bool ended = false;
  if (loader->aborting) {
    ended = loader_abort_some(loader);
  } else if (is_behind(loader)) {
    loader_expire_some(loader);
    reactor_arm(loader->reactor); /* to send in the next tick, or to go on */
  } else {
    send_all(loader);
    ended = loader->pending_requests == 0;
  }
  if (loader->emptied && ended) {
    void (*emptied)(void *owner) = loader->emptied;
    loader->emptied = NULL;
    emptied(loader->owner);
  }
}

void loader_withdraw(struct loader *loader, struct pending *pending) {
  switch (pending->state) {
  case PENDING_BLOCKED:
    DL_DELETE2(pending->line->blocked, pending, previous, next);
    pending->line = NULL; /* it was not the first: nobody moves up for it */
    break;
  case PENDING_QUEUED: dequeue(loader, &loader->queues[pending->request.operation], pending); break;
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

/* Its life. */

struct loader *loader_new(struct reactor *reactor, const struct limits *limits,
                          const struct log *log) {
  struct loader *loader = calloc(1, sizeof *loader);
  if (!loader) {
    return NULL;
  }
  loader->loop = reactor->loop;
  loader->reactor = reactor_retain(reactor);
  loader->limits = *limits;
  loader->log = log;
  uint64_t seed = (uint64_t)(clock_seconds() * 1e9) ^ (uintptr_t)loader;
  memcpy(loader->jitter, &seed, sizeof loader->jitter);
  reactor->flush = flush;
  reactor->flush_data = loader;
  return loader;
}

void loader_free(struct loader *loader) {
  if (!loader) {
    return;
  }
  ev_timer_stop(loader->loop, &loader->expiry);
  loader_free_parcels(loader);
  loader->reactor->flush = NULL;
  reactor_release(loader->reactor);
  free(loader);
}

void loader_start(struct loader *loader, const struct engine_ops *ops, struct engine *engine) {
  loader->ops = ops;
  loader->engine = engine;
  reactor_arm(loader->reactor);
}

void loader_stop(struct loader *loader) {
  loader->refusing = true;
  loader->emptied = NULL;
  loader->engine = NULL;
}

void loader_capacity_grew(struct loader *loader) {
  reactor_arm(loader->reactor);
}

void loader_drain(struct loader *loader, void (*emptied)(void *owner), void *owner) {
  loader->refusing = true;
  loader->emptied = emptied;
  loader->owner = owner;
  reactor_arm(loader->reactor);
}
