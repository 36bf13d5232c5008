/* Recovering what executors that died have left: a step of the executor. */
#ifndef EXECUTOR_RECOVER_H
#define EXECUTOR_RECOVER_H

#include "executor/executor.h"

void recover_begin(struct step *step);

#endif
