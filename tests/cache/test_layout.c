/* test_layout.c - the offsets that layout.h tells in comments are the offsets that the compiler makes. */
#include <criterion/criterion.h>
#include <rialto/layout.h>
#include <stddef.h>

#define AT(type, member, offset)                                                                                       \
    cr_expect_eq(offsetof(struct type, member), (size_t)(offset), "%s.%s is at %zu", #type, #member,                   \
                 offsetof(struct type, member))

Test(layout, table_header_and_segment)
{
    AT(rialto_table_header, magic, 0);
    AT(rialto_table_header, layout, 8);
    AT(rialto_table_header, byte_order, 12);
    AT(rialto_table_header, table, 16);
    AT(rialto_table_header, line_bytes, 20);
    AT(rialto_table_header, partition_count, 24);
    AT(rialto_table_header, retired, 28);
    AT(rialto_table_header, file_bytes, 32);
    AT(rialto_table_header, created_unix_ms, 40);
    AT(rialto_table_header, capacity_max, 48);
    AT(rialto_table_header, bytes_max, 56);
    AT(rialto_table_header, file_end, 64);
    AT(rialto_table_header, regions_lost, 72);
    AT(rialto_extent, lines, 0);
    AT(rialto_extent, tags, 8);
    AT(rialto_extent, first, 16);
    AT(rialto_extent, capacity, 20);
    AT(rialto_extents, count, 0);
    AT(rialto_extents, extent, 8);
    AT(rialto_segment, used, 0);
    AT(rialto_segment, side_used, 8);
    AT(rialto_segment, grow_lines, 16);
    AT(rialto_segment, grow_offset, 24);
    AT(rialto_segment, grow_reserved, 32);
    AT(rialto_segment, side_ref, 64);
    AT(rialto_segment, side, 128);
    AT(rialto_segment, reserved2, 384);
}

Test(layout, cell_and_terms)
{
    AT(rialto_cell_line, seq, 0);
    AT(rialto_cell_line, as_of_s, 4);
    AT(rialto_cell_line, key, 8);
    AT(rialto_cell_line, baseline, 24);
    AT(rialto_cell_line, list, 32);
    AT(rialto_cell_line, lo_product, 40);
    AT(rialto_cell_line, hi_place, 48);
    AT(rialto_cell_line, until_s, 56);
    AT(rialto_cell_line, rule, 60);
    AT(rialto_cell_line, group, 62);
    AT(rialto_cell_line, flags, 63);
    AT(rialto_terms_line, zone, 4);
    AT(rialto_terms_line, key, 8);
    AT(rialto_terms_line, multiplier_e4, 24);
    AT(rialto_terms_line, until_s, 56);
    AT(rialto_terms_line, kinds, 60);
    AT(rialto_terms_line, group_map, 62);
    AT(rialto_terms_line, consent, 63);
}

Test(layout, offer_zone_and_product)
{
    AT(rialto_offer_line, until_s, 4);
    AT(rialto_offer_line, key, 8);
    AT(rialto_offer_line, value, 24);
    AT(rialto_offer_line, locked, 32);
    AT(rialto_offer_line, from_s, 40);
    AT(rialto_offer_line, lock_until_s, 44);
    AT(rialto_offer_line, currency, 48);
    AT(rialto_offer_line, kind, 50);
    AT(rialto_offer_line, flags, 51);
    AT(rialto_offer_line, kinds, 52);
    AT(rialto_zone_line, currency, 4);
    AT(rialto_zone_line, ancestor_count, 6);
    AT(rialto_zone_line, name_bytes, 7);
    AT(rialto_zone_line, key, 8);
    AT(rialto_zone_line, ancestor, 24);
    AT(rialto_zone_line, utc_offset_min, 56);
    AT(rialto_zone_line, region, 58);
    AT(rialto_zone_line, ancestor_name_bytes, 60);
    AT(rialto_zone_line, name, 64);
    AT(rialto_product_line, unit, 4);
    AT(rialto_product_line, key, 8);
    AT(rialto_product_line, sku, 24);
    AT(rialto_product_line, category, 88);
    AT(rialto_product_line, title, 152);
}

Test(layout, rules_control_and_rings)
{
    AT(rialto_rule_row, currency, 0);
    AT(rialto_rule_row, currency_number, 4);
    AT(rialto_rule_row, decimals, 6);
    AT(rialto_rule_row, arithmetic, 7);
    AT(rialto_rule_row, ending_step, 8);
    AT(rialto_rule_row, ending_less, 12);
    AT(rialto_rule_row, stale_limit_s, 16);
    AT(rialto_rule_row, disclosure, 20);
    AT(rialto_rule_row, reads, 22);
    AT(rialto_rule_row, forbidden, 23);
    AT(rialto_rule_row, model, 24);
    AT(rialto_rule_row, version, 56);
    AT(rialto_rule_row, policy, 88);
    AT(rialto_rule_row, model_hash, 120);
    AT(rialto_rule_row, disclosure_text, 128);
    AT(rialto_rules_header, count, 16);
    AT(rialto_rules_header, retired, 20);
    AT(rialto_rules_header, created_unix_ms, 24);
    AT(rialto_control, created_unix_ms, 16);
    AT(rialto_control, mode, 24);
    AT(rialto_control, retired, 28);
    AT(rialto_control, clock_offset_ms, 32);
    AT(rialto_control, stale_after_ms, 40);
    AT(rialto_control, personal_stale_ms, 44);
    AT(rialto_control, geohash_lengths, 48);
    AT(rialto_control, path_depths, 50);
    AT(rialto_control, group_count, 53);
    AT(rialto_control, group_map, 54);
    AT(rialto_control, demo, 55);
    AT(rialto_control, instance, 56);
    AT(rialto_control, boot, 88);
    AT(rialto_control, secret, 128);
    AT(rialto_control, groups, 320);
    AT(rialto_control, reserved1, 832);
    AT(rialto_control, heartbeat, 4096);
    AT(rialto_rings_header, ring_count, 16);
    AT(rialto_rings_header, entries, 20);
    AT(rialto_rings_header, created_unix_ms, 24);
    AT(rialto_ring_entry, when_ms, 8);
    AT(rialto_ring_entry, before, 16);
    AT(rialto_ring_entry, after, 24);
    AT(rialto_ring_entry, slot, 32);
    AT(rialto_ring_entry, partition, 36);
    AT(rialto_ring_entry, table, 37);
    AT(rialto_ring_entry, rule, 38);
    AT(rialto_ring_entry, reason_ppm, 40);
    AT(rialto_ring_entry, reason, 44);
    AT(rialto_ring, entry, 4096);
}
