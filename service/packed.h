/* packed.h - an image of 8-byte words without its zeros: most of a record is room for what was not said.
 *
 *   for each 64 words:  mask of those that are not zero, the first in the lowest bit | these words, in order
 *
 * An image has one packed form, and a packed form that is read is exactly of one image: nothing is left over, no word is zero. */
#ifndef SERVICE_PACKED_H
#define SERVICE_PACKED_H

#include <stdbool.h>
#include <stddef.h>

#define PACKED_GROUP 64u /* words that share a mask */

/* The most bytes that an image of so many bytes takes, and room behind them that packed_put() may write into. */
#define PACKED_MAX(bytes)  ((bytes) + 8u * (((bytes) / 8u + PACKED_GROUP - 1u) / PACKED_GROUP))
#define PACKED_ROOM(bytes) (PACKED_MAX(bytes) + 8u)

/* packed_put - `bytes` (a multiple of 8) of an image to ret, which has PACKED_ROOM(bytes). Returns the bytes of the packed form. */
size_t packed_put(const void *image, size_t bytes, void *ret);

/* packed_take - the image of `bytes` that was packed into packed_bytes. False: that is none; ret may be written to all the same. */
bool packed_take(const void *packed, size_t packed_bytes, void *ret, size_t bytes);
#endif
