/*
 * What a status that is written implies for the other columns of an execution: one place for all
 * that write one. docs/protocol.md lists the transitions; docs/executor.md says where ours differ
 * from the framework's.
 */
#ifndef EXECUTOR_TRANSITIONS_H
#define EXECUTOR_TRANSITIONS_H

#include <evdurable/update.h>

/* Sets the status, and what it implies; updated_at is `now`. */
void transition_to_status(evd_changes *changes, evd_status status, int64_t now);
void transition_to_ocfp(evd_changes *changes, evd_ocfp_status status, int64_t now);
void transition_to_close(evd_changes *changes, evd_close_status status, int64_t now);

#endif
