/* fetch.h - functions that do nothing but begin to fetch memory. To gcc these have no effect, and it leaves out their calls unless it is kept from that. */
#ifndef CACHE_FETCH_H
#define CACHE_FETCH_H

/* FETCH_INLINE - one that is taken into its caller before anybody asks what effect it has. */
#define FETCH_INLINE  static inline __attribute__((always_inline))

/* FETCH_STAYS - in one that other files call: something that must not be left out, and is nothing. */
#define FETCH_STAYS() __asm__ volatile("")

#endif
