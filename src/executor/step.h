/*
 * A piece of the executor's work that is done again and again: one round of operations at a time.
 *
 *   WAITING ──timer, or a hint──> UNDER WAY ──all answered──> WAITING, or at once again
 *
 * A hint while it is under way is a flag: any number of events cost one round more. What finds
 * nothing waits longer each time, up to a bound; what fails, too.
 */
#ifndef EXECUTOR_STEP_H
#define EXECUTOR_STEP_H

#include <stdbool.h>

#include <ev.h>

/* How an operation ended; of several in a round the last of these counts. */
enum step_end {
  STEP_NOTHING, /* there was nothing to be done */
  STEP_SOME,    /* there was something, and no more */
  STEP_MORE,    /* there may be more */
  STEP_FAILED
};

struct step {
  struct ev_loop *loop;
  void (*begin)(struct step *step); /* sends the operations of a round, if there are any */
  void *data;
  ev_timer timer;
  double shortest, longest; /* seconds between two rounds, while nothing is found */
  double pause;             /* the present one */
  int operations;           /* that were sent and not answered */
  enum step_end end;        /* of the round */
  bool again;               /* a hint came meanwhile */
  bool failing;             /* the last round failed */
  double due;               /* clock_seconds() when there will be something to do; 0: not known */
  bool stopped;
};

void step_init(struct step *step, struct ev_loop *loop, void (*begin)(struct step *step),
               void *data, double shortest, double longest);

/* Begins to work: at once, then when it is time. */
void step_start(struct step *step);

/* Begins nothing more; what is under way ends. */
void step_stop(struct step *step);

/* There may be something to do now, or there will be in so many seconds. After a failure it waits
 * all the same. */
void step_hint(struct step *step);
void step_hint_in(struct step *step, double seconds);

/* In begin: an operation was sent. Later, once for each: it was answered. */
void step_sent(struct step *step);
void step_answered(struct step *step, enum step_end end);

#endif
