/* Reads and writes durations, times and texts for people. */
#include "cli/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include <evdurable/execution.h>

static const struct unit {
  const char *name;
  int64_t milliseconds;
} units[] = {{"w", 604800000}, {"d", 86400000}, {"h", 3600000},
             {"m", 60000},     {"s", 1000},     {"ms", 1}};

enum { UNIT_COUNT = sizeof units / sizeof units[0] };

/* The unit whose name these letters are; NULL when there is none. */
static const struct unit *find_unit(const char *name, size_t length) {
  for (size_t i = 0; i < UNIT_COUNT; i++) {
    if (strlen(units[i].name) == length && memcmp(units[i].name, name, length) == 0) {
      return &units[i];
    }
  }
  return NULL;
}

bool text_read_duration(const char *text, int64_t *milliseconds) {
  *milliseconds = 0;
  if (strcmp(text, "0") == 0) {
    return true;
  }
  if (*text == '\0') {
    return false;
  }
  while (*text != '\0') {
    char *end;
    int64_t part;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    size_t length = strspn(end, "abcdefghijklmnopqrstuvwxyz");
    const struct unit *unit = find_unit(end, length);
    if (!isdigit((unsigned char)*text) || errno != 0 || unit == NULL ||
        __builtin_mul_overflow(number, unit->milliseconds, &part) ||
        __builtin_add_overflow(*milliseconds, part, milliseconds)) {
      return false;
    }
    text = end + length;
  }
  return *milliseconds <= (INT64_C(1) << 53) - 1;
}

bool text_read_number(const char *text, int64_t min, int64_t *number) {
  char *end;
  errno = 0;
  *number = strtoll(text, &end, 10);
  return isdigit((unsigned char)*text) && errno == 0 && *end == '\0' && *number >= min;
}

void text_duration(int64_t milliseconds, char *text, size_t size) {
  if (milliseconds < 1000) {
    snprintf(text, size, "%" PRId64 "ms", milliseconds);
  } else if (milliseconds < 60000) {
    snprintf(text, size, "%.1fs", (double)milliseconds / 1000);
  } else {
    size_t first = 1; /* weeks are not how one reads */
    while (units[first].milliseconds > milliseconds) {
      first++;
    }
    int64_t rest = milliseconds % units[first].milliseconds / units[first + 1].milliseconds;
    snprintf(text, size, "%" PRId64 "%s %" PRId64 "%s", milliseconds / units[first].milliseconds,
             units[first].name, rest, units[first + 1].name);
  }
}

void text_time(int64_t milliseconds, char *text, size_t size) {
  text[0] = '\0';
  time_t seconds = (time_t)(milliseconds / 1000);
  struct tm parts;
  if (milliseconds != EVD_NONE && gmtime_r(&seconds, &parts) != NULL) {
    strftime(text, size, "%Y-%m-%d %H:%M:%SZ", &parts);
  }
}

static bool begins_character(char byte) {
  return ((unsigned char)byte & 0xc0) != 0x80;
}

/* How many bytes the character at this place has. */
static size_t character_size(const char *at) {
  size_t size = 1;
  while (!begins_character(at[size])) {
    size++;
  }
  return size;
}

/* How many columns of a terminal the character at this place takes: by the locale, which main()
 * sets. */
static size_t character_width(const char *at) {
  wchar_t character;
  mbstate_t state = {0};
  size_t size = character_size(at);
  int width = mbrtowc(&character, at, size, &state) == size ? wcwidth(character) : 1;
  return width < 0 ? 1 : (size_t)width;
}

size_t text_width(const char *text) {
  size_t width = 0;
  for (; *text != '\0'; text += character_size(text)) {
    width += character_width(text);
  }
  return width;
}

/* Whether a terminal could take the character for a command: ASCII's, or U+0080 to U+009F. */
static bool is_control(const char *at) {
  unsigned char byte = (unsigned char)at[0];
  return byte < 0x20 || byte == 0x7f || (byte == 0xc2 && (unsigned char)at[1] < 0xa0);
}

void text_printable(const char *from, size_t columns, char *text, size_t size) {
  bool cut = text_width(from) > columns;
  size_t kept = cut && columns > 3 ? columns - 3 : columns;
  size_t length = 0;
  while (*from != '\0') {
    size_t bytes = is_control(from) ? 1 : character_size(from);
    size_t width = character_width(from);
    if (width > kept || length + bytes + 4 > size) {
      break;
    }
    if (is_control(from)) {
      text[length] = '?';
    } else {
      memcpy(text + length, from, bytes);
    }
    length += bytes;
    from += character_size(from);
    kept -= width;
  }
  snprintf(text + length, size - length, "%s", *from != '\0' && columns > 3 ? "..." : "");
}
