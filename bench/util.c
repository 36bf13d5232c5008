/* Repetitions, errors, progress, clocks, the median. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

size_t bench_repetitions(const struct bench_options *options) {
  if (options->repetitions == 0) {
    return options->quick ? 1 : 5;
  }
  return options->repetitions < REPETITIONS_MAX ? options->repetitions : REPETITIONS_MAX;
}

bool bench_fail(const char *format, ...) {
  va_list arguments;
  bench_progress(NULL);
  fputs("evdurable-bench: ", stderr);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  return false;
}

bool bench_fail_future(const char *what, const evd_future *future) {
  const evd_error *error = evd_future_error(future);
  return bench_fail("%s: %s: %s", what, evd_code_name(error->code), error->message);
}

void bench_progress(const char *format, ...) {
  va_list arguments;
  if (!isatty(STDERR_FILENO)) {
    return;
  }
  fputs("\r\033[K", stderr);
  if (format == NULL) {
    return;
  }
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fflush(stderr);
}

double bench_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double bench_cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int compare_doubles(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

double bench_median(double *numbers, size_t count) {
  qsort(numbers, count, sizeof *numbers, compare_doubles);
  return numbers[(count - 1) / 2];
}
