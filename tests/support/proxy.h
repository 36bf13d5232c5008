/*
 * A TCP proxy on loopback that does to connections what networks do: cuts them at random places, or
 * stalls. It runs in a child process, so that a test's loop and the proxy cannot wait for each
 * other.
 */
#ifndef SUPPORT_PROXY_H
#define SUPPORT_PROXY_H

#include <stdint.h>

struct proxy;

/* Starts a proxy to a port on 127.0.0.1. Ends the test when that fails. */
struct proxy *proxy_start(unsigned port);

/* The port on 127.0.0.1 to connect to instead. */
unsigned proxy_port(const struct proxy *proxy);

/* From now on each connection, those that are open included, is cut (reset) after 1 to `most` more
 * bytes have gone through it in either direction, drawn from a random sequence; 0 cuts none. */
void proxy_cut_within(struct proxy *proxy, uint32_t most);

/* Cuts all connections that are open now. */
void proxy_cut_all(struct proxy *proxy);

/* While on, nothing goes through; connections are accepted. */
void proxy_stall(struct proxy *proxy, int on);

/* How many connections it has cut, and how many it has accepted. */
uint32_t proxy_cuts(const struct proxy *proxy);
uint32_t proxy_connections(const struct proxy *proxy);

/* Ends it and its connections. */
void proxy_stop(struct proxy *proxy);

#endif
