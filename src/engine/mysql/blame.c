/* Finds the column that an error is about, where MySQL does not say. */
#include "engine/mysql/blame.h"

#include <string.h>

#include "model/columns.h"
#include "model/error.h"

enum {
  SERVER_JSON_KEY_TOO_LONG = 3151,
  SERVER_JSON_TOO_DEEP = 3157,
  DEPTH_MAX = 100,
  KEY_MAX = 65535
};

/* The character after a string's closing quote; `text` is after the opening one. */
static const char *skip_string(const char *text) {
  while (*text != '"' && *text != '\0') {
    text += *text == '\\' && text[1] != '\0' ? 2 : 1;
  }
  return *text == '"' ? text + 1 : text;
}

static bool is_too_deep(const char *json) {
  int depth = 0;
  while (*json != '\0') {
    char c = *json++;
    if (c == '"') {
      json = skip_string(json);
    } else if (c == '[' || c == '{') {
      if (++depth > DEPTH_MAX) {
        return true;
      }
    } else if (c == ']' || c == '}') {
      depth--;
    }
  }
  return false;
}

static bool has_long_key(const char *json) {
  while ((json = strchr(json, '"')) != NULL) {
    const char *end = skip_string(json + 1);
    if (end - json > KEY_MAX && end[strspn(end, " \t\r\n")] == ':') {
      return true;
    }
    json = end;
  }
  return false;
}

/* The first JSON column, among these, with what the error says. */
static evd_column blamed_of(unsigned number, const evd_execution *execution, uint64_t among) {
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    if ((among & COLUMN_BIT(i)) == 0 || !column_is_json((evd_column)i)) {
      continue;
    }
    struct value value = column_get(execution, (evd_column)i);
    bool blamed =
        value.kind == VALUE_TEXT &&
        (number == SERVER_JSON_TOO_DEEP ? is_too_deep(value.text) : has_long_key(value.text));
    if (blamed) {
      return (evd_column)i;
    }
  }
  return EVD_COLUMN_COUNT;
}

static evd_column blamed_of_request(unsigned number, const struct request *request) {
  evd_column column = EVD_COLUMN_COUNT;
  if (request->changes != NULL) {
    column = blamed_of(number, &request->changes->values,
                       request->changes->set & ~request->changes->unset);
  }
  for (size_t i = 0; column == EVD_COLUMN_COUNT && i < request->execution_count; i++) {
    column = blamed_of(number, &request->executions[i], UINT64_MAX);
  }
  return column;
}

void mydb_blame(unsigned number, const struct batch *batch, evd_error *error) {
  if (error->field[0] != '\0' ||
      (number != SERVER_JSON_TOO_DEEP && number != SERVER_JSON_KEY_TOO_LONG)) {
    return;
  }
  for (size_t i = 0; i < batch->count; i++) {
    evd_column column = blamed_of_request(number, batch->requests[i]);
    if (column != EVD_COLUMN_COUNT) {
      evd_error unnamed = *error;
      error_set(error, EVD_EINVAL, columns[column].name, "%s: %s", columns[column].name,
                unnamed.message);
      error_set_native(error, unnamed.native);
      return;
    }
  }
}

/* The longest text so far, and whose it is. */
struct longest {
  size_t length;
  evd_column column;
};

static void look_for_longer(struct longest *longest, const evd_execution *execution,
                            uint64_t among) {
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    struct value value = column_get(execution, (evd_column)i);
    if ((among & COLUMN_BIT(i)) == 0 || value.kind != VALUE_TEXT) {
      continue;
    }
    size_t length = strlen(value.text);
    if (length > longest->length) {
      *longest = (struct longest){length, (evd_column)i};
    }
  }
}

void mydb_blame_longest(const struct batch *batch, evd_error *error) {
  const struct request *request = batch->requests[0];
  struct longest longest = {0, EVD_COLUMN_COUNT};
  if (batch->count > 1) {
    return; /* it is divided until one stands alone */
  }
  if (request->changes != NULL) {
    look_for_longer(&longest, &request->changes->values,
                    request->changes->set & ~request->changes->unset);
  }
  for (size_t i = 0; i < request->execution_count; i++) {
    look_for_longer(&longest, &request->executions[i], UINT64_MAX);
  }
  if (longest.column != EVD_COLUMN_COUNT) {
    const char *name = columns[longest.column].name;
    evd_error unnamed = *error;
    error_set(error, unnamed.code, name, "%s: %s", name, unnamed.message);
  }
}
