/*
 * Futures as their makers see them. What users see is in evdurable/future.h.
 *
 *   PENDING ──future_succeed, future_fail, evd_future_cancel──> FINISHED
 *
 * A future has two kinds of holders, each with a reference: its maker (the loader, until it
 * finishes it) and its users. It owns its result and its error.
 */
#ifndef ASYNC_FUTURE_H
#define ASYNC_FUTURE_H

#include <stdint.h>

#include <evdurable/future.h>

#include "async/reactor.h"
#include "model/records.h"

/* What a future has when it succeeded. */
struct result {
  enum result_kind {
    RESULT_NOTHING,
    RESULT_ROW,  /* at most one row */
    RESULT_ROWS, /* and their count */
    RESULT_COUNT,
    RESULT_MATCHED,
    RESULT_STORAGE
  } kind;
  struct records *rows; /* the future takes over a reference; NULL is no row */
  int64_t count;
  evd_storage *storage;
  void *owned;                 /* until the future is freed: */
  void (*let_go)(void *owned); /* called then; NULL is nothing */
};

/* Called when a user cancels; the maker lets go of the future (its reference goes with it) and says
 * whether the operation may be applied all the same. */
typedef evd_outcome (*future_cancel)(evd_future *future, void *maker);

/* A pending future with one reference, the user's. NULL if memory ran out. */
evd_future *future_new(struct reactor *reactor);

/* A future that is finished from the start; NULL if memory ran out. */
evd_future *future_succeeded(struct reactor *reactor, const struct result *result);
evd_future *future_failed(struct reactor *reactor, const evd_error *error);

/* The maker takes a reference and is told of cancellation. */
void future_set_maker(evd_future *future, future_cancel cancel, void *maker);

/* The maker finishes the future and lets go of its reference. Only on a pending future. */
void future_succeed(evd_future *future, const struct result *result);
void future_fail(evd_future *future, const evd_error *error);

/* The rows of a future that succeeded, not retained; NULL is none. */
struct records *future_rows(const evd_future *future);

/* Whether anybody but the maker could still see the result. */
bool future_is_observed(const evd_future *future);

/* The maker's own link, for a list of the futures that one request serves. */
evd_future **future_link(evd_future *future);

#endif
