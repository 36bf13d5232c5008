/* A blocking SQL session of MySQL or MariaDB. */
#include <stdio.h>
#include <stdlib.h>

#include <mysql.h>

#include "engine/mysql/connect.h"
#include "engine/mysql/errors.h"
#include "engine/mysql/url.h"
#include "migrate/client.h"
#include "migrate/privileges.h"
#include "model/error.h"
#include "sql/mysql_literal.h"

struct mydb_client {
  struct sql_client client; /* first: the client is this */
  MYSQL *mysql;
};

static evd_code fail(struct mydb_client *client, evd_error *error) {
  mydb_errors_fill(mysql_errno(client->mysql), mysql_error(client->mysql), NULL, error);
  return error->code;
}

static void close_client(struct sql_client *base) {
  struct mydb_client *client = (struct mydb_client *)base;
  if (client->mysql != NULL) {
    mysql_close(client->mysql);
  }
  free(client);
}

static evd_code execute(struct sql_client *base, const char *sql, evd_error *error) {
  struct mydb_client *client = (struct mydb_client *)base;
  int status = mysql_query(client->mysql, sql);
  while (status == 0) {
    MYSQL_RES *result = mysql_use_result(client->mysql);
    mysql_free_result(result);
    status = mysql_next_result(client->mysql);
  }
  return status < 0 ? EVD_OK : fail(client, error);
}

/* Connects; blocks until it is done. A statement that waits for another's lock on the table holds
 * up all that come after it: so it does not wait for long. */
static evd_code dial(struct mydb_client *client, const struct mydb_url *url, evd_error *error) {
  client->mysql = mysql_init(NULL);
  if (client->mysql == NULL) {
    return error_set_no_memory(error);
  }
  evd_error cause;
  if (mydb_connect_dial(client->mysql, url, CLIENT_MULTI_STATEMENTS, &cause) != EVD_OK) {
    error_set(error, cause.code, "url", "%s", cause.message);
    error_set_native(error, cause.native);
    return error->code;
  }
  snprintf(client->client.place, sizeof client->client.place, "mysql://%s@%s/%s", url->user,
           url->where, url->database);
  return execute(&client->client,
                 "set names utf8mb4 collate utf8mb4_bin;"
                 "set session transaction isolation level read committed;"
                 "set session autocommit = 1, completion_type = 0, lock_wait_timeout = 30,"
                 " sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
                 error);
}

static struct sql_client *open_client(const char *url, bool create, evd_error *error) {
  (void)create;
  struct mydb_url *parsed = mydb_url_parse(url, error);
  if (parsed == NULL) {
    return NULL;
  }
  struct mydb_client *client = calloc(1, sizeof *client);
  if (client == NULL) {
    error_set_no_memory(error);
  } else {
    client->client.ops = &sql_client_mysql;
    if (dial(client, parsed, error) != EVD_OK) {
      close_client(&client->client);
      client = NULL;
    }
  }
  mydb_url_release(parsed);
  return client != NULL ? &client->client : NULL;
}

/* The parameters of a statement, to be written as literals: sql_mode lets backslashes escape. */
static void write_parameter(struct buffer *buffer, size_t index, void *data) {
  const char *const *parameters = data;
  struct mydb_writer writer = {.buffer = buffer, .backslashes = true};
  if (parameters[index] == NULL) {
    buffer_append(buffer, "NULL");
  } else {
    mydb_literal_text(&writer, parameters[index]);
  }
}

/* Reads the rows of the query under way, as they arrive. */
static evd_code read_rows(struct mydb_client *client, sql_row row, void *data, evd_error *error) {
  MYSQL_RES *result = mysql_use_result(client->mysql);
  if (result == NULL) {
    client->client.changed = (int64_t)mysql_affected_rows(client->mysql);
    return mysql_errno(client->mysql) == 0 ? EVD_OK : fail(client, error);
  }
  bool more = true;
  MYSQL_ROW values = NULL;
  while (more && (values = mysql_fetch_row(result)) != NULL) {
    more = row == NULL || row((const char *const *)values, data);
  }
  evd_code code = more && mysql_errno(client->mysql) != 0 ? fail(client, error) : EVD_OK;
  mysql_free_result(result);
  return code;
}

static evd_code query(struct sql_client *base, const char *sql, const char *const *parameters,
                      sql_row row, void *data, evd_error *error) {
  struct mydb_client *client = (struct mydb_client *)base;
  struct buffer text = {0};
  sql_client_place_parameters(&text, sql, write_parameter, (void *)(uintptr_t)parameters);
  if (text.failed) {
    buffer_free(&text);
    return error_set_no_memory(error);
  }
  int status = mysql_real_query(client->mysql, text.text, (unsigned long)text.length);
  buffer_free(&text);
  return status == 0 ? read_rows(client, row, data, error) : fail(client, error);
}

const struct sql_client_ops sql_client_mysql = {
    .dialect = &dialect_mysql,
    .accepts = mydb_url_accepts,
    .open = open_client,
    .execute = execute,
    .query = query,
    .find_privileges = privileges_find_mysql,
    .close = close_client,
};
