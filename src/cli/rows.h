/* Executions as an SQL session reads them, and which of them a command is about. */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <evdurable.h>

#include "cli/cli.h"
#include "sql/buffer.h"

enum { ROWS_PARAMETERS_MAX = 12 };

/* Which rows; all zero is all of them. Texts are the command line's. */
struct row_filter {
  uint32_t statuses; /* bits by evd_status; 0 is any */
  const char *task;
  const char *parent;
  const char *root;
  const char *executor;
  int64_t created_before; /* 0 is none */
  int64_t created_after;
};

/* The options that set it, for the array of a getopt_long(); see rows_option(). */
enum {
  ROWS_OPTION_STATUS = 2000,
  ROWS_OPTION_TASK,
  ROWS_OPTION_PARENT,
  ROWS_OPTION_ROOT,
  ROWS_OPTION_EXECUTOR,
  ROWS_OPTION_OLDER_THAN,
  ROWS_OPTION_NEWER_THAN
};
#define ROWS_OPTIONS                                                     \
  {"status", required_argument, NULL, ROWS_OPTION_STATUS},               \
      {"task", required_argument, NULL, ROWS_OPTION_TASK},               \
      {"parent", required_argument, NULL, ROWS_OPTION_PARENT},           \
      {"root", required_argument, NULL, ROWS_OPTION_ROOT},               \
      {"executor", required_argument, NULL, ROWS_OPTION_EXECUTOR},       \
      {"older-than", required_argument, NULL, ROWS_OPTION_OLDER_THAN}, { \
    "newer-than", required_argument, NULL, ROWS_OPTION_NEWER_THAN        \
  }

/* Their help. */
#define ROWS_OPTIONS_HELP                                                                        \
  "  --status S,...   with these statuses: ready, running, failed, ...; also active, finished\n" \
  "  --task ID        of this task\n"                                                            \
  "  --parent ID      children of this execution\n"                                              \
  "  --root ID        in the tree of this execution\n"                                           \
  "  --executor ID    held by this executor\n"                                                   \
  "  --older-than D   created more than D ago: 7d, 12h, 90s, ...\n"                              \
  "  --newer-than D   created less than D ago\n"

/* Takes one of these options: CLI_OK, or CLI_USAGE, after the error was printed. */
int rows_option(struct row_filter *filter, int option, const char *value);

/* A query under way: its text, and what its "?" stand for. */
struct row_query {
  struct buffer sql;
  size_t from, from_end; /* where in it " from TABLE" is */
  size_t count;
  const char *parameters[ROWS_PARAMETERS_MAX];
};

/* Whom rows are for. */
struct row_reader {
  sql_row row;
  /* In place of a row that the database cannot send: why, naming it. */
  void (*unreadable)(const char *id, const evd_error *error, void *data);
  void *data;
};

/* Appends a parameter's value; the text must live as long as the query. */
void rows_add_parameter(struct row_query *query, const char *value);

/* Appends " where ... " with the filter's conditions; always something, so that " and ..." may
 * follow. */
void rows_where(struct row_query *query, const struct row_filter *filter);

/* Appends "select", all columns, "from" the table. */
void rows_select(struct row_query *query, const struct dialect *dialect,
                 const struct table_name *table);

/* Runs a query that begins with rows_select(); frees it. A row that the database cannot send fails
 * no others: they are then read one by one. */
evd_code rows_run(struct sql_client *client, struct row_query *query,
                  const struct row_reader *reader, evd_error *error);

/* EVD_EDATABASE: in this column of the execution with this id, the database has what no execution
 * can have. The message has both cut, and as a terminal may see them; they may be NULL. */
evd_code rows_unfit(evd_column column, const char *id, const char *value, evd_error *error);

/* A row of a query that begins with all columns, as an execution whose texts are the row's. When it
 * holds what no execution can: see rows_unfit(). */
evd_code rows_read(const char *const *values, evd_execution *execution, evd_error *error);

/* The same as a JSON object, to be released with free(). NULL: the error is that of rows_unfit(),
 * or EVD_ENOMEM. */
char *rows_json(const char *const *values, evd_error *error);

/* Counts a row that is left out, for the reason that rows_read() gave; says it on the standard
 * error of the first ones. */
void rows_leave_out(int64_t *left_out, const evd_error *error);

/* Says at the end how many were left out: CLI_OK if none were, else CLI_FAILED. */
int rows_end_left_out(int64_t left_out);

#endif
