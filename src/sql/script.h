/*
 * The whole schema as one script: the table, its indexes, and the trigger if it is wanted.
 */
#ifndef SQL_SCRIPT_H
#define SQL_SCRIPT_H

#include <evdurable/schema.h>

#include "sql/buffer.h"
#include "sql/sql.h"

/* Appends the statements, each ended by ";\n". The options' table has no meaning here. */
void script_append(struct buffer *buffer, const struct dialect *dialect,
                   const struct table_name *table, const evd_schema_options *options);

#endif
