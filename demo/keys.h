/* keys.h - the demonstration's tokens for HTTP: who starts it may open the console and give the sample shop's customers their switches. */
#ifndef DEMO_KEYS_H
#define DEMO_KEYS_H

#include <stdbool.h>

#define KEYS_WHY_MAX 256u

/* keys_make - in DIR (made if missing): console.token (role admin), shop.token (role shop), each one line that only the owner reads and
 * which stays when it is there, and http.tokens, the list of their hashes for rialtod. False with `why`. */
bool keys_make(const char *dir, char why[KEYS_WHY_MAX]);
#endif
