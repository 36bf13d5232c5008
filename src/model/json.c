/* A strict scanner of JSON texts. */
#include "model/json.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define BYTES(byte) (UINT64_C(0x0101010101010101) * (byte))

/*
 * What the scanner expects next, white space aside:
 *
 *   VALUE        a scalar ──> AFTER_VALUE;  [ ──> FIRST_VALUE;  { ──> FIRST_KEY
 *   FIRST_VALUE  ] ──> AFTER_VALUE;  else as VALUE
 *   KEY          a string and a colon ──> VALUE
 *   FIRST_KEY    } ──> AFTER_VALUE;  else as KEY
 *   AFTER_VALUE  the end, outside of all;  ] or } ──> AFTER_VALUE;
 *                a comma ──> VALUE in an array, KEY in an object
 */
enum state { VALUE, FIRST_VALUE, KEY, FIRST_KEY, AFTER_VALUE };

/* Where a scan is. `at` moves on; on failure it stays at the bad byte. */
struct scanner {
  const unsigned char *at;
  const unsigned char *end;
  const char *reason; /* NULL while all is well */
  size_t depth;
  size_t depth_max;
  uint64_t is_object[JSON_DEPTH_MAX / 64 + 1]; /* a bit for each open level: object or array */
  size_t digits_max;                           /* of a number that has an exponent, written out */
  size_t growth;                               /* of all such numbers, when they are written out */
  bool has_zero;                               /* a string has \u0000 */
  bool has_unpaired;                           /* a string has an unpaired surrogate */
};

static bool fail(struct scanner *scanner, const unsigned char *at, const char *reason) {
  scanner->at = at;
  scanner->reason = reason;
  return false;
}

/* The failure of finding something else than what must stand here. */
static bool fail_unexpected(struct scanner *scanner, const unsigned char *at) {
  return fail(scanner, at, at == scanner->end ? "unexpected end" : "unexpected character");
}

/* The next byte; 0, which nothing expects, at the end. */
static unsigned char peek(const struct scanner *scanner) {
  return scanner->at < scanner->end ? *scanner->at : 0;
}

static bool is_digit(unsigned char byte) {
  return byte >= '0' && byte <= '9';
}

/* Eight bytes as a number whose lowest byte is the first. */
static uint64_t load(const unsigned char *at) {
  uint64_t word;

  memcpy(&word, at, sizeof word);
  return le64toh(word);
}

/*
 * The top bits of the bytes of a word that are not plain in a string: quotes, backslashes, control
 * characters and those past ASCII. The lowest bit that is set is right; a borrow may set others
 * above it.
 */
static uint64_t special_bytes(uint64_t word) {
  uint64_t quote = (word ^ BYTES('"')) - BYTES(1);
  uint64_t backslash = (word ^ BYTES('\\')) - BYTES(1);
  uint64_t control = word - BYTES(0x20);

  return (quote | backslash | control | word) & BYTES(0x80);
}

/* Past the plain bytes of a string. */
static const unsigned char *skip_plain(const unsigned char *at, const unsigned char *end) {
  while (end - at >= 32) {
    uint64_t special = special_bytes(load(at)) | special_bytes(load(at + 8)) |
                       special_bytes(load(at + 16)) | special_bytes(load(at + 24));
    if (special != 0) {
      break;
    }
    at += 32;
  }
  while (end - at >= 8) {
    uint64_t special = special_bytes(load(at));
    if (special != 0) {
      return at + __builtin_ctzll(special) / 8;
    }
    at += 8;
  }
  while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\') {
    at++;
  }
  return at;
}

/* The bytes of the UTF-8 character past ASCII that begins here; 0 when it is none. */
static size_t utf8_length(const unsigned char *at, const unsigned char *end) {
  size_t left = (size_t)(end - at);
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  size_t length;

  if (at[0] >= 0xc2 && at[0] <= 0xdf) {
    length = 2;
  } else if (at[0] >= 0xe0 && at[0] <= 0xef) {
    length = 3;
    low = at[0] == 0xe0 ? 0xa0 : low;   /* no overlong forms */
    high = at[0] == 0xed ? 0x9f : high; /* no surrogates */
  } else if (at[0] >= 0xf0 && at[0] <= 0xf4) {
    length = 4;
    low = at[0] == 0xf0 ? 0x90 : low;
    high = at[0] == 0xf4 ? 0x8f : high; /* nothing past U+10FFFF */
  } else {
    return 0;
  }
  if (left < length || at[1] < low || at[1] > high) {
    return 0;
  }
  for (size_t i = 2; i < length; i++) {
    if ((at[i] & 0xc0) != 0x80) {
      return 0;
    }
  }
  return length;
}

bool utf8_is_valid(const char *text, size_t length) {
  const unsigned char *at = (const unsigned char *)text;
  const unsigned char *end = at + length;

  while (at < end) {
    if (end - at >= 8 && (load(at) & BYTES(0x80)) == 0) {
      at += 8;
    } else if (*at < 0x80) {
      at++;
    } else {
      size_t bytes = utf8_length(at, end);
      if (bytes == 0) {
        return false;
      }
      at += bytes;
    }
  }
  return true;
}

/* The value of four hexadecimal digits; -1 when they are not. */
static int hex4(const unsigned char *at, const unsigned char *end) {
  int value = 0;

  if (end - at < 4) {
    return -1;
  }
  for (int i = 0; i < 4; i++) {
    unsigned char lower = at[i] | 0x20;
    if (is_digit(at[i])) {
      value = value * 16 + (at[i] - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      value = value * 16 + (lower - 'a' + 10);
    } else {
      return -1;
    }
  }
  return value;
}

/* Past \uXXXX, or two of them that make a pair of surrogates. An unpaired one is valid by RFC 8259
 * (and JavaScript writes it), but it is not Unicode text. */
static bool scan_unicode_escape(struct scanner *scanner) {
  const unsigned char *at = scanner->at;
  int unit = hex4(at + 2, scanner->end);

  if (unit < 0) {
    return fail(scanner, at, "bad escape");
  }
  scanner->at = at + 6;
  if (unit == 0) {
    scanner->has_zero = true;
  }
  if (unit < 0xd800 || unit > 0xdfff) {
    return true;
  }
  if (unit <= 0xdbff && scanner->end - scanner->at >= 6 && at[6] == '\\' && at[7] == 'u') {
    int low = hex4(at + 8, scanner->end);
    if (low >= 0xdc00 && low <= 0xdfff) {
      scanner->at = at + 12;
      return true;
    }
  }
  scanner->has_unpaired = true; /* what follows stands for itself */
  return true;
}

/* Past an escape. */
static bool scan_escape(struct scanner *scanner) {
  const unsigned char *at = scanner->at;

  if (scanner->end - at < 2) {
    return fail(scanner, scanner->end, "unexpected end");
  }
  switch (at[1]) {
  case '"':
  case '\\':
  case '/':
  case 'b':
  case 'f':
  case 'n':
  case 'r':
  case 't': scanner->at += 2; return true;
  case 'u': return scan_unicode_escape(scanner);
  default: return fail(scanner, at, "bad escape");
  }
}

/* Past characters beyond ASCII. */
static bool scan_utf8(struct scanner *scanner) {
  while (scanner->at < scanner->end && *scanner->at >= 0x80) {
    size_t length = utf8_length(scanner->at, scanner->end);
    if (length == 0) {
      return fail(scanner, scanner->at, "invalid UTF-8");
    }
    scanner->at += length;
  }
  return true;
}

/* Past a string, whose opening quote is here. */
static bool scan_string(struct scanner *scanner) {
  scanner->at++;
  while ((scanner->at = skip_plain(scanner->at, scanner->end)) < scanner->end) {
    unsigned char byte = *scanner->at;
    if (byte == '"') {
      scanner->at++;
      return true;
    }
    if (byte < 0x20) {
      return fail(scanner, scanner->at, "control character in a string");
    }
    if (byte == '\\' ? !scan_escape(scanner) : !scan_utf8(scanner)) {
      return false;
    }
  }
  return fail(scanner, scanner->end, "unexpected end");
}

/* Past one or more digits; NULL when there is none. */
static const unsigned char *skip_digits(const unsigned char *at, const unsigned char *end) {
  const unsigned char *start = at;

  while (at < end && is_digit(*at)) {
    at++;
  }
  return at == start ? NULL : at;
}

/* The number of these digits, or a large one where it is larger. */
static size_t read_exponent(const unsigned char *at, const unsigned char *end) {
  enum { LARGE = 100000000 };
  size_t exponent = 0;

  for (; at < end && exponent < LARGE; at++) {
    exponent = exponent * 10 + (*at - '0');
  }
  return exponent;
}

/* Notes how long a number would be without its exponent, whose digits are from `exponent` to
 * `end`. */
static void note_exponent(struct scanner *scanner, const unsigned char *exponent,
                          const unsigned char *end) {
  size_t spelled = (size_t)(end - scanner->at);
  size_t digits = spelled + read_exponent(exponent, end); /* a few too many */

  if (digits > scanner->digits_max) {
    scanner->digits_max = digits;
  }
  scanner->growth += digits - spelled;
}

/* Past a number, which begins here with a minus or a digit. */
static bool scan_number(struct scanner *scanner) {
  const unsigned char *end = scanner->end;
  const unsigned char *at = scanner->at;
  const unsigned char *digits;

  if (*at == '-') {
    at++;
  }
  digits = at;
  at = at < end && *at == '0' ? at + 1 : skip_digits(at, end);
  if (at != NULL && at < end && *at == '.') {
    digits = at + 1;
    at = skip_digits(digits, end);
  }
  if (at != NULL && at < end && (*at | 0x20) == 'e') {
    digits = at + 1;
    if (digits < end && (*digits == '+' || *digits == '-')) {
      digits++;
    }
    at = skip_digits(digits, end);
    if (at != NULL) {
      note_exponent(scanner, digits, at);
    }
  }
  if (at == NULL) {
    return fail_unexpected(scanner, digits);
  }
  scanner->at = at;
  return true;
}

/* Past a word: true, false or null. */
static bool scan_word(struct scanner *scanner, const char *word) {
  for (; *word != '\0'; word++, scanner->at++) {
    if (peek(scanner) != (unsigned char)*word) {
      return fail_unexpected(scanner, scanner->at);
    }
  }
  return true;
}

static bool open_level(struct scanner *scanner, bool is_object) {
  uint64_t bit = UINT64_C(1) << scanner->depth % 64;

  if (scanner->depth == scanner->depth_max) {
    return fail(scanner, scanner->at, "nesting that is too deep");
  }
  if (is_object) {
    scanner->is_object[scanner->depth / 64] |= bit;
  } else {
    scanner->is_object[scanner->depth / 64] &= ~bit;
  }
  scanner->depth++;
  scanner->at++;
  return true;
}

/* Whether the innermost open level is an object's. */
static bool in_object(const struct scanner *scanner) {
  size_t level = scanner->depth - 1;

  return (scanner->is_object[level / 64] >> level % 64 & 1) != 0;
}

static void close_level(struct scanner *scanner, enum state *state) {
  scanner->depth--;
  scanner->at++;
  *state = AFTER_VALUE;
}

/* Past a scalar value, or into an array or object. */
static bool scan_value(struct scanner *scanner, enum state *state) {
  *state = AFTER_VALUE;
  switch (peek(scanner)) {
  case '{': *state = FIRST_KEY; return open_level(scanner, true);
  case '[': *state = FIRST_VALUE; return open_level(scanner, false);
  case '"': return scan_string(scanner);
  case 't': return scan_word(scanner, "true");
  case 'f': return scan_word(scanner, "false");
  case 'n': return scan_word(scanner, "null");
  case '-':
  case '0':
  case '1':
  case '2':
  case '3':
  case '4':
  case '5':
  case '6':
  case '7':
  case '8':
  case '9': return scan_number(scanner);
  default: return fail_unexpected(scanner, scanner->at);
  }
}

static bool is_space(unsigned char byte) {
  return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static void skip_space(struct scanner *scanner) {
  const unsigned char *at = scanner->at;

  while (at < scanner->end && is_space(*at)) {
    at++;
  }
  scanner->at = at;
}

/* Past a member's key and its colon. */
static bool scan_key(struct scanner *scanner, enum state *state) {
  if (peek(scanner) != '"') {
    return fail_unexpected(scanner, scanner->at);
  }
  if (!scan_string(scanner)) {
    return false;
  }
  skip_space(scanner);
  if (peek(scanner) != ':') {
    return fail_unexpected(scanner, scanner->at);
  }
  scanner->at++;
  *state = VALUE;
  return true;
}

/* Past the comma or the bracket that follows a value inside an array or object. */
static bool scan_separator(struct scanner *scanner, enum state *state) {
  bool is_object = in_object(scanner);
  unsigned char byte = peek(scanner);

  if (byte == ',') {
    scanner->at++;
    *state = is_object ? KEY : VALUE;
    return true;
  }
  if (byte != (is_object ? '}' : ']')) {
    return fail_unexpected(scanner, scanner->at);
  }
  close_level(scanner, state);
  return true;
}

/* Past the whole document. */
static bool scan_document(struct scanner *scanner) {
  enum state state = VALUE;
  bool good = true;

  while (good) {
    skip_space(scanner);
    switch (state) {
    case FIRST_VALUE:
      if (peek(scanner) == ']') {
        close_level(scanner, &state);
      } else {
        good = scan_value(scanner, &state);
      }
      break;
    case VALUE: good = scan_value(scanner, &state); break;
    case FIRST_KEY:
      if (peek(scanner) == '}') {
        close_level(scanner, &state);
      } else {
        good = scan_key(scanner, &state);
      }
      break;
    case KEY: good = scan_key(scanner, &state); break;
    case AFTER_VALUE:
      if (scanner->depth == 0) {
        return scanner->at == scanner->end || fail_unexpected(scanner, scanner->at);
      }
      good = scan_separator(scanner, &state);
      break;
    }
  }
  return false;
}

enum json_kind json_kind_of(char first) {
  switch (first) {
  case '{': return JSON_OBJECT;
  case '[': return JSON_ARRAY;
  case '"': return JSON_STRING;
  case 't': return JSON_TRUE;
  case 'f': return JSON_FALSE;
  case 'n': return JSON_NULL;
  default: return JSON_NUMBER;
  }
}

/* Scans a document of limited depth. */
static enum json_kind scan(const char *text, size_t length, size_t depth_max, const char **reason,
                           size_t *offset) {
  const unsigned char *start = (const unsigned char *)text;
  struct scanner scanner = {.at = start, .end = start + length, .depth_max = depth_max};

  if (!scan_document(&scanner)) {
    if (reason != NULL) {
      *reason = scanner.reason;
    }
    if (offset != NULL) {
      *offset = (size_t)(scanner.at - start);
    }
    return JSON_INVALID;
  }
  scanner.at = start;
  skip_space(&scanner);
  return json_kind_of((char)*scanner.at);
}

enum json_kind json_scan(const char *text, size_t length, const char **reason, size_t *offset) {
  return scan(text, length, JSON_DEPTH_MAX, reason, offset);
}

enum json_kind json_scan_outer(const char *text, size_t length, const char **reason,
                               size_t *offset) {
  return scan(text, length, JSON_DEPTH_MAX + 1, reason, offset);
}

/* Whether there is a digit, an "e" and a number of three digits, in a number or not. Most documents
 * have none, and need no scan. */
static bool may_swell(const char *text) {
  const char *at = text;

  while ((at = strpbrk(at, "eE")) != NULL) {
    const char *exponent = at + 1 + (at[1] == '-' || at[1] == '+');
    if (at > text && is_digit((unsigned char)at[-1]) && strspn(exponent, "0123456789") >= 3) {
      return true;
    }
    at++;
  }
  return false;
}

const char *json_jsonb_refuses(const char *text) {
  /* Any double fits in this many digits; GROWTH_MAX is in bytes. */
  enum { DIGITS_MAX = 400, GROWTH_MAX = 16 * 1024 * 1024 };
  const unsigned char *start = (const unsigned char *)text;
  struct scanner scanner = {
      .at = start, .end = start + strlen(text), .depth_max = JSON_DEPTH_MAX + 1};

  if (strstr(text, "\\u") == NULL && !may_swell(text)) {
    return NULL;
  }
  (void)scan_document(&scanner);
  if (scanner.has_unpaired) {
    return "an unpaired surrogate, which jsonb cannot hold";
  }
  if (scanner.has_zero) {
    return "\\u0000, which jsonb cannot hold";
  }
  if (scanner.digits_max > DIGITS_MAX) {
    return "a number of more than 400 digits when it is written without an exponent, as jsonb does";
  }
  if (scanner.growth > GROWTH_MAX) {
    return "numbers that grow by more than 16 MiB when they are written without exponents, as "
           "jsonb does";
  }
  return NULL;
}

bool json_string_is_text(const char *string, size_t length) {
  const unsigned char *start = (const unsigned char *)string;
  struct scanner scanner = {.at = start, .end = start + length};

  return memchr(string, '\\', length) == NULL ||
         (scan_string(&scanner) && !scanner.has_zero && !scanner.has_unpaired);
}

void json_compact(const char *text, char *to) {
  bool in_string = false;

  for (; *text != '\0'; text++) {
    if (!in_string && is_space((unsigned char)*text)) {
      continue;
    }
    if (*text == '\\') { /* only in a string; what follows does not end it */
      *to++ = *text++;
    } else if (*text == '"') {
      in_string = !in_string;
    }
    *to++ = *text;
  }
  *to = '\0';
}
