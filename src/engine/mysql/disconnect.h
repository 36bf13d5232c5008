/*
 * Closing a connection, without keeping the loop. To free what TLS holds takes Connector/C a
 * millisecond of CPU, so that a worker does it; a connection without TLS is closed where it is.
 *
 *   mydb_disconnect ──(TLS: worker closes)──> done
 */
#ifndef ENGINE_MYSQL_DISCONNECT_H
#define ENGINE_MYSQL_DISCONNECT_H

#include <stdbool.h>

#include <mysql.h>

struct ev_loop;
struct spares;

/*
 * Closes a handle, which it takes, and calls done: from the loop, or at once. `polite` tells the
 * server, which only an idle connection may; otherwise the connection is cut. Never waits for the
 * server. Keeps no loop alive: whoever waits for done does. The worker is one of the spares; see
 * engine/spares.h.
 */
void mydb_disconnect(struct ev_loop *loop, struct spares *spares, MYSQL *mysql, bool polite,
                     void (*done)(void *data), void *data);

#endif
