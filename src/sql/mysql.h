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

enum { MYSQL_NAME_SIZE = 65 * 4 }; /* a name of 64 characters, and its zero */

/* How the table's own comparison of ids differs from that of bytes, which is the contract's. */
enum mysql_comparison {
  MYSQL_COMPARES_BYTES,
  MYSQL_COMPARES_PADDED, /* 'a' = 'a ', as with utf8mb4_bin */
  MYSQL_COMPARES_LOOSELY /* 'a' = 'A' too, as with the server's default collation */
};

/* A table as it was found. */
struct mysql_table {
  struct table_name name;
  /* It could not be read, or has changed since: nothing is forced, and it is to be read again. */
  bool stale;
  enum mysql_comparison comparison;
  enum mysql_charset charsets[EVD_COLUMN_COUNT]; /* of the columns of ids */
  /* Indexes by name, "" where there is none that serves: the unique ones of the ids, and those that
   * give the rows of a selecting operation in its order. They are forced: where the planner prefers
   * to sort, a claim locks all that it sorts. */
  char id_index[MYSQL_NAME_SIZE];
  char unique_id_index[MYSQL_NAME_SIZE];
  char selection_index[EVD_OPERATION_COUNT][MYSQL_NAME_SIZE];
};

/* "insert into t (...) values", and then a row; rows after the first have a comma before them. */
void mysql_sql_insert(struct mysql_writer *writer, const struct mysql_table *table);
void mysql_sql_insert_row(struct mysql_writer *writer, const evd_execution *execution, bool first);

/* Gets: all columns of the rows of these ids (operations 2 and 3), or of these parents (13, in the
 * order of its result). Filters are left to the reader. */
void mysql_sql_get(struct mysql_writer *writer, const struct mysql_table *table,
                   struct request *const *requests, size_t count);

/*
 * Updates by id (4, 5) of several requests, in a transaction: one statement locks the rows of all,
 * in the order of the index, and shows what filters ask for; then one statement for each group of
 * requests with the same columns and the same filter updates those rows.
 */
enum { MYSQL_LOCKED_ID, MYSQL_LOCKED_STATUS, MYSQL_LOCKED_SLEEPING, MYSQL_LOCKED_FINISHED };
void mysql_sql_lock(struct mysql_writer *writer, const struct mysql_table *table,
                    struct request *const *requests, size_t count);
bool mysql_sql_same_update(const struct request *a, const struct request *b);
void mysql_sql_update(struct mysql_writer *writer, const struct mysql_table *table,
                      struct request *const *requests, size_t count);

/*
 * Operations 6 to 12 and 15: one statement locks the rows, and shows all their columns (claims) or
 * execution_id and parent_execution_id, in this order; another updates those of them that are
 * given by id, guarded by the same condition.
 */
enum { MYSQL_SELECTED_ID, MYSQL_SELECTED_PARENT };
bool mysql_sql_selects_all(evd_operation operation);
void mysql_sql_select(struct mysql_writer *writer, const struct mysql_table *table,
                      const struct request *request);
void mysql_sql_update_selected(struct mysql_writer *writer, const struct mysql_table *table,
                               const struct request *request, const char *const *ids, size_t count);

/* Operation 15: takes from each parent's counter, and sets updated_at. */
struct mysql_decrement {
  const char *parent_id;
  int64_t by;
};
void mysql_sql_decrement(struct mysql_writer *writer, const struct mysql_table *table,
                         const struct mysql_decrement *decrements, size_t count,
                         int64_t updated_at);

/* Operations 14, 16 and 17: one request each. */
void mysql_sql_update_by_parent(struct mysql_writer *writer, const struct mysql_table *table,
                                const struct request *request);
void mysql_sql_delete(struct mysql_writer *writer, const struct mysql_table *table,
                      const struct request *request);

#endif
