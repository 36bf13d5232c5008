/* Closing what has finished: a step of the executor. */
#ifndef EXECUTOR_CLOSE_H
#define EXECUTOR_CLOSE_H

#include "executor/executor.h"

void close_begin(struct step *step);

#endif
