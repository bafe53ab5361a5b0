/* distance.h - how far apart two places are. Pure, integers only. */
#ifndef PRICING_DISTANCE_H
#define PRICING_DISTANCE_H

#include <stdbool.h>
#include <stdint.h>

/* distance_km_micro - between two places given in 1e-6 degrees, in 1e-6 km, on a sphere of 6371.0088 km (IUGG mean radius), by
 * the equirectangular approximation: x = dlon cos(middle latitude), y = dlat. Within 0.1 % up to 300 km outside the polar
 * regions, within 1 % up to 1000 km. */
int64_t distance_km_micro(const int64_t a_micro[2], const int64_t b_micro[2]);

/* geohash_middle - of the cell that a zone such as "gh:u281z" is, latitude and longitude in 1e-6 degrees, each rounded down. False: the name
 * is no geohash zone, or one of more than 12 letters. (G. Niemeyer, 2008: longitude and latitude are halved in turn, five bits a letter.) */
bool geohash_middle(const char *zone, int64_t ret_micro[2]);
#endif
