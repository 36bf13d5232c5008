/* Decodes binary results into the answers of requests. */
#include "engine/postgres/decode.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/columns.h"
#include "model/error.h"
#include "model/execution.h"
#include "model/records.h"

/* The most rows that are decoded in one go, and the bytes after which it ends. */
enum { ROWS_AT_A_TIME = 32, BYTES_AT_A_TIME = 128 * 1024 };

static int64_t read_int64(const char *bytes) {
  uint64_t big;
  memcpy(&big, bytes, sizeof big);
  return (int64_t)be64toh(big);
}

static int64_t read_int32(const char *bytes) {
  uint32_t big;
  memcpy(&big, bytes, sizeof big);
  return (int32_t)be32toh(big);
}

/* Values. */

/* A text that is kept as it is: copied into the records. */
static evd_code read_text(struct records *records, evd_execution *execution, evd_column column,
                          enum postgres_format format, const char *bytes, size_t length) {
  if (format == POSTGRES_JSONB) { /* after the format's version */
    if (length == 0) {
      return EVD_EDATABASE;
    }
    bytes++;
    length--;
  }
  const char *text = records_text(records, bytes, length);
  if (text == NULL) {
    return EVD_ENOMEM;
  }
  return column_set_text(execution, column, text) ? EVD_OK : EVD_EDATABASE;
}

/* A number, a truth or an enumeration. False when the column cannot be that. */
static bool read_small(evd_execution *execution, evd_column column, enum postgres_format format,
                       const char *bytes, int length) {
  switch (format) {
  case POSTGRES_INT4:
    return length == 4 && column_load_integer(execution, column, read_int32(bytes));
  case POSTGRES_INT8:
    return length == 8 && column_load_integer(execution, column, read_int64(bytes));
  case POSTGRES_BOOL: return length == 1 && column_set_integer(execution, column, bytes[0]);
  default: return column_set_text(execution, column, bytes); /* libpq ends it by zero */
  }
}

/* Whether a column's values are copied as they are. */
static bool is_text(const struct postgres_table *table, evd_column column) {
  return table->types[column]->format <= POSTGRES_JSONB && !column_is_enum(column);
}

static evd_code read_value(const struct postgres_table *table, struct records *records,
                           evd_execution *execution, evd_column column, const char *bytes,
                           int length) {
  enum postgres_format format = table->types[column]->format;
  if (is_text(table, column)) {
    return read_text(records, execution, column, format, bytes, (size_t)length);
  }
  return read_small(execution, column, format, bytes, length) ? EVD_OK : EVD_EDATABASE;
}

static const char *id_of(const PGresult *result, int row) {
  return PQgetvalue(result, row, evd_column_execution_id);
}

/* Says what cannot be in a column. Documents are not shown. */
static evd_code unfit(const struct postgres_table *table, const PGresult *result, int row,
                      evd_column column, evd_error *error) {
  const char *bytes = PQgetvalue(result, row, column);
  char number[24];
  const char *value = "";
  if (PQgetisnull(result, row, column)) {
    value = "NULL";
  } else if (column_is_enum(column)) {
    value = bytes;
  } else if (table->types[column]->format == POSTGRES_INT8 &&
             PQgetlength(result, row, column) == sizeof(int64_t)) {
    snprintf(number, sizeof number, "%lld", (long long)read_int64(bytes));
    value = number;
  }
  return execution_unfit(column, id_of(result, row), value, error);
}

/* One row, as a new last record. */
static evd_code read_row(const struct postgres_table *table, struct records *records,
                         const PGresult *result, int row, evd_error *error) {
  evd_execution *execution = records_add(records);
  if (execution == NULL) {
    return error_set_no_memory(error);
  }
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    const char *bytes = PQgetvalue(result, row, column);
    int length = PQgetlength(result, row, column);
    evd_code code;
    if (length == 0 && PQgetisnull(result, row, column)) { /* as in a new record */
      code = column_load_null(execution, (evd_column)column) ? EVD_OK : EVD_EDATABASE;
    } else {
      code = read_value(table, records, execution, (evd_column)column, bytes, length);
    }
    if (code == EVD_ENOMEM) {
      return error_set_no_memory(error);
    }
    if (code != EVD_OK) {
      records_remove_last(records);
      return unfit(table, result, row, (evd_column)column, error);
    }
  }
  return EVD_OK;
}

/* The bytes of text in a row, with their zeros. */
static size_t row_text_size(const struct postgres_table *table, const PGresult *result, int row) {
  size_t size = 0;
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (is_text(table, (evd_column)column)) {
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

/* Whether a filter admits the row by its owner. */
static bool is_of_owner(const evd_filter *filter, struct records *rows) {
  const evd_execution *row = records_rows(rows);
  bool is_executors =
      filter->executor_id == NULL ||
      (row->executor_id != NULL && strcmp(row->executor_id, filter->executor_id) == 0);
  return is_executors && (filter->started_at == 0 || row->started_at == filter->started_at);
}

/* Adds a row to a request's rows. */
static evd_code add_got_row(const struct postgres_table *table, struct request *request,
                            const PGresult *result, int row, evd_error *error) {
  if (request->rows == NULL) {
    request->rows = records_new(1, row_text_size(table, result, row));
  }
  return request->rows != NULL ? read_row(table, request->rows, result, row, error)
                               : error_set_no_memory(error);
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
    evd_code code = add_got_row(table, request, result, row, error);
    if (code != EVD_OK) {
      return code;
    }
    if (operation == EVD_OPERATION_GET && !is_of_owner(&request->filter, request->rows)) {
      records_release(request->rows);
      request->rows = NULL;
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

/* Begins the answer of a claim, with room for as much as the first row has in each, but for no more
 * than there is: that row may be an exception. */
static evd_code begin_claim(const struct postgres_table *table, struct request *request,
                            const PGresult *result, evd_error *error) {
  int rows = PQntuples(result);
  if (rows == 0) {
    return EVD_OK;
  }
  size_t bytes = (size_t)rows * row_text_size(table, result, 0);
  size_t most = PQresultMemorySize(result);
  request->rows = records_new((size_t)rows, bytes < most ? bytes : most);
  return request->rows != NULL ? EVD_OK : error_set_no_memory(error);
}

/* What a claim takes its rows by. NULL, where a foreign table lets it be, is last, as in the
 * database. */
static int64_t order_of(const PGresult *result, int row) {
  return PQgetisnull(result, row, EVD_COLUMN_COUNT)
             ? INT64_MAX
             : read_int64(PQgetvalue(result, row, EVD_COLUMN_COUNT));
}

/* The next row of a claim. */
static evd_code read_claimed_row(const struct postgres_table *table, struct request *request,
                                 struct decoding *decoding, evd_error *error) {
  const PGresult *result = decoding->result;
  int row = decoding->row;
  evd_error why;
  evd_code code = read_row(table, request->rows, result, row, &why);
  if (row > 0 && order_of(result, row - 1) > order_of(result, row)) {
    decoding->is_unsorted = true;
  }
  if (code == EVD_OK) {
    request->count++;
  } else if (code == EVD_EDATABASE) {
    left_out_add(decoding->left_out, id_of(result, row), &why);
  } else {
    *error = why;
    return code;
  }
  return EVD_OK;
}

/* Finds what each record is ordered by; rows that were left out are none. */
static void find_orders(const struct request *request, const PGresult *result, int64_t *orders) {
  const evd_execution *executions = records_rows(request->rows);
  size_t count = records_count(request->rows);
  size_t found = 0;
  for (int row = 0; found < count; row++) {
    if (strcmp(executions[found].execution_id, id_of(result, row)) == 0) {
      orders[found++] = order_of(result, row);
    }
  }
}

/* Brings the answer of a claim into its order. The database mostly returns it so, but need not. */
static evd_code sort_claim(const struct request *request, const PGresult *result,
                           evd_error *error) {
  int64_t *orders = calloc(records_count(request->rows) + 1, sizeof *orders);
  bool ok = orders != NULL;
  if (ok) {
    find_orders(request, result, orders);
    ok = records_sort(request->rows, orders);
  }
  free(orders);
  return ok ? EVD_OK : error_set_no_memory(error);
}

/* Whether a step claims rows and reads them. */
static bool reads_claimed(const struct step *step) {
  return operation_is_claim((evd_operation)step->key.operation) &&
         step->key.part != POSTGRES_PART_IDS;
}

/* A row that was claimed to be left out: it cannot be read. */
static void leave_out_row(struct decoding *decoding) {
  const char *id = PQgetvalue(decoding->result, decoding->row, 0);
  evd_error why;
  error_set(&why, EVD_EDATABASE, "", "the database cannot send execution %s", id);
  left_out_add(decoding->left_out, id, &why);
}

/* The next row of any result. */
static evd_code read_next_row(const struct postgres_table *table, const struct step *step,
                              struct decoding *decoding, evd_error *error) {
  const PGresult *result = decoding->result;
  int row = decoding->row;
  switch ((evd_operation)step->key.operation) {
  case EVD_OPERATION_GET:
  case EVD_OPERATION_GET_BY_PARENT:
  case EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID:
    return read_got_row(table, step, result, row, error);
  case EVD_OPERATION_GET_TREE: return add_got_row(table, step->requests[0], result, row, error);
  case EVD_OPERATION_UPDATE:
  case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN:
  case EVD_OPERATION_DELETE: read_touched_row(step, result, row); return EVD_OK;
  case EVD_OPERATION_CLOSE_FINISHED:
    step->requests[0]->count = read_int64(PQgetvalue(result, row, 0));
    return EVD_OK;
  default:
    if (!reads_claimed(step)) {
      leave_out_row(decoding);
      return EVD_OK;
    }
    return read_claimed_row(table, step->requests[0], decoding, error);
  }
}

/* The next rows of any result. */
static evd_code read_rows(const struct postgres_table *table, const struct step *step,
                          struct decoding *decoding, evd_error *error) {
  bool has_text = PQnfields(decoding->result) >= EVD_COLUMN_COUNT;
  size_t bytes = 0;
  for (int i = 0; i < ROWS_AT_A_TIME && bytes < BYTES_AT_A_TIME && !postgres_is_decoded(decoding);
       i++) {
    evd_code code = read_next_row(table, step, decoding, error);
    if (code != EVD_OK) {
      return code;
    }
    bytes += has_text ? row_text_size(table, decoding->result, decoding->row) : 0;
    decoding->row++;
  }
  return EVD_OK;
}

/* The columns that a step's result must have; one that has none returns nothing but a count. */
static int column_count(const struct step *step) {
  evd_operation operation = (evd_operation)step->key.operation;
  switch (operation) {
  case EVD_OPERATION_GET:
  case EVD_OPERATION_GET_BY_PARENT:
  case EVD_OPERATION_GET_TREE:
  case EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID: return EVD_COLUMN_COUNT;
  case EVD_OPERATION_UPDATE:
  case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN:
  case EVD_OPERATION_DELETE:
  case EVD_OPERATION_CLOSE_FINISHED: return 1;
  default: return reads_claimed(step) ? EVD_COLUMN_COUNT + 1 : operation_is_claim(operation);
  }
}

evd_code postgres_decode(const struct postgres_table *table, const struct step *step,
                         struct decoding *decoding, evd_error *error) {
  evd_operation operation = (evd_operation)step->key.operation;
  PGresult *result = decoding->result;
  int fields = PQnfields(result);
  if (fields != column_count(step)) {
    return error_set(error, EVD_EDATABASE, "", "the database answered with %d columns, not %d",
                     fields, column_count(step));
  }
  if (fields == 0) {
    if (operation != EVD_OPERATION_INSERT) {
      step->requests[0]->count = strtoll(PQcmdTuples(result), NULL, 10);
    }
    return EVD_OK;
  }

  evd_code code = EVD_OK;
  if (reads_claimed(step) && decoding->row == 0) {
    code = begin_claim(table, step->requests[0], result, error);
  }
  if (code == EVD_OK) {
    code = read_rows(table, step, decoding, error);
  }
  if (code == EVD_OK && decoding->is_unsorted && postgres_is_decoded(decoding)) {
    code = sort_claim(step->requests[0], result, error);
  }
  return code;
}

bool postgres_is_decoded(const struct decoding *decoding) {
  return decoding->row >= PQntuples(decoding->result);
}
