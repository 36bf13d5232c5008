/* A blocking SQL session of SQLite. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/sqlite/errors.h"
#include "engine/sqlite/file.h"
#include "engine/sqlite/url.h"
#include "migrate/client.h"
#include "model/error.h"

struct sqlite_client {
  struct sql_client client; /* first: the client is this */
  sqlite3 *db;
};

static evd_code fail(struct sqlite_client *client, int result, const char *doing,
                     evd_error *error) {
  return sqlite_error_set(error, client->db, result, doing);
}

static void close_client(struct sql_client *base) {
  struct sqlite_client *client = (struct sqlite_client *)base;
  sqlite3_close(client->db);
  free(client);
}

/* Opens the file, and looks whether it is a database that can be read. */
static evd_code open_file(struct sqlite_client *client, const struct sqlite_url *url, bool create,
                          evd_error *error) {
  evd_code code = sqlite_file_open(url, create, &client->db, error);
  if (code == EVD_OK) {
    sqlite3_busy_timeout(client->db, (int)url->busy_timeout_ms);
    code = sqlite_file_probe(client->db, error);
  }
  if (code != EVD_OK) {
    sqlite_file_explain(url, error);
    return error->code;
  }
  return EVD_OK;
}

static struct sql_client *open_client(const char *url, bool create, evd_error *error) {
  struct sqlite_url parsed;
  if (sqlite_url_parse(url, &parsed, error) != EVD_OK) {
    return NULL;
  }
  struct sqlite_client *client = calloc(1, sizeof *client);
  if (client == NULL) {
    error_set_no_memory(error);
  } else {
    client->client.ops = &sql_client_sqlite;
    snprintf(client->client.place, sizeof client->client.place, "sqlite:%s", parsed.name);
    if (open_file(client, &parsed, create, error) != EVD_OK) {
      close_client(&client->client);
      client = NULL;
    }
  }
  sqlite_url_free(&parsed);
  return client != NULL ? &client->client : NULL;
}

static evd_code execute(struct sql_client *base, const char *sql, evd_error *error) {
  struct sqlite_client *client = (struct sqlite_client *)base;
  int result = sqlite3_exec(client->db, sql, NULL, NULL, NULL);
  return result == SQLITE_OK ? EVD_OK : fail(client, result, "SQL", error);
}

static int bind(sqlite3_stmt *statement, const char *const *parameters) {
  int result = SQLITE_OK;
  int count = sqlite3_bind_parameter_count(statement);
  for (int i = 0; i < count && result == SQLITE_OK; i++) {
    result = parameters[i] != NULL
                 ? sqlite3_bind_text(statement, i + 1, parameters[i], -1, SQLITE_STATIC)
                 : sqlite3_bind_null(statement, i + 1);
  }
  return result;
}

/* Steps through the rows; the result of the last step. */
static int read_rows(sqlite3_stmt *statement, sql_row row, void *data) {
  const char *values[SQL_COLUMNS_MAX];
  int count = sqlite3_column_count(statement);
  int result;
  bool more = true;
  while (more && (result = sqlite3_step(statement)) == SQLITE_ROW) {
    for (int i = 0; i < count && i < SQL_COLUMNS_MAX; i++) {
      values[i] = (const char *)sqlite3_column_text(statement, i);
    }
    more = row == NULL || row(values, data);
  }
  return more ? result : SQLITE_DONE;
}

static evd_code query(struct sql_client *base, const char *sql, const char *const *parameters,
                      sql_row row, void *data, evd_error *error) {
  struct sqlite_client *client = (struct sqlite_client *)base;
  sqlite3_stmt *statement;
  int result = sqlite3_prepare_v2(client->db, sql, -1, &statement, NULL);
  if (result == SQLITE_OK) {
    result = bind(statement, parameters);
  }
  if (result == SQLITE_OK) {
    result = read_rows(statement, row, data);
  }
  evd_code code = EVD_OK;
  if (result == SQLITE_DONE) {
    base->changed = sqlite3_changes64(client->db);
  } else {
    code = fail(client, result, "SQL", error);
  }
  sqlite3_finalize(statement);
  return code;
}

const struct sql_client_ops sql_client_sqlite = {
    .dialect = &dialect_sqlite,
    .accepts = sqlite_url_accepts,
    .open = open_client,
    .execute = execute,
    .query = query,
    .close = close_client,
};
