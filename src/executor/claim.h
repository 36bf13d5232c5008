/* Claiming and starting executions that are due: a step of the executor. */
#ifndef EXECUTOR_CLAIM_H
#define EXECUTOR_CLAIM_H

#include "executor/executor.h"

void claim_begin(struct step *step);

#endif
