/* What all engines do with a batch: recording statements, setting rows aside. */
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "engine/engine.h"
#include "model/records.h"

void batch_record_query(struct batch *batch, const char *sql, double duration_ms) {
  if (!batch->record_queries) {
    return;
  }
  size_t length = strlen(sql) + 1;
  struct query_record *record = malloc(sizeof *record + length);
  if (record == NULL) {
    return; /* only the log misses it */
  }
  record->duration_ms = duration_ms;
  memcpy(record->sql, sql, length);
  LL_APPEND(batch->queries, record);
}

void left_out_add(struct left_out *left_out, const char *id, const evd_error *why) {
  size_t size = strlen(id) + 1;
  struct left_out_row *row = malloc(sizeof *row + size);
  if (left_out->count++ == 0) {
    left_out->why = *why;
  }
  if (row != NULL) {
    memcpy(row->id, id, size);
    LL_PREPEND(left_out->rows, row);
  }
}

void left_out_move(struct left_out *to, struct left_out *from) {
  if (to->count == 0) {
    to->why = from->why;
  }
  to->count += from->count;
  LL_CONCAT(to->rows, from->rows);
  *from = (struct left_out){0};
}

void left_out_free(struct left_out *left_out) {
  struct left_out_row *row;
  struct left_out_row *next;
  LL_FOREACH_SAFE (left_out->rows, row, next) {
    free(row);
  }
  *left_out = (struct left_out){0};
}

void batch_clear_answers(struct batch *batch) {
  for (size_t i = 0; i < batch->count; i++) {
    records_release(batch->requests[i]->rows);
    batch->requests[i]->rows = NULL;
    batch->requests[i]->count = 0;
  }
}
