/*
 * Waiting for futures in tests: each of these runs the loop until the future is finished, takes it
 * over, and fails the test at the caller's line when the result is not of the kind asked for. Rows
 * live until release_kept().
 */
#ifndef SUPPORT_AWAIT_H
#define SUPPORT_AWAIT_H

#include <evdurable.h>

#define await_ok(future) await_ok_at((future), __FILE__, __LINE__)
#define await_error(future, code) await_error_at((future), (code), __FILE__, __LINE__)
#define await_count(future) await_count_at((future), __FILE__, __LINE__)
#define await_matched(future) await_matched_at((future), __FILE__, __LINE__)
#define await_row(future) await_row_at((future), __FILE__, __LINE__)
#define await_rows(future, count) await_rows_at((future), (count), __FILE__, __LINE__)
#define await_storage(future) await_storage_at((future), __FILE__, __LINE__)

/* Whatever comes of it. */
evd_code await_code(evd_future *future);

/* It succeeds. */
void await_ok_at(evd_future *future, const char *file, int line);

/* It fails with this code; the error, with a message. */
evd_error await_error_at(evd_future *future, evd_code code, const char *file, int line);

int64_t await_count_at(evd_future *future, const char *file, int line);
bool await_matched_at(evd_future *future, const char *file, int line);
const evd_execution *await_row_at(evd_future *future, const char *file, int line);
const evd_execution *await_rows_at(evd_future *future, size_t *count, const char *file, int line);
evd_storage *await_storage_at(evd_future *future, const char *file, int line);

/* Has release_kept() release the future. */
evd_future *keep_future(evd_future *future);

/* What release_kept() does for futures. */
void release_kept_futures(void);

#endif
