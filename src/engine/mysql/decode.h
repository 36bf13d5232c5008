/* Rows of the text protocol as records. */
#ifndef ENGINE_MYSQL_DECODE_H
#define ENGINE_MYSQL_DECODE_H

#include <stdbool.h>

#include <mysql.h>

#include <evdurable/update.h>

#include "model/records.h"

/*
 * Adds a row that has all columns, in the order of the column table, to records.
 *
 * @return the new record; NULL with the error if memory ran out (EVD_ENOMEM) or when the table
 *         has a value that cannot be (EVD_EDATABASE, with the column's name; nothing is added).
 */
evd_execution *mydb_decode_row(struct records *records, MYSQL_ROW row, const unsigned long *lengths,
                               evd_error *error);

/* The columns of a row, as text, that a filter asks for; NULL as in the database. */
struct mydb_filtered {
  const char *status, *is_sleeping_task, *is_finished, *executor_id, *started_at;
};

/* Whether a filter admits a row. */
bool mydb_decode_admits(const evd_filter *filter, const struct mydb_filtered *row);

#endif
