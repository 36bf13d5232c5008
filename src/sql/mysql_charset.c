/* Which texts the character set of a column can hold. */
#include "sql/mysql_charset.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static const struct {
  const char *prefix;
  enum mydb_charset charset;
} charsets[] = {{"utf8mb3_", MYDB_CHARSET_BMP},
                {"utf8_", MYDB_CHARSET_BMP},
                {"ucs2_", MYDB_CHARSET_BMP},
                {"latin1_", MYDB_CHARSET_LATIN1},
                {"ascii_", MYDB_CHARSET_ASCII}};

enum mydb_charset mydb_charset_of(const char *collation) {
  for (size_t i = 0; collation != NULL && i < sizeof charsets / sizeof charsets[0]; i++) {
    if (strncmp(collation, charsets[i].prefix, strlen(charsets[i].prefix)) == 0) {
      return charsets[i].charset;
    }
  }
  return MYDB_CHARSET_ALL;
}

/* The character at *text, which moves on. */
static uint32_t next_character(const unsigned char **text) {
  const unsigned char *at = *text;
  int more = at[0] < 0x80 ? 0 : at[0] < 0xe0 ? 1 : at[0] < 0xf0 ? 2 : 3;
  uint32_t character = more == 0 ? at[0] : at[0] & (0x3fU >> more);
  for (int i = 1; i <= more; i++) {
    character = character << 6 | (at[i] & 0x3fU);
  }
  *text = at + more + 1;
  return character;
}

/* The server's latin1 is Windows' code page 1252; the bytes that this leaves open are C1
 * controls. */
static bool is_latin1(uint32_t character) {
  static const uint16_t others[] = {0x81,   0x8d,   0x8f,   0x90,   0x9d,   0x0152, 0x0153, 0x0160,
                                    0x0161, 0x0178, 0x017d, 0x017e, 0x0192, 0x02c6, 0x02dc, 0x2013,
                                    0x2014, 0x2018, 0x2019, 0x201a, 0x201c, 0x201d, 0x201e, 0x2020,
                                    0x2021, 0x2022, 0x2026, 0x2030, 0x2039, 0x203a, 0x20ac, 0x2122};
  if (character < 0x80 || (character >= 0xa0 && character <= 0xff)) {
    return true;
  }
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    if (character == others[i]) {
      return true;
    }
  }
  return false;
}

static bool holds_character(enum mydb_charset charset, uint32_t character) {
  switch (charset) {
  case MYDB_CHARSET_ALL: return true;
  case MYDB_CHARSET_BMP: return character <= 0xffff;
  case MYDB_CHARSET_LATIN1: return is_latin1(character);
  case MYDB_CHARSET_ASCII: return character <= 0x7f;
  }
  return true;
}

bool mydb_charset_holds(enum mydb_charset charset, const char *text) {
  const unsigned char *at = (const unsigned char *)text;
  while (charset != MYDB_CHARSET_ALL && *at != 0) {
    if (!holds_character(charset, next_character(&at))) {
      return false;
    }
  }
  return true;
}
