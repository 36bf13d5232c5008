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

/** The version of the library, to be compared with EVD_VERSION, that of the headers which the program
 * was compiled with. Static, any thread. */
EVD_API const char *evd_version(void);

EVD_END_DECLS

#endif
