/* Files of a test program, in a directory of its own that goes when the program ends. */
#ifndef SUPPORT_SCRATCH_H
#define SUPPORT_SCRATCH_H

/* The path of a file with this name in the directory, until release_kept(). */
const char *scratch_path(const char *name);

/* A path that no file has yet. */
const char *scratch_new(void);

#endif
