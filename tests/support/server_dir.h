/*
 * Directories of private database servers (tests/lib/servers.sh). A server does not outlive the
 * test program that started it, however that ends: a guardian, a process of its own, waits for the
 * end, stops what is still running there, and removes the directory.
 */
#ifndef SUPPORT_SERVER_DIR_H
#define SUPPORT_SERVER_DIR_H

#include <stdbool.h>

enum { SERVER_DIR_SIZE = 160 };

/* Makes a directory below EVD_TEST_SERVER_DIR (/tmp), which the servers' user can reach, and writes
 * its name to `dir`. False when that fails. */
bool server_dir_make(char dir[SERVER_DIR_SIZE]);

/* Stops every server somewhere in the directory, and removes it. False when that fails. */
bool server_dir_end(const char *dir);

/* Runs functions of tests/lib/servers.sh, and what may follow them. False when the last of them
 * fails. */
bool server_script(const char *commands);

#endif
