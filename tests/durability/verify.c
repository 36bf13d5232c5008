/* Compares the table with what the writer was told. */
#include "durability/durability.h"

#include "support/await.h"
#include "support/check.h"
#include "support/sample.h"

/* How far a row is on its way; -1 when it is not there. */
static int progress_of_parent(const evd_execution *parent) {
  if (parent == NULL) {
    return -1;
  }
  return parent->status == EVD_STATUS_READY     ? INSERTED
         : parent->status == EVD_STATUS_RUNNING ? STARTED
                                                : PARENTED;
}

static int progress_of_child(const evd_execution *child) {
  if (child == NULL) {
    return -1;
  }
  if (child->close_status != EVD_CLOSE_IDLE) {
    return CLOSED;
  }
  return child->status == EVD_STATUS_READY     ? PARENTED
         : child->status == EVD_STATUS_RUNNING ? CLAIMED
                                               : FINISHED;
}

static evd_future *get_acknowledged(evd_storage *storage, const struct acknowledged *one) {
  if (one->act == CLAIMED || one->act == FINISHED) {
    return evd_get(storage, text("child_%d_%d_%d", one->round, one->family, one->child), NULL);
  }
  return evd_get(storage, text("parent_%d_%d", one->round, one->family), NULL);
}

/* So many at a time; what is kept for the test is released after each. */
enum { CHUNK = 500 };

static void verify_chunk(evd_storage *storage, const struct acknowledged *all, size_t count) {
  evd_future *futures[CHUNK];
  for (size_t i = 0; i < count; i++) {
    futures[i] = all[i].act == CLOSED ? NULL : get_acknowledged(storage, &all[i]);
  }
  for (size_t i = 0; i < count; i++) {
    if (all[i].act == CLOSED) {
      continue;
    }
    const evd_execution *row = await_row(futures[i]);
    bool is_child = all[i].act == CLAIMED || all[i].act == FINISHED;
    int progress = is_child ? progress_of_child(row) : progress_of_parent(row);
    expect(progress >= all[i].act,
           "round %d, family %d, child %d: %d was acknowledged, %d is there", all[i].round,
           all[i].family, all[i].child, all[i].act, progress);
  }
  release_kept();
}

void verify_acknowledged(evd_storage *storage, const struct acknowledged *all, size_t count) {
  for (size_t i = 0; i < count; i += CHUNK) {
    verify_chunk(storage, all + i, count - i < CHUNK ? count - i : CHUNK);
  }
}

/* One child, whose update must be there whole; whether it is closed. */
static bool verify_child(const evd_execution *child) {
  int progress = progress_of_child(child);
  const char *id = child->execution_id;
  bool has_run = progress >= CLAIMED;
  expect(has_run == (child->executor_id != NULL), "%s: half a claim", id);
  expect(has_run == (child->expires_at == SAMPLE_TIME + child->timeout_ms), "%s: half a claim", id);
  expect((progress >= FINISHED) == child->is_finished, "%s: half an update", id);
  expect((progress >= FINISHED) == (child->output != NULL), "%s: half an update", id);
  return progress == CLOSED;
}

static int32_t verify_family(evd_storage *storage, int32_t round, int32_t family) {
  size_t count;
  const char *parent_id = text("parent_%d_%d", round, family);
  evd_future *futures[] = {evd_get(storage, parent_id, NULL),
                           evd_get(storage, text("twin_%d_%d", round, family), NULL),
                           evd_get_by_parent(storage, parent_id)};
  const evd_execution *parent = await_row(futures[0]);
  const evd_execution *twin = await_row(futures[1]);
  const evd_execution *children = await_rows(futures[2], &count);
  int progress = progress_of_parent(parent);
  int32_t closed = 0;
  expect((parent != NULL) == (twin != NULL), "%s: half an insert", parent_id);
  expect(count == (progress >= PARENTED ? CHILDREN : 0), "%s: has %zu children", parent_id, count);
  for (size_t i = 0; i < count; i++) {
    closed += verify_child(&children[i]);
  }
  if (parent != NULL) {
    int32_t expected = count > 0 ? CHILDREN - closed : 0;
    expect(parent->active_children_count == expected, "%s: counts %d children, not %d", parent_id,
           parent->active_children_count, expected);
    expect((parent->executor_id != NULL) == (progress >= STARTED), "%s: half an update", parent_id);
  }
  return closed;
}

int64_t verify_families(evd_storage *storage, int32_t round, int32_t families) {
  int64_t closed = 0;
  for (int32_t family = 0; family < families; family++) {
    closed += verify_family(storage, round, family);
    if (family % 100 == 0) {
      release_kept();
    }
  }
  release_kept();
  return closed;
}
