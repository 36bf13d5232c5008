/*
 * Execution ids: "te_", then 10 characters of time and 14 of chance, in base 32 with digits that
 * sort as their values do.
 *
 * Each thread makes its own: a new millisecond draws the chance anew, the same millisecond counts
 * it up by one, so that the ids of a thread sort strictly. With 2^69 places to begin at, two
 * threads do not meet. A child process inherits the state of the thread that forked; so a count of
 * forks says when to forget it.
 */
#include <evdurable/execution.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { DIGITS_TIME = 10 };
enum { DIGITS_HALF = 7 }; /* each half of the chance: 35 bits */
#define HALF_MASK ((UINT64_C(1) << 35) - 1)

/* What a thread knows of its last id. */
struct generator {
  int64_t time;   /* of the last id: milliseconds, never going back */
  uint64_t high;  /* the upper half of its chance */
  uint64_t low;   /* the lower half */
  unsigned forks; /* how many forks there had been then */
  size_t unused;  /* words of the pool not given out yet, at its front */
  uint64_t pool[32];
};

static _Thread_local struct generator generator;

/* Forks that this process descends from, as far as this library saw; begins at 1, so that a
 * thread's zeroed state counts as before a fork. */
static atomic_uint forks = 1;
static atomic_bool watches_forks;

static void count_fork(void) {
  atomic_fetch_add_explicit(&forks, 1, memory_order_relaxed);
}

/* Has the child of a fork know of it. Tries again with the next id if memory ran out. */
static void watch_forks(void) {
  if (!atomic_load_explicit(&watches_forks, memory_order_relaxed) &&
      pthread_atfork(NULL, NULL, count_fork) == 0) {
    atomic_store_explicit(&watches_forks, true, memory_order_relaxed);
  }
}

/* Fills a pool when the kernel gives no random bytes (a sandbox that forbids the call): different
 * at least for each process, thread and time. */
static void fill_poorly(uint64_t *words, size_t count) {
  struct timespec now;
  uint64_t state;

  clock_gettime(CLOCK_MONOTONIC, &now);
  state = (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec ^ (uint64_t)getpid() << 40 ^
          (uint64_t)(uintptr_t)words;
  for (size_t i = 0; i < count; i++) { /* splitmix64 */
    uint64_t word = (state += UINT64_C(0x9e3779b97f4a7c15));
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    words[i] = word ^ word >> 31;
  }
}

/* A random word. The kernel is asked for many at once. */
static uint64_t random_word(struct generator *g) {
  if (g->unused == 0) {
    ssize_t bytes;
    do {
      bytes = getrandom(g->pool, sizeof g->pool, 0);
    } while (bytes < 0 && errno == EINTR);
    if (bytes != (ssize_t)sizeof g->pool) {
      fill_poorly(g->pool, sizeof g->pool / sizeof g->pool[0]);
    }
    g->unused = sizeof g->pool / sizeof g->pool[0];
  }
  return g->pool[--g->unused];
}

/* Moves on to a new millisecond. The top bit of the chance begins as 0: counting never runs out. */
static void begin(struct generator *g, int64_t time) {
  g->time = time;
  g->high = random_word(g) & HALF_MASK >> 1;
  g->low = random_word(g) & HALF_MASK;
}

/* Moves on within the millisecond, or while the clock is set back. */
static void count_up(struct generator *g) {
  g->low = (g->low + 1) & HALF_MASK;
  if (g->low == 0) {
    g->high++;
  }
}

/* Writes a number in base 32, the highest digit first; returns where it ends. */
static char *write_digits(char *to, uint64_t number, int digits) {
  for (int i = digits - 1; i >= 0; i--, number >>= 5) {
    to[i] = "0123456789abcdefghjkmnpqrstvwxyz"[number & 31];
  }
  return to + digits;
}

void evd_id_generate(char id[EVD_ID_SIZE]) {
  struct generator *g = &generator;
  unsigned forks_now;
  int64_t now = evd_now();

  watch_forks();
  forks_now = atomic_load_explicit(&forks, memory_order_relaxed);
  if (g->forks != forks_now) {
    g->forks = forks_now;
    g->unused = 0;
    begin(g, now > g->time ? now : g->time + 1);
  } else if (now > g->time) {
    begin(g, now);
  } else {
    count_up(g);
  }
  memcpy(id, "te_", 3);
  id = write_digits(id + 3, (uint64_t)g->time, DIGITS_TIME);
  id = write_digits(id, g->high, DIGITS_HALF);
  id = write_digits(id, g->low, DIGITS_HALF);
  *id = '\0';
}
