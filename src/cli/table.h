/* A table for people: columns as wide as their longest cell, numbers to the right. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { TABLE_COLUMNS_MAX = 10, TABLE_CELL_SIZE = 320 };

struct table_row;

/* Owns its rows. */
struct table {
  size_t columns;
  struct table_row *first, *last;
  bool failed; /* memory ran out: rows are missing */
};

/* Begins with a row of headings. A heading that begins with ">" is of a column of numbers. */
void table_begin(struct table *table, size_t columns, const char *const *headings);

/* Adds a row of cells; NULL is empty. They are cut to `columns` characters each. */
void table_add(struct table *table, const char *const *cells, size_t columns);

/* Prints it, and frees it. */
void table_end(struct table *table);
void table_end_to(struct table *table, FILE *file);

/* Frees it, unprinted. */
void table_free(struct table *table);

#endif
