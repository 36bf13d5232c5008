/* Waits for futures, and fails the test for results that it does not expect. */
#include "support/await.h"

#include <stdlib.h>

#include <utlist.h>

#include "support/check.h"

struct kept_future {
  struct kept_future *next;
  evd_future *future;
};

static struct kept_future *kept_futures;

evd_future *keep_future(evd_future *future) {
  struct kept_future *kept = malloc(sizeof *kept);
  if (kept == NULL) {
    abort();
  }
  kept->future = future;
  LL_PREPEND(kept_futures, kept);
  return future;
}

void release_kept_futures(void) {
  struct kept_future *kept, *next;
  LL_FOREACH_SAFE (kept_futures, kept, next) {
    evd_future_release(kept->future);
    free(kept);
  }
  kept_futures = NULL;
}

/* Waits and fails the test unless it ends with this code. */
static void await_this(evd_future *future, evd_code wanted, const char *file, int line) {
  keep_future(future);
  evd_code code = evd_future_await(future);
  if (code != wanted) {
    const evd_error *error = evd_future_error(future);
    fail_at(file, line, "%s instead of %s: field \"%s\", native \"%s\", %s", evd_code_name(code),
            evd_code_name(wanted), error->field, error->native, error->message);
  }
}

evd_code await_code(evd_future *future) {
  evd_code code = evd_future_await(future);
  evd_future_release(future);
  return code;
}

void await_ok_at(evd_future *future, const char *file, int line) {
  await_this(future, EVD_OK, file, line);
}

evd_error await_error_at(evd_future *future, evd_code code, const char *file, int line) {
  await_this(future, code, file, line);
  const evd_error *error = evd_future_error(future);
  if (error == NULL || error->code != code || !error->message[0]) {
    fail_at(file, line, "an error without a code or a message");
  }
  return *error;
}

int64_t await_count_at(evd_future *future, const char *file, int line) {
  int64_t count;
  await_this(future, EVD_OK, file, line);
  if (evd_future_count(future, &count)) {
    fail_at(file, line, "no count in the result");
  }
  return count;
}

bool await_matched_at(evd_future *future, const char *file, int line) {
  bool matched;
  await_this(future, EVD_OK, file, line);
  if (evd_future_matched(future, &matched)) {
    fail_at(file, line, "no matched in the result");
  }
  return matched;
}

const evd_execution *await_row_at(evd_future *future, const char *file, int line) {
  const evd_execution *row;
  await_this(future, EVD_OK, file, line);
  if (evd_future_row(future, &row)) {
    fail_at(file, line, "no row in the result");
  }
  return row;
}

const evd_execution *await_rows_at(evd_future *future, size_t *count, const char *file, int line) {
  const evd_execution *rows;
  await_this(future, EVD_OK, file, line);
  if (evd_future_rows(future, &rows, count)) {
    fail_at(file, line, "no rows in the result");
  }
  return rows;
}

evd_storage *await_storage_at(evd_future *future, const char *file, int line) {
  evd_storage *storage;
  await_this(future, EVD_OK, file, line);
  if (evd_future_storage(future, &storage) || storage == NULL) {
    fail_at(file, line, "no storage in the result");
  }
  return storage;
}
