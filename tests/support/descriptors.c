/*
 * In every test program: no watcher of a libev loop is active on a closed descriptor when its loop goes
 * to sleep, or when the number is another's, and none is started on one; else the program ends, saying
 * so. A client library may close its socket within a call; what called it has until then to stop its
 * watchers. Debian's libev finds some of these itself, but not all.
 *
 * The functions below come before those of the C library and of libev, for client libraries, too. That
 * every test program has them is the work of EVD_TEST_WATCH in configure.ac. ThreadSanitizer has functions
 * of its own in their place, which it needs.
 */
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define HAS_THREAD_SANITIZER
#endif
#endif

#ifndef HAS_THREAD_SANITIZER

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

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
  unsigned short watchers; /* that are active */
  pthread_t thread;        /* whose loop they belong to */
  bool closed;             /* under them: in the list below */
} descriptors[DESCRIPTORS_MAX];
static int closed[CLOSED_MAX];
static int closed_count;

static __attribute__((noreturn)) void give_up(const char *what, int fd) {
  (void)fprintf(stderr, "%s: descriptor %d\n", what, fd);
  abort();
}

static bool is_known(int fd) {
  return fd >= 0 && fd < DESCRIPTORS_MAX;
}

/* Takes a descriptor off the list: nothing watches it any more. */
static void end_closed(int place) {
  descriptors[closed[place]].closed = false;
  descriptors[closed[place]].watchers = 0;
  closed[place] = closed[--closed_count];
}

/* The descriptor's number is another's now. */
static void note_reuse(int fd) {
  for (int i = 0; i < closed_count; i++) {
    if (closed[i] == fd) {
      end_closed(i);
      return;
    }
  }
}

static void note_start(int fd) {
  if (fcntl(fd, F_GETFD) < 0) {
    give_up("a watcher is started on a closed descriptor", fd);
  }
  if (is_known(fd)) {
    (void)pthread_mutex_lock(&mutex);
    if (descriptors[fd].closed && descriptors[fd].watchers > 0) {
      give_up("a watcher is left on a descriptor that was closed and is another's", fd);
    }
    note_reuse(fd);
    descriptors[fd].watchers++;
    descriptors[fd].thread = pthread_self();
    (void)pthread_mutex_unlock(&mutex);
  }
}

static void note_stop(int fd) {
  if (is_known(fd)) {
    (void)pthread_mutex_lock(&mutex);
    descriptors[fd].watchers -= descriptors[fd].watchers > 0;
    (void)pthread_mutex_unlock(&mutex);
  }
}

static void note_close(int fd) {
  if (is_known(fd)) {
    (void)pthread_mutex_lock(&mutex);
    if (descriptors[fd].watchers > 0 && !descriptors[fd].closed) {
      if (closed_count == CLOSED_MAX) {
        give_up("one more descriptor is closed under its watchers", fd);
      }
      descriptors[fd].closed = true;
      closed[closed_count++] = fd;
    }
    (void)pthread_mutex_unlock(&mutex);
  }
}

/* A loop of this thread goes to sleep. */
static void note_sleep(void) {
  (void)pthread_mutex_lock(&mutex);
  for (int i = 0; i < closed_count;) {
    int fd = closed[i];
    if (descriptors[fd].watchers == 0) {
      end_closed(i);
    } else if (pthread_equal(descriptors[fd].thread, pthread_self())) {
      give_up("a descriptor was closed under an active watcher", fd);
    } else {
      i++;
    }
  }
  (void)pthread_mutex_unlock(&mutex);
}

/* A loop is destroyed, with the watchers that it has for itself. */
static void forget(pthread_t thread) {
  (void)pthread_mutex_lock(&mutex);
  for (int i = closed_count - 1; i >= 0; i--) {
    if (pthread_equal(descriptors[closed[i]].thread, thread)) {
      end_closed(i);
    }
  }
  (void)pthread_mutex_unlock(&mutex);
}

#pragma GCC visibility push(default)

void ev_io_start(struct ev_loop *loop, ev_io *watcher) {
  void (*real)(struct ev_loop *, ev_io *);
  *(void **)&real = dlsym(RTLD_NEXT, "ev_io_start");
  if (!ev_is_active(watcher)) {
    note_start(watcher->fd);
  }
  real(loop, watcher);
}

void ev_io_stop(struct ev_loop *loop, ev_io *watcher) {
  void (*real)(struct ev_loop *, ev_io *);
  *(void **)&real = dlsym(RTLD_NEXT, "ev_io_stop");
  if (ev_is_active(watcher)) {
    note_stop(watcher->fd);
  }
  real(loop, watcher);
}

void ev_loop_destroy(struct ev_loop *loop) {
  void (*real)(struct ev_loop *);
  *(void **)&real = dlsym(RTLD_NEXT, "ev_loop_destroy");
  real(loop);
  forget(pthread_self());
}

int close(int fd) {
  int (*real)(int);
  *(void **)&real = dlsym(RTLD_NEXT, "close");
  note_close(fd);
  return real(fd);
}

int epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout) {
  int (*real)(int, struct epoll_event *, int, int);
  *(void **)&real = dlsym(RTLD_NEXT, "epoll_wait");
  note_sleep();
  return real(epfd, events, maxevents, timeout);
}

#pragma GCC visibility pop

#else

typedef int descriptors_are_not_watched;

#endif
