/* Puts the statements of a script into packets of at most the server's size. */
#include "engine/mysql/packet.h"

#include <stdlib.h>
#include <string.h>

enum {
  STATEMENTS_FIRST = 16,
  COMMIT_ROOM = 16 /* bytes, for ";commit" */
};

size_t mydb_packet_enough(const struct script *script) {
  return script->max_packet / 2 < PACKET_ENOUGH_BYTES ? script->max_packet / 2
                                                      : PACKET_ENOUGH_BYTES;
}

size_t mydb_packet_id_bytes(const char *id) {
  enum { COPIES = 3, OVERHEAD = 64 }; /* how often the id is in it, and what is beside it */
  return COPIES * strlen(id) + OVERHEAD;
}

bool mydb_packet_is_full(const struct script *script) {
  return script->sql.failed || script->sql.length >= mydb_packet_enough(script);
}

/* Whether the SQL does not fit into the packet. */
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

bool mydb_packet_has_executions(struct script *script) {
  return settle_cursor(script, &script->cursor);
}

/* Writes as many rows as make the packet long enough, at least one. */
static void write_insert(struct script *script, struct mydb_writer *writer) {
  mydb_sql_insert(writer, script->table);
  bool first = true;
  while (mydb_packet_has_executions(script) && (first || !mydb_packet_is_full(script))) {
    const struct request *request = script->batch->requests[script->cursor.request];
    size_t before = script->sql.length;
    mydb_sql_insert_row(writer, &request->executions[script->cursor.execution], first);
    if (!first && is_too_long(script)) {
      truncate_sql(script, before);
      return;
    }
    script->cursor.execution++;
    first = false;
  }
}

/* Writes an insert for the log. */
static void outline_insert(const struct script *script, struct mydb_writer *writer) {
  struct script_cursor cursor = {0, 0};
  mydb_sql_insert(writer, script->table);
  if (settle_cursor(script, &cursor)) {
    const struct request *request = script->batch->requests[cursor.request];
    mydb_sql_insert_row(writer, &request->executions[cursor.execution], true);
  }
}

/* Writes the statement of one request that no other shares. */
static void write_counted(const struct script *script, struct mydb_writer *writer, size_t index) {
  struct request *request = script->batch->requests[index];
  switch (request->operation) {
  case EVD_OPERATION_UPDATE: mydb_sql_update(writer, script->table, &request, 1); break;
  case EVD_OPERATION_UPDATE_BY_PARENT:
    mydb_sql_update_by_parent(writer, script->table, request);
    break;
  default: mydb_sql_delete(writer, script->table, request); break;
  }
}

/* Writes a statement. */
static void write_statement(struct script *script, struct mydb_writer *writer,
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
  case SCRIPT_GET:
    if (batch->operation == EVD_OPERATION_GET_TREE) {
      mydb_sql_get_tree(writer, script->table, batch->requests[0]);
    } else {
      mydb_sql_get(writer, script->table, batch->requests, batch->count);
    }
    break;
  case SCRIPT_LOCK: mydb_sql_lock(writer, script->table, script->sorted, batch->count); break;
  case SCRIPT_UPDATE:
    mydb_sql_update(writer, script->table, script->grouped + statement->first, statement->count);
    break;
  case SCRIPT_COUNTED: write_counted(script, writer, statement->first); break;
  case SCRIPT_SHARE: mydb_sql_share(writer, script->table, batch->requests[0]); break;
  case SCRIPT_SELECT: mydb_sql_select(writer, script->table, batch->requests[0]); break;
  case SCRIPT_SELECT_TASK:
    mydb_sql_select_task(writer, script->table, batch->requests[0], statement->first,
                         (int64_t)statement->count);
    break;
  case SCRIPT_UPDATE_SELECTED:
    mydb_sql_update_selected(writer, script->table, batch->requests[0],
                             script->selected_ids + statement->first, statement->count);
    break;
  case SCRIPT_DECREMENT:
    mydb_sql_decrement(writer, script->table, script->decrements + statement->first,
                       statement->count, batch->requests[0]->changes->values.updated_at);
    break;
  }
}

/* Makes room for one more statement; false if memory ran out. */
static bool reserve_statement(struct script *script) {
  if (script->statement_count < script->statement_size) {
    return true;
  }
  size_t size = script->statement_size > 0 ? script->statement_size * 2 : STATEMENTS_FIRST;
  struct script_statement *statements =
      realloc(script->statements, size * sizeof *script->statements);
  if (statements == NULL) {
    script->sql.failed = true;
    return false;
  }
  script->statements = statements;
  script->statement_size = size;
  return true;
}

/* Whether no further statement may be added; see packet.h. */
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

bool mydb_packet_add(struct script *script, enum script_kind kind, size_t first, size_t count) {
  struct script_statement statement = {kind, first, count};
  struct script_cursor cursor = script->cursor;
  size_t before = script->sql.length;
  struct mydb_writer writer = {&script->sql, script->backslashes, false};
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
    struct mydb_writer outline = {&script->outline, false, true};
    buffer_append(&script->outline, script->statement_count > 0 ? "; " : "");
    write_statement(script, &outline, &statement);
  }
  script->statements[script->statement_count++] = statement;
  script->in_transaction = script->in_transaction || kind == SCRIPT_BEGIN;
  script->commits = script->commits || kind == SCRIPT_COMMIT;
  return !script->sql.failed;
}
