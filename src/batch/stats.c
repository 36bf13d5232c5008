/* Statistics: the loader's counters as a struct, and the struct as text. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "batch/queue.h"

static double milliseconds(const struct histogram *histogram, double share) {
  return (double)histogram_quantile(histogram, share) / 1000;
}

void loader_stats(const struct loader *loader, evd_stats *stats) {
  *stats = (evd_stats){.pending_requests = loader->pending_requests,
                       .pending_bytes = loader->pending_bytes,
                       .refused = loader->refused,
                       .rows_unreadable = loader->rows_unreadable};
  for (int i = 0; i < EVD_OPERATION_COUNT; i++) {
    const struct histogram *latency = &loader->counters[i].latency;
    stats->operations[i] = loader->counters[i].stats;
    stats->operations[i].latency = (evd_latency){.p50 = milliseconds(latency, 0.50),
                                                 .p90 = milliseconds(latency, 0.90),
                                                 .p99 = milliseconds(latency, 0.99),
                                                 .p999 = milliseconds(latency, 0.999),
                                                 .max = (double)latency->max / 1000};
  }
}

static void print_operation(FILE *out, const char *name, const evd_operation_stats *stats) {
  double mean = stats->batches > 0 ? (double)stats->batched / (double)stats->batches : 0;
  fprintf(out,
          "%-32s %10" PRIu64 " %8" PRIu64 " %9" PRIu64 " %7.1f %6" PRIu64 " %7" PRIu64 " %6" PRIu64
          " %8" PRIu64 " %7" PRIu64 " %9.3f %9.3f %9.3f %9.3f %9.3f\n",
          name, stats->requests, stats->merged, stats->batches, mean, stats->batch_max,
          stats->retries, stats->splits, stats->failures, stats->pending, stats->latency.p50,
          stats->latency.p90, stats->latency.p99, stats->latency.p999, stats->latency.max);
}

char *evd_stats_text(const evd_stats *stats) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (out == NULL) {
    return NULL;
  }
  fprintf(out, "%-32s %10s %8s %9s %7s %6s %7s %6s %8s %7s %9s %9s %9s %9s %9s\n", "operation",
          "requests", "merged", "batches", "mean", "max", "retries", "splits", "failures",
          "pending", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms");
  for (int i = 0; i < EVD_OPERATION_COUNT; i++) {
    if (stats->operations[i].requests > 0) {
      print_operation(out, evd_operation_name((evd_operation)i), &stats->operations[i]);
    }
  }
  fprintf(out,
          "pending %" PRIu64 " requests, %" PRIu64 " bytes; refused %" PRIu64
          "; connections %" PRIu64 ", reconnections %" PRIu64 "; unreadable rows %" PRIu64 "\n",
          stats->pending_requests, stats->pending_bytes, stats->refused, stats->connections,
          stats->reconnections, stats->rows_unreadable);
  if (fclose(out) != 0) {
    free(text);
    return NULL;
  }
  return text;
}
