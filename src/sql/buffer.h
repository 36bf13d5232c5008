/* A text that grows: SQL is made in it. A failed allocation sticks and is seen at the end. */
#ifndef SQL_BUFFER_H
#define SQL_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct buffer {
  char *text; /* ended by zero; NULL while empty */
  size_t length;
  size_t size;
  bool failed; /* memory ran out: the text is not whole */
};

void buffer_append(struct buffer *buffer, const char *text);
void buffer_append_bytes(struct buffer *buffer, const void *bytes, size_t length);
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buffer_reset(struct buffer *buffer); /* empties, keeps the memory */
void buffer_free(struct buffer *buffer);

/* The text for the caller to free(); NULL when an allocation failed. The buffer is empty after. */
char *buffer_take(struct buffer *buffer);

#endif
