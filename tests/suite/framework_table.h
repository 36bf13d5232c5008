/*
 * A table as the TypeScript framework's drizzle package makes it: an id key of its own beside
 * execution_id, outputs as text, its own indexes.
 */
#ifndef SUITE_FRAMEWORK_TABLE_H
#define SUITE_FRAMEWORK_TABLE_H

#include <evdurable.h>

/* Makes it in the suite's database; without this column (EVD_COLUMN_COUNT: with all). */
void framework_table_make(const char *table, evd_column missing);

/* Drops a table, whatever made it. */
void framework_table_drop(const char *table);

#endif
