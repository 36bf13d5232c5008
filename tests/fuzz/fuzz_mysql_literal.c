/*
 * Texts as MySQL literals: what the server's lexer reads between the quotes is the text, and the
 * literal ends where it should, so that no text can end the statement. And error messages of any
 * form.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/mysql/errors.h"
#include "sql/mysql_literal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a backslash and this character stand for. */
static char unescape(char c) {
  switch (c) {
  case 'n': return '\n';
  case 't': return '\t';
  case 'r': return '\r';
  case 'b': return '\b';
  case '0': return '\0';
  case 'Z': return '\032';
  default: return c; /* % and _ keep the backslash, which we do not write before them */
  }
}

/* Reads a literal as the server does; the bytes read, and in *end what follows it. NULL when it
 * does not end. */
static char *read_literal(const char *sql, bool backslashes, const char **end, size_t *length) {
  char *text = malloc(strlen(sql) + 1);
  if (text == NULL || *sql++ != '\'') {
    abort();
  }
  for (*length = 0;; sql++) {
    if (*sql == '\0') {
      free(text);
      return NULL;
    }
    if (*sql == '\\' && backslashes) {
      text[(*length)++] = unescape(*++sql);
    } else if (*sql == '\'' && sql[1] == '\'') {
      text[(*length)++] = *sql++;
    } else if (*sql == '\'') {
      *end = sql + 1;
      return text;
    } else {
      text[(*length)++] = *sql;
    }
  }
}

static void check_literal(const char *text, bool backslashes) {
  struct buffer buffer = {0};
  struct mydb_writer writer = {&buffer, backslashes, false};
  mydb_literal_text(&writer, text);
  buffer_append(&buffer, ";drop");
  if (buffer.failed) {
    abort();
  }
  const char *end;
  size_t length;
  char *read = read_literal(buffer.text, backslashes, &end, &length);
  if (read == NULL || length != strlen(text) || memcmp(read, text, length) != 0 ||
      strcmp(end, ";drop") != 0) {
    abort();
  }
  free(read);
  buffer_free(&buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);
  if (text == NULL) {
    abort();
  }
  if (size > 0) {
    memcpy(text, data, size);
  }
  text[size] = '\0';
  check_literal(text, true);
  check_literal(text, false);

  static const unsigned numbers[] = {1062, 1406, 1366, 3140, 3819, 4025, 1048, 2013};
  struct mydb_table table = {.id_index = "PRIMARY", .unique_id_index = "u"};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    evd_error error;
    mydb_errors_fill(numbers[i], text, &table, &error);
    if (error.code == EVD_OK) {
      abort();
    }
  }
  free(text);
  return 0;
}
