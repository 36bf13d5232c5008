/* Futures: their life, their callbacks, waiting for them, and groups of them. */
#include "async/future.h"

#include <stdlib.h>

#include "model/error.h"

/* The analyzer does not follow the counts of references. */
// NOLINTBEGIN(clang-analyzer-unix.Malloc)

/* The futures that an evd_future_all() waits for; part of its future. */
struct group {
  size_t count;
  size_t unfinished;
  evd_future *members[]; /* references; NULL for a null future */
};

struct evd_future {
  struct deferred delivery; /* of the callback; first, so that one gives the other */
  struct reactor *reactor;  /* a reference */
  unsigned references;
  bool finished;
  evd_callback callback;
  void *callback_data;
  struct result result;
  evd_error *error; /* owned, or &out_of_memory; NULL when there is none */

  future_cancel cancel; /* the maker's; NULL when there is no maker any more */
  void *maker;
  evd_future *link;

  evd_future *waiter;     /* the evd_future_all() that has this one among its members */
  struct group *group;    /* of an evd_future_all() */
  evd_error *first_error; /* of the group, in time; not owned */
};

/* A call of evd_future_await() that is running its loop; calls nest when a callback awaits. It is
 * woken as a callback is called: in its turn, after those of futures that finished before. */
struct await {
  struct deferred wake; /* first, so that one gives the other */
  evd_future *future;
  struct await *outer;
  unsigned depth; /* of its own run of the loop, among those within each other */
  bool woken;
  ev_prepare end; /* active when woken: ends that run, as soon as it is the innermost */
};

static _Thread_local struct await *innermost;

static const evd_error no_error = {.code = EVD_OK};
static const evd_error pending_error = {.code = EVD_EPENDING,
                                        .message = "the future is not finished yet"};
static evd_error out_of_memory = {
    .code = EVD_ENOMEM, .retryable = true, .message = "out of memory"};

/* Its life. */

evd_future *future_new(struct reactor *reactor) {
  evd_future *future = calloc(1, sizeof *future);
  if (future == NULL) {
    return NULL;
  }
  future->reactor = reactor_retain(reactor);
  future->references = 1;
  return future;
}

evd_future *evd_future_retain(evd_future *future) {
  if (future != NULL) {
    future->references++;
  }
  return future;
}

static void group_free(struct group *group) {
  if (group == NULL) {
    return;
  }
  for (size_t i = 0; i < group->count; i++) {
    if (group->members[i] != NULL) {
      group->members[i]->waiter = NULL;
      evd_future_release(group->members[i]);
    }
  }
  free(group);
}

void evd_future_release(evd_future *future) {
  if (future == NULL || --future->references > 0) {
    return;
  }
  records_release(future->result.rows);
  if (future->result.let_go != NULL) {
    future->result.let_go(future->result.owned);
  }
  group_free(future->group);
  if (future->error != &out_of_memory) {
    free(future->error);
  }
  reactor_release(future->reactor);
  free(future);
}

/* Finishing. */

static void deliver(struct deferred *delivery) {
  evd_future *future = (evd_future *)delivery;
  future->callback(future, future->callback_data);
  evd_future_release(future); /* the reference that evd_future_then() took over */
}

static void member_finished(evd_future *all, evd_future *member);

/* Breaks the await's own run of the loop, and not one that a callback began within it. */
static void end_run(struct ev_loop *loop, ev_prepare *end, int events) {
  (void)events;
  const struct await *await = end->data;
  if (ev_depth(loop) == await->depth) {
    ev_break(loop, EVBREAK_ONE);
  }
}

/* Ends a call of evd_future_await(): at once if its run of the loop is the innermost, else when
 * those within it have ended. */
static void wake(struct deferred *deferred) {
  struct await *await = (struct await *)deferred;
  struct ev_loop *loop = await->future->reactor->loop;
  await->woken = true;
  ev_prepare_start(loop, &await->end);
  ev_unref(loop);
  end_run(loop, &await->end, 0);
}

static void wake_awaiting(evd_future *future) {
  for (struct await *await = innermost; await != NULL; await = await->outer) {
    if (await->future == future) {
      await->wake.run = wake;
      reactor_defer(future->reactor, &await->wake);
    }
  }
}

static void finish(evd_future *future) {
  future->finished = true;
  wake_awaiting(future);
  if (future->callback != NULL) {
    reactor_defer(future->reactor, &future->delivery);
  }
  if (future->waiter != NULL) {
    member_finished(future->waiter, future);
  }
}

static void set_error(evd_future *future, const evd_error *error) {
  future->error = malloc(sizeof *future->error);
  if (future->error != NULL) {
    *future->error = *error;
  } else {
    future->error = &out_of_memory;
  }
}

/* Takes the maker's reference off a future, after its last word. */
static void leave(evd_future *future) {
  if (future->cancel != NULL) {
    future->cancel = NULL;
    evd_future_release(future);
  }
}

void future_succeed(evd_future *future, const struct result *result) {
  future->result = *result;
  finish(future);
  leave(future);
}

void future_fail(evd_future *future, const evd_error *error) {
  set_error(future, error);
  finish(future);
  leave(future);
}

evd_future *future_succeeded(struct reactor *reactor, const struct result *result) {
  evd_future *future = future_new(reactor);
  if (future != NULL) {
    future_succeed(future, result);
  }
  return future;
}

evd_future *future_failed(struct reactor *reactor, const evd_error *error) {
  evd_future *future = future_new(reactor);
  if (future != NULL) {
    future_fail(future, error);
  }
  return future;
}

/* The maker's side. */

void future_set_maker(evd_future *future, future_cancel cancel, void *maker) {
  evd_future_retain(future);
  future->cancel = cancel;
  future->maker = maker;
}

bool future_is_observed(const evd_future *future) {
  return future->references > 1;
}

evd_future **future_link(evd_future *future) {
  return &future->link;
}

/* The user's side. */

evd_code evd_future_then(evd_future *future, evd_callback callback, void *data) {
  if (future == NULL) {
    return EVD_ENOMEM;
  }
  if (callback == NULL || future->callback != NULL || future->waiter != NULL) {
    return EVD_EMISUSE;
  }
  future->delivery.run = deliver;
  future->callback = callback;
  future->callback_data = data;
  if (future->finished) {
    reactor_defer(future->reactor, &future->delivery);
  }
  return EVD_OK;
}

/* Runs the loop until it is woken, or somebody else breaks the loop. */
static void run_loop_for(evd_future *future) {
  struct ev_loop *loop = future->reactor->loop;
  struct await await = {.future = future, .outer = innermost, .depth = ev_depth(loop) + 1};
  ev_prepare_init(&await.end, end_run);
  await.end.data = &await;
  innermost = &await;
  ev_run(loop, 0);
  innermost = await.outer;
  if (await.woken) {
    ev_ref(loop);
    ev_prepare_stop(loop, &await.end);
  } else {
    reactor_forget(future->reactor, &await.wake);
  }
}

evd_code evd_future_await(evd_future *future) {
  if (future == NULL || future->finished) {
    return evd_future_code(future);
  }
  evd_future_retain(future);
  run_loop_for(future);
  evd_code code = evd_future_code(future);
  evd_future_release(future);
  return code;
}

static void cancel_members(const struct group *group) {
  for (size_t i = 0; i < group->count; i++) {
    evd_future_cancel(group->members[i]);
  }
}

void evd_future_cancel(evd_future *future) {
  if (future == NULL || future->finished) {
    return;
  }
  evd_future_retain(future);
  if (future->group != NULL) {
    cancel_members(future->group); /* the last of them finishes this one */
  } else {
    evd_error error;
    error_set(&error, EVD_ECANCELED, "", "the operation was cancelled");
    if (future->cancel != NULL) {
      error.outcome = future->cancel(future, future->maker);
    }
    future_fail(future, &error);
  }
  evd_future_release(future);
}

evd_code evd_future_code(const evd_future *future) {
  return evd_future_error(future)->code;
}

const evd_error *evd_future_error(const evd_future *future) {
  if (future == NULL) {
    return &out_of_memory;
  }
  if (!future->finished) {
    return &pending_error;
  }
  return future->error != NULL ? future->error : &no_error;
}

/* Results. */

static evd_code code_for(const evd_future *future, bool kind_fits) {
  evd_code code = evd_future_code(future);
  return code == EVD_OK && !kind_fits ? EVD_EMISUSE : code;
}

/* Whether the future has a result of one of two kinds (the same twice for one). */
static bool has(const evd_future *future, enum result_kind kind, enum result_kind other) {
  return future != NULL && (future->result.kind == kind || future->result.kind == other);
}

evd_code evd_future_row(const evd_future *future, const evd_execution **row) {
  evd_code code = code_for(future, has(future, RESULT_ROW, RESULT_ROW));
  bool found = code == EVD_OK && records_count(future->result.rows) > 0;
  *row = found ? records_rows(future->result.rows) : NULL;
  return code;
}

evd_code evd_future_rows(const evd_future *future, const evd_execution **rows, size_t *count) {
  evd_code code = code_for(future, has(future, RESULT_ROWS, RESULT_ROW));
  *count = code == EVD_OK ? records_count(future->result.rows) : 0;
  *rows = *count > 0 ? records_rows(future->result.rows) : NULL;
  return code;
}

evd_code evd_future_count(const evd_future *future, int64_t *count) {
  bool rows = has(future, RESULT_ROWS, RESULT_ROW);
  evd_code code = code_for(future, rows || has(future, RESULT_COUNT, RESULT_MATCHED));
  *count = 0;
  if (code == EVD_OK) {
    *count = rows ? (int64_t)records_count(future->result.rows) : future->result.count;
  }
  return code;
}

evd_code evd_future_matched(const evd_future *future, bool *matched) {
  evd_code code = code_for(future, has(future, RESULT_MATCHED, RESULT_MATCHED));
  *matched = code == EVD_OK && future->result.count > 0;
  return code;
}

struct records *future_rows(const evd_future *future) {
  return future->result.rows;
}

evd_code evd_future_storage(const evd_future *future, evd_storage **storage) {
  evd_code code = code_for(future, has(future, RESULT_STORAGE, RESULT_STORAGE));
  *storage = code == EVD_OK ? future->result.storage : NULL;
  return code;
}

/* Groups. */

static void finish_group(evd_future *all) {
  if (all->first_error != NULL) {
    set_error(all, all->first_error);
  }
  finish(all);
}

static void member_finished(evd_future *all, evd_future *member) {
  struct group *group = all->group;
  if (member->error != NULL && all->first_error == NULL) {
    all->first_error = member->error;
  }
  if (--group->unfinished == 0) {
    finish_group(all);
  }
}

/* Takes a future into the group; what is finished already counts at once. It is marked as taken
 * even then, so that nobody else takes it. */
static void add_member(evd_future *all, evd_future *member) {
  struct group *group = all->group;
  group->members[group->count++] = member;
  if (member == NULL) {
    all->first_error = all->first_error != NULL ? all->first_error : &out_of_memory;
    return;
  }
  member->waiter = all;
  if (member->finished) {
    all->first_error = all->first_error != NULL ? all->first_error : member->error;
  } else {
    group->unfinished++;
  }
}

static struct reactor *reactor_of_any(evd_future *const *futures, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (futures[i] != NULL) {
      return futures[i]->reactor;
    }
  }
  return NULL;
}

static bool is_taken(const evd_future *future) {
  return future != NULL && (future->callback != NULL || future->waiter != NULL);
}

/* Lets go of futures that evd_future_all() took over but has no memory for. They are chained by
 * their waiter first, and so taken: one that is here twice must not be looked at when it has
 * gone. */
static void release_untaken(evd_future *const *futures, size_t count) {
  static evd_future end;
  evd_future *chain = &end;
  for (size_t i = 0; i < count; i++) {
    if (futures[i] != NULL && !is_taken(futures[i])) {
      futures[i]->waiter = chain;
      chain = futures[i];
    }
  }
  while (chain != &end) {
    evd_future *future = chain;
    chain = future->waiter;
    future->waiter = NULL;
    evd_future_release(future);
  }
}

/* The group cannot be: lets go of its members, and fails. */
static void dissolve_group(evd_future *all, size_t taken) {
  evd_error error;
  error_set(&error, EVD_EMISUSE, "", "future %zu of the group has a callback or a group already",
            taken);
  group_free(all->group);
  all->group = NULL;
  all->first_error = NULL;
  future_fail(all, &error);
}

evd_future *evd_future_all(evd_future *const *futures, size_t count) {
  struct reactor *reactor = reactor_of_any(futures, count);
  evd_future *all = reactor != NULL ? future_new(reactor) : NULL;
  struct group *group = calloc(1, sizeof *group + count * sizeof *group->members);
  if (all == NULL || group == NULL) {
    evd_future_release(all);
    free(group);
    release_untaken(futures, count);
    return NULL;
  }
  size_t taken = count; /* which of them is another's, or twice among these */
  all->group = group;
  for (size_t i = 0; i < count; i++) {
    if (is_taken(futures[i])) {
      taken = i;
    } else {
      add_member(all, futures[i]);
    }
  }
  if (taken < count) {
    dissolve_group(all, taken);
  } else if (group->unfinished == 0) {
    finish_group(all);
  }
  return all;
}

evd_future *evd_future_at(const evd_future *future, size_t index) {
  if (future == NULL || future->group == NULL || index >= future->group->count) {
    return NULL;
  }
  return future->group->members[index];
}

// NOLINTEND(clang-analyzer-unix.Malloc)
