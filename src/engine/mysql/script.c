#include "engine/mysql/script.h"

#include <stdlib.h>
#include <string.h>

#include "engine/mysql/blame.h"
#include "model/error.h"

enum {
  ENOUGH_BYTES = 256 * 1024, /* made, encrypted and sent in one go */
  STATEMENTS_FIRST = 16,
  COMMIT_ROOM = 16 /* bytes, for ";commit" */
};

static evd_code out_of_memory(evd_error *error) {
  return error_set(error, EVD_ENOMEM, "", "memory ran out");
}

size_t script_enough(const struct script *script) {
  return script->max_packet / 2 < ENOUGH_BYTES ? script->max_packet / 2 : ENOUGH_BYTES;
}

size_t script_id_bytes(const char *id) {
  enum { COPIES = 3, OVERHEAD = 64 }; /* how often the id is in it, and what is beside it */
  return COPIES * strlen(id) + OVERHEAD;
}

bool script_is_full(const struct script *script) {
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

bool script_has_executions(struct script *script) {
  return settle_cursor(script, &script->cursor);
}

/* Writes as many rows as make the packet long enough, at least one. */
static void write_insert(struct script *script, struct mysql_writer *writer) {
  mysql_sql_insert(writer, script->table);
  bool first = true;
  while (script_has_executions(script) && (first || !script_is_full(script))) {
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

/* Whether no further statement may be added; see script.h. */
static bool is_to_stand_alone(const struct script *script) {
  return script->galera && script->statement_count > 0 &&
         script->statements[script->statement_count - 1].kind != SCRIPT_BEGIN;
}

/* Whether a statement has to be in this packet, long or not: the first, and the one that begins the
 * work of a transaction. */
static bool is_due(const struct script *script, enum script_kind kind) {
  return script->statement_count == 0 || kind == SCRIPT_LOCK || kind == SCRIPT_SELECT ||
         kind == SCRIPT_COMMIT;
}

bool script_add(struct script *script, enum script_kind kind, size_t first, size_t count) {
  struct script_statement statement = {kind, first, count};
  struct script_cursor cursor = script->cursor;
  size_t before = script->sql.length;
  struct mysql_writer writer = {&script->sql, script->backslashes, false};
  if (is_to_stand_alone(script) || !reserve_statement(script)) {
    return false;
  }
  if (script->statement_count > 0) {
    buffer_append(&script->sql, ";");
  }
  write_statement(script, &writer, &statement);
  if (!is_due(script, kind) && is_too_long(script)) {
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

/* Adds the statements of the next packet; none when the batch is done. */
static void add_next(struct script *script) {
  switch (script->batch->operation) {
  case EVD_OPERATION_GET:
  case EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID:
  case EVD_OPERATION_GET_BY_PARENT:
    if (script->packets == 0) {
      script_add(script, SCRIPT_GET, 0, 0);
    }
    break;
  case EVD_OPERATION_DELETE:
  case EVD_OPERATION_DELETE_ALL:
    if (script->test_mode) {
      script_next_of_writes(script);
    }
    break;
  case EVD_OPERATION_INSERT:
  case EVD_OPERATION_UPDATE:
  case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN:
  case EVD_OPERATION_UPDATE_BY_PARENT: script_next_of_writes(script); break;
  default: script_next_of_selection(script); break;
  }
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

/* Answers. */

/* The statement that the present answer is to; NULL with the error when there is none left. */
static const struct script_statement *answered_statement(const struct script *script,
                                                         evd_error *error) {
  if (script->answered == script->statement_count) {
    error_set(error, EVD_EDATABASE, "", "the server sent more answers than statements");
    return NULL;
  }
  return &script->statements[script->answered];
}

evd_code script_row(struct script *script, MYSQL_ROW row, const unsigned long *lengths,
                    evd_error *error) {
  const struct script_statement *statement = answered_statement(script, error);
  if (statement == NULL) {
    return error->code;
  }
  switch (statement->kind) {
  case SCRIPT_GET: return script_get_row(script, row, lengths, error);
  case SCRIPT_LOCK: script_lock_row(script, row); return EVD_OK;
  case SCRIPT_SELECT: return script_select_row(script, row, lengths, error);
  default: return error_set(error, EVD_EDATABASE, "", "the server sent rows where there are none");
  }
}

evd_code script_answered(struct script *script, uint64_t affected, evd_error *error) {
  const struct script_statement *statement = answered_statement(script, error);
  if (statement == NULL) {
    return error->code;
  }
  script->answered++;
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

bool script_has_commit(const struct script *script) {
  return script->statement_count > 0 &&
         script->statements[script->statement_count - 1].kind == SCRIPT_COMMIT;
}

/* Whether all locked rows were updated; if not, then something has broken the transaction. */
static bool has_found_all(const struct script *script, evd_outcome outcome, evd_error *error) {
  if (script->found == script->expected) {
    return true;
  }
  error_set(error, EVD_EDATABASE, "", "%lld of %lld locked rows were updated",
            (long long)script->found, (long long)script->expected);
  error->outcome = outcome;
  return false;
}

/* After the last packet. */
static enum script_state finish(struct script *script, evd_error *error) {
  if (!has_found_all(script, EVD_OUTCOME_UNKNOWN, error)) {
    return SCRIPT_FAILED;
  }
  script_selection_done(script);
  return SCRIPT_DONE;
}

/* Whether a packet that was made can be sent. */
static bool is_fit(const struct script *script, evd_error *error) {
  if (script->sql.length > script->max_packet) {
    error_set(error, EVD_EINVAL, "",
              "the statement would have %zu bytes, and the server takes %zu (max_allowed_packet)",
              script->sql.length, script->max_packet);
    mysql_blame_longest(script->batch, error);
    return false;
  }
  return script->statements[0].kind != SCRIPT_COMMIT ||
         has_found_all(script, EVD_OUTCOME_NOT_APPLIED, error);
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
  if (script->packets == 0 && is_by_id(script->batch->operation) && !script_sort_requests(script)) {
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
  if (!is_fit(script, error)) {
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
  script_selection_free(script);
  struct script next = {
      .table = script->table,
      .test_mode = script->test_mode,
      .max_packet = script->max_packet,
      .galera = script->galera,
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
