/* Tables for people, or a JSON object a line. */
#include <stdio.h>
#include <string.h>

#include "report.h"

/* Writes a number without decimals and with commas between thousands. */
static const char *with_commas(double number, char text[32]) {
  char digits[24];
  int length = snprintf(digits, sizeof digits, "%.0f", number);
  size_t used = 0;
  for (int i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0) {
      text[used++] = ',';
    }
    text[used++] = digits[i];
  }
  text[used] = '\0';
  return text;
}

static const char delays_explained[] =
    "Loop delay: how late a 1 ms timer on the same loop fires. Below it, what of that is ours, the\n"
    "CPU time of the loop's turns; what the machine adds even when idle, the delay of a loop with\n"
    "nothing else to do, just before; and the delay in a run of its own with the loop's thread in\n"
    "real time (SCHED_RR), where it does not wait for a core that the database or others keep busy.\n";

void report_tasks_head(const struct bench_options *options) {
  if (options->json) {
    return;
  }
  puts("Tasks: each is inserted, claimed, run for 1 ms, completed, and closed with its parent's\n"
       "counter taken down.");
  puts(delays_explained);
  puts("engine     tasks  in flight    tasks/s  CPU us/task | loop delay, ms:  p50     p99   p99.9"
       "     max");
}

static void print_delays(const struct delays *delays) {
  printf(" | %20.2f %7.2f %7.2f %7.2f\n", delays->p50, delays->p99, delays->p999, delays->max);
}

static void print_json_delays(const char *name, const struct delays *delays) {
  printf(",\"%s\":{\"p50\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f}", name, delays->p50,
         delays->p99, delays->p999, delays->max);
}

static const char *const mode_names[MODE_COUNT] = {"usual", "realtime"};

static void print_json_all_delays(const struct delays *delay, const struct delays *turns,
                                  const struct delays *idle) {
  print_json_delays("loop_delay_ms", delay);
  print_json_delays("loop_turn_cpu_ms", turns);
  print_json_delays("idle_loop_delay_ms", idle);
}

/* The delays of the usual mode, after the head of their first line: with what the loop's turns and
 * the machine add. */
static void print_all_delays(const struct delays *delay, const struct delays *turns,
                             const struct delays *idle) {
  print_delays(delay);
  printf("%-51s", "         its turns, CPU time");
  print_delays(turns);
  printf("%-51s", "         idle loop");
  print_delays(idle);
}

static void say_realtime_is_not_permitted(void) {
  puts("         in real time: not permitted (run as root, or with ulimit -r 1)");
}

static void print_json_tasks(const struct tasks_result *result) {
  printf("{\"bench\":\"tasks\",\"engine\":\"%s\",\"mode\":\"%s\",\"tasks\":%zu,\"in_flight\":%zu,"
         "\"tasks_per_s\":%.1f",
         result->engine, mode_names[result->mode], result->tasks, result->in_flight,
         result->tasks_per_s);
  print_json_all_delays(&result->delay, &result->turns, &result->idle);
  printf(",\"cpu_us_per_task\":%.2f}\n", result->cpu_us_per_task);
}

static void print_tasks(const struct tasks_result *result) {
  char tasks[32], rate[32];
  if (result->mode == MODE_USUAL) {
    printf("%-8s %7s %10zu %10s %12.1f", result->engine, with_commas((double)result->tasks, tasks),
           result->in_flight, with_commas(result->tasks_per_s, rate), result->cpu_us_per_task);
    print_all_delays(&result->delay, &result->turns, &result->idle);
  } else {
    printf("%-27s %10s %12.1f", "         in real time", with_commas(result->tasks_per_s, rate),
           result->cpu_us_per_task);
    print_delays(&result->delay);
  }
}

void report_tasks(const struct bench_options *options,
                  const struct tasks_result *const results[MODE_COUNT]) {
  bench_progress(NULL);
  for (enum mode mode = 0; mode < MODE_COUNT; mode++) {
    if (results[mode] != NULL) {
      (options->json ? print_json_tasks : print_tasks)(results[mode]);
    } else if (!options->json) {
      say_realtime_is_not_permitted();
    }
  }
}

void report_connect_head(const struct bench_options *options) {
  if (options->json) {
    return;
  }
  printf("%sConnect: pools of 4 connections over TLS, opened one after the other.\n",
         options->tasks ? "\n" : "");
  puts(options->tasks ? "" : delays_explained);
  puts("engine     connections  connections/s               | loop delay, ms:  p50     p99   p99.9"
       "     max");
}

static void print_json_connect(const struct connect_result *result) {
  printf("{\"bench\":\"connect\",\"engine\":\"%s\",\"mode\":\"%s\",\"connections\":%zu,"
         "\"connections_per_s\":%.1f",
         result->engine, mode_names[result->mode], result->connections, result->connections_per_s);
  print_json_all_delays(&result->delay, &result->turns, &result->idle);
  puts("}");
}

static void print_connect(const struct connect_result *result) {
  if (result->mode == MODE_USUAL) {
    printf("%-8s %13zu %14.0f %13s", result->engine, result->connections, result->connections_per_s,
           "");
    print_all_delays(&result->delay, &result->turns, &result->idle);
  } else {
    printf("%-22s %14.0f %13s", "         in real time", result->connections_per_s, "");
    print_delays(&result->delay);
  }
}

void report_connect(const struct bench_options *options,
                    const struct connect_result *const results[MODE_COUNT]) {
  bench_progress(NULL);
  for (enum mode mode = 0; mode < MODE_COUNT; mode++) {
    if (results[mode] != NULL) {
      (options->json ? print_json_connect : print_connect)(results[mode]);
    } else if (!options->json) {
      say_realtime_is_not_permitted();
    }
  }
}

void report_ops_head(const struct bench_options *options) {
  if (options->json) {
    return;
  }
  if (options->tasks) {
    putchar('\n');
  }
  puts(
      "Ops: requests submitted one by one; a claim takes 100 rows. Floor: the same SQL and\n"
      "batches by the database's own client alone. Ratio: ours to the floor's, each pair run one\n"
      "after the other. Batch: mean rows a batch. CPU: of this process, all its threads.\n"
      "claim-tasks: a claim with a list of 3 tasks, where nine in ten of the rows that are due are\n"
      "of another task and due earlier. Its floor: our claim without a list, and no such rows.\n");
  puts("engine   op          in flight   batch       ops/s  floor ops/s   ratio | CPU us/op  "
       "floor's");
}

void report_ops(const struct bench_options *options, const struct ops_result *result) {
  char rate[32], floor_rate[32];
  bench_progress(NULL);
  if (options->json) {
    printf("{\"bench\":\"ops\",\"engine\":\"%s\",\"op\":\"%s\",\"in_flight\":%zu,"
           "\"ops_per_s\":%.1f,\"floor_ops_per_s\":%.1f,\"ratio\":%.3f,\"cpu_us_per_op\":%.2f,"
           "\"floor_cpu_us_per_op\":%.2f,\"batch\":%.1f}\n",
           result->engine, result->op, result->in_flight, result->ops_per_s,
           result->floor_ops_per_s, result->ratio, result->cpu_us_per_op,
           result->floor_cpu_us_per_op, result->batch);
    return;
  }
  printf("%-8s %-11s %9zu %7.0f %11s %12s %7.2f | %9.1f %8.1f\n", result->engine, result->op,
         result->in_flight, result->batch, with_commas(result->ops_per_s, rate),
         with_commas(result->floor_ops_per_s, floor_rate), result->ratio, result->cpu_us_per_op,
         result->floor_cpu_us_per_op);
}

void report_memory_head(const struct bench_options *options) {
  if (options->json) {
    return;
  }
  puts("Memory of this process: with many inserts pending at once, and then over a long run.\n");
  puts("engine     operations   resident MiB   heap in use MiB");
}

void report_memory_sample(const struct bench_options *options, const char *engine,
                          const struct memory_sample *sample) {
  char operations[32];
  bench_progress(NULL);
  if (options->json) {
    printf("{\"bench\":\"memory\",\"engine\":\"%s\",\"operations\":%zu,\"resident_mib\":%.2f,"
           "\"heap_mib\":%.3f}\n",
           engine, sample->operations, sample->resident, sample->heap);
  } else {
    printf("%-8s %12s %14.1f %17.3f\n", engine, with_commas((double)sample->operations, operations),
           sample->resident, sample->heap);
  }
}

void report_memory(const struct bench_options *options, const struct memory_result *result) {
  char pending[32];
  bench_progress(NULL);
  if (options->json) {
    printf("{\"bench\":\"memory\",\"engine\":\"%s\",\"pending\":%zu,\"bytes_per_request\":%.1f,"
           "\"resident_mib\":%.2f,\"resident_pending_mib\":%.2f,"
           "\"resident_bytes_per_request\":%.1f}\n",
           result->engine, result->pending, result->bytes_per_request, result->resident_start,
           result->resident_pending, result->resident_per_request);
    return;
  }
  printf("\n%s: %s inserts pending at once: %.1f MiB resident (%.1f before), %.0f bytes for each;\n"
         "%.0f bytes for each by the storage's own count (evd_stats.pending_bytes).\n",
         result->engine, with_commas((double)result->pending, pending), result->resident_pending,
         result->resident_start, result->resident_per_request, result->bytes_per_request);
}
