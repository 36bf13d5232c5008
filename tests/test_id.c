/* Generated ids. */

#include <evdurable.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"

static void ids_have_their_form_and_begin_with_the_time(void **state) {
  static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
  char id[EVD_ID_SIZE];
  int64_t before = evd_now();
  int64_t time = 0;

  (void)state;
  memset(id, 'x', sizeof id);
  evd_id_generate(id);
  assert_int_equal(strlen(id), 27);
  assert_memory_equal(id, "te_", 3);
  for (int i = 3; i < 27; i++) {
    assert_non_null(strchr(digits, id[i]));
  }
  for (int i = 3; i < 13; i++) {
    time = time * 32 + (strchr(digits, id[i]) - digits);
  }
  assert_in_range(time, before, evd_now());
}

/* What is sorted strictly has no two that are equal. */
static void a_million_ids_of_a_thread_sort_strictly(void **state) {
  char last[EVD_ID_SIZE] = "";
  char id[EVD_ID_SIZE];

  (void)state;
  for (int i = 0; i < 1000000; i++) {
    evd_id_generate(id);
    expect(strcmp(last, id) < 0, "%s is not before %s", last, id);
    memcpy(last, id, sizeof id);
  }
}

static int compare_ids(const void *a, const void *b) {
  return strcmp(a, b);
}

enum { THREADS = 4 };
enum { IDS_A_THREAD = 50000 };

/* A thread that makes ids. */
static void *make_ids(void *data) {
  char(*ids)[EVD_ID_SIZE] = data;

  for (int i = 0; i < IDS_A_THREAD; i++) {
    evd_id_generate(ids[i]);
  }
  return NULL;
}

static void ids_of_threads_differ(void **state) {
  char(*ids)[EVD_ID_SIZE] = keep_memory(sizeof *ids * THREADS * IDS_A_THREAD);
  pthread_t threads[THREADS];

  (void)state;
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, make_ids, ids + (size_t)i * IDS_A_THREAD),
                     0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
  }
  qsort(ids, (size_t)THREADS * IDS_A_THREAD, sizeof *ids, compare_ids);
  for (int i = 1; i < THREADS * IDS_A_THREAD; i++) {
    expect(strcmp(ids[i - 1], ids[i]) != 0, "%s is there twice", ids[i]);
  }
}

enum { PROCESSES = 8 };
enum { IDS_A_PROCESS = 1000 };

/* Each child of a fork inherits the state of the same thread. */
static void ids_of_forked_processes_differ(void **state) {
  char(*ids)[EVD_ID_SIZE] = keep_memory(sizeof *ids * PROCESSES * IDS_A_PROCESS);
  int ends[2];

  (void)state;
  evd_id_generate(ids[0]);
  assert_int_equal(pipe(ends), 0);
  for (int process = 0; process < PROCESSES; process++) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
      for (int i = 0; i < IDS_A_PROCESS; i++) {
        evd_id_generate(ids[0]);
        if (write(ends[1], ids[0], EVD_ID_SIZE) != EVD_ID_SIZE) {
          _exit(1);
        }
      }
      _exit(0);
    }
  }
  close(ends[1]);
  for (int i = 0; i < PROCESSES * IDS_A_PROCESS; i++) {
    assert_int_equal(read(ends[0], ids[i], EVD_ID_SIZE), EVD_ID_SIZE);
  }
  close(ends[0]);
  for (int process = 0; process < PROCESSES; process++) {
    wait(NULL);
  }
  qsort(ids, PROCESSES * IDS_A_PROCESS, sizeof *ids, compare_ids);
  for (int i = 1; i < PROCESSES * IDS_A_PROCESS; i++) {
    expect(strcmp(ids[i - 1], ids[i]) != 0, "%s is there twice", ids[i]);
  }
}

static int release(void **state) {
  (void)state;
  release_kept();
  return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, release)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(ids_have_their_form_and_begin_with_the_time),
      TEST(a_million_ids_of_a_thread_sort_strictly),
      TEST(ids_of_threads_differ),
      TEST(ids_of_forked_processes_differ),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
