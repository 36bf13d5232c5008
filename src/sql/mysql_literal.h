/*
 * Values as literals of MySQL's SQL.
 *
 * The engine sends values in the text of its statements: so a whole transaction fits in one packet
 * and one round trip, which prepared statements cannot do (docs/mysql.md has the measurements). A
 * text is therefore always written by this file, which makes of any bytes a literal that the server
 * reads back as the same bytes.
 */
#ifndef SQL_MYSQL_LITERAL_H
#define SQL_MYSQL_LITERAL_H

#include <stdbool.h>
#include <stdint.h>

#include "model/columns.h"
#include "sql/buffer.h"

/*
 * Where a statement is written, and how its values are. The connection's character set must be
 * utf8mb4, in which no byte of a longer character is a quote or a backslash.
 */
struct mydb_writer {
  struct buffer *buffer; /* not owned */
  bool backslashes;      /* a backslash in a literal escapes, unless sql_mode has
                            NO_BACKSLASH_ESCAPES: the server's own word, from its last answer */
  bool outline;          /* for the log: ? for each value, one for each list */
};

/* Appends a text in quotes, ended by zero. */
void mydb_literal_text(struct mydb_writer *writer, const char *text);

/* Appends a number. */
void mydb_literal_integer(struct mydb_writer *writer, int64_t integer);

/* Appends a column's value. */
void mydb_literal_value(struct mydb_writer *writer, const struct value *value);

#endif
