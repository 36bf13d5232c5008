/*
 * What a batch says to the server, packet by packet, and what it makes of the answers. A script
 * knows no connection: the session sends its packets and hands it the rows and counts.
 *
 * A packet is several statements, separated by ";". The server answers each, and stops at the first
 * that fails: so a commit at the end of a packet is not run when something before it has failed.
 * That is how a transaction takes one round trip, or two where the second packet depends on rows:
 *
 *   insert          insert
 *                   begin; insert | insert; commit       of large ones
 *   gets            select
 *   update          update                               of one request, or of several
 *                   begin; lock; update, ...; commit
 *   and children    begin; lock | update, ...; insert; commit
 *   claims, expire  begin; select | update; commit
 *   claims by tasks select | begin; select, ... | update; commit
 *   close_finished  begin; select | update; decrement; commit
 *   by parent       update, or of several  begin; update, ...; commit
 *
 * Every statement that writes rows which an earlier one locked repeats the condition: should the
 * transaction be gone all the same, it finds nothing that has become another's.
 *
 * On Galera each statement after begin and the first is a packet of its own. There another node's
 * commit may end our transaction at any moment, and MariaDB (10.11) tells a session of it only
 * between packets: when it happened within one, the next statement ran outside any transaction, and
 * a commit said that all was well.
 */
#ifndef ENGINE_MYSQL_SCRIPT_H
#define ENGINE_MYSQL_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mysql.h>

#include "engine/mysql/packet.h"

/* Takes a batch. */
void mydb_script_begin(struct script *script, struct batch *batch);

/* Makes the next packet. SCRIPT_FAILED has the error: nothing was sent of it. */
enum script_state { SCRIPT_SEND, SCRIPT_DONE, SCRIPT_FAILED };
enum script_state mydb_script_next(struct script *script, evd_error *error);

/* A row of the statement that is being answered. */
evd_code mydb_script_row(struct script *script, MYSQL_ROW row, const unsigned long *lengths,
                         evd_error *error);

/* That statement has succeeded: how many rows it touched (0 where it had a result). */
evd_code mydb_script_answered(struct script *script, uint64_t affected, evd_error *error);

/* Whether the statement that is being answered is a commit, or commits by itself. */
bool mydb_script_is_committing(const struct script *script);

/* Whether the packet ends with a commit, else with what commits by itself, if with anything. */
bool mydb_script_has_commit(const struct script *script);

/* Lets go of the batch. Rows that requests have got stay theirs. */
void mydb_script_end(struct script *script);

/* Frees what a script keeps between batches. */
void mydb_script_free(struct script *script);

/* Between the files of the script. */

/* In writes.c: the statements of the next packet of inserts, updates and deletions. */
void mydb_script_next_of_writes(struct script *script);

/* In selection.c, for claims, expiries and close_finished: the statements of the next packet, a row
 * of a select, and at the end the requests' answers. */
void mydb_script_next_of_selection(struct script *script);
evd_code mydb_script_share_row(struct script *script, MYSQL_ROW row, evd_error *error);
evd_code mydb_script_select_row(struct script *script, MYSQL_ROW row, const unsigned long *lengths,
                                evd_error *error);
void mydb_script_selection_done(struct script *script);
void mydb_script_selection_free(struct script *script);

/* In lookup.c, for gets and updates by id: sorts the requests (false if memory ran out), gives a
 * row of a get to those it is for, and notes whether their filters admit a row that was locked. */
bool mydb_script_sort_requests(struct script *script);
evd_code mydb_script_get_row(struct script *script, MYSQL_ROW row, const unsigned long *lengths,
                             evd_error *error);
void mydb_script_lock_row(struct script *script, MYSQL_ROW row);

#endif
