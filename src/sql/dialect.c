/* The list of dialects, and what is asked of one. */
#include "sql/dialect.h"

#include <string.h>

#include "model/error.h"

const struct dialect *const dialects[] = {&dialect_sqlite, &dialect_postgres, &dialect_mysql, NULL};

/* Appends number i of a list for people: commas between, "or" before the last. */
static void append_choice(struct buffer *list, const char *text, size_t i, size_t count,
                          const char *quote) {
  const char *separator = i == 0 ? "" : i + 1 == count ? " or " : ", ";
  buffer_printf(list, "%s%s%s%s", separator, quote, text, quote);
}

const struct dialect *dialect_by_name(const char *name, evd_error *error) {
  size_t count = 0;
  for (; dialects[count] != NULL; count++) {
    if (name != NULL && strcmp(name, dialects[count]->name) == 0) {
      return dialects[count];
    }
  }
  struct buffer names = {0};
  for (size_t i = 0; i < count; i++) {
    append_choice(&names, dialects[i]->name, i, count, "\"");
  }
  error_set(error, EVD_EINVAL, "engine", "engine: not %s", names.failed ? "known" : names.text);
  buffer_free(&names);
  return NULL;
}

const char *dialect_scheme(const struct dialect *dialect, const char *url,
                           int (*compare)(const char *a, const char *b, size_t length)) {
  for (const char *const *scheme = dialect->schemes; *scheme != NULL; scheme++) {
    if (compare(url, *scheme, strlen(*scheme)) == 0) {
      return *scheme;
    }
  }
  return NULL;
}

evd_code dialect_error_no_scheme(evd_error *error) {
  struct buffer schemes = {0};
  size_t count = 0;
  for (size_t i = 0; dialects[i] != NULL; i++) {
    for (const char *const *scheme = dialects[i]->schemes; *scheme != NULL; scheme++) {
      count++;
    }
  }
  size_t number = 0;
  for (size_t i = 0; dialects[i] != NULL; i++) {
    for (const char *const *scheme = dialects[i]->schemes; *scheme != NULL; scheme++) {
      append_choice(&schemes, *scheme, number++, count, "");
    }
  }
  evd_code code = error_set(error, EVD_EINVAL, "url",
                            "url: this library has no engine for it; it must begin with %s",
                            schemes.failed ? "the engine's scheme" : schemes.text);
  buffer_free(&schemes);
  return code;
}

bool dialect_is_denied(const struct dialect *dialect, const char *native) {
  for (const char *const *code = dialect->denied; *code != NULL; code++) {
    if (strcmp(native, *code) == 0) {
      return true;
    }
  }
  return false;
}
