/* Scripts of the operations that insert, or update and delete by id: the statements of each
 * packet. */
#include <string.h>

#include "engine/mysql/script.h"
#include "model/execution.h"

enum {
  GROUP_MAX = 128,   /* rows of an update: a row's value is searched among those of all */
  ROW_OVERHEAD = 512 /* bytes of an inserted row beside its strings, about */
};

/* Whether the executions fit in one statement, roughly. */
static bool is_small_insert(const struct script *script) {
  size_t bytes = 0;
  for (size_t i = 0; i < script->batch->count; i++) {
    const struct request *request = script->batch->requests[i];
    for (size_t j = 0; j < request->execution_count; j++) {
      bytes += execution_text_size(&request->executions[j]) + ROW_OVERHEAD;
      if (bytes > mydb_packet_enough(script) / 2) {
        return request->execution_count == 1 && script->batch->count == 1;
      }
    }
  }
  return true;
}

/* Adds inserts of what the cursor is before; true when that is all. */
static bool add_inserts(struct script *script) {
  while (mydb_packet_has_executions(script)) {
    if (mydb_packet_is_full(script) || !mydb_packet_add(script, SCRIPT_INSERT, 0, 0)) {
      return false;
    }
  }
  return true;
}

static void next_of_insert(struct script *script) {
  if (script->packets == 0 && is_small_insert(script)) {
    if (mydb_packet_has_executions(script)) {
      mydb_packet_add(script, SCRIPT_INSERT, 0, 0);
    }
    script->commits = true;
    return;
  }
  if (script->packets == 0) {
    mydb_packet_add(script, SCRIPT_BEGIN, 0, 0);
  }
  if (add_inserts(script)) {
    mydb_packet_add(script, SCRIPT_COMMIT, 0, 0);
  }
}

/* Brings the requests that matched a locked row together with those that are alike. */
static void group_matched(struct script *script) {
  size_t count = script->batch->count;
  size_t rest = 0;
  for (size_t i = 0; i < count; i++) {
    if (script->sorted[i]->count > 0) {
      script->grouped[rest++] = script->sorted[i];
    }
  }
  script->grouped_count = rest;
  for (size_t first = 0, next; first < rest; first = next) {
    next = first + 1;
    for (size_t i = next; i < rest; i++) {
      if (mydb_sql_same_update(script->grouped[first], script->grouped[i])) {
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
  size_t bytes = changes_text_size(first[0]->changes) + mydb_packet_id_bytes(first[0]->id);
  size_t count = 1;
  while (script->grouped_next + count < script->grouped_count && count < GROUP_MAX &&
         mydb_sql_same_update(first[0], first[count])) {
    bytes += changes_text_size(first[count]->changes) + mydb_packet_id_bytes(first[count]->id);
    if (bytes > mydb_packet_enough(script) / 2) {
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
    if (mydb_packet_is_full(script) ||
        !mydb_packet_add(script, SCRIPT_UPDATE, script->grouped_next, count)) {
      return false;
    }
    script->grouped_next += count;
  }
  return true;
}

/* Updates by id, and inserts the children of those that matched. The rows are locked first, and
 * only those that were there and matched are updated: at READ COMMITTED a row that another
 * session inserts meanwhile would be updated, too, and nothing would tell which of the requests
 * that was. */
static void next_of_update(struct script *script) {
  bool inserts = script->batch->operation == EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN;
  if (script->batch->count == 1 && !inserts) {
    mydb_packet_add(script, SCRIPT_COUNTED, 0, 1);
    script->commits = true;
    return;
  }
  if (script->packets == 0) {
    mydb_packet_add(script, SCRIPT_BEGIN, 0, 0);
    mydb_packet_add(script, SCRIPT_LOCK, 0, 0);
    return;
  }
  if (script->packets == 1) {
    group_matched(script);
  }
  if (add_updates(script) && add_inserts(script)) {
    mydb_packet_add(script, SCRIPT_COMMIT, 0, 0);
  }
}

/* Operations whose requests have a statement each. */
static void next_of_each(struct script *script) {
  size_t count = script->batch->count;
  if (count == 1) {
    mydb_packet_add(script, SCRIPT_COUNTED, 0, 1);
    script->commits = true;
    return;
  }
  if (script->packets == 0) {
    mydb_packet_add(script, SCRIPT_BEGIN, 0, 0);
  }
  while (script->cursor.request < count) {
    if (mydb_packet_is_full(script) ||
        !mydb_packet_add(script, SCRIPT_COUNTED, script->cursor.request, 1)) {
      return;
    }
    script->cursor.request++;
  }
  mydb_packet_add(script, SCRIPT_COMMIT, 0, 0);
}

void mydb_script_next_of_writes(struct script *script) {
  switch (script->batch->operation) {
  case EVD_OPERATION_INSERT: next_of_insert(script); break;
  case EVD_OPERATION_UPDATE:
  case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN: next_of_update(script); break;
  default: next_of_each(script); break;
  }
}
