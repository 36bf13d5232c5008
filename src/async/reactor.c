/* The tick: runs what was deferred, then flushes the loader, once in each iteration of the loop. */
#include "async/reactor.h"

#include <stdlib.h>

/* So many callbacks in one tick at most, so that other watchers of the loop get their turn. */
enum { CALLBACKS_PER_TICK = 256 };

static void wake(struct reactor *reactor) {
  ev_prepare_start(reactor->loop, &reactor->prepare);
  ev_idle_start(reactor->loop, &reactor->idle);
}

static void sleep_unless_wanted(struct reactor *reactor) {
  if (reactor->first != NULL || reactor->flush_wanted) {
    return;
  }
  ev_prepare_stop(reactor->loop, &reactor->prepare);
  ev_idle_stop(reactor->loop, &reactor->idle);
}

static void run_deferred(struct reactor *reactor) {
  /* One at a time from the head: a callback may run the loop itself, and so a tick within this. */
  for (int i = 0; i < CALLBACKS_PER_TICK && reactor->first != NULL; i++) {
    struct deferred *deferred = reactor->first;
    reactor->first = deferred->next;
    if (reactor->first == NULL) {
      reactor->last = &reactor->first;
    }
    deferred->run(deferred);
  }
}

static void tick(struct ev_loop *loop, ev_prepare *prepare, int events) {
  (void)loop;
  (void)events;
  struct reactor *reactor = prepare->data;
  reactor_retain(reactor);
  run_deferred(reactor);
  if (reactor->flush_wanted) {
    reactor->flush_wanted = false;
    if (reactor->flush != NULL) {
      reactor->flush(reactor->flush_data);
    }
  }
  sleep_unless_wanted(reactor);
  reactor_release(reactor);
}

static void do_not_sleep(struct ev_loop *loop, ev_idle *idle, int events) {
  (void)loop;
  (void)idle;
  (void)events;
}

struct reactor *reactor_new(struct ev_loop *loop) {
  struct reactor *reactor = calloc(1, sizeof *reactor);
  if (reactor == NULL) {
    return NULL;
  }
  reactor->loop = loop;
  reactor->references = 1;
  reactor->last = &reactor->first;
  ev_prepare_init(&reactor->prepare, tick);
  reactor->prepare.data = reactor;
  /* After the caller's own prepare watchers, so that what they submit leaves in this iteration. */
  ev_set_priority(&reactor->prepare, EV_MINPRI);
  ev_idle_init(&reactor->idle, do_not_sleep);
  ev_set_priority(&reactor->idle, EV_MINPRI);
  return reactor;
}

struct reactor *reactor_retain(struct reactor *reactor) {
  reactor->references++;
  return reactor;
}

void reactor_release(struct reactor *reactor) {
  if (--reactor->references > 0) {
    return;
  }
  ev_prepare_stop(reactor->loop, &reactor->prepare);
  ev_idle_stop(reactor->loop, &reactor->idle);
  free(reactor);
}

void reactor_defer(struct reactor *reactor, struct deferred *deferred) {
  deferred->next = NULL;
  *reactor->last = deferred;
  reactor->last = &deferred->next;
  wake(reactor);
}

void reactor_forget(struct reactor *reactor, const struct deferred *deferred) {
  for (struct deferred **at = &reactor->first; *at != NULL; at = &(*at)->next) {
    if (*at == deferred) {
      *at = deferred->next;
      if (*at == NULL) {
        reactor->last = at;
      }
      return;
    }
  }
}

void reactor_arm(struct reactor *reactor) {
  reactor->flush_wanted = true;
  wake(reactor);
}
