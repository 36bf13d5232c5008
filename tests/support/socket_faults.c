/* Makes the calls on sockets fail, one after another. */
#include "support/socket_faults.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DESCRIPTORS_MAX = 4096 };

static atomic_uint armed_port; /* 0: not armed */
static _Atomic enum socket_fault armed_fault;
static atomic_int chosen[2], calls;
static atomic_bool is_reset[DESCRIPTORS_MAX];

void socket_faults_arm(unsigned port, enum socket_fault fault, int first, int second) {
  armed_fault = fault;
  calls = 0;
  chosen[0] = first;
  chosen[1] = second;
  armed_port = port;
}

bool socket_faults_disarm(void) {
  armed_port = 0;
  return calls >= chosen[0] && calls >= chosen[1];
}

/* Whether this is a call that was chosen. */
static bool is_chosen(void) {
  int call = ++calls;
  return call == chosen[0] || call == chosen[1];
}

static bool is_connected_to(int fd, unsigned port) {
  struct sockaddr_in peer = {.sin_family = AF_UNSPEC};
  socklen_t size = sizeof peer;
  return getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && peer.sin_family == AF_INET &&
         ntohs(peer.sin_port) == port;
}

/* Before a call on a socket: false with errno when it is to fail. */
static bool may_call(int fd) {
  unsigned port = armed_port;
  bool known = fd >= 0 && fd < DESCRIPTORS_MAX;
  bool counts = port != 0 && known && !is_reset[fd] && is_connected_to(fd, port);
  if (counts && is_chosen()) {
    is_reset[fd] = armed_fault == SOCKET_FAULT_RESET;
    (void)shutdown(fd, SHUT_RDWR);
  }
  if (known && is_reset[fd]) {
    errno = ECONNRESET;
    return false;
  }
  return true;
}

/* Client libraries find these in the program, before the C library's. */
#pragma GCC visibility push(default)

/* The C library's function of this name. */
static void *real(const char *name) {
  return dlsym(RTLD_NEXT, name);
}

ssize_t send(int fd, const void *buf, size_t n, int flags) {
  ssize_t (*real_send)(int, const void *, size_t, int);
  *(void **)&real_send = real("send");
  return may_call(fd) ? real_send(fd, buf, n, flags) : -1;
}

ssize_t recv(int fd, void *buf, size_t n, int flags) {
  ssize_t (*real_recv)(int, void *, size_t, int);
  *(void **)&real_recv = real("recv");
  return may_call(fd) ? real_recv(fd, buf, n, flags) : -1;
}

/* As TLS libraries do it. */
ssize_t write(int fd, const void *buf, size_t n) {
  ssize_t (*real_write)(int, const void *, size_t);
  *(void **)&real_write = real("write");
  return may_call(fd) ? real_write(fd, buf, n) : -1;
}

ssize_t read(int fd, void *buf, size_t nbytes) {
  ssize_t (*real_read)(int, void *, size_t);
  *(void **)&real_read = real("read");
  return may_call(fd) ? real_read(fd, buf, nbytes) : -1;
}

int connect(int fd, const struct sockaddr *addr, socklen_t len) {
  int (*real_connect)(int, const struct sockaddr *, socklen_t);
  *(void **)&real_connect = real("connect");
  if (fd >= 0 && fd < DESCRIPTORS_MAX) {
    is_reset[fd] = false; /* a new socket with an old number */
  }
  return real_connect(fd, addr, len);
}

#pragma GCC visibility pop
