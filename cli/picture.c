/* picture.c - see picture.h. Curves are sampled at every pixel; the rows of a table become bars. */
#include "cli/picture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define WIDTH    520
#define HEIGHT   240
#define LEFT     56
#define RIGHT    (WIDTH - 16)
#define TOP      28
#define BOTTOM   (HEIGHT - 44)
#define SAMPLES  (RIGHT - LEFT + 1)
#define GRID_MAX 12

struct frame { /* of multipliers, from bottom to top */
    double low, high;
};

static double sample(const struct picture *p, double x)
{
    struct price_inputs in = p->in;
    bool known;
    struct model_input_row row = model_input_row(&p->model->attributes, p->over);
    in.input_micro[p->over] = clamp_i64((int64_t)llround(x * (double)MICRO), row.low, row.high);
    in.present |= UINT64_C(1) << p->over;
    if (p->over == INPUT_hour) /* "when" and clearing look at the clock itself */
        in.local_ms = in.local_ms / 86400000 * 86400000 + llround(x * 3600000);
    if (p->over == INPUT_cost_ratio)
        in.cost = llround(x * (double)in.list);
    return (double)model_factor_value(p->model, p->factor, &in, &known) / (double)MICRO;
}

/* 1, 2 or 5 times a power of ten, so that at most GRID_MAX / 2 of them fit. */
static double grid_of(double range)
{
    double unit = pow(10, floor(log10(range / 4)));
    double times = range / 4 / unit;
    return unit * (times < 2 ? 1 : times < 5 ? 2 : 5);
}

/* Room above and below, and always the line of "no opinion". */
static struct frame frame_of(double low, double high)
{
    low = fmin(low, 1);
    high = fmax(high, 1);
    double room = fmax((high - low) * 0.12, 0.02);
    return (struct frame){ low - room, high + room };
}

static double y_of(const struct frame *frame, double value)
{
    return BOTTOM - (value - frame->low) / (frame->high - frame->low) * (BOTTOM - TOP);
}

static void print_escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<' || *text == '&')
            fputs(*text == '<' ? "&lt;" : "&amp;", out);
        else
            fputc(*text, out);
    }
}

static void print_head(const struct picture *p, const struct frame *frame, FILE *out)
{
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
            "font-family=\"sans-serif\" font-size=\"12\">\n"
            "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n<text x=\"%d\" y=\"17\" font-size=\"13\" "
            "fill=\"#222222\">",
            WIDTH, HEIGHT, WIDTH, HEIGHT, WIDTH, HEIGHT, LEFT);
    print_escaped(out, p->factor->name);
    fprintf(out, " (%s): multiplier</text>\n", model_form_key(p->factor->form));
    double step = grid_of(frame->high - frame->low);
    double at = ceil(frame->low / step) * step;
    for (int i = 0; i < GRID_MAX && at <= frame->high; i++, at += step) {
        bool one = fabs(at - 1) < 1e-9;
        fprintf(out,
                "<path d=\"M%d %.1fH%d\" stroke=\"%s\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\" "
                "fill=\"#555555\">%.4g</text>\n",
                LEFT, y_of(frame, at), RIGHT, one ? "#999999" : "#e4e4e4", LEFT - 6, y_of(frame, at) + 4, at);
    }
}

static void print_x_axis(const struct picture *p, FILE *out)
{
    struct model_input_row row = model_input_row(&p->model->attributes, p->over);
    double step = grid_of(p->to - p->from), at = ceil(p->from / step - 1e-9) * step;
    for (int i = 0; i < GRID_MAX && at <= p->to + step * 1e-9; i++, at += step)
        fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" fill=\"#555555\">%.6g</text>\n",
                LEFT + (at - p->from) / (p->to - p->from) * (RIGHT - LEFT), BOTTOM + 16,
                fabs(at) < step / 1e6 ? 0 : at);
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" fill=\"#222222\">%s, %s</text>\n", (LEFT + RIGHT) / 2,
            BOTTOM + 34, row.name, row.unit);
}

static void print_curve(const struct picture *p, FILE *out)
{
    double value[SAMPLES], low = 1, high = 1;
    for (int i = 0; i < SAMPLES; i++) {
        value[i] = sample(p, p->from + (p->to - p->from) * i / (SAMPLES - 1));
        low = fmin(low, value[i]);
        high = fmax(high, value[i]);
    }
    struct frame frame = frame_of(low, high);
    print_head(p, &frame, out);
    print_x_axis(p, out);
    fputs("<polyline fill=\"none\" stroke=\"#1a62b8\" stroke-width=\"2\" points=\"", out);
    for (int i = 0; i < SAMPLES; i++)
        fprintf(out, "%s%d,%.1f", i > 0 ? " " : "", LEFT + i, y_of(&frame, value[i]));
    fputs("\"/>\n</svg>\n", out);
}

static void print_bars(const struct picture *p, FILE *out)
{
    const struct model_factor *factor = p->factor;
    double low = 1, high = 1, each = (double)(RIGHT - LEFT) / factor->point_count;
    for (uint32_t i = 0; i < factor->point_count; i++) {
        low = fmin(low, (double)factor->point[i].y_micro / (double)MICRO);
        high = fmax(high, (double)factor->point[i].y_micro / (double)MICRO);
    }
    struct frame frame = frame_of(low, high);
    print_head(p, &frame, out);
    for (uint32_t i = 0; i < factor->point_count; i++) {
        double value = (double)factor->point[i].y_micro / (double)MICRO, x = LEFT + each * i;
        double one = y_of(&frame, 1), top = y_of(&frame, value);
        fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#1a62b8\"/>\n", x + each * 0.2,
                fmin(one, top), each * 0.6, fmax(fabs(one - top), 1));
        fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" fill=\"#222222\">", x + each / 2, BOTTOM + 16);
        print_escaped(out, factor->word[i]);
        fprintf(out, "</text>\n");
    }
    fputs("</svg>\n", out);
}

void picture_print(const struct picture *picture, void *stream)
{
    if (picture->over == INPUT_NONE)
        print_bars(picture, stream);
    else
        print_curve(picture, stream);
}
