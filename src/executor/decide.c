/* What the end of a run writes. */
#include "executor/decide.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "executor/family.h"
#include "executor/random.h"
#include "executor/spec.h"
#include "executor/transitions.h"
#include "model/error.h"

/* The longest delay before another attempt, where the execution names none. */
static const double DELAY_LONGEST_MS = 86400000;

static const char no_memory[] = "out of memory";

/* Keeps a text for the decision, which frees it; NULL stays NULL. */
static const char *keep(struct decision *decision, char *text) {
  if (text != NULL) {
    decision->texts[decision->text_count++] = text;
  }
  return text;
}

void decision_clear(struct decision *decision) {
  for (size_t i = 0; decision->owned != NULL && i < decision->child_count; i++) {
    free(decision->owned[i]);
  }
  free((void *)decision->owned);
  free(decision->children);
  for (size_t i = 0; i < decision->text_count; i++) {
    free(decision->texts[i]);
  }
  *decision = (struct decision){0};
}

/* Finished. Nobody counts an execution without a parent, and nothing is left below one that never
 * waited for children, or has seen them all finish: it is closed with the same write. A finalize
 * task is not counted by its parent either, but tells it as it is closed. */
static void finish(const struct question *question, struct decision *decision, evd_status status) {
  const evd_execution *execution = question->execution;
  int64_t now = evd_now();
  if (question->is_finalizing) {
    status = status == EVD_STATUS_COMPLETED ? status : EVD_STATUS_FINALIZE_FAILED;
    transition_to_ocfp(&decision->changes, EVD_OCFP_PROCESSED, now);
  }
  transition_to_status(&decision->changes, status, now);
  decision->status = status;
  decision->closed = execution->parent_execution_id == NULL;
  if (decision->closed) {
    transition_to_close(&decision->changes, EVD_CLOSE_CLOSED, now);
  } else if (execution->is_finalize_of_parent) {
    transition_to_close(&decision->changes, EVD_CLOSE_READY, now);
  }
}

static void complete(const struct question *question, struct decision *decision,
                     const char *output) {
  finish(question, decision, EVD_STATUS_COMPLETED);
  evd_set(&decision->changes, output, output != NULL ? output : "null");
}

/* Ready again: at once, or later. */
static void give_back(struct decision *decision, enum decision_reason reason, int64_t start_at) {
  transition_to_status(&decision->changes, EVD_STATUS_READY, evd_now());
  evd_set(&decision->changes, start_at, start_at);
  decision->status = EVD_STATUS_READY;
  decision->start_at = start_at;
  decision->reason = reason;
}

/* Nothing was decided: anybody may do it again. */
static void give_back_any(const struct question *question, struct decision *decision) {
  if (question->is_finalizing) {
    transition_to_ocfp(&decision->changes, EVD_OCFP_IDLE, evd_now());
    decision->status = EVD_STATUS_WAITING_FOR_CHILDREN;
    decision->reason = BECAUSE_GIVEN_BACK;
  } else {
    give_back(decision, BECAUSE_GIVEN_BACK, evd_now());
  }
}

/* The delay before the next attempt. */
static int64_t retry_delay(const struct question *question, const evd_retry_options *retry) {
  double delay = retry->base_delay_ms > 0 ? (double)retry->base_delay_ms : 0;
  double longest = retry->max_delay_ms != EVD_NONE ? (double)retry->max_delay_ms : DELAY_LONGEST_MS;
  if (retry->delay_multiplier > 0) {
    delay *= pow(retry->delay_multiplier, question->execution->retry_attempts);
  }
  delay = delay < longest ? delay : longest;
  return (int64_t)(delay * (1 + random_part(question->retry_jitter)));
}

/* Whether another attempt may be made, and after what delay. */
static bool may_retry(const struct question *question, int64_t *delay) {
  const evd_execution *execution = question->execution;
  evd_retry_options retry;
  evd_error error;
  if (question->is_finalizing ||
      evd_retry_options_from_json(execution->retry_options, &retry, &error) != EVD_OK ||
      execution->retry_attempts >= retry.max_attempts) {
    return false;
  }
  *delay = retry_delay(question, &retry);
  return true;
}

/* The attempt has failed. */
static void fail(const struct question *question, struct decision *decision, evd_status status,
                 const char *message, bool retryable) {
  int64_t delay;
  const char *type = status == EVD_STATUS_TIMED_OUT   ? "timed_out"
                     : status == EVD_STATUS_CANCELLED ? "cancelled"
                                                      : "generic";
  retryable = retryable && status != EVD_STATUS_CANCELLED;
  const char *json = keep(decision, family_error(type, message, retryable, false));
  if (retryable && may_retry(question, &delay)) {
    give_back(decision, BECAUSE_RETRY, evd_now() + delay);
    evd_set(&decision->changes, retry_attempts, question->execution->retry_attempts + 1);
  } else {
    finish(question, decision, status);
  }
  if (json != NULL) {
    evd_set(&decision->changes, error, json);
  }
}

/* Children. */

/* Makes room for children; false if memory ran out. */
static bool make_room(struct decision *decision, size_t count) {
  decision->children = calloc(count + 1, sizeof *decision->children);
  decision->owned = calloc(count + 1, sizeof *decision->owned);
  return decision->children != NULL && decision->owned != NULL;
}

static bool add_child(const struct question *question, struct decision *decision,
                      const evd_spec *spec, const struct place *place, evd_error *error) {
  evd_execution *child = spec_execution(question->tasks, spec, place, error);
  if (child == NULL) {
    return false;
  }
  decision->owned[decision->child_count] = child;
  decision->children[decision->child_count++] = *child;
  return true;
}

/* Fails in place of what could not be done with children. */
static void fail_children(const struct question *question, struct decision *decision,
                          const evd_error *error) {
  evd_error kept = *error;
  decision_clear(decision);
  fail(question, decision, EVD_STATUS_FAILED, kept.message, kept.code == EVD_ENOMEM);
}

/* The execution waits for the children that it has in the decision. */
static void wait_for_children(struct decision *decision, const char *ids, const char *output) {
  transition_to_status(&decision->changes, EVD_STATUS_WAITING_FOR_CHILDREN, evd_now());
  evd_set(&decision->changes, children, ids);
  evd_set(&decision->changes, active_children_count, (int32_t)decision->child_count);
  if (output != NULL) {
    evd_set(&decision->changes, run_output, output);
  }
  decision->status = EVD_STATUS_WAITING_FOR_CHILDREN;
}

static void spawn(const struct question *question, struct decision *decision,
                  const struct ending *ending) {
  size_t count = ending->child_count;
  struct place place = {.parent = question->execution, .is_only = count == 1};
  evd_error error;
  error_set_no_memory(&error);
  bool good = make_room(decision, count);
  for (size_t i = 0; good && i < count; i++) {
    place.index = (int32_t)i;
    good = add_child(question, decision, &ending->children[i], &place, &error);
  }
  const char *ids = good ? keep(decision, family_ids(decision->children, count)) : NULL;
  if (ids != NULL) {
    wait_for_children(decision, ids, ending->text != NULL ? ending->text : "null");
  } else {
    fail_children(question, decision, &error);
  }
}

/* The id of a child of a sequence: always the same, so that it is not stored twice if two executors
 * go on with the sequence. False if it would be too long: then it has to be a new one. */
static bool name_child(char id[EVD_ID_MAX + 1], const evd_execution *parent, size_t index) {
  int length = snprintf(id, EVD_ID_MAX + 1, "%s.%zu", parent->execution_id, index);
  return length <= EVD_ID_MAX;
}

/* Adds the child number `index` of a sequence. */
static bool add_of_sequence(const struct question *question, struct decision *decision,
                            size_t index, const char *input) {
  const struct task *task = question->task;
  char id[EVD_ID_MAX + 1];
  evd_error error;
  const evd_spec spec = {
      .task_id = task->task.sequence[index],
      .input = input,
      .execution_id = name_child(id, question->execution, index) ? id : NULL,
  };
  const struct place place = {.parent = question->execution,
                              .index = (int32_t)index,
                              .is_only = task->sequence_length == 1};
  error_set_no_memory(&error);
  if (make_room(decision, 1) && add_child(question, decision, &spec, &place, &error)) {
    return true;
  }
  fail_children(question, decision, &error);
  return false;
}

/* The children of a sequence as JSON; NULL after the failure was decided. */
static const char *list_sequence(const struct question *question, struct decision *decision) {
  const char *ids =
      keep(decision, family_sequence_ids(question->children, question->child_count,
                                         decision->children, question->task->task.sequence));
  if (ids == NULL) {
    evd_error error;
    error_set_no_memory(&error);
    fail_children(question, decision, &error);
  }
  return ids;
}

static void begin_sequence(const struct question *question, struct decision *decision) {
  const char *input = question->execution->input;
  if (add_of_sequence(question, decision, 0, input)) {
    const char *ids = list_sequence(question, decision);
    if (ids != NULL) {
      wait_for_children(decision, ids, NULL);
    }
  }
}

/* A task of the sequence has finished: the next one begins, or it was the last, or it failed. */
static void continue_sequence(const struct question *question, struct decision *decision) {
  size_t count = question->child_count;
  const evd_execution *last = count > 0 ? &question->children[count - 1] : NULL;
  if (last != NULL && !last->is_finished) {
    give_back_any(question, decision); /* another executor has gone on meanwhile */
  } else if (last == NULL || last->status != EVD_STATUS_COMPLETED) {
    char message[EVD_ID_MAX + 80];
    snprintf(message, sizeof message, "task %zu of the sequence, %s, has not completed", count,
             last != NULL ? last->task_id : "?");
    fail(question, decision, EVD_STATUS_FAILED, message, false);
  } else if (count >= question->task->sequence_length) {
    complete(question, decision, last->output);
  } else if (add_of_sequence(question, decision, count, last->output)) {
    const char *ids = list_sequence(question, decision);
    if (ids != NULL) {
      transition_to_ocfp(&decision->changes, EVD_OCFP_IDLE, evd_now());
      evd_set(&decision->changes, children, ids);
      evd_set(&decision->changes, active_children_count, 1);
      decision->status = EVD_STATUS_WAITING_FOR_CHILDREN;
      decision->others_may_insert = true;
    }
  }
}

/* The parent waits for its finalize task. */
static void begin_finalize_task(const struct question *question, struct decision *decision) {
  evd_error error;
  error_set_no_memory(&error);
  const char *input = keep(decision, family_output(question->execution->run_output,
                                                   question->children, question->child_count));
  const evd_spec spec = {.task_id = question->task->task.finalize_task, .input = input};
  const struct place place = {.parent = question->execution, .is_finalize = true};
  const char *id = NULL;
  if (input != NULL && make_room(decision, 1) &&
      add_child(question, decision, &spec, &place, &error)) {
    id = keep(decision, family_id(decision->children));
  }
  if (id == NULL) {
    fail_children(question, decision, &error);
    return;
  }
  transition_to_ocfp(&decision->changes, EVD_OCFP_PROCESSED, evd_now());
  transition_to_status(&decision->changes, EVD_STATUS_WAITING_FOR_FINALIZE, evd_now());
  evd_set(&decision->changes, finalize, id);
  decision->status = EVD_STATUS_WAITING_FOR_FINALIZE;
}

static void go_on(const struct question *question, struct decision *decision) {
  const evd_task *task = &question->task->task;
  if (task->sequence != NULL) {
    continue_sequence(question, decision);
  } else if (task->finalize_task != NULL) {
    begin_finalize_task(question, decision);
  } else {
    const char *output = keep(decision, family_output(question->execution->run_output,
                                                      question->children, question->child_count));
    if (output != NULL) {
      complete(question, decision, output);
    } else {
      fail(question, decision, EVD_STATUS_FAILED, no_memory, false);
    }
  }
}

static void snooze(const struct question *question, struct decision *decision,
                   const struct ending *ending) {
  if (question->is_finalizing) {
    fail(question, decision, EVD_STATUS_FAILED, "a finalize function cannot snooze", false);
    return;
  }
  give_back(decision, BECAUSE_SNOOZE, evd_now() + ending->delay_ms);
  if (ending->text != NULL) {
    evd_set(&decision->changes, run_output, ending->text);
  }
}

void decide(const struct question *question, const struct ending *ending,
            struct decision *decision) {
  *decision = (struct decision){0};
  if (ending->out_of_memory) {
    fail(question, decision, EVD_STATUS_FAILED, no_memory, true);
    return;
  }
  switch (ending->kind) {
  case ENDING_COMPLETE: complete(question, decision, ending->text); break;
  case ENDING_FAIL:
    fail(question, decision, ending->status, ending->text, ending->retryable);
    break;
  case ENDING_SNOOZE: snooze(question, decision, ending); break;
  case ENDING_SPAWN:
    if (question->is_finalizing) {
      fail(question, decision, EVD_STATUS_FAILED, "a finalize function cannot spawn", false);
    } else {
      spawn(question, decision, ending);
    }
    break;
  case ENDING_GIVE_BACK: give_back_any(question, decision); break;
  case ENDING_SEQUENCE: begin_sequence(question, decision); break;
  case ENDING_GO_ON: go_on(question, decision); break;
  case ENDING_NONE:
    fail(question, decision, EVD_STATUS_FAILED,
         "the task's function returned and had not ended its run", true);
    break;
  }
}
