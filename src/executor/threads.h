/* The threads that run blocking tasks: started when they are needed, at most threads_max. */
#ifndef EXECUTOR_THREADS_H
#define EXECUTOR_THREADS_H

#include <stdbool.h>

#include <ev.h>

struct threads;
struct evd_run;

/* NULL if memory ran out. `ended` is called on the loop's thread when a run's function returned. */
struct threads *threads_new(struct ev_loop *loop, int count, void (*ended)(struct evd_run *run));

/* Calls the run's function on a thread, one that has nothing to do if there is one. False if memory
 * ran out, or no thread can be started. */
bool threads_run(struct threads *threads, struct evd_run *run);

/* Whether the caller is on one of them. */
bool threads_is_one(void);

/* When nothing runs any more. NULL is fine. */
void threads_free(struct threads *threads);

#endif
