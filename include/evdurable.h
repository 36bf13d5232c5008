/**
 * @file evdurable.h
 * Everything of evdurable: durable task executions in PostgreSQL, MySQL/MariaDB and SQLite,
 * from a libev loop, without ever blocking it.
 *
 * Start with storage.h: open a storage, call its operations, attach callbacks to the futures.
 * docs/examples/hello.c does so in a page, and compiles as C++20, too: in C++, options, filters and
 * changes are named variables, where C may have compound literals.
 *
 * Nothing in the library prints, exits or aborts. Where memory is out, libev does end the program,
 * unless ev_set_allocator() gives it an allocator that does not fail, and MySQL's client may crash.
 */
#ifndef EVDURABLE_H
#define EVDURABLE_H

#include <evdurable/error.h>
#include <evdurable/execution.h>
#include <evdurable/future.h>
#include <evdurable/schema.h>
#include <evdurable/storage.h>
#include <evdurable/update.h>
#include <evdurable/version.h>

#endif
