#include "engine/postgres/decode.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "model/columns.h"
#include "model/error.h"
#include "model/execution.h"
#include "model/records.h"

enum { ROWS_AT_A_TIME = 32 };

static evd_code out_of_memory(evd_error *error) {
  return error_set(error, EVD_ENOMEM, "", "memory ran out");
}

static int64_t read_int64(const char *bytes) {
  uint64_t big;
  memcpy(&big, bytes, sizeof(big));
  return (int64_t)be64toh(big);
}

static int64_t read_int32(const char *bytes) {
  uint32_t big;
  memcpy(&big, bytes, sizeof(big));
  return (int32_t)be32toh(big);
}

/* Values. */

/* A text that is kept as it is: copied into the records. */
static bool read_text(struct records *records, evd_execution *execution, evd_column column,
                      enum postgres_format format, const char *bytes, size_t length) {
  if (column_is_enum(column)) {
    return column_set_text(execution, column, bytes); /* libpq ends it by zero */
  }
  if (format == POSTGRES_JSONB) { /* after the format's version */
    if (length == 0) {
      return false;
    }
    bytes++;
    length--;
  }
  const char *text = records_text(records, bytes, length);
  return text != NULL && column_set_text(execution, column, text);
}

static bool read_value(struct records *records, evd_execution *execution, evd_column column,
                       enum postgres_format format, const char *bytes, int length) {
  switch (format) {
  case POSTGRES_TEXT:
  case POSTGRES_JSONB: return read_text(records, execution, column, format, bytes, (size_t)length);
  case POSTGRES_INT4:
    return length == 4 && column_set_integer(execution, column, read_int32(bytes));
  case POSTGRES_INT8:
    return length == 8 && column_set_integer(execution, column, read_int64(bytes));
  case POSTGRES_BOOL: return length == 1 && column_set_integer(execution, column, bytes[0]);
  }
  return false;
}

/* One row, as a new last record. */
static evd_code read_row(const struct postgres_table *table, struct records *records,
                         const PGresult *result, int row, evd_error *error) {
  evd_execution *execution = records_add(records);
  if (execution == NULL) {
    return out_of_memory(error);
  }
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    const char *bytes = PQgetvalue(result, row, column);
    int length = PQgetlength(result, row, column);
    if (length == 0 && PQgetisnull(result, row, column)) {
      continue; /* a new record's columns are NULL */
    }
    if (!read_value(records, execution, (evd_column)column, table->types[column]->format, bytes,
                    length)) {
      return error_set(error, EVD_EDATABASE, columns[column].name,
                       "the database has a value in column %s that it cannot have",
                       columns[column].name);
    }
  }
  return EVD_OK;
}

/* The bytes of text in a row, with their zeros. */
static size_t row_text_size(const struct postgres_table *table, const PGresult *result, int row) {
  size_t size = 0;
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (table->types[column]->format <= POSTGRES_JSONB && !column_is_enum((evd_column)column)) {
      size += (size_t)PQgetlength(result, row, column) + 1;
    }
  }
  return size;
}

/* Results that serve several requests: a row belongs to those with its id. */

/* The first of the step's requests, which are ordered by id, with this id; `count` if none. */
static size_t find_request(const struct step *step, const char *id) {
  size_t low = 0;
  size_t high = step->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (strcmp(step->requests[middle]->id, id) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < step->count && strcmp(step->requests[low]->id, id) == 0 ? low : step->count;
}

/* A row of a get, for each request with its id: of a get by parent, all rows; else one. */
static evd_code read_got_row(const struct postgres_table *table, const struct step *step,
                             const PGresult *result, int row, evd_error *error) {
  evd_operation operation = (evd_operation)step->key.operation;
  evd_column by = operation == EVD_OPERATION_GET             ? evd_column_execution_id
                  : operation == EVD_OPERATION_GET_BY_PARENT ? evd_column_parent_execution_id
                                                             : evd_column_sleeping_task_unique_id;
  const char *id = PQgetvalue(result, row, (int)by);
  for (size_t i = find_request(step, id); i < step->count && strcmp(step->requests[i]->id, id) == 0;
       i++) {
    struct request *request = step->requests[i];
    if (request->rows == NULL) {
      request->rows = records_new(1, row_text_size(table, result, row));
    }
    if (request->rows == NULL) {
      return out_of_memory(error);
    }
    evd_code code = read_row(table, request->rows, result, row, error);
    if (code != EVD_OK) {
      return code;
    }
  }
  return EVD_OK;
}

/* A row of an update or a deletion by id: the request has touched it. */
static void read_touched_row(const struct step *step, const PGresult *result, int row) {
  const char *id = PQgetvalue(result, row, 0);
  for (size_t i = find_request(step, id); i < step->count && strcmp(step->requests[i]->id, id) == 0;
       i++) {
    step->requests[i]->count = 1;
  }
}

/* Claims. */

/* Begins the answer of a claim. */
static evd_code begin_claim(const struct postgres_table *table, struct request *request,
                            const PGresult *result, evd_error *error) {
  int rows = PQntuples(result);
  if (rows == 0) {
    return EVD_OK;
  }
  size_t bytes = (size_t)rows * row_text_size(table, result, 0);
  request->rows = records_new((size_t)rows, bytes);
  request->count = rows;
  return request->rows != NULL ? EVD_OK : out_of_memory(error);
}

/* A claimed row, with its place in the order. */
struct place {
  int64_t order;
  size_t index;
};

static int compare_places(const void *left, const void *right) {
  const struct place *a = left;
  const struct place *b = right;
  if (a->order != b->order) {
    return a->order < b->order ? -1 : 1;
  }
  return a->index < b->index ? -1 : a->index > b->index;
}

static int64_t order_of(const PGresult *result, int row) {
  return read_int64(PQgetvalue(result, row, EVD_COLUMN_COUNT));
}

/* Brings the answer of a claim into its order. The database mostly returns it so, but need not. */
static evd_code end_claim(const struct request *request, const PGresult *result, evd_error *error) {
  int rows = PQntuples(result);
  int row = 1;
  while (row < rows && order_of(result, row - 1) <= order_of(result, row)) {
    row++;
  }
  if (row >= rows) {
    return EVD_OK;
  }
  struct place *places = malloc((size_t)rows * sizeof(*places));
  size_t *order = malloc((size_t)rows * sizeof(*order));
  if (places != NULL && order != NULL) {
    for (row = 0; row < rows; row++) {
      places[row] = (struct place){order_of(result, row), (size_t)row};
    }
    qsort(places, (size_t)rows, sizeof(*places), compare_places);
    for (row = 0; row < rows; row++) {
      order[row] = places[row].index;
    }
    records_reorder(request->rows, order);
  }
  bool ok = places != NULL && order != NULL;
  free(places);
  free(order);
  return ok ? EVD_OK : out_of_memory(error);
}

/* The next rows of any result. */
static evd_code read_rows(const struct postgres_table *table, const struct step *step,
                          const PGresult *result, int *row, evd_error *error) {
  int rows = PQntuples(result);
  int end = rows - *row < ROWS_AT_A_TIME ? rows : *row + ROWS_AT_A_TIME;
  evd_code code = EVD_OK;
  for (; *row < end && code == EVD_OK; (*row)++) {
    switch ((evd_operation)step->key.operation) {
    case EVD_OPERATION_GET:
    case EVD_OPERATION_GET_BY_PARENT:
    case EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID:
      code = read_got_row(table, step, result, *row, error);
      break;
    case EVD_OPERATION_UPDATE:
    case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN:
    case EVD_OPERATION_DELETE: read_touched_row(step, result, *row); break;
    case EVD_OPERATION_CLOSE_FINISHED:
      step->requests[0]->count = read_int64(PQgetvalue(result, *row, 0));
      break;
    default: code = read_row(table, step->requests[0]->rows, result, *row, error);
    }
  }
  return code;
}

static bool is_claim(evd_operation operation) {
  return operation == EVD_OPERATION_CLAIM_BY_START_AT ||
         operation == EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED ||
         operation == EVD_OPERATION_CLAIM_BY_CLOSE_STATUS ||
         operation == EVD_OPERATION_CLAIM_BY_CANCELLATION;
}

/* The columns that a step's result must have; one that has none returns nothing but a count. */
static int column_count(evd_operation operation) {
  switch (operation) {
  case EVD_OPERATION_GET:
  case EVD_OPERATION_GET_BY_PARENT:
  case EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID: return EVD_COLUMN_COUNT;
  case EVD_OPERATION_UPDATE:
  case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN:
  case EVD_OPERATION_DELETE:
  case EVD_OPERATION_CLOSE_FINISHED: return 1;
  default: return is_claim(operation) ? EVD_COLUMN_COUNT + 1 : 0;
  }
}

evd_code postgres_decode(const struct postgres_table *table, const struct step *step,
                         const PGresult *result, int *row, evd_error *error) {
  evd_operation operation = (evd_operation)step->key.operation;
  int fields = PQnfields(result);
  if (fields != column_count(operation)) {
    return error_set(error, EVD_EDATABASE, "", "the database answered with %d columns, not %d",
                     fields, column_count(operation));
  }
  if (fields == 0) {
    if (operation != EVD_OPERATION_INSERT) {
      step->requests[0]->count = strtoll(PQcmdTuples((PGresult *)result), NULL, 10);
    }
    return EVD_OK;
  }

  evd_code code = EVD_OK;
  if (is_claim(operation) && *row == 0) {
    code = begin_claim(table, step->requests[0], result, error);
  }
  if (code == EVD_OK) {
    code = read_rows(table, step, result, row, error);
  }
  if (code == EVD_OK && is_claim(operation) && *row == PQntuples(result)) {
    code = end_claim(step->requests[0], result, error);
  }
  return code;
}
