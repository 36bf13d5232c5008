/* Measures the turns of a loop. */
#include "support/turns.h"

#include <time.h>

#include <ev.h>

struct turns {
  double woken_at; /* the thread's CPU time */
  double longest;
};

static double thread_cpu_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void turn_begins(struct ev_loop *loop) EV_NOEXCEPT {
  struct turns *turns = ev_userdata(loop);
  turns->woken_at = thread_cpu_seconds();
}

static void turn_ends(struct ev_loop *loop) EV_NOEXCEPT {
  struct turns *turns = ev_userdata(loop);
  double took = thread_cpu_seconds() - turns->woken_at;
  turns->longest = took > turns->longest ? took : turns->longest;
}

double turns_await(struct ev_loop *loop, evd_future *future) {
  struct turns turns = {.longest = 0};
  ev_set_userdata(loop, &turns);
  ev_set_loop_release_cb(loop, turn_ends, turn_begins);
  turn_begins(loop);
  (void)evd_future_await(future);
  turn_ends(loop);
  ev_set_loop_release_cb(loop, NULL, NULL);
  ev_set_userdata(loop, NULL);
  return turns.longest;
}
