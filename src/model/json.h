/*
 * A strict scanner for JSON texts. cJSON, which reads and writes our JSON, accepts what databases
 * refuse (numbers like 01, control characters, broken UTF-8) and allocates for every value; this
 * one only says yes or no, on the hot path of every insert.
 */
#ifndef MODEL_JSON_H
#define MODEL_JSON_H

#include <stdbool.h>
#include <stddef.h>

enum json_kind {
  JSON_INVALID,
  JSON_OBJECT,
  JSON_ARRAY,
  JSON_STRING,
  JSON_NUMBER,
  JSON_TRUE,
  JSON_FALSE,
  JSON_NULL
};

/* The deepest nesting of arrays and objects in a document. */
enum { JSON_DEPTH_MAX = 512 };

/* The kind of the document's top value, or JSON_INVALID with *reason (static) and *offset (bytes).
 * See check_json() for what is valid. reason and offset may be NULL. */
enum json_kind json_scan(const char *text, size_t length, const char **reason, size_t *offset);

/* The same for an object whose members are documents: it may be one level deeper. */
enum json_kind json_scan_outer(const char *text, size_t length, const char **reason,
                               size_t *offset);

/* What a valid document has that PostgreSQL's jsonb does not take, or would write out at a much
 * greater length: a phrase (static), or NULL. */
const char *json_jsonb_refuses(const char *text);

/* Whether a valid string, with its quotes, stands for a text in C: one without \u0000 and unpaired
 * surrogates. */
bool json_string_is_text(const char *string, size_t length);

/* Copies a valid document without the white space outside its strings, ended by zero; `to` has room
 * for all of it. What comes out is one line: line breaks within strings are escapes. */
void json_compact(const char *text, char *to);

/* The kind of a valid value, by its first byte. */
enum json_kind json_kind_of(char first);

/* Whether the bytes are UTF-8 (no overlong forms, surrogates, or code points past U+10FFFF). */
bool utf8_is_valid(const char *text, size_t length);

#endif
