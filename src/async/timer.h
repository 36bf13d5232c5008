/*
 * Starting a timer that runs as long as it is told.
 *
 * libev counts from the time at which the loop's present iteration began, or its last one when the
 * loop is not running. A program that worked for a minute before it calls us, or in the callback
 * that does, would see time-outs that are over as soon as they begin. So the loop is made to look
 * at the clock first, as its manual advises after long work; it does so itself before each sleep.
 * What it is behind cannot be had otherwise: timers go by a monotonic clock, and ev_now() by that
 * of the day, which may be set meanwhile.
 */
#ifndef ASYNC_TIMER_H
#define ASYNC_TIMER_H

#include <ev.h>

/* Starts a timer, or starts it anew: it fires `seconds` from this call, then every `repeat`
 * seconds if that is not 0. With 0 seconds it fires in the next iteration of the loop. */
static inline void timer_start(struct ev_loop *loop, ev_timer *timer, double seconds,
                               double repeat) {
  ev_timer_stop(loop, timer);
  ev_timer_set(timer, seconds, repeat);
  if (seconds > 0) {
    ev_now_update(loop);
  }
  ev_timer_start(loop, timer);
}

#endif
