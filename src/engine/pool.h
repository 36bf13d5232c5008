/*
 * A pool of connections to one database: how many there are, when they are opened and closed, and
 * which takes the next batch. It knows no protocol; an engine brings one by its callbacks and
 * embeds a pool_connection in its own.
 *
 * States of a connection, and who moves it:
 *
 *   (connect) ──> CONNECTING ──pool_connection_ready──> READY ──┬─ old, idle, retired ──> DRAINING
 *                     │                                   │     └─ pool_close               │
 *      time-out,      │                                   │ pool_connection_lost            │ last
 *      pool_close,    │ pool_connection_lost              │                                 │ batch
 *      ...            └───────────────┬───────────────────┴─────────────────────────────────┘ done
 *                                     v
 *                                  CLOSING ──pool_connection_closed──> (forgotten)
 *
 * The pool opens one connection first. When that one is ready it opens the rest up to `min`, and up
 * to `max` as long as batches queue behind others. A connection that is lost is replaced. One that
 * is too old is replaced before it goes; where there are `max` already, it goes first, and one at a
 * time. When connecting fails the pool tries again, one connection at a time, after a pause that
 * grows from `backoff_min` to `backoff_max` and is jittered (half to whole), until one is ready.
 * The pauses go on growing until one that was made after the failure has done work: a server that
 * lets connections in may be fit for nothing. They begin anew when one is lost that was ready for
 * longer than the longest pause, e.g. when a server ends connections that idle.
 *
 * The pool opens and closes from a callback of its own on the loop. What calls back at once:
 * pool_submit calls send, pool_connection_ready calls grew, and pool_connection_lost calls trouble.
 * It keeps the loop alive only while batches are under way, while its first connection is being
 * opened (unless it is optional) and while it closes.
 */
#ifndef ENGINE_POOL_H
#define ENGINE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "engine/engine.h"

enum pool_state { POOL_CONNECTING, POOL_READY, POOL_DRAINING, POOL_CLOSING };

/* What the pool knows of a connection. The engine embeds it, and owns its memory. */
struct pool_connection {
  struct pool *pool;
  struct pool_connection *prev, *next; /* the pool's list of all */
  enum pool_state state;
  bool was_ready;    /* at some time */
  bool close_called; /* the engine was told to close it */
  bool aged;         /* it goes for its age, and counts for `max` until it has gone */
  size_t in_flight;  /* batches sent and not done; the pool counts */
  double born;       /* began to connect; by clock_seconds(), as the others */
  double ready_at;   /* when it became ready */
  double expires_at; /* when it is too old; 0 is never */
  double idle_since; /* when in_flight became 0 */
  const char *where; /* the engine's: "host:port" for messages, once it is known; or NULL */
};

/* How the pool behaves. Times are seconds; 0 switches the limit off, except the back-off's. */
struct pool_config {
  struct ev_loop *loop;
  size_t min, max;        /* connections: 1 <= min <= max; not counting those being closed */
  size_t depth;           /* batches in flight on one connection: at least 1 */
  double connect_timeout; /* from connect to ready */
  double idle_timeout;    /* those above `min` that had no work for so long are closed */
  double max_age;         /* older ones are drained and replaced; jittered by a tenth */
  double backoff_min, backoff_max;
  bool optional; /* nobody waits for its first connection: to open it keeps no loop alive */
  bool drops;    /* what is connecting may be closed at once; else a close that is no abort waits */
};

/* What the pool wants of an engine. Called from the loop, but for send. */
struct pool_callbacks {
  /* Begins to connect: a new connection, its pool_connection zeroed, or NULL with the error. Ends
   * with pool_connection_ready() or pool_connection_lost(), not before connect has returned. */
  struct pool_connection *(*connect)(void *owner, evd_error *error);

  /* Sends a batch, within pool_submit(). Ends with pool_batch_done() or, for all that is on a
   * connection, pool_connection_lost(). */
  void (*send)(struct pool_connection *connection, struct batch *batch);

  /* Answers at once all batches under way with the error (their outcome is the engine's to say),
   * without pool_batch_done(). The pool then closes the connection. */
  void (*fail)(struct pool_connection *connection, const evd_error *error);

  /* Closes, in whatever state; no batch is under way. Ends with pool_connection_closed(), at once
   * or later (say, when a job on a worker has ended); it must not be touched by the pool after. */
  void (*close)(struct pool_connection *connection);

  /* There is more capacity: a connection has become ready. */
  void (*grew)(void *owner);

  /* A connection could not be opened, or was lost. For the log, and for the engine's opening. */
  void (*trouble)(void *owner, const evd_error *error);

  /* After pool_close: no connection is left. The engine may call pool_free() now. */
  void (*closed)(void *owner);

  void *owner;
};

struct pool;

/* A pool without connections. The engine owns it. NULL if memory ran out. */
struct pool *pool_new(const struct pool_config *config, const struct pool_callbacks *callbacks);

/* Begins to open the first connection. */
void pool_start(struct pool *pool);

/* No connection may be left: after closed, or if it was never started. NULL is fine. */
void pool_free(struct pool *pool);

/* How many more batches the ready connections take. */
size_t pool_capacity(const struct pool *pool);

/* Sends the batch on the ready connection that has least under way. Only with capacity. */
void pool_submit(struct pool *pool, struct batch *batch);

/* A batch is off this connection (answered, or about to be). */
void pool_batch_done(struct pool_connection *connection);

/* It has connected and takes batches. */
void pool_connection_ready(struct pool_connection *connection);

/* It could not connect, or broke: the engine has answered its batches (none counts as under way any
 * more) and stopped its watchers. The pool will close it. In CLOSING: no effect. */
void pool_connection_lost(struct pool_connection *connection, const evd_error *error);

/* It is to take no more batches, and to be closed when it has none, e.g. because its server said
 * that it will shut down. The pool opens another if it needs one, after a pause as after a loss; so
 * this comes before pool_batch_done() of the batch that showed it. */
void pool_connection_retire(struct pool_connection *connection);

/* Ends close: the pool forgets the connection, the engine frees it. */
void pool_connection_closed(struct pool_connection *connection);

/* Closes the pool: connections without work at once, those being made when that has ended (or at
 * once, where that may be), the others after their last batch; or with `abort` all at once, after
 * fail. May be called again with abort. The callback closed follows. */
void pool_close(struct pool *pool, bool abort);

/* Why no connection is ready; NULL when one is, or when nothing has failed. */
const evd_error *pool_trouble(const struct pool *pool);

/* Adds this pool's figures. */
void pool_stats(const struct pool *pool, struct engine_stats *stats);

#endif
