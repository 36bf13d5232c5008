/*
 * The schema as scripts, whose statements each end in ";\n". The options' table has no meaning
 * here.
 */
#ifndef SQL_SCRIPT_H
#define SQL_SCRIPT_H

#include <evdurable/schema.h>

#include "sql/buffer.h"
#include "sql/sql.h"

/* Appends what makes a version whole where it is missing: the table, its indexes, and the trigger
 * if it is wanted. */
void script_create(struct buffer *buffer, const struct dialect *dialect,
                   const struct table_name *table, const evd_schema_options *options, int version);

/* Appends what the migration of this number does to a table of the version before. */
void script_migrate(struct buffer *buffer, const struct dialect *dialect,
                    const struct table_name *table, const evd_schema_options *options, int number);

#endif
