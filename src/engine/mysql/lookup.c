/* Scripts of the operations that look rows up by the ids of their requests. */
#include <stdlib.h>
#include <string.h>

#include "engine/mysql/decode.h"
#include "engine/mysql/script.h"
#include "model/error.h"

/* The order of two requests by id. */
static int compare_requests(const void *a, const void *b) {
  const struct request *const *first = a;
  const struct request *const *second = b;
  return strcmp((*first)->id, (*second)->id);
}

bool mydb_script_sort_requests(struct script *script) {
  size_t count = script->batch->count;
  script->sorted = calloc(2 * count, sizeof(struct request *));
  if (script->sorted == NULL) {
    return false;
  }
  script->grouped = script->sorted + count;
  memcpy(script->sorted, script->batch->requests, count * sizeof(struct request *));
  qsort(script->sorted, count, sizeof(struct request *), compare_requests);
  return true;
}

static bool is_of(const struct script *script, size_t place, const char *id) {
  return place < script->batch->count && strcmp(script->sorted[place]->id, id) == 0;
}

/* The first place among the sorted requests that is not before this id. */
static size_t search(const struct script *script, const char *id) {
  size_t low = 0;
  size_t high = script->batch->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (strcmp(script->sorted[middle]->id, id) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/* The requests with this id. Rows mostly come in the order of an index on the ids. */
static struct request **find_requests(struct script *script, const char *id, size_t *count) {
  size_t place = is_of(script, script->sought, id) ? script->sought : search(script, id);
  *count = 0;
  while (is_of(script, place + *count, id)) {
    (*count)++;
  }
  script->sought = place + *count;
  return script->sorted + place;
}

/* The text that a record of a row needs, at most: numbers need none, but to tell them apart costs
 * more than their few bytes. */
static size_t row_bytes(const unsigned long *lengths) {
  size_t bytes = EVD_COLUMN_COUNT;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    bytes += lengths[i];
  }
  return bytes;
}

/* The first of the requests gets a row of a get, the others share it. */
static evd_code give_row(struct request **requests, size_t count, MYSQL_ROW row,
                         const unsigned long *lengths, evd_error *error) {
  const struct mydb_filtered filtered = {
      .status = row[evd_column_status],
      .is_sleeping_task = row[evd_column_is_sleeping_task],
      .is_finished = row[evd_column_is_finished],
      .executor_id = row[evd_column_executor_id],
      .started_at = row[evd_column_started_at],
  };
  struct records *rows = NULL;
  for (size_t i = 0; i < count; i++) {
    struct request *request = requests[i];
    if (request->rows != NULL || !mydb_decode_admits(&request->filter, &filtered)) {
      continue;
    }
    if (rows == NULL) {
      rows = records_new(1, row_bytes(lengths));
      if (rows == NULL) {
        return error_set_no_memory(error);
      }
      request->rows = rows;
      if (mydb_decode_row(rows, row, lengths, error) == NULL) {
        return error->code;
      }
    } else {
      request->rows = records_retain(rows);
    }
  }
  return EVD_OK;
}

/* Requests for one parent's children share their rows; a tree is of one request. */
static evd_code give_child(struct request **requests, size_t count, MYSQL_ROW row,
                           const unsigned long *lengths, evd_error *error) {
  for (size_t i = 0; i < count; i++) {
    struct request *request = requests[i];
    if (request->rows != NULL) {
      continue;
    }
    request->rows =
        i > 0 ? records_retain(requests[0]->rows) : records_new(8, row_bytes(lengths) * 8);
    if (request->rows == NULL) {
      return error_set_no_memory(error);
    }
  }
  return mydb_decode_row(requests[0]->rows, row, lengths, error) != NULL ? EVD_OK : error->code;
}

/* Those that the table thinks equal to an id, and are not, are nobody's. */
evd_code mydb_script_get_row(struct script *script, MYSQL_ROW row, const unsigned long *lengths,
                             evd_error *error) {
  evd_operation operation = script->batch->operation;
  if (operation == EVD_OPERATION_GET_TREE) {
    return give_child(script->batch->requests, 1, row, lengths, error);
  }
  evd_column column = operation == EVD_OPERATION_GET ? evd_column_execution_id
                      : operation == EVD_OPERATION_GET_BY_PARENT
                          ? evd_column_parent_execution_id
                          : evd_column_sleeping_task_unique_id;
  size_t count;
  struct request **requests = find_requests(script, row[column], &count);
  if (count == 0) {
    return EVD_OK;
  }
  return operation == EVD_OPERATION_GET_BY_PARENT ? give_child(requests, count, row, lengths, error)
                                                  : give_row(requests, count, row, lengths, error);
}

void mydb_script_lock_row(struct script *script, MYSQL_ROW row) {
  const struct mydb_filtered filtered = {
      .status = row[MYDB_LOCKED_STATUS],
      .is_sleeping_task = row[MYDB_LOCKED_SLEEPING],
      .is_finished = row[MYDB_LOCKED_FINISHED],
      .executor_id = row[MYDB_LOCKED_EXECUTOR],
      .started_at = row[MYDB_LOCKED_STARTED_AT],
  };
  size_t count;
  struct request **requests = find_requests(script, row[MYDB_LOCKED_ID], &count);
  for (size_t i = 0; i < count; i++) {
    if (mydb_decode_admits(&requests[i]->filter, &filtered)) {
      requests[i]->count = 1;
      script->expected++;
    }
  }
}
