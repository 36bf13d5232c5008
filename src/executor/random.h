/* Random numbers for delays: not for secrets. */
#ifndef EXECUTOR_RANDOM_H
#define EXECUTOR_RANDOM_H

/* A number from -part to +part. */
double random_part(double part);

#endif
