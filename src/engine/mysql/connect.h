/*
 * Making a connection, which blocks (the name's resolution, and Connector/C's TLS handshake): each
 * on a worker of its own, so that a server that has stalled keeps no other waiting.
 *
 *   mydb_connect_begin ──(worker: connect, set up, inspect the table)──> done
 *            └──────────── mydb_connect_abandon ──> (never done; frees itself)
 */
#ifndef ENGINE_MYSQL_CONNECT_H
#define ENGINE_MYSQL_CONNECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mysql.h>

#include <evdurable/error.h>
#include <evdurable/schema.h>

#include "engine/mysql/url.h"
#include "sql/mysql.h"

struct ev_loop;
struct mydb_connect;
struct spares;

/* How to connect. */
struct mydb_connect_config {
  struct spares *spares; /* of workers; the caller frees them in the end */
  struct mydb_url *url;
  int64_t timeout_ms; /* of an operation; -1 is none */
  bool inspect;       /* read the table, too */
  evd_schema_mode schema;
  struct table_name table;
};

/* What came of it. */
struct mydb_connected {
  MYSQL *mysql;            /* the callback's to close; NULL when it failed */
  evd_error error;         /* why */
  size_t max_packet;       /* the longest statement that the server takes */
  bool mariadb;            /* else MySQL */
  bool galera;             /* a node of a cluster */
  struct mydb_table table; /* when it was to be inspected */
};

/*
 * Begins. The callback comes once, from the loop, unless it is abandoned before. It keeps no loop
 * alive. NULL with the error when there is no memory or thread.
 */
struct mydb_connect *mydb_connect_begin(
    struct ev_loop *loop, const struct mydb_connect_config *config,
    void (*done)(const struct mydb_connected *connected, void *data), void *data, evd_error *error);

/* The callback will not come. Does not wait. */
void mydb_connect_abandon(struct mydb_connect *connect);

/*
 * Connects a handle as the URL says; blocks. With ssl on it is by TLS, or not at all, and a server
 * that need not prove its name never gets the password as it is. EVD_EUNAVAILABLE, and the handle
 * is then only good to be closed.
 */
evd_code mydb_connect_dial(MYSQL *mysql, const struct mydb_url *url, unsigned long flags,
                           evd_error *error);

/* How long an answer may take, or the server may take nothing of what is sent, in seconds, by the
 * URL and the time of an operation; 0 is for ever. */
unsigned mydb_connect_read_timeout(const struct mydb_url *url, int64_t timeout_ms);
unsigned mydb_connect_write_timeout(const struct mydb_url *url, int64_t timeout_ms);

#endif
