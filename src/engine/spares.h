/*
 * Workers that connections which were made or closed, or names that were resolved, have left for
 * the next: to end a thread is to wait for it, which on busy cores takes the loop milliseconds.
 * Those that are at work at once have a worker each.
 */
#ifndef ENGINE_SPARES_H
#define ENGINE_SPARES_H

#include <stdbool.h>
#include <stddef.h>

#include <evdurable/error.h>

struct ev_loop;
struct worker;

struct spares {
  struct worker **workers;
  size_t count;
  size_t size; /* that there is room for */
};

/* Room for `size` workers. False if memory ran out. */
bool spares_init(struct spares *spares, size_t size);

/* A spare worker, or a new one. NULL with the error when there is no thread or memory. */
struct worker *spares_take(struct spares *spares, struct ev_loop *loop, evd_error *error);

/* Leaves a worker without a job; frees it if there is no room. */
void spares_leave(struct spares *spares, struct worker *worker);

/* Frees the workers. */
void spares_free(struct spares *spares);

#endif
