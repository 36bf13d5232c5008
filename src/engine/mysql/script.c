/* The script of a batch: which packet comes next, and what its answers mean. */
#include "engine/mysql/script.h"

#include <stdlib.h>
#include <string.h>

#include "engine/mysql/blame.h"
#include "model/error.h"

/* Adds the statements of the next packet; none when the batch is done. */
static void add_next(struct script *script) {
  switch (script->batch->operation) {
  case EVD_OPERATION_GET:
  case EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID:
  case EVD_OPERATION_GET_BY_PARENT:
  case EVD_OPERATION_GET_TREE:
    if (script->packets == 0) {
      mydb_packet_add(script, SCRIPT_GET, 0, 0);
    }
    break;
  case EVD_OPERATION_DELETE:
  case EVD_OPERATION_DELETE_ALL:
    if (script->test_mode) {
      mydb_script_next_of_writes(script);
    }
    break;
  case EVD_OPERATION_INSERT:
  case EVD_OPERATION_UPDATE:
  case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN:
  case EVD_OPERATION_UPDATE_BY_PARENT: mydb_script_next_of_writes(script); break;
  default: mydb_script_next_of_selection(script); break;
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

evd_code mydb_script_row(struct script *script, MYSQL_ROW row, const unsigned long *lengths,
                         evd_error *error) {
  const struct script_statement *statement = answered_statement(script, error);
  if (statement == NULL) {
    return error->code;
  }
  switch (statement->kind) {
  case SCRIPT_GET: return mydb_script_get_row(script, row, lengths, error);
  case SCRIPT_LOCK: mydb_script_lock_row(script, row); return EVD_OK;
  case SCRIPT_SHARE: return mydb_script_share_row(script, row, error);
  case SCRIPT_SELECT:
  case SCRIPT_SELECT_TASK: return mydb_script_select_row(script, row, lengths, error);
  default: return error_set(error, EVD_EDATABASE, "", "the server sent rows where there are none");
  }
}

evd_code mydb_script_answered(struct script *script, uint64_t affected, evd_error *error) {
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

bool mydb_script_is_committing(const struct script *script) {
  if (!script->in_transaction) {
    return script->commits;
  }
  return script->answered < script->statement_count &&
         script->statements[script->answered].kind == SCRIPT_COMMIT;
}

bool mydb_script_has_commit(const struct script *script) {
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
  mydb_script_selection_done(script);
  return SCRIPT_DONE;
}

/* Whether a packet that was made can be sent. */
static bool is_fit(const struct script *script, evd_error *error) {
  if (script->sql.length > script->max_packet) {
    error_set(error, EVD_EINVAL, "",
              "the statement would have %zu bytes, and the server takes %zu (max_allowed_packet)",
              script->sql.length, script->max_packet);
    mydb_blame_longest(script->batch, error);
    return false;
  }
  return script->statements[0].kind != SCRIPT_COMMIT ||
         has_found_all(script, EVD_OUTCOME_NOT_APPLIED, error);
}

enum script_state mydb_script_next(struct script *script, evd_error *error) {
  if (script->packets > 0 && script->commits) {
    return finish(script, error);
  }
  buffer_reset(&script->sql);
  buffer_reset(&script->outline);
  script->statement_count = 0;
  script->answered = 0;
  script->commits = false;
  if (script->packets == 0 && is_by_id(script->batch->operation) &&
      !mydb_script_sort_requests(script)) {
    script->sql.failed = true;
  } else {
    add_next(script);
  }

  if (script->sql.failed) {
    error_set_no_memory(error);
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

void mydb_script_begin(struct script *script, struct batch *batch) {
  script->batch = batch;
  batch_clear_answers(batch);
}

void mydb_script_end(struct script *script) {
  free(script->sorted);
  mydb_script_selection_free(script);
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
  if (next.sql.size > 2 * PACKET_ENOUGH_BYTES) {
    buffer_free(&next.sql);
  }
  *script = next;
}

void mydb_script_free(struct script *script) {
  buffer_free(&script->sql);
  buffer_free(&script->outline);
  free(script->statements);
  script->statements = NULL;
}
