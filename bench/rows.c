/* Executions as a real program would have them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"

/* In every group so many rows are at the top of a tree, and so many are children of the first. */
enum { GROUP_TOPS = 5 };
enum { GROUP_SIZE = 10 };

const char *const rows_tasks[ROW_TASKS] = {"deliver_order", "print_label", "send_invoice"};

static const char retry_options[] =
    "{\"maxAttempts\":3,\"baseDelayMs\":1000,\"delayMultiplier\":2,\"maxDelayMs\":60000}";

/* Writes a JSON object of exactly ROW_INPUT_SIZE bytes. */
static void write_input(char input[ROW_INPUT_SIZE + 1], size_t index) {
  static const char note[] = "Please deliver between nine and five, ring twice, and leave it with "
                             "the neighbours if nobody answers the door at all. ";
  int length = snprintf(input, ROW_INPUT_SIZE + 1,
                        "{\"orderId\":%zu,\"customer\":\"customer-%05zu\",\"amount\":%zu.%02zu,"
                        "\"note\":\"",
                        1000000 + index, index % 100000, 10 + index % 90, index % 100);
  size_t end = ROW_INPUT_SIZE - 2;
  for (size_t at = (size_t)length; at < end; at++) {
    input[at] = note[(at - (size_t)length) % (sizeof note - 1)];
  }
  memcpy(input + end, "\"}", 3);
}

/* Fills in row `index`, in whose group the rows before are filled in already. */
static void make_row(struct rows *rows, size_t index) {
  evd_execution *execution = &rows->executions[index];
  size_t place = index % GROUP_SIZE;
  evd_run_options options = {.retry_options = retry_options, .timeout_ms = 60000};
  evd_id_generate(rows->ids[index]);
  write_input(rows->inputs[index], index);
  evd_execution_init(execution, rows->ids[index], rows_tasks[index % ROW_TASKS],
                     rows->inputs[index], &options);
  if (place >= GROUP_TOPS) {
    evd_execution_set_parent(execution, &rows->executions[index - place],
                             (int32_t)(place - GROUP_TOPS), false, false);
  }
}

/* Shuffles 0 .. count - 1, the same way every time. */
static void shuffle(size_t *numbers, size_t count) {
  uint64_t state = 88172645463325252U;
  for (size_t i = 0; i < count; i++) {
    numbers[i] = i;
  }
  for (size_t i = count; i > 1; i--) {
    state ^= state << 13; /* xorshift64 */
    state ^= state >> 7;
    state ^= state << 17;
    size_t other = (size_t)(state % i), kept = numbers[i - 1];
    numbers[i - 1] = numbers[other];
    numbers[other] = kept;
  }
}

struct rows *rows_new(size_t count) {
  struct rows *rows = calloc(1, sizeof *rows);
  if (rows == NULL) {
    return NULL;
  }
  rows->count = count;
  rows->executions = calloc(count, sizeof *rows->executions);
  rows->ids = calloc(count, sizeof *rows->ids);
  rows->inputs = calloc(count, sizeof *rows->inputs);
  rows->random = calloc(count, sizeof *rows->random);
  if (rows->executions == NULL || rows->ids == NULL || rows->inputs == NULL ||
      rows->random == NULL) {
    rows_free(rows);
    return NULL;
  }
  for (size_t i = 0; i < count; i++) {
    make_row(rows, i);
  }
  shuffle(rows->random, count);
  return rows;
}

struct rows *rows_new_others(size_t count) {
  struct rows *rows = rows_new(count);
  for (size_t i = 0; rows != NULL && i < count; i++) {
    rows->executions[i].task_id = "resize_image";
    rows->executions[i].start_at -= 60000;
  }
  return rows;
}

void rows_free(struct rows *rows) {
  if (rows == NULL) {
    return;
  }
  free(rows->executions);
  free(rows->ids);
  free(rows->inputs);
  free(rows->random);
  free(rows);
}

static int compare_ids(const void *id, const void *element) {
  return strcmp(id, element);
}

size_t rows_find(const struct rows *rows, const char *id) {
  const char(*found)[EVD_ID_SIZE] =
      bsearch(id, rows->ids, rows->count, sizeof *rows->ids, compare_ids);
  return found == NULL ? rows->count : (size_t)(found - rows->ids);
}
