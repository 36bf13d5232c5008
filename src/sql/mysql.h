/*
 * The statements of MySQL and MariaDB, with their values in them. Each function appends one
 * statement, without ";" (several travel in one packet, see engine/mysql/script.h).
 */
#ifndef SQL_MYSQL_H
#define SQL_MYSQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/request.h"
#include "sql/mysql_charset.h"
#include "sql/mysql_literal.h"
#include "sql/sql.h"

enum { MYDB_NAME_SIZE = 65 * 4 }; /* a name of 64 characters, and its zero */

/* How the table's own comparison of ids differs from that of bytes, which is the contract's. */
enum mydb_comparison {
  MYDB_COMPARES_BYTES,
  MYDB_COMPARES_PADDED, /* 'a' = 'a ', as with utf8mb4_bin */
  MYDB_COMPARES_LOOSELY /* 'a' = 'A' too, as with the server's default collation */
};

/* A table as it was found. */
struct mydb_table {
  struct table_name name;
  /* It could not be read, or has changed since: nothing is forced, and it is to be read again. */
  bool stale;
  enum mydb_comparison comparison;
  enum mydb_charset charsets[EVD_COLUMN_COUNT]; /* of the columns of ids */
  /* Indexes by name, "" where there is none that serves: the unique ones of the ids, and those that
   * give the rows of a selecting operation in its order. They are forced: where the planner prefers
   * to sort, a claim locks all that it sorts. */
  char id_index[MYDB_NAME_SIZE];
  char unique_id_index[MYDB_NAME_SIZE];
  char selection_index[EVD_OPERATION_COUNT][MYDB_NAME_SIZE];
  char task_index[MYDB_NAME_SIZE]; /* of claim_by_start_at, of one task */
};

/* "insert into t (...) values", and then a row; rows after the first have a comma before them. */
void mydb_sql_insert(struct mydb_writer *writer, const struct mydb_table *table);
void mydb_sql_insert_row(struct mydb_writer *writer, const evd_execution *execution, bool first);

/* Gets: all columns of the rows of these ids (get, get by unique id), or of these parents (get by
 * parent, in the order of its result). Filters are left to the reader. */
void mydb_sql_get(struct mydb_writer *writer, const struct mydb_table *table,
                  struct request *const *requests, size_t count);

/* The same of an execution and all below it. The ids first, each once: a table of others' may have
 * a circle. */
void mydb_sql_get_tree(struct mydb_writer *writer, const struct mydb_table *table,
                       const struct request *request);

/*
 * Updates by id (with or without children) of several requests, in a transaction: one statement
 * locks the rows of all, in the order of the index, and shows what filters ask for; then one
 * statement for each group of requests with the same columns and the same filter updates those
 * rows.
 */
enum {
  MYDB_LOCKED_ID,
  MYDB_LOCKED_STATUS,
  MYDB_LOCKED_SLEEPING,
  MYDB_LOCKED_FINISHED,
  MYDB_LOCKED_EXECUTOR,
  MYDB_LOCKED_STARTED_AT
};
void mydb_sql_lock(struct mydb_writer *writer, const struct mydb_table *table,
                   struct request *const *requests, size_t count);
bool mydb_sql_same_update(const struct request *a, const struct request *b);
void mydb_sql_update(struct mydb_writer *writer, const struct mydb_table *table,
                     struct request *const *requests, size_t count);

/*
 * Claims, expiries and close_finished: one statement locks the rows, and shows all their columns
 * (claims) or execution_id and parent_execution_id, in this order; another updates those of them
 * that are given by id, guarded by the same condition.
 */
enum { MYDB_SELECTED_ID, MYDB_SELECTED_PARENT };
bool mydb_sql_selects_all(evd_operation operation);
void mydb_sql_select(struct mydb_writer *writer, const struct mydb_table *table,
                     const struct request *request);
void mydb_sql_update_selected(struct mydb_writer *writer, const struct mydb_table *table,
                              const struct request *request, const char *const *ids, size_t count);

/*
 * Claims by tasks, where the table has an index for them. It gives the rows of one task in their
 * order, not those of several. So one statement finds out, without locks, how many of the rows that
 * are due first belong to each task (its number in the list, and how many); then one for each task
 * locks so many.
 */
enum { MYDB_SHARE_TASK, MYDB_SHARE_ROWS };
bool mydb_sql_claims_by_task(const struct mydb_table *table, const struct request *request);
void mydb_sql_share(struct mydb_writer *writer, const struct mydb_table *table,
                    const struct request *request);
void mydb_sql_select_task(struct mydb_writer *writer, const struct mydb_table *table,
                          const struct request *request, size_t task, int64_t limit);

/* close_finished: takes from each parent's counter, and sets updated_at. */
struct mydb_decrement {
  const char *parent_id;
  int64_t by;
};
void mydb_sql_decrement(struct mydb_writer *writer, const struct mydb_table *table,
                        const struct mydb_decrement *decrements, size_t count, int64_t updated_at);

/* update_by_parent, delete and delete_all: one request each. */
void mydb_sql_update_by_parent(struct mydb_writer *writer, const struct mydb_table *table,
                               const struct request *request);
void mydb_sql_delete(struct mydb_writer *writer, const struct mydb_table *table,
                     const struct request *request);

#endif
