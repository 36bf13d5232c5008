/**
 * @file version.h
 * Which version of evdurable this is.
 */
#ifndef EVDURABLE_VERSION_H
#define EVDURABLE_VERSION_H

#include <evdurable/export.h>

EVD_BEGIN_DECLS

/** The version of these headers, by semantic versioning. */
#define EVD_VERSION_MAJOR 0
#define EVD_VERSION_MINOR 1
#define EVD_VERSION_PATCH 0

/** The same as text. */
#define EVD_VERSION "0.1.0"

/** The version of the library. EVD_VERSION is that of the headers at compile time. Static. Any
 * thread. */
EVD_API const char *evd_version(void);

EVD_END_DECLS

#endif
