/* How requests end before their answer: time-outs, cancellation, closing. */
#include <utlist.h>

#include "batch/queue.h"
#include "model/error.h"

/* How many futures are finished in one iteration of the loop, about. */
enum { SLICE = 256 };

evd_outcome loader_outcome(const struct pending *pending) {
  bool known = pending->state != PENDING_SENT || operation_is_read(pending->request.operation);
  return known ? EVD_OUTCOME_NOT_APPLIED : EVD_OUTCOME_UNKNOWN;
}

void loader_fail(struct loader *loader, struct pending *pending, const evd_error *error) {
  loader_fail_futures(loader, pending, error);
  if (pending->state != PENDING_SENT) {
    loader_withdraw(loader, pending);
    loader_discard(loader, pending);
  }
}

evd_outcome loader_cancel(evd_future *future, void *maker) {
  struct pending *pending = maker;
  struct loader *loader = pending->loader;
  evd_outcome outcome = loader_outcome(pending);
  loader->counters[pending->request.operation].stats.failures++;
  loader_forget_futures(loader, pending, 1);
  pending_remove_future(pending, future);
  if (pending->future_count == 0 && pending->state != PENDING_SENT) {
    loader_withdraw(loader, pending);
    loader_discard(loader, pending);
  }
  return outcome;
}

/* Time-outs. All requests of a storage have the same time, so the oldest runs out first. */

static void describe_time_out(const struct loader *loader, const struct pending *pending,
                              evd_error *error) {
  const evd_error *trouble = loader->engine != NULL ? loader->ops->trouble(loader->engine) : NULL;
  long long time = (long long)loader->limits.timeout_ms;
  const char *name = evd_operation_name(pending->request.operation);
  if (trouble != NULL && pending->state != PENDING_SENT) {
    error_set(error, EVD_EUNAVAILABLE, "", "%s: no connection within %lld ms: %s", name, time,
              trouble->message);
    error_set_native(error, trouble->native);
  } else {
    error_set(error, EVD_ETIMEDOUT, "", "%s took longer than %lld ms", name, time);
  }
  error->outcome = loader_outcome(pending);
}

void loader_expire_some(struct loader *loader) {
  size_t ended = 0;
  while (ended < SLICE && loader->oldest != NULL) {
    struct pending *pending = loader->oldest;
    evd_error error;
    if (loader_time_left(loader, pending) > 0) {
      break;
    }
    ended += pending->future_count;
    describe_time_out(loader, pending, &error);
    loader_fail(loader, pending, &error);
  }
  loader_watch_expiry(loader);
}

/* What is left over is for the next iteration: the timer then fires at once. */
void loader_on_expiry(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)loop;
  (void)events;
  loader_expire_some(timer->data);
}

/* Closing. */

static void free_parcels(struct loader *loader, struct parcel **list) {
  struct parcel *parcel;
  while ((parcel = *list) != NULL) {
    DL_DELETE2(*list, parcel, previous, next);
    ev_timer_stop(loader->loop, &parcel->back_off);
    parcel_free(parcel);
  }
}

void loader_free_parcels(struct loader *loader) {
  free_parcels(loader, &loader->again);
  free_parcels(loader, &loader->backing_off);
}

bool loader_abort_some(struct loader *loader) {
  size_t ended = 0;
  struct pending *pending = loader->oldest;
  while (pending != NULL && ended < SLICE) {
    struct pending *younger = pending->younger;
    if (pending->state != PENDING_SENT) {
      ended += pending->future_count;
      loader_fail(loader, pending, &loader->abort_error);
    }
    pending = younger;
  }
  if (pending != NULL) {
    reactor_arm(loader->reactor);
    return false;
  }
  loader_free_parcels(loader);
  return true;
}

void loader_abort(struct loader *loader, const evd_error *error, void (*ended)(void *owner),
                  void *owner) {
  loader->refusing = true;
  loader->aborting = true;
  loader->abort_error = *error;
  loader->emptied = ended;
  loader->owner = owner;
  (void)loader_abort_some(loader);
  reactor_arm(loader->reactor);
}
