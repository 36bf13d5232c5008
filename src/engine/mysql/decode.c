/* Decodes rows of the text protocol into records. */
#include "engine/mysql/decode.h"

#include <stdint.h>
#include <string.h>

#include "model/columns.h"
#include "model/error.h"
#include "model/execution.h"

/* Reads a decimal number; false when the text is none or too large. */
static bool read_integer(const char *text, size_t length, int64_t *integer) {
  enum { DIGITS_MAX = 19 }; /* a number with that many digits does not overflow 64 bits */
  bool negative = length > 0 && text[0] == '-';
  size_t i = negative ? 1 : 0;
  if (i == length || length - i > DIGITS_MAX) {
    return false;
  }
  uint64_t value = 0;
  for (; i < length; i++) {
    unsigned digit = (unsigned)(unsigned char)text[i] - '0';
    if (digit > 9) {
      return false;
    }
    value = value * 10 + digit;
  }
  if (value > INT64_MAX) {
    return false;
  }
  *integer = negative ? -(int64_t)value : (int64_t)value;
  return true;
}

/* Sets one column from its text, or NULL. EVD_EDATABASE when it cannot hold it. */
static evd_code decode_column(struct records *records, evd_execution *execution, evd_column column,
                              const char *text, size_t length) {
  if (text == NULL) { /* as it is in a new record */
    return column_load_null(execution, column) ? EVD_OK : EVD_EDATABASE;
  }
  if (column_is_enum(column)) {
    return column_set_text(execution, column, text) ? EVD_OK : EVD_EDATABASE;
  }
  if (column_is_text(column)) {
    const char *copy = records_text(records, text, length);
    if (copy == NULL) {
      return EVD_ENOMEM;
    }
    return column_set_text(execution, column, copy) ? EVD_OK : EVD_EDATABASE;
  }
  int64_t integer;
  return read_integer(text, length, &integer) && column_load_integer(execution, column, integer)
             ? EVD_OK
             : EVD_EDATABASE;
}

static evd_execution *out_of_memory(evd_error *error) {
  error_set_no_memory(error);
  return NULL;
}

evd_execution *mydb_decode_row(struct records *records, MYSQL_ROW row, const unsigned long *lengths,
                               evd_error *error) {
  evd_execution *execution = records_add(records);
  if (execution == NULL) {
    return out_of_memory(error);
  }
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    evd_code code = decode_column(records, execution, (evd_column)i, row[i], lengths[i]);
    if (code == EVD_ENOMEM) {
      return out_of_memory(error);
    }
    if (code != EVD_OK) {
      records_remove_last(records);
      execution_unfit((evd_column)i, row[evd_column_execution_id], row[i], error);
      return NULL;
    }
  }
  return execution;
}

static bool admits(evd_maybe wanted, bool is) {
  return wanted == EVD_ANY || (wanted == EVD_YES) == is;
}

/* Whether a column has this number. */
static bool is_integer(const char *text, int64_t wanted) {
  int64_t integer;
  return text != NULL && read_integer(text, strlen(text), &integer) && integer == wanted;
}

static bool admits_owner(const evd_filter *filter, const struct mydb_filtered *row) {
  bool is_executors =
      filter->executor_id == NULL ||
      (row->executor_id != NULL && strcmp(row->executor_id, filter->executor_id) == 0);
  return is_executors &&
         (filter->started_at == 0 || is_integer(row->started_at, filter->started_at));
}

bool mydb_decode_admits(const evd_filter *filter, const struct mydb_filtered *row) {
  if (row->status == NULL || row->is_sleeping_task == NULL || row->is_finished == NULL) {
    return false;
  }
  return (filter->status == 0 || strcmp(row->status, evd_status_name(filter->status)) == 0) &&
         admits(filter->is_sleeping_task, strcmp(row->is_sleeping_task, "0") != 0) &&
         admits(filter->is_finished, strcmp(row->is_finished, "0") != 0) &&
         admits_owner(filter, row);
}
