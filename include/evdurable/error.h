/**
 * @file error.h
 * Errors: what went wrong, whether a retry can help, and whether anything was changed.
 */
#ifndef EVDURABLE_ERROR_H
#define EVDURABLE_ERROR_H

#include <stdbool.h>

#include <evdurable/export.h>

EVD_BEGIN_DECLS

/** The kind of an error; EVD_OK is success. */
typedef enum evd_code {
  EVD_OK = 0,
  EVD_EPENDING,     /**< The future has not finished yet. */
  EVD_EINVAL,       /**< Invalid input; evd_error.field names it. Nothing was changed. */
  EVD_EDUPLICATE,   /**< An execution_id or sleeping_task_unique_id already exists. */
  EVD_ECONSTRAINT,  /**< The database refused a value or a change of status. */
  EVD_EBUSY,        /**< Too much is pending (evd_options.pending_max_requests, _bytes). */
  EVD_ETIMEDOUT,    /**< The operation's time ran out (evd_options.operation_timeout_ms). */
  EVD_ECANCELED,    /**< The caller cancelled the future. */
  EVD_ECLOSED,      /**< The storage is closing or closed. */
  EVD_EUNAVAILABLE, /**< The database cannot be reached, or the connection was lost. */
  EVD_ECONFLICT,    /**< Deadlock, serialization failure or lock time-out, past all retries. */
  EVD_ESCHEMA,      /**< The table or a column is missing; the message says which. */
  EVD_EDATABASE,    /**< Any other error of the database; evd_error.native has its code. */
  EVD_ENOMEM,       /**< Memory ran out. */
  EVD_EMISUSE,      /**< The call is not allowed in the object's state: a bug in the caller. */
  EVD_CODE_COUNT
} evd_code;

/** Whether a failed operation was applied. */
typedef enum evd_outcome {
  EVD_OUTCOME_NOT_APPLIED = 0, /**< Nothing was changed. */
  EVD_OUTCOME_UNKNOWN /**< It may have been applied: the answer was lost, or came too late. */
} evd_outcome;

/** An error. It contains no pointers and can be copied. */
typedef struct evd_error {
  evd_code code;
  evd_outcome outcome;
  bool retryable;    /**< The same call may succeed later. */
  char field[64];    /**< The invalid field or column, e.g. "execution_id"; or "". */
  char native[32];   /**< The database's own code, e.g. "23505" or "1213"; or "". */
  char message[384]; /**< What happened, in English; UTF-8, truncated to fit. */
} evd_error;

/** The name of a code, e.g. "EVD_EINVAL"; "EVD_?" for other values. Static. Any thread. */
EVD_API const char *evd_code_name(evd_code code);

EVD_END_DECLS

#endif
