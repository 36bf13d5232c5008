#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "async/worker.h"
#include "engine/clock.h"
#include "engine/postgres/decode.h"
#include "engine/postgres/failure.h"
#include "engine/postgres/postgres.h"
#include "model/error.h"

static struct expected *next_expected(struct connection *connection) {
  return connection->expected_count > 0 ? &connection->expected[connection->expected_first] : NULL;
}

static void pop_expected(struct connection *connection) {
  connection->expected_first = (connection->expected_first + 1) % connection->expected_size;
  connection->expected_count--;
}

static bool is_success(const PGresult *result) {
  ExecStatusType status = PQresultStatus(result);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* Whether the server ended the session with this error. */
static bool is_fatal(const PGresult *result) {
  const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  return severity != NULL && strcmp(severity, "ERROR") != 0;
}

/* Notes the first failure of a flight, and does what the connection has to do about it. */
static void note_failure(struct connection *connection, const PGresult *result, bool at_commit) {
  struct flight *flight = connection->flights;
  const struct statement_key *key = at_commit ? NULL : &flight->steps[flight->answered].key;
  evd_error error;
  enum failure_remedy remedy = failure_read(result, key, &error);
  if (at_commit && is_fatal(result) && !operation_is_read(flight->batch->operation)) {
    error.outcome = EVD_OUTCOME_UNKNOWN;
  }
  if (flight->batch->error.code == EVD_OK) {
    flight->batch->error = error;
  }
  if (remedy == FAILURE_PREPARE_ANEW) {
    prepared_clear(&connection->prepared);
  } else if (remedy == FAILURE_RECONNECT && connection->source == &connection->postgres->primary) {
    pool_connection_retire(&connection->link);
  }
}

/* Keeps a statement for the log. */
static void record_query(struct postgres *postgres, const struct flight *flight,
                         const struct step *step) {
  if (!flight->batch->record_queries) {
    return;
  }
  buffer_reset(&postgres->sql);
  postgres_statement(&postgres->sql, &postgres->table, &step->key);
  if (!postgres->sql.failed) {
    batch_record_query(flight->batch, postgres->sql.text,
                       (clock_seconds() - flight->sent_at) * 1000);
  }
}

/* A statement's answer: is decoded from now on, or is a failure. */
static void statement_answered(struct connection *connection, PGresult *result) {
  struct flight *flight = connection->flights;
  const struct step *step = &flight->steps[flight->answered];
  pop_expected(connection);
  record_query(connection->postgres, flight, step);
  if (is_success(result)) {
    connection->result = result;
    connection->row = 0;
    return;
  }
  if (PQresultStatus(result) != PGRES_PIPELINE_ABORTED) {
    note_failure(connection, result, false);
  }
  flight->answered++;
  PQclear(result);
}

/* A large result, on its way to be freed by the worker. */
struct discarded {
  struct job job;
  PGresult *result;
};

static void clear_discarded(struct job *job) {
  struct discarded *discarded = (struct discarded *)job;
  PQclear(discarded->result);
  discarded->result = NULL;
}

static void free_discarded(struct job *job) {
  free(job);
}

static void abandon_discarded(struct job *job) {
  struct discarded *discarded = (struct discarded *)job;
  PQclear(discarded->result);
  free(discarded);
}

/* Frees a result. That of thousands of rows is thousands of pieces of memory, so the worker does
 * it. */
static void discard(struct connection *connection, PGresult *result) {
  enum { LARGE = 512 * 1024 };
  struct discarded *discarded =
      PQresultMemorySize(result) > LARGE ? malloc(sizeof(*discarded)) : NULL;
  if (discarded == NULL) {
    PQclear(result);
    return;
  }
  *discarded = (struct discarded){
      .job = {.run = clear_discarded, .done = free_discarded, .abandoned = abandon_discarded},
      .result = result};
  worker_submit(connection->source->worker, &discarded->job);
}

/* Decodes some rows of the result. What cannot be decoded fails the batch, which the server may
 * commit all the same. */
static void decode_some(struct connection *connection) {
  struct postgres *postgres = connection->postgres;
  struct flight *flight = connection->flights;
  const struct step *step = &flight->steps[flight->answered];
  struct batch *batch = flight->batch;
  evd_code code = EVD_OK;
  if (PQnfields(connection->result) >= EVD_COLUMN_COUNT) {
    code = postgres_schema_adopt(postgres, connection->result, &batch->error);
  }
  if (code == EVD_OK) {
    code = postgres_decode(&postgres->table, step, connection->result, &connection->row,
                           &batch->error);
  }
  if (code != EVD_OK && !operation_is_read(batch->operation)) {
    batch->error.outcome = EVD_OUTCOME_UNKNOWN;
  }
  if (code != EVD_OK || connection->row >= PQntuples(connection->result)) {
    discard(connection, connection->result);
    connection->result = NULL;
    flight->answered++;
  }
}

static void end_flight(struct connection *connection) {
  struct postgres *postgres = connection->postgres;
  struct flight *flight = connection->flights;
  struct batch *batch = flight->batch;
  DL_DELETE(connection->flights, flight);
  if (batch->error.code != EVD_OK) {
    flight_forget_answers(flight);
    if (connection->source == &postgres->replica) {
      postgres_shun_replica(connection->source, batch);
    }
  }
  flight_free(flight);
  pool_batch_done(&connection->link);
  postgres->callbacks.batch_done(postgres->callbacks.owner, batch);
}

/* The end of a flight; its commit may have failed just now. */
static void sync_answered(struct connection *connection, const PGresult *result) {
  if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
    note_failure(connection, result, true);
    return;
  }
  pop_expected(connection);
  end_flight(connection);
}

static void prepare_answered(struct connection *connection, unsigned number,
                             const PGresult *result) {
  pop_expected(connection);
  if (is_success(result)) {
    return;
  }
  prepared_remove(&connection->prepared, number);
  if (PQresultStatus(result) != PGRES_PIPELINE_ABORTED) {
    note_failure(connection, result, false);
  }
}

/* The answers while the first connection sees to the schema. */
static void schema_answered(struct connection *connection, enum expected_kind kind,
                            const PGresult *result) {
  evd_error *error = &connection->schema_error;
  bool failed = PQresultStatus(result) == PGRES_FATAL_ERROR;
  if (failed && error->code == EVD_OK) {
    failure_read(result, NULL, error);
  }
  if (kind == EXPECT_SCHEMA_SYNC && failed) {
    return; /* the sync is yet to come */
  }
  pop_expected(connection);
  if (kind == EXPECT_COLUMNS && is_success(result)) {
    postgres_schema_read(connection->postgres, result, error);
  }
  if (kind != EXPECT_SCHEMA_SYNC) {
    return;
  }
  if (error->code != EVD_OK) {
    postgres_connection_lose(connection, error);
    return;
  }
  pool_connection_ready(&connection->link);
  postgres_opened(connection->postgres, NULL);
}

/* Whether a result is no answer of the server's: libpq makes it when the connection has broken. */
static bool is_libpqs(const PGresult *result) {
  return PQresultStatus(result) == PGRES_FATAL_ERROR &&
         PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL;
}

/* Takes the result over. */
static void answered(struct connection *connection, PGresult *result) {
  if (is_libpqs(result)) {
    connection->broken = true;
    PQclear(result);
    return;
  }
  const struct expected *expected = next_expected(connection);
  enum expected_kind kind = expected->kind;
  switch (kind) {
  case EXPECT_STATEMENT: statement_answered(connection, result); return;
  case EXPECT_PREPARE: prepare_answered(connection, expected->number, result); break;
  case EXPECT_DEALLOCATE: pop_expected(connection); break;
  case EXPECT_SYNC: sync_answered(connection, result); break;
  case EXPECT_SCHEMA:
  case EXPECT_COLUMNS:
  case EXPECT_SCHEMA_SYNC: schema_answered(connection, kind, result); break;
  }
  PQclear(result);
}

/* The next result that is here; NULL when there is none yet. libpq marks the end of each
 * statement's results by NULL, which says nothing here, where each has one. */
static PGresult *next_result(struct connection *connection) {
  for (int marks = 0; marks < 2; marks++) {
    if (PQisBusy(connection->pg) || connection->expected_count == 0) {
      return NULL;
    }
    PGresult *result = PQgetResult(connection->pg);
    if (result != NULL) {
      return result;
    }
  }
  return NULL;
}

/* Deals with one thing that has come; false when there is none. */
static bool receive_one(struct connection *connection) {
  if (connection->result != NULL) {
    decode_some(connection);
    return true;
  }
  PGresult *result = next_result(connection);
  if (result != NULL) {
    answered(connection, result);
  }
  return result != NULL;
}

void postgres_receive_more(struct connection *connection) {
  double end = clock_seconds() + CONNECTION_TURN;
  while (connection->link.state != POOL_CLOSING && receive_one(connection)) {
    if (clock_seconds() > end) {
      postgres_connection_go_on(connection);
      return;
    }
  }
  if (connection->link.state != POOL_CLOSING && connection->broken) {
    evd_error error;
    failure_of_connection(connection->pg, connection->where, &error);
    postgres_connection_lose(connection, &error);
  }
}
