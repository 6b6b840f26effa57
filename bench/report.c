/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void
bench_report_init(struct bench_report *report, FILE *out)
{
    *report = (struct bench_report){.out = out};
}

void
bench_report_finish(struct bench_report *report)
{
    free(report->results);
    *report = (struct bench_report){0};
}

int
bench_report_add(struct bench_report *report, const struct bench_result *result)
{
    struct bench_result *more = realloc(report->results, (report->nresults + 1) * sizeof(*more));

    if (!more)
        return -ENOMEM;
    report->results = more;
    more[report->nresults++] = *result;
    return 0;
}

/* Three digits that mean something. */
static void
format_value(char *text, size_t size, double value)
{
    double magnitude = fabs(value);

    if (magnitude >= 99.95)
        snprintf(text, size, "%.0f", value);
    else if (magnitude >= 9.995)
        snprintf(text, size, "%.1f", value);
    else
        snprintf(text, size, "%.2f", value);
}

static const struct bench_ratio *
find_ratio(const struct bench_result *result, const char *reference)
{
    for (unsigned i = 0; i < BENCH_REFERENCES_MAX; i++)
        if (strcmp(result->ratio[i].reference, reference) == 0)
            return &result->ratio[i];
    return NULL;
}

/* The references that any of the results has, in the order of their first. */
static unsigned
list_references(const struct bench_result *results, unsigned n, const char **references)
{
    unsigned found = 0;

    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < BENCH_REFERENCES_MAX; k++) {
            const char *name = results[i].ratio[k].reference;
            unsigned seen = 0;

            while (seen < found && strcmp(references[seen], name) != 0)
                seen++;
            if (*name && seen == found && found < BENCH_REFERENCES_MAX)
                references[found++] = name;
        }
    }
    return found;
}

static void
print_ratios(const struct bench_report *report, const struct bench_result *result, const char *const *references,
             unsigned nreferences)
{
    for (unsigned i = 0; i < nreferences; i++) {
        const struct bench_ratio *ratio = find_ratio(result, references[i]);
        char text[32];

        if (ratio && isfinite(ratio->ratio))
            format_value(text, sizeof(text), ratio->ratio);
        else
            snprintf(text, sizeof(text), "-");
        fprintf(report->out, "  %13s", text);
    }
}

static void
print_result(const struct bench_report *report, const struct bench_result *result, const char *const *references,
             unsigned nreferences)
{
    char value[32];
    double spread;

    fprintf(report->out, "  %-12s %-20s", result->mechanism, result->test);
    if (result->trouble) {
        fprintf(report->out, "  %s\n", result->trouble);
        return;
    }
    spread = result->value > 0 ? (result->high - result->low) / 2 / result->value : 0;
    format_value(value, sizeof(value), result->value);
    fprintf(report->out, " %9s %-5s +-%3.0f%%", value, result->unit, spread * 100);
    print_ratios(report, result, references, nreferences);
    fprintf(report->out, "%s%s\n", result->mode ? "  " : "", result->mode ? result->mode : "");
}

void
bench_report_print(struct bench_report *report, const char *title, const char *how)
{
    const struct bench_result *results = report->results + report->printed;
    unsigned n = report->nresults - report->printed;
    const char *references[BENCH_REFERENCES_MAX];
    unsigned nreferences;

    report->printed = report->nresults;
    if (n == 0)
        return;
    nreferences = list_references(results, n, references);
    fprintf(report->out, "\n%s (%s is better)\n%s\n", title, results[0].lower_is_better ? "lower" : "higher", how);
    fprintf(report->out, "  %-54s", "");
    for (unsigned i = 0; i < nreferences; i++) {
        char head[32];

        snprintf(head, sizeof(head), "x %s", references[i]);
        fprintf(report->out, "  %13s", head);
    }
    fprintf(report->out, "\n");
    for (unsigned i = 0; i < n; i++)
        print_result(report, &results[i], references, nreferences);
    fflush(report->out);
}

static json_t *
number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *
entry_of(const struct bench_result *result, const struct bench_ratio *ratio)
{
    char name[80];
    json_t *entry;

    if (result->own)
        snprintf(name, sizeof(name), "%s", result->test);
    else
        snprintf(name, sizeof(name), "%s/%s", result->mechanism, result->test);
    entry = json_pack("{s:s, s:o, s:s, s:s?, s:o, s:s}", "name", name, "value", number_or_null(result->value), "unit",
                      result->unit, "reference", ratio ? ratio->reference : NULL, "ratio",
                      number_or_null(ratio ? ratio->ratio : NAN), "placement", result->placement);
    if (entry && result->mode)
        json_object_set_new(entry, "mode", json_string(result->mode));
    return entry;
}

/* One entry for each reference, or one without. json_array_append_new()
 * refuses the NULL of a failed allocation. */
static int
append_result(json_t *array, const struct bench_result *result)
{
    unsigned written = 0;

    for (unsigned i = 0; i < BENCH_REFERENCES_MAX; i++) {
        if (!*result->ratio[i].reference)
            continue;
        if (json_array_append_new(array, entry_of(result, &result->ratio[i])) < 0)
            return -ENOMEM;
        written++;
    }
    if (written == 0 && json_array_append_new(array, entry_of(result, NULL)) < 0)
        return -ENOMEM;
    return 0;
}

int
bench_report_write_json(const struct bench_report *report, FILE *file)
{
    json_t *array = json_array();
    int err = array ? 0 : -ENOMEM;

    for (unsigned i = 0; i < report->nresults && err == 0; i++)
        if (!report->results[i].trouble)
            err = append_result(array, &report->results[i]);
    if (err == 0 && (json_dumpf(array, file, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) < 0 || fputc('\n', file) == EOF ||
                     fflush(file) == EOF))
        err = errno ? -errno : -EIO;
    json_decref(array);
    return err;
}
