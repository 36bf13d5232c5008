/* Progress on the standard error, where that is a terminal: a line that is written over. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
  const char *verb; /* "imported" */
  bool shown;       /* there is a terminal */
  double begin;     /* monotonic seconds */
  double last;      /* when it was written */
};

void progress_begin(struct progress *progress, const char *verb);

/* So many rows are done, and of the whole a share (0 to 1; negative: not known). Writes only now
 * and then. */
void progress_show(struct progress *progress, int64_t rows, double share);

/* Wipes the line, and returns the seconds since the beginning. */
double progress_end(struct progress *progress);

#endif
