/* steps.c - the way from list price to amount as lines of text: explain, explain --at and try say each step alike. */
#include "cli/cli.h"
#include "service/explained.h"

#include <inttypes.h>
#include <stdio.h>

void cli_step(const char *name, const char *times, const char *minor, uint8_t decimals)
{
    char amount[64], number[40], multiplier[48] = "";
    cli_exact_text(minor, decimals, amount);
    cli_short_number(times, number);
    if (times[0] != '\0')
        (void)snprintf(multiplier, sizeof multiplier, "x %s", number);
    printf("  %-14s %-12s %14s   ", name, multiplier, amount);
}

void cli_step_of(const struct explain_step *step, const char *factor, uint8_t decimals)
{
    char times[24], minor[48];
    bool is_factor = step->op == EXPLAIN_factor;
    explained_step_texts(step, times, minor);
    cli_step(is_factor ? factor : explain_op_name(step->op), times, minor, decimals);
    printf("%s", is_factor ? "" : explain_op_text(step->op));
}

void cli_step_total(const char *name, int64_t minor, uint8_t decimals)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, minor);
    cli_step(name, "", text, decimals);
}
