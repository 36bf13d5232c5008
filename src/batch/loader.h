/*
 * The loader: gathers the requests of a tick into batches, as DataLoader does, and gives each
 * request its own answer.
 *
 *   submit ─> queue of its kind ─> batch ─> engine ─> answer ─> futures
 *                                    ^                  │
 *                                    └── again: retried after a conflict, or split in two when
 *                                        one request's fault failed the batch
 *
 * - Requests wait in a queue for each operation. A flush, once in a tick, forms batches as long as
 *   the engine has capacity, from the queue whose head has waited longest. When the engine is busy,
 *   queues grow, and so does the next batch; when it is idle, they leave at once: nothing is ever
 *   delayed for the sake of a larger batch.
 * - Identical reads that wait are one read, as long as that is not old.
 * - Updates of one id stand in a line: only its first is at work. So they are applied in order,
 *   whatever is split, retried or spread over connections.
 * - What ends many requests at once (a time-out of all, an abort) ends some in each iteration of
 *   the loop, so that others on the loop have their turn.
 * - All that is pending is bounded; past the bound a submission fails at once.
 *
 * The room's files, each calling only those below it:
 *
 *   loader.c  forms batches and sends them        stats.c  what was done, as figures and text
 *   answer.c  deals with the engine's answers
 *   defer.c   gives back rows that a claim could not read
 *   submit.c  takes requests
 *   expiry.c  ends requests before their answer: time-outs, cancellation, closing
 *   queue.c   where requests stand: in the queue of their kind, in a line by id, in a batch
 */
#ifndef BATCH_LOADER_H
#define BATCH_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <evdurable/storage.h>

#include "async/future.h"
#include "async/reactor.h"
#include "batch/log.h"
#include "engine/engine.h"
#include "model/request.h"

struct loader;

struct limits {
  size_t batch_requests;
  size_t batch_bytes;
  size_t pending_requests;
  size_t pending_bytes;
  int64_t timeout_ms; /* -1 is none */
  int attempts;       /* of a batch, the first included */
};

/* NULL if memory ran out. The reactor's flush becomes the loader's. */
struct loader *loader_new(struct reactor *reactor, const struct limits *limits,
                          const struct log *log);

/* Frees it. Nothing may be pending and no batch under way. */
void loader_free(struct loader *loader);

/* The engine is open: batches may leave. */
void loader_start(struct loader *loader, const struct engine_ops *ops, struct engine *engine);

/* Takes a copy of the request. NULL if memory ran out. */
evd_future *loader_submit(struct loader *loader, const struct request *request);

/* A request for which there is nothing to do: it is refused like others, or answered at once with a
 * result of this kind that is empty. NULL if memory ran out. */
evd_future *loader_submit_nothing(struct loader *loader, enum result_kind kind);

/* The engine is gone, and nothing is pending: all that is left to do is to refuse. */
void loader_stop(struct loader *loader);

/* The engine can take more. */
void loader_capacity_grew(struct loader *loader);

/* The time of an operation in milliseconds; -1 is none. */
int64_t loader_timeout_ms(const struct loader *loader);

/* Whether it takes nothing new. */
bool loader_is_refusing(const struct loader *loader);

/* Takes nothing new; emptied(owner) is called once from a later tick, when no future waits. */
void loader_drain(struct loader *loader, void (*emptied)(void *owner), void *owner);

/* Takes nothing new, sends nothing more, and fails all that is not with the engine: some of it at
 * once, the rest in the ticks to come, so that the loop is not held up. Then, from a tick,
 * ended(owner) is called once, in place of what loader_drain() promised. */
void loader_abort(struct loader *loader, const evd_error *error, void (*ended)(void *owner),
                  void *owner);

void loader_stats(const struct loader *loader, evd_stats *stats);

#endif
