/*
 * PostgreSQL for tests: a database of one's own on the server of EVD_TEST_POSTGRES_URL, or a server
 * of one's own, to be killed. Failures to get them are printed and end the program.
 */
#ifndef SUPPORT_POSTGRES_SERVER_H
#define SUPPORT_POSTGRES_SERVER_H

#include <stdbool.h>

#include "support/server_dir.h"

/* Whether tests are meant to use PostgreSQL here: EVD_TEST_POSTGRES_URL is set. */
bool postgres_is_there(void);

/* Skips the test when they are not. To be the first line of a test. */
#define needs_postgres()      \
  do {                        \
    if (!postgres_is_there()) \
      skip();                 \
  } while (0)

/* The URL of a new, empty database on that server, which postgres_drop_databases() drops. */
const char *postgres_database(void);
void postgres_drop_databases(void);

/* The URL with further options, "a=b&c=d". Lives until release_kept(). */
const char *postgres_url_with(const char *url, const char *options);

/* A server of one's own, on a port of its own. */
struct postgres_server {
  char dir[SERVER_DIR_SIZE];
  char url[160]; /* of its database, as a superuser */
  char host_port[32];
  int port;
};

/* Starts a server, that speaks TLS or not, with these lines of postgresql.conf, "" for none. */
void postgres_server_start(struct postgres_server *server, bool tls, const char *settings);

/* Starts a standby of a server, which streams from it. */
void postgres_server_start_standby(struct postgres_server *standby,
                                   const struct postgres_server *primary);

/* As a power failure would. */
void postgres_server_kill(const struct postgres_server *server);
void postgres_server_restart(const struct postgres_server *server);

/* The server's main process. */
int postgres_server_pid(const struct postgres_server *server);

/* Stops it, and removes all that it has left. */
void postgres_server_end(struct postgres_server *server);

#endif
