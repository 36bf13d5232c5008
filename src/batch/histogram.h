/*
 * A log-linear histogram: 32 buckets to each doubling, so that a percentile is right to within 3 %,
 * from 0 to 2^40 in whatever unit. Debian has no C library for one.
 */
#ifndef BATCH_HISTOGRAM_H
#define BATCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS (32 * 37)

struct histogram {
  uint64_t count;
  uint64_t max;
  uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The value that a share of all values (0 to 1) does not exceed; 0 when there are none. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

#endif
