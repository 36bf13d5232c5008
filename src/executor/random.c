/* Random delays. */
#include "executor/random.h"

#include <stdint.h>
#include <time.h>
#include <unistd.h>

/* xorshift64*; each thread has its own. */
static _Thread_local uint64_t state;

static uint64_t seed(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return ((uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec ^ (uint64_t)getpid() << 16) | 1;
}

double random_part(double part) {
  state = state != 0 ? state : seed();
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  uint64_t number = state * UINT64_C(2685821657736338717);
  return part * ((double)(number >> 11) / (double)(UINT64_C(1) << 52) - 1);
}
