/* A line of progress on the standard error, if that is a terminal. */
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "async/clock.h"

static const double pause_seconds = 0.2;

void progress_begin(struct progress *progress, const char *verb) {
  *progress = (struct progress){
      .verb = verb, .shown = isatty(STDERR_FILENO) == 1, .begin = clock_seconds()};
}

void progress_show(struct progress *progress, int64_t rows, double share) {
  static const char full[] = "##############################";
  enum { WIDTH = sizeof full - 1 };
  double now = clock_seconds();
  if (!progress->shown || now - progress->last < pause_seconds) {
    return;
  }
  progress->last = now;
  double seconds = now - progress->begin;
  double rate = seconds > 0 ? (double)rows / seconds : 0;
  if (share >= 0) {
    share = share > 1 ? 1 : share;
    int filled = (int)(share * WIDTH);
    fprintf(stderr, "\r[%.*s%*s] %3.0f%%  ", filled, full, WIDTH - filled, "", share * 100);
  } else {
    fputc('\r', stderr);
  }
  fprintf(stderr, "%" PRId64 " %s, %.0f/s\033[K", rows, progress->verb, rate);
  fflush(stderr);
}

double progress_end(struct progress *progress) {
  if (progress->shown) {
    fputs("\r\033[K", stderr);
    fflush(stderr);
  }
  return clock_seconds() - progress->begin;
}
