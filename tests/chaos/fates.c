/* What is known of each row, and the comparison with the table at the end. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chaos/chaos.h"
#include "migrate/client.h"
#include "support/check.h"

enum { NOBODY = -1 };

/* What was told of a row. */
struct fate {
  unsigned char inserted, finished; /* a came */
  int16_t claimed_by;               /* a worker, or NOBODY */
};

struct fates_of_worker {
  struct fate *rows;
  size_t count;
  uint64_t done;
  int64_t unclear_rows; /* at most so many may be claimed without its having been told */
  bool killed;
};

struct fates {
  struct fates_of_worker workers[WORKERS_MAX];
};

struct fates *fates_new(void) {
  struct fates *fates = calloc(1, sizeof *fates);
  assert_non_null(fates);
  return fates;
}

void fates_free(struct fates *fates) {
  for (int i = 0; i < WORKERS_MAX; i++) {
    free(fates->workers[i].rows);
  }
  free(fates);
}

/* A row's fate, for writing: there is one from its first mention on. */
static struct fate *fate_of(struct fates *fates, int32_t worker, int32_t row) {
  expect(worker >= 0 && worker < WORKERS_MAX && row >= 0, "there is no row %d of worker %d", row,
         worker);
  struct fates_of_worker *of = &fates->workers[worker];
  if ((size_t)row >= of->count) {
    size_t count = (size_t)row * 2 + 4096;
    of->rows = realloc(of->rows, count * sizeof *of->rows);
    assert_non_null(of->rows);
    for (size_t i = of->count; i < count; i++) {
      of->rows[i] = (struct fate){.claimed_by = NOBODY};
    }
    of->count = count;
  }
  return &of->rows[row];
}

static void note_claim(struct fates *fates, int worker, const struct told *told) {
  if (told->came == CAME_UNKNOWN) {
    fates->workers[worker].unclear_rows += CLAIM_LIMIT;
  }
  if (told->came != CAME_DONE) {
    return;
  }
  struct fate *fate = fate_of(fates, told->worker, told->row);
  expect(fate->claimed_by == NOBODY, "te_%d_%d was claimed by worker %d, and by worker %d",
         told->worker, told->row, fate->claimed_by, worker);
  fate->claimed_by = (int16_t)worker;
}

void fates_note(struct fates *fates, int worker, const struct told *told) {
  fates->workers[worker].done += told->came == CAME_DONE;
  switch ((enum act)told->act) {
  case OPENED: break;
  case INSERTED:
    fate_of(fates, told->worker, told->row)->inserted = (unsigned char)told->came;
    break;
  case CLAIMED: note_claim(fates, worker, told); break;
  case FINISHED:
    fate_of(fates, told->worker, told->row)->finished = (unsigned char)told->came;
    break;
  }
}

void fates_note_killed(struct fates *fates, int worker) {
  fates->workers[worker].killed = true;
  fates->workers[worker].unclear_rows += (int64_t)CHAINS * CLAIM_LIMIT;
}

uint64_t fates_done(const struct fates *fates, int worker) {
  return fates->workers[worker].done;
}

/* Comparing. */

/* Reads "_1", and moves on. */
static bool read_number(const char **text, int32_t *number) {
  char *end;
  if (**text != '_') {
    return false;
  }
  long read = strtol(*text + 1, &end, 10);
  *number = (int32_t)read;
  bool good = end > *text + 1 && read == *number;
  *text = end;
  return good;
}

bool chaos_read_name(const char *text, const char *name, int32_t *first, int32_t *second) {
  size_t length = strlen(name);
  if (strncmp(text, name, length) != 0) {
    return false;
  }
  text += length;
  return read_number(&text, first) && (second == NULL || read_number(&text, second)) &&
         *text == '\0';
}

/* Whether an operation of a worker may have been done. */
static bool may_be_done(const struct fates_of_worker *worker, unsigned char came) {
  return came == CAME_DONE || came == CAME_UNKNOWN || (came == CAME_NOTHING && worker->killed);
}

static void verify_running(struct fates *fates, const char *id, const struct fate *fate,
                           int executor) {
  struct fates_of_worker *by = &fates->workers[executor];
  if (fate->claimed_by == NOBODY) {
    expect(by->unclear_rows > 0, "%s is claimed by worker %d, who was not told", id, executor);
    by->unclear_rows--;
    return;
  }
  expect(fate->claimed_by == executor, "%s was claimed by worker %d and is of worker %d", id,
         fate->claimed_by, executor);
  expect(fate->finished != CAME_DONE, "%s was finished and is running", id);
}

static void verify_row(struct fates *fates, const char *id, const char *status,
                       const char *executor) {
  int32_t worker;
  int32_t number;
  int32_t by = NOBODY;
  expect(chaos_read_name(id, "te", &worker, &number), "%s is nobody's row", id);
  struct fate *fate = fate_of(fates, worker, number);
  expect(may_be_done(&fates->workers[worker], fate->inserted), "%s was not inserted and is there",
         id);
  fate->inserted = CAME_REFUSED; /* it is not missing, and must not come twice */
  if (executor != NULL) {
    expect(chaos_read_name(executor, "worker", &by, NULL) && by >= 0 && by < WORKERS_MAX,
           "%s is of \"%s\"", id, executor);
  }
  if (strcmp(status, "ready") == 0) {
    expect(fate->claimed_by == NOBODY, "%s was claimed by worker %d and is ready", id,
           fate->claimed_by);
  } else if (strcmp(status, "running") == 0) {
    verify_running(fates, id, fate, by);
  } else {
    expect(fate->claimed_by == by, "%s was claimed by worker %d and finished by worker %d", id,
           fate->claimed_by, by);
    expect(may_be_done(&fates->workers[by], fate->finished), "%s was not finished and is %s", id,
           status);
  }
}

static bool on_row(const char *const *values, void *data) {
  verify_row(data, values[0], values[1], values[2]);
  return true;
}

void fates_verify(struct fates *fates, const char *url, const char *table) {
  evd_error error;
  struct sql_client *client = sql_client_open(url, false, &error);
  expect(client != NULL, "%s", error.message);
  evd_code code =
      sql_client_query(client, text("select execution_id, status, executor_id from %s", table),
                       NULL, on_row, fates, &error);
  expect(code == EVD_OK, "%s", error.message);
  sql_client_close(client);
  for (int i = 0; i < WORKERS_MAX; i++) {
    const struct fates_of_worker *worker = &fates->workers[i];
    for (size_t row = 0; row < worker->count; row++) {
      expect(worker->rows[row].inserted != CAME_DONE, "te_%d_%zu was inserted and is lost", i, row);
    }
  }
}
