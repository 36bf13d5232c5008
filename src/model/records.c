/* The rows of a result, with their texts, in chunks of memory. */
#include "model/records.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model/execution.h"

/* The text of a result that proved larger than was foreseen grows by chunks between these sizes. */
#define CHUNK_MIN ((size_t)4096)
#define CHUNK_MAX ((size_t)1024 * 1024)

/* An array of rows of this size has pages of its own: it grows by moving the pages, where a copy
 * of all rows would hold up the loop. */
#define OWN_PAGES ((size_t)256 * 1024)

/* More room for text, beyond that in the first block. Owned by the records. */
struct chunk {
  struct chunk *next;
  char text[];
};

/* The block itself is followed by room for the foreseen rows, then for the foreseen text. */
struct records {
  size_t references;
  size_t count;
  size_t capacity;
  evd_execution *rows;  /* first_rows, or a larger array that the records own */
  char *text;           /* the free room for text */
  size_t text_left;     /* its size */
  size_t chunk_size;    /* of the next chunk */
  struct chunk *chunks; /* newest first */
  alignas(evd_execution) evd_execution first_rows[];
};

struct records *records_new(size_t rows, size_t text_bytes) {
  struct records *records;
  size_t size;

  if (__builtin_mul_overflow(rows, sizeof(evd_execution), &size) ||
      __builtin_add_overflow(size, text_bytes, &size) ||
      __builtin_add_overflow(size, sizeof *records, &size)) {
    return NULL;
  }
  records = malloc(size);
  if (records == NULL) {
    return NULL;
  }
  *records = (struct records){
      .references = 1,
      .capacity = rows,
      .rows = records->first_rows,
      .text = (char *)(records->first_rows + rows),
      .text_left = text_bytes,
      .chunk_size = CHUNK_MIN,
  };
  return records;
}

struct records *records_retain(struct records *records) {
  records->references++;
  return records;
}

static size_t rows_size(size_t rows) {
  return rows * sizeof(evd_execution);
}

/* Frees an array of grow_rows(). */
static void free_rows(evd_execution *rows, size_t capacity) {
  if (rows_size(capacity) < OWN_PAGES) {
    free(rows);
  } else {
    munmap(rows, rows_size(capacity));
  }
}

void records_release(struct records *records) {
  if (records == NULL || --records->references > 0) {
    return;
  }
  while (records->chunks != NULL) {
    struct chunk *chunk = records->chunks;
    records->chunks = chunk->next;
    free(chunk);
  }
  if (records->rows != records->first_rows) {
    free_rows(records->rows, records->capacity);
  }
  free(records);
}

/* An array of more rows, with those of the old one, if there is one, which is gone then. NULL when
 * memory ran out. */
static evd_execution *larger_rows(evd_execution *old, size_t old_capacity, size_t capacity) {
  size_t old_size = rows_size(old_capacity);
  size_t size = rows_size(capacity);
  void *pages;

  if (size < OWN_PAGES) {
    return realloc(old, size);
  }
  if (old_size >= OWN_PAGES) {
    pages = mremap(old, old_size, size, MREMAP_MAYMOVE);
    return pages != MAP_FAILED ? pages : NULL;
  }
  pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) {
    return NULL;
  }
  if (old != NULL) {
    memcpy(pages, old, old_size);
    free(old);
  }
  return pages;
}

/* Makes room for more rows than there are. */
static bool grow_rows(struct records *records) {
  bool in_first_block = records->rows == records->first_rows;
  size_t capacity = records->capacity < 4 ? 8 : records->capacity * 2;
  evd_execution *rows;

  if (capacity > SIZE_MAX / sizeof *rows) {
    return false;
  }
  rows = in_first_block ? larger_rows(NULL, 0, capacity)
                        : larger_rows(records->rows, records->capacity, capacity);
  if (rows == NULL) {
    return false;
  }
  if (in_first_block) {
    memcpy(rows, records->first_rows, rows_size(records->count));
  }
  records->rows = rows;
  records->capacity = capacity;
  return true;
}

evd_execution *records_add(struct records *records) {
  evd_execution *row;

  if (records->count == records->capacity && !grow_rows(records)) {
    return NULL;
  }
  row = &records->rows[records->count++];
  execution_clear(row);
  return row;
}

void records_remove_last(struct records *records) {
  records->count--;
}

/* Room for text of this size in a new chunk: one of its own if it is large, so that what is left of
 * the present room is not lost. */
static char *new_chunk(struct records *records, size_t size) {
  bool own = size > records->chunk_size / 4;
  size_t chunk_size = own ? size : records->chunk_size;
  struct chunk *chunk;

  if (chunk_size > SIZE_MAX - sizeof *chunk) {
    return NULL;
  }
  chunk = malloc(sizeof *chunk + chunk_size);
  if (chunk == NULL) {
    return NULL;
  }
  chunk->next = records->chunks;
  records->chunks = chunk;
  if (!own) {
    records->text = chunk->text + size;
    records->text_left = chunk_size - size;
  }
  if (records->chunk_size < CHUNK_MAX) {
    records->chunk_size *= 2;
  }
  return chunk->text;
}

const char *records_text(struct records *records, const char *text, size_t length) {
  size_t size = length + 1;
  char *copy;

  if (size <= records->text_left) {
    copy = records->text;
    records->text += size;
    records->text_left -= size;
  } else {
    copy = new_chunk(records, size);
    if (copy == NULL) {
      return NULL;
    }
  }
  if (length > 0) {
    memcpy(copy, text, length);
  }
  copy[length] = '\0';
  return copy;
}

size_t records_count(const struct records *records) {
  return records == NULL ? 0 : records->count;
}

evd_execution *records_rows(struct records *records) {
  return records == NULL ? NULL : records->rows;
}

/* Moves the rows that change places with each other around in a circle, the first of them last. */
static void move_around(evd_execution *rows, size_t *order, size_t first) {
  evd_execution row = rows[first];
  size_t to = first;

  while (order[to] != first) {
    size_t from = order[to];
    rows[to] = rows[from];
    order[to] = to;
    to = from;
  }
  rows[to] = row;
  order[to] = to;
}

/* A row, with the number that it is sorted by. */
struct place {
  int64_t number;
  size_t index;
};

static int compare_places(const void *left, const void *right) {
  const struct place *a = left;
  const struct place *b = right;

  if (a->number != b->number) {
    return a->number < b->number ? -1 : 1;
  }
  return a->index < b->index ? -1 : a->index > b->index;
}

bool records_sort(struct records *records, const int64_t *numbers) {
  size_t count = records_count(records);
  struct place *places = calloc(count + 1, sizeof *places);
  size_t *order = calloc(count + 1, sizeof *order);
  bool ok = places != NULL && order != NULL;

  for (size_t i = 0; i < count && ok; i++) {
    places[i] = (struct place){numbers[i], i};
  }
  if (ok) {
    qsort(places, count, sizeof *places, compare_places);
  }
  for (size_t i = 0; i < count && ok; i++) {
    order[i] = places[i].index;
  }
  if (ok) {
    records_reorder(records, order);
  }
  free(places);
  free(order);
  return ok;
}

void records_reorder(struct records *records, size_t *order) {
  for (size_t i = 0; i < records->count; i++) {
    if (order[i] != i) {
      move_around(records->rows, order, i);
    }
  }
}
