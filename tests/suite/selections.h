/*
 * What operations 6 to 12 and 15 have in common: they select rows in an order, up to a limit, and
 * update them. One line for each; the tests that hold for all run over these.
 */
#ifndef SUITE_SELECTIONS_H
#define SUITE_SELECTIONS_H

#include <evdurable.h>

struct selection {
  const char *name;
  bool returns_rows; /* a claim; else it only counts */
  /* Makes a row one of those that are selected; `order` is what they are ordered by, from 0. */
  void (*make_selected)(evd_execution *row, int order);
  /* Submits the operation. */
  evd_future *(*run)(evd_storage *storage, const evd_changes *changes, int64_t limit);
  /* Sets what the next run no longer selects. */
  void (*leave)(evd_changes *changes);
};

enum { SELECTIONS = 8 };
extern const struct selection selections[SELECTIONS];

/* The row after the operation: the changes and what the operation sets besides. */
void selection_apply(const struct selection *selection, evd_execution *row,
                     const evd_changes *changes);

/* How many rows it returned or updated; waits for it and takes it over. */
int64_t selection_count(const struct selection *selection, evd_future *future);

#endif
