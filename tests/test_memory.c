/* What is held in memory goes back to its level after many operations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../bench/memory.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0 /* a sanitizer's own allocator keeps what is freed */
#endif

/* A storage on a fresh SQLite file. */
static int setup(void **state) {
  static struct target target;
  const struct bench_options defaults = {0};
  *state = &target;
  return target_init(&target, "sqlite", &defaults) ? 0 : -1;
}

static int teardown(void **state) {
  bool removed = target_remove(*state);
  targets_clean();
  return removed ? 0 : -1;
}

static evd_storage *open_storage(void **state) {
  evd_options options = {.operation_timeout_ms = -1};
  evd_storage *storage = target_open(*state, &options);
  assert_non_null(storage);
  return storage;
}

static void pending_requests_hold_less_than_two_kilobytes_each(void **state) {
  struct memory_result result = {.engine = "sqlite"};
  evd_storage *storage = open_storage(state);
  assert_true(memory_pending(storage, 20000, &result));
  assert_true(target_close(storage));
  if (SANITIZED) {
    skip();
  }
  print_message("%.0f bytes each, %.0f by the storage's count\n", result.resident_per_request,
                result.bytes_per_request);
  assert_true(result.resident_per_request < 2048);
  assert_true(result.bytes_per_request < 2048);
}

static void memory_is_level_after_100000_operations(void **state) {
  struct memory_sample samples[MEMORY_SAMPLES] = {0};
  struct memory_result filled;
  evd_storage *storage = open_storage(state);
  assert_true(memory_pending(storage, 30000, &filled)); /* fills SQLite's page cache */
  assert_true(memory_run(storage, 100000, samples));
  assert_true(target_close(storage));
  if (SANITIZED) {
    skip();
  }
  for (size_t i = 0; i < MEMORY_SAMPLES; i++) {
    print_message("after %zu operations: %.1f MiB resident, %.3f MiB of heap in use\n",
                  samples[i].operations, samples[i].resident, samples[i].heap);
  }
  assert_true(memory_is_level(samples));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(pending_requests_hold_less_than_two_kilobytes_each, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(memory_is_level_after_100000_operations, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
