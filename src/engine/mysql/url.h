/*
 * A mysql:// or mariadb:// URL, read once when a storage is opened:
 *
 *   mysql://user:password@host:port/database?option=value&...
 *
 * Every part may be percent-encoded; an IPv6 address stands in brackets. Options and what they are
 * when they are not given: see struct mydb_url.
 */
#ifndef ENGINE_MYSQL_URL_H
#define ENGINE_MYSQL_URL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <evdurable/error.h>

/*
 * What a URL says. It is never changed after it is made, and is shared by the loop's thread and
 * those that connect: the last to let go of it frees it. It owns its strings.
 */
struct mydb_url {
  atomic_uint references;

  char *user;     /* "" when there is none, as with a socket */
  char *password; /* "" when there is none */
  char *host;     /* "127.0.0.1" when there is none */
  unsigned port;  /* 3306 */
  char *database;

  char *socket; /* socket=PATH; NULL for TCP */

  bool ssl;        /* ssl=on|off: on when any ssl_ option is given, else off; never falls back */
  char *ssl_ca;    /* ssl_ca=PATH: the authorities that are trusted; NULL for none */
  char *ssl_cert;  /* ssl_cert=PATH: our own certificate */
  char *ssl_key;   /* ssl_key=PATH: and its key */
  bool ssl_verify; /* ssl_verify=on|off: whether the server must prove its name; on with ssl_ca */

  /* Seconds. */
  unsigned connect_timeout;   /* connect_timeout: 10, for each address of the host */
  unsigned read_timeout;      /* read_timeout: 0, which is as long as the operation may take */
  unsigned write_timeout;     /* write_timeout: the same */
  unsigned lock_wait_timeout; /* lock_wait_timeout: 5 */

  size_t pool_min;            /* pool_min: 1 */
  size_t pool_max;            /* pool_max: 4 */
  unsigned pool_idle_timeout; /* pool_idle_timeout: 300 seconds; 0 is never */
  unsigned pool_max_age;      /* pool_max_age: 3600 seconds; 0 is for ever */

  char *where; /* "host:port", or the socket's path: for messages */
};

/* Whether a URL is for this engine, by its scheme. */
bool mydb_url_accepts(const char *url);

/* Reads a URL. EVD_EINVAL, field "url", with the part or the option that is wrong in the message;
 * a password is in no message. NULL with the error, also if memory ran out. */
struct mydb_url *mydb_url_parse(const char *text, evd_error *error);

/* One holder more, one fewer. Any thread. */
struct mydb_url *mydb_url_retain(struct mydb_url *url);
void mydb_url_release(struct mydb_url *url); /* NULL is fine */

#endif
