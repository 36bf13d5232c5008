/*
 * The PostgreSQL engine, as its own files see it.
 *
 *   engine.c     opening, closing, which pool a batch goes to
 *   url.c        the URL's options
 *   dial.c       connecting (with parameters.c and targets.c)
 *   connection.c a connection's life
 *   receive.c    answers, off a connection
 *   send.c       batches, onto a connection
 *   link.c       what these three have in common: watching the server, losing the connection
 *   wire.c       its socket: all calls into libpq that may read or write
 *   flight.c     a batch on a connection: which statements it takes, in which order
 *   prepared.c   the named statements of a connection
 *   encode.c     a statement's parameters, in binary
 *   decode.c     a statement's result, into the requests' answers
 *   schema.c     the table's making and checking
 *   failure.c    what an error of the database means
 *
 * Each connection is in pipeline mode. A batch is one or more statements and one sync: an implicit
 * transaction, which fails alone.
 */
#ifndef POSTGRES_POSTGRES_H
#define POSTGRES_POSTGRES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>
#include <libpq-fe.h>

#include "async/worker.h"
#include "engine/engine.h"
#include "engine/pool.h"
#include "engine/postgres/decode.h"
#include "engine/postgres/dial.h"
#include "engine/postgres/encode.h"
#include "engine/postgres/flight.h"
#include "engine/postgres/prepared.h"
#include "engine/postgres/url.h"
#include "engine/postgres/wire.h"
#include "engine/spares.h"
#include "sql/buffer.h"
#include "sql/postgres.h"

/* A server or a set of servers that batches go to, and the connections to it. */
struct source {
  struct postgres *postgres;
  struct postgres_url url;
  struct postgres_table table; /* as it is there: a replica may be behind a change of types */
  unsigned table_version;      /* grows when the types in the table change */
  char *session;               /* settings for each connection */
  struct worker *worker;
  struct spares spares; /* workers that resolve names */
  struct pool *pool;    /* NULL: there is no such source, or it is closed */
  double shunned_until; /* the replica: no reads before, after a failure */
};

struct postgres {
  enum { POSTGRES_OPENING, POSTGRES_OPEN, POSTGRES_CLOSING } state;
  struct ev_loop *loop;
  struct engine_callbacks callbacks;
  evd_schema_mode schema_mode;
  int64_t timeout_ms;
  struct source primary;
  struct source replica; /* for reads */

  /* The first connection has seen to the schema, or opening has failed. */
  void (*opened)(struct postgres *postgres, const evd_error *error);

  /* A batch of reads failed on the replica: the primary shall have the next. Changes the error so
   * that it is tried again. */
  void (*shun)(struct source *replica, struct batch *batch);

  /* What making a statement needs: here, so that it is not allocated each time. */
  struct buffer sql;
  struct encoder encoder;
};

/*
 * A connection. The pool's part of it says in which state it is:
 *
 *   CONNECTING: dialling; the first one then sees to the schema    READY, DRAINING: at work
 */
struct connection {
  struct pool_connection pooled; /* first */
  struct postgres *postgres;
  struct source *source;
  struct dial *dial; /* while dialling */
  struct wire wire;  /* open once dialled */
  char where[128];   /* "host:port" */

  ev_timer watch;     /* looks whether the server still answers, while it has to */
  double progress_at; /* when it last answered or took something, or was first asked */

  struct batch *refused;  /* memory ran out: to be answered from the loop; a list */
  struct flight *flights; /* in the order of sending; a list */
  struct flight *sending; /* the first that is not sent whole; NULL when all are */
  struct prepared prepared;
  unsigned table_version; /* that the prepared statements are for */
  evd_error schema_error; /* while seeing to the schema */
  bool schema_lacks;      /* the table or an index, which may be made */

  struct decoding decoding; /* of the answer to the flight at the head */
  struct job closing;       /* the worker's, at the end */
};

/* What sees to the table when a storage opens has at least so long, in milliseconds, however short
 * the operations' time is: they are many, and opening is once. */
enum { SCHEMA_TIME_MS = 5000 };

/* How long one call from the loop may send or decode, in seconds, before others have their turn. */
#define CONNECTION_TURN 0.00025

/* connection.c: its life */

/* Begins to connect to a source; NULL if memory ran out. */
struct connection *postgres_connection_new(struct source *source);

/* The pool's callback. */
void postgres_connection_close(struct pool_connection *pooled);

/* link.c */

/* The pool's callback. */
void postgres_link_fail(struct pool_connection *pooled, const evd_error *error);

/* The connection has broken: ends its flights and tells the pool. */
void postgres_link_lose(struct connection *connection, const evd_error *error);

/* From now on the server is to answer, within its time. */
void postgres_link_watch(struct connection *connection);

/* Stops all watchers, for good. */
void postgres_link_stop(struct connection *connection);

/* Answers the batches for which memory ran out. */
void postgres_link_answer_refused(struct connection *connection);

/* Frees the result that is being decoded, if there is one. That of thousands of rows is thousands
 * of pieces of memory, so the worker does it. */
void postgres_link_discard(struct connection *connection);

/* send.c */

/* The pool's callback. */
void postgres_connection_send(struct pool_connection *pooled, struct batch *batch);

/* Sends what waits, as far as the socket takes it and the turn allows. */
void postgres_send_more(struct connection *connection);

/* receive.c */

/* Deals with what the server has answered, as far as the turn allows; and then, if the connection
 * is broken, with that. */
void postgres_receive_more(struct connection *connection);

/* schema.c */

/* Sends the first question about the table: for what is missing, if that may be made, or for its
 * columns. */
void postgres_schema_send(struct connection *connection);

/* Takes the answer for what is missing. */
void postgres_schema_note_lacks(struct connection *connection, const PGresult *result);

/* That question is answered: sends what makes what is missing, and the question for the columns. */
void postgres_schema_looked(struct connection *connection);

/* Reads the table's columns into the source's table. */
evd_code postgres_schema_read(struct source *source, const PGresult *result, evd_error *error);

/* Takes over the types of a result that has all columns first, if they have changed since. */
evd_code postgres_schema_adopt(struct source *source, const PGresult *result, evd_error *error);

#endif
