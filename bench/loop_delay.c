/* The delay of a 1 ms timer, and the CPU time of a loop's turns. */
#include <ev.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "loop_delay.h"

#define INTERVAL_S 0.001
enum { INTERVAL_NS = 1000000 };

/* Numbers that were measured, in seconds. */
struct samples {
  double *seconds; /* owned */
  size_t count, size;
};

struct loop_delay {
  struct ev_loop *loop;
  ev_io timer;
  double due;           /* of the next expiry, on the clock of bench_seconds() */
  struct samples late;  /* of every expiry */
  ev_check woken;       /* the first to run when the loop has woken up */
  ev_prepare sleepy;    /* the last to run before it sleeps */
  double woken_at;      /* the thread's CPU time; 0 before the first turn */
  struct samples turns; /* the CPU time of each */
};

/* Adds a number; it is left out if memory ran out. */
static void samples_add(struct samples *samples, double seconds) {
  if (samples->count == samples->size) {
    size_t size = samples->size == 0 ? 16384 : samples->size * 2;
    double *larger = realloc(samples->seconds, size * sizeof *larger);
    if (larger == NULL) {
      return;
    }
    samples->seconds = larger;
    samples->size = size;
  }
  samples->seconds[samples->count++] = seconds;
}

static int compare_doubles(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

/* Sums the numbers up and frees them. */
static void samples_end(struct samples *samples, struct delays *result) {
  *result = (struct delays){0};
  if (samples->count > 0) {
    const double *seconds = samples->seconds;
    size_t last = samples->count - 1;
    qsort(samples->seconds, samples->count, sizeof *seconds, compare_doubles);
    result->p50 = seconds[last / 2] * 1e3;
    result->p99 = seconds[last * 99 / 100] * 1e3;
    result->p999 = seconds[last * 999 / 1000] * 1e3;
    result->max = seconds[last] * 1e3;
  }
  free(samples->seconds);
}

/* Notes the delay of every expiry since the last call. */
static void expired(struct ev_loop *loop, ev_io *timer, int events) {
  (void)loop, (void)events;
  struct loop_delay *delay = timer->data;
  uint64_t expiries;
  double now = bench_seconds();
  if (read(timer->fd, &expiries, sizeof expiries) != sizeof expiries) {
    return;
  }
  for (; expiries > 0; expiries--) {
    samples_add(&delay->late, now > delay->due ? now - delay->due : 0);
    delay->due += INTERVAL_S;
  }
}

static double thread_cpu_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void turn_begins(struct ev_loop *loop, ev_check *woken, int events) {
  (void)loop, (void)events;
  struct loop_delay *delay = woken->data;
  delay->woken_at = thread_cpu_seconds();
}

static void turn_ends(struct ev_loop *loop, ev_prepare *sleepy, int events) {
  (void)loop, (void)events;
  struct loop_delay *delay = sleepy->data;
  if (delay->woken_at > 0) {
    samples_add(&delay->turns, thread_cpu_seconds() - delay->woken_at);
  }
}

/* Has the timer expire every so many nanoseconds from now on; 0 is never. */
static bool set_timer(int fd, long interval_ns) {
  const struct itimerspec every = {{0, interval_ns}, {0, interval_ns}};
  return timerfd_settime(fd, 0, &every, NULL) == 0;
}

void loop_delay_go_on(struct loop_delay *delay) {
  if (delay == NULL || !set_timer(delay->timer.fd, INTERVAL_NS)) {
    return;
  }
  delay->due = bench_seconds() + INTERVAL_S;
  delay->woken_at = 0;
  ev_io_start(delay->loop, &delay->timer);
  ev_check_start(delay->loop, &delay->woken);
  ev_prepare_start(delay->loop, &delay->sleepy);
}

void loop_delay_pause(struct loop_delay *delay) {
  if (delay == NULL) {
    return;
  }
  set_timer(delay->timer.fd, 0);
  ev_io_stop(delay->loop, &delay->timer);
  ev_check_stop(delay->loop, &delay->woken);
  ev_prepare_stop(delay->loop, &delay->sleepy);
}

struct loop_delay *loop_delay_start(struct ev_loop *loop) {
  struct loop_delay *delay = calloc(1, sizeof *delay);
  int fd = delay == NULL ? -1 : timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (fd < 0) {
    free(delay);
    return NULL;
  }
  delay->loop = loop;
  ev_io_init(&delay->timer, expired, fd, EV_READ);
  ev_check_init(&delay->woken, turn_begins);
  ev_prepare_init(&delay->sleepy, turn_ends);
  ev_set_priority(&delay->woken, EV_MAXPRI);
  ev_set_priority(&delay->sleepy, EV_MINPRI);
  delay->timer.data = delay->woken.data = delay->sleepy.data = delay;
  loop_delay_go_on(delay);
  return delay;
}

void loop_delay_stop(struct loop_delay *delay, struct delays *late, struct delays *turns) {
  *late = *turns = (struct delays){0};
  if (delay == NULL) {
    return;
  }
  loop_delay_pause(delay);
  close(delay->timer.fd);
  samples_end(&delay->late, late);
  samples_end(&delay->turns, turns);
  free(delay);
}

static void break_loop(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)timer, (void)events;
  ev_break(loop, EVBREAK_ONE);
}

struct delays loop_delay_idle(struct ev_loop *loop, double seconds) {
  ev_timer end;
  struct delays late, turns;
  struct loop_delay *delay = loop_delay_start(loop);
  ev_now_update(loop);
  ev_timer_init(&end, break_loop, seconds, 0);
  ev_timer_start(loop, &end);
  ev_run(loop, 0);
  loop_delay_stop(delay, &late, &turns);
  return late;
}

bool loop_delay_set_realtime(bool on) {
  const struct sched_param parameter = {.sched_priority = on ? 1 : 0};
  return sched_setscheduler(0, (on ? SCHED_RR : SCHED_OTHER) | SCHED_RESET_ON_FORK, &parameter) ==
         0;
}

bool loop_delay_may_be_realtime(void) {
  return loop_delay_set_realtime(true) && loop_delay_set_realtime(false);
}
