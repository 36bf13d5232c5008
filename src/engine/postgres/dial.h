/*
 * Making a connection without ever blocking the loop.
 *
 * Names are resolved on the worker's thread, and each address is tried by itself, with its own
 * time-out. The steps of PQconnectPoll() run on the worker's thread, too, for some compute for
 * milliseconds (SCRAM, TLS); the loop waits for the socket between them.
 *
 *   RESOLVING ──> STEPPING <──> WAITING
 *                    │  │          │
 *                    │  │          └─ time-out ──> the next address, STEPPING; after the last: failed
 *                    │  └─ refused ──────────────> the same
 *                    └──── connected ──> done
 */
#ifndef POSTGRES_DIAL_H
#define POSTGRES_DIAL_H

#include <libpq-fe.h>

#include <evdurable/error.h>

#include "engine/postgres/url.h"

struct dial;
struct ev_loop;
struct worker;

/* Called once, from the loop: the connection, which is the callee's now; or NULL with the error. */
typedef void (*dial_callback)(PGconn *pg, const evd_error *error, void *data);

/*
 * Begins to connect. `session` are settings for the server ("-c name=value ..."), "" for none.
 * Nothing of the arguments but the worker needs to outlive the call. NULL when memory is out.
 */
struct dial *dial_start(struct ev_loop *loop, struct worker *worker, const struct postgres_url *url,
                        const char *session, dial_callback callback, void *data);

/* The callback will not come. */
void dial_cancel(struct dial *dial);

#endif
