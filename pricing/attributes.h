/* attributes.h - named numbers that a shop says of its products and zones: "weight_kg", "size_m2".
 *
 *   signal --attribute_name_fault()--> record --a model that declares "product.weight_kg"--> an input of its prices
 *
 * Pure. */
#ifndef PRICING_ATTRIBUTES_H
#define PRICING_ATTRIBUTES_H

#include <stdbool.h>
#include <stdint.h>

#define ATTRIBUTES_MAX        8u  /* of one product or zone */
#define ATTRIBUTE_NAME_MAX    32u /* bytes of a name, with its 0 */
#define ATTRIBUTE_NAMES_BYTES 96u /* of all names of a product or zone, each with its 0 */

struct attributes_said { /* as they are stored, all said at one moment */
    int64_t time_ms;     /* 0 = never said */
    int64_t micro[ATTRIBUTES_MAX];
    char names[ATTRIBUTE_NAMES_BYTES]; /* in the same order, one behind the other; an empty one or the end ends them */
};

/* attribute_name_fault - why this is no name of an attribute, as a sentence for people; NULL: it is one. Names of what no price may
 * rest on (policy_sensitive()) are refused here, so that it is nowhere stored. */
const char *attribute_name_fault(const char *name);

/* attributes_at - name and value of the one at `index`, counted from 0; NULL = there are fewer. The last byte of `names` is 0. */
const char *attributes_at(const struct attributes_said *said, unsigned index, int64_t *ret_micro);

/* attributes_find - by name; false: it is not among them. */
bool attributes_find(const struct attributes_said *said, const char *name, int64_t *ret_micro);

/* attributes_add - behind the others. False: there is no room. */
bool attributes_add(struct attributes_said *said, const char *name, int64_t micro);
#endif
