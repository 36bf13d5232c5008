/*
 * Whether what a caller gives can be stored. Every function returns EVD_OK, or EVD_EINVAL with the
 * field and the reason in the error.
 */
#ifndef MODEL_CHECK_H
#define MODEL_CHECK_H

#include <stddef.h>

#include <evdurable/execution.h>
#include <evdurable/storage.h>
#include <evdurable/update.h>

/* UTF-8 of 1 to `max` bytes, no zero inside, and not NULL. */
evd_code check_id(const char *id, const char *field, size_t max, evd_error *error);

/* Text that is one JSON document by RFC 8259, at most 512 levels deep, and valid UTF-8; an object
 * or an array where the column (COLUMN_JSON_OBJECT, COLUMN_JSON_ARRAY) wants one. */
evd_code check_json(const char *text, evd_column column, evd_error *error);

evd_code check_time(int64_t time, const char *field, evd_error *error);

/* A count or a duration: not negative. */
evd_code check_quantity(int64_t quantity, const char *field, evd_error *error);

/* Yes, no, or either. */
evd_code check_maybe(evd_maybe maybe, const char *field, evd_error *error);

/* One column of a record, as its line in the column table says. */
evd_code check_column(const evd_execution *execution, evd_column column, evd_error *error);

/* The records of a call, each by evd_execution_check(). `argument` is the call's name for them:
 * where there are several, the message says which of them is meant. */
evd_code check_executions(const evd_execution *executions, size_t count, const char *argument,
                          evd_error *error);

/* Masks hold only settable and unsettable columns; values in `set` and not in `unset` are good. */
evd_code check_changes(const evd_changes *changes, evd_error *error);

/* A list of at most EVD_TASK_IDS_MAX; NULL with none is fine. */
evd_code check_task_ids(const char *const *ids, size_t count, evd_error *error);

evd_code check_filter(const evd_filter *filter, evd_error *error);
evd_code check_status(evd_status status, const char *field, evd_error *error);
evd_code check_ocfp_status(evd_ocfp_status status, const char *field, evd_error *error);
evd_code check_close_status(evd_close_status status, const char *field, evd_error *error);

#endif
