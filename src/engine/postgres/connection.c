/* A connection's life: set-up, batches, closing. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "async/clock.h"
#include "async/quiet.h"
#include "async/worker.h"
#include "engine/postgres/failure.h"
#include "engine/postgres/postgres.h"
#include "model/error.h"

/* For how long past an operation's time the server may be silent, in seconds. */
#define WATCH_GRACE 5.0

/* Closing. TLS takes a millisecond to end, and so does freeing what has come of a large answer: the
 * worker does it. */

static struct connection *of_job(struct job *job) {
  return (struct connection *)((char *)job - offsetof(struct connection, closing));
}

static void run_closing(struct job *job) {
  PQfinish(of_job(job)->wire.pg);
}

static void end_closing(struct job *job) {
  struct connection *connection = of_job(job);
  pool_connection_closed(&connection->pooled);
  free(connection);
}

void postgres_connection_close(struct pool_connection *pooled) {
  struct connection *connection = (struct connection *)pooled;
  postgres_link_stop(connection);
  if (connection->dial != NULL) {
    postgres_dial_cancel(connection->dial);
  }
  postgres_prepared_clear(&connection->prepared);
  postgres_wire_free(&connection->wire);
  connection->closing = (struct job){.run = run_closing, .done = end_closing};
  if (connection->wire.pg != NULL) {
    worker_submit(connection->source->worker, &connection->closing);
  } else {
    end_closing(&connection->closing);
  }
}

/* Watchers. */

static void read_socket(struct connection *connection) {
  postgres_wire_read(&connection->wire);
  connection->progress_at = clock_seconds();
}

static void on_more(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)events;
  struct connection *connection = timer->data;
  quiet_timer_stop(loop, timer);
  const struct batch *refused;
  LL_FOREACH (connection->refused, refused) {
    pool_batch_done(&connection->pooled);
  }
  postgres_link_answer_refused(connection);
  postgres_send_more(connection);
  if (connection->wire.has_unread && connection->decoding.result == NULL) {
    read_socket(connection);
  }
  postgres_receive_more(connection);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events) {
  (void)loop;
  (void)events;
  struct connection *connection = io->data;
  read_socket(connection);
  postgres_receive_more(connection); /* what came before it broke */
}

static void on_writable(struct ev_loop *loop, ev_io *io, int events) {
  (void)loop;
  (void)events;
  struct connection *connection = io->data;
  connection->progress_at = clock_seconds(); /* the server has taken something */
  postgres_wire_flush(&connection->wire);
  postgres_send_more(connection);
}

/* For how long the server may be silent, in seconds; 0 is for ever. What makes or looks at the
 * table may have to wait for locks, as an operation may. */
static double silence_limit(const struct connection *connection) {
  int64_t timeout_ms = connection->postgres->timeout_ms;
  if (timeout_ms <= 0) {
    return 0;
  }
  if (connection->pooled.state == POOL_CONNECTING && timeout_ms < SCHEMA_TIME_MS) {
    timeout_ms = SCHEMA_TIME_MS;
  }
  return (double)timeout_ms / 1000 + WATCH_GRACE;
}

/* A server that says nothing for longer than any statement may take is gone, though its host still
 * answers for it; unless it is the loop that is late. */
static void on_watch(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)events;
  struct connection *connection = timer->data;
  bool waits = connection->flights != NULL || connection->pooled.state == POOL_CONNECTING;
  double limit = silence_limit(connection);
  if (!waits || limit <= 0) {
    quiet_timer_stop(loop, timer);
  } else if (clock_seconds() - connection->progress_at > limit &&
             !postgres_wire_is_ready(&connection->wire)) {
    evd_error error;
    error_set(&error, EVD_EUNAVAILABLE, "", "%s has not answered for %g s", connection->where,
              limit);
    postgres_link_lose(connection, &error);
  }
}

static void init_watchers(struct connection *connection) {
  const struct wire_events events = {on_readable, on_writable, on_more, connection};
  postgres_wire_init(&connection->wire, connection->postgres->loop, &events);
  ev_init(&connection->watch, on_watch);
  connection->watch.data = connection;
}

/* Connecting. */

/* Names the server that answers, for messages. */
static void set_where(struct connection *connection) {
  const PGconn *pg = connection->wire.pg;
  const char *host = PQhost(pg);
  snprintf(connection->where, sizeof connection->where, "%s:%s", host != NULL ? host : "",
           PQport(pg));
  connection->pooled.where = connection->where;
}

static void dialled(PGconn *pg, const evd_error *error, void *data) {
  struct connection *connection = data;
  connection->dial = NULL;
  if (pg == NULL) {
    postgres_link_lose(connection, error);
    return;
  }
  postgres_wire_open(&connection->wire, pg);
  set_where(connection);
  if (connection->postgres->state == POSTGRES_OPENING) {
    postgres_schema_send(connection);
    postgres_link_watch(connection);
  } else if (!connection->wire.broken) {
    pool_connection_ready(&connection->pooled);
  }
}

struct connection *postgres_connection_new(struct source *source) {
  struct connection *connection = calloc(1, sizeof *connection);
  if (connection == NULL) {
    return NULL;
  }
  connection->postgres = source->postgres;
  connection->source = source;
  init_watchers(connection);
  connection->dial = postgres_dial_start(source->postgres->loop, source->worker, &source->spares,
                                         &source->url, source->session, dialled, connection);
  if (connection->dial == NULL) {
    free(connection);
    return NULL;
  }
  return connection;
}
