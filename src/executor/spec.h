/* What a specification says of a new execution, or else its task, or else the defaults. */
#ifndef EXECUTOR_SPEC_H
#define EXECUTOR_SPEC_H

#include "executor/tasks.h"

/* Where a child stands below its parent. */
struct place {
  const evd_execution *parent;
  int32_t index;
  bool is_only;
  bool is_finalize;
};

/* A new execution: a copy, to be released with free(). Its id is the specification's, or else a new
 * one. `place` may be NULL: it has no parent. NULL with the error: EVD_EINVAL, EVD_ENOMEM. */
evd_execution *spec_execution(const struct tasks *tasks, const evd_spec *spec,
                              const struct place *place, evd_error *error);

/* Copies of specifications, in one block to be released with free(); NULL if memory ran out. */
evd_spec *spec_copy_all(const evd_spec *specs, size_t count);

#endif
