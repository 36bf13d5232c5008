/*
 * The tick: what a storage does once in an iteration of the caller's loop.
 *
 * In the ev_prepare of an iteration, just before the loop would sleep, the reactor first runs what
 * was deferred (the callbacks of finished futures), then flushes (sends the batches that have
 * gathered, those of the callbacks just run included). It is armed only while there is something to
 * do: then it keeps the loop from sleeping; else it holds no watcher on the loop at all.
 *
 *   IDLE ──reactor_defer, reactor_arm──> ARMED ──tick, nothing left──> IDLE
 *
 * A reactor lives as long as somebody refers to it: the storage, and each of its futures.
 */
#ifndef ASYNC_REACTOR_H
#define ASYNC_REACTOR_H

#include <stdbool.h>

#include <ev.h>

/* Something to run in the next tick. Embed it; it must stay until it has run. */
struct deferred {
  struct deferred *next;
  void (*run)(struct deferred *deferred);
};

struct reactor {
  struct ev_loop *loop;
  unsigned references;
  struct deferred *first; /* in the order of reactor_defer() */
  struct deferred **last;
  void (*flush)(void *data); /* NULL when there is nobody to flush */
  void *flush_data;
  bool flush_wanted;
  ev_prepare prepare; /* the tick */
  ev_idle idle;       /* active with it: the loop must not sleep before the tick */
};

/* NULL if memory ran out. */
struct reactor *reactor_new(struct ev_loop *loop);
struct reactor *reactor_retain(struct reactor *reactor);
void reactor_release(struct reactor *reactor);

/* Runs this in the next tick. */
void reactor_defer(struct reactor *reactor, struct deferred *deferred);

/* Does not run it after all; it need not have been deferred. */
void reactor_forget(struct reactor *reactor, const struct deferred *deferred);

/* Wants a flush in the next tick. */
void reactor_arm(struct reactor *reactor);

#endif
