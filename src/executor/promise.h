/* A future that the executor finishes: for what takes several operations. */
#ifndef EXECUTOR_PROMISE_H
#define EXECUTOR_PROMISE_H

#include "async/future.h"
#include "executor/executor.h"

/* Embed it. */
struct promise {
  evd_future *future; /* NULL once it is finished, or cancelled by its user */
};

/* The user's reference; NULL if memory ran out. */
evd_future *promise_init(struct promise *promise, struct evd_executor *executor);

/* Finish it; nothing happens if it was cancelled. */
void promise_keep(struct promise *promise, enum result_kind kind, int64_t count);
void promise_keep_rows(struct promise *promise, const evd_future *row); /* that of a get */
void promise_break(struct promise *promise, const evd_error *error);

#endif
