/* A proxy that cuts, stalls and counts connections. */
#include "support/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAIRS_MAX = 64, BUFFER_SIZE = 65536, POLL_MS = 20 };

/* What the test and the proxy tell each other, in memory that both see. */
struct control {
  atomic_uint cut_within;
  atomic_uint cut_all; /* how many times the test has asked for it */
  atomic_bool stalled;
  atomic_uint cuts;
  atomic_uint connections;
};

struct proxy {
  pid_t child;
  unsigned port;
  struct control *control;
};

/* Bytes on their way from one socket to the other. */
struct pipe_half {
  char bytes[BUFFER_SIZE];
  size_t begin, end;
};

/* A connection: the client's socket and the server's. */
struct pair {
  int sockets[2];             /* -1: a free place */
  struct pipe_half halves[2]; /* [i]: from sockets[i] to the other */
  uint32_t left;              /* bytes until the cut; 0 for none */
  bool drawn;                 /* `left` has been drawn */
};

static void fail(const char *what) {
  perror(what);
  abort();
}

static struct sockaddr_in loopback(unsigned port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

static int listen_somewhere(unsigned *port) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 ||
      listen(listener, 64) != 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
    fail("proxy: listen");
  }
  *port = ntohs(address.sin_port);
  return listener;
}

/* The child's process. */

/* A reset, not an end in good order: what the other has not read yet is lost, too. */
static void cut(struct pair *pair) {
  struct linger now = {.l_onoff = 1};
  for (int i = 0; i < 2; i++) {
    setsockopt(pair->sockets[i], SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(pair->sockets[i]);
    pair->sockets[i] = -1;
  }
}

static void drop(struct pair *pair) {
  for (int i = 0; i < 2; i++) {
    close(pair->sockets[i]);
    pair->sockets[i] = -1;
  }
}

static void take_connection(int listener, unsigned server_port, struct pair *pairs,
                            struct control *control) {
  int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  struct sockaddr_in address = loopback(server_port);
  int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;
  if (client < 0 || server < 0) {
    fail("proxy: accept");
  }
  atomic_fetch_add(&control->connections, 1);
  for (int i = 0; i < PAIRS_MAX; i++) {
    struct pair *pair = &pairs[i];
    if (pair->sockets[0] >= 0) {
      continue;
    }
    if (connect(server, (struct sockaddr *)&address, sizeof address) != 0) {
      break;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    pair->sockets[0] = client;
    pair->sockets[1] = server;
    pair->halves[0].begin = pair->halves[0].end = 0;
    pair->halves[1].begin = pair->halves[1].end = 0;
    pair->drawn = false;
    return;
  }
  close(client);
  close(server);
}

/* Moves bytes in one direction. False when the connection has ended. */
static bool move(struct pair *pair, int from, bool readable, bool writable,
                 struct control *control) {
  struct pipe_half *half = &pair->halves[from];
  if (half->begin == half->end && readable) {
    ssize_t length = recv(pair->sockets[from], half->bytes, BUFFER_SIZE, MSG_DONTWAIT);
    if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR)) {
      return false;
    }
    half->begin = 0;
    half->end = length > 0 ? (size_t)length : 0;
    writable = true;
  }
  if (half->begin == half->end || !writable) {
    return true;
  }
  size_t length = half->end - half->begin;
  bool ends = pair->left > 0 && length >= pair->left;
  if (ends) {
    length = pair->left;
  }
  ssize_t sent =
      send(pair->sockets[!from], half->bytes + half->begin, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) {
    return errno == EAGAIN || errno == EINTR;
  }
  half->begin += (size_t)sent;
  if (pair->left > 0) {
    pair->left -= (uint32_t)sent;
    if (pair->left == 0) {
      atomic_fetch_add(&control->cuts, 1);
      cut(pair);
    }
  }
  return true;
}

/* Draws where a connection is to be cut, when that is wanted and has not been done. */
static void draw(struct pair *pair, uint32_t within) {
  if (within == 0) {
    pair->left = 0;
    pair->drawn = false;
  } else if (!pair->drawn) {
    pair->left = 1 + (uint32_t)random() % within;
    pair->drawn = true;
  }
}

static void serve_pair(struct pair *pair, const struct pollfd *polled, struct control *control) {
  draw(pair, atomic_load(&control->cut_within));
  for (int i = 0; i < 2 && pair->sockets[0] >= 0; i++) {
    bool readable = (polled[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
    bool writable = (polled[!i].revents & POLLOUT) != 0;
    if (!move(pair, i, readable, writable, control)) {
      drop(pair);
    }
  }
}

/* What to poll a pair's sockets for. */
static void poll_pair(const struct pair *pair, struct pollfd *polled, bool stalled) {
  for (int i = 0; i < 2; i++) {
    const struct pipe_half *in = &pair->halves[i];
    const struct pipe_half *out = &pair->halves[!i];
    polled[i] = (struct pollfd){.fd = stalled ? -1 : pair->sockets[i]};
    if (in->begin == in->end) {
      polled[i].events |= POLLIN;
    }
    if (out->begin != out->end) {
      polled[i].events |= POLLOUT;
    }
  }
}

static void serve(int listener, unsigned server_port, struct control *control) {
  static struct pair pairs[PAIRS_MAX];
  unsigned cut_all = 0;
  for (int i = 0; i < PAIRS_MAX; i++) {
    pairs[i].sockets[0] = pairs[i].sockets[1] = -1;
  }
  for (;;) {
    struct pollfd polled[1 + 2 * PAIRS_MAX] = {{.fd = listener, .events = POLLIN}};
    bool stalled = atomic_load(&control->stalled);
    for (int i = 0; i < PAIRS_MAX; i++) {
      poll_pair(&pairs[i], &polled[1 + 2 * i], stalled);
    }
    if (poll(polled, 1 + 2 * PAIRS_MAX, POLL_MS) < 0 && errno != EINTR) {
      fail("proxy: poll");
    }

    bool all = atomic_load(&control->cut_all) != cut_all;
    cut_all = atomic_load(&control->cut_all);
    for (int i = 0; i < PAIRS_MAX; i++) {
      if (pairs[i].sockets[0] < 0) {
        continue;
      }
      if (all) {
        atomic_fetch_add(&control->cuts, 1);
        cut(&pairs[i]);
      } else {
        serve_pair(&pairs[i], &polled[1 + 2 * i], control);
      }
    }
    if (polled[0].revents != 0) {
      take_connection(listener, server_port, pairs, control);
    }
  }
}

/* The test's process. */

struct proxy *proxy_start(unsigned port) {
  struct proxy *proxy = calloc(1, sizeof *proxy);
  if (proxy == NULL) {
    fail("proxy");
  }
  proxy->control =
      mmap(NULL, sizeof *proxy->control, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (proxy->control == MAP_FAILED) {
    fail("proxy: mmap");
  }
  int listener = listen_somewhere(&proxy->port);
  pid_t parent = getpid();
  proxy->child = fork();
  if (proxy->child < 0) {
    fail("proxy: fork");
  }
  if (proxy->child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) {
      serve(listener, port, proxy->control);
    }
    _exit(1);
  }
  close(listener);
  return proxy;
}

unsigned proxy_port(const struct proxy *proxy) {
  return proxy->port;
}

void proxy_cut_within(struct proxy *proxy, uint32_t most) {
  atomic_store(&proxy->control->cut_within, most);
}

void proxy_cut_all(struct proxy *proxy) {
  atomic_fetch_add(&proxy->control->cut_all, 1);
}

void proxy_stall(struct proxy *proxy, int on) {
  atomic_store(&proxy->control->stalled, on != 0);
}

uint32_t proxy_cuts(const struct proxy *proxy) {
  return atomic_load(&proxy->control->cuts);
}

uint32_t proxy_connections(const struct proxy *proxy) {
  return atomic_load(&proxy->control->connections);
}

void proxy_stop(struct proxy *proxy) {
  kill(proxy->child, SIGKILL);
  waitpid(proxy->child, NULL, 0);
  munmap(proxy->control, sizeof *proxy->control);
  free(proxy);
}
