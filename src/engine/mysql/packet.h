/*
 * The packet of a script: the statements that travel to the server together. script.h says what a
 * script is.
 */
#ifndef ENGINE_MYSQL_PACKET_H
#define ENGINE_MYSQL_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"
#include "sql/mysql.h"

enum { PACKET_ENOUGH_BYTES = 256 * 1024 }; /* made, encrypted and sent in one go */

/* What one statement of a packet is, and so what its answer means. */
struct script_statement {
  enum script_kind {
    SCRIPT_BEGIN,
    SCRIPT_COMMIT,
    SCRIPT_INSERT,          /* executions from a cursor on */
    SCRIPT_GET,             /* all requests */
    SCRIPT_LOCK,            /* all requests */
    SCRIPT_UPDATE,          /* `count` requests from `first` on, of the grouped */
    SCRIPT_COUNTED,         /* one request, number `first`, which the count is of */
    SCRIPT_SHARE,           /* the request: how many rows of each task */
    SCRIPT_SELECT,          /* the request */
    SCRIPT_SELECT_TASK,     /* at most `count` rows of task number `first` */
    SCRIPT_UPDATE_SELECTED, /* `count` selected rows from `first` on */
    SCRIPT_DECREMENT        /* `count` parents from `first` on */
  } kind;
  size_t first;
  size_t count;
};

/* A place among the executions that the requests of a batch bring. */
struct script_cursor {
  size_t request;
  size_t execution;
};

/* A batch under way. The session owns it and uses it again for the next batch; all but `sql` is of
 * the batch at hand. */
struct script {
  struct batch *batch;
  const struct mydb_table *table;
  bool test_mode;
  bool backslashes;  /* see struct mydb_writer */
  size_t max_packet; /* the longest packet */
  bool galera;       /* the server is a node of a cluster */

  /* The packet to be sent, or under way. */
  struct buffer sql;
  struct buffer outline; /* the same for the log, if anybody wants to see it */
  struct script_statement *statements;
  size_t statement_count;
  size_t statement_size;
  size_t answered; /* statements of the packet that are done */
  bool commits;    /* the packet ends with what makes the batch's changes last */

  unsigned packets;    /* made so far */
  bool in_transaction; /* a begin was made, and no commit has been answered */
  int64_t expected;    /* rows that the updates should find, and */
  int64_t found;       /* that they found */

  struct request **sorted;  /* all requests in the order of their ids */
  size_t sought;            /* of them, that whose row may come next */
  struct request **grouped; /* those to be updated, those alike together; in the same block */
  size_t grouped_count;
  size_t grouped_next;
  struct script_cursor cursor;

  int64_t *shares;    /* of each of the request's tasks; NULL: by one select */
  size_t select_next; /* the task that is to be selected next */
  bool selected_all;  /* every select was made */
  bool settled;       /* nothing is selected any more, and the rows are in order */
  int64_t *orders;    /* by what rows of several selects are sorted, one for each */
  size_t orders_size;
  struct records *selected;      /* by SCRIPT_SELECT; claimed rows as they are after the update */
  evd_changes changes;           /* to the claimed rows; the texts are the rows' */
  struct script_parent *parents; /* of the rows; see selection.c */
  const char **selected_ids;     /* of those rows: `expected` many */
  size_t selected_size;
  size_t selected_next;
  struct mydb_decrement *decrements;
  size_t decrement_count;
  size_t decrement_next;
};

/* Bytes after which a statement, or a packet, is long enough; and whether the packet is. */
size_t mydb_packet_enough(const struct script *script);
bool mydb_packet_is_full(const struct script *script);

/* The bytes that an update of several rows has for one more id, at most. */
size_t mydb_packet_id_bytes(const char *id);

/* Adds a statement to the packet. False when it has to go into the next one, since this would be
 * too long, or for Galera's sake: then nothing was added; also if memory ran out
 * (script->sql.failed). The first statement of a packet is always added, and so is what locks or
 * selects. */
bool mydb_packet_add(struct script *script, enum script_kind kind, size_t first, size_t count);

/* Moves the cursor on to the next execution that is to be inserted; false when there is none. */
bool mydb_packet_has_executions(struct script *script);

#endif
