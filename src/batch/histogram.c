/* A log-linear histogram of durations. */
#include "batch/histogram.h"

#include <math.h>

enum { SUB_BITS = 5 };
#define SUB_BUCKETS (1u << SUB_BITS)
#define LARGEST ((UINT64_C(1) << 40) - 1)

/* Values below 32 have a bucket each; above, the five bits behind the leading one choose it. */
static unsigned bucket_of(uint64_t value) {
  if (value < SUB_BUCKETS) {
    return (unsigned)value;
  }
  if (value > LARGEST) {
    value = LARGEST;
  }
  unsigned shift = 63 - (unsigned)__builtin_clzll(value) - SUB_BITS;
  return (shift + 1) * SUB_BUCKETS + (unsigned)((value >> shift) - SUB_BUCKETS);
}

/* The largest value of a bucket. */
static uint64_t bucket_top(unsigned bucket) {
  if (bucket < SUB_BUCKETS) {
    return bucket;
  }
  unsigned shift = bucket / SUB_BUCKETS - 1;
  uint64_t low = (uint64_t)(bucket % SUB_BUCKETS + SUB_BUCKETS) << shift;
  return low + (UINT64_C(1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value) {
  histogram->count++;
  histogram->buckets[bucket_of(value)]++;
  if (value > histogram->max) {
    histogram->max = value;
  }
}

uint64_t histogram_quantile(const struct histogram *histogram, double share) {
  uint64_t rank = (uint64_t)ceil(share * (double)histogram->count);
  uint64_t seen = 0;
  for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
    seen += histogram->buckets[bucket];
    if (seen >= rank && seen > 0) {
      uint64_t top = bucket_top(bucket);
      return top < histogram->max ? top : histogram->max;
    }
  }
  return histogram->max;
}
