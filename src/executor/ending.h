/* How a run ends: what its code says, or what became of it. */
#ifndef EXECUTOR_ENDING_H
#define EXECUTOR_ENDING_H

#include <evdurable/executor.h>

enum ending_kind {
  ENDING_NONE, /* its function returned on a thread, and had not ended it */
  /* By the code: */
  ENDING_COMPLETE,
  ENDING_FAIL,
  ENDING_SNOOZE,
  ENDING_SPAWN,
  /* By the executor: */
  ENDING_GIVE_BACK, /* nothing: to be run again, by anybody */
  ENDING_SEQUENCE,  /* its task is a sequence: its first task begins */
  ENDING_GO_ON      /* of a parent whose children have finished, without a finalize function */
};

struct ending {
  enum ending_kind kind;
  evd_status status; /* fail */
  bool retryable;
  int64_t delay_ms;   /* snooze */
  char *text;         /* output, message or state; NULL is none; owned */
  evd_spec *children; /* spawn; owned */
  size_t child_count;
  bool out_of_memory; /* it could not be copied */
};

#endif
