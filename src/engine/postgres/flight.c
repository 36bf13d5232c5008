/* Divides a batch into statements, each for the requests of one signature. */
#include "engine/postgres/flight.h"

#include <stdlib.h>
#include <string.h>

#include "async/clock.h"
#include "model/columns.h"
#include "model/execution.h"
#include "model/records.h"
#include "sql/postgres.h"

/* The most rows or requests in one statement, and the bytes after which it ends: what is encoded
 * without a pause. */
enum { STEP_MAX = 256, STEP_BYTES = 1024 * 1024 };

/* A request with what it is ordered by. */
struct entry {
  struct statement_key key;
  struct request *request;
};

static int compare_entries(const void *left, const void *right) {
  const struct entry *a = left;
  const struct entry *b = right;
  int order = memcmp(&a->key, &b->key, sizeof a->key);
  if (order != 0) {
    return order;
  }
  return a->request->id != NULL && b->request->id != NULL ? strcmp(a->request->id, b->request->id)
                                                          : 0;
}

/* Whether requests of this operation with the same key share a statement. */
static bool is_set_based(evd_operation operation) {
  switch (operation) {
  case EVD_OPERATION_GET:
  case EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID:
  case EVD_OPERATION_GET_BY_PARENT:
  case EVD_OPERATION_UPDATE:
  case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN:
  case EVD_OPERATION_DELETE: return true;
  default: return false;
  }
}

static struct step *add_step(struct flight *flight) {
  struct step *steps = realloc(flight->steps, (flight->step_count + 1) * sizeof *steps);
  if (steps == NULL) {
    return NULL;
  }
  flight->steps = steps;
  struct step *step = &steps[flight->step_count++];
  memset(step, 0, sizeof *step);
  return step;
}

/* All rows of all requests, each with the request's id. */
static bool gather_rows(struct flight *flight) {
  size_t count = 0;
  for (size_t i = 0; i < flight->batch->count; i++) {
    count += flight->requests[i]->execution_count;
  }
  flight->rows = calloc(count > 0 ? count : 1, sizeof *flight->rows);
  if (flight->rows == NULL) {
    return false;
  }
  flight->row_count = count;
  struct flight_row *row = flight->rows;
  for (size_t i = 0; i < flight->batch->count; i++) {
    const struct request *request = flight->requests[i];
    for (size_t j = 0; j < request->execution_count; j++) {
      *row++ = (struct flight_row){&request->executions[j], request->id};
    }
  }
  return true;
}

/* The columns that are not NULL in all of the rows. */
static uint64_t present_columns(const struct flight_row *rows, size_t count) {
  uint64_t present = 0;
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    for (size_t i = 0; i < count && (present & COLUMN_BIT(column)) == 0; i++) {
      if (column_get(rows[i].execution, (evd_column)column).kind != VALUE_NULL) {
        present |= COLUMN_BIT(column);
      }
    }
  }
  return present;
}

/* How many of the rows go into one statement. */
static size_t rows_of_step(const struct flight_row *rows, size_t count) {
  size_t bytes = 0;
  size_t taken = 0;
  while (taken < count && taken < STEP_MAX && bytes < STEP_BYTES) {
    bytes += execution_text_size(rows[taken].execution);
    taken++;
  }
  return taken;
}

/* Plans the next step of an insertion. */
static bool plan_rows(struct flight *flight) {
  struct step *step = add_step(flight);
  if (step == NULL) {
    return false;
  }
  step->requests = flight->requests;
  step->rows = flight->rows + flight->rows_planned;
  step->row_count = rows_of_step(step->rows, flight->row_count - flight->rows_planned);
  step->key = postgres_insert_key(present_columns(step->rows, step->row_count));
  flight->rows_planned += step->row_count;
  return true;
}

/* An insertion is as many statements as its rows need. */
static bool plan_insert(struct flight *flight) {
  for (size_t i = 0; i < flight->batch->count; i++) {
    flight->requests[i]->count = (int64_t)flight->requests[i]->execution_count;
  }
  return gather_rows(flight);
}

/* The bytes of text that a request sets and inserts. */
static size_t request_size(const struct request *request) {
  size_t size = 0;
  uint64_t set = request->changes != NULL ? request->changes->set : 0;
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    struct value value = {.kind = VALUE_NULL};
    if ((set & COLUMN_BIT(column)) != 0) {
      value = column_get(&request->changes->values, (evd_column)column);
    }
    size += value.kind == VALUE_TEXT ? strlen(value.text) : 0;
  }
  for (size_t i = 0; i < request->execution_count; i++) {
    size += execution_text_size(&request->executions[i]);
  }
  return size;
}

/* How many of the requests share a statement: with the same key, up to a number of bytes. */
static size_t requests_of_step(const struct entry *entries, size_t count) {
  size_t bytes = request_size(entries[0].request);
  size_t taken = 1;
  while (taken < count && taken < STEP_MAX && bytes < STEP_BYTES &&
         memcmp(&entries[taken].key, &entries[0].key, sizeof entries[0].key) == 0) {
    bytes += request_size(entries[taken].request);
    taken++;
  }
  return taken;
}

/* Statements for runs of requests with the same key. */
static bool plan_requests(struct flight *flight, const struct entry *entries) {
  size_t rows = 0;
  bool set_based = is_set_based(flight->batch->operation);
  for (size_t i = 0; i < flight->batch->count;) {
    struct step *step = add_step(flight);
    if (step == NULL) {
      return false;
    }
    step->key = entries[i].key;
    step->requests = flight->requests + i;
    step->count = set_based ? requests_of_step(entries + i, flight->batch->count - i) : 1;
    step->rows = flight->rows != NULL ? flight->rows + rows : NULL;
    for (size_t end = i + step->count; i < end; i++) {
      step->row_count += flight->requests[i]->execution_count;
    }
    rows += step->row_count;
  }
  return true;
}

static bool plan(struct flight *flight, const struct postgres_table *table) {
  struct batch *batch = flight->batch;
  if (batch->operation == EVD_OPERATION_INSERT) {
    memcpy(flight->requests, batch->requests, batch->count * sizeof(struct request *));
    return plan_insert(flight);
  }

  struct entry *entries = malloc(batch->count * sizeof *entries);
  if (entries == NULL) {
    return false;
  }
  for (size_t i = 0; i < batch->count; i++) {
    entries[i] =
        (struct entry){postgres_statement_key(table, batch->requests[i]), batch->requests[i]};
  }
  if (is_set_based(batch->operation)) {
    qsort(entries, batch->count, sizeof *entries, compare_entries);
  }
  for (size_t i = 0; i < batch->count; i++) {
    flight->requests[i] = entries[i].request;
  }
  bool has_rows = batch->operation == EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN;
  bool ok = (!has_rows || gather_rows(flight)) && plan_requests(flight, entries);
  free(entries);
  return ok;
}

struct flight *postgres_flight_new(const struct postgres_table *table, struct batch *batch) {
  struct flight *flight = calloc(1, sizeof *flight);
  if (flight == NULL) {
    return NULL;
  }
  flight->batch = batch;
  flight->requests = malloc(batch->count * sizeof(struct request *));
  if (flight->requests == NULL || !plan(flight, table)) {
    postgres_flight_free(flight);
    return NULL;
  }
  return flight;
}

bool postgres_flight_has_step(const struct flight *flight) {
  bool is_insertion = flight->batch->operation == EVD_OPERATION_INSERT;
  return flight->sent < flight->step_count ||
         (is_insertion && flight->rows_planned < flight->row_count);
}

const struct step *postgres_flight_next_step(struct flight *flight) {
  if (flight->sent == flight->step_count && !plan_rows(flight)) {
    return NULL;
  }
  struct step *step = &flight->steps[flight->sent++];
  step->sent_at = clock_seconds();
  return step;
}

void postgres_flight_give_up(struct flight *flight) {
  flight->rows_planned = flight->row_count;
  flight->step_count = flight->sent;
}

void postgres_flight_free(struct flight *flight) {
  if (flight != NULL) {
    free(flight->requests);
    free(flight->rows);
    free(flight->steps);
    free(flight);
  }
}
