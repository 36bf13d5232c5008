/* Keeps idle workers for the next connections. */
#include "engine/spares.h"

#include <stdlib.h>

#include "async/worker.h"

bool spares_init(struct spares *spares, size_t size) {
  *spares = (struct spares){.size = size};
  spares->workers = calloc(size, sizeof(struct worker *));
  return spares->workers != NULL;
}

struct worker *spares_take(struct spares *spares, struct ev_loop *loop, evd_error *error) {
  return spares->count > 0 ? spares->workers[--spares->count] : worker_new(loop, error);
}

void spares_leave(struct spares *spares, struct worker *worker) {
  if (spares->count < spares->size) {
    spares->workers[spares->count++] = worker;
  } else {
    worker_free(worker);
  }
}

void spares_free(struct spares *spares) {
  for (size_t i = 0; i < spares->count; i++) {
    worker_free(spares->workers[i]);
  }
  free(spares->workers);
}
