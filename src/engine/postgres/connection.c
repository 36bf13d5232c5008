#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <utlist.h>

#include "async/worker.h"
#include "engine/clock.h"
#include "engine/postgres/failure.h"
#include "engine/postgres/postgres.h"
#include "engine/quiet.h"
#include "model/error.h"

/* How often the watch looks, and for how long past an operation's time the server may be silent, in
 * seconds. */
#define WATCH_INTERVAL 1.0
#define WATCH_GRACE 5.0

static void stop_watchers(struct connection *connection) {
  struct ev_loop *loop = connection->postgres->loop;
  quiet_io_stop(loop, &connection->readable);
  quiet_io_stop(loop, &connection->writable);
  quiet_timer_stop(loop, &connection->more);
  quiet_timer_stop(loop, &connection->watch);
}

/* What a flight that ends with the connection leaves behind. */
static evd_outcome outcome_of(const struct flight *flight) {
  bool is_write = !operation_is_read(flight->batch->operation);
  return flight->synced && is_write ? EVD_OUTCOME_UNKNOWN : EVD_OUTCOME_NOT_APPLIED;
}

/* Answers the batches for which memory was out. */
static void answer_refused(struct connection *connection) {
  struct postgres *postgres = connection->postgres;
  struct batch *batch;
  while ((batch = connection->refused) != NULL) {
    LL_DELETE(connection->refused, batch);
    error_set(&batch->error, EVD_ENOMEM, "", "memory ran out");
    postgres->callbacks.batch_done(postgres->callbacks.owner, batch);
  }
}

/* Answers all batches under way with the error. One that has failed before keeps its own. */
static void fail_flights(struct connection *connection, const evd_error *error) {
  struct postgres *postgres = connection->postgres;
  postgres_discard(connection);
  connection->sending = NULL;
  connection->expected_count = 0;
  struct flight *flight;
  while ((flight = connection->flights) != NULL) {
    DL_DELETE(connection->flights, flight);
    struct batch *batch = flight->batch;
    if (batch->error.code == EVD_OK) {
      batch->error = *error;
      batch->error.outcome = outcome_of(flight);
    }
    flight_forget_answers(flight);
    flight_free(flight);
    postgres->callbacks.batch_done(postgres->callbacks.owner, batch);
  }
  answer_refused(connection);
}

void postgres_connection_fail(struct pool_connection *link, const evd_error *error) {
  struct connection *connection = (struct connection *)link;
  stop_watchers(connection);
  fail_flights(connection, error);
}

void postgres_connection_lose(struct connection *connection, const evd_error *error) {
  evd_error copy = *error;
  stop_watchers(connection);
  pool_connection_lost(&connection->link, &copy);
  fail_flights(connection, &copy);
}

/* Closing. TLS takes a millisecond to end, and so does freeing what has come of a large answer: the
 * worker does it. */

static struct connection *of_job(struct job *job) {
  return (struct connection *)((char *)job - offsetof(struct connection, closing));
}

static void run_closing(struct job *job) {
  PQfinish(of_job(job)->pg);
}

static void end_closing(struct job *job) {
  struct connection *connection = of_job(job);
  pool_connection_closed(&connection->link);
  free(connection);
}

void postgres_connection_close(struct pool_connection *link) {
  struct connection *connection = (struct connection *)link;
  stop_watchers(connection);
  ev_clear_pending(connection->postgres->loop, &connection->more);
  if (connection->dial != NULL) {
    dial_cancel(connection->dial);
  }
  prepared_clear(&connection->prepared);
  free(connection->expected);
  connection->closing = (struct job){.run = run_closing, .done = end_closing};
  if (connection->pg != NULL) {
    worker_submit(connection->source->worker, &connection->closing);
  } else {
    end_closing(&connection->closing);
  }
}

void postgres_connection_go_on(struct connection *connection) {
  quiet_timer_start(connection->postgres->loop, &connection->more, 0);
}

/* Watchers. */

static void lose_by_failure(struct connection *connection) {
  evd_error error;
  failure_of_connection(connection->pg, connection->where, &error);
  postgres_connection_lose(connection, &error);
}

/*
 * Reads what the socket has. A record of TLS that is larger than libpq's free room stays in part within
 * the TLS library, where no event tells of it: as long as the socket had something, it is read again in
 * the next iteration.
 */
static void read_socket(struct connection *connection) {
  int waiting = 0;
  connection->read_again =
      PQsslInUse(connection->pg) &&
      (ioctl(PQsocket(connection->pg), FIONREAD, &waiting) != 0 || waiting > 0);
  if (PQconsumeInput(connection->pg) == 0) {
    connection->broken = true;
  }
  connection->progress_at = clock_seconds();
}

static void on_more(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)events;
  struct connection *connection = timer->data;
  quiet_timer_stop(loop, timer);
  const struct batch *refused;
  LL_FOREACH (connection->refused, refused) {
    pool_batch_done(&connection->link);
  }
  answer_refused(connection);
  postgres_send_more(connection);
  if (connection->read_again && connection->decoding.result == NULL && !connection->broken) {
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
  postgres_send_flush(connection);
  if (!connection->broken && !ev_is_active(&connection->writable)) {
    postgres_send_more(connection);
  }
}

/* For how long the server may be silent, in seconds; 0 is for ever. What makes or looks at the table may
 * have to wait for locks, as an operation may. */
static double silence_limit(const struct postgres *postgres) {
  return postgres->timeout_ms > 0 ? (double)postgres->timeout_ms / 1000 + WATCH_GRACE : 0;
}

/* Whether it is the loop that is late, and not the server: the socket waits for us, or something of the
 * connection is to be done in the next iteration. */
static bool is_loop_late(const struct connection *connection) {
  short writing = ev_is_active(&connection->writable) ? POLLOUT : 0;
  struct pollfd socket = {.fd = PQsocket(connection->pg), .events = (short)(POLLIN | writing)};
  return ev_is_active(&connection->more) || poll(&socket, 1, 0) > 0;
}

/* A server that says nothing for longer than any statement may take is gone, though its host still
 * answers for it. */
static void on_watch(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)events;
  struct connection *connection = timer->data;
  bool waits = connection->flights != NULL || connection->link.state == POOL_CONNECTING;
  double limit = silence_limit(connection->postgres);
  if (!waits || limit <= 0) {
    quiet_timer_stop(loop, timer);
  } else if (clock_seconds() - connection->progress_at > limit && !is_loop_late(connection)) {
    evd_error error;
    error_set(&error, EVD_EUNAVAILABLE, "", "%s has not answered for %g s", connection->where,
              limit);
    postgres_connection_lose(connection, &error);
  }
}

void postgres_connection_watch(struct connection *connection) {
  connection->progress_at = clock_seconds();
  quiet_timer_start(connection->postgres->loop, &connection->watch, WATCH_INTERVAL);
}

static void init_watchers(struct connection *connection) {
  ev_init(&connection->readable, on_readable);
  ev_init(&connection->writable, on_writable);
  ev_init(&connection->more, on_more);
  ev_init(&connection->watch, on_watch);
  connection->readable.data = connection->writable.data = connection;
  connection->more.data = connection->watch.data = connection;
}

/* Connecting. */

/* Names the server that answers, for messages. */
static void set_where(struct connection *connection) {
  const char *host = PQhost(connection->pg);
  snprintf(connection->where, sizeof(connection->where), "%s:%s", host != NULL ? host : "",
           PQport(connection->pg));
  connection->link.where = connection->where;
}

/* Brings a new connection into pipeline mode. */
static bool enter_pipeline(struct connection *connection) {
  struct ev_loop *loop = connection->postgres->loop;
  if (PQsetnonblocking(connection->pg, 1) != 0 || PQenterPipelineMode(connection->pg) != 1) {
    return false;
  }
  ev_io_set(&connection->readable, PQsocket(connection->pg), EV_READ);
  ev_io_set(&connection->writable, PQsocket(connection->pg), EV_WRITE);
  quiet_io_start(loop, &connection->readable);
  return true;
}

static void dialled(PGconn *pg, const evd_error *error, void *data) {
  struct connection *connection = data;
  connection->dial = NULL;
  if (pg == NULL) {
    postgres_connection_lose(connection, error);
    return;
  }
  connection->pg = pg;
  set_where(connection);
  bool first = connection->postgres->state == POSTGRES_OPENING;
  if (!enter_pipeline(connection) || (first && !postgres_schema_send(connection))) {
    lose_by_failure(connection);
  } else if (first) {
    postgres_connection_watch(connection);
  } else {
    pool_connection_ready(&connection->link);
  }
}

struct connection *postgres_connection_new(struct source *source) {
  struct connection *connection = calloc(1, sizeof(*connection));
  if (connection == NULL) {
    return NULL;
  }
  connection->postgres = source->postgres;
  connection->source = source;
  init_watchers(connection);
  connection->dial = dial_start(source->postgres->loop, source->worker, &source->spares,
                                &source->url, source->session, dialled, connection);
  if (connection->dial == NULL) {
    free(connection);
    return NULL;
  }
  return connection;
}
