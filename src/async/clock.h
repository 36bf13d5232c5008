/* Time that only goes forward, for time-outs and durations. */
#ifndef ASYNC_CLOCK_H
#define ASYNC_CLOCK_H

#include <time.h>

/* Seconds since some moment. Any thread. */
static inline double clock_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

#endif
