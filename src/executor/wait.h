/* Waiting for executions to finish: evd_wait(). */
#ifndef EXECUTOR_WAIT_H
#define EXECUTOR_WAIT_H

#include "executor/executor.h"

/* An execution has finished here: whoever waits for it looks at once. */
void wait_finished(struct evd_executor *executor, const char *execution_id);

/* Ends all waiting, with EVD_ECLOSED. */
void wait_stop(struct evd_executor *executor);

#endif
