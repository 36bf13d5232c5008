/*
 * One connection, and the batch that is on it. The pool holds it by its first member.
 *
 *   CONNECTING ──connected──> IDLE <────────────── answer ──────────────────────────┐
 *                              │ mydb_session_send                                        │
 *                              v                                                     │
 *                     ┌──> SENDING ──sent, readable──> READING ──rows──> FETCHING    │
 *        next packet, │                                 │  ^               │ │        │
 *        or rollback  │                                 │  └─ more answers ┘ └ PAUSED │
 *                     └───────── last answer ───────────┴────────────────────────────┘
 *
 *   DEFERRED: the batch has its answer, but within mydb_session_send() nobody may be told.
 *   UNSENT: likewise, a packet could not be sent.
 *   BROKEN: from any state, when the connection is lost or given up; only mydb_session_close()
 *   follows.
 *
 * SENDING, READING and FETCHING are calls of Connector/C's non-blocking interface: begun by _start,
 * gone on with by _cont when the socket is ready, for as long as they ask to wait.
 */
#ifndef ENGINE_MYSQL_SESSION_H
#define ENGINE_MYSQL_SESSION_H

#include <stdbool.h>

#include <ev.h>
#include <mysql.h>

#include "engine/mysql/connect.h"
#include "engine/mysql/script.h"
#include "engine/pool.h"

struct mydb_engine;

struct session {
  struct pool_connection pooled; /* first: the pool's view */
  struct mydb_engine *engine;    /* not owned; outlives it */
  struct mydb_connect *connect;  /* while it connects */
  bool inspects;                 /* it reads the table, too */
  MYSQL *mysql;                  /* then */
  bool tls;                      /* it is encrypted */

  enum session_state {
    SESSION_CONNECTING,
    SESSION_IDLE,
    SESSION_SENDING,
    SESSION_READING,
    SESSION_FETCHING,
    SESSION_PAUSED,
    SESSION_DEFERRED,
    SESSION_UNSENT,
    SESSION_BROKEN
  } state;
  bool suspended; /* the call of the state has begun and waits */
  int waits_for;  /* MYSQL_WAIT_... that it asked for */
  bool first;     /* of a packet's answers is the next one to be read */

  struct script script; /* the batch, if script.batch is not NULL */
  MYSQL_RES *result;    /* of the answer being fetched */
  bool failed;          /* the batch has failed with the error; what follows is cleaning up */
  bool rolling_back;    /* the packet under way is the rollback */
  evd_error error;
  double packet_began;

  ev_io io;
  ev_timer timer;
};

/* The pool's callbacks; see pool.h. The owner is the struct mydb_engine. */
struct pool_connection *mydb_session_connect(void *owner, evd_error *error);
void mydb_session_send(struct pool_connection *connection, struct batch *batch);
void mydb_session_fail(struct pool_connection *connection, const evd_error *error);
void mydb_session_close(struct pool_connection *connection);

#endif
