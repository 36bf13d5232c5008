/*
 * How long a loop keeps others waiting: the delay of a 1 ms timer on it, and the CPU time of each
 * of its turns.
 *
 * The timer is a timerfd, not an ev_timer: libev rounds its time-outs up to whole milliseconds, so
 * that an ev_timer is up to 1 ms late on an idle loop. Every expiry counts, those too that pass
 * while the loop is held up: in a pause of 5 ms there are delays of 5, 4, 3, 2 and 1 ms.
 *
 * The delay is what others feel. Where other processes want the CPU, most of it may be their doing:
 * the CPU time of a turn, from waking up to going to sleep, is what is done on the loop itself, and
 * a thread in real time does not wait for a core.
 */
#ifndef BENCH_LOOP_DELAY_H
#define BENCH_LOOP_DELAY_H

#include <stdbool.h>

struct ev_loop;
struct loop_delay;

/* Milliseconds. */
struct delays {
  double p50, p99, p999, max;
};

/* Starts the timer; NULL when there is none to be had. */
struct loop_delay *loop_delay_start(struct ev_loop *loop);

/* Leaves out what comes until it goes on; NULL is fine. */
void loop_delay_pause(struct loop_delay *delay);
void loop_delay_go_on(struct loop_delay *delay);

/* Stops it, sums up the delays of the timer and the CPU times of the turns, and frees it; all zero
 * for NULL. */
void loop_delay_stop(struct loop_delay *delay, struct delays *late, struct delays *turns);

/* Runs the loop for a while with nothing but the timer: the delay that the machine itself adds. */
struct delays loop_delay_idle(struct ev_loop *loop, double seconds);

/*
 * Gives this thread, and none that it makes, a core whenever it wants one, before all threads of
 * the usual kind (SCHED_RR with the lowest priority); or takes that back. False where it is not
 * permitted: that takes root, CAP_SYS_NICE, or a limit as `ulimit -r 1`.
 */
bool loop_delay_set_realtime(bool on);
bool loop_delay_may_be_realtime(void);

#endif
