/* Where to connect to: the hosts of a URL, each with its addresses. */
#ifndef POSTGRES_TARGETS_H
#define POSTGRES_TARGETS_H

#include <stdbool.h>
#include <stddef.h>

#include "sql/buffer.h"

/* One address. Owned by the list; any member may be NULL: then libpq has its default. */
struct target {
  char *host;
  char *address; /* numeric; NULL for a socket's directory, and where it is not resolved yet */
  char *port;
};

struct targets {
  struct target *list;
  size_t count;
};

/* Takes apart comma-separated lists, as libpq does: hosts, numeric addresses, ports (one for all,
 * or one each); any may be NULL. A list of the wrong length makes a single target of them whole,
 * for libpq to complain of. False if memory ran out. */
bool postgres_targets_init(struct targets *targets, const char *hosts, const char *addresses,
                           const char *ports);

/* Whether a target is a name that is not resolved yet. */
bool postgres_targets_is_name(const struct targets *targets, size_t i);

/* Takes a target out, as a list of its own. False if memory ran out. */
bool postgres_targets_take(struct targets *targets, size_t i, struct targets *taken);

/* Puts a list's targets in at a place; the list is empty after. False if memory ran out. */
bool postgres_targets_insert(struct targets *targets, size_t i, struct targets *list);

/* Puts each host's addresses in its place. Blocks. What has none stays away, and is complained of.
 * False if memory ran out. */
bool postgres_targets_resolve(struct targets *targets, struct buffer *complaints);

/* Brings them into a random order, by erand48()'s state. */
void postgres_targets_shuffle(struct targets *targets, unsigned short random[3]);

void postgres_targets_free(struct targets *targets);

#endif
