/*
 * Executions as a real program would have them: ids of 27 characters, a JSON input of 200 bytes,
 * and on every second one a parent.
 */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include <evdurable.h>

/* The bytes of an input, without its terminating zero. */
enum { ROW_INPUT_SIZE = 200 };

/* The tasks of the rows. */
enum { ROW_TASKS = 3 };
extern const char *const rows_tasks[ROW_TASKS];

struct rows {
  size_t count;
  evd_execution *executions; /* owned, as all arrays here; in the order of their ids */
  char (*ids)[EVD_ID_SIZE];  /* executions[i].execution_id */
  char (*inputs)[ROW_INPUT_SIZE + 1];
  size_t *random; /* 0 .. count - 1 in a random order, always the same */
};

/* Makes rows that are ready, of each of the tasks in turn; NULL if memory ran out. */
struct rows *rows_new(size_t count);

/* The same of another task, due a minute earlier. */
struct rows *rows_new_others(size_t count);
void rows_free(struct rows *rows); /* NULL is fine */

/* The index of the row with this id; count when there is none. */
size_t rows_find(const struct rows *rows, const char *id);

#endif
