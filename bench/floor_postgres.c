/* The floor of PostgreSQL: one connection, its statements prepared and pipelined, all in binary. */
#include <arpa/inet.h>
#include <endian.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "engine/postgres/parameters.h"
#include "engine/postgres/url.h"
#include "floor.h"
#include "model/columns.h"
#include "sql/postgres.h"

enum { VALUES_MAX = 64 }; /* of a statement */

struct floor {
  PGconn *connection;
};

/* A statement and the values of one batch. */
struct call {
  const struct op_work *work;
  struct postgres_table table;
  struct statement_key key;
  struct buffer sql;
  int count; /* of parameters */
  struct buffer values[VALUES_MAX];
};

static bool fail(struct floor *floor, const char *what) {
  return bench_fail("floor: %s: %s", what, PQerrorMessage(floor->connection));
}

static bool execute(struct floor *floor, const char *sql) {
  PGresult *result = PQexec(floor->connection, sql);
  bool ok = PQresultStatus(result) == PGRES_COMMAND_OK || fail(floor, sql);
  PQclear(result);
  return ok;
}

static void close_floor(struct floor *floor) {
  PQfinish(floor->connection);
  free(floor);
}

/* Connects by what the URL has for libpq. */
static PGconn *connect_to(const char *text) {
  struct postgres_url url;
  struct parameters parameters;
  evd_error error;
  if (postgres_url_parse(text, &url, &error) != EVD_OK) {
    bench_fail("floor: %s", error.message);
    return NULL;
  }
  PGconn *connection = NULL;
  if (postgres_parameters_init(&parameters, &url, "")) {
    connection = PQconnectdbParams((const char *const *)parameters.keywords,
                                   (const char *const *)parameters.values, 0);
  }
  postgres_parameters_free(&parameters);
  postgres_url_free(&url);
  return connection;
}

static struct floor *open_floor(const struct target *target) {
  struct floor *floor = calloc(1, sizeof *floor);
  if (floor == NULL) {
    return NULL;
  }
  floor->connection = connect_to(target->url);
  if (PQstatus(floor->connection) == CONNECTION_OK &&
      execute(floor, "set client_min_messages = warning")) {
    return floor;
  }
  fail(floor, "connecting");
  close_floor(floor);
  return NULL;
}

/* ------------------------------------------------------------------------- values in binary */

static void append_int32(struct buffer *buffer, int32_t number) {
  uint32_t bytes = htonl((uint32_t)number);
  buffer_append_bytes(buffer, &bytes, sizeof bytes);
}

static void append_int64(struct buffer *buffer, int64_t number) {
  uint64_t bytes = htobe64((uint64_t)number);
  buffer_append_bytes(buffer, &bytes, sizeof bytes);
}

/* Appends a value, with its length before it if it is an element of an array. */
static void append_value(struct buffer *buffer, const struct postgres_type *type,
                         struct value value, bool element) {
  bool text = type->format == POSTGRES_TEXT || type->format == POSTGRES_JSONB;
  bool jsonb = type->format == POSTGRES_JSONB;
  size_t length = text ? strlen(value.text) : 0;
  switch (type->format) {
  case POSTGRES_TEXT:
  case POSTGRES_JSONB:
    if (element) {
      append_int32(buffer, (int32_t)(length + jsonb));
    }
    buffer_append_bytes(buffer, "\1", jsonb);
    buffer_append_bytes(buffer, value.text, length);
    break;
  case POSTGRES_INT4:
    if (element) {
      append_int32(buffer, 4);
    }
    append_int32(buffer, (int32_t)value.integer);
    break;
  case POSTGRES_INT8:
    if (element) {
      append_int32(buffer, 8);
    }
    append_int64(buffer, value.integer);
    break;
  case POSTGRES_BOOL:
    if (element) {
      append_int32(buffer, 1);
    }
    buffer_append_bytes(buffer, value.integer != 0 ? "\1" : "\0", 1);
    break;
  }
}

/* Begins the next parameter, an array of so many elements. */
static struct buffer *begin_array(struct call *call, const struct postgres_type *type,
                                  size_t elements) {
  struct buffer *buffer = &call->values[call->count++];
  buffer_reset(buffer);
  append_int32(buffer, 1); /* dimension */
  append_int32(buffer, 1); /* it may hold NULLs */
  append_int32(buffer, (int32_t)type->element_oid);
  append_int32(buffer, (int32_t)elements);
  append_int32(buffer, 1); /* the first one's number */
  return buffer;
}

static void append_ids(struct call *call, size_t start, size_t end) {
  const struct postgres_type *type = call->table.types[evd_column_execution_id];
  struct buffer *buffer = begin_array(call, type, end - start);
  for (size_t i = start; i < end; i++) {
    append_value(buffer, type, (struct value){.kind = VALUE_TEXT, .text = op_id(call->work, i)},
                 true);
  }
}

/* Appends an array for a column: of the rows, or of what the changes set, as often as there are
 * rows. */
static void append_column(struct call *call, evd_column column, size_t start, size_t end) {
  const struct postgres_type *type = call->table.types[column];
  const struct op_work *work = call->work;
  struct buffer *buffer = begin_array(call, type, end - start);
  for (size_t i = start; i < end; i++) {
    struct value value = column_get(
        work->op == OP_INSERT ? &work->rows->executions[i] : &work->changes.values, column);
    if (value.kind == VALUE_NULL) {
      append_int32(buffer, -1);
    } else {
      append_value(buffer, type, value, true);
    }
  }
}

/* Makes the parameters of an insert, a get or an update of the rows from start to end. */
static void encode_rows(struct call *call, size_t start, size_t end) {
  call->count = 0;
  if (call->work->op != OP_INSERT) {
    append_ids(call, start, end);
  }
  for (evd_column column = 0; column < EVD_COLUMN_COUNT && call->work->op != OP_GET; column++) {
    if ((call->key.set & COLUMN_BIT(column)) != 0) {
      append_column(call, column, start, end);
    }
  }
}

/* Makes the parameters of a claim: before, limit, what is set, started_at. */
static void encode_claim(struct call *call) {
  const struct op_work *work = call->work;
  for (size_t i = 0; i < VALUES_MAX; i++) {
    buffer_reset(&call->values[i]);
  }
  call->count = 0;
  append_int64(&call->values[call->count++], work->before);
  append_int64(&call->values[call->count++], CLAIM_LIMIT);
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    if ((call->key.set & COLUMN_BIT(column)) != 0) {
      append_value(&call->values[call->count++], call->table.types[column],
                   column_get(&work->changes.values, column), false);
    }
  }
  append_int64(&call->values[call->count++], work->started_at);
}

/* ------------------------------------------------------------------------- statements */

/* The columns that are not NULL in some row. */
static uint64_t present_columns(const struct rows *rows) {
  uint64_t present = 0;
  for (size_t i = 0; i < rows->count; i++) {
    for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
      if (column_get(&rows->executions[i], column).kind != VALUE_NULL) {
        present |= COLUMN_BIT(column);
      }
    }
  }
  return present;
}

/* Makes and prepares the statement that the engine runs for this work. */
static bool prepare(struct floor *floor, struct call *call) {
  static const evd_operation operations[OP_COUNT] = {EVD_OPERATION_INSERT, EVD_OPERATION_GET,
                                                     EVD_OPERATION_UPDATE,
                                                     EVD_OPERATION_CLAIM_BY_START_AT};
  const struct op_work *work = call->work;
  struct request request = {.operation = operations[work->op], .status = EVD_STATUS_READY};
  struct table_name name;
  if (work->op == OP_UPDATE) {
    request.filter = work->filter;
  }
  if (work->op == OP_UPDATE || work->op == OP_CLAIM) {
    request.changes = &work->changes;
  }
  if (table_name_parse(work->target->table, &name, NULL) != EVD_OK) {
    bench_fail("floor: a bad table name");
    return false;
  }
  postgres_table_init(&call->table, &name);
  call->key = work->op == OP_INSERT ? postgres_insert_key(present_columns(work->rows))
                                    : postgres_statement_key(&call->table, &request);
  postgres_statement(&call->sql, &call->table, &call->key);
  PGresult *result = PQprepare(floor->connection, "floor", call->sql.text, 0, NULL);
  bool ok = PQresultStatus(result) == PGRES_COMMAND_OK || fail(floor, "preparing");
  PQclear(result);
  return ok;
}

/* Sends one batch, with a sync after it. */
static bool send_batch(struct floor *floor, const struct call *call) {
  const char *values[VALUES_MAX];
  int lengths[VALUES_MAX], formats[VALUES_MAX];
  for (int i = 0; i < call->count; i++) {
    values[i] = call->values[i].text;
    lengths[i] = (int)call->values[i].length;
    formats[i] = 1;
  }
  return (PQsendQueryPrepared(floor->connection, "floor", call->count, values, lengths, formats,
                              1) == 1 &&
          PQpipelineSync(floor->connection) == 1) ||
         fail(floor, "sending");
}

/* Reads every value of a result; returns the rows. */
static size_t read_rows(const PGresult *result) {
  int rows = PQntuples(result), fields = PQnfields(result);
  size_t bytes = 0;
  for (int row = 0; row < rows; row++) {
    for (int field = 0; field < fields; field++) {
      if (!PQgetisnull(result, row, field)) {
        bytes +=
            (size_t)PQgetlength(result, row, field) + (size_t)PQgetvalue(result, row, field)[0];
      }
    }
  }
  return bytes > 0 ? (size_t)rows : 0;
}

/* Waits for the answer to the oldest batch; *rows is added to. */
static bool receive_batch(struct floor *floor, size_t *rows) {
  PGresult *result;
  bool ok = false;
  while ((result = PQgetResult(floor->connection)) != NULL) {
    if (PQresultStatus(result) == PGRES_TUPLES_OK) {
      *rows += read_rows(result);
      ok = true;
    } else if (PQresultStatus(result) == PGRES_COMMAND_OK) {
      *rows += (size_t)strtoul(PQcmdTuples(result), NULL, 10);
      ok = true;
    } else {
      fail(floor, "a batch");
    }
    PQclear(result);
  }
  result = PQgetResult(floor->connection); /* the sync */
  ok = ok && PQresultStatus(result) == PGRES_PIPELINE_SYNC;
  PQclear(result);
  return ok;
}

/* Runs all batches, `depth` of them on their way. */
static bool run_batches(struct floor *floor, struct call *call, size_t batch, size_t depth,
                        size_t *done) {
  size_t total = op_total(call->work), sent = 0, pending = 0;
  bool ok = true;
  while (ok && (sent < total || pending > 0)) {
    if (sent < total && pending < depth) {
      size_t end = sent + batch < total ? sent + batch : total;
      if (call->work->op == OP_CLAIM) {
        encode_claim(call);
      } else {
        encode_rows(call, sent, end);
      }
      ok = send_batch(floor, call);
      sent = end;
      pending++;
    } else {
      ok = receive_batch(floor, done);
      pending--;
    }
  }
  return ok;
}

static bool run(struct floor *floor, const struct op_work *work, size_t batch, size_t depth,
                size_t *done) {
  struct call *call = calloc(1, sizeof *call);
  if (call == NULL) {
    return bench_fail("out of memory");
  }
  call->work = work;
  bool ok = prepare(floor, call) && PQenterPipelineMode(floor->connection) == 1 &&
            run_batches(floor, call, batch, depth, done);
  for (size_t i = 0; i < VALUES_MAX; i++) {
    buffer_free(&call->values[i]);
  }
  buffer_free(&call->sql);
  free(call);
  return ok;
}

const struct floor_ops floor_postgres = {
    .engine = "postgres",
    .settle = "vacuum analyze",
    .open = open_floor,
    .execute = execute,
    .run = run,
    .close = close_floor,
};
