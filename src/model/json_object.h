/*
 * JSON objects whose members are exact. cJSON holds numbers as doubles; so an object is read as
 * parts of its text, and integers and documents are written as they are.
 */
#ifndef MODEL_JSON_OBJECT_H
#define MODEL_JSON_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "model/json.h"

/* One member. The parts point into the object's text and are not ended by zero. */
struct json_member {
  const char *key; /* the string with its quotes and escapes */
  size_t key_length;
  const char *value;
  size_t value_length;
  enum json_kind kind; /* of the value */
};

/* Steps to the next member; false past the last. *at begins as the text of an object that
 * json_scan() found valid; nothing else is safe. */
bool json_next_member(const char **at, struct json_member *member);

/* Writes what a string for which json_string_is_text() stands for, ended by zero: never more than
 * its length. False if memory ran out. */
bool json_unquote(const char *string, size_t length, char *to);

/* Reads a number that is spelled as an integer; false when it is not, or does not fit. */
bool json_integer(const char *number, size_t length, int64_t *integer);

/* Reads a number; false when it is spelled with more than 63 characters or memory ran out. */
bool json_real(const char *number, size_t length, double *real);

/* Adds an integer to an object; false if memory ran out. */
bool json_add_integer(cJSON *object, const char *key, int64_t integer);

/* The text of an object, to be released with free(), and the end of the object. NULL when the
 * object is NULL or not whole, or memory ran out. */
char *json_finish(cJSON *object, bool is_whole);

#endif
