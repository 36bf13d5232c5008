/* A blocking SQL session of PostgreSQL. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "async/worker.h"
#include "engine/postgres/dial.h"
#include "engine/postgres/failure.h"
#include "engine/postgres/url.h"
#include "engine/spares.h"
#include "migrate/client.h"
#include "migrate/privileges.h"
#include "model/error.h"

struct postgres_client {
  struct sql_client client; /* first: the client is this */
  PGconn *pg;
};

/* Fills in the error from a result, or from the connection where there is none. */
static evd_code fail(struct postgres_client *client, const PGresult *result, evd_error *error) {
  if (result != NULL && PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL) {
    postgres_failure_read(result, NULL, error);
  } else {
    postgres_failure_of_connection(client->pg, client->client.place, error);
  }
  return error->code;
}

static void close_client(struct sql_client *base) {
  struct postgres_client *client = (struct postgres_client *)base;
  PQfinish(client->pg);
  free(client);
}

/* What an attempt to connect came to. */
struct dialled {
  bool done;
  PGconn *pg;
  evd_error error;
};

static void on_dialled(PGconn *pg, const evd_error *error, void *data) {
  struct dialled *dialled = data;
  *dialled = (struct dialled){.done = true, .pg = pg};
  if (error != NULL) {
    dialled->error = *error;
  }
}

/* Connects as an engine does, on a loop of its own. */
static evd_code dial_on(struct ev_loop *loop, const struct postgres_url *url, PGconn **pg,
                        evd_error *error) {
  struct spares spares = {.size = 0};
  struct dialled dialled = {.done = false};
  struct worker *worker = worker_new(loop, error);
  if (worker == NULL) {
    return error->code;
  }
  if (postgres_dial_start(loop, worker, &spares, url, "", on_dialled, &dialled) == NULL) {
    worker_free(worker);
    return error_set_no_memory(error);
  }
  ev_ref(loop); /* so that it waits: what is quiet does not hold it */
  while (!dialled.done) {
    ev_run(loop, EVRUN_ONCE);
  }
  ev_unref(loop);
  worker_free(worker);
  spares_free(&spares);
  *pg = dialled.pg;
  if (dialled.pg == NULL) {
    *error = dialled.error;
  }
  return dialled.error.code;
}

/* Connects; blocks until it is done. */
static evd_code dial(struct postgres_client *client, const struct postgres_url *url,
                     evd_error *error) {
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  if (loop == NULL) {
    return error_set_no_memory(error);
  }
  evd_code code = dial_on(loop, url, &client->pg, error);
  ev_loop_destroy(loop);
  if (code == EVD_OK) {
    snprintf(client->client.place, sizeof client->client.place, "postgresql://%s@%s:%s/%s",
             PQuser(client->pg), PQhost(client->pg), PQport(client->pg), PQdb(client->pg));
  }
  return code;
}

static struct sql_client *open_client(const char *url, bool create, evd_error *error) {
  (void)create;
  struct postgres_url parsed;
  if (postgres_url_parse(url, &parsed, error) != EVD_OK) {
    return NULL;
  }
  struct postgres_client *client = calloc(1, sizeof *client);
  if (client == NULL) {
    error_set_no_memory(error);
  } else {
    client->client.ops = &sql_client_postgres;
    if (dial(client, &parsed, error) != EVD_OK) {
      close_client(&client->client);
      client = NULL;
    }
  }
  postgres_url_free(&parsed);
  return client != NULL ? &client->client : NULL;
}

static bool is_good(const PGresult *result) {
  ExecStatusType status = PQresultStatus(result);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_SINGLE_TUPLE ||
         status == PGRES_EMPTY_QUERY;
}

static evd_code execute(struct sql_client *base, const char *sql, evd_error *error) {
  struct postgres_client *client = (struct postgres_client *)base;
  PGresult *result = PQexec(client->pg, sql);
  evd_code code = is_good(result) ? EVD_OK : fail(client, result, error);
  PQclear(result);
  return code;
}

static void write_parameter(struct buffer *buffer, size_t index, void *data) {
  *(size_t *)data = index + 1;
  buffer_printf(buffer, "$%zu", index + 1);
}

/* Hands on the row of a result in single-row mode; false when no more are wanted. */
static bool hand_on(const PGresult *result, sql_row row, void *data) {
  const char *values[SQL_COLUMNS_MAX];
  int count = PQnfields(result);
  if (PQntuples(result) == 0 || row == NULL) {
    return true;
  }
  for (int i = 0; i < count && i < SQL_COLUMNS_MAX; i++) {
    values[i] = PQgetisnull(result, 0, i) ? NULL : PQgetvalue(result, 0, i);
  }
  return row(values, data);
}

/* Reads all results of a query under way, so that the connection is free again. (A cancellation
 * could hit the next query, and would end a transaction.) */
static evd_code read_results(struct postgres_client *client, sql_row row, void *data,
                             evd_error *error) {
  evd_code code = EVD_OK;
  bool more = true;
  PGresult *result;
  while ((result = PQgetResult(client->pg)) != NULL) {
    if (!is_good(result)) {
      code = fail(client, result, error);
    } else {
      more = more && hand_on(result, row, data);
    }
    const char *changed = PQcmdTuples(result);
    if (changed[0] != '\0') {
      client->client.changed = strtoll(changed, NULL, 10);
    }
    PQclear(result);
  }
  return code;
}

static evd_code query(struct sql_client *base, const char *sql, const char *const *parameters,
                      sql_row row, void *data, evd_error *error) {
  struct postgres_client *client = (struct postgres_client *)base;
  struct buffer text = {0};
  size_t count = 0;
  sql_client_place_parameters(&text, sql, write_parameter, &count);
  if (text.failed) {
    buffer_free(&text);
    return error_set_no_memory(error);
  }
  int sent = PQsendQueryParams(client->pg, text.text, (int)count, NULL, parameters, NULL, NULL, 0);
  buffer_free(&text);
  if (sent == 0 || PQsetSingleRowMode(client->pg) == 0) {
    return fail(client, NULL, error);
  }
  return read_results(client, row, data, error);
}

const struct sql_client_ops sql_client_postgres = {
    .dialect = &dialect_postgres,
    .accepts = postgres_url_accepts,
    .open = open_client,
    .execute = execute,
    .query = query,
    .find_privileges = privileges_find_postgres,
    .close = close_client,
};
