/* Ends a program that hangs, saying so. */
#ifndef SUPPORT_WATCHDOG_H
#define SUPPORT_WATCHDOG_H

/* Ends the program with status 98 unless this is called again within so many seconds; 0: never. */
void watchdog(unsigned seconds);

#endif
