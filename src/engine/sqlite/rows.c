/* Binds records as parameters, and reads rows into records. */
#include "engine/sqlite/rows.h"

#include "model/columns.h"
#include "model/error.h"
#include "model/execution.h"

/* Room to begin with: for a row's ids, options and a small input, and for some rows. A claim mostly
 * finds fewer than it may take. */
enum { TEXT_EXPECTED = 512, ROWS_EXPECTED_MAX = 16 };

/* A statement keeps its bindings from one run to the next, so a parameter that was NULL needs no
 * binding to be NULL again. */
static int bind_null(struct statement *statement, int index) {
  uint64_t bit = UINT64_C(1) << (index - 1);
  if ((statement->bound & bit) == 0) {
    return SQLITE_OK;
  }
  statement->bound &= ~bit;
  return sqlite3_bind_null(statement->handle, index);
}

/* Binds a text that lives long enough. */
int sqlite_rows_bind_text(struct statement *statement, int index, const char *text) {
  statement->bound |= UINT64_C(1) << (index - 1);
  return sqlite3_bind_text(statement->handle, index, text, -1, SQLITE_STATIC);
}

/* Binds an integer. */
int sqlite_rows_bind_integer(struct statement *statement, int index, int64_t integer) {
  statement->bound |= UINT64_C(1) << (index - 1);
  return sqlite3_bind_int64(statement->handle, index, integer);
}

/* Binds one column of a record. */
static int bind_column(struct statement *statement, int index, const evd_execution *execution,
                       evd_column column) {
  struct value value = column_get(execution, column);
  switch (value.kind) {
  case VALUE_TEXT: return sqlite_rows_bind_text(statement, index, value.text);
  case VALUE_INTEGER: return sqlite_rows_bind_integer(statement, index, value.integer);
  case VALUE_NULL: break;
  }
  return bind_null(statement, index);
}

/* Binds all columns, in order. */
int sqlite_rows_bind_execution(struct statement *statement, const evd_execution *execution) {
  int result = SQLITE_OK;
  for (int column = 0; column < EVD_COLUMN_COUNT && result == SQLITE_OK; column++) {
    result = bind_column(statement, column + 1, execution, (evd_column)column);
  }
  return result;
}

/* Binds the columns that the statement sets, in order. */
int sqlite_rows_bind_changes(struct statement *statement, const evd_changes *changes, int *next) {
  int result = SQLITE_OK;
  *next = 1;
  for (uint64_t set = statement->key.set; set != 0 && result == SQLITE_OK; set &= set - 1) {
    evd_column column = (evd_column)__builtin_ctzll(set);
    result = bind_column(statement, (*next)++, &changes->values, column);
  }
  return result;
}

/* Reads a number or a truth; false when no execution can have it. */
static bool read_number(sqlite3_stmt *handle, int index, evd_column column, evd_execution *row) {
  switch (sqlite3_column_type(handle, index)) {
  case SQLITE_INTEGER: return column_load_integer(row, column, sqlite3_column_int64(handle, index));
  case SQLITE_FLOAT: return column_load_real(row, column, sqlite3_column_double(handle, index));
  default: return false;
  }
}

/* Reads one column of the present row. EVD_EDATABASE when no execution can have its value. */
static evd_code read_column(sqlite3_stmt *handle, int index, evd_column column,
                            struct records *records, evd_execution *row) {
  if (sqlite3_column_type(handle, index) == SQLITE_NULL) { /* as execution_clear() left it */
    return column_load_null(row, column) ? EVD_OK : EVD_EDATABASE;
  }
  bool is_enum = column_is_enum(column);
  if (!is_enum && !column_is_text(column)) {
    return read_number(handle, index, column, row) ? EVD_OK : EVD_EDATABASE;
  }

  const char *text = (const char *)sqlite3_column_text(handle, index);
  if (text != NULL && !is_enum) {
    text = records_text(records, text, (size_t)sqlite3_column_bytes(handle, index));
  }
  if (text == NULL) {
    return EVD_ENOMEM;
  }
  return column_set_text(row, column, text) ? EVD_OK : EVD_EDATABASE;
}

static evd_execution *out_of_memory(evd_error *error) {
  error_set_no_memory(error);
  return NULL;
}

const char *sqlite_rows_value_text(struct statement *statement, int index) {
  const char *text = (const char *)sqlite3_column_text(statement->handle, index);
  return text != NULL ? text : "NULL";
}

/* Says why a column of a row could not be read. The row is named by its id. */
static void set_read_error(struct statement *statement, int first, evd_column column, evd_code code,
                           evd_error *error) {
  if (code == EVD_ENOMEM) {
    out_of_memory(error);
    return;
  }
  execution_unfit(column, sqlite_rows_value_text(statement, first + evd_column_execution_id),
                  sqlite_rows_value_text(statement, first + (int)column), error);
}

/* Adds the present row to the records; see rows.h. */
evd_execution *sqlite_rows_add(struct statement *statement, int first, size_t expected,
                               struct records **records, evd_error *error) {
  if (*records == NULL) {
    expected = expected < ROWS_EXPECTED_MAX ? expected : ROWS_EXPECTED_MAX;
    *records = records_new(expected, expected * TEXT_EXPECTED);
  }
  evd_execution *row = *records != NULL ? records_add(*records) : NULL;
  if (row == NULL) {
    return out_of_memory(error);
  }

  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    evd_code code =
        read_column(statement->handle, first + column, (evd_column)column, *records, row);
    if (code != EVD_OK) {
      records_remove_last(*records);
      set_read_error(statement, first, (evd_column)column, code, error);
      return NULL;
    }
  }
  return row;
}
