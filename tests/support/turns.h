/* How long the turns of a loop take in CPU time: what they compute, whatever else the machine
 * does. */
#ifndef SUPPORT_TURNS_H
#define SUPPORT_TURNS_H

#include <evdurable.h>

struct ev_loop;

/* Awaits the future; the CPU time, in seconds, of the longest turn of its loop meanwhile: from
 * waking up to going to sleep, the first from this call on. */
double turns_await(struct ev_loop *loop, evd_future *future);

#endif
