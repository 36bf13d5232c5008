/*
 * What must hold while servers restart, connections are cut and processes are killed: three workers
 * share a table and tell what came of each operation; in the end the table is compared with what
 * they told.
 *
 * A worker has some chains under way. A chain inserts a row, claims up to CLAIM_LIMIT rows of
 * whichever worker, finishes them, and begins again. Nobody gives a row back, so each is claimed at
 * most once.
 */
#ifndef CHAOS_CHAOS_H
#define CHAOS_CHAOS_H

#include <stdbool.h>
#include <stdint.h>

#include <evdurable.h>

enum { CHAINS = 16, CLAIM_LIMIT = 2, WORKERS_MAX = 1024 };

/* The first argument of a worker; then follow the URL, the table and the worker's number. It opens
 * its storage while all is quiet, works until SIGTERM, ends what is under way, and exits with 0. */
#define WORK_ROLE "--work"

/* Reads "NAME_1_2" or, with `second` NULL, "NAME_1". */
bool chaos_read_name(const char *text, const char *name, int32_t *first, int32_t *second);

/* What came of an operation. */
enum came { CAME_NOTHING, CAME_DONE, CAME_REFUSED, CAME_UNKNOWN };

enum act { OPENED, INSERTED, CLAIMED, FINISHED };

/* One record in the pipe. A claim that is done is told row by row; one that is unknown, without a
 * row. */
struct told {
  int32_t act;    /* an act */
  int32_t came;   /* a came */
  int32_t worker; /* whose row it is */
  int32_t row;    /* the row's number among that worker's */
};

/* The worker; returns its exit status. */
int work_role(const char *url, const char *table, const char *number);

/* All that was told. */
struct fates;

struct fates *fates_new(void);
void fates_free(struct fates *fates);

/* Takes what a worker tells. What can be seen to be wrong at once fails the test. */
void fates_note(struct fates *fates, int worker, const struct told *told);

/* The worker is killed: of what it had under way nothing will be told. */
void fates_note_killed(struct fates *fates, int worker);

/* How many operations were done, by one worker. */
uint64_t fates_done(const struct fates *fates, int worker);

/* Compares the table with what was told. */
void fates_verify(struct fates *fates, const char *url, const char *table);

#endif
