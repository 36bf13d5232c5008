/* A text that grows. */
#include "sql/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 256 };

/* Makes room for `length` more bytes and the ending zero; false, for good, if memory ran out. */
static bool buffer_reserve(struct buffer *buffer, size_t length) {
  if (buffer->failed) {
    return false;
  }
  if (length >= SIZE_MAX / 4 - buffer->length) {
    buffer->failed = true;
    return false;
  }

  size_t needed = buffer->length + length + 1;
  if (needed <= buffer->size) {
    return true;
  }

  size_t size = buffer->size > 0 ? buffer->size : FIRST_SIZE;
  while (size < needed) {
    size *= 2;
  }
  char *text = realloc(buffer->text, size);
  if (text == NULL) {
    buffer->failed = true;
    return false;
  }
  buffer->text = text;
  buffer->size = size;
  return true;
}

/* Appends a text ended by zero. */
void buffer_append(struct buffer *buffer, const char *text) {
  buffer_append_bytes(buffer, text, strlen(text));
}

/* Appends `length` bytes. */
void buffer_append_bytes(struct buffer *buffer, const void *bytes, size_t length) {
  if (!buffer_reserve(buffer, length)) {
    return;
  }
  if (length > 0) {
    memcpy(buffer->text + buffer->length, bytes, length);
  }
  buffer->length += length;
  buffer->text[buffer->length] = '\0';
}

/* Appends what printf would print for the format. */
void buffer_printf(struct buffer *buffer, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);

  if (length < 0) {
    buffer->failed = true;
    return;
  }
  if (!buffer_reserve(buffer, (size_t)length)) {
    return;
  }

  va_start(arguments, format);
  (void)vsnprintf(buffer->text + buffer->length, (size_t)length + 1, format, arguments);
  va_end(arguments);
  buffer->length += (size_t)length;
}

/* Empties the buffer, also of a failure; keeps its memory. */
void buffer_reset(struct buffer *buffer) {
  buffer->length = 0;
  buffer->failed = false;
  if (buffer->text != NULL) {
    buffer->text[0] = '\0';
  }
}

/* Gives the buffer's memory back; it is empty after and may be used again. */
void buffer_free(struct buffer *buffer) {
  free(buffer->text);
  *buffer = (struct buffer){0};
}

/* Hands the text over to the caller, "" when nothing was appended; see buffer.h. */
char *buffer_take(struct buffer *buffer) {
  buffer_append_bytes(buffer, "", 0); /* so that an empty buffer has a text, too */
  if (buffer->failed) {
    buffer_free(buffer);
    return NULL;
  }

  char *text = buffer->text;
  *buffer = (struct buffer){0};
  return text;
}
