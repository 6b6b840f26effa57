/* SPDX-License-Identifier: MIT */
/*
 * plot.c - results as bars in SVG: a panel for each test, a bar for each
 * mechanism, in two columns.
 */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

extern char **environ;

/* Pixels. */
#define MARGIN 24
#define HEADING 48
#define PANEL_WIDTH 580
#define PANEL_GAP 28
#define LABEL_WIDTH 110
#define VALUE_WIDTH 90
#define BARS_WIDTH (PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH)
#define TITLE_HEIGHT 26
#define AXIS_HEIGHT 44
#define BAR 16
#define BAR_STEP 22

/* A scale is logarithmic where the largest value is that much the smallest. */
#define LOG_FROM 20

/* Okabe and Ito's palette: ours is the blue, limits are grey. */
#define OWN_COLOUR "#0072b2"
#define LIMIT_COLOUR "#7f7f7f"
static const char *const peer_colours[] = {
    "#d55e00", "#e69f00", "#009e73", "#56b4e9", "#cc79a7", "#b8a800", "#000000",
};

#define PEER_COLOURS (sizeof(peer_colours) / sizeof(peer_colours[0]))

struct panel {
    const struct bench_result *results; /* of one test, without troubles */
    unsigned n;
    double low, high; /* ends of the scale */
    double step;      /* between ticks; 0: logarithmic */
};

static bool
ends_in(const char *path, const char *suffix)
{
    size_t length = strlen(path), end = strlen(suffix);

    return length > end && strcmp(path + length - end, suffix) == 0;
}

bool
bench_plot_can_write(const char *path)
{
    return ends_in(path, ".svg") || ends_in(path, ".png");
}

const char *
bench_plot_check(const char *path)
{
    int fd;

    if (ends_in(path, ".png") && !bench_is_installed("rsvg-convert"))
        return "needs rsvg-convert: install librsvg2-bin, or write an .svg";
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return strerror(errno);
    close(fd);
    return NULL;
}

static void
print_escaped(FILE *file, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", file);
        else if (*text == '&')
            fputs("&amp;", file);
        else
            fputc(*text, file);
    }
}

static void
print_text(FILE *file, double x, double y, const char *attributes, const char *text)
{
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, attributes);
    print_escaped(file, text);
    fprintf(file, "</text>\n");
}

/* Grey is for what its first ratio is taken to: itself. */
static bool
is_limit(const struct bench_result *result)
{
    return strcmp(result->ratio[0].reference, result->mechanism) == 0;
}

/* A mechanism keeps its colour through all the panels: the peers take turns in
 * the order in which they come first. */
static const char *
colour_of(const struct bench_report *report, const struct bench_result *result)
{
    const char *peers[PEER_COLOURS];
    unsigned n = 0;

    if (result->own || is_limit(result))
        return result->own ? OWN_COLOUR : LIMIT_COLOUR;
    for (unsigned i = 0; i < report->nresults && n < PEER_COLOURS; i++) {
        const struct bench_result *other = &report->results[i];
        unsigned seen = 0;

        while (seen < n && strcmp(peers[seen], other->mechanism) != 0)
            seen++;
        if (strcmp(other->mechanism, result->mechanism) == 0)
            return peer_colours[seen % PEER_COLOURS];
        if (seen == n && !other->own && !is_limit(other))
            peers[n++] = other->mechanism;
    }
    return peer_colours[PEER_COLOURS - 1];
}

/* 1, 2 or 5 times a power of ten, so that there are about five ticks. */
static double
nice_step(double high)
{
    double decade = pow(10, floor(log10(high / 5)));
    double digit = high / 5 / decade;

    return decade * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
}

static void
choose_scale(struct panel *panel)
{
    double low = INFINITY, high = 0;

    for (unsigned i = 0; i < panel->n; i++) {
        double value = panel->results[i].value;

        if (value > 0)
            low = fmin(low, value);
        high = fmax(high, value);
    }
    if (high <= 0)
        high = low = 1;
    if (high / low > LOG_FROM) {
        /* A bar for the smallest, too. */
        panel->low = pow(10, floor(log10(low / 1.5)));
        panel->high = pow(10, ceil(log10(high)));
        panel->step = 0;
    } else {
        panel->low = 0;
        panel->step = nice_step(high);
        panel->high = panel->step * ceil(high / panel->step);
    }
}

static double
bar_length(const struct panel *panel, double value)
{
    double share;

    if (panel->step > 0)
        share = value / panel->high;
    else if (value <= panel->low)
        share = 0;
    else
        share = log10(value / panel->low) / log10(panel->high / panel->low);
    return share * BARS_WIDTH;
}

static double
panel_height(const struct panel *panel)
{
    return TITLE_HEIGHT + panel->n * BAR_STEP + AXIS_HEIGHT;
}

/* Short: 0.53, 12.4, 325, 66.9k, 1.27M. */
static void
format_short(char *text, size_t size, double value)
{
    const char *suffix = value >= 999500 ? "M" : value >= 9995 ? "k" : "";
    double scaled = value >= 999500 ? value / 1e6 : value >= 9995 ? value / 1e3 : value;
    int digits = scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2;

    snprintf(text, size, "%.*f%s", digits, scaled, suffix);
}

/* Ticks are round: 0.1, 20k, 1M. */
static void
format_tick(char *text, size_t size, double value)
{
    if (value >= 1e6)
        snprintf(text, size, "%gM", value / 1e6);
    else if (value >= 1e4)
        snprintf(text, size, "%gk", value / 1e3);
    else
        snprintf(text, size, "%g", value);
}

static void
print_tick(FILE *file, const struct panel *panel, double x, double y, double value)
{
    double at = x + LABEL_WIDTH + bar_length(panel, value);
    char text[32];

    fprintf(file,
            "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" "
            "stroke=\"#dddddd\"/>\n",
            at, y + TITLE_HEIGHT - 4, at, y + TITLE_HEIGHT + panel->n * BAR_STEP);
    format_tick(text, sizeof(text), value);
    print_text(file, at, y + TITLE_HEIGHT + panel->n * BAR_STEP + 15, "class=\"tick\" text-anchor=\"middle\"", text);
}

static void
print_axis(FILE *file, const struct panel *panel, double x, double y)
{
    char label[96];

    if (panel->step > 0)
        for (unsigned i = 0; i * panel->step <= panel->high * 1.0001; i++)
            print_tick(file, panel, x, y, i * panel->step);
    else
        for (double at = panel->low; at <= panel->high * 1.0001; at *= 10)
            print_tick(file, panel, x, y, at);
    snprintf(label, sizeof(label), "%s, %s is better%s", panel->results[0].unit,
             panel->results[0].lower_is_better ? "lower" : "higher", panel->step > 0 ? "" : ", logarithmic");
    print_text(file, x + LABEL_WIDTH + BARS_WIDTH / 2.0, y + TITLE_HEIGHT + panel->n * BAR_STEP + 32,
               "class=\"tick\" text-anchor=\"middle\"", label);
}

static void
print_bar(FILE *file, const struct bench_report *report, const struct panel *panel, const struct bench_result *result,
          double x, double y)
{
    double length = bar_length(panel, result->value);
    char text[48];

    print_text(file, x + LABEL_WIDTH - 8, y + BAR - 3,
               result->own ? "class=\"own\" text-anchor=\"end\"" : "text-anchor=\"end\"", result->mechanism);
    fprintf(file, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", x + LABEL_WIDTH, y,
            fmax(length, 1), BAR, colour_of(report, result));
    format_short(text, sizeof(text), result->value);
    print_text(file, x + LABEL_WIDTH + length + 6, y + BAR - 3, "class=\"value\"", text);
}

static void
print_panel(FILE *file, const struct bench_report *report, const struct panel *panel, double x, double y)
{
    char title[96];

    snprintf(title, sizeof(title), "%s (%s)", panel->results[0].test, panel->results[0].placement);
    print_text(file, x + LABEL_WIDTH, y + 14, "class=\"title\"", title);
    print_axis(file, panel, x, y);
    for (unsigned i = 0; i < panel->n; i++)
        print_bar(file, report, panel, &panel->results[i], x, y + TITLE_HEIGHT + i * BAR_STEP);
}

/* Panels from results that stand together. */
static unsigned
make_panels(const struct bench_report *report, struct panel *panels)
{
    unsigned n = 0;

    for (unsigned i = 0; i < report->nresults; i++) {
        const struct bench_result *result = &report->results[i];

        if (n == 0 || strcmp(panels[n - 1].results[0].test, result->test) != 0)
            panels[n++].results = result;
        panels[n - 1].n++;
    }
    for (unsigned i = 0; i < n; i++)
        choose_scale(&panels[i]);
    return n;
}

/* The shorter column takes the next panel. */
static double
print_panels(FILE *file, const struct bench_report *report, const struct panel *panels, unsigned n, bool print)
{
    double bottom[2] = {MARGIN + HEADING, MARGIN + HEADING};

    for (unsigned i = 0; i < n; i++) {
        int column = bottom[1] < bottom[0];

        if (print)
            print_panel(file, report, &panels[i], MARGIN + column * (PANEL_WIDTH + PANEL_GAP), bottom[column]);
        bottom[column] += panel_height(&panels[i]) + PANEL_GAP;
    }
    return fmax(bottom[0], bottom[1]);
}

static void
print_svg(FILE *file, const struct bench_report *report, const char *heading, const struct panel *panels, unsigned n)
{
    int columns = n > 1 ? 2 : 1;
    int width = 2 * MARGIN + columns * PANEL_WIDTH + (columns - 1) * PANEL_GAP;
    double height = print_panels(file, report, panels, n, false);

    fprintf(file,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
            "viewBox=\"0 0 %d %.0f\">\n"
            "<style>\n"
            "text { font-family: \"DejaVu Sans\", Helvetica, Arial, sans-serif; "
            "font-size: 13px; fill: #222222; }\n"
            ".heading { font-size: 18px; font-weight: bold; }\n"
            ".title { font-size: 15px; font-weight: bold; }\n"
            ".own { font-weight: bold; }\n"
            ".tick { font-size: 12px; fill: #555555; }\n"
            "</style>\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
            width, height, width, height);
    print_text(file, MARGIN, MARGIN + 14, "class=\"heading\"", heading);
    print_panels(file, report, panels, n, true);
    fprintf(file, "</svg>\n");
}

static int
write_svg(const struct bench_report *report, const char *heading, FILE *file)
{
    struct bench_report shown = {0};
    struct panel *panels = calloc(report->nresults + 1, sizeof(*panels));
    int err = panels ? 0 : -ENOMEM;

    for (unsigned i = 0; i < report->nresults && err == 0; i++)
        if (!report->results[i].trouble)
            err = bench_report_add(&shown, &report->results[i]);
    if (err == 0) {
        print_svg(file, &shown, heading, panels, make_panels(&shown, panels));
        if (fflush(file) == EOF || ferror(file))
            err = -EIO;
    }
    bench_report_finish(&shown);
    free(panels);
    return err;
}

static int
convert_to_png(const char *svg, const char *png)
{
    char *argv[] = {"rsvg-convert", "-o", (char *)png, (char *)svg, NULL};
    int status;
    pid_t pid;
    int err = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);

    if (err)
        return -err;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

static int
write_png(const struct bench_report *report, const char *heading, const char *path)
{
    char svg[] = "/tmp/gpuvchan-bench-XXXXXX";
    int fd = mkstemp(svg);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    int err;

    if (!file)
        return -errno;
    err = write_svg(report, heading, file);
    fclose(file);
    if (err == 0)
        err = convert_to_png(svg, path);
    unlink(svg);
    return err;
}

int
bench_plot_write(const struct bench_report *report, const char *heading, const char *path)
{
    FILE *file;
    int err;

    if (ends_in(path, ".png"))
        return write_png(report, heading, path);
    file = fopen(path, "we");
    if (!file)
        return -errno;
    err = write_svg(report, heading, file);
    if (fclose(file) == EOF && err == 0)
        err = -errno;
    return err;
}
