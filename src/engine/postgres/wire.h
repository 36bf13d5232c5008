/*
 * The wire to a PostgreSQL server: the only file that calls what of libpq may read or write on an
 * established connection, and the only one that starts and stops the watchers of its socket.
 *
 * libpq closes its socket by itself, in whichever call it finds that the server is gone; the number
 * of the descriptor is then free for the next socket or file that the program opens. So every call
 * into libpq here ends with a look at the connection. If libpq could not go on, or its socket is
 * another, the wire is broken from then on:
 *
 *   OPEN ──a call fails, the socket is another, postgres_wire_break()──> BROKEN
 *   BROKEN ──postgres_wire_stop()──> (gone)
 *
 * No watcher of a broken wire's socket is active, nothing more is sent or read, and `on_more` runs
 * in the next iteration of the loop: what arrived before the wire broke can still be taken with
 * postgres_wire_result().
 */
#ifndef POSTGRES_WIRE_H
#define POSTGRES_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include <ev.h>
#include <libpq-fe.h>

struct encoder;

/* What the server will answer next, one entry for each thing sent. */
struct expected {
  enum expected_kind {
    EXPECT_STATEMENT,     /* of the flight at the head */
    EXPECT_PREPARE,       /* the prepared statement with this number */
    EXPECT_DEALLOCATE,    /* the one with this number given back */
    EXPECT_ROLLBACK,      /* a failure, on purpose */
    EXPECT_SYNC,          /* the end of the flight at the head */
    EXPECT_LACKS,         /* whether the table or an index is missing */
    EXPECT_LACKS_SYNC,    /* the end of that */
    EXPECT_CREATION,      /* a statement that makes the table, or gives it time */
    EXPECT_CREATION_SYNC, /* the end of those */
    EXPECT_COLUMNS,       /* the table's columns */
    EXPECT_COLUMNS_SYNC   /* the end of that, and of seeing to the schema */
  } kind;
  unsigned number;
};

/* A part of a connection. The fields are for this file; others ask the functions below. */
struct wire {
  struct ev_loop *loop;
  PGconn *pg;        /* from postgres_wire_open() on */
  ev_io readable;    /* unless it is paused */
  ev_io writable;    /* while libpq holds what the socket does not take */
  ev_timer more;     /* runs the owner's on_more in the next iteration */
  bool paused;       /* what arrives stays in the socket */
  bool broken;       /* nothing goes through it any more */
  bool is_exhausted; /* broken, and all that had arrived before was taken */
  bool has_unread;   /* TLS may hold what no event tells of */

  struct expected *expected; /* a ring */
  size_t expected_first, expected_count, expected_size;
};

/* What the owner does when the socket can be read, when libpq has more to write, and in the next
 * iteration after postgres_wire_go_on(). */
struct wire_events {
  void (*on_readable)(struct ev_loop *loop, ev_io *io, int events);
  void (*on_writable)(struct ev_loop *loop, ev_io *io, int events);
  void (*on_more)(struct ev_loop *loop, ev_timer *timer, int events);
  void *data; /* of all three watchers */
};

/* Prepares a zeroed wire for a loop. */
void postgres_wire_init(struct wire *wire, struct ev_loop *loop, const struct wire_events *events);

/* Takes a new connection over, in pipeline mode, and begins to read from it. The owner ends it with
 * PQfinish(), after postgres_wire_stop(). A wire that cannot be opened is broken. */
void postgres_wire_open(struct wire *wire, PGconn *pg);

/* Stops all watchers, for good. The wire is broken. Allowed at any time, and more than once. */
void postgres_wire_stop(struct wire *wire);

/* Frees what the wire has allocated; not the connection. */
void postgres_wire_free(struct wire *wire);

/* Breaks the wire: the connection is of no use any more. on_more follows. */
void postgres_wire_break(struct wire *wire);

/* Runs on_more in the next iteration of the loop. */
void postgres_wire_go_on(struct wire *wire);

/* Whether what was sent waits for the socket to take it. */
bool postgres_wire_is_full(const struct wire *wire);

/* Whether the wire has an event that the loop has not got round to. */
bool postgres_wire_is_ready(const struct wire *wire);

/* Sending. Each notes what the server will answer, and breaks the wire where it fails. */

/* A statement with its parameters in the encoder; NULL: it has none. */
void postgres_wire_query(struct wire *wire, const struct expected *expected, const char *sql,
                         const struct encoder *encoder);

/* A statement with one text parameter. */
void postgres_wire_query_text(struct wire *wire, const struct expected *expected, const char *sql,
                              const char *parameter);

/* A prepared statement. */
void postgres_wire_execute(struct wire *wire, const struct expected *expected, const char *name,
                           const struct encoder *encoder);

void postgres_wire_prepare(struct wire *wire, const struct expected *expected, const char *name,
                           const char *sql);

/* The end of a transaction. */
void postgres_wire_sync(struct wire *wire, const struct expected *expected);

/* Writes what libpq still holds, or waits for the socket. Where the socket is full, libpq reads, so
 * that the server can go on, and no event tells of what it has read: on_more follows. */
void postgres_wire_flush(struct wire *wire);

/* Receiving. */

/* Reads what the socket has. */
void postgres_wire_read(struct wire *wire);

/* Pauses reading, or goes on with it. */
void postgres_wire_pause(struct wire *wire, bool pause);

/* What the next result answers; NULL when the server has nothing to answer. */
const struct expected *postgres_wire_expected(const struct wire *wire);

/* The next result that has arrived, the caller's to clear; NULL when there is none. */
PGresult *postgres_wire_result(struct wire *wire);

/* What the next result answers is answered. */
void postgres_wire_answered(struct wire *wire);

/* Forgets what the server will answer. */
void postgres_wire_forget(struct wire *wire);

#endif
