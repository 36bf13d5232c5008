#include "engine/mysql/connect.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "async/worker.h"
#include "engine/mysql/errors.h"
#include "engine/mysql/inspect.h"
#include "model/error.h"

/* Added to an operation's time for the answer to come. */
enum { ANSWER_SECONDS = 5 };

/* A connection being made. The loop's thread owns it, but while the job runs, and for good once it
 * is abandoned, the worker's. */
struct mysql_connect {
  struct job job;
  struct ev_loop *loop;
  struct worker *worker;
  struct mysql_connect_config config;
  struct mysql_connected connected;
  void (*done)(const struct mysql_connected *connected, void *data);
  void *data;
};

unsigned mysql_connect_read_timeout(const struct mysql_url *url, int64_t timeout_ms) {
  if (url->read_timeout > 0) {
    return url->read_timeout;
  }
  return timeout_ms > 0 ? (unsigned)(timeout_ms / 1000) + 1 + ANSWER_SECONDS : 0;
}

/* The worker's thread. */

/* Options of any connection. */
static void set_options(MYSQL *mysql, const struct mysql_connect_config *config) {
  const struct mysql_url *url = config->url;
  unsigned read_timeout = mysql_connect_read_timeout(url, config->timeout_ms);
  unsigned write_timeout = url->write_timeout > 0 ? url->write_timeout : read_timeout;
  unsigned off = 0;
  mysql_options(mysql, MYSQL_OPT_NONBLOCK, NULL);
  mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &off); /* no server may ask for our files */
  mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &url->connect_timeout);
  if (read_timeout > 0) {
    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &read_timeout);
  }
  if (write_timeout > 0) {
    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &write_timeout);
  }
  unsigned protocol = url->socket != NULL ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
  mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol);
}

void mysql_connect_set_security(MYSQL *mysql, const struct mysql_url *url) {
  my_bool on = 1;
  if (!url->ssl) {
    mysql_optionsv(mysql, MARIADB_OPT_RESTRICTED_AUTH,
                   "mysql_native_password,client_ed25519,caching_sha2_password,sha256_password");
    return;
  }
  mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &on);
  mysql_options(mysql, MYSQL_OPT_SSL_CA, url->ssl_ca);
  mysql_options(mysql, MYSQL_OPT_SSL_CERT, url->ssl_cert);
  mysql_options(mysql, MYSQL_OPT_SSL_KEY, url->ssl_key);
  if (url->ssl_verify) {
    mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &on);
  }
}

/* The last error of the handle, as one of making a connection. */
static evd_code failed(MYSQL *mysql, const struct mysql_url *url, evd_error *error) {
  char native[16];
  unsigned number = mysql_errno(mysql);
  error_set(error, EVD_EUNAVAILABLE, "", "%s: %s", url->where, mysql_error(mysql));
  snprintf(native, sizeof(native), "%u", number);
  error_set_native(error, native);
  return error->code;
}

/* Runs a statement of the set-up. */
static evd_code run(MYSQL *mysql, const struct mysql_url *url, const char *sql, evd_error *error) {
  return mysql_query(mysql, sql) == 0 ? EVD_OK : failed(mysql, url, error);
}

/* Asks for one row, at most; column `index` of it as text. "" when there is none. */
static evd_code ask(MYSQL *mysql, const struct mysql_url *url, const char *sql, unsigned index,
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
static evd_code set_session(MYSQL *mysql, const struct mysql_connect_config *config,
                            evd_error *error) {
  const struct mysql_url *url = config->url;
  char sql[160];
  snprintf(sql, sizeof(sql),
           "set session autocommit = 1, innodb_lock_wait_timeout = %u,"
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
static evd_code set_statement_timeout(MYSQL *mysql, const struct mysql_connect_config *config,
                                      bool mariadb, evd_error *error) {
  char sql[80];
  if (config->timeout_ms <= 0) {
    return EVD_OK;
  }
  if (mariadb) {
    snprintf(sql, sizeof(sql), "set session max_statement_time = %.3f",
             (double)config->timeout_ms / 1000);
  } else {
    snprintf(sql, sizeof(sql), "set session max_execution_time = %lld",
             (long long)config->timeout_ms);
  }
  return run(mysql, config->url, sql, error);
}

/* Asks what the server is, and whether it can serve: a Galera node without quorum lets anybody
 * connect. */
static evd_code check_server(MYSQL *mysql, struct mysql_connect *connect, evd_error *error) {
  const struct mysql_url *url = connect->config.url;
  struct mysql_connected *connected = &connect->connected;
  char text[128];
  evd_code code = ask(mysql, url, "select @@max_allowed_packet", 0, text, sizeof(text), error);
  if (code != EVD_OK) {
    return code;
  }
  connected->max_packet = strtoull(text, NULL, 10);
  connected->mariadb = mariadb_connection(mysql) != 0;
  code = ask(mysql, url, "show variables like 'wsrep_on'", 1, text, sizeof(text), error);
  connected->galera = strcmp(text, "ON") == 0;
  if (code != EVD_OK || !connected->galera) {
    return code;
  }
  code = ask(mysql, url, "show status like 'wsrep_ready'", 1, text, sizeof(text), error);
  if (code == EVD_OK && strcmp(text, "ON") != 0) {
    code = error_set(error, EVD_EUNAVAILABLE, "", "%s: the Galera node is not ready", url->where);
    error_set_native(error, "1047");
  }
  return code;
}

/* Connects, and all that is to be done on a new connection. */
static evd_code establish(MYSQL *mysql, struct mysql_connect *connect, evd_error *error) {
  const struct mysql_connect_config *config = &connect->config;
  const struct mysql_url *url = config->url;
  struct mysql_connected *connected = &connect->connected;
  set_options(mysql, config);
  mysql_connect_set_security(mysql, url);
  if (mysql_real_connect(mysql, url->host, url->user, url->password, url->database, url->port,
                         url->socket, CLIENT_FOUND_ROWS | CLIENT_MULTI_STATEMENTS) == NULL) {
    return failed(mysql, url, error);
  }
  evd_code code = set_session(mysql, config, error);
  if (code == EVD_OK) {
    code = check_server(mysql, connect, error);
  }
  if (code == EVD_OK && config->inspect) {
    connected->table.name = config->table;
    code = mysql_inspect(mysql, config->schema, &connected->table, error);
  }
  if (code == EVD_OK) {
    code = set_statement_timeout(mysql, config, connected->mariadb, error);
  }
  return code;
}

/* After a TLS connect, or any blocking call, the socket blocks: the loop's calls must not. */
static evd_code make_non_blocking(MYSQL *mysql, const struct mysql_url *url, evd_error *error) {
  int socket = mysql_get_socket(mysql);
  int flags = fcntl(socket, F_GETFL);
  if (flags < 0 || fcntl(socket, F_SETFL, flags | O_NONBLOCK) < 0) {
    return error_set(error, EVD_EUNAVAILABLE, "", "%s: cannot set O_NONBLOCK", url->where);
  }
  return EVD_OK;
}

static void run_job(struct job *job) {
  struct mysql_connect *connect = (struct mysql_connect *)job;
  struct mysql_connected *connected = &connect->connected;
  mysql_thread_init();
  MYSQL *mysql = mysql_init(NULL);
  if (mysql == NULL) {
    error_set(&connected->error, EVD_ENOMEM, "", "memory ran out");
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
  struct mysql_connect *connect = (struct mysql_connect *)job;
  if (connect->connected.mysql != NULL) {
    mysql_close(connect->connected.mysql);
  }
  mysql_url_release(connect->config.url);
  free(connect);
}

/* The loop's thread. */

static void finish_job(struct job *job) {
  struct mysql_connect *connect = (struct mysql_connect *)job;
  ev_ref(connect->loop); /* what mysql_connect_begin() took back */
  worker_free(connect->worker);
  connect->done(&connect->connected, connect->data);
  mysql_url_release(connect->config.url);
  free(connect);
}

struct mysql_connect *mysql_connect_begin(struct ev_loop *loop,
                                          const struct mysql_connect_config *config,
                                          void (*done)(const struct mysql_connected *connected,
                                                       void *data),
                                          void *data, evd_error *error) {
  struct mysql_connect *connect = calloc(1, sizeof(*connect));
  if (connect == NULL) {
    error_set(error, EVD_ENOMEM, "", "memory ran out");
    return NULL;
  }
  connect->worker = worker_new(loop, error);
  if (connect->worker == NULL) {
    free(connect);
    return NULL;
  }
  connect->job = (struct job){.run = run_job, .done = finish_job, .abandoned = abandon_job};
  connect->loop = loop;
  connect->config = *config;
  mysql_url_retain(config->url);
  connect->done = done;
  connect->data = data;
  worker_submit(connect->worker, &connect->job);
  ev_unref(loop); /* the pool keeps the loop alive if anybody waits */
  return connect;
}

void mysql_connect_abandon(struct mysql_connect *connect) {
  ev_ref(connect->loop);
  worker_free(connect->worker);
}
