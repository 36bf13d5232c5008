/*
 * What must survive: a writer does families of executions as fast as it can, says on its standard
 * output what the storage has acknowledged, and is killed at any moment; then all that was said
 * must be there, and nothing by half.
 *
 * A family, in the order in which the writer makes it:
 *
 *   INSERTED   a parent and its twin, in one call
 *   STARTED    the parent: ready -> running
 *   PARENTED   the parent: running -> waiting_for_children, with three children, in one call
 *   CLAIMED    a child: ready -> running
 *   FINISHED   a child: running -> completed
 *   CLOSED     some children closed and taken off their parents' counters, in one call
 */
#ifndef DURABILITY_DURABILITY_H
#define DURABILITY_DURABILITY_H

#include <stdint.h>

#include <evdurable.h>

/* Children of a family. */
enum { CHILDREN = 3 };

/* Families that the writer has under way at once. */
enum { IN_FLIGHT = 64 };

/* The first argument of a writer; then follow the URL, the table and the round's number. */
#define WRITE_ROLE "--write"

enum act { INSERTED, STARTED, PARENTED, CLAIMED, FINISHED, CLOSED };

/* What was acknowledged: one record in the pipe. */
struct acknowledged {
  int32_t act;
  int32_t round, family;
  int32_t child; /* CLAIMED and FINISHED */
  int32_t count; /* CLOSED */
};

/* The writer; returns only when something fails, with the exit status. */
int write_role(const char *url, const char *table, const char *round);

/* Checks that everything that was acknowledged is there. */
void verify_acknowledged(evd_storage *storage, const struct acknowledged *all, size_t count);

/* Checks that of these families nothing is there by half; how many children are closed. */
int64_t verify_families(evd_storage *storage, int32_t round, int32_t families);

#endif
