/* Taking requests. */
#include <math.h>
#include <stdlib.h>

#include <utlist.h>

#include "async/clock.h"
#include "batch/queue.h"
#include "model/error.h"

/* A read that is older, in seconds, or has this many futures takes no more. */
#define MERGE_AGE_MAX 1.0
enum { MERGE_MAX = 64 };

static evd_future *refuse(struct loader *loader, evd_code code, const char *why) {
  evd_error error;
  error_set(&error, code, "", "%s", why);
  return future_failed(loader->reactor, &error);
}

static evd_future *refuse_for_good(struct loader *loader) {
  return refuse(loader, EVD_ECLOSED, "the storage is closing");
}

static bool is_full(const struct loader *loader) {
  return loader->pending_requests >= loader->limits.pending_requests ||
         loader->pending_bytes >= loader->limits.pending_bytes;
}

/* Whether a read may wait with this one: it shares its time-out, and is answered in one go with all
 * the others. */
static bool may_join(const struct loader *loader, const struct pending *read) {
  double age_max = MERGE_AGE_MAX;
  if (loader->limits.timeout_ms >= 0) {
    age_max = fmin(age_max, (double)loader->limits.timeout_ms / 1000 / 10);
  }
  return read->future_count < MERGE_MAX && clock_seconds() - read->submitted <= age_max;
}

/* A waiting read that asks the same, and that one more may join. */
static struct pending *find_read(struct loader *loader, const struct request *request) {
  char key[READ_KEY_MAX];
  size_t length = pending_key(request, key);
  struct pending *found;
  HASH_FIND(handle, loader->reads, key, length, found);
  if (found != NULL && !may_join(loader, found)) {
    loader_close_read(loader, found); /* the next to come takes its place */
    found = NULL;
  }
  return found;
}

/* Gives the request one more future. */
static evd_future *attach_future(struct loader *loader, struct pending *pending) {
  evd_future *future = future_new(loader->reactor);
  if (future == NULL) {
    return NULL;
  }
  future_set_maker(future, loader_cancel, pending);
  pending_add_future(pending, future);
  if (loader->pending_requests++ == 0) {
    ev_ref(loader->loop); /* somebody waits: the loop must not end because it has no watchers */
  }
  evd_operation_stats *stats = &loader->counters[pending->request.operation].stats;
  stats->requests++;
  stats->pending++;
  return future;
}

static bool is_update_by_id(evd_operation operation) {
  return operation == EVD_OPERATION_UPDATE || operation == EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN;
}

evd_future *loader_admit(struct loader *loader, const struct request *request) {
  struct pending *pending = pending_new(request);
  evd_future *future = pending != NULL ? attach_future(loader, pending) : NULL;
  if (future == NULL) {
    free(pending);
    return NULL;
  }
  pending->loader = loader;
  pending->number = loader->submitted++;
  pending->submitted = clock_seconds();
  loader->pending_bytes += pending->bytes;
  DL_APPEND2(loader->oldest, pending, older, younger);
  if (!is_update_by_id(request->operation)) {
    loader_enqueue(loader, pending);
  } else if (!loader_enter_line(loader, pending)) {
    evd_error error;
    error_set_no_memory(&error);
    loader_fail_futures(loader, pending, &error);
    loader_discard(loader, pending);
  }
  loader_watch_expiry(loader);
  return future;
}

evd_future *loader_submit(struct loader *loader, const struct request *request) {
  if (loader->refusing) {
    return refuse_for_good(loader);
  }
  if (is_full(loader)) {
    loader->refused++;
    return refuse(loader, EVD_EBUSY, "too many requests are pending; try again when some are done");
  }
  if (operation_is_read(request->operation)) {
    struct pending *same = find_read(loader, request);
    if (same != NULL) {
      loader->counters[request->operation].stats.merged++;
      return attach_future(loader, same);
    }
  }
  return loader_admit(loader, request);
}

evd_future *loader_submit_nothing(struct loader *loader, enum result_kind kind) {
  if (loader->refusing) {
    return refuse_for_good(loader);
  }
  return future_succeeded(loader->reactor, &(struct result){.kind = kind});
}
