/* SPDX-License-Identifier: MIT */
/*
 * xen_peer.c - libgpuvchan beside libxenvchan, between two domains.
 *
 * Design notes
 *
 * All cases of a group run one after the other in each round, and a ratio is
 * taken within each round, as on one machine. There is no ping-pong of a cache
 * line to judge rounds by, and no CPU to choose: Xen's scheduler places both
 * domains, and what it does to one case it does to the others of the round.
 *
 * The guest's clock counts. Both libraries' jobs begin with both sides awake,
 * and jobs that go one way end when the host has said that it has all of it.
 *
 * libgpuvchan is measured through three channels: with the usual options, with
 * such that neither side ever spins, and with such that both sides spin for
 * longer than any gap in the job, which must not notify an event channel.
 */
#include "xen_peer.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gpuvchan/gpuvchan.h>

#include "own_client.h"
#include "progress.h"
#include "xen_module.h"
#include "xen_tests.h"

#include "bench-guest.h"

#define OWN "libgpuvchan"
#define CASES_MAX 16
#define ROUNDS 9
#define ROUNDS_QUICK 5
#define ROUNDS_LEAST 3
#define BURST_NS 400000000u
#define BURST_QUICK_NS 100000000u
#define GROUP_NS 18000000000u
#define GROUP_QUICK_NS 6000000000u
#define CALIBRATION_RUNS 2
#define COUNT_MAX ((uint64_t)1 << 24)
#define STUCK_S 60 /* one job */
#define LANES 1u
#define PAGES 10240u /* all that is granted for that, and for a vchan */

struct peer_case {
    const struct bench_peer_test *test;
    const struct bench_vchan_mode *vchan; /* NULL: ours */
    int error;
    uint64_t count;
    uint64_t notified, messages; /* in all rounds */
    double value[ROUNDS];
};

struct peer {
    const struct bench_options *options;
    struct bench_report *report;
    const struct bench_xen *xen;
    uint32_t domain;
    struct bench_own_client own[BENCH_CHANNELS];
    struct bench_vchan *vchan;
    void *buffer;
    const struct bench_peer_group *group; /* at hand, as the cases */
    struct peer_case cases[CASES_MAX];
    unsigned ncases, rounds;
};

/* ---- Connecting ---------------------------------------------------------------------------------- */

static int
complain(const struct peer *peer, int error, const char *what)
{
    fprintf(stderr, "gpuvchan-bench: --peer %u: %s\n", peer->domain, what);
    return error < 0 ? error : -EIO;
}

static int
find_peer(struct peer *peer, struct bench_xen_facts *facts)
{
    char problem[BENCH_XEN_TEXT];
    int error;

    /* Before the transport is loaded: see xen_module.h. */
    peer->xen = bench_xen_load(problem);
    if (!peer->xen)
        return complain(peer, -ENOENT, problem);
    error = peer->xen->facts(peer->domain, PAGES, facts, problem);
    if (error != 0)
        return complain(peer, error, problem);
    if (facts->domain == peer->domain)
        return complain(peer, -EINVAL, "that is this domain: name the other one, where 'gpuvchan-bench serve' runs");
    if (!facts->peer_serves)
        return complain(peer, -ENOENT, "nobody serves measurements there: run 'gpuvchan-bench serve' in that domain");
    return facts->why[0] ? complain(peer, -ENOSPC, facts->why) : 0;
}

static int
open_channel(struct peer *peer, enum bench_channel number)
{
    struct gpuvchan_channel_options options = {
        .size = sizeof(options),
        .arena_bytes = bench_peer_channels[number].arena_bytes,
        .command_bytes = bench_peer_channels[number].command_bytes,
        .lanes = LANES,
        .spin_us = bench_peer_channels[number].spin_us,
    };
    struct bench_own_client *own = &peer->own[number];
    char address[64];
    int error;

    snprintf(address, sizeof(address), "xen:%u/%s", peer->domain, bench_peer_channels[number].service);
    error = bench_own_client_open(own, address, &options);
    if (error == 0 && number == BENCH_CHANNEL_USUAL)
        error = bench_own_client_windows(own, true);
    return error != 0 ? complain(peer, error, gpuvchan_error_text()) : 0;
}

static int
open_vchan(struct peer *peer)
{
    char node[128], problem[BENCH_XEN_TEXT];
    int error = peer->xen->create(peer->domain, node, sizeof(node), &peer->vchan, problem);

    if (error != 0)
        return complain(peer, error, problem);
    error = bench_attach(&peer->own[BENCH_CHANNEL_USUAL].client, node);
    if (error == 0) {
        peer->xen->attached(peer->vchan);
        return 0;
    }
    snprintf(problem, sizeof(problem), "the other side cannot attach to the vchan %s: %s", node,
             strerror(error < 0 ? -error : EIO));
    return complain(peer, error, problem);
}

static int
open_all(struct peer *peer)
{
    int error = 0;

    peer->buffer = aligned_alloc(4096, BENCH_XEN_SIZE_MAX);
    if (!peer->buffer)
        return complain(peer, -ENOMEM, "out of memory");
    memset(peer->buffer, 0x5a, BENCH_XEN_SIZE_MAX);
    for (unsigned i = 0; i < BENCH_CHANNELS && error == 0; i++)
        error = open_channel(peer, i);
    return error == 0 ? open_vchan(peer) : error;
}

static void
close_all(struct peer *peer)
{
    if (peer->vchan)
        peer->xen->close(peer->vchan);
    for (unsigned i = 0; i < BENCH_CHANNELS; i++)
        bench_own_client_close(&peer->own[i]);
    free(peer->buffer);
}

/* ---- Jobs ---------------------------------------------------------------------------------------- */

static int
run_own(struct peer *peer, const struct peer_case *one, struct bench_vchan_sample *sample)
{
    struct bench_own_client *own = &peer->own[one->test->channel];
    struct bench_job job = {
        .op = one->test->test.op,
        .size = one->test->test.size,
        .count = one->count,
        .buffer = peer->buffer,
    };
    uint64_t begun, before, after = 0, mine;
    bool spins = one->test->channel == BENCH_CHANNEL_SPINNING;
    /* Wakes the host's side, and has it stay awake. */
    int error = bench_linger(&own->client, spins ? BENCH_PEER_SPIN_US : 0);

    if (error == 0)
        error = bench_notified(&own->client, &before);
    if (error != 0)
        return error;
    mine = peer->xen->notified();
    begun = bench_now();
    error = job.op == BENCH_CALL ? bench_own_client_calls(own, &job) : bench_own_client_send(own, &job);
    sample->wall_ns = bench_now() - begun;
    mine = peer->xen->notified() - mine;
    if (error == 0)
        error = bench_notified(&own->client, &after);
    if (error == 0 && spins)
        error = bench_linger(&own->client, 0);
    if (error == 0 && job.op == BENCH_CALL)
        error = bench_own_client_finish(own, job.count);
    sample->notified = mine + after - before;
    return error;
}

static int
run_vchan(struct peer *peer, const struct peer_case *one, struct bench_vchan_sample *sample)
{
    struct bench_vchan_job job = {
        .op = one->test->test.op,
        .blocking = one->vchan->blocking,
        .stream = one->vchan->stream,
        .size = one->test->test.size,
        .count = one->count,
    };

    return peer->xen->run(peer->vchan, &job, sample);
}

static void
stuck(int signal)
{
    static const char text[] = "gpuvchan-bench: no progress for a minute\n";

    (void)signal;
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(BENCH_EXIT_FAILED);
}

static int
run_case(struct peer *peer, struct peer_case *one, struct bench_vchan_sample *sample)
{
    int error = one->error;

    if (error != 0)
        return error;
    alarm(STUCK_S);
    error = one->vchan ? run_vchan(peer, one, sample) : run_own(peer, one, sample);
    alarm(0);
    if (sample->wall_ns == 0)
        sample->wall_ns = 1;
    one->error = error > 0 ? -EPROTO : error;
    return one->error;
}

static double
value_of(const struct peer_case *one, uint64_t wall_ns)
{
    double wall = (double)wall_ns, count = (double)one->count;

    switch (one->test->test.op) {
    case BENCH_CALL:
        return wall / count / 1000;
    case BENCH_POST:
        return count * 1000 / wall;
    default:
        return count * (double)one->test->test.size / wall;
    }
}

/* The fastest of a few: whatever else happens can only add to it, and has then made the burst too short. */
static int
run_fastest(struct peer *peer, struct peer_case *one, unsigned runs, uint64_t *wall_ns)
{
    struct bench_vchan_sample sample;
    int error = 0;

    for (unsigned i = 0; i < runs && error == 0; i++) {
        error = run_case(peer, one, &sample);
        if (error == 0 && sample.wall_ns < *wall_ns)
            *wall_ns = sample.wall_ns;
    }
    return error;
}

/* How many messages make a burst; warms everything up as well. */
static void
calibrate(struct peer *peer, struct peer_case *one, double burst_ns)
{
    one->count = one->test->test.size > 4096 ? 1 : 8;
    for (;;) {
        uint64_t wall_ns = UINT64_MAX;
        double bursts;

        if (run_fastest(peer, one, 1, &wall_ns) != 0)
            return;
        if (burst_ns < 4 * (double)wall_ns && run_fastest(peer, one, CALIBRATION_RUNS, &wall_ns) != 0)
            return;
        bursts = burst_ns / (double)wall_ns;
        if (bursts < 4 || one->count >= COUNT_MAX) {
            one->count = (uint64_t)fmax((double)one->count * bursts, 1);
            return;
        }
        one->count *= bursts > 64 ? 16 : 4;
    }
}

static void
run_rounds(struct peer *peer)
{
    bool quick = peer->options->quick;
    uint64_t end = bench_now() + (quick ? GROUP_QUICK_NS : GROUP_NS);

    for (unsigned i = 0; i < peer->ncases; i++)
        calibrate(peer, &peer->cases[i], quick ? BURST_QUICK_NS : BURST_NS);
    for (peer->rounds = 0; peer->rounds < (quick ? ROUNDS_QUICK : ROUNDS); peer->rounds++) {
        if (peer->rounds >= ROUNDS_LEAST && bench_now() > end)
            break;
        for (unsigned i = 0; i < peer->ncases; i++) {
            struct peer_case *one = &peer->cases[i];
            struct bench_vchan_sample sample = {0};

            one->value[peer->rounds] = run_case(peer, one, &sample) == 0 ? value_of(one, sample.wall_ns) : NAN;
            one->notified += sample.notified;
            one->messages += one->count;
        }
    }
}

/* ---- Results ------------------------------------------------------------------------------------- */

static double
quantile_of(const double *values, unsigned n, double share)
{
    double sorted[ROUNDS];

    memcpy(sorted, values, n * sizeof(*sorted));
    return bench_quantile(sorted, n, share);
}

static const char *
name_of(const struct peer_case *one)
{
    return one->vchan ? one->vchan->name : OWN;
}

/* The best mode of a mechanism, or NULL if there is none without an error. */
static const struct peer_case *
best_case(const struct peer *peer, const char *test, const char *mechanism)
{
    const struct peer_case *best = NULL;
    double best_value = 0;

    for (unsigned i = 0; i < peer->ncases; i++) {
        const struct peer_case *one = &peer->cases[i];
        double value = quantile_of(one->value, peer->rounds, 0.5);

        if (one->error || strcmp(one->test->test.name, test) != 0 || strcmp(name_of(one), mechanism) != 0)
            continue;
        if (best && (one->test->test.lower_is_better ? value >= best_value : value <= best_value))
            continue;
        best = one;
        best_value = value;
    }
    return best;
}

static void
fill_ratios(const struct peer *peer, const struct peer_case *one, struct bench_result *result)
{
    const struct bench_peer_test *test = one->test;
    const char *beside = test->beside_first ? peer->group->test[0].test.name : test->test.name;
    unsigned filled = 0;

    for (unsigned k = 0; k < BENCH_TEST_REFERENCES && test->test.reference[k]; k++) {
        const char *name = test->test.reference[k];
        const struct peer_case *reference = best_case(peer, beside, name);
        double ratio[ROUNDS];

        if (!reference || strcmp(name, name_of(one)) == 0)
            continue;
        for (unsigned i = 0; i < peer->rounds; i++)
            ratio[i] = one->value[i] / reference->value[i];
        snprintf(result->ratio[filled].reference, sizeof(result->ratio[filled].reference), "%s", name);
        result->ratio[filled++].ratio = quantile_of(ratio, peer->rounds, 0.5);
    }
}

static const char *
trouble_of(int error)
{
    switch (error) {
    case -EPROTO:
        return "failed: messages were lost or damaged";
    case -ETIMEDOUT:
        return "failed: it hung";
    case -EPIPE:
        return "failed: the other side has ended";
    default:
        return strerror(-error);
    }
}

static struct bench_result
result_of(const struct peer_case *one, const char *prefix)
{
    struct bench_result result = {
        .own = !one->vchan,
        .lower_is_better = one->test->test.lower_is_better,
        .mode = one->vchan ? one->vchan->mode : bench_peer_channels[one->test->channel].mode,
        .unit = one->test->test.unit,
        .placement = "xen",
    };

    snprintf(result.test, sizeof(result.test), "%s%s", prefix, one->test->test.name);
    snprintf(result.mechanism, sizeof(result.mechanism), "%s", name_of(one));
    return result;
}

static int
add_value(struct peer *peer, const struct peer_case *one)
{
    const struct peer_case *best = best_case(peer, one->test->test.name, name_of(one));
    struct bench_result result = result_of(best ? best : one, "");

    if (best) {
        result.value = quantile_of(best->value, peer->rounds, 0.5);
        result.low = quantile_of(best->value, peer->rounds, 0.25);
        result.high = quantile_of(best->value, peer->rounds, 0.75);
        fill_ratios(peer, best, &result);
    } else {
        result.trouble = trouble_of(one->error);
    }
    return bench_report_add(peer->report, &result);
}

/* Of the same modes. Exact, of all rounds together: 0 is never once. */
static int
add_notified(struct peer *peer, const struct peer_case *one)
{
    const struct peer_case *best = best_case(peer, one->test->test.name, name_of(one));
    struct bench_result result;

    if (!best)
        return 0;
    result = result_of(best, "notify-");
    result.lower_is_better = true;
    result.unit = "each";
    result.value = (double)best->notified / (double)best->messages;
    result.low = result.high = result.value;
    return bench_report_add(peer->report, &result);
}

/* Modes of one mechanism stand together. */
static bool
begins_mechanism(const struct peer *peer, unsigned i)
{
    const struct peer_case *one = &peer->cases[i];

    return i == 0 || one[-1].test != one->test || strcmp(name_of(&one[-1]), name_of(one)) != 0;
}

static int
add_all(struct peer *peer, int (*add)(struct peer *, const struct peer_case *))
{
    int error = 0;

    for (unsigned i = 0; i < peer->ncases && error == 0; i++)
        if (begins_mechanism(peer, i))
            error = add(peer, &peer->cases[i]);
    return error;
}

/* ---- Groups -------------------------------------------------------------------------------------- */

static bool
wants(const struct peer *peer, const char *mechanism)
{
    const struct bench_mechanism named = {.name = mechanism};

    return bench_options_want_mechanism(peer->options, &named);
}

static void
add_case(struct peer *peer, const struct bench_peer_test *test, const struct bench_vchan_mode *vchan)
{
    if (wants(peer, vchan ? vchan->name : OWN))
        peer->cases[peer->ncases++] = (struct peer_case){.test = test, .vchan = vchan};
}

static void
collect_cases(struct peer *peer, const struct bench_peer_group *group)
{
    bool referred[BENCH_PEER_GROUP_TESTS] = {false};

    peer->group = group;
    peer->ncases = 0;
    for (unsigned i = 0; i < BENCH_PEER_GROUP_TESTS && group->test[i].test.name; i++) {
        if (!bench_options_want_test(peer->options, group->test[i].test.name))
            continue;
        add_case(peer, &group->test[i], NULL);
        referred[group->test[i].beside_first ? 0 : i] = true;
    }
    for (unsigned i = 0; i < BENCH_PEER_GROUP_TESTS; i++)
        for (unsigned k = 0; k < BENCH_PEER_VCHAN_MODES && referred[i]; k++)
            /* A packet must fit into the ring. */
            if (bench_vchan_modes[k].stream || group->test[i].test.size < BENCH_XEN_SIZE_MAX)
                add_case(peer, &group->test[i], &bench_vchan_modes[k]);
}

static void
print_group(struct peer *peer, const struct bench_peer_group *group)
{
    char title[512] = "", how[128];
    size_t at = 0;

    for (unsigned i = 0; i < BENCH_PEER_GROUP_TESTS && group->test[i].test.name; i++)
        at += (size_t)snprintf(title + at, sizeof(title) - at, "%s%s: %s", i ? "\n" : "", group->test[i].test.name,
                               group->test[i].test.summary);
    snprintf(how, sizeof(how), "medians of %u alternating rounds of %.0f ms each", peer->rounds,
             (peer->options->quick ? BURST_QUICK_NS : BURST_NS) / 1e6);
    bench_progress_clear();
    bench_report_print(peer->report, title, how);
}

static int
run_group(struct peer *peer, const struct bench_peer_group *group)
{
    int error;

    run_rounds(peer);
    error = add_all(peer, add_value);
    if (error != 0)
        return error;
    print_group(peer, group);
    error = add_all(peer, add_notified);
    if (error == 0)
        bench_report_print(peer->report, "notify-*: how often both sides notify an event channel for a message",
                           "counted in all rounds, exact");
    return error;
}

static int
run_groups(struct peer *peer)
{
    unsigned wanted = 0, done = 0;
    int error = 0;

    for (unsigned i = 0; i < BENCH_PEER_GROUPS; i++) {
        collect_cases(peer, &bench_peer_groups[i]);
        wanted += bench_peer_groups[i].command == peer->options->command && peer->ncases > 0;
    }
    if (wanted == 0)
        return complain(peer, -ENOENT, "nothing to measure: no chosen mechanism has a chosen test there");
    for (unsigned i = 0; i < BENCH_PEER_GROUPS && error == 0; i++) {
        collect_cases(peer, &bench_peer_groups[i]);
        if (bench_peer_groups[i].command != peer->options->command || peer->ncases == 0)
            continue;
        bench_progress(++done, wanted, bench_peer_groups[i].test[0].test.name);
        error = run_group(peer, &bench_peer_groups[i]);
    }
    bench_progress_clear();
    return error;
}

static int
describe(const struct peer *peer, const struct bench_xen_facts *facts, char *description, size_t size)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t theirs = 0;
    int error = bench_machine(&peer->own[BENCH_CHANNEL_USUAL].client, &theirs);

    if (error != 0)
        return complain(peer, error, gpuvchan_error_text());
    snprintf(description, size, "domain %u (%ld vCPU%s) and domain %u (%u vCPU%s), %s", facts->domain, processors,
             processors == 1 ? "" : "s", peer->domain, theirs, theirs == 1 ? "" : "s", facts->description);
    fprintf(peer->report->out, "gpuvchan-bench %s%s: %s\n", peer->options->command_name,
            peer->options->quick ? " --quick" : "", description);
    fflush(peer->report->out);
    return 0;
}

int
bench_peer_run(const struct bench_options *options, struct bench_report *report, char *description, size_t size)
{
    struct peer *peer = calloc(1, sizeof(*peer));
    struct bench_xen_facts facts = {0};
    int error;

    if (!peer)
        return -ENOMEM;
    peer->options = options;
    peer->report = report;
    peer->domain = options->peer;
    signal(SIGALRM, stuck);
    error = find_peer(peer, &facts);
    if (error == 0)
        error = open_all(peer);
    if (error == 0)
        error = describe(peer, &facts, description, size);
    if (error == 0)
        error = run_groups(peer);
    close_all(peer);
    free(peer);
    return error;
}
