/* Work that is done again and again. */
#include "executor/step.h"

#include "async/clock.h"
#include "async/timer.h"
#include "executor/random.h"

/* Part of a pause that is drawn at random, so that executors do not work in step. */
static const double JITTER = 0.1;

/* The longest pause after failures, in seconds, where the step has no longer one of its own. */
static const double FAILURE_LONGEST = 5;

static void wait_for(struct step *step, double seconds) {
  timer_start(step->loop, &step->timer, seconds, 0);
}

static void wait_as_usual(struct step *step) {
  double seconds = step->pause * (1 + random_part(JITTER));
  if (step->due > 0 && !step->failing) {
    double left = step->due - clock_seconds();
    seconds = left < seconds ? left : seconds;
  }
  wait_for(step, seconds > 0 ? seconds : 0);
}

/* Whether operations are under way. */
static bool is_under_way(const struct step *step) {
  return step->operations > 0;
}

/* The round is over. */
static void end_round(struct step *step) {
  double longest = step->longest;
  step->failing = step->end == STEP_FAILED;
  if (step->end == STEP_SOME || step->end == STEP_MORE) {
    step->pause = step->shortest;
  } else {
    step->pause *= 2;
    longest = step->failing && longest < FAILURE_LONGEST ? FAILURE_LONGEST : longest;
    step->pause = step->pause < longest ? step->pause : longest;
  }
  if (step->stopped) {
    return;
  }
  if (!step->failing && (step->end == STEP_MORE || step->again)) {
    wait_for(step, 0);
  } else {
    wait_as_usual(step);
  }
}

static void timer_fired(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)loop, (void)events;
  struct step *step = timer->data;
  step->again = false;
  step->due = step->due > clock_seconds() ? step->due : 0;
  step->end = STEP_NOTHING;
  step->operations = 1; /* this call itself */
  step->begin(step);
  step->operations--;
  if (!is_under_way(step) && !step->stopped) {
    wait_as_usual(step);
  }
}

void step_init(struct step *step, struct ev_loop *loop, void (*begin)(struct step *step),
               void *data, double shortest, double longest) {
  *step = (struct step){.loop = loop,
                        .begin = begin,
                        .data = data,
                        .shortest = shortest,
                        .longest = longest,
                        .pause = shortest,
                        .stopped = true};
  ev_timer_init(&step->timer, timer_fired, 0, 0);
  step->timer.data = step;
}

void step_start(struct step *step) {
  step->stopped = false;
  wait_for(step, 0);
}

void step_stop(struct step *step) {
  step->stopped = true;
  ev_timer_stop(step->loop, &step->timer);
}

void step_hint_in(struct step *step, double seconds) {
  double due = clock_seconds() + seconds;
  if (step->due == 0 || due < step->due) {
    step->due = due;
  }
  if (!step->stopped && !is_under_way(step)) {
    wait_as_usual(step);
  }
}

void step_hint(struct step *step) {
  if (is_under_way(step)) {
    step->again = true;
  } else if (!step->stopped && !step->failing) {
    step->pause = step->shortest;
    wait_for(step, 0);
  }
}

void step_sent(struct step *step) {
  step->operations++;
}

void step_answered(struct step *step, enum step_end end) {
  step->operations--;
  step->end = end > step->end ? end : step->end;
  if (!is_under_way(step)) {
    end_round(step);
  }
}
