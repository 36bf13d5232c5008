/* A flow of operations, so many in flight at any time. */
#include <ev.h>
#include <stdlib.h>

#include "bench.h"
#include "flow.h"

/* One of the operations in flight. Freed with the array that flow_run() makes. */
struct slot {
  struct flow *flow;
  size_t index;
};

static void submit_next(struct slot *slot);

/* The callback of an operation: its slot takes the next one. */
static void finished(evd_future *future, void *data) {
  struct slot *slot = data;
  struct flow *flow = slot->flow;
  flow->pending--;
  if (evd_future_code(future) != EVD_OK) {
    if (!flow->failed) { /* the first failure is enough to say */
      flow->failed = !bench_fail_future(flow->name, future);
    }
  } else {
    int64_t units = flow->done_units(flow, future, slot->index);
    if (units < 0) {
      flow->failed = !bench_fail("%s: operation %zu had a wrong result", flow->name, slot->index);
    } else {
      flow->done += (size_t)units;
    }
  }
  submit_next(slot);
  if (flow->pending == 0) {
    ev_break(EV_DEFAULT, EVBREAK_ONE);
  }
}

/* Submits one more, unless what is in flight already will do the rest. */
static void submit_next(struct slot *slot) {
  struct flow *flow = slot->flow;
  if (flow->failed || flow->done + flow->pending * flow->unit >= flow->total) {
    return;
  }
  slot->index = flow->submitted++;
  flow->pending++;
  if (evd_future_then(flow->submit(flow, slot->index), finished, slot) != EVD_OK) {
    flow->pending--;
    flow->failed = !bench_fail("%s: out of memory", flow->name);
  }
}

bool flow_run(struct flow *flow) {
  struct slot *slots = calloc(flow->in_flight, sizeof *slots);
  if (slots == NULL) {
    return bench_fail("out of memory");
  }
  for (size_t i = 0; i < flow->in_flight; i++) {
    slots[i].flow = flow;
    submit_next(&slots[i]);
  }
  if (flow->pending > 0) {
    ev_run(EV_DEFAULT, 0);
  }
  free(slots);
  return !flow->failed && flow->done >= flow->total;
}
