/* Reads JSON objects member by member, and writes integers exactly. */
#include "model/json_object.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

/* Here nothing is checked: the scanner has found the text to be valid. */

static const char *skip_space(const char *at) {
  while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t') {
    at++;
  }
  return at;
}

/* Past a string. */
static const char *skip_string(const char *at) {
  for (at++; *at != '"'; at++) {
    if (*at == '\\') {
      at++;
    }
  }
  return at + 1;
}

/* Past an object or array. */
static const char *skip_levels(const char *at) {
  size_t depth = 0;

  do {
    switch (*at) {
    case '"': at = skip_string(at); continue;
    case '{':
    case '[': depth++; break;
    case '}':
    case ']': depth--; break;
    default: break;
    }
    at++;
  } while (depth > 0);
  return at;
}

/* Past a number or a word. */
static const char *skip_scalar(const char *at) {
  while (*at != ',' && *at != '}' && *at != ' ' && *at != '\n' && *at != '\r' && *at != '\t') {
    at++;
  }
  return at;
}

/* Past any value. */
static const char *skip_value(const char *at) {
  switch (*at) {
  case '"': return skip_string(at);
  case '{':
  case '[': return skip_levels(at);
  default: return skip_scalar(at);
  }
}

bool json_next_member(const char **at, struct json_member *member) {
  const char *next = skip_space(*at);

  if (*next == '}') {
    return false;
  }
  next = skip_space(next + 1); /* past the opening brace or a comma */
  if (*next == '}') {
    return false;
  }
  member->key = next;
  next = skip_string(next);
  member->key_length = (size_t)(next - member->key);
  next = skip_space(skip_space(next) + 1);
  member->value = next;
  next = skip_value(next);
  member->value_length = (size_t)(next - member->value);
  member->kind = json_kind_of(*member->value);
  *at = next;
  return true;
}

bool json_unquote(const char *string, size_t length, char *to) {
  cJSON *item;

  if (memchr(string, '\\', length) == NULL) {
    memcpy(to, string + 1, length - 2);
    to[length - 2] = '\0';
    return true;
  }
  item = cJSON_ParseWithLength(string, length);
  if (item == NULL) {
    return false;
  }
  memcpy(to, item->valuestring, strlen(item->valuestring) + 1);
  cJSON_Delete(item);
  return true;
}

bool json_integer(const char *number, size_t length, int64_t *integer) {
  char *end;

  errno = 0;
  *integer = strtoll(number, &end, 10);
  return errno == 0 && end == number + length;
}

bool json_real(const char *number, size_t length, double *real) {
  cJSON *item = length <= 63 ? cJSON_ParseWithLength(number, length) : NULL; /* cJSON cuts there */

  if (item == NULL) {
    return false;
  }
  *real = item->valuedouble;
  cJSON_Delete(item);
  return true;
}

bool json_add_integer(cJSON *object, const char *key, int64_t integer) {
  char text[24];

  snprintf(text, sizeof text, "%" PRId64, integer);
  return cJSON_AddRawToObject(object, key, text) != NULL;
}

char *json_finish(cJSON *object, bool is_whole) {
  char *printed = object != NULL && is_whole ? cJSON_PrintUnformatted(object) : NULL;
  char *text =
      printed != NULL ? strdup(printed) : NULL; /* cJSON may have an allocator of its own */

  cJSON_free(printed);
  cJSON_Delete(object);
  return text;
}
