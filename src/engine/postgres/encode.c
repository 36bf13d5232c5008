/* Encodes the parameters of a statement in PostgreSQL's binary formats. */
#include "engine/postgres/encode.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "model/columns.h"
#include "model/json.h"

enum { ARRAY_HEADER = 20 };

/* Parameters. */

static void begin_parameter(struct encoder *encoder) {
  encoder->offsets[encoder->count] = encoder->bytes.length;
}

static void end_parameter(struct encoder *encoder) {
  size_t length = encoder->bytes.length - encoder->offsets[encoder->count];
  encoder->lengths[encoder->count] = (int)length;
  encoder->formats[encoder->count] = 1;
  encoder->count++;
}

static void put_int32(struct encoder *encoder, uint32_t value) {
  uint32_t big = htobe32(value);
  buffer_append_bytes(&encoder->bytes, &big, sizeof big);
}

/* Integers and booleans, with their length before them. */
static void put_integer(struct encoder *encoder, enum postgres_format format, int64_t integer) {
  struct __attribute__((packed)) {
    uint32_t length;
    uint64_t value;
  } whole = {htobe32(8), htobe64((uint64_t)integer)};
  switch (format) {
  case POSTGRES_INT8: buffer_append_bytes(&encoder->bytes, &whole, 12); break;
  case POSTGRES_INT4:
    put_int32(encoder, 4);
    put_int32(encoder, (uint32_t)integer);
    break;
  default: {
    uint8_t truth = integer != 0;
    put_int32(encoder, 1);
    buffer_append_bytes(&encoder->bytes, &truth, 1);
  }
  }
}

/* Notes the first document that jsonb does not take. */
static void note_refusal(struct encoder *encoder, const char *text) {
  if (encoder->refusal == NULL) {
    encoder->refusal = json_jsonb_refuses(text);
    encoder->refused = encoder->column;
  }
}

/* A text, with its length before it. */
static void put_text(struct encoder *encoder, enum postgres_format format, const char *text) {
  size_t length = strlen(text);
  if (format == POSTGRES_JSONB) {
    note_refusal(encoder, text);
    put_int32(encoder, (uint32_t)length + 1);
    buffer_append_bytes(&encoder->bytes, "\1", 1); /* the format's version */
  } else {
    put_int32(encoder, (uint32_t)length);
  }
  buffer_append_bytes(&encoder->bytes, text, length);
}

/* A value, with its length before it. */
static void put_value(struct encoder *encoder, const struct postgres_type *type,
                      const struct value *value) {
  switch (value->kind) {
  case VALUE_NULL: put_int32(encoder, UINT32_MAX); break;
  case VALUE_TEXT: put_text(encoder, type->format, value->text); break;
  case VALUE_INTEGER: put_integer(encoder, type->format, value->integer); break;
  }
}

/* One dimension, whose first index is 1. */
static void put_array_header(struct encoder *encoder, uint32_t element_oid, size_t count) {
  const uint32_t header[] = {htobe32(1), htobe32(1), htobe32(element_oid), htobe32((uint32_t)count),
                             htobe32(1)};
  _Static_assert(sizeof header == ARRAY_HEADER, "an array's header");
  buffer_append_bytes(&encoder->bytes, header, sizeof header);
}

/* The parameters that statements have. */

/* An array of a column of the rows. */
static void add_rows(struct encoder *encoder, const struct postgres_type *type, evd_column column,
                     const struct step *step) {
  encoder->column = column;
  begin_parameter(encoder);
  put_array_header(encoder, type->element_oid, step->row_count);
  for (size_t i = 0; i < step->row_count; i++) {
    struct value value = column_get(step->rows[i].execution, column);
    put_value(encoder, type, &value);
  }
  end_parameter(encoder);
}

/* An array of a column of the requests' changes. */
static void add_changes(struct encoder *encoder, const struct postgres_type *type,
                        evd_column column, const struct step *step) {
  encoder->column = column;
  begin_parameter(encoder);
  put_array_header(encoder, type->element_oid, step->count);
  for (size_t i = 0; i < step->count; i++) {
    struct value value = column_get(&step->requests[i]->changes->values, column);
    put_value(encoder, type, &value);
  }
  end_parameter(encoder);
}

static const struct postgres_type text_type = {25, 25, "text", POSTGRES_TEXT};
static const struct postgres_type int8_type = {20, 20, "bigint", POSTGRES_INT8};

/* Whether a request, in the order of ids, has the same id as the one before it. */
static bool repeats_id(const struct step *step, size_t i) {
  return i > 0 && strcmp(step->requests[i]->id, step->requests[i - 1]->id) == 0;
}

/* An array of the requests' ids, each once: equal reads may meet in a step, and a join with the ids
 * would find their rows once for each. (The ids of updates are distinct.) */
static void add_ids(struct encoder *encoder, const struct step *step) {
  size_t count = 0;
  for (size_t i = 0; i < step->count; i++) {
    count += !repeats_id(step, i);
  }
  begin_parameter(encoder);
  put_array_header(encoder, text_type.element_oid, count);
  for (size_t i = 0; i < step->count; i++) {
    if (!repeats_id(step, i)) {
      put_text(encoder, POSTGRES_TEXT, step->requests[i]->id);
    }
  }
  end_parameter(encoder);
}

/* An array of the ids of the rows that the children belong to. */
static void add_updated_ids(struct encoder *encoder, const struct step *step) {
  begin_parameter(encoder);
  put_array_header(encoder, text_type.element_oid, step->row_count);
  for (size_t i = 0; i < step->row_count; i++) {
    put_text(encoder, POSTGRES_TEXT, step->rows[i].updated_id);
  }
  end_parameter(encoder);
}

/* Arrays of what the requests' filters have for parameters. */
static void add_owner_filters(struct encoder *encoder, const struct step *step) {
  if ((step->key.filter_owner & FILTER_EXECUTOR_ID) != 0) {
    begin_parameter(encoder);
    put_array_header(encoder, text_type.element_oid, step->count);
    for (size_t i = 0; i < step->count; i++) {
      put_text(encoder, POSTGRES_TEXT, step->requests[i]->filter.executor_id);
    }
    end_parameter(encoder);
  }
  if ((step->key.filter_owner & FILTER_STARTED_AT) != 0) {
    begin_parameter(encoder);
    put_array_header(encoder, int8_type.element_oid, step->count);
    for (size_t i = 0; i < step->count; i++) {
      put_integer(encoder, POSTGRES_INT8, step->requests[i]->filter.started_at);
    }
    end_parameter(encoder);
  }
}

/* A single value: as in an array, without its length before it. */
static void add_value(struct encoder *encoder, const struct postgres_type *type,
                      const struct value *value) {
  begin_parameter(encoder);
  put_value(encoder, type, value);
  encoder->offsets[encoder->count] += sizeof(uint32_t);
  end_parameter(encoder);
  if (value->kind == VALUE_NULL) {
    encoder->lengths[encoder->count - 1] = -1;
  }
}

static void add_int8(struct encoder *encoder, int64_t integer) {
  struct value value = {.kind = VALUE_INTEGER, .integer = integer};
  add_value(encoder, &int8_type, &value);
}

/* Arrays of the columns in the mask, from the rows. */
static void add_all_rows(struct encoder *encoder, const struct postgres_table *table, uint64_t mask,
                         const struct step *step) {
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if ((mask & COLUMN_BIT(column)) != 0) {
      add_rows(encoder, table->types[column], (evd_column)column, step);
    }
  }
}

/* Ids, filters and arrays of what is set. */
static void add_update(struct encoder *encoder, const struct postgres_table *table,
                       const struct step *step) {
  add_ids(encoder, step);
  add_owner_filters(encoder, step);
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if ((step->key.set & COLUMN_BIT(column)) != 0) {
      add_changes(encoder, table->types[column], (evd_column)column, step);
    }
  }
}

/* What a request sets, as single values. */
static void add_set(struct encoder *encoder, const struct postgres_table *table,
                    const struct step *step) {
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if ((step->key.set & COLUMN_BIT(column)) != 0) {
      struct value value = column_get(&step->requests[0]->changes->values, (evd_column)column);
      encoder->column = (evd_column)column;
      add_value(encoder, table->types[column], &value);
    }
  }
}

static void add_id(struct encoder *encoder, const struct step *step) {
  struct value value = {.kind = VALUE_TEXT, .text = step->requests[0]->id};
  add_value(encoder, &text_type, &value);
}

/* The list of a claim's tasks, if it has one. */
static void add_task_ids(struct encoder *encoder, const struct request *request) {
  if (request->task_id_count == 0) {
    return;
  }
  begin_parameter(encoder);
  put_array_header(encoder, text_type.element_oid, request->task_id_count);
  for (size_t i = 0; i < request->task_id_count; i++) {
    put_text(encoder, POSTGRES_TEXT, request->task_ids[i]);
  }
  end_parameter(encoder);
}

/* What sql_selection() wants. */
static void add_selection(struct encoder *encoder, const struct step *step) {
  const struct request *request = step->requests[0];
  switch (request->operation) {
  case EVD_OPERATION_CLAIM_BY_CANCELLATION:
  case EVD_OPERATION_UPDATE_BY_PARENT: add_id(encoder, step); break;
  case EVD_OPERATION_CLAIM_BY_START_AT:
    add_int8(encoder, request->before);
    add_task_ids(encoder, request);
    break;
  case EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED: add_task_ids(encoder, request); break;
  case EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT:
  case EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT: add_int8(encoder, request->before); break;
  case EVD_OPERATION_EXPIRE_BY_EXPIRES_AT:
    add_int8(encoder, request->before);
    if (step->key.attempts_left != EVD_ANY) {
      add_int8(encoder, request->extra_attempts);
    }
    break;
  default: break;
  }
}

static void add_parameters(struct encoder *encoder, const struct postgres_table *table,
                           const struct step *step) {
  switch ((evd_operation)step->key.operation) {
  case EVD_OPERATION_INSERT: add_all_rows(encoder, table, step->key.set, step); break;
  case EVD_OPERATION_GET:
  case EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID:
  case EVD_OPERATION_GET_BY_PARENT:
  case EVD_OPERATION_DELETE: add_ids(encoder, step); break;
  case EVD_OPERATION_GET_TREE: add_id(encoder, step); break;
  case EVD_OPERATION_UPDATE: add_update(encoder, table, step); break;
  case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN:
    add_update(encoder, table, step);
    add_updated_ids(encoder, step);
    add_all_rows(encoder, table, UINT64_MAX, step);
    break;
  case EVD_OPERATION_CLAIM_BY_START_AT:
  case EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED:
  case EVD_OPERATION_CLAIM_BY_CLOSE_STATUS:
  case EVD_OPERATION_CLAIM_BY_CANCELLATION:
  case EVD_OPERATION_EXPIRE_BY_EXPIRES_AT:
  case EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT:
  case EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT:
  case EVD_OPERATION_CLOSE_FINISHED:
    add_selection(encoder, step);
    add_int8(encoder, step->requests[0]->limit);
    add_set(encoder, table, step);
    if (step->key.operation == EVD_OPERATION_CLAIM_BY_START_AT) {
      add_int8(encoder, step->requests[0]->started_at);
    }
    break;
  case EVD_OPERATION_UPDATE_BY_PARENT:
    add_selection(encoder, step);
    add_set(encoder, table, step);
    break;
  case EVD_OPERATION_DELETE_ALL:
  case EVD_OPERATION_COUNT: break;
  }
}

bool postgres_encode(struct encoder *encoder, const struct postgres_table *table,
                     const struct step *step) {
  enum { KEPT_MAX = 1024 * 1024 };
  if (encoder->bytes.failed || encoder->bytes.size > KEPT_MAX) {
    buffer_free(&encoder->bytes);
  }
  buffer_reset(&encoder->bytes);
  encoder->count = 0;
  encoder->refusal = NULL;
  add_parameters(encoder, table, step);
  if (encoder->bytes.failed) {
    return false;
  }
  for (int i = 0; i < encoder->count; i++) {
    bool is_null = encoder->lengths[i] < 0;
    encoder->values[i] = is_null ? NULL : encoder->bytes.text + encoder->offsets[i];
  }
  return true;
}

void postgres_encoder_free(struct encoder *encoder) {
  buffer_free(&encoder->bytes);
}
