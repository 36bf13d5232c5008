/* The pool of threads for blocking tasks. */
#include "executor/threads.h"

#include <stdlib.h>

#include "async/worker.h"
#include "executor/run.h"

static _Thread_local bool is_one;

struct thread {
  struct worker *worker; /* NULL: not started */
  int turns;             /* given to it and not over */
};

/* A run's turn on a thread. */
struct turn {
  struct job job;
  struct threads *threads;
  struct thread *thread;
  struct evd_run *run;
};

struct threads {
  struct ev_loop *loop;
  void (*ended)(struct evd_run *run);
  int count;
  struct thread thread[];
};

struct threads *threads_new(struct ev_loop *loop, int count, void (*ended)(struct evd_run *run)) {
  struct threads *threads = calloc(1, sizeof *threads + (size_t)count * sizeof threads->thread[0]);
  if (threads != NULL) {
    threads->loop = loop;
    threads->count = count;
    threads->ended = ended;
  }
  return threads;
}

/* The thread with the fewest turns, started if need be; NULL. */
static struct thread *choose(struct threads *threads) {
  struct thread *chosen = NULL;
  evd_error error;
  for (int i = 0; i < threads->count; i++) {
    struct thread *thread = &threads->thread[i];
    if (chosen != NULL && chosen->turns <= thread->turns) {
      continue;
    }
    if (thread->worker == NULL) {
      thread->worker = worker_new(threads->loop, &error);
    }
    chosen = thread->worker != NULL ? thread : chosen;
  }
  return chosen;
}

/* On the thread. */
static void call(struct job *job) {
  struct turn *turn = (struct turn *)job;
  const evd_task *task = &turn->run->task->task;
  is_one = true;
  task->run(turn->run, task->data);
}

/* On the loop. */
static void called(struct job *job) {
  struct turn *turn = (struct turn *)job;
  struct threads *threads = turn->threads;
  struct evd_run *run = turn->run;
  turn->thread->turns--;
  free(turn);
  threads->ended(run);
}

bool threads_run(struct threads *threads, struct evd_run *run) {
  struct turn *turn = calloc(1, sizeof *turn);
  struct thread *thread = turn != NULL ? choose(threads) : NULL;
  if (thread == NULL) {
    free(turn);
    return false;
  }
  *turn = (struct turn){
      .job = {.run = call, .done = called}, .threads = threads, .thread = thread, .run = run};
  thread->turns++;
  worker_submit(thread->worker, &turn->job);
  return true;
}

bool threads_is_one(void) {
  return is_one;
}

void threads_free(struct threads *threads) {
  for (int i = 0; threads != NULL && i < threads->count; i++) {
    worker_free(threads->thread[i].worker);
  }
  free(threads);
}
