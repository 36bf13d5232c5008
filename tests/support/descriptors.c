/*
 * In every test program: no watcher of a libev loop is active on a closed descriptor when its loop
 * goes to sleep, or when the number is another's, and none is started on one; else the program
 * ends, saying so. A client library may close its socket within a call; what called it has until
 * then to stop its watchers. Debian's libev finds some of these itself, but not all.
 *
 * The functions below come before those of the C library and of libev, for client libraries, too.
 * That every test program has them is the work of EVD_TEST_WATCH in configure.ac.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <ev.h>

enum { DESCRIPTORS_MAX = 65536, CLOSED_MAX = 256 };

/* The active watchers of a descriptor. */
struct watched {
  unsigned watchers;
  const struct ev_loop *loop; /* that they belong to */
  pthread_t thread;           /* that started them */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct watched descriptors[DESCRIPTORS_MAX];

/* What was closed under its watchers. It stands here and not above because the number may become
 * that of another thread's descriptor before the watchers are stopped. */
static struct {
  int fd;
  struct watched watched;
} closed[CLOSED_MAX];
static int closed_count;

static __attribute__((noreturn)) void give_up(const char *what, int fd) {
  (void)fprintf(stderr, "%s: descriptor %d\n", what, fd);
  abort();
}

static bool is_known(int fd) {
  return fd >= 0 && fd < DESCRIPTORS_MAX;
}

/* The place of a loop's closed descriptor in the list, or -1. */
static int find_closed(const struct ev_loop *loop, int fd) {
  for (int i = 0; i < closed_count; i++) {
    if (closed[i].fd == fd && closed[i].watched.loop == loop) {
      return i;
    }
  }
  return -1;
}

static void note_start(const struct ev_loop *loop, int fd) {
  if (fcntl(fd, F_GETFD) < 0) {
    give_up("a watcher is started on a closed descriptor", fd);
  }
  if (is_known(fd)) {
    (void)pthread_mutex_lock(&mutex);
    if (find_closed(loop, fd) >= 0) {
      give_up("a watcher is left on a descriptor that was closed and is another's", fd);
    }
    descriptors[fd].watchers++;
    descriptors[fd].loop = loop;
    descriptors[fd].thread = pthread_self();
    (void)pthread_mutex_unlock(&mutex);
  }
}

static void note_stop(const struct ev_loop *loop, int fd) {
  if (is_known(fd)) {
    (void)pthread_mutex_lock(&mutex);
    int place = find_closed(loop, fd);
    if (place < 0) {
      descriptors[fd].watchers -= descriptors[fd].watchers > 0;
    } else if (--closed[place].watched.watchers == 0) {
      closed[place] = closed[--closed_count];
    }
    (void)pthread_mutex_unlock(&mutex);
  }
}

static void note_close(int fd) {
  if (is_known(fd)) {
    (void)pthread_mutex_lock(&mutex);
    if (descriptors[fd].watchers > 0) {
      if (closed_count == CLOSED_MAX) {
        give_up("one more descriptor is closed under its watchers", fd);
      }
      closed[closed_count].fd = fd;
      closed[closed_count++].watched = descriptors[fd];
      descriptors[fd].watchers = 0;
    }
    (void)pthread_mutex_unlock(&mutex);
  }
}

/* A loop of this thread goes to sleep. */
static void note_sleep(void) {
  (void)pthread_mutex_lock(&mutex);
  for (int i = 0; i < closed_count; i++) {
    if (pthread_equal(closed[i].watched.thread, pthread_self())) {
      give_up("a descriptor was closed under an active watcher", closed[i].fd);
    }
  }
  (void)pthread_mutex_unlock(&mutex);
}

/* A loop is about to be destroyed: it never looks at its watchers again, and closes its own
 * descriptors without stopping those that it has for itself. */
static void forget(const struct ev_loop *loop) {
  (void)pthread_mutex_lock(&mutex);
  for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) {
    if (descriptors[fd].loop == loop) {
      descriptors[fd] = (struct watched){0};
    }
  }
  for (int i = closed_count - 1; i >= 0; i--) {
    if (closed[i].watched.loop == loop) {
      closed[i] = closed[--closed_count];
    }
  }
  (void)pthread_mutex_unlock(&mutex);
}

/* The function that one of those below stands in for. A sanitizer has its own, in the program
 * itself; ThreadSanitizer takes a descriptor's reuse for a race unless it sees each close(). */
static void *find_real(const char *name) {
  char sanitizers[64];
  snprintf(sanitizers, sizeof sanitizers, "__interceptor_%s", name);
  void *found = dlsym(RTLD_DEFAULT, sanitizers);
  return found != NULL ? found : dlsym(RTLD_NEXT, name);
}

#pragma GCC visibility push(default)

void ev_io_start(struct ev_loop *loop, ev_io *watcher) {
  void (*real)(struct ev_loop *, ev_io *);
  *(void **)&real = find_real("ev_io_start");
  if (!ev_is_active(watcher)) {
    note_start(loop, watcher->fd);
  }
  real(loop, watcher);
}

void ev_io_stop(struct ev_loop *loop, ev_io *watcher) {
  void (*real)(struct ev_loop *, ev_io *);
  *(void **)&real = find_real("ev_io_stop");
  if (ev_is_active(watcher)) {
    note_stop(loop, watcher->fd);
  }
  real(loop, watcher);
}

void ev_loop_destroy(struct ev_loop *loop) {
  void (*real)(struct ev_loop *);
  *(void **)&real = find_real("ev_loop_destroy");
  forget(loop);
  real(loop);
}

int close(int fd) {
  int (*real)(int);
  *(void **)&real = find_real("close");
  note_close(fd);
  return real(fd);
}

int dup2(int fd, int fd2) {
  int (*real)(int, int);
  *(void **)&real = find_real("dup2");
  if (fd != fd2) {
    note_close(fd2);
  }
  return real(fd, fd2);
}

int epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout) {
  int (*real)(int, struct epoll_event *, int, int);
  *(void **)&real = find_real("epoll_wait");
  note_sleep();
  return real(epfd, events, maxevents, timeout);
}

#pragma GCC visibility pop
