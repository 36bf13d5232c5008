/* Records as a whole: the empty one, copies in caller-owned memory, changes applied to a record. */
#ifndef MODEL_EXECUTION_H
#define MODEL_EXECUTION_H

#include <stddef.h>

#include <evdurable/error.h>
#include <evdurable/execution.h>
#include <evdurable/update.h>

/* Every column NULL, 0, false or no status: what a decoder starts from. */
void execution_clear(evd_execution *execution);

/* The bytes that execution_copy_into() needs at *text: all strings with their zeros. */
size_t execution_text_size(const evd_execution *execution);

/* Copies the record, its strings to *text, which is moved on past them. */
void execution_copy_into(evd_execution *to, const evd_execution *from, char **text);

/* The same for the changes: only the columns in `set` and not in `unset` are copied. */
size_t changes_text_size(const evd_changes *changes);
void changes_copy_into(evd_changes *to, const evd_changes *from, char **text);

/* EVD_EDATABASE: in this column of the execution with this id, the database has a value (as text,
 * or NULL) that the column cannot have. */
evd_code execution_unfit(evd_column column, const char *id, const char *value, evd_error *error);

/* When a claim at this time expires, by the row's time-out, whatever that is in the database: not
 * before the claim, nor past the bound of times. */
int64_t execution_expires_at(int64_t started_at, int64_t timeout_ms);

/* Makes a record what it is after the changes. Strings are shared with the changes, not copied. */
void changes_apply(const evd_changes *changes, evd_execution *execution);

#endif
