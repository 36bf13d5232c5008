/*
 * Watchers that do not keep the loop alive: a storage that has nothing to do must not stop a
 * program's ev_run() from returning. Each is started and stopped with these functions only.
 */
#ifndef ASYNC_QUIET_H
#define ASYNC_QUIET_H

#include <ev.h>

#include "async/timer.h"

static inline void quiet_io_start(struct ev_loop *loop, ev_io *io) {
  if (!ev_is_active(io)) {
    ev_io_start(loop, io);
    ev_unref(loop);
  }
}

static inline void quiet_io_stop(struct ev_loop *loop, ev_io *io) {
  if (ev_is_active(io)) {
    ev_ref(loop);
  }
  ev_io_stop(loop, io); /* also takes back an event that is pending */
}

/* Starts a timer, or starts it anew. It goes on until it is stopped. With 0 seconds it first fires
 * in the next iteration of the loop. */
static inline void quiet_timer_start(struct ev_loop *loop, ev_timer *timer, double seconds) {
  int was_active = ev_is_active(timer);
  timer_start(loop, timer, seconds, seconds > 1e-6 ? seconds : 1e-6);
  if (!was_active) {
    ev_unref(loop);
  }
}

static inline void quiet_timer_stop(struct ev_loop *loop, ev_timer *timer) {
  if (ev_is_active(timer)) {
    ev_ref(loop);
  }
  ev_timer_stop(loop, timer);
}

#endif
