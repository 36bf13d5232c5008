/* Filling in an evd_error. */
#ifndef MODEL_ERROR_H
#define MODEL_ERROR_H

#include <evdurable/error.h>

/* Overwrites the error (NULL is fine): the code, the field ("" for none) and a message made as by
 * printf, cut at a whole UTF-8 character. Outcome: not applied; retryable: whether the code's
 * kind is (EBUSY, ETIMEDOUT, EUNAVAILABLE, ECONFLICT). Returns the code. */
evd_code error_set(evd_error *error, evd_code code, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* EVD_ENOMEM. */
evd_code error_set_no_memory(evd_error *error);

/* Adds the database's own code to an error. */
void error_set_native(evd_error *error, const char *native);

#endif
