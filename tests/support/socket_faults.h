/*
 * Makes a chosen call that a database's client library makes on a socket find that its server has
 * gone. All sends and receives of the program's sockets come through here; while nothing is armed,
 * they work as ever. For test programs that list socket_faults.c among their sources.
 */
#ifndef SUPPORT_SOCKET_FAULTS_H
#define SUPPORT_SOCKET_FAULTS_H

#include <stdbool.h>

enum socket_fault {
  SOCKET_FAULT_CLOSED, /* the server closes: what has arrived can be read, then the end of file */
  SOCKET_FAULT_RESET   /* the server resets: every call fails with ECONNRESET */
};

/* From now on counts the calls on sockets that are connected to this TCP port. The calls with these
 * two numbers, from 1, find the server gone, and so do all later calls on the same sockets. 0 is no
 * call. */
void socket_faults_arm(unsigned port, enum socket_fault fault, int first, int second);

/* Stops counting; whether both calls were made. */
bool socket_faults_disarm(void);

#endif
