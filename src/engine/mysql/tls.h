/*
 * What OpenSSL keeps of errors, a list for each thread. After a call over TLS Connector/C asks
 * OpenSSL how it ended, which looks at that list first; but Connector/C has not emptied it before.
 * So what any call on the thread has left there, on another connection or in another library, is
 * taken for the failure of every later call that only has to wait. A peer that ends a connection
 * without saying so (a server that dies, a KILL, a proxy) leaves such an error.
 */
#ifndef ENGINE_MYSQL_TLS_H
#define ENGINE_MYSQL_TLS_H

/* Empties the list of this thread: before a call over TLS, and after one that failed, for the sake
 * of others. Does nothing where Connector/C uses no OpenSSL. */
void mydb_tls_forget_errors(void);

#endif
