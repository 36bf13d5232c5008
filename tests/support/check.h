/* cmocka with what it needs before it, and assertions that name the caller's line. */
#ifndef SUPPORT_CHECK_H
#define SUPPORT_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Fails the test at this place with a message as by printf. */
void fail_at(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

/* Fails the test unless the condition holds. */
#define expect(condition, ...) ((condition) ? (void)0 : fail_at(__FILE__, __LINE__, __VA_ARGS__))

/* A text made as by printf, that lives until release_kept(). */
const char *text(const char *format, ...) __attribute__((format(printf, 1, 2), nonnull(1)));

/* Memory of this size, all zero, that lives until release_kept(). Never NULL. */
void *keep_memory(size_t size);

/* Ends what text(), keep_memory() and the functions of await.h kept for the test. */
void release_kept(void);

#endif
