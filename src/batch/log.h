/* The caller's log. */
#ifndef BATCH_LOG_H
#define BATCH_LOG_H

#include <stdbool.h>

#include <evdurable/storage.h>

struct log {
  evd_log_callback callback; /* NULL is silence */
  void *data;
  evd_log_level level;
};

/* Whether anybody hears events of this level. */
bool log_hears(const struct log *log, evd_log_level level);

void log_event(const struct log *log, const evd_log_event *event);

/* An event that is only a message. */
void log_message(const struct log *log, evd_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
