/*
 * MariaDB for tests: a database of one's own on the server of EVD_TEST_MYSQL_URL, or a server of
 * one's own, to be killed. Failures to get them are printed and end the program.
 */
#ifndef SUPPORT_MARIADB_SERVER_H
#define SUPPORT_MARIADB_SERVER_H

#include <stdbool.h>

#include "support/server_dir.h"

/* Whether tests are meant to use MySQL or MariaDB here: EVD_TEST_MYSQL_URL is set. */
bool mysql_is_there(void);

/* Skips the test when they are not. To be the first line of a test. */
#define needs_mysql()      \
  do {                     \
    if (!mysql_is_there()) \
      skip();              \
  } while (0)

/* The URL of a new, empty database on that server, which mysql_drop_databases() drops. */
const char *mysql_database(void);
void mysql_drop_databases(void);

/* The URL with further options, "a=b&c=d". Lives until release_kept(). */
const char *mysql_url_with(const char *url, const char *options);

/* The URL with another port, e.g. a proxy's. */
const char *mysql_url_at(const char *url, unsigned port);

/* A server of one's own, on a port of its own. */
struct mariadb_server {
  char dir[SERVER_DIR_SIZE];
  unsigned port;
  char url[160];                 /* of its database, as "evd" */
  char root[160];                /* as its superuser */
  char tls_user[160];            /* as "evd_tls", who may only come by TLS */
  char ca[SERVER_DIR_SIZE + 32]; /* the certificate that its own is signed with */
};

/* Starts a server that knows TLS, with these lines of my.cnf, "" for none. */
void mariadb_server_start(struct mariadb_server *server, const char *settings);

/* As a power failure would. */
void mariadb_server_kill(const struct mariadb_server *server);
void mariadb_server_stop(const struct mariadb_server *server);
void mariadb_server_restart(const struct mariadb_server *server);

/* Kills it and starts it again while the test goes on, which takes a second or two. */
void mariadb_server_bounce(const struct mariadb_server *server);

/* Stops it, and removes all that it has left. */
void mariadb_server_end(struct mariadb_server *server);

/* A Galera cluster of three nodes of one's own. */
struct galera {
  char dir[SERVER_DIR_SIZE];
  char urls[3][160];
};

/* Starts a cluster. NULL, or why there can be none here. */
const char *galera_start(struct galera *galera);

/* Kills a node, 0 to 2, as a power failure would. */
void galera_kill(const struct galera *galera, int node);

/* Ends it, and removes all that it has left. */
void galera_end(struct galera *galera);

#endif
