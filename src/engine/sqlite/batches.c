/* Runs a batch as one transaction, and retries what is busy. */
#include "engine/sqlite/batches.h"

#include "async/clock.h"
#include "engine/sqlite/operations.h"
#include "model/error.h"

static evd_code set_closed(evd_error *error) {
  return error_set(error, EVD_ECLOSED, "", "the storage was closed before this was done");
}

/* Runs the requests, until one fails or the storage is aborted. */
static evd_code run_requests(struct connection *connection, struct batch *batch, evd_error *error) {
  for (size_t i = 0; i < batch->count; i++) {
    if (atomic_load(connection->aborting)) {
      return error_set(error, EVD_ECLOSED, "", "the storage was closed");
    }
    evd_code code = sqlite_operation_run(connection, batch->requests[i], error);
    if (code != EVD_OK) {
      return code;
    }
  }
  return EVD_OK;
}

/* Notes the statements that the batch ran, each once, with the time of all its runs. */
static void record_statements(struct connection *connection, struct batch *batch) {
  struct statement *recent = connection->statements.recent;
  struct statement *statement = recent;
  while (statement != NULL) { /* from the list's last, so about in the order in which they ran */
    statement = statement->prev;
    if (statement->spent_ms > 0) {
      batch_record_query(batch, sqlite3_sql(statement->handle), statement->spent_ms);
      statement->spent_ms = 0;
    }
    if (statement == recent) {
      break;
    }
  }
}

/* Commits, and notes how long that took: it is where the disk works. */
static evd_code commit(struct connection *connection, struct batch *batch, evd_error *error) {
  if (!connection->timing) {
    return sqlite_connection_commit(connection, error);
  }
  double start = clock_seconds();
  evd_code code = sqlite_connection_commit(connection, error);
  batch_record_query(batch, "commit", (clock_seconds() - start) * 1e3);
  return code;
}

/* Runs the requests in a transaction. A single read is one of its own. */
static evd_code run_transaction(struct connection *connection, struct batch *batch,
                                evd_error *error) {
  bool reads = operation_is_read(batch->operation);
  bool alone = reads && batch->count == 1;

  evd_code code = sqlite_connection_check_file(connection, error);
  if (code == EVD_OK && !alone) {
    code = sqlite_connection_begin(connection, !reads, error);
  }
  if (code == EVD_OK) {
    code = run_requests(connection, batch, error);
    if (connection->timing) {
      record_statements(connection, batch);
    }
  }
  if (code == EVD_OK && !alone) {
    code = commit(connection, batch, error);
  }
  if (code != EVD_OK) {
    sqlite_connection_rollback(connection);
  }
  /* An abort ends waits and statements with other errors. */
  if (code != EVD_OK && error->outcome == EVD_OUTCOME_NOT_APPLIED &&
      atomic_load(connection->aborting)) {
    code = set_closed(error);
  }
  return code;
}

/* Runs a batch; see batches.h. */
void sqlite_batch_run(struct connection *connection, struct batch *batch) {
  batch->error = (evd_error){0};
  left_out_free(&batch->left_out);
  batch_clear_answers(batch);
  connection->left_out = &batch->left_out;
  connection->timing = batch->record_queries;

  evd_error error = {0};
  if (run_transaction(connection, batch, &error) != EVD_OK) {
    batch_clear_answers(batch);
    batch->error = error;
  }
}
