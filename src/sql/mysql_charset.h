/*
 * What the character set of a column can hold. MySQL refuses to compare a column with a text that its
 * character set cannot hold (error 1267), with whatever else is in the statement; such a text is in no row.
 */
#ifndef SQL_MYSQL_CHARSET_H
#define SQL_MYSQL_CHARSET_H

#include <stdbool.h>

enum mysql_charset {
  MYSQL_CHARSET_ALL, /* every character; or it is not known what */
  MYSQL_CHARSET_BMP, /* utf8mb3, ucs2: those of three bytes in UTF-8 */
  MYSQL_CHARSET_LATIN1,
  MYSQL_CHARSET_ASCII
};

/* By a collation, e.g. "latin1_bin"; NULL for that of a binary string. */
enum mysql_charset mysql_charset_of(const char *collation);

/* Whether it can hold a text of valid UTF-8. */
bool mysql_charset_holds(enum mysql_charset charset, const char *text);

#endif
