#include "engine/mysql/script.h"

#include <stdlib.h>
#include <string.h>

#include "engine/mysql/decode.h"
#include "model/error.h"
#include "model/execution.h"

enum {
  ENOUGH_BYTES = 1024 * 1024,
  GROUP_MAX = 128, /* rows of an update: a row's value is searched among those of all */
  STATEMENTS_FIRST = 16,
  COMMIT_ROOM = 16,  /* bytes, for ";commit" */
  ROW_OVERHEAD = 512 /* bytes of an inserted row beside its strings, about */
};

static evd_code out_of_memory(evd_error *error) {
  return error_set(error, EVD_ENOMEM, "", "memory ran out");
}

size_t script_enough(const struct script *script) {
  return script->max_packet / 2 < ENOUGH_BYTES ? script->max_packet / 2 : ENOUGH_BYTES;
}

static bool is_enough(const struct script *script) {
  return script->sql.failed || script->sql.length >= script_enough(script);
}

/* Whether there is no room for so much SQL in the packet. */
static bool is_too_long(const struct script *script) {
  return script->sql.length + COMMIT_ROOM > script->max_packet;
}

/* Takes back what was appended after the first `length` bytes. */
static void truncate_sql(struct script *script, size_t length) {
  if (script->sql.text != NULL) {
    script->sql.length = length;
    script->sql.text[length] = '\0';
  }
}

/* The cursor over the executions of a batch. */

/* Moves on to a request that has executions left, and takes part: of those that update and insert
 * only those that matched do. False at the end. */
static bool settle_cursor(const struct script *script, struct script_cursor *cursor) {
  while (cursor->request < script->batch->count) {
    const struct request *request = script->batch->requests[cursor->request];
    bool takes_part = request->operation == EVD_OPERATION_INSERT || request->count > 0;
    if (takes_part && cursor->execution < request->execution_count) {
      return true;
    }
    cursor->request++;
    cursor->execution = 0;
  }
  return false;
}

static bool has_executions(struct script *script) {
  return settle_cursor(script, &script->cursor);
}

/* Writes as many rows as make the packet long enough, at least one. */
static void write_insert(struct script *script, struct mysql_writer *writer) {
  mysql_sql_insert(writer, script->table);
  bool first = true;
  while (has_executions(script) && (first || !is_enough(script))) {
    const struct request *request = script->batch->requests[script->cursor.request];
    size_t before = script->sql.length;
    mysql_sql_insert_row(writer, &request->executions[script->cursor.execution], first);
    if (!first && is_too_long(script)) {
      truncate_sql(script, before);
      return;
    }
    script->cursor.execution++;
    first = false;
  }
}

/* Writes an insert for the log. */
static void outline_insert(const struct script *script, struct mysql_writer *writer) {
  struct script_cursor cursor = {0, 0};
  mysql_sql_insert(writer, script->table);
  if (settle_cursor(script, &cursor)) {
    const struct request *request = script->batch->requests[cursor.request];
    mysql_sql_insert_row(writer, &request->executions[cursor.execution], true);
  }
}

/* Packets. */

/* Writes the statement of one request that no other shares. */
static void write_counted(const struct script *script, struct mysql_writer *writer, size_t index) {
  struct request *request = script->batch->requests[index];
  switch (request->operation) {
  case EVD_OPERATION_UPDATE: mysql_sql_update(writer, script->table, &request, 1); break;
  case EVD_OPERATION_UPDATE_BY_PARENT:
    mysql_sql_update_by_parent(writer, script->table, request);
    break;
  default: mysql_sql_delete(writer, script->table, request); break;
  }
}

/* Writes a statement. */
static void write_statement(struct script *script, struct mysql_writer *writer,
                            const struct script_statement *statement) {
  const struct batch *batch = script->batch;
  switch (statement->kind) {
  case SCRIPT_BEGIN: buffer_append(writer->buffer, "begin"); break;
  case SCRIPT_COMMIT: buffer_append(writer->buffer, "commit"); break;
  case SCRIPT_INSERT:
    if (writer->outline) {
      outline_insert(script, writer);
    } else {
      write_insert(script, writer);
    }
    break;
  case SCRIPT_GET: mysql_sql_get(writer, script->table, batch->requests, batch->count); break;
  case SCRIPT_LOCK: mysql_sql_lock(writer, script->table, script->sorted, batch->count); break;
  case SCRIPT_UPDATE:
    mysql_sql_update(writer, script->table, script->grouped + statement->first, statement->count);
    break;
  case SCRIPT_COUNTED: write_counted(script, writer, statement->first); break;
  case SCRIPT_SELECT: mysql_sql_select(writer, script->table, batch->requests[0]); break;
  case SCRIPT_UPDATE_SELECTED:
    mysql_sql_update_selected(writer, script->table, batch->requests[0],
                              script->selected_ids + statement->first, statement->count);
    break;
  case SCRIPT_DECREMENT:
    mysql_sql_decrement(writer, script->table, script->decrements + statement->first,
                        statement->count, batch->requests[0]->changes->values.updated_at);
    break;
  }
}

/* Makes room for one more statement; false when memory is out. */
static bool reserve_statement(struct script *script) {
  if (script->statement_count < script->statement_size) {
    return true;
  }
  size_t size = script->statement_size > 0 ? script->statement_size * 2 : STATEMENTS_FIRST;
  struct script_statement *statements =
      realloc(script->statements, size * sizeof(*script->statements));
  if (statements == NULL) {
    script->sql.failed = true;
    return false;
  }
  script->statements = statements;
  script->statement_size = size;
  return true;
}

bool script_add(struct script *script, enum script_kind kind, size_t first, size_t count) {
  struct script_statement statement = {kind, first, count};
  struct script_cursor cursor = script->cursor;
  size_t before = script->sql.length;
  struct mysql_writer writer = {&script->sql, script->backslashes, false};
  if (!reserve_statement(script)) {
    return false;
  }
  if (script->statement_count > 0) {
    buffer_append(&script->sql, ";");
  }
  write_statement(script, &writer, &statement);
  if (script->statement_count > 0 && is_too_long(script) && kind != SCRIPT_COMMIT) {
    truncate_sql(script, before);
    script->cursor = cursor;
    return false;
  }

  if (script->batch->record_queries) {
    struct mysql_writer outline = {&script->outline, false, true};
    buffer_append(&script->outline, script->statement_count > 0 ? "; " : "");
    write_statement(script, &outline, &statement);
  }
  script->statements[script->statement_count++] = statement;
  script->in_transaction = script->in_transaction || kind == SCRIPT_BEGIN;
  script->commits = script->commits || kind == SCRIPT_COMMIT;
  return !script->sql.failed;
}

/* The packets of each kind of operation. A function adds what comes next; a packet without
 * statements means that the batch is done. */

/* Whether the executions fit in one statement, roughly. */
static bool is_small_insert(const struct script *script) {
  size_t bytes = 0;
  for (size_t i = 0; i < script->batch->count; i++) {
    const struct request *request = script->batch->requests[i];
    for (size_t j = 0; j < request->execution_count; j++) {
      bytes += execution_text_size(&request->executions[j]) + ROW_OVERHEAD;
      if (bytes > script_enough(script) / 2) {
        return request->execution_count == 1 && script->batch->count == 1;
      }
    }
  }
  return true;
}

/* Adds inserts of what the cursor is before; true when that is all. */
static bool add_inserts(struct script *script) {
  while (has_executions(script)) {
    if (is_enough(script) || !script_add(script, SCRIPT_INSERT, 0, 0)) {
      return false;
    }
  }
  return true;
}

static void next_of_insert(struct script *script) {
  if (script->packets == 0 && is_small_insert(script)) {
    if (has_executions(script)) {
      script_add(script, SCRIPT_INSERT, 0, 0);
    }
    script->commits = true;
    return;
  }
  if (script->packets == 0) {
    script_add(script, SCRIPT_BEGIN, 0, 0);
  }
  if (add_inserts(script)) {
    script_add(script, SCRIPT_COMMIT, 0, 0);
  }
}

static void next_of_get(struct script *script) {
  if (script->packets == 0) {
    script_add(script, SCRIPT_GET, 0, 0);
  }
}

/* Brings the requests that are to be updated (all, or those that matched) together with those that
 * are alike. */
static void group_requests(struct script *script, bool matched) {
  size_t count = script->batch->count;
  size_t rest = 0;
  for (size_t i = 0; i < count; i++) {
    if (!matched || script->sorted[i]->count > 0) {
      script->grouped[rest++] = script->sorted[i];
    }
  }
  script->grouped_count = rest;
  for (size_t first = 0, next; first < rest; first = next) {
    next = first + 1;
    for (size_t i = next; i < rest; i++) {
      if (mysql_sql_same_update(script->grouped[first], script->grouped[i])) {
        struct request *swapped = script->grouped[next];
        script->grouped[next++] = script->grouped[i];
        script->grouped[i] = swapped;
      }
    }
  }
}

/* How many of the grouped requests go into one statement, from the next on. */
static size_t group_size(const struct script *script) {
  struct request **first = script->grouped + script->grouped_next;
  size_t bytes = changes_text_size(first[0]->changes);
  size_t count = 1;
  while (script->grouped_next + count < script->grouped_count && count < GROUP_MAX &&
         mysql_sql_same_update(first[0], first[count])) {
    bytes += changes_text_size(first[count]->changes);
    if (bytes > script_enough(script) / 2) {
      break;
    }
    count++;
  }
  return count;
}

/* Adds the updates of the grouped requests; true when that is all. */
static bool add_updates(struct script *script) {
  while (script->grouped_next < script->grouped_count) {
    size_t count = group_size(script);
    if (is_enough(script) || !script_add(script, SCRIPT_UPDATE, script->grouped_next, count)) {
      return false;
    }
    script->grouped_next += count;
  }
  return true;
}

static void next_of_update(struct script *script) {
  if (script->batch->count == 1) {
    script_add(script, SCRIPT_COUNTED, 0, 1);
    script->commits = true;
    return;
  }
  if (script->packets == 0) {
    group_requests(script, false);
    script_add(script, SCRIPT_BEGIN, 0, 0);
    script_add(script, SCRIPT_LOCK, 0, 0);
  }
  if (add_updates(script)) {
    script_add(script, SCRIPT_COMMIT, 0, 0);
  }
}

static void next_of_update_and_insert(struct script *script) {
  if (script->packets == 0) {
    script_add(script, SCRIPT_BEGIN, 0, 0);
    script_add(script, SCRIPT_LOCK, 0, 0);
    return;
  }
  if (script->packets == 1) {
    group_requests(script, true);
  }
  if (add_updates(script) && add_inserts(script)) {
    script_add(script, SCRIPT_COMMIT, 0, 0);
  }
}

/* Operations whose requests have a statement each. */
static void next_of_each(struct script *script) {
  size_t count = script->batch->count;
  if (count == 1) {
    script_add(script, SCRIPT_COUNTED, 0, 1);
    script->commits = true;
    return;
  }
  if (script->packets == 0) {
    script_add(script, SCRIPT_BEGIN, 0, 0);
  }
  while (script->cursor.request < count) {
    if (is_enough(script) || !script_add(script, SCRIPT_COUNTED, script->cursor.request, 1)) {
      return;
    }
    script->cursor.request++;
  }
  script_add(script, SCRIPT_COMMIT, 0, 0);
}

/* Adds the statements of the next packet. */
static void add_next(struct script *script) {
  switch (script->batch->operation) {
  case EVD_OPERATION_INSERT: next_of_insert(script); break;
  case EVD_OPERATION_GET:
  case EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID:
  case EVD_OPERATION_GET_BY_PARENT: next_of_get(script); break;
  case EVD_OPERATION_UPDATE: next_of_update(script); break;
  case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN: next_of_update_and_insert(script); break;
  case EVD_OPERATION_UPDATE_BY_PARENT: next_of_each(script); break;
  case EVD_OPERATION_DELETE:
  case EVD_OPERATION_DELETE_ALL:
    if (script->test_mode) {
      next_of_each(script);
    }
    break;
  default: script_next_of_selection(script); break;
  }
}

/* The order of two requests by id. */
static int compare_requests(const void *a, const void *b) {
  const struct request *const *first = a;
  const struct request *const *second = b;
  return strcmp((*first)->id, (*second)->id);
}

/* Sorts the requests of an operation by id. */
static bool sort_requests(struct script *script) {
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

/* Whether an operation's requests have ids that rows are looked up by. */
static bool is_by_id(evd_operation operation) {
  switch (operation) {
  case EVD_OPERATION_GET:
  case EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID:
  case EVD_OPERATION_GET_BY_PARENT:
  case EVD_OPERATION_UPDATE:
  case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN: return true;
  default: return false;
  }
}

struct request **script_find(const struct script *script, const char *id, size_t *count) {
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
  *count = 0;
  while (low + *count < script->batch->count && strcmp(script->sorted[low + *count]->id, id) == 0) {
    (*count)++;
  }
  return script->sorted + low;
}

/* Answers. */

/* The text that a record of a row needs, at most. */
static size_t row_bytes(const unsigned long *lengths) {
  size_t bytes = 0;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    if (column_is_text((evd_column)i)) {
      bytes += lengths[i] + 1;
    }
  }
  return bytes;
}

/* The first of the requests gets a row of a get, the others share it. */
static evd_code give_row(struct request **requests, size_t count, MYSQL_ROW row,
                         const unsigned long *lengths, evd_error *error) {
  struct records *rows = NULL;
  for (size_t i = 0; i < count; i++) {
    struct request *request = requests[i];
    if (request->rows != NULL ||
        !mysql_decode_admits(&request->filter, row[evd_column_status],
                             row[evd_column_is_sleeping_task], row[evd_column_is_finished])) {
      continue;
    }
    if (rows == NULL) {
      rows = records_new(1, row_bytes(lengths));
      if (rows == NULL) {
        return out_of_memory(error);
      }
      request->rows = rows;
      if (mysql_decode_row(rows, row, lengths, error) == NULL) {
        return error->code;
      }
    } else {
      request->rows = records_retain(rows);
    }
  }
  return EVD_OK;
}

/* Requests for one parent's children share their rows. */
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
      return out_of_memory(error);
    }
  }
  return mysql_decode_row(requests[0]->rows, row, lengths, error) != NULL ? EVD_OK : error->code;
}

/* A row of a get. Those that the table thinks equal to an id, and are not, are nobody's. */
static evd_code get_row(struct script *script, MYSQL_ROW row, const unsigned long *lengths,
                        evd_error *error) {
  evd_operation operation = script->batch->operation;
  evd_column column = operation == EVD_OPERATION_GET ? evd_column_execution_id
                      : operation == EVD_OPERATION_GET_BY_PARENT
                          ? evd_column_parent_execution_id
                          : evd_column_sleeping_task_unique_id;
  size_t count;
  struct request **requests = script_find(script, row[column], &count);
  if (count == 0) {
    return EVD_OK;
  }
  return operation == EVD_OPERATION_GET_BY_PARENT ? give_child(requests, count, row, lengths, error)
                                                  : give_row(requests, count, row, lengths, error);
}

/* A row that was locked: do the filters of the requests for it admit it? */
static void lock_row(struct script *script, MYSQL_ROW row) {
  size_t count;
  struct request **requests = script_find(script, row[MYSQL_LOCKED_ID], &count);
  for (size_t i = 0; i < count; i++) {
    if (mysql_decode_admits(&requests[i]->filter, row[MYSQL_LOCKED_STATUS],
                            row[MYSQL_LOCKED_SLEEPING], row[MYSQL_LOCKED_FINISHED])) {
      requests[i]->count = 1;
      script->expected++;
    }
  }
}

evd_code script_row(struct script *script, MYSQL_ROW row, const unsigned long *lengths,
                    evd_error *error) {
  switch (script->statements[script->answered].kind) {
  case SCRIPT_GET: return get_row(script, row, lengths, error);
  case SCRIPT_LOCK: lock_row(script, row); return EVD_OK;
  case SCRIPT_SELECT: return script_select_row(script, row, lengths, error);
  default: return error_set(error, EVD_EDATABASE, "", "the server sent rows where there are none");
  }
}

evd_code script_answered(struct script *script, uint64_t affected, evd_error *error) {
  if (script->answered == script->statement_count) {
    return error_set(error, EVD_EDATABASE, "", "the server sent more answers than statements");
  }
  const struct script_statement *statement = &script->statements[script->answered++];
  switch (statement->kind) {
  case SCRIPT_COUNTED: script->batch->requests[statement->first]->count = (int64_t)affected; break;
  case SCRIPT_UPDATE:
  case SCRIPT_UPDATE_SELECTED: script->found += (int64_t)affected; break;
  case SCRIPT_COMMIT: script->in_transaction = false; break;
  default: break;
  }
  return EVD_OK;
}

bool script_is_committing(const struct script *script) {
  if (!script->in_transaction) {
    return script->commits;
  }
  return script->answered < script->statement_count &&
         script->statements[script->answered].kind == SCRIPT_COMMIT;
}

/* After the last packet. */
static enum script_state finish(struct script *script, evd_error *error) {
  if (script->found != script->expected) {
    error_set(error, EVD_EDATABASE, "",
              "%lld of %lld locked rows were updated: something has broken the transaction",
              (long long)script->found, (long long)script->expected);
    error->outcome = EVD_OUTCOME_UNKNOWN;
    return SCRIPT_FAILED;
  }
  return script_selection_done(script, error) == EVD_OK ? SCRIPT_DONE : SCRIPT_FAILED;
}

enum script_state script_next(struct script *script, evd_error *error) {
  if (script->packets > 0 && script->commits) {
    return finish(script, error);
  }
  buffer_reset(&script->sql);
  buffer_reset(&script->outline);
  script->statement_count = 0;
  script->answered = 0;
  script->commits = false;
  if (script->packets == 0 && is_by_id(script->batch->operation) && !sort_requests(script)) {
    script->sql.failed = true;
  } else {
    add_next(script);
  }

  if (script->sql.failed) {
    out_of_memory(error);
    return SCRIPT_FAILED;
  }
  if (script->statement_count == 0) {
    return finish(script, error);
  }
  if (script->sql.length > script->max_packet) {
    error_set(error, EVD_EINVAL, "",
              "the statement would have %zu bytes, and the server takes %zu (max_allowed_packet)",
              script->sql.length, script->max_packet);
    return SCRIPT_FAILED;
  }
  script->packets++;
  return SCRIPT_SEND;
}

void script_begin(struct script *script, struct batch *batch) {
  script->batch = batch;
  for (size_t i = 0; i < batch->count; i++) {
    batch->requests[i]->rows = NULL;
    batch->requests[i]->count = 0;
  }
}

void script_end(struct script *script) {
  free(script->sorted);
  records_release(script->selected);
  free(script->selected_ids);
  free(script->decrements);
  struct script next = {
      .table = script->table,
      .test_mode = script->test_mode,
      .max_packet = script->max_packet,
      .sql = script->sql,
      .outline = script->outline,
      .statements = script->statements,
      .statement_size = script->statement_size,
  };
  if (next.sql.size > 2 * ENOUGH_BYTES) {
    buffer_free(&next.sql);
  }
  *script = next;
}

void script_free(struct script *script) {
  buffer_free(&script->sql);
  buffer_free(&script->outline);
  free(script->statements);
  script->statements = NULL;
}
