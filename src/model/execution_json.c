/* A whole record to and from JSON. */

#include <evdurable/execution.h>

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "model/check.h"
#include "model/columns.h"
#include "model/error.h"
#include "model/execution.h"
#include "model/json.h"
#include "model/json_object.h"

/* The longest key that is looked at. The longest of ours has 38 characters, each of which somebody
 * may have written as an escape of 6. */
enum { KEY_MAX = 256 };

/* Adds a document, on one line. */
static bool add_document(cJSON *object, const char *key, const char *text) {
  size_t length = strlen(text);
  char *compact;
  bool added;

  if (json_scan(text, length, NULL, NULL) == JSON_INVALID) {
    return false;
  }
  compact = malloc(length + 1);
  if (compact == NULL) {
    return false;
  }
  json_compact(text, compact);
  added = cJSON_AddRawToObject(object, key, compact) != NULL;
  free(compact);
  return added;
}

/* The columns that the nested form has in objects. */
static const struct {
  const char *object, *key;
  evd_column column;
} nested[] = {
    {"root", "taskId", evd_column_root_task_id},
    {"root", "executionId", evd_column_root_execution_id},
    {"parent", "taskId", evd_column_parent_task_id},
    {"parent", "executionId", evd_column_parent_execution_id},
    {"parent", "indexInParentChildren", evd_column_index_in_parent_children},
    {"parent", "isOnlyChildOfParent", evd_column_is_only_child_of_parent},
    {"parent", "isFinalizeOfParent", evd_column_is_finalize_of_parent},
};

enum { NESTED = sizeof nested / sizeof *nested };

/* The place of a column among the nested ones; NESTED for others. */
static size_t nested_place(evd_column column) {
  size_t place = 0;

  while (place < NESTED && nested[place].column != column) {
    place++;
  }
  return place;
}

/* Adds a column, under this key, unless it is NULL. */
static bool add_column(cJSON *object, const evd_execution *execution, evd_column column,
                       const char *key) {
  struct value value = column_get(execution, column);

  switch (value.kind) {
  case VALUE_NULL: return true;
  case VALUE_TEXT:
    if (column_is_json(column)) {
      return add_document(object, key, value.text);
    }
    return cJSON_AddStringToObject(object, key, value.text) != NULL;
  case VALUE_INTEGER:
    if (columns[column].type == COLUMN_BOOL) {
      return cJSON_AddBoolToObject(object, key, value.integer != 0) != NULL;
    }
    return json_add_integer(object, key, value.integer);
  }
  return false;
}

/* Fills in an object; false if memory ran out or a document is not JSON. */
static bool add_columns(cJSON *object, const evd_execution *execution) {
  bool good = object != NULL;

  for (int column = 0; column < EVD_COLUMN_COUNT && good; column++) {
    good = add_column(object, execution, (evd_column)column, columns[column].json_key);
  }
  return good;
}

/* Adds a nested column to its object, which is made for the first that is not NULL. */
static bool add_nested(cJSON *object, const evd_execution *execution, size_t place) {
  cJSON *inner = cJSON_GetObjectItemCaseSensitive(object, nested[place].object);

  if (column_get(execution, nested[place].column).kind == VALUE_NULL) {
    return true;
  }
  if (inner == NULL) {
    inner = cJSON_AddObjectToObject(object, nested[place].object);
  }
  return inner != NULL && add_column(inner, execution, nested[place].column, nested[place].key);
}

char *evd_execution_to_nested_json(const evd_execution *execution) {
  cJSON *object = cJSON_CreateObject();
  bool good = object != NULL;

  for (int i = 0; i < EVD_COLUMN_COUNT && good; i++) {
    evd_column column = (evd_column)i;
    size_t place = nested_place(column);
    good = place < NESTED ? add_nested(object, execution, place)
                          : add_column(object, execution, column, columns[column].json_key);
  }
  return json_finish(object, good);
}

char *evd_execution_to_json(const evd_execution *execution) {
  cJSON *object = cJSON_CreateObject();
  bool good = add_columns(object, execution);

  return json_finish(object, good);
}

char *evd_executions_to_json(const evd_execution *executions, size_t count, evd_error *error) {
  cJSON *array;
  bool good;
  char *text;

  if (check_executions(executions, count, "executions", error) != EVD_OK) {
    return NULL;
  }
  array = cJSON_CreateArray();
  good = array != NULL;
  for (size_t i = 0; i < count && good; i++) {
    cJSON *object = cJSON_CreateObject();
    good = add_columns(object, &executions[i]) && cJSON_AddItemToArray(array, object);
    if (!good) {
      cJSON_Delete(object);
    }
  }
  text = json_finish(array, good);
  if (text == NULL) {
    error_set_no_memory(error);
  }
  return text;
}

/* A record being read. */
struct reader {
  evd_execution *execution;
  char *text;    /* where the next string goes, in the record's block */
  uint64_t seen; /* the columns that were there and not null */
  evd_error *error;
};

/* The error of a member that is not what its column wants. */
static evd_code wrong(struct reader *reader, evd_column column, const char *wanted) {
  return error_set(reader->error, EVD_EINVAL, columns[column].name, "%s is not %s",
                   columns[column].json_key, wanted);
}

static evd_code read_document(struct reader *reader, evd_column column,
                              const struct json_member *member) {
  char *text = reader->text;

  memcpy(text, member->value, member->value_length);
  text[member->value_length] = '\0';
  reader->text += member->value_length + 1;
  column_set_text(reader->execution, column, text);
  return EVD_OK;
}

/* An id, or an enumeration's text. */
static evd_code read_string(struct reader *reader, evd_column column,
                            const struct json_member *member) {
  if (member->kind != JSON_STRING) {
    return wrong(reader, column, "a string");
  }
  if (!json_string_is_text(member->value, member->value_length)) {
    return wrong(reader, column, "a string without \\u0000 and unpaired surrogates");
  }
  if (!json_unquote(member->value, member->value_length, reader->text)) {
    return error_set_no_memory(reader->error);
  }
  if (!column_set_text(reader->execution, column, reader->text)) {
    return wrong(reader, column, "a known value");
  }
  reader->text += member->value_length;
  return EVD_OK;
}

static evd_code read_bool(struct reader *reader, evd_column column,
                          const struct json_member *member) {
  if (member->kind != JSON_TRUE && member->kind != JSON_FALSE) {
    return wrong(reader, column, "true or false");
  }
  column_set_integer(reader->execution, column, member->kind == JSON_TRUE);
  return EVD_OK;
}

static evd_code read_integer(struct reader *reader, evd_column column,
                             const struct json_member *member) {
  int64_t integer;

  if (member->kind != JSON_NUMBER || !json_integer(member->value, member->value_length, &integer) ||
      !column_set_integer(reader->execution, column, integer)) {
    return wrong(reader, column, "an integer in range");
  }
  return EVD_OK;
}

/* One column's value. A null stands for a column that is left out, save where any JSON may stand:
 * there it is a document. */
static evd_code read_value(struct reader *reader, evd_column column,
                           const struct json_member *member) {
  if (member->kind == JSON_NULL && columns[column].type != COLUMN_JSON) {
    return EVD_OK;
  }
  reader->seen |= COLUMN_BIT(column);
  if (column_is_json(column)) {
    return read_document(reader, column, member);
  }
  if (column_is_text(column) || column_is_enum(column)) {
    return read_string(reader, column, member);
  }
  if (columns[column].type == COLUMN_BOOL) {
    return read_bool(reader, column, member);
  }
  return read_integer(reader, column, member);
}

/* Reads a member's key, ended by zero. */
static evd_code read_key(struct reader *reader, const struct json_member *member,
                         char key[KEY_MAX]) {
  if (member->key_length > KEY_MAX) {
    return error_set(reader->error, EVD_EINVAL, "", "a key is longer than any of an execution's");
  }
  if (!json_string_is_text(member->key, member->key_length)) {
    return error_set(reader->error, EVD_EINVAL, "", "a key has \\u0000 or an unpaired surrogate");
  }
  if (!json_unquote(member->key, member->key_length, key)) {
    return error_set_no_memory(reader->error);
  }
  return EVD_OK;
}

/* Reads a column's member. `object` is the key of the object that it is in; "" for none. */
static evd_code read_column(struct reader *reader, evd_column column, const char *object,
                            const char *key, const struct json_member *member) {
  if (column == EVD_COLUMN_COUNT) {
    return error_set(reader->error, EVD_EINVAL, key, "%s%s%s is not a key of an execution", object,
                     object[0] != '\0' ? "." : "", key);
  }
  if ((reader->seen & COLUMN_BIT(column)) != 0) {
    return error_set(reader->error, EVD_EINVAL, columns[column].name, "%s%s%s occurs twice", object,
                     object[0] != '\0' ? "." : "", key);
  }
  return read_value(reader, column, member);
}

/* The column of a key in one of the nested form's objects. */
static evd_column nested_column(const char *object, const char *key) {
  for (size_t i = 0; i < NESTED; i++) {
    if (strcmp(nested[i].object, object) == 0 && strcmp(nested[i].key, key) == 0) {
      return nested[i].column;
    }
  }
  return EVD_COLUMN_COUNT;
}

/* Reads an object of the nested form; null is as if it were not there. */
static evd_code read_nested(struct reader *reader, const char *object,
                            const struct json_member *member) {
  const char *at = member->value;
  struct json_member inner;
  char key[KEY_MAX];
  evd_code code = EVD_OK;

  if (member->kind == JSON_NULL) {
    return EVD_OK;
  }
  if (member->kind != JSON_OBJECT) {
    return error_set(reader->error, EVD_EINVAL, object, "%s is not an object", object);
  }
  while (code == EVD_OK && json_next_member(&at, &inner)) {
    code = read_key(reader, &inner, key);
    if (code == EVD_OK) {
      code = read_column(reader, nested_column(object, key), object, key, &inner);
    }
  }
  return code;
}

static evd_code read_member(struct reader *reader, const struct json_member *member) {
  char key[KEY_MAX];
  evd_code code = read_key(reader, member, key);

  if (code != EVD_OK) {
    return code;
  }
  if (strcmp(key, "root") == 0) {
    return read_nested(reader, "root", member);
  }
  if (strcmp(key, "parent") == 0) {
    return read_nested(reader, "parent", member);
  }
  return read_column(reader, column_from_json_key(key), "", key, member);
}

/* Gives columns that were left out their defaults. Refuses a record without a value that must be
 * given, or with one that belongs to a parent and no parent. */
static evd_code complete(struct reader *reader) {
  bool has_parent = reader->execution->parent_execution_id != NULL;

  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    const struct column *column = &columns[i];
    bool seen = (reader->seen & COLUMN_BIT(i)) != 0;
    bool with_parent = column->null == COLUMN_WITH_PARENT;
    bool required = column->null == COLUMN_NOT_NULL || (with_parent && has_parent);
    if (!seen && required && !column_set_default(reader->execution, (evd_column)i)) {
      return error_set(reader->error, EVD_EINVAL, column->name, "%s is missing", column->json_key);
    }
    if (seen && with_parent && !has_parent) {
      return error_set(reader->error, EVD_EINVAL, column->name, "%s is given without a parent",
                       column->json_key);
    }
  }
  return EVD_OK;
}

/* Reads the members of an object into a cleared record. */
static evd_code read_object(struct reader *reader, const char *json) {
  struct json_member member;
  evd_code code = EVD_OK;

  while (code == EVD_OK && json_next_member(&json, &member)) {
    code = read_member(reader, &member);
  }
  if (code == EVD_OK) {
    code = complete(reader);
  }
  if (code == EVD_OK) {
    code = evd_execution_check(reader->execution, reader->error);
  }
  return code;
}

/* The text must be that of an object. */
static evd_code check_object(const char *json, evd_error *error) {
  const char *reason;
  size_t offset;

  if (json == NULL) {
    return error_set(error, EVD_EINVAL, "", "the text is NULL");
  }
  switch (json_scan_outer(json, strlen(json), &reason, &offset)) {
  case JSON_OBJECT: return EVD_OK;
  case JSON_INVALID: /* bytes are counted from 1 */
    return error_set(error, EVD_EINVAL, "", "not valid JSON: %s at byte %zu", reason, offset + 1);
  default: return error_set(error, EVD_EINVAL, "", "not a JSON object");
  }
}

evd_execution *evd_execution_from_json(const char *json, evd_error *error) {
  struct reader reader = {.error = error};

  if (check_object(json, error) != EVD_OK) {
    return NULL;
  }
  /* No string is longer than its spelling, and a document needs one byte more for its zero. */
  reader.execution = malloc(sizeof *reader.execution + strlen(json) + EVD_COLUMN_COUNT);
  if (reader.execution == NULL) {
    error_set_no_memory(error);
    return NULL;
  }
  reader.text = (char *)(reader.execution + 1);
  execution_clear(reader.execution);
  if (read_object(&reader, json) != EVD_OK) {
    free(reader.execution);
    return NULL;
  }
  return reader.execution;
}
