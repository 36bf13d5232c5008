/*
 * A loader from within: where its requests stand, and what its files know of each other (loader.h
 * has their order).
 */
#ifndef BATCH_QUEUE_H
#define BATCH_QUEUE_H

#include <ev.h>

#include "async/future.h"
#include "async/reactor.h"
#include "batch/histogram.h"
#include "batch/loader.h"
#include "batch/log.h"
#include "batch/pending.h"
#include "engine/engine.h"

/* A batch with the loader's own part of it. */
struct parcel {
  struct batch batch; /* first; batch.requests is `requests` */
  struct loader *loader;
  struct parcel *next, *previous; /* in loader.again, or loader.backing_off */
  int attempts;                   /* how often it was sent */
  int64_t limit;                  /* that a claim was asked for, while it is narrowed; else 0 */
  struct left_out found;          /* rows that stood in the way of a claim */
  double sent;                    /* when, the last time; by clock_seconds() */
  ev_timer back_off;
  struct request *requests[];
};

/* The updates of one id that are not done, oldest first; only the first is at work. */
struct line {
  UT_hash_handle handle;
  struct pending *first;
  struct pending *blocked; /* a list */
  char id[];
};

/* What one operation did. */
struct counters {
  evd_operation_stats stats; /* but for latency */
  struct histogram latency;  /* microseconds */
};

struct loader {
  struct ev_loop *loop;
  struct reactor *reactor; /* a reference */
  struct limits limits;
  const struct log *log;
  const struct engine_ops *ops;
  struct engine *engine; /* NULL until it is open, and when it is gone */

  struct queue {
    struct pending *first;
    size_t length;
  } queues[EVD_OPERATION_COUNT];
  struct pending *reads;  /* a table of those in queues */
  struct line *lines;     /* a table by id */
  struct pending *oldest; /* all that futures wait for, by time of submission */
  struct parcel *again;   /* to be sent before new batches */
  struct parcel *backing_off;
  ev_timer expiry;          /* when the oldest runs out of time */
  unsigned short jitter[3]; /* state of erand48() */

  uint64_t submitted;
  size_t pending_requests; /* futures that wait */
  size_t pending_bytes;
  uint64_t refused;
  uint64_t rows_unreadable; /* that claims have left out */
  bool refusing;            /* closing: nothing new is taken */
  bool aborting;            /* nothing is sent again; all ends with abort_error */
  evd_error abort_error;
  void (*emptied)(void *owner); /* to be called when no future waits any more, or all is aborted */
  void *owner;
  struct counters counters[EVD_OPERATION_COUNT];
};

/* Puts a pending request into the queue of its kind. */
void loader_enqueue(struct loader *loader, struct pending *pending);

/* Counts some futures of a pending request as finished; to be called before they are. */
void loader_forget_futures(struct loader *loader, struct pending *pending, size_t count);

/* Fails the futures of a pending request; it stays, unless loader_discard() follows. */
void loader_fail_futures(struct loader *loader, struct pending *pending, const evd_error *error);

/* Fails its futures and discards it, wherever it is; one that is SENT stays until its answer. */
void loader_fail(struct loader *loader, struct pending *pending, const evd_error *error);

/* Ends a pending request that no future waits for: leaves its line, frees it. */
void loader_discard(struct loader *loader, struct pending *pending);

/* Takes a copy of a request, even when nothing new is taken from the outside. NULL when memory is
 * out. */
evd_future *loader_admit(struct loader *loader, const struct request *request);

/* Gives back the rows that a claim left out of its answer. */
void loader_defer(struct loader *loader, const struct request *claim,
                  const struct left_out *left_out);

/* Puts an update into the line of its id. False if memory ran out. */
bool loader_enter_line(struct loader *loader, struct pending *pending);

/* Takes a request out of its queue. */
void loader_dequeue(struct loader *loader, struct pending *pending);

/* Lets no more reads join this one. */
void loader_close_read(struct loader *loader, struct pending *read);

/* Takes a request that is not SENT out of its queue, line or parcel. */
void loader_withdraw(struct loader *loader, struct pending *pending);

/* What is known of a request's effect before its answer: nothing, once a write is SENT. */
evd_outcome loader_outcome(const struct pending *pending);

/* The cancellation of a future whose maker is a pending request. */
evd_outcome loader_cancel(evd_future *future, void *maker);

/* Ends requests that are out of time; some of them, where there are very many. */
void loader_expire_some(struct loader *loader);

/* The timer of time-outs has fired. */
void loader_on_expiry(struct ev_loop *loop, ev_timer *timer, int events);

/* Sees to that timer after `oldest` has changed. */
void loader_watch_expiry(struct loader *loader);

/* The engine has answered a batch: batch.done. */
void loader_batch_done(struct batch *batch);

/* An empty batch that has room for `size` requests. NULL if memory ran out. */
struct parcel *parcel_new(struct loader *loader, evd_operation operation, size_t size);
void parcel_add(struct parcel *parcel, struct pending *pending);
struct pending *parcel_at(const struct parcel *parcel, size_t index);
void parcel_free(struct parcel *parcel);

/* Goes on with loader_abort(). True when nothing is left that is not with the engine. */
bool loader_abort_some(struct loader *loader);

/* How much time a pending request has left, in seconds; infinite without a time-out. */
double loader_time_left(const struct loader *loader, const struct pending *pending);

/* Frees the parcels that wait to be sent again; their requests are gone. */
void loader_free_parcels(struct loader *loader);

#endif
