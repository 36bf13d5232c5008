/* Going on with parents whose children have finished: a step of the executor. */
#ifndef EXECUTOR_PARENTS_H
#define EXECUTOR_PARENTS_H

#include "executor/executor.h"

void parents_begin(struct step *step);

#endif
