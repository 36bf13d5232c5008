/*
 * What the character set of a column can hold. MySQL refuses to compare a column with a text that
 * its character set cannot hold (error 1267), with whatever else is in the statement; such a text
 * is in no row.
 */
#ifndef SQL_MYSQL_CHARSET_H
#define SQL_MYSQL_CHARSET_H

#include <stdbool.h>

enum mydb_charset {
  MYDB_CHARSET_ALL, /* every character; or it is not known what */
  MYDB_CHARSET_BMP, /* utf8mb3, ucs2: those of three bytes in UTF-8 */
  MYDB_CHARSET_LATIN1,
  MYDB_CHARSET_ASCII
};

/* By a collation, e.g. "latin1_bin"; NULL for that of a binary string. */
enum mydb_charset mydb_charset_of(const char *collation);

/* Whether it can hold a text of valid UTF-8. */
bool mydb_charset_holds(enum mydb_charset charset, const char *text);

#endif
