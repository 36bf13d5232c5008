/*
 * Making a connection without ever blocking the loop.
 *
 * Each host's name is resolved when its turn comes, on a thread of its own, and each address is
 * tried by itself; either has its own time-out. The steps of PQconnectPoll() run on the worker's
 * thread, for some compute for milliseconds (SCRAM, TLS); the loop waits for the socket between
 * them.
 *
 *   RESOLVING ──> STEPPING <──> WAITING
 *       │            │  │          │
 *       │            │  │          └─ time-out ──> the next address or host, else failed
 *       │            │  └─ refused, late ────────> the same
 *       │            └──── connected ──> done
 *       └─ no such name, time-out ───────────────> the next host
 */
#ifndef POSTGRES_DIAL_H
#define POSTGRES_DIAL_H

#include <libpq-fe.h>

#include <evdurable/error.h>

#include "engine/postgres/url.h"

struct dial;
struct ev_loop;
struct spares;
struct worker;

/* Called once, from the loop: the connection, which is the callee's now; or NULL with the error. */
typedef void (*dial_callback)(PGconn *pg, const evd_error *error, void *data);

/*
 * Begins to connect: in steps on the worker, with names resolved on the spares. `session` are
 * settings for the server ("-c name=value ..."), "" for none. Nothing of the arguments but worker
 * and spares needs to outlive the call. NULL if memory ran out.
 */
struct dial *postgres_dial_start(struct ev_loop *loop, struct worker *worker, struct spares *spares,
                                 const struct postgres_url *url, const char *session,
                                 dial_callback callback, void *data);

/* The callback will not come. */
void postgres_dial_cancel(struct dial *dial);

#endif
