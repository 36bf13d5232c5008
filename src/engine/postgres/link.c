/* What sending, receiving and a connection's life have in common. */
#include <stdlib.h>

#include <utlist.h>

#include "async/clock.h"
#include "async/quiet.h"
#include "async/worker.h"
#include "engine/postgres/postgres.h"
#include "model/error.h"

/* How often the watch looks, in seconds. */
#define WATCH_INTERVAL 1.0

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

void postgres_link_discard(struct connection *connection) {
  enum { LARGE = 512 * 1024 };
  PGresult *result = connection->decoding.result;
  connection->decoding.result = NULL;
  struct discarded *discarded =
      PQresultMemorySize(result) > LARGE ? malloc(sizeof *discarded) : NULL;
  if (discarded == NULL) {
    PQclear(result);
    return;
  }
  *discarded = (struct discarded){
      .job = {.run = clear_discarded, .done = free_discarded, .abandoned = abandon_discarded},
      .result = result};
  worker_submit(connection->source->worker, &discarded->job);
}

void postgres_link_stop(struct connection *connection) {
  postgres_wire_stop(&connection->wire);
  quiet_timer_stop(connection->postgres->loop, &connection->watch);
}

/* What a flight that ends with the connection leaves behind. */
static evd_outcome outcome_of(const struct flight *flight) {
  bool is_write = !operation_is_read(flight->batch->operation);
  return flight->synced && is_write ? EVD_OUTCOME_UNKNOWN : EVD_OUTCOME_NOT_APPLIED;
}

void postgres_link_answer_refused(struct connection *connection) {
  struct batch *batch;
  while ((batch = connection->refused) != NULL) {
    LL_DELETE(connection->refused, batch);
    error_set_no_memory(&batch->error);
    batch->done(batch);
  }
}

/* Answers all batches under way with the error. One that has failed before keeps its own. */
static void fail_flights(struct connection *connection, const evd_error *error) {
  postgres_link_discard(connection);
  connection->sending = NULL;
  postgres_wire_forget(&connection->wire);
  struct flight *flight;
  while ((flight = connection->flights) != NULL) {
    DL_DELETE(connection->flights, flight);
    struct batch *batch = flight->batch;
    if (batch->error.code == EVD_OK) {
      batch->error = *error;
      batch->error.outcome = outcome_of(flight);
    }
    batch_clear_answers(batch);
    postgres_flight_free(flight);
    batch->done(batch);
  }
  postgres_link_answer_refused(connection);
}

void postgres_link_fail(struct pool_connection *pooled, const evd_error *error) {
  struct connection *connection = (struct connection *)pooled;
  postgres_link_stop(connection);
  fail_flights(connection, error);
}

void postgres_link_lose(struct connection *connection, const evd_error *error) {
  evd_error copy = *error;
  postgres_link_stop(connection);
  pool_connection_lost(&connection->pooled, &copy);
  fail_flights(connection, &copy);
}

void postgres_link_watch(struct connection *connection) {
  connection->progress_at = clock_seconds();
  quiet_timer_start(connection->postgres->loop, &connection->watch, WATCH_INTERVAL);
}
