/* Files of list prices: whole ones are believed, and nothing else. */
#include "service/pricelist_file.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define SECRET    UINT64_C(0x1234567890ABCDEF)
#define PARTITION 17u

struct file {
    struct pricelist_head head;
    struct rialto_zone_line zone[2];
    struct rialto_product_line product;
    struct pricelist_cell cell[2];
};

static struct file whole;

static void sign(struct file *file)
{
    file->head.checksum = pricelist_checksum(&file->head, &file->head + 1, sizeof *file - sizeof file->head);
}

static void setup(void)
{
    memset(&whole, 0, sizeof whole);
    whole.head = (struct pricelist_head){ .magic = PRICELIST_MAGIC,
                                          .secret_mark = SECRET,
                                          .layout = PRICELIST_LAYOUT,
                                          .line_layout = RIALTO_LAYOUT,
                                          .partition = PARTITION,
                                          .zones = 2,
                                          .products = 1,
                                          .cells = 2 };
    whole.zone[0].key = (struct rialto_key){ 1, 2 };
    whole.zone[1] = (struct rialto_zone_line){ .key = { 3, 4 }, .name = "de", .name_bytes = 2 };
    whole.product = (struct rialto_product_line){ .key = { 5, 6 }, .sku = "milk", .category = "food" };
    for (uint32_t i = 0; i < 2; i++)
        whole.cell[i] =
            (struct pricelist_cell){ .key = { 7 + i, 8 }, .amount = 100, .list = 120, .zone = i, .currency = "EUR" };
    sign(&whole);
}

TestSuite(pricelist, .init = setup);

static bool believed(const struct file *file)
{
    struct pricelist_view view;
    return pricelist_check(file, sizeof *file, PARTITION, SECRET, &view);
}

Test(pricelist, a_whole_file_is_believed_and_its_rows_are_where_they_are)
{
    struct pricelist_view view;
    cr_assert(pricelist_check(&whole, sizeof whole, PARTITION, SECRET, &view));
    cr_assert_eq(view.zone, whole.zone);
    cr_assert_eq(view.product, &whole.product);
    cr_assert_eq(view.cell, whole.cell);
}

/* Goal: a power cut may leave any byte as it likes; no single one that changed goes unnoticed. */
Test(pricelist, no_byte_may_change)
{
    unsigned char *byte = (unsigned char *)&whole;
    for (size_t i = 0; i < sizeof whole; i++) {
        byte[i] = (unsigned char)(byte[i] ^ 1u << i % 8);
        cr_assert_not(believed(&whole), "byte %zu", i);
        byte[i] = (unsigned char)(byte[i] ^ 1u << i % 8);
    }
    cr_assert(believed(&whole));
}

Test(pricelist, a_file_that_is_cut_or_of_another_partition_or_secret_is_not_believed)
{
    struct pricelist_view view;
    for (size_t bytes = 0; bytes < sizeof whole; bytes += 8)
        cr_assert_not(pricelist_check(&whole, bytes, PARTITION, SECRET, &view));
    cr_assert_not(pricelist_check(&whole, sizeof whole, PARTITION + 1, SECRET, &view));
    cr_assert_not(pricelist_check(&whole, sizeof whole, PARTITION, SECRET ^ 1, &view));
}

/* Goal: even what is signed is within its bounds, or left alone. */
Test(pricelist, signed_nonsense_is_not_believed)
{
#define REFUSED(change)                                                                                                \
    do {                                                                                                               \
        setup();                                                                                                       \
        change;                                                                                                        \
        sign(&whole);                                                                                                  \
        cr_assert_not(believed(&whole), #change);                                                                      \
    } while (0)
    REFUSED(whole.cell[1].zone = 2);
    REFUSED(whole.cell[1].product = 1);
    REFUSED(whole.cell[0].amount = 121);
    REFUSED(whole.cell[0].amount = 0);
    REFUSED(whole.cell[0].amount = -5);
    REFUSED(whole.cell[0].list = RIALTO_BOUND_MAX + 1);
    REFUSED(whole.cell[0].group = RIALTO_GROUPS_MAX);
    REFUSED(memset(whole.cell[0].currency, 'E', 4));
    REFUSED(memset(&whole.cell[0].key, 0, sizeof whole.cell[0].key));
    REFUSED(memset(&whole.cell[0].key, 0xff, sizeof whole.cell[0].key));
    REFUSED(memset(whole.product.sku, 'x', sizeof whole.product.sku));
    REFUSED(memset(whole.product.title, 'x', sizeof whole.product.title));
    REFUSED(whole.zone[1].name_bytes = RIALTO_ID_MAX);
    REFUSED(whole.zone[1].ancestor_count = 3);
    REFUSED(whole.zone[1].ancestor_name_bytes[1] = 3);
    REFUSED(whole.head.layout++);
    REFUSED(whole.head.line_layout++);
    REFUSED(whole.head.cells = UINT32_MAX);
    REFUSED(whole.head.zones = UINT32_MAX);
}
