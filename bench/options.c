/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gpuvchan/gpuvchan.h>

#include "own.h"
#include "report.h"
#include "xen_tests.h"

#define MECHANISMS_MAX 32
#define DOMAIN_MAX 0x7fefu /* Xen's */

const struct bench_mechanism *bench_mechanisms[MECHANISMS_MAX];

static const struct {
    const char *name;
    enum bench_command command;
    const char *summary;
} commands[] = {
    {"ring", BENCH_RING, "libgpuvchan's calls, posts, doorbell and idle CPU time"},
    {"bulk", BENCH_BULK, "libgpuvchan's bulk data, copied and in place"},
    {"compare", BENCH_COMPARE, "both, and the same work by other mechanisms"},
    {"cuda", BENCH_CUDA, "CUDA through libgpuvchan beside native CUDA"},
    {"gl", BENCH_GL, "OpenGL programs through libgpuvchan beside native OpenGL and virgl"},
    {"serve", BENCH_SERVE, "the other side of --peer, until SIGTERM"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

void
bench_mechanisms_collect(void)
{
    const struct bench_mechanism *const *lists[] = {
        bench_own_mechanisms,    bench_xenvchan_mechanisms, bench_ck_mechanisms,
        bench_stream_mechanisms, bench_wake_mechanisms,
    };
    unsigned n = 0;

    bench_mechanisms[n++] = &bench_memcpy;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        for (const struct bench_mechanism *const *m = lists[i]; *m; m++)
            if (n < MECHANISMS_MAX - 1)
                bench_mechanisms[n++] = *m;
    bench_mechanisms[n] = NULL;
}

static void
print_usage(FILE *out)
{
    fprintf(out, "Usage: gpuvchan-bench ring|bulk|compare|cuda|gl [--quick] [--json FILE]\n"
                 "                      [--plot FILE.svg|FILE.png] [--only NAME]...\n"
                 "       gpuvchan-bench ring|bulk --peer DOMAIN [the same]\n"
                 "       gpuvchan-bench serve [--once]\n");
}

/* Modes of one mechanism stand together and share a name. */
static bool
begins_mechanism(const struct bench_mechanism *const *m)
{
    return m == bench_mechanisms || strcmp(m[0]->name, m[-1]->name) != 0;
}

static void
print_names(FILE *out)
{
    fprintf(out, "Tests:\n");
    for (const struct bench_group *group = bench_groups; group->test[0].name; group++)
        for (unsigned i = 0; i < BENCH_TESTS_MAX && group->test[i].name; i++)
            fprintf(out, "  %-18s %s\n", group->test[i].name, group->test[i].summary);
    fprintf(out, "Tests with --peer, beside libxenvchan between the same domains:\n");
    for (unsigned i = 0; bench_peer_test(i)->name; i++)
        fprintf(out, "  %-18s %s\n", bench_peer_test(i)->name, bench_peer_test(i)->summary);
    fprintf(out, "Tests of gl:\n");
    for (unsigned i = 0; bench_gl_test_name(i); i++)
        fprintf(out, "  %-18s %s\n", bench_gl_test_name(i), bench_gl_test_summary(i));
    fprintf(out, "Mechanisms:\n");
    for (const struct bench_mechanism **m = bench_mechanisms; *m; m++)
        if (begins_mechanism(m))
            fprintf(out, "  %-18s %s%s\n", (*m)->name, (*m)->summary, (*m)->missing ? " (not in this build)" : "");
}

static _Noreturn void
print_help(void)
{
    print_usage(stdout);
    printf("\nMeasures libgpuvchan on this machine, between two processes on two CPUs,\n"
           "beside a cache-line ping-pong, memcpy and other ways to the same end.\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-9s %s\n", commands[i].name, commands[i].summary);
    printf("\n"
           "  -q, --quick      fewer and shorter rounds\n"
           "  -j, --json FILE  write the results as JSON as well; - is stdout, and the\n"
           "                   table then goes to stderr\n"
           "  -p, --plot FILE  draw the results as FILE.svg, or FILE.png by rsvg-convert\n"
           "  -o, --only NAME  measure only this test or mechanism, or the one with the\n"
           "                   other as MECHANISM/TEST; may stand several times\n"
           "  -n, --native-too cuda, gl: the machine's own as well, alternating\n"
           "  -v, --virgl      gl: virgl's test server as well, alternating\n"
           "  -P, --peer DOMAIN ring, bulk: on Xen, between this domain and the one of this\n"
           "                   number, where 'gpuvchan-bench serve' runs, beside libxenvchan\n"
           "  -1, --once       serve: end after one client\n"
           "  -V, --version    print the version\n"
           "  -h, --help       print this\n\n");
    print_names(stdout);
    exit(EXIT_SUCCESS);
}

static _Noreturn void
misuse(const char *problem, const char *word)
{
    fprintf(stderr, "gpuvchan-bench: %s%s%s\n", problem, word ? ": " : "", word ? word : "");
    print_usage(stderr);
    fprintf(stderr, "Try 'gpuvchan-bench --help'.\n");
    exit(BENCH_EXIT_MISUSE);
}

static const char *
find_test(const char *name)
{
    for (const struct bench_group *group = bench_groups; group->test[0].name; group++)
        for (unsigned i = 0; i < BENCH_TESTS_MAX && group->test[i].name; i++)
            if (strcmp(group->test[i].name, name) == 0)
                return group->test[i].name;
    for (unsigned i = 0; bench_peer_test(i)->name; i++)
        if (strcmp(bench_peer_test(i)->name, name) == 0)
            return bench_peer_test(i)->name;
    for (unsigned i = 0; bench_gl_test_name(i); i++)
        if (strcmp(bench_gl_test_name(i), name) == 0)
            return bench_gl_test_name(i);
    return NULL;
}

static const char *
find_mechanism(const char *name, size_t length)
{
    for (const struct bench_mechanism **m = bench_mechanisms; *m; m++)
        if (strlen((*m)->name) == length && strncmp((*m)->name, name, length) == 0)
            return (*m)->name;
    return NULL;
}

static void
append_name(const char **list, const char *name)
{
    unsigned n = 0;

    while (list[n])
        n++;
    if (n + 1 == BENCH_ONLY_MAX)
        misuse("too many --only", NULL);
    list[n] = name;
}

static void
add_only(struct bench_options *options, const char *name)
{
    const char *slash = strchr(name, '/');
    const char *test = find_test(slash ? slash + 1 : name);
    const char *mechanism = find_mechanism(name, slash ? (size_t)(slash - name) : strlen(name));

    if (slash ? !test || !mechanism : !test && !mechanism) {
        fprintf(stderr, "gpuvchan-bench: --only %s: no test or mechanism of this name\n", name);
        print_names(stderr);
        exit(BENCH_EXIT_MISUSE);
    }
    if (test)
        append_name(options->only_test, test);
    if (mechanism)
        append_name(options->only_mechanism, mechanism);
}

static void
parse_command(struct bench_options *options, const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            options->command = commands[i].command;
            options->command_name = commands[i].name;
            return;
        }
    }
    misuse("no such measurement", name);
}

static void
print_version(void)
{
    printf("gpuvchan-bench %s\n", gpuvchan_version());
}

static void
parse_peer(struct bench_options *options, const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    if (!isdigit((unsigned char)text[0]) || *end || number > DOMAIN_MAX)
        misuse("--peer takes the number of a domain, as in 'xl list'", text);
    options->has_peer = true;
    options->peer = (uint32_t)number;
}

static void
parse_option(struct bench_options *options, int option)
{
    switch (option) {
    case 'q':
        options->quick = true;
        break;
    case 'j':
        options->json = optarg;
        break;
    case 'p':
        if (!bench_plot_can_write(optarg))
            misuse("--plot writes files that end in .svg or .png", optarg);
        options->plot = optarg;
        break;
    case 'o':
        add_only(options, optarg);
        break;
    case 'n':
        options->native_too = true;
        break;
    case 'v':
        options->virgl = true;
        break;
    case 'P':
        parse_peer(options, optarg);
        break;
    case '1':
        options->once = true;
        break;
    case 'V':
        print_version();
        exit(EXIT_SUCCESS);
    case 'h':
        print_help();
    default:
        /* getopt_long() has named the option. */
        print_usage(stderr);
        fprintf(stderr, "Try 'gpuvchan-bench --help'.\n");
        exit(BENCH_EXIT_MISUSE);
    }
}

void
bench_options_parse(struct bench_options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"quick", no_argument, NULL, 'q'},
        {"json", required_argument, NULL, 'j'},
        {"plot", required_argument, NULL, 'p'},
        {"only", required_argument, NULL, 'o'},
        {"native-too", no_argument, NULL, 'n'},
        {"peer", required_argument, NULL, 'P'},
        {"once", no_argument, NULL, '1'},
        {"virgl", no_argument, NULL, 'v'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    *options = (struct bench_options){0};
    while ((option = getopt_long(argc, argv, "qj:p:o:nvP:1Vh", known, NULL)) != -1)
        parse_option(options, option);
    if (optind == argc)
        misuse("say what to measure", NULL);
    parse_command(options, argv[optind]);
    if (optind + 1 < argc)
        misuse("one measurement at a time, not also", argv[optind + 1]);
    if (options->has_peer && options->command != BENCH_RING && options->command != BENCH_BULK)
        misuse("--peer is for ring and bulk, not for", options->command_name);
    if (options->virgl && options->command != BENCH_GL)
        misuse("--virgl is for gl, not for", options->command_name);
    if (options->once && options->command != BENCH_SERVE)
        misuse("--once is for serve, not for", options->command_name);
}

static bool
is_wanted(const char *const *list, const char *name)
{
    if (!list[0])
        return true;
    for (; *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

bool
bench_options_want_test(const struct bench_options *options, const char *test)
{
    return is_wanted(options->only_test, test);
}

bool
bench_options_want_mechanism(const struct bench_options *options, const struct bench_mechanism *mechanism)
{
    return is_wanted(options->only_mechanism, mechanism->name);
}
