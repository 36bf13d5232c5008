/* Records as parameters and as rows, by the column table. Results are SQLite's result codes. */
#ifndef ENGINE_SQLITE_ROWS_H
#define ENGINE_SQLITE_ROWS_H

#include <stdbool.h>

#include <evdurable/execution.h>
#include <evdurable/update.h>

#include "engine/sqlite/statements.h"
#include "model/records.h"

/* Bind parameter number `index`, from 1. Texts must live until the statement has run. */
int sqlite_rows_bind_text(struct statement *statement, int index, const char *text);
int sqlite_rows_bind_integer(struct statement *statement, int index, int64_t integer);

/* Binds all columns of an execution, as the insertion has them. */
int sqlite_rows_bind_execution(struct statement *statement, const evd_execution *execution);

/* Binds the columns in the key's `set`, from parameter 1. *next is the parameter after them. */
int sqlite_rows_bind_changes(struct statement *statement, const evd_changes *changes, int *next);

/* A column's value, for people; never NULL. Valid as SQLite's texts are. */
const char *sqlite_rows_value_text(struct statement *statement, int index);

/* Adds the statement's present row to *records, which is made if it is NULL, for about
 * `expected` rows. `first` is the statement's first column that is one of the execution's. NULL
 * with the error if memory ran out or the row has a value that cannot be (EVD_EDATABASE;
 * nothing is added then). */
evd_execution *sqlite_rows_add(struct statement *statement, int first, size_t expected,
                               struct records **records, evd_error *error);

#endif
