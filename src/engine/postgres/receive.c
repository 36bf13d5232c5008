/* Reads results, and matches each with the statement that it answers. */
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "async/clock.h"
#include "async/quiet.h"
#include "async/worker.h"
#include "engine/postgres/failure.h"
#include "engine/postgres/postgres.h"
#include "model/error.h"

static bool is_success(const PGresult *result) {
  ExecStatusType status = PQresultStatus(result);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* Notes the first failure of a flight. */
static void fail_flight(struct flight *flight, const evd_error *error) {
  if (flight->batch->error.code == EVD_OK) {
    flight->batch->error = *error;
  }
}

/* A read whose ids were taken has failed on what is in a row. */
static void cannot_be_read(const struct batch *batch, evd_error *error) {
  evd_error why = *error;
  const char *which = batch->operation == EVD_OPERATION_GET_BY_PARENT ? "a child of "
                      : batch->operation == EVD_OPERATION_GET_TREE    ? "one of the tree of "
                                                                      : "";
  error_set(error, EVD_EDATABASE, why.field, "%sexecution %s cannot be read: %s", which,
            batch->requests[0]->id, why.message);
  error_set_native(error, why.native);
}

/* Deals with a failure of the flight at the head: notes it, and does what the connection has to do
 * about it. */
static void note_failure(struct connection *connection, const PGresult *result, bool at_commit) {
  struct flight *flight = connection->flights;
  const struct statement_key *key = at_commit ? NULL : &flight->steps[flight->answered].key;
  evd_error error;
  if (PQresultStatus(result) == PGRES_PIPELINE_ABORTED) { /* by a failure that is noted already */
    error_set(&error, EVD_ECONFLICT, "", "the server has rolled the transaction back");
    error.retryable = true;
    fail_flight(flight, &error);
    return;
  }
  enum failure_remedy remedy = postgres_failure_read(result, key, &error);
  bool is_write = !operation_is_read(flight->batch->operation);
  if (error.code == EVD_EINVAL && !is_write) {
    cannot_be_read(flight->batch, &error);
  }
  if (is_write && flight->synced && postgres_failure_is_unclear(result, at_commit)) {
    error.outcome = EVD_OUTCOME_UNKNOWN;
  }
  fail_flight(flight, &error);
  if (remedy == FAILURE_PREPARE_ANEW) {
    postgres_prepared_clear(&connection->prepared);
  } else if (remedy == FAILURE_RECONNECT && connection->source == &connection->postgres->primary) {
    pool_connection_retire(&connection->pooled);
  }
}

/* Keeps a statement for the log. */
static void record_query(const struct source *source, const struct flight *flight,
                         const struct step *step) {
  if (!flight->batch->record_queries) {
    return;
  }
  struct buffer *sql = &source->postgres->sql;
  buffer_reset(sql);
  postgres_statement(sql, &source->table, &step->key);
  if (!sql->failed) {
    batch_record_query(flight->batch, sql->text, (clock_seconds() - step->sent_at) * 1000);
  }
}

/* A statement's answer: is decoded from now on, or is a failure. */
static void statement_answered(struct connection *connection, PGresult *result) {
  struct flight *flight = connection->flights;
  const struct step *step = &flight->steps[flight->answered];
  postgres_wire_answered(&connection->wire);
  record_query(connection->source, flight, step);
  if (is_success(result)) {
    connection->decoding =
        (struct decoding){.result = result, .left_out = &flight->batch->left_out};
    return;
  }
  const struct batch *batch = flight->batch;
  if (batch->count > 1 || !postgres_failure_is_of_foreign_id(result, batch->operation)) {
    note_failure(connection, result, false);
  }
  flight->answered++;
  PQclear(result);
}

/* Decodes some rows of the result. What cannot be decoded fails the batch, which the server may
 * commit all the same. */
static void decode_some(struct connection *connection) {
  struct source *source = connection->source;
  struct decoding *decoding = &connection->decoding;
  struct flight *flight = connection->flights;
  const struct step *step = &flight->steps[flight->answered];
  struct batch *batch = flight->batch;
  evd_code code = EVD_OK;
  if (PQnfields(decoding->result) >= EVD_COLUMN_COUNT) {
    code = postgres_schema_adopt(source, decoding->result, &batch->error);
  }
  if (code == EVD_OK) {
    code = postgres_decode(&source->table, step, decoding, &batch->error);
  }
  if (code != EVD_OK && !operation_is_read(batch->operation)) {
    batch->error.outcome = EVD_OUTCOME_UNKNOWN;
  }
  if (code != EVD_OK || postgres_is_decoded(decoding)) {
    postgres_link_discard(connection);
    flight->answered++;
  }
}

static void end_flight(struct connection *connection) {
  struct postgres *postgres = connection->postgres;
  struct flight *flight = connection->flights;
  struct batch *batch = flight->batch;
  DL_DELETE(connection->flights, flight);
  if (batch->error.code != EVD_OK) {
    batch_clear_answers(batch);
    if (connection->source == &postgres->replica) {
      postgres->shun(connection->source, batch);
    }
  }
  postgres_flight_free(flight);
  pool_batch_done(&connection->pooled);
  batch->done(batch);
}

/* The end of a flight; its commit may have failed just now. */
static void sync_answered(struct connection *connection, const PGresult *result) {
  if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
    note_failure(connection, result, true);
    return;
  }
  postgres_wire_answered(&connection->wire);
  end_flight(connection);
}

static void prepare_answered(struct connection *connection, unsigned number,
                             const PGresult *result) {
  postgres_wire_answered(&connection->wire);
  if (is_success(result)) {
    return;
  }
  postgres_prepared_remove(&connection->prepared, number);
  note_failure(connection, result, false);
}

/* A statement that could not be given back is not there, or the transaction was over before. It
 * stays forgotten in either case: its name is not used again. */
static void deallocate_answered(struct connection *connection, const PGresult *result) {
  postgres_wire_answered(&connection->wire);
  if (!is_success(result)) {
    note_failure(connection, result, false);
  }
}

/* The table's columns. What is wrong with a table that is there says more than why it could not be
 * completed. */
static void columns_answered(struct connection *connection, const PGresult *result) {
  evd_error *error = &connection->schema_error;
  evd_error found;
  if ((error->code == EVD_OK || PQntuples(result) > 0) &&
      postgres_schema_read(connection->source, result, &found) != EVD_OK) {
    *error = found;
  }
}

/* The answers while the first connection sees to the schema. */
static void schema_answered(struct connection *connection, enum expected_kind kind,
                            const PGresult *result) {
  evd_error *error = &connection->schema_error;
  bool is_sync =
      kind == EXPECT_LACKS_SYNC || kind == EXPECT_CREATION_SYNC || kind == EXPECT_COLUMNS_SYNC;
  bool failed = PQresultStatus(result) == PGRES_FATAL_ERROR;
  if (failed && error->code == EVD_OK) {
    postgres_failure_read(result, NULL, error);
  }
  if (is_sync && failed) {
    return; /* the sync is yet to come */
  }
  postgres_wire_answered(&connection->wire);
  if (kind == EXPECT_LACKS && is_success(result)) {
    postgres_schema_note_lacks(connection, result);
  }
  if (kind == EXPECT_LACKS_SYNC) {
    postgres_schema_looked(connection);
  }
  if (kind == EXPECT_COLUMNS && is_success(result)) {
    columns_answered(connection, result);
  }
  if (kind != EXPECT_COLUMNS_SYNC) {
    return;
  }
  if (error->code != EVD_OK) {
    postgres_link_lose(connection, error);
    return;
  }
  pool_connection_ready(&connection->pooled);
  connection->postgres->opened(connection->postgres, NULL);
}

/* Takes the result over. */
static void answered(struct connection *connection, PGresult *result) {
  const struct expected *expected = postgres_wire_expected(&connection->wire);
  enum expected_kind kind = expected->kind;
  switch (kind) {
  case EXPECT_STATEMENT: statement_answered(connection, result); return;
  case EXPECT_PREPARE: prepare_answered(connection, expected->number, result); break;
  case EXPECT_DEALLOCATE: deallocate_answered(connection, result); break;
  case EXPECT_ROLLBACK: postgres_wire_answered(&connection->wire); break;
  case EXPECT_SYNC: sync_answered(connection, result); break;
  case EXPECT_LACKS:
  case EXPECT_LACKS_SYNC:
  case EXPECT_CREATION:
  case EXPECT_CREATION_SYNC:
  case EXPECT_COLUMNS:
  case EXPECT_COLUMNS_SYNC: schema_answered(connection, kind, result); break;
  }
  PQclear(result);
}

/* Deals with one thing that has come; false when there is none. */
static bool receive_one(struct connection *connection) {
  if (connection->decoding.result != NULL) {
    decode_some(connection);
    return true;
  }
  PGresult *result = postgres_wire_result(&connection->wire);
  if (result != NULL) {
    answered(connection, result);
  }
  return result != NULL;
}

/* What follows a result stays in the socket until its rows are decoded: libpq would take all of the
 * next result apart in one go. */
static void read_unless_decoding(struct connection *connection) {
  bool decodes = connection->decoding.result != NULL;
  postgres_wire_pause(&connection->wire, decodes);
  if (decodes) {
    connection->progress_at = clock_seconds();
  }
}

void postgres_receive_more(struct connection *connection) {
  double end = clock_seconds() + CONNECTION_TURN;
  bool more = true;
  while (connection->pooled.state != POOL_CLOSING && more && clock_seconds() < end) {
    more = receive_one(connection);
  }
  if (connection->pooled.state == POOL_CLOSING) {
    return;
  }
  read_unless_decoding(connection);
  if (more) {
    postgres_wire_go_on(&connection->wire);
  } else if (connection->wire.broken) {
    evd_error error;
    postgres_failure_of_connection(connection->wire.pg, connection->where, &error);
    postgres_link_lose(connection, &error);
  }
}
