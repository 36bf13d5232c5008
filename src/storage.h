/*
 * The front door's own: what storage.c (opening, closing, statistics) and operations.c share.
 *
 *   OPENING ──engine opened──> OPEN ──evd_storage_close──> DRAINING
 *      └──engine failed, or evd_future_cancel──> CLOSING
 *
 *   DRAINING ──nothing pending, or time is over──> CLOSING ──engine closed──> ENDING
 *
 *   ENDING ──its turn, behind the callbacks that waited──> CLOSED ──closing future freed──> (freed)
 */
#ifndef STORAGE_H
#define STORAGE_H

#include <ev.h>

#include "async/reactor.h"
#include "batch/loader.h"
#include "batch/log.h"
#include "engine/engine.h"

struct evd_storage {
  struct reactor *reactor; /* a reference */
  struct loader *loader;
  const struct engine_ops *ops;
  struct engine *engine; /* its own; frees itself before its last callback: then NULL */
  struct log log;
  bool test_mode;
  bool changes_table;     /* its opening may */
  evd_future *opening;    /* a maker's reference, until the engine is open or has failed */
  evd_future *closing;    /* a maker's reference, once it was asked to close */
  ev_timer drain;         /* when pending operations have to end */
  struct deferred ending; /* once the engine has closed */
};

#endif
