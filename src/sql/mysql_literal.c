/* Writes values as literals of MySQL's SQL. */
#include "sql/mysql_literal.h"

#include <string.h>

/* Appends a text in which each quote, and each backslash where it escapes, is doubled. */
static void append_doubled(struct buffer *buffer, const char *text, const char *doubled) {
  for (;;) {
    size_t plain = strcspn(text, doubled);
    if (text[plain] == '\0') {
      buffer_append_bytes(buffer, text, plain);
      return;
    }
    buffer_append_bytes(buffer, text, plain + 1);
    buffer_append_bytes(buffer, text + plain, 1);
    text += plain + 1;
  }
}

void mydb_literal_text(struct mydb_writer *writer, const char *text) {
  if (writer->outline) {
    buffer_append_bytes(writer->buffer, "?", 1);
    return;
  }
  buffer_append_bytes(writer->buffer, "'", 1);
  append_doubled(writer->buffer, text, writer->backslashes ? "'\\" : "'");
  buffer_append_bytes(writer->buffer, "'", 1);
}

void mydb_literal_integer(struct mydb_writer *writer, int64_t integer) {
  if (writer->outline) {
    buffer_append_bytes(writer->buffer, "?", 1);
    return;
  }
  char digits[24];
  char *first = digits + sizeof digits;
  uint64_t rest = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
  do {
    *--first = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest > 0);
  if (integer < 0) {
    *--first = '-';
  }
  buffer_append_bytes(writer->buffer, first, (size_t)(digits + sizeof digits - first));
}

void mydb_literal_value(struct mydb_writer *writer, const struct value *value) {
  switch (value->kind) {
  case VALUE_NULL: buffer_append(writer->buffer, writer->outline ? "?" : "null"); break;
  case VALUE_TEXT: mydb_literal_text(writer, value->text); break;
  case VALUE_INTEGER: mydb_literal_integer(writer, value->integer); break;
  }
}
