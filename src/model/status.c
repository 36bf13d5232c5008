/* The texts of the enumerations, as they stand in the database and in JSON. */

#include <evdurable/execution.h>

#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *const status_names[] = {
    [EVD_STATUS_READY] = "ready",
    [EVD_STATUS_RUNNING] = "running",
    [EVD_STATUS_FAILED] = "failed",
    [EVD_STATUS_TIMED_OUT] = "timed_out",
    [EVD_STATUS_WAITING_FOR_CHILDREN] = "waiting_for_children",
    [EVD_STATUS_WAITING_FOR_FINALIZE] = "waiting_for_finalize",
    [EVD_STATUS_FINALIZE_FAILED] = "finalize_failed",
    [EVD_STATUS_COMPLETED] = "completed",
    [EVD_STATUS_CANCELLED] = "cancelled",
};

static const char *const ocfp_names[] = {
    [EVD_OCFP_IDLE] = "idle",
    [EVD_OCFP_PROCESSING] = "processing",
    [EVD_OCFP_PROCESSED] = "processed",
};

static const char *const close_names[] = {
    [EVD_CLOSE_IDLE] = "idle",
    [EVD_CLOSE_READY] = "ready",
    [EVD_CLOSE_CLOSING] = "closing",
    [EVD_CLOSE_CLOSED] = "closed",
};

/* The place of a name in one of the tables above; 0, which is free in each, when it has none. */
static unsigned find(const char *const *names, size_t count, const char *name) {
  if (name != NULL) {
    for (unsigned i = 1; i < count; i++) {
      if (strcmp(names[i], name) == 0) {
        return i;
      }
    }
  }
  return 0;
}

const char *evd_status_name(evd_status status) {
  return (unsigned)status < COUNT_OF(status_names) ? status_names[status] : NULL;
}

const char *evd_ocfp_status_name(evd_ocfp_status status) {
  return (unsigned)status < COUNT_OF(ocfp_names) ? ocfp_names[status] : NULL;
}

const char *evd_close_status_name(evd_close_status status) {
  return (unsigned)status < COUNT_OF(close_names) ? close_names[status] : NULL;
}

evd_status evd_status_from_name(const char *name) {
  return (evd_status)find(status_names, COUNT_OF(status_names), name);
}

evd_ocfp_status evd_ocfp_status_from_name(const char *name) {
  return (evd_ocfp_status)find(ocfp_names, COUNT_OF(ocfp_names), name);
}

evd_close_status evd_close_status_from_name(const char *name) {
  return (evd_close_status)find(close_names, COUNT_OF(close_names), name);
}

bool evd_status_is_finished(evd_status status) {
  switch (status) {
  case EVD_STATUS_FAILED:
  case EVD_STATUS_TIMED_OUT:
  case EVD_STATUS_FINALIZE_FAILED:
  case EVD_STATUS_COMPLETED:
  case EVD_STATUS_CANCELLED: return true;
  case EVD_STATUS_READY:
  case EVD_STATUS_RUNNING:
  case EVD_STATUS_WAITING_FOR_CHILDREN:
  case EVD_STATUS_WAITING_FOR_FINALIZE: return false;
  }
  return false;
}
