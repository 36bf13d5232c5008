/* Futures that the executor finishes. */
#include "executor/promise.h"

#include "storage.h"

static evd_outcome cancelled(evd_future *future, void *maker) {
  (void)future;
  struct promise *promise = maker;
  promise->future = NULL;
  return EVD_OUTCOME_UNKNOWN;
}

evd_future *promise_init(struct promise *promise, struct evd_executor *executor) {
  promise->future = future_new(executor->storage->reactor);
  if (promise->future != NULL) {
    future_set_maker(promise->future, cancelled, promise);
  }
  return promise->future;
}

static void keep(struct promise *promise, const struct result *result) {
  evd_future *future = promise->future;
  promise->future = NULL;
  future_succeed(future, result);
}

void promise_keep(struct promise *promise, enum result_kind kind, int64_t count) {
  if (promise->future != NULL) {
    keep(promise, &(struct result){.kind = kind, .count = count});
  }
}

void promise_keep_rows(struct promise *promise, const evd_future *row) {
  struct records *rows = future_rows(row);
  if (promise->future != NULL) {
    keep(promise,
         &(struct result){.kind = RESULT_ROW, .rows = rows != NULL ? records_retain(rows) : NULL});
  }
}

void promise_break(struct promise *promise, const evd_error *error) {
  evd_future *future = promise->future;
  promise->future = NULL;
  if (future != NULL) {
    future_fail(future, error);
  }
}
