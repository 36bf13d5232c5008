/* Tables by uthash, which would end the program if memory ran out: so made, an addition fails
 * instead, and the handle's `tbl` stays NULL. */
#ifndef MODEL_HASH_H
#define MODEL_HASH_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#endif
