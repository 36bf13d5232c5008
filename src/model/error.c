/* Fills in errors. */
#include "model/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model/json.h"

static const char *const code_names[EVD_CODE_COUNT] = {
    [EVD_OK] = "EVD_OK",
    [EVD_EPENDING] = "EVD_EPENDING",
    [EVD_EINVAL] = "EVD_EINVAL",
    [EVD_EDUPLICATE] = "EVD_EDUPLICATE",
    [EVD_ECONSTRAINT] = "EVD_ECONSTRAINT",
    [EVD_EBUSY] = "EVD_EBUSY",
    [EVD_ETIMEDOUT] = "EVD_ETIMEDOUT",
    [EVD_ECANCELED] = "EVD_ECANCELED",
    [EVD_ECLOSED] = "EVD_ECLOSED",
    [EVD_EUNAVAILABLE] = "EVD_EUNAVAILABLE",
    [EVD_ECONFLICT] = "EVD_ECONFLICT",
    [EVD_ESCHEMA] = "EVD_ESCHEMA",
    [EVD_EDATABASE] = "EVD_EDATABASE",
    [EVD_ENOMEM] = "EVD_ENOMEM",
    [EVD_EMISUSE] = "EVD_EMISUSE",
};

const char *evd_code_name(evd_code code) {
  return (unsigned)code < EVD_CODE_COUNT ? code_names[code] : "EVD_?";
}

/* Whether an error of this kind may go away by itself. */
static bool code_is_retryable(evd_code code) {
  return code == EVD_EBUSY || code == EVD_ETIMEDOUT || code == EVD_EUNAVAILABLE ||
         code == EVD_ECONFLICT;
}

/* Ends a text that was cut at `length` bytes so that no part of a UTF-8 character is left at its
 * end. */
static void end_at_character(char *text, size_t length) {
  size_t start = length;

  while (start > 0 && length - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80) {
    start--;
  }
  if (start > 0) {
    unsigned char lead = (unsigned char)text[start - 1];
    size_t needed = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (needed > 1 && length - (start - 1) < needed) {
      length = start - 1;
    }
  }
  text[length] = '\0';
}

/* Copies a text to a member of an error, cut to fit. */
static void copy_cut(char *to, size_t size, const char *from) {
  size_t length = strnlen(from, size);

  if (length < size) {
    memcpy(to, from, length + 1);
  } else {
    memcpy(to, from, size - 1);
    end_at_character(to, size - 1);
  }
}

/* Where the text is not UTF-8, as a database or an operating system may write it: puts replacement
 * characters in the place of the bytes that are none, as far as there is room. */
static void make_valid(char *text, size_t size) {
  static const char replacement[] = "\xef\xbf\xbd";
  enum { CHARACTER_MAX = 4, ERROR_TEXT_MAX = sizeof(evd_error) };
  char valid[ERROR_TEXT_MAX];
  size_t length = strlen(text);
  size_t end = 0;

  if (utf8_is_valid(text, length)) {
    return;
  }
  for (size_t at = 0, bytes; at < length; at += bytes) {
    const char *character = text + at;
    size_t most = length - at < CHARACTER_MAX ? length - at : CHARACTER_MAX;
    for (bytes = 1; bytes < most && !utf8_is_valid(character, bytes); bytes++) {
      ;
    }
    size_t put = bytes;
    if (!utf8_is_valid(character, bytes)) {
      bytes = 1;
      put = sizeof replacement - 1;
      character = replacement;
    }
    if (end + put >= size) {
      break;
    }
    memcpy(valid + end, character, put);
    end += put;
  }
  memcpy(text, valid, end);
  text[end] = '\0';
}

evd_code error_set(evd_error *error, evd_code code, const char *field, const char *format, ...) {
  va_list arguments;
  int length;

  if (error == NULL) {
    return code;
  }
  *error = (evd_error){.code = code, .retryable = code_is_retryable(code)};
  copy_cut(error->field, sizeof error->field, field);
  va_start(arguments, format);
  length = vsnprintf(error->message, sizeof error->message, format, arguments);
  va_end(arguments);
  if (length >= (int)sizeof error->message) {
    end_at_character(error->message, sizeof error->message - 1);
  }
  make_valid(error->message, sizeof error->message);
  make_valid(error->field, sizeof error->field);
  return code;
}

evd_code error_set_no_memory(evd_error *error) {
  return error_set(error, EVD_ENOMEM, "", "out of memory");
}

void error_set_native(evd_error *error, const char *native) {
  if (error != NULL) {
    copy_cut(error->native, sizeof error->native, native);
  }
}
