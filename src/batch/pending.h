/*
 * A request on its way: the copy of what the caller gave, who waits for it, and where it is.
 *
 *   BLOCKED ──the update of the same id before it is done──> QUEUED
 *   QUEUED  ──a batch takes it──> GATHERED
 *   GATHERED <──sent, or waiting to be sent again──> SENT ──answered──> (finished, freed)
 *
 * The loader owns it. Everything that the request points to is in the same block of memory.
 */
#ifndef BATCH_PENDING_H
#define BATCH_PENDING_H

#include "async/future.h"
#include "model/hash.h"
#include "model/request.h"

struct loader;
struct parcel;
struct line;

/* What two reads have in common that ask the same: operation, filter, id. */
#define READ_KEY_PREFIX (4 + sizeof(int64_t))
#define READ_KEY_MAX (READ_KEY_PREFIX + EVD_UNIQUE_ID_MAX + 1 + EVD_ID_MAX)

enum pending_state {
  PENDING_BLOCKED,  /* an update that waits for an earlier one of the same id */
  PENDING_QUEUED,   /* in the queue of its kind */
  PENDING_GATHERED, /* in a batch that is not with the engine */
  PENDING_SENT      /* in a batch that is with the engine */
};

struct pending {
  struct request request; /* first: an engine's request is this one */
  struct loader *loader;
  enum pending_state state;
  uint64_t number;     /* in the order of submission, over all kinds */
  double submitted;    /* monotonic seconds */
  size_t bytes;        /* of this block */
  evd_future *futures; /* references; several when identical reads were merged; a list by
                          future_link(), in the order of submission */
  evd_future **last_future;
  size_t future_count;

  struct pending *next, *previous; /* in the queue of its kind; when BLOCKED, in its line */
  struct pending *younger, *older; /* while futures wait: all pending in the order of submission */
  struct parcel *parcel;           /* the batch that it is in: GATHERED and SENT */
  struct line *line;               /* updates by id */
  UT_hash_handle handle;           /* QUEUED reads, in a table by key */
  size_t key_length;
  char key[]; /* pending_key(); the ids of the request and its filter point into it */
};

/* Writes the key of a request; returns its length. It is the prefix, the id and, after a zero, the
 * executor of the filter where it names one. */
size_t pending_key(const struct request *request, char key[READ_KEY_MAX]);

/* A copy of the request with all that it points to. NULL if memory ran out. */
struct pending *pending_new(const struct request *request);

/* Frees it and what it holds; its futures must be gone. */
void pending_free(struct pending *pending);

/* Adds a future that waits for the result. */
void pending_add_future(struct pending *pending, evd_future *future);

/* Takes one off. */
void pending_remove_future(struct pending *pending, evd_future *future);

/* Finishes all its futures: there are none after. */
void pending_succeed(struct pending *pending);
void pending_fail(struct pending *pending, const evd_error *error);

/* Rows that it brings into a batch, for the limit of a batch: an insert of many counts as many. */
size_t pending_weight(const struct pending *pending);

#endif
