/**
 * @file error.h
 * What went wrong, whether trying again can help, and whether anything was changed.
 */
#ifndef EVDURABLE_ERROR_H
#define EVDURABLE_ERROR_H

#include <stdbool.h>

#include <evdurable/export.h>

EVD_BEGIN_DECLS

/** The kind of an error; EVD_OK is none. */
typedef enum evd_code {
  EVD_OK = 0,
  EVD_EPENDING,     /**< The future is not finished yet. */
  EVD_EINVAL,       /**< Bad input; evd_error.field names it. Nothing was changed. */
  EVD_EDUPLICATE,   /**< An execution_id or sleeping_task_unique_id exists already. */
  EVD_ECONSTRAINT,  /**< The database refused a value or a change of state. */
  EVD_EBUSY,        /**< Too much is pending (evd_options.pending_max_requests, _bytes). */
  EVD_ETIMEDOUT,    /**< The operation's time ran out (evd_options.operation_timeout_ms). */
  EVD_ECANCELED,    /**< The caller cancelled the future. */
  EVD_ECLOSED,      /**< The storage is closing or closed. */
  EVD_EUNAVAILABLE, /**< The database cannot be reached, or the connection was lost. */
  EVD_ECONFLICT,    /**< Deadlock, serialization failure or lock time-out, past all retries. */
  EVD_ESCHEMA,      /**< The table is missing, or lacks a column; the message says which. */
  EVD_EDATABASE,    /**< Any other error of the database; evd_error.native has its code. */
  EVD_ENOMEM,       /**< Memory ran out. */
  EVD_EMISUSE,      /**< The call does not fit the object's state; a defect of the caller. */
  EVD_CODE_COUNT
} evd_code;

/** What is known about the effect of an operation that failed. */
typedef enum evd_outcome {
  EVD_OUTCOME_NOT_APPLIED = 0, /**< The database changed nothing for it. */
  EVD_OUTCOME_UNKNOWN          /**< It may have been applied: the answer was lost or not awaited. */
} evd_outcome;

/** An error, whole and self-contained: copy it freely. */
typedef struct evd_error {
  evd_code code;
  evd_outcome outcome;
  bool retryable;    /**< The same call may succeed later. */
  char field[64];    /**< The bad field or column, e.g. "execution_id"; "" when it is none. */
  char native[32];   /**< The database's own code, e.g. "23505" or "1213"; "" when it has none. */
  char message[384]; /**< For people: what happened, in English, UTF-8, cut to fit. */
} evd_error;

/** The name of a code, e.g. "EVD_EINVAL"; "EVD_?" for none of them. Static, any thread. */
EVD_API const char *evd_code_name(evd_code code);

EVD_END_DECLS

#endif
