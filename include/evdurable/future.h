/**
 * @file future.h
 * The result of an operation that may not have finished yet.
 *
 * A future belongs to its loop's thread: call these functions only from that thread.
 *
 * Every operation returns a future that the caller owns. The caller either passes it to
 * evd_future_then(), which takes ownership and calls back once; or keeps it, reads it with the
 * accessors, and releases it with evd_future_release(). A null future stands for a future that
 * failed with EVD_ENOMEM: every function here accepts it.
 */
#ifndef EVDURABLE_FUTURE_H
#define EVDURABLE_FUTURE_H

#include <evdurable/error.h>
#include <evdurable/execution.h>
#include <evdurable/export.h>

EVD_BEGIN_DECLS

typedef struct evd_future evd_future;
typedef struct evd_storage evd_storage;

/** Called once, from the loop, when the future has finished; the future is released afterwards. */
typedef void (*evd_callback)(evd_future *future, void *data);

/**
 * Attaches a callback and takes ownership of the future: do not release it. The callback is called
 * exactly once, whether the operation succeeds, fails or is cancelled; always from the loop, never
 * from within this call or the call that submitted the operation. It may submit, cancel and close.
 * To keep the result after the callback, call evd_future_retain() in it.
 *
 * @return EVD_OK; EVD_EMISUSE if the future already has a callback or belongs to a group (nothing
 *         changes); EVD_ENOMEM if the future is null: the callback is then never called.
 */
EVD_API evd_code evd_future_then(evd_future *future, evd_callback callback, void *data);

/**
 * Runs the loop until the future has finished; for programs that are not event-driven. Other events
 * of the loop are handled meanwhile. The caller still owns the future.
 *
 * It may be called in a callback, but other callbacks then run inside this call. If they wait too,
 * calls nest once per finished future and can use up the stack. With many operations in flight, use
 * callbacks instead.
 *
 * @return the future's code, as evd_future_code(). EVD_EPENDING if the loop ended first: somebody
 *         called ev_break(), or nothing on the loop can finish the future.
 */
EVD_API evd_code evd_future_await(evd_future *future);

/**
 * Returns a future that finishes when all of the given futures have finished, and takes ownership
 * of them. Its code is EVD_OK if all succeeded, else the code of the first to fail; evd_future_at()
 * returns each of them.
 *
 * @param futures is copied; may contain null futures. If a future already has a callback or a
 *                group, or is given twice, the group fails with EVD_EMISUSE.
 * @param count   at least 1.
 * @return NULL if memory ran out. Then, as with EVD_EMISUSE, each future has been released once,
 *         except those that already had a callback or a group.
 */
EVD_API evd_future *evd_future_all(evd_future *const *futures, size_t count);

/** One of the futures of evd_future_all(), which still owns it; NULL past the last. */
EVD_API evd_future *evd_future_at(const evd_future *future, size_t index);

/**
 * Cancels a future: it finishes with EVD_ECANCELED (its callback is called from the loop). An
 * operation that has not been sent is dropped; one that has been sent succeeds or fails unobserved.
 * The error's outcome tells the two apart (NOT_APPLIED or UNKNOWN). No effect on a finished future.
 * Cancelling the future of evd_future_all() cancels all of them.
 */
EVD_API void evd_future_cancel(evd_future *future);

/** Adds a reference to the future; each reference needs its own evd_future_release(). */
EVD_API evd_future *evd_future_retain(evd_future *future);

/**
 * Drops a reference; the last one frees the future and its results. Releasing a future that has not
 * finished does not cancel its operation, which continues unobserved.
 */
EVD_API void evd_future_release(evd_future *future);

/** EVD_EPENDING until the future has finished; then EVD_OK or the code of its error. */
EVD_API evd_code evd_future_code(const evd_future *future);

/** The error, with code EVD_OK if there is none. Valid until the future is released. */
EVD_API const evd_error *evd_future_error(const evd_future *future);

/*
 * The results. Each accessor returns EVD_OK and fills in its result. If the future is pending or
 * has failed, it returns evd_future_code(); if the operation has no result of this kind,
 * EVD_EMISUSE; and sets the result to NULL, 0 or false.
 */

/** The row of a get; NULL (with EVD_OK) if there is none. Valid until the future is released. */
EVD_API evd_code evd_future_row(const evd_future *future, const evd_execution **row);

/** The rows of a get or a claim, in order. Valid until the future is released. */
EVD_API evd_code evd_future_rows(const evd_future *future, const evd_execution **rows,
                                 size_t *count);

/** The number of rows inserted, updated, expired, closed, deleted or returned. */
EVD_API evd_code evd_future_count(const evd_future *future, int64_t *count);

/** Whether an update by id found its row and the row passed the filter. */
EVD_API evd_code evd_future_matched(const evd_future *future, bool *matched);

/** The storage that evd_storage_open() opened; the caller owns it. */
EVD_API evd_code evd_future_storage(const evd_future *future, evd_storage **storage);

EVD_END_DECLS

#endif
