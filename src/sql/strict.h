/*
 * Strict transitions: a trigger in the database that refuses to change the status of a finished
 * execution, whoever tries. Its message ends in "status", the column that it is about.
 */
#ifndef SQL_STRICT_H
#define SQL_STRICT_H

#include "sql/buffer.h"
#include "sql/sql.h"

/* Appends the statements that make the trigger, or make it anew, each ended by ";\n". */
void strict_create(struct buffer *buffer, const struct dialect *dialect,
                   const struct table_name *table);

/* Appends the statements that take it away, if it is there, each ended by ";\n". */
void strict_drop(struct buffer *buffer, const struct dialect *dialect,
                 const struct table_name *table);

/* Appends the trigger's name, not quoted. */
void strict_name(struct buffer *buffer, const struct table_name *table);

#endif
