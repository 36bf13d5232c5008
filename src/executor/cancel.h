/* Stopping runs whose executions were cancelled, by whomever: a step of the executor. */
#ifndef EXECUTOR_CANCEL_H
#define EXECUTOR_CANCEL_H

#include "executor/executor.h"

void cancel_begin(struct step *step);

#endif
