/* Connects on a worker's thread, and prepares the session. */
#include "engine/mysql/connect.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <ev.h>

#include "async/clock.h"
#include "async/worker.h"
#include "engine/mysql/errors.h"
#include "engine/mysql/inspect.h"
#include "engine/mysql/tls.h"
#include "engine/spares.h"
#include "model/error.h"

/* Added to an operation's time for the answer to come. */
enum { ANSWER_SECONDS = 5 };

/* The most that the server takes for it is a year: it is a limit as good as none. */
enum { IDLE_SECONDS_MAX = 86400 * 300 };

/* Stack of Connector/C's non-blocking calls: in one of them names are resolved and TLS begins. */
enum { CALL_STACK_BYTES = 256 * 1024 };

/* A connection being made. The loop's thread owns it, but while the job runs, and for good once it
 * is abandoned, the worker's. */
struct mydb_connect {
  struct job job;
  struct ev_loop *loop;
  struct worker *worker;
  struct mydb_connect_config config;
  struct mydb_connected connected;
  void (*done)(const struct mydb_connected *connected, void *data);
  void *data;
};

unsigned mydb_connect_read_timeout(const struct mydb_url *url, int64_t timeout_ms) {
  if (url->read_timeout > 0) {
    return url->read_timeout;
  }
  return timeout_ms > 0 ? (unsigned)(timeout_ms / 1000) + 1 + ANSWER_SECONDS : 0;
}

unsigned mydb_connect_write_timeout(const struct mydb_url *url, int64_t timeout_ms) {
  return url->write_timeout > 0 ? url->write_timeout : mydb_connect_read_timeout(url, timeout_ms);
}

/* The worker's thread. */

/* The options of the engine's connections, beside those of mydb_connect_dial(). */
static void set_options(MYSQL *mysql, const struct mydb_connect_config *config) {
  const struct mydb_url *url = config->url;
  unsigned read_timeout = mydb_connect_read_timeout(url, config->timeout_ms);
  unsigned write_timeout = mydb_connect_write_timeout(url, config->timeout_ms);
  if (read_timeout > 0) {
    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &read_timeout);
  }
  if (write_timeout > 0) {
    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &write_timeout);
  }
}

/* A server that need not prove its name must not get the password as it is: only plugins that send
 * something else may be used. */
static void set_security(MYSQL *mysql, const struct mydb_url *url) {
  my_bool on = 1;
  if (!url->ssl_verify) {
    mysql_optionsv(mysql, MARIADB_OPT_RESTRICTED_AUTH,
                   "mysql_native_password,client_ed25519,caching_sha2_password,sha256_password");
  }
  if (url->ssl) {
    mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &on);
    mysql_options(mysql, MYSQL_OPT_SSL_CA, url->ssl_ca);
    mysql_options(mysql, MYSQL_OPT_SSL_CERT, url->ssl_cert);
    mysql_options(mysql, MYSQL_OPT_SSL_KEY, url->ssl_key);
  }
  if (url->ssl_verify) {
    mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &on);
  }
}

/* The options that the URL's parts make. */
static void set_url_options(MYSQL *mysql, const struct mydb_url *url) {
  unsigned off = 0;
  unsigned protocol = url->socket != NULL ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
  mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &off); /* no server may ask for our files */
  mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &url->connect_timeout);
  mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol);
  set_security(mysql, url);
}

/* The last error of the handle, as one of making a connection. */
static evd_code failed(MYSQL *mysql, const struct mydb_url *url, evd_error *error) {
  char native[16];
  unsigned number = mysql_errno(mysql);
  error_set(error, EVD_EUNAVAILABLE, "", "%s: %s", url->where, mysql_error(mysql));
  snprintf(native, sizeof native, "%u", number);
  error_set_native(error, native);
  return error->code;
}

/* What a server's greeting, as far as it has come, says of TLS: after a header of 4 bytes there are
 * the protocol's version, the server's with its zero, 13 bytes, and the capabilities. What is no
 * greeting (an error, an end) is left to Connector/C, which sends nothing then. */
enum greeting { GREETING_PART, GREETING_FINE, GREETING_WITHOUT_TLS };

static enum greeting peek_greeting(int socket) {
  enum { HEADER = 4, FIXED = 13, CAPABILITIES = 2, SERVER_ERROR = 0xff };
  unsigned char bytes[512];
  ssize_t length = recv(socket, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
    return GREETING_PART;
  }
  if (length <= 0 || (length > HEADER && bytes[HEADER] == SERVER_ERROR)) {
    return GREETING_FINE;
  }
  const unsigned char *end = bytes + length;
  const unsigned char *zero =
      length > HEADER + 1 ? memchr(bytes + HEADER + 1, 0, (size_t)length - HEADER - 1) : NULL;
  if (zero == NULL || end - zero <= FIXED + CAPABILITIES) {
    return length == sizeof bytes ? GREETING_WITHOUT_TLS : GREETING_PART;
  }
  unsigned capabilities = zero[1 + FIXED] | (unsigned)zero[2 + FIXED] << 8;
  return (capabilities & CLIENT_SSL) != 0 ? GREETING_FINE : GREETING_WITHOUT_TLS;
}

/* Waits until the socket is ready; false at the deadline. */
static bool await(int socket, short events, double deadline) {
  struct pollfd poller = {.fd = socket, .events = events};
  int count;
  do {
    double left = deadline - clock_seconds();
    count = poll(&poller, 1, left > 0 ? (int)(left * 1e3) + 1 : 0);
  } while (count < 0 && errno == EINTR);
  return count > 0;
}

/* What the greeting says, once it is there. */
static enum greeting await_greeting(int socket, double deadline) {
  static const struct timespec pause = {.tv_nsec = 1000000};
  enum greeting greeting = GREETING_PART;
  while (greeting == GREETING_PART && await(socket, POLLIN, deadline)) {
    greeting = peek_greeting(socket);
    if (greeting == GREETING_PART) {
      nanosleep(&pause, NULL); /* poll() does not wait for the rest */
    }
  }
  return greeting;
}

static bool is_connected(int socket) {
  struct sockaddr_storage peer;
  socklen_t size = sizeof peer;
  return getpeername(socket, (struct sockaddr *)&peer, &size) == 0;
}

/*
 * Connects as mysql_real_connect() does, but looks at the greeting before Connector/C answers it.
 * Connector/C goes on without TLS where the server has none, and caching_sha2_password then sends
 * the password as it is, because TLS was asked for. The non-blocking call stops before the greeting
 * is read: a connection by TCP is never there at once.
 */
static bool connect_with_tls(MYSQL *mysql, const struct mydb_url *url, unsigned long flags,
                             enum greeting *greeting) {
  MYSQL *connected = NULL;
  int waits_for = mysql_real_connect_start(&connected, mysql, url->host, url->user, url->password,
                                           url->database, url->port, NULL, flags);
  while (waits_for != 0) {
    int socket = mysql_get_socket(mysql);
    double deadline = clock_seconds() + url->connect_timeout;
    bool ready = await(socket, (waits_for & MYSQL_WAIT_WRITE) != 0 ? POLLOUT : POLLIN, deadline);
    if (ready && *greeting == GREETING_PART && is_connected(socket)) {
      *greeting = await_greeting(socket, deadline);
      ready = *greeting == GREETING_FINE;
    }
    if (!ready) {
      shutdown(socket, SHUT_RDWR); /* nothing more can be sent */
    }
    waits_for = mysql_real_connect_cont(
        &connected, mysql, ready ? waits_for & ~MYSQL_WAIT_TIMEOUT : MYSQL_WAIT_TIMEOUT);
  }
  return connected != NULL;
}

evd_code mydb_connect_dial(MYSQL *mysql, const struct mydb_url *url, unsigned long flags,
                           evd_error *error) {
  static const size_t stack = CALL_STACK_BYTES;
  enum greeting greeting = GREETING_PART;
  bool connected;
  if (mysql_options(mysql, MYSQL_OPT_NONBLOCK, &stack) != 0) {
    return error_set_no_memory(error);
  }
  set_url_options(mysql, url);
  mydb_tls_forget_errors();
  if (url->ssl && !url->ssl_verify && url->socket == NULL) {
    connected = connect_with_tls(mysql, url, flags, &greeting);
  } else {
    /* Connector/C uses the socket only where there is no host. */
    connected =
        mysql_real_connect(mysql, url->socket != NULL ? NULL : url->host, url->user, url->password,
                           url->database, url->port, url->socket, flags) != NULL;
  }
  if (greeting == GREETING_WITHOUT_TLS ||
      (connected && url->ssl && mysql_get_ssl_cipher(mysql) == NULL)) {
    return error_set(error, EVD_EUNAVAILABLE, "", "%s: ssl is on, but the server offers no TLS",
                     url->where);
  }
  return connected ? EVD_OK : failed(mysql, url, error);
}

/* Runs a statement of the set-up. */
static evd_code run(MYSQL *mysql, const struct mydb_url *url, const char *sql, evd_error *error) {
  return mysql_query(mysql, sql) == 0 ? EVD_OK : failed(mysql, url, error);
}

/* Asks for one row, at most; column `index` of it as text. "" when there is none. */
static evd_code ask(MYSQL *mysql, const struct mydb_url *url, const char *sql, unsigned index,
                    char *text, size_t size, evd_error *error) {
  text[0] = '\0';
  evd_code code = run(mysql, url, sql, error);
  if (code != EVD_OK) {
    return code;
  }
  MYSQL_RES *result = mysql_store_result(mysql);
  if (result == NULL) {
    return failed(mysql, url, error);
  }
  MYSQL_ROW row = mysql_fetch_row(result);
  if (row != NULL && row[index] != NULL) {
    snprintf(text, size, "%s", row[index]);
  }
  mysql_free_result(result);
  return EVD_OK;
}

/* Makes the session what the engine relies on. */
static evd_code set_session(MYSQL *mysql, const struct mydb_connect_config *config,
                            evd_error *error) {
  const struct mydb_url *url = config->url;
  char sql[200];
  snprintf(sql, sizeof sql,
           "set session autocommit = 1, completion_type = 0, innodb_lock_wait_timeout = %u,"
           " sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
           url->lock_wait_timeout);
  evd_code code = run(mysql, url, "set names utf8mb4 collate utf8mb4_bin", error);
  if (code == EVD_OK) {
    code = run(mysql, url, sql, error);
  }
  if (code == EVD_OK) {
    code = run(mysql, url, "set session transaction isolation level read committed", error);
  }
  return code;
}

/* Has the server end what takes longer than an operation may: MariaDB any statement, MySQL only
 * those that read. */
static evd_code set_statement_timeout(MYSQL *mysql, const struct mydb_connect_config *config,
                                      bool mariadb, evd_error *error) {
  char sql[80];
  if (config->timeout_ms <= 0) {
    return EVD_OK;
  }
  if (mariadb) {
    snprintf(sql, sizeof sql, "set session max_statement_time = %.3f",
             (double)config->timeout_ms / 1000);
  } else {
    snprintf(sql, sizeof sql, "set session max_execution_time = %lld",
             (long long)config->timeout_ms);
  }
  return run(mysql, config->url, sql, error);
}

/* Has MariaDB end a transaction that we have left alone: when this host is lost, the server may not
 * be told, and would keep the rows locked for as long as a connection may idle. MySQL knows no such
 * limit. */
static evd_code set_idle_timeout(MYSQL *mysql, const struct mydb_connect_config *config,
                                 bool mariadb, evd_error *error) {
  char sql[80];
  unsigned answer = mydb_connect_read_timeout(config->url, config->timeout_ms);
  if (!mariadb || answer == 0 || answer > IDLE_SECONDS_MAX) {
    return EVD_OK;
  }
  snprintf(sql, sizeof sql, "set session idle_transaction_timeout = %u", answer + ANSWER_SECONDS);
  return run(mysql, config->url, sql, error);
}

/* Asks what the server is, and whether it can serve: a Galera node without quorum lets anybody
 * connect. */
static evd_code check_server(MYSQL *mysql, struct mydb_connect *connect, evd_error *error) {
  const struct mydb_url *url = connect->config.url;
  struct mydb_connected *connected = &connect->connected;
  char text[128];
  evd_code code = ask(mysql, url, "select @@max_allowed_packet", 0, text, sizeof text, error);
  if (code != EVD_OK) {
    return code;
  }
  connected->max_packet = strtoull(text, NULL, 10);
  connected->mariadb = mariadb_connection(mysql) != 0;
  code = ask(mysql, url, "show variables like 'wsrep_on'", 1, text, sizeof text, error);
  connected->galera = strcmp(text, "ON") == 0;
  if (code != EVD_OK || !connected->galera) {
    return code;
  }
  code = ask(mysql, url, "show status like 'wsrep_ready'", 1, text, sizeof text, error);
  if (code == EVD_OK && strcmp(text, "ON") != 0) {
    code = error_set(error, EVD_EUNAVAILABLE, "", "%s: the Galera node is not ready", url->where);
    error_set_native(error, "1047");
  }
  return code;
}

/* Connects, and all that is to be done on a new connection. */
static evd_code establish(MYSQL *mysql, struct mydb_connect *connect, evd_error *error) {
  const struct mydb_connect_config *config = &connect->config;
  const struct mydb_url *url = config->url;
  struct mydb_connected *connected = &connect->connected;
  set_options(mysql, config);
  evd_code code = mydb_connect_dial(mysql, url, CLIENT_FOUND_ROWS | CLIENT_MULTI_STATEMENTS, error);
  if (code == EVD_OK) {
    code = set_session(mysql, config, error);
  }
  if (code == EVD_OK) {
    code = check_server(mysql, connect, error);
  }
  if (code == EVD_OK && config->inspect) {
    connected->table.name = config->table;
    code = mydb_inspect(mysql, config->schema, &connected->table, error);
  }
  if (code == EVD_OK) {
    code = set_statement_timeout(mysql, config, connected->mariadb, error);
  }
  if (code == EVD_OK) {
    code = set_idle_timeout(mysql, config, connected->mariadb, error);
  }
  return code;
}

/* After a TLS connect, or any blocking call, the socket blocks: the loop's calls must not. */
static evd_code make_non_blocking(MYSQL *mysql, const struct mydb_url *url, evd_error *error) {
  int socket = mysql_get_socket(mysql);
  int flags = fcntl(socket, F_GETFL);
  if (flags < 0 || fcntl(socket, F_SETFL, flags | O_NONBLOCK) < 0) {
    return error_set(error, EVD_EUNAVAILABLE, "", "%s: cannot set O_NONBLOCK", url->where);
  }
  return EVD_OK;
}

static void run_job(struct job *job) {
  struct mydb_connect *connect = (struct mydb_connect *)job;
  struct mydb_connected *connected = &connect->connected;
  mysql_thread_init();
  MYSQL *mysql = mysql_init(NULL);
  if (mysql == NULL) {
    error_set_no_memory(&connected->error);
  } else if (establish(mysql, connect, &connected->error) == EVD_OK &&
             make_non_blocking(mysql, connect->config.url, &connected->error) == EVD_OK) {
    connected->mysql = mysql;
  } else {
    mysql_close(mysql);
  }
  mysql_thread_end();
}

/* Nobody wants the connection any more. Either thread. */
static void abandon_job(struct job *job) {
  struct mydb_connect *connect = (struct mydb_connect *)job;
  if (connect->connected.mysql != NULL) {
    mysql_close(connect->connected.mysql);
  }
  mydb_url_release(connect->config.url);
  free(connect);
}

/* The loop's thread. */

static void finish_job(struct job *job) {
  struct mydb_connect *connect = (struct mydb_connect *)job;
  ev_ref(connect->loop); /* what mydb_connect_begin() took back */
  spares_leave(connect->config.spares, connect->worker);
  connect->done(&connect->connected, connect->data);
  mydb_url_release(connect->config.url);
  free(connect);
}

struct mydb_connect *mydb_connect_begin(struct ev_loop *loop,
                                        const struct mydb_connect_config *config,
                                        void (*done)(const struct mydb_connected *connected,
                                                     void *data),
                                        void *data, evd_error *error) {
  struct mydb_connect *connect = calloc(1, sizeof *connect);
  if (connect == NULL) {
    error_set_no_memory(error);
    return NULL;
  }
  connect->worker = spares_take(config->spares, loop, error);
  if (connect->worker == NULL) {
    free(connect);
    return NULL;
  }
  connect->job = (struct job){.run = run_job, .done = finish_job, .abandoned = abandon_job};
  connect->loop = loop;
  connect->config = *config;
  mydb_url_retain(config->url);
  connect->done = done;
  connect->data = data;
  worker_submit(connect->worker, &connect->job);
  ev_unref(loop); /* the pool keeps the loop alive if anybody waits */
  return connect;
}

void mydb_connect_abandon(struct mydb_connect *connect) {
  ev_ref(connect->loop);
  worker_free(connect->worker);
}
