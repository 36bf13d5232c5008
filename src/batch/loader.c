/* Forms batches from the waiting requests while the engine has capacity. */
#include "batch/loader.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "async/clock.h"
#include "batch/queue.h"
#include "model/error.h"

/* Fewer reads are not spread over several batches. */
enum { READS_MIN = 64 };

/* The queue whose head was submitted first; NULL when all are empty. */
static struct queue *longest_waiting(struct loader *loader) {
  struct queue *oldest = NULL;
  for (int i = 0; i < EVD_OPERATION_COUNT; i++) {
    struct queue *queue = &loader->queues[i];
    if (queue->first != NULL && (oldest == NULL || queue->first->number < oldest->first->number)) {
      oldest = queue;
    }
  }
  return oldest;
}

/* How many more batches the engine can take, when each other queue that waits has one. At least
 * 1. */
static size_t capacity_for(const struct loader *loader, const struct queue *queue) {
  size_t capacity = loader->ops->capacity(loader->engine);
  for (int i = 0; i < EVD_OPERATION_COUNT && capacity > 1; i++) {
    capacity -= loader->queues[i].first != NULL && &loader->queues[i] != queue;
  }
  return capacity > 0 ? capacity : 1;
}

/* The most that the next batch of a queue may weigh. The reads that wait are spread over what the
 * engine can take, so that it works at several batches while another is decoded; writes are not,
 * for each batch of them is a transaction. */
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
  for (const struct pending *pending = queue->first; pending != NULL; pending = pending->next) {
    weight += pending_weight(pending);
    bytes += pending->bytes;
    if (count > 0 && (weight > most || bytes > loader->limits.batch_bytes)) {
      break;
    }
    count++;
  }
  return count;
}

/* Memory for a batch is out: its first request fails for it. */
static void fail_first(struct loader *loader, struct queue *queue) {
  evd_error error;
  error_set_no_memory(&error);
  loader_fail(loader, queue->first, &error);
}

/* A new batch from the queue that has waited longest; NULL when there is nothing to send. */
static struct parcel *gather(struct loader *loader) {
  struct queue *queue;
  while ((queue = longest_waiting(loader)) != NULL) {
    size_t size = next_batch_size(loader, queue);
    struct parcel *parcel = parcel_new(loader, queue->first->request.operation, size);
    if (parcel == NULL) {
      fail_first(loader, queue);
      continue;
    }
    while (queue->first != NULL && parcel->batch.count < size) {
      struct pending *pending = queue->first;
      loader_dequeue(loader, pending);
      parcel_add(parcel, pending);
    }
    return parcel;
  }
  return NULL;
}

/* The next batch to send; one whose requests were all withdrawn is none. */
static struct parcel *next_parcel(struct loader *loader) {
  struct parcel *parcel;
  while ((parcel = loader->again) != NULL) {
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
  batch->done = loader_batch_done;
  parcel->attempts++;
  parcel->sent = clock_seconds();
  loader->ops->submit(loader->engine, batch);
}

/* Sends what the engine can take. */
static void send_all(struct loader *loader) {
  while (loader->engine != NULL && loader->ops->capacity(loader->engine) > 0) {
    struct parcel *parcel = next_parcel(loader);
    if (parcel == NULL) {
      return;
    }
    send_parcel(loader, parcel);
  }
}

/* Whether requests are out of time that the timer has not ended yet: the loop did not turn for
 * long. */
static bool is_behind(const struct loader *loader) {
  return loader->oldest != NULL && loader_time_left(loader, loader->oldest) <= 0;
}

/* Does what the tick is for: sends, or goes on to end what is pending. What is out of time is not
 * sent: nobody would know then what became of it. It ends first, here: to wait for the timer would
 * be to trust that it is not late. */
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
  if (loader->emptied != NULL && ended) {
    void (*emptied)(void *owner) = loader->emptied;
    loader->emptied = NULL;
    emptied(loader->owner);
  }
}

/* Its life. */

struct loader *loader_new(struct reactor *reactor, const struct limits *limits,
                          const struct log *log) {
  struct loader *loader = calloc(1, sizeof *loader);
  if (loader == NULL) {
    return NULL;
  }
  loader->loop = reactor->loop;
  loader->reactor = reactor_retain(reactor);
  loader->limits = *limits;
  loader->log = log;
  uint64_t seed = (uint64_t)(clock_seconds() * 1e9) ^ (uintptr_t)loader;
  memcpy(loader->jitter, &seed, sizeof loader->jitter);
  ev_init(&loader->expiry, loader_on_expiry);
  loader->expiry.data = loader;
  reactor->flush = flush;
  reactor->flush_data = loader;
  return loader;
}

void loader_free(struct loader *loader) {
  if (loader == NULL) {
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

int64_t loader_timeout_ms(const struct loader *loader) {
  return loader->limits.timeout_ms;
}

bool loader_is_refusing(const struct loader *loader) {
  return loader->refusing;
}
