/*
 * A conditional write about one execution, repeated until it is known what became of it: it is
 * stored, or the execution is not ours any more, or the database refuses it.
 *
 *   SENT ──matched──────────────────────────────────────> STORED
 *    |  └──no match──> (an earlier try may have been applied: COMPARING ──> STORED | LOST), LOST
 *    ├──may succeed later, in time──> PAUSING ──> SENT
 *    └──refused────────────────────────────────────────> REFUSED
 */
#ifndef EXECUTOR_OUTCOME_H
#define EXECUTOR_OUTCOME_H

#include <evdurable/storage.h>
#include <evdurable/update.h>

enum outcome_end {
  OUTCOME_STORED,
  OUTCOME_LOST,   /* it did not match, or the time was over: another may have the execution */
  OUTCOME_REFUSED /* for what is in it */
};

/* Told once, from the loop. The error is NULL where there was none. */
typedef void (*outcome_callback)(enum outcome_end end, const evd_error *error, void *data);

/* What is to be written. All is copied. */
struct outcome_write {
  const char *execution_id;
  evd_filter filter;
  evd_changes changes;           /* with updated_at, by which it is known again */
  const evd_execution *children; /* inserted if it matches; NULL: none */
  size_t child_count;
  bool others_may_insert; /* the same children: a duplicate is another's, and no mistake */
  int64_t deadline;       /* until when it is repeated: the end of the lease */
};

/* False if memory ran out: then nobody is told. */
bool outcome_write(struct ev_loop *loop, evd_storage *storage, const struct outcome_write *write,
                   outcome_callback done, void *data);

#endif
