/* What the executor writes as JSON: of children in their parent, and errors. To be released with
 * free(); NULL if memory ran out. */
#ifndef EXECUTOR_FAMILY_H
#define EXECUTOR_FAMILY_H

#include <stdbool.h>
#include <stddef.h>

#include <evdurable/execution.h>

/* The column `finalize`: {"taskId": ..., "executionId": ...} */
char *family_id(const evd_execution *child);

/* The column `children`: [{"taskId": ..., "executionId": ...}, ...] */
char *family_ids(const evd_execution *children, size_t count);

/* The same of a sequence: those that have finished, the one that begins, and those to come, whose
 * execution id is "dummy", as the framework writes it. */
char *family_sequence_ids(const evd_execution *finished, size_t count, const evd_execution *next,
                          const char *const *sequence);

/* The output of a parent: {"output": ..., "children": [{"taskId", "executionId", "status", and
 * "output" or "error"}, ...]} */
char *family_output(const char *output, const evd_execution *children, size_t count);

/* An error as the framework writes it. */
char *family_error(const char *type, const char *message, bool retryable, bool internal);

#endif
