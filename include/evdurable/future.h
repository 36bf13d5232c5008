/**
 * @file future.h
 * The result of an operation, once there is one.
 *
 * A future belongs to the thread of its loop: no function here may be called from another.
 *
 * Every operation returns a future that the caller owns, and that it gives away in one of two
 * ways: evd_future_then() takes it over and calls back once; or the caller holds it, looks at it
 * with the accessors, and ends with evd_future_release(). A null future is a future that failed
 * with EVD_ENOMEM: every function here takes it.
 */
#ifndef EVDURABLE_FUTURE_H
#define EVDURABLE_FUTURE_H

#include <evdurable/error.h>
#include <evdurable/execution.h>
#include <evdurable/export.h>

EVD_BEGIN_DECLS

typedef struct evd_future evd_future;
typedef struct evd_storage evd_storage;

/** Called once, when the future is finished, from the loop; the future is released after it. */
typedef void (*evd_callback)(evd_future *future, void *data);

/**
 * Attaches a callback and takes the future over: do not release it. The callback is called exactly
 * once, from the loop and never from within this call or the one that submitted the operation,
 * whether the operation succeeds, fails or is cancelled. It may do anything: submit, cancel, close.
 * To keep the result beyond the callback, call evd_future_retain() in it.
 *
 * @return EVD_OK; EVD_EMISUSE when it has a callback or a group already (nothing changes); EVD_ENOMEM
 *         when the future is null: the callback will not be called.
 */
EVD_API evd_code evd_future_then(evd_future *future, evd_callback callback, void *data);

/**
 * Runs the loop until the future is finished; for programs that are not event-driven. Events of
 * others on the loop are served meanwhile. The caller goes on owning the future.
 *
 * May be called in a callback; but meanwhile other callbacks are called within it, and where those await
 * too, they nest as deep as there are finished futures, each on top of the stack of the one before. Where
 * many operations are under way, let callbacks submit with callbacks of their own.
 *
 * @return the future's code, as evd_future_code(). EVD_EPENDING when the loop ended before: somebody
 *         called ev_break(), or nothing is left on the loop that could finish the future.
 */
EVD_API evd_code evd_future_await(evd_future *future);

/**
 * A future that is finished when all of these are. It takes them over. Its code is EVD_OK when all
 * succeeded, else that of the one that failed first in time; evd_future_at() has each.
 *
 * @param futures is copied; may hold null futures. Where one has a callback or a group already, or is
 *                here twice, the group fails with EVD_EMISUSE.
 * @param count   at least 1.
 * @return NULL when memory is out. Then, as after EVD_EMISUSE, all have been released, each once, but
 *         those that had a callback or a group already.
 */
EVD_API evd_future *evd_future_all(evd_future *const *futures, size_t count);

/** One of the futures of evd_future_all(), still owned by it; NULL past the last. */
EVD_API evd_future *evd_future_at(const evd_future *future, size_t index);

/**
 * Drops the interest in the result: the future finishes with EVD_ECANCELED (its callback is called
 * from the loop). An operation that has not left yet is not made; one that has is made whole, or
 * fails, unseen: the error's outcome says which (NOT_APPLIED or UNKNOWN). On a finished future: no
 * effect. On the future of evd_future_all(): cancels all of them.
 */
EVD_API void evd_future_cancel(evd_future *future);

/** Another reference to the future; each needs its own evd_future_release(). */
EVD_API evd_future *evd_future_retain(evd_future *future);

/**
 * Lets go of a reference. Its last one takes the results with it. Releasing a future that is not
 * finished lets the operation go on unobserved.
 */
EVD_API void evd_future_release(evd_future *future);

/** EVD_EPENDING until it is finished; then EVD_OK or the code of its error. */
EVD_API evd_code evd_future_code(const evd_future *future);

/** The error; valid until the future is released. When there is none: one with code EVD_OK. */
EVD_API const evd_error *evd_future_error(const evd_future *future);

/*
 * The results. Each accessor returns EVD_OK and fills in its result; or the code of
 * evd_future_code() when the future is pending or failed, or EVD_EMISUSE when the operation has no
 * result of this kind, and sets the result to nothing (NULL, 0, false).
 */

/** The row of a get; NULL (with EVD_OK) when there is none. Valid until the future is released. */
EVD_API evd_code evd_future_row(const evd_future *future, const evd_execution **row);

/** The rows of a get or a claim, in order. Valid until the future is released. */
EVD_API evd_code evd_future_rows(const evd_future *future, const evd_execution **rows,
                                 size_t *count);

/** How many rows an operation touched: inserted, updated, expired, closed, deleted or returned. */
EVD_API evd_code evd_future_count(const evd_future *future, int64_t *count);

/** Whether an update by id found its row, and the filter admitted it. */
EVD_API evd_code evd_future_matched(const evd_future *future, bool *matched);

/** The storage that evd_storage_open() opened. It belongs to the caller. */
EVD_API evd_code evd_future_storage(const evd_future *future, evd_storage **storage);

EVD_END_DECLS

#endif
