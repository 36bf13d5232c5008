/*
 * The rows of one result, with their strings: what an engine decodes into and what a future holds.
 *
 * Reference-counted without atomics: made by one thread, handed over whole, released on the loop's
 * thread. Small results (a get) are a single block of memory.
 */
#ifndef MODEL_RECORDS_H
#define MODEL_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <evdurable/execution.h>

struct records;

/* Room for about that many rows and bytes of text. NULL if memory ran out. */
struct records *records_new(size_t rows, size_t text_bytes);

struct records *records_retain(struct records *records);
void records_release(struct records *records); /* NULL is fine */

/* A new last row, cleared; valid until the next call. NULL if memory ran out. */
evd_execution *records_add(struct records *records);

/* Takes the last row, of which there must be one, off again. */
void records_remove_last(struct records *records);

/* A copy of the text, ended by zero, that lives as long as the records. NULL if memory ran out. */
const char *records_text(struct records *records, const char *text, size_t length);

size_t records_count(const struct records *records); /* NULL has none */
evd_execution *records_rows(struct records *records);

/* Sorts the rows by these numbers, one for each; equal ones stay in their order. False if memory
 * ran out. */
bool records_sort(struct records *records, const int64_t *numbers);

/* Brings the rows into this order: order[i] is the present index of row i; afterwards it is i. For
 * engines whose database returns rows in no order. */
void records_reorder(struct records *records, size_t *order);

#endif
