/*
 * A tiny executor on the caller's loop: claims executions that are due, runs each by a timer, and
 * completes it. Its tasks all do the same: they take 20 ms, and their output is their input.
 */
#ifndef EXECUTOR_H
#define EXECUTOR_H

#include <evdurable.h>

struct ev_loop;
struct executor;

/* Starts on a storage, which must outlive it. NULL when memory is out. */
struct executor *executor_start(struct ev_loop *loop, evd_storage *storage);

/* Claims no more, lets what runs come to its end, then calls back and is gone. */
void executor_stop(struct executor *executor, void (*stopped)(void *data), void *data);

#endif
