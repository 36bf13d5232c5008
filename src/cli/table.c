/* Prints a table whose columns are as wide as their longest cell. */
#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"

enum { HEADING_COLUMNS = 40 };

struct table_row {
  struct table_row *next;
  char cells[][TABLE_CELL_SIZE];
};

static void add_row(struct table *table, const char *const *cells, size_t columns) {
  struct table_row *row = calloc(1, sizeof *row + table->columns * TABLE_CELL_SIZE);
  if (row == NULL) {
    table->failed = true;
    return;
  }
  for (size_t i = 0; i < table->columns; i++) {
    text_printable(cells[i] != NULL ? cells[i] : "", columns, row->cells[i], TABLE_CELL_SIZE);
  }
  if (table->last != NULL) {
    table->last->next = row;
  } else {
    table->first = row;
  }
  table->last = row;
}

void table_begin(struct table *table, size_t columns, const char *const *headings) {
  *table = (struct table){.columns = columns};
  add_row(table, headings, HEADING_COLUMNS);
}

void table_add(struct table *table, const char *const *cells, size_t columns) {
  add_row(table, cells, columns);
}

/* Prints one cell, with the blanks that bring it to the width of its column. */
static void print_cell(FILE *file, const char *cell, int width, bool right, bool last) {
  int blanks = width - (int)text_width(cell);
  fprintf(file, "%*s%s", right ? blanks : 0, "", cell);
  if (!last) {
    fprintf(file, "%*s  ", right ? 0 : blanks, "");
  }
}

void table_end(struct table *table) {
  table_end_to(table, stdout);
}

void table_end_to(struct table *table, FILE *file) {
  bool right[TABLE_COLUMNS_MAX] = {false};
  size_t widths[TABLE_COLUMNS_MAX] = {0};
  struct table_row *row = table->first;
  for (size_t i = 0; row != NULL && i < table->columns; i++) {
    char *heading = row->cells[i];
    right[i] = heading[0] == '>';
    if (right[i]) {
      memmove(heading, heading + 1, strlen(heading));
    }
  }
  for (; row != NULL; row = row->next) {
    for (size_t i = 0; i < table->columns; i++) {
      size_t width = text_width(row->cells[i]);
      widths[i] = width > widths[i] ? width : widths[i];
    }
  }
  for (row = table->first; row != NULL; row = row->next) {
    size_t count = table->columns;
    while (count > 1 && row->cells[count - 1][0] == '\0') {
      count--; /* no blanks at the end of a line */
    }
    for (size_t i = 0; i < count; i++) {
      print_cell(file, row->cells[i], (int)widths[i], right[i], i + 1 == count);
    }
    putc('\n', file);
  }
  table_free(table);
}

void table_free(struct table *table) {
  struct table_row *row;
  while ((row = table->first) != NULL) {
    table->first = row->next;
    free(row);
  }
  table->last = NULL;
}
