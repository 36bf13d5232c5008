/* The engine for MySQL and MariaDB as its own files see it. */
#ifndef ENGINE_MYSQL_ENGINE_H
#define ENGINE_MYSQL_ENGINE_H

#include <stdbool.h>

#include <evdurable/schema.h>

#include "engine/engine.h"
#include "engine/mysql/url.h"
#include "engine/pool.h"
#include "engine/spares.h"
#include "sql/mysql.h"

struct ev_loop;

/*
 * A database that is open, or being opened or closed. Everything here is the loop's thread's.
 *
 *   OPENING ──first connection is ready──> OPEN ──close──> CLOSING ──no connection left──> (freed)
 *      └───────first trouble, close─────────────────────────^
 */
struct mydb_engine {
  enum { MYDB_OPENING, MYDB_OPEN, MYDB_CLOSING } state;
  struct ev_loop *loop;
  struct engine_callbacks callbacks;
  struct mydb_url *url; /* a reference */
  evd_schema_mode schema;
  bool test_mode;
  int64_t timeout_ms;
  ev_tstamp answer_timeout; /* the longest wait for the server to say something; 0 is none */
  ev_tstamp write_timeout;  /* and to take something */
  struct mydb_table
      table; /* read by the first connection, and again by the next when an index is gone;
                               * the name is there from the start */
  struct pool *pool;
  struct spares spares; /* workers */

  /* The first connection has read the table: the engine is open. */
  void (*opened)(struct mydb_engine *engine, const struct mydb_table *table);
};

#endif
