/* Durations, times and texts as people write and read them. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a duration: numbers with the units ms, s, m, h, d or w, as "7d" or "1h30m"; a bare 0. */
bool text_read_duration(const char *text, int64_t *milliseconds);

/* Reads a whole number of at least `min`. */
bool text_read_number(const char *text, int64_t min, int64_t *number);

/* Writes a duration with at most two units: "3d 4h", "12.5s", "250ms". */
void text_duration(int64_t milliseconds, char *text, size_t size);

/* Writes a time, UTC: "2025-06-15 14:26:40Z"; "" for EVD_NONE. */
void text_time(int64_t milliseconds, char *text, size_t size);

/* Writes a text so that it fits a line of a terminal: control characters become "?", and what is
 * wider than `columns` ends in "...". */
void text_printable(const char *from, size_t columns, char *text, size_t size);

/* How many columns of a terminal a text takes. */
size_t text_width(const char *text);

#endif
