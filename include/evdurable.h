/**
 * @file evdurable.h Includes all of evdurable: durable task executions in PostgreSQL, MySQL/MariaDB
 * and SQLite, from a libev loop, without blocking it.
 *
 * Start with executor.h, which runs tasks; or with storage.h, if you have an executor of your own:
 * open a storage, call its operations, attach callbacks to the futures. docs/examples/ shows both.
 *
 * It also compiles as C++20: in C++, use named variables for options, filters and changes where C
 * can use compound literals.
 *
 * The library never prints, exits or aborts. When memory runs out, however, libev aborts the
 * program unless ev_set_allocator() provides an allocator that does not fail, and MySQL's client
 * library may crash.
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

/* Not installed if the library was built without it. */
#if defined(__has_include)
#if __has_include(<evdurable/executor.h>)
#include <evdurable/executor.h>
#endif
#endif

#endif
