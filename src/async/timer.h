/*
 * Starting a timer that runs as long as it is told.
 *
 * libev counts from the time at which the loop's present iteration began, or its last one when the
 * loop is not running. A program that worked for a minute before it calls us, or in the callback that
 * does, would see time-outs that are over as soon as they begin. So what the loop's clock is behind is
 * added. (ev_now_update() would serve too, but moves the clock under the program's own callbacks.)
 */
#ifndef ASYNC_TIMER_H
#define ASYNC_TIMER_H

#include <ev.h>

/* Starts a timer, or starts it anew: it fires in so many seconds from this call, then each `repeat`
 * seconds if that is not 0. With 0 seconds it fires in the next iteration of the loop. */
static inline void timer_start(struct ev_loop *loop, ev_timer *timer, double seconds,
                               double repeat) {
  double behind = ev_time() - ev_now(loop);
  ev_timer_stop(loop, timer);
  ev_timer_set(timer, seconds > 0 && behind > 0 ? seconds + behind : seconds, repeat);
  ev_timer_start(loop, timer);
}

#endif
