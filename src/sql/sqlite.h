/*
 * The SQLite dialect's statements.
 *
 * Each is made from a key (sql/sql.h) and run for one request at a time, so `rows` is always 0.
 * Parameters are plain "?", in the order that the comments below give; "changes" stands for the
 * columns of key.set in their order, "filter" for executor_id and started_at, where
 * key.filter_owner has them.
 */
#ifndef SQL_SQLITE_H
#define SQL_SQLITE_H

#include "sql/buffer.h"
#include "sql/sql.h"

/* Which statement of an operation: the key's part. */
enum sqlite_part {
  /*
   * The operation's one statement, or its first:
   *   insert                          all columns
   *   get                             id, filter
   *   get_by_sleeping_task_unique_id  id
   *   update, _and_insert_children    changes, id, filter
   *   claims                          selection, limit; returns rowid and all columns. Task ids are
 *                                   one parameter, a JSON array
   *   expiries                        changes, selection, limit
   *   get_by_parent, get_tree         id
   *   update_by_parent                changes, selection
   *   close_finished                  selection, limit; returns rowid and parent_execution_id
   *   delete                          id
   *   delete_all                      (none)
   */
  SQLITE_PART_MAIN,
  /* Claims and close_finished: changes one of the selected rows: changes, rowid; for
   * claim_by_start_at changes, expires_at, rowid (and expires_at is in neither mask of the key). */
  SQLITE_PART_ROW,
  /* close_finished: takes children off a parent: their number, updated_at, id. */
  SQLITE_PART_PARENT
};

/* The key of a request's statement: as statement_key(), less what its text does not depend on. */
struct statement_key sqlite_statement_key(const struct request *request, enum sqlite_part part);

/* The key of the statement that inserts one execution, for the children of
 * update_and_insert_children, too. */
struct statement_key sqlite_insert_key(void);

/* Appends the statement of a key. */
void sqlite_statement(struct buffer *buffer, const struct table_name *table,
                      const struct statement_key *key);

#endif
