/**
 * @file export.h
 * What marks a function as part of the library's interface.
 */
#ifndef EVDURABLE_EXPORT_H
#define EVDURABLE_EXPORT_H

#ifdef __GNUC__
#define EVD_API __attribute__((visibility("default")))
#else
#define EVD_API
#endif

#ifdef __cplusplus
#define EVD_BEGIN_DECLS extern "C" {
#define EVD_END_DECLS }
#else
#define EVD_BEGIN_DECLS
#define EVD_END_DECLS
#endif

#endif
