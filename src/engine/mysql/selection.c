/*
 * Scripts of the operations that select rows and update exactly those. There may be very many: what
 * is to be done with a row is done as it arrives, between turns of the loop.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/mysql/decode.h"
#include "engine/mysql/script.h"
#include "model/columns.h"
#include "model/error.h"
#include "model/execution.h"
#include "model/hash.h"

enum {
  ROWS_FIRST = 256,    /* that there is room for at first */
  ROW_TEXT = 512,      /* bytes of text for each of them */
  UPDATE_MAX = 500,    /* rows in one update */
  DECREMENT_MAX = 128, /* parents in one update: each is searched among all */
  IDS_ENOUGH = 65536,  /* bytes of a packet of ids, which is made in one go */
};

/* A parent of selected rows. */
struct script_parent {
  UT_hash_handle hh; /* by id */
  struct mydb_decrement decrement;
};

/* Keeps the ids of a row; NULL if memory ran out. */
static const evd_execution *keep_ids(struct records *records, MYSQL_ROW row,
                                     const unsigned long *lengths) {
  evd_execution *execution = records_add(records);
  if (execution == NULL) {
    return NULL;
  }
  execution->execution_id = records_text(records, row[MYDB_SELECTED_ID], lengths[MYDB_SELECTED_ID]);
  if (row[MYDB_SELECTED_PARENT] != NULL) {
    execution->parent_execution_id =
        records_text(records, row[MYDB_SELECTED_PARENT], lengths[MYDB_SELECTED_PARENT]);
  }
  bool kept = execution->execution_id != NULL &&
              (row[MYDB_SELECTED_PARENT] == NULL || execution->parent_execution_id != NULL);
  return kept ? execution : NULL;
}

/* A copy of the changes whose texts live as long as the records. */
static bool own_changes(struct records *records, const evd_changes *from, evd_changes *to) {
  *to = *from;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    bool set = (from->set & ~from->unset & COLUMN_BIT(i)) != 0;
    if (!set || !column_is_text((evd_column)i) || column_is_enum((evd_column)i)) {
      continue;
    }
    struct value value = column_get(&from->values, (evd_column)i);
    const char *text = records_text(records, value.text, strlen(value.text));
    if (text == NULL || !column_set_text(&to->values, (evd_column)i, text)) {
      return false;
    }
  }
  return true;
}

/* Room for the first row. */
static bool begin_selected(struct script *script, const struct request *request) {
  size_t rows = request->limit < ROWS_FIRST ? (size_t)request->limit : ROWS_FIRST;
  script->selected = records_new(rows, rows * ROW_TEXT);
  return script->selected != NULL &&
         (!mydb_sql_selects_all(request->operation) ||
          own_changes(script->selected, request->changes, &script->changes));
}

/* Lists the id of a row that is to be updated. */
static bool list_selected(struct script *script, const char *id) {
  enum { SIZE_FIRST = 64 };
  size_t count = (size_t)script->expected;
  if (count == script->selected_size) {
    size_t size = count > 0 ? count * 2 : SIZE_FIRST;
    const char **ids = realloc(script->selected_ids, size * sizeof *ids);
    if (ids == NULL) {
      return false;
    }
    script->selected_ids = ids;
    script->selected_size = size;
  }
  script->selected_ids[count] = id;
  script->expected++;
  return true;
}

/* Notes by what the row that was added last is sorted. */
static bool note_order(struct script *script, int64_t start_at) {
  size_t count = records_count(script->selected);
  if (count > script->orders_size) {
    size_t size = count * 2;
    int64_t *orders = realloc(script->orders, size * sizeof *orders);
    if (orders == NULL) {
      return false;
    }
    script->orders = orders;
    script->orders_size = size;
  }
  script->orders[count - 1] = start_at;
  return true;
}

evd_code mydb_script_share_row(struct script *script, MYSQL_ROW row, evd_error *error) {
  size_t count = script->batch->requests[0]->task_id_count;
  size_t task = row[MYDB_SHARE_TASK] != NULL ? strtoul(row[MYDB_SHARE_TASK], NULL, 10) : count;
  if (task >= count || row[MYDB_SHARE_ROWS] == NULL) {
    return error_set(error, EVD_EDATABASE, "", "the server sent a task that was not asked for");
  }
  script->shares[task] = strtoll(row[MYDB_SHARE_ROWS], NULL, 10);
  return EVD_OK;
}

/* Keeps a claimed row as it is after the update. One with a value that cannot be is claimed as
 * well, and left out of the answer: see struct left_out. */
static evd_code select_claimed(struct script *script, MYSQL_ROW row, const unsigned long *lengths,
                               evd_error *error) {
  const struct request *request = script->batch->requests[0];
  const char *id;
  evd_error why;
  evd_execution *execution = mydb_decode_row(script->selected, row, lengths, &why);
  if (execution != NULL) {
    if (script->shares != NULL && !note_order(script, execution->start_at)) {
      return error_set_no_memory(error);
    }
    changes_apply(&script->changes, execution);
    if (request->operation == EVD_OPERATION_CLAIM_BY_START_AT) {
      execution->expires_at = execution_expires_at(request->started_at, execution->timeout_ms);
    }
    id = execution->execution_id;
  } else if (why.code == EVD_EDATABASE) {
    id = records_text(script->selected, row[evd_column_execution_id],
                      lengths[evd_column_execution_id]);
    if (id != NULL) {
      left_out_add(&script->batch->left_out, id, &why);
    }
  } else {
    *error = why;
    return why.code;
  }
  return id != NULL && list_selected(script, id) ? EVD_OK : error_set_no_memory(error);
}

/* Counts a row of its parent, whose id lives as long as the rows. */
static bool count_parent(struct script *script, const char *id) {
  struct script_parent *parent;
  HASH_FIND_STR(script->parents, id, parent);
  if (parent != NULL) {
    parent->decrement.by++;
    return true;
  }
  parent = calloc(1, sizeof *parent);
  if (parent == NULL) {
    return false;
  }
  parent->decrement = (struct mydb_decrement){id, 1};
  HASH_ADD_KEYPTR(hh, script->parents, id, strlen(id), parent);
  if (parent->hh.tbl == NULL) { /* memory ran out */
    free(parent);
    return false;
  }
  return true;
}

evd_code mydb_script_select_row(struct script *script, MYSQL_ROW row, const unsigned long *lengths,
                                evd_error *error) {
  const struct request *request = script->batch->requests[0];
  if (script->selected == NULL && !begin_selected(script, request)) {
    return error_set_no_memory(error);
  }
  if (mydb_sql_selects_all(request->operation)) {
    return select_claimed(script, row, lengths, error);
  }
  const evd_execution *kept = keep_ids(script->selected, row, lengths);
  bool counts = kept != NULL && request->operation == EVD_OPERATION_CLOSE_FINISHED &&
                kept->parent_execution_id != NULL;
  bool ok = kept != NULL && list_selected(script, kept->execution_id) &&
            (!counts || count_parent(script, kept->parent_execution_id));
  return ok ? EVD_OK : error_set_no_memory(error);
}

static int compare_parents(const void *a, const void *b) {
  const struct mydb_decrement *first = a;
  const struct mydb_decrement *second = b;
  return strcmp(first->parent_id, second->parent_id);
}

/* Lists the parents in the order of their ids, so that transactions which meet wait for each other
 * in one order. */
static bool list_parents(struct script *script) {
  size_t count = HASH_COUNT(script->parents);
  if (count == 0) {
    return true;
  }
  script->decrements = malloc(count * sizeof *script->decrements);
  if (script->decrements == NULL) {
    return false;
  }
  for (const struct script_parent *parent = script->parents; parent != NULL;
       parent = parent->hh.next) {
    script->decrements[script->decrement_count++] = parent->decrement;
  }
  qsort(script->decrements, count, sizeof *script->decrements, compare_parents);
  return true;
}

/* How many ids, of `count` in all and from `next` on, go into one update: `most`, or what fits. */
static size_t part_size(const struct script *script, enum script_kind kind, size_t next,
                        size_t count, size_t most) {
  size_t bytes = 0;
  size_t part = 0;
  while (next + part < count && part < most) {
    const char *id = kind == SCRIPT_DECREMENT ? script->decrements[next + part].parent_id
                                              : script->selected_ids[next + part];
    bytes += mydb_packet_id_bytes(id);
    if (part > 0 && bytes > mydb_packet_enough(script) / 2) {
      break;
    }
    part++;
  }
  return part;
}

/* Adds updates from *next on, of at most `most` each; true when all `count` are done. */
static bool add_parts(struct script *script, enum script_kind kind, size_t *next, size_t count,
                      size_t most) {
  while (*next < count) {
    size_t part = part_size(script, kind, *next, count, most);
    bool full = mydb_packet_is_full(script) || script->sql.length >= IDS_ENOUGH;
    if (full || !mydb_packet_add(script, kind, *next, part)) {
      return false;
    }
    *next += part;
  }
  return true;
}

/* Adds the selects of a claim task by task; true when that is all. */
static bool add_task_selects(struct script *script) {
  size_t count = script->batch->requests[0]->task_id_count;
  for (; script->select_next < count; script->select_next++) {
    int64_t share = script->shares[script->select_next];
    if (share > 0 &&
        !mydb_packet_add(script, SCRIPT_SELECT_TASK, script->select_next, (size_t)share)) {
      return false;
    }
  }
  return true;
}

/* Adds what asks for the shares of the tasks; of one task it is known. */
static void begin_shares(struct script *script) {
  const struct request *request = script->batch->requests[0];
  script->shares = calloc(request->task_id_count, sizeof *script->shares);
  if (script->shares == NULL) {
    script->sql.failed = true;
  } else if (request->task_id_count == 1) {
    script->shares[0] = request->limit;
  } else {
    mydb_packet_add(script, SCRIPT_SHARE, 0, 0);
  }
}

static bool has_share(const struct script *script) {
  bool has = false;
  for (size_t i = 0; i < script->batch->requests[0]->task_id_count; i++) {
    has = has || script->shares[i] > 0;
  }
  return has;
}

/* Adds the selects, or what has to be known before; true when they have all been answered, or there
 * is nothing to select. */
static bool add_selects(struct script *script) {
  if (script->selected_all) {
    return true;
  }
  if (script->shares == NULL &&
      mydb_sql_claims_by_task(script->table, script->batch->requests[0])) {
    begin_shares(script);
    if (script->sql.failed || script->statement_count > 0) {
      return false;
    }
  }
  if (script->shares != NULL && !has_share(script)) {
    return true;
  }
  if (!script->in_transaction) {
    mydb_packet_add(script, SCRIPT_BEGIN, 0, 0);
  }
  script->selected_all = script->shares != NULL ? add_task_selects(script)
                                                : mydb_packet_add(script, SCRIPT_SELECT, 0, 0);
  return false;
}

/* When all rows are there: lists their parents, and brings those of several selects into the order
 * of one. False if memory ran out. */
static bool settle(struct script *script) {
  bool sorts = script->selected != NULL && script->batch->requests[0]->task_id_count > 1 &&
               script->shares != NULL;
  script->settled =
      list_parents(script) && (!sorts || records_sort(script->selected, script->orders));
  return script->settled;
}

void mydb_script_next_of_selection(struct script *script) {
  if (!add_selects(script) || !script->in_transaction) {
    return;
  }
  if (!script->settled && !settle(script)) {
    script->sql.failed = true;
    return;
  }
  if (add_parts(script, SCRIPT_UPDATE_SELECTED, &script->selected_next, (size_t)script->expected,
                UPDATE_MAX) &&
      add_parts(script, SCRIPT_DECREMENT, &script->decrement_next, script->decrement_count,
                DECREMENT_MAX)) {
    mydb_packet_add(script, SCRIPT_COMMIT, 0, 0);
  }
}

void mydb_script_selection_done(struct script *script) {
  struct request *request = script->batch->requests[0];
  if (script->selected == NULL) {
    return;
  }
  request->count = (int64_t)records_count(script->selected);
  if (mydb_sql_selects_all(request->operation)) {
    request->rows = script->selected;
    script->selected = NULL;
  }
}

void mydb_script_selection_free(struct script *script) {
  struct script_parent *parent = script->parents;
  HASH_CLEAR(hh, script->parents);
  while (parent != NULL) {
    struct script_parent *next = parent->hh.next;
    free(parent);
    parent = next;
  }
  records_release(script->selected);
  free(script->selected_ids);
  free(script->decrements);
  free(script->shares);
  free(script->orders);
}
