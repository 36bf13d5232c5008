/*
 * Executions to test with, and what they should be afterwards: a small model of the record, written
 * from the contract and not from the library's own column table.
 */
#ifndef SUPPORT_SAMPLE_H
#define SUPPORT_SAMPLE_H

#include <evdurable.h>

/* The time at which samples are made. */
#define SAMPLE_TIME INT64_C(1750000000000)

/* The largest time and duration. */
#define SAMPLE_MAX_TIME ((INT64_C(1) << 53) - 1)

/* A ready execution, at SAMPLE_TIME, with few columns filled in. */
evd_execution sample_execution(const char *id);

/* A running sleeping execution, at SAMPLE_TIME. */
evd_execution sample_sleeping(const char *id, const char *unique_id);

/* A ready child of this parent. */
evd_execution sample_child(const char *id, const char *parent_id, int32_t index);

/* A child, finished and not closed. */
evd_execution sample_finished_child(const char *id, const char *parent_id, int32_t index);

/* A parent that waits for so many children. */
evd_execution sample_parent(const char *id, int32_t active_children);

/* The number with which an id ends, after its last "_"; -1 when there is none. */
int sample_number(const char *id);

/* An execution in which every column has a value (a sleeping one). */
evd_execution sample_full(const char *id);

/* What a test may ask of a column. */
enum sample_kind {
  SAMPLE_TEXT,
  SAMPLE_JSON,
  SAMPLE_INT32,
  SAMPLE_INT64,
  SAMPLE_BOOL,
  SAMPLE_ENUM,
};

enum sample_kind sample_kind(evd_column column);
bool sample_is_settable(evd_column column);
bool sample_is_unsettable(evd_column column);

/* Whether the column may be NULL whatever the others hold. */
bool sample_is_nullable(evd_column column);

/* Sets a column to a value that no sample has; updated_at to a fixed time. */
void sample_set(evd_changes *changes, evd_column column);

/* For evd_claim_by_start_at(): ready executions with start_at below this, from SAMPLE_TIME. */
#define sample_due(before) \
  (&(evd_due){.status = EVD_STATUS_READY, .start_at_before = (before), .started_at = SAMPLE_TIME})

/* For evd_claim_by_children_finished(): parents that wait for their children. */
#define sample_parents \
  (&(evd_parents){.status = EVD_STATUS_WAITING_FOR_CHILDREN, .ocfp_status = EVD_OCFP_IDLE})

/* For evd_expire_by_expires_at(): running executions with expires_at below this. */
#define sample_expired(before) \
  (&(evd_expired){.status = EVD_STATUS_RUNNING, .expires_at_before = (before)})

/* Only updated_at, and status where it is not 0. */
evd_changes sample_changes(evd_status status);

/* The row after the changes. */
void sample_apply(evd_execution *row, const evd_changes *changes);

/* A record's member. */
void *sample_member(evd_execution *execution, evd_column column);

/* Makes a column NULL, 0 or false. */
void sample_clear(evd_execution *execution, evd_column column);

/* Fails the test unless the row is there and equal in every column; JSON by value. */
#define expect_row(row, expected) expect_row_at((row), (expected), __FILE__, __LINE__)
void expect_row_at(const evd_execution *row, const evd_execution *expected, const char *file,
                   int line);

/* The first column in which two records differ; EVD_COLUMN_COUNT when they are equal. */
evd_column sample_difference(const evd_execution *a, const evd_execution *b);

#endif
