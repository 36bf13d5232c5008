/* Scripts of the operations that select rows and update exactly those. */
#include <stdlib.h>
#include <string.h>

#include "engine/mysql/decode.h"
#include "engine/mysql/script.h"
#include "model/columns.h"
#include "model/error.h"
#include "model/execution.h"

enum {
  ROWS_FIRST = 256,    /* that there is room for at first */
  ROW_TEXT = 512,      /* bytes of text for each of them */
  UPDATE_MAX = 1000,   /* rows in one update */
  DECREMENT_MAX = 128, /* parents in one update: each is searched among all */
};

static evd_code out_of_memory(evd_error *error) {
  return error_set(error, EVD_ENOMEM, "", "memory ran out");
}

/* Keeps the ids of a row. */
static evd_code keep_ids(struct records *records, MYSQL_ROW row, const unsigned long *lengths,
                         evd_error *error) {
  evd_execution *execution = records_add(records);
  if (execution == NULL) {
    return out_of_memory(error);
  }
  execution->execution_id =
      records_text(records, row[MYSQL_SELECTED_ID], lengths[MYSQL_SELECTED_ID]);
  if (row[MYSQL_SELECTED_PARENT] != NULL) {
    execution->parent_execution_id =
        records_text(records, row[MYSQL_SELECTED_PARENT], lengths[MYSQL_SELECTED_PARENT]);
  }
  bool kept = execution->execution_id != NULL &&
              (row[MYSQL_SELECTED_PARENT] == NULL || execution->parent_execution_id != NULL);
  return kept ? EVD_OK : out_of_memory(error);
}

evd_code script_select_row(struct script *script, MYSQL_ROW row, const unsigned long *lengths,
                           evd_error *error) {
  const struct request *request = script->batch->requests[0];
  if (script->selected == NULL) {
    size_t rows = request->limit < ROWS_FIRST ? (size_t)request->limit : ROWS_FIRST;
    script->selected = records_new(rows, rows * ROW_TEXT);
    if (script->selected == NULL) {
      return out_of_memory(error);
    }
  }
  if (!mysql_sql_selects_all(request->operation)) {
    return keep_ids(script->selected, row, lengths, error);
  }
  return mysql_decode_row(script->selected, row, lengths, error) != NULL ? EVD_OK : error->code;
}

static int compare_parents(const void *a, const void *b) {
  const struct mysql_decrement *first = a;
  const struct mysql_decrement *second = b;
  return strcmp(first->parent_id, second->parent_id);
}

/* Counts the children of each parent among the rows; the parents in the order of their ids, so that
 * transactions which meet wait for each other in one order. */
static bool count_parents(struct script *script, const evd_execution *rows, size_t count) {
  struct mysql_decrement *decrements = calloc(count, sizeof(*decrements));
  if (decrements == NULL) {
    return false;
  }
  size_t children = 0;
  for (size_t i = 0; i < count; i++) {
    if (rows[i].parent_execution_id != NULL) {
      decrements[children++] = (struct mysql_decrement){rows[i].parent_execution_id, 1};
    }
  }
  qsort(decrements, children, sizeof(*decrements), compare_parents);
  size_t parents = 0;
  for (size_t i = 0; i < children; i++) {
    if (parents > 0 && compare_parents(&decrements[parents - 1], &decrements[i]) == 0) {
      decrements[parents - 1].by++;
    } else {
      decrements[parents++] = decrements[i];
    }
  }
  script->decrements = decrements;
  script->decrement_count = parents;
  return true;
}

/* Makes the lists of what is to be updated from the rows that were selected. */
static bool list_selected(struct script *script) {
  size_t count = records_count(script->selected);
  script->expected = (int64_t)count;
  if (count == 0) {
    return true;
  }
  const evd_execution *rows = records_rows(script->selected);
  script->selected_ids = malloc(count * sizeof(*script->selected_ids));
  if (script->selected_ids == NULL) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    script->selected_ids[i] = rows[i].execution_id;
  }
  return script->batch->operation != EVD_OPERATION_CLOSE_FINISHED ||
         count_parents(script, rows, count);
}

/* Adds updates from *next on, of at most `most` each; true when all `count` are done. */
static bool add_parts(struct script *script, enum script_kind kind, size_t *next, size_t count,
                      size_t most) {
  while (*next < count) {
    size_t part = count - *next < most ? count - *next : most;
    if (script_is_full(script) || !script_add(script, kind, *next, part)) {
      return false;
    }
    *next += part;
  }
  return true;
}

void script_next_of_selection(struct script *script) {
  if (script->packets == 0) {
    script_add(script, SCRIPT_BEGIN, 0, 0);
    script_add(script, SCRIPT_SELECT, 0, 0);
    return;
  }
  if (script->packets == 1 && !list_selected(script)) {
    script->sql.failed = true;
    return;
  }
  if (add_parts(script, SCRIPT_UPDATE_SELECTED, &script->selected_next, (size_t)script->expected,
                UPDATE_MAX) &&
      add_parts(script, SCRIPT_DECREMENT, &script->decrement_next, script->decrement_count,
                DECREMENT_MAX)) {
    script_add(script, SCRIPT_COMMIT, 0, 0);
  }
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

/* Makes the rows what they are after the update. */
static bool update_rows(const struct request *request, struct records *records) {
  evd_changes changes;
  if (!own_changes(records, request->changes, &changes)) {
    return false;
  }
  evd_execution *rows = records_rows(records);
  size_t count = records_count(records);
  for (size_t i = 0; i < count; i++) {
    changes_apply(&changes, &rows[i]);
    if (request->operation == EVD_OPERATION_CLAIM_BY_START_AT) {
      rows[i].expires_at = request->started_at + rows[i].timeout_ms;
    }
  }
  return true;
}

evd_code script_selection_done(struct script *script, evd_error *error) {
  struct request *request = script->batch->requests[0];
  if (script->selected == NULL) {
    return EVD_OK;
  }
  request->count = (int64_t)records_count(script->selected);
  if (!mysql_sql_selects_all(request->operation)) {
    return EVD_OK;
  }
  if (!update_rows(request, script->selected)) {
    out_of_memory(error);
    error->outcome = EVD_OUTCOME_UNKNOWN; /* it has been applied */
    return EVD_ENOMEM;
  }
  request->rows = script->selected;
  script->selected = NULL;
  return EVD_OK;
}
