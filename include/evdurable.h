/**
 * @file evdurable.h
 * Everything of evdurable: durable task executions in PostgreSQL, MySQL/MariaDB and SQLite,
 * from a libev loop, without ever blocking it.
 *
 * Start with storage.h: open a storage, call its operations, attach callbacks to the futures.
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
