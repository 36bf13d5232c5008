/*
 * SQL past the library: a session of the database's own client, to make tables as others make
 * them, to look at rows as others see them, and to hold locks. Blocks. Any failure is printed and
 * ends the program: a test that cannot reach its database tests nothing.
 */
#ifndef SUPPORT_NATIVE_SQL_H
#define SUPPORT_NATIVE_SQL_H

#include <stdint.h>

struct native;

/* Connects to the database of a storage's URL. */
struct native *native_open(const char *url);

/* Runs one or several statements, each ended by ";". */
void native_run(struct native *native, const char *sql);

/* The first column of the first row, as text that lives until release_kept(); NULL when there is
 * no row or it is NULL. */
const char *native_text(struct native *native, const char *sql);

/* The same as an integer; -1 for NULL. */
int64_t native_number(struct native *native, const char *sql);

/* Runs a prepared statement with one parameter, a text. What is wrong, as text that lives until
 * release_kept(); NULL when nothing is. */
const char *native_try(struct native *native, const char *sql, const char *parameter);

void native_close(struct native *native);

/* Opens, runs, closes. */
void native_run_once(const char *url, const char *sql);

#endif
