/* SPDX-License-Identifier: MIT */
/*
 * A guest that lies with what only Xen has: grants, event channels, a vchan's page, nodes in xenstore. Usage:
 * hostile_xen xen:DOMAIN, where tests/helpers/test_host serves. Whatever it does, the host serves a well-behaved
 * guest then, and has no worker, descriptor or node left.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <xen/io/libxenvchan.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#include "check.h"
#include "host.h"
#include "raw.h"
#include "subject.h"

#define PAGE 4096u
#define SERVICE "plain"
#define TO_HOST 2048 /* in the vchan's page: the ring that the guest writes, and the one that it reads */
#define FROM_HOST 1024
#define NODE 200
#define NO_TSAN __attribute__((no_sanitize("thread")))

static struct test_host host;
static struct xs_handle *store;
static uint32_t own, host_domain;
static char folder[NODE]; /* where this domain's channels lie */

/* The neighbour: connected before all of it. */
static struct gpuvchan_channel *channel;
static struct gpuvchan_client client;

/* ---- A channel, by hand ---------------------------------------------------------------------- */

struct knock {
    char node[NODE];
    xengntshr_handle *shares;
    xenevtchn_handle *events;
    struct vchan_interface *page;
    uint32_t page_reference;
    evtchn_port_t port;
    struct wire_hello hello;
    struct wire_welcome welcome;
    unsigned char *region;
    uint32_t pages;
    uint32_t references[1024]; /* of the region */
    uint32_t *directory;       /* two pages: the root, and one with the region's references */
    uint32_t directories[2];   /* their references */
};

static void
share(const char *node)
{
    struct xs_permissions permissions[] = {{.id = own, .perms = XS_PERM_NONE},
                                           {.id = host_domain, .perms = XS_PERM_READ | XS_PERM_WRITE}};

    xs_set_permissions(store, XBT_NULL, node, permissions, 2);
}

static bool
set(const char *node, const char *key, const void *value, size_t bytes)
{
    char path[NODE + 400];

    snprintf(path, sizeof(path), "%s/%s", node, key);
    if (!xs_write(store, XBT_NULL, path, value, (unsigned)bytes))
        return false;
    share(path);
    return true;
}

static void
set_number(const char *node, const char *key, uint32_t value)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", value);
    assert_true(set(node, key, text, strlen(text)));
}

static bool
absent(const char *node)
{
    unsigned bytes;
    char *value = xs_read(store, XBT_NULL, node, &bytes);

    free(value);
    return !value && errno == ENOENT;
}

/* A node as the library makes it; false: xenstored has no room. */
static bool
named(char node[NODE])
{
    static unsigned count;
    char to[40];

    snprintf(node, NODE, "%.150s/%06x%06x", folder, (unsigned)getpid() & 0xffffff, ++count);
    snprintf(to, sizeof(to), "%u/" SERVICE, host_domain);
    if (!xs_mkdir(store, XBT_NULL, node))
        return false;
    share(node);
    return set(node, "to", to, strlen(to));
}

/* Those that are open, static ones all: a failed test leaves some. */
static struct knock *open_now[32];

/* Everything but the nodes of libxenvchan's, by which the host learns of it. */
static void
prepare(struct knock *knock)
{
    size_t slot = 0;

    memset(knock, 0, sizeof(*knock));
    while (open_now[slot] && open_now[slot] != knock)
        slot++;
    open_now[slot] = knock;
    assert_true(named(knock->node));
    knock->shares = xengntshr_open(NULL, 0);
    knock->events = xenevtchn_open(NULL, 0);
    assert_non_null(knock->shares);
    assert_non_null(knock->events);
    knock->port = (evtchn_port_t)xenevtchn_bind_unbound_port(knock->events, host_domain);
    knock->page = xengntshr_share_page_notify(knock->shares, host_domain, &knock->page_reference, 1,
                                              offsetof(struct vchan_interface, srv_live), knock->port);
    assert_non_null(knock->page);
    memset(knock->page, 0, PAGE);
    knock->page->left_order = 10;
    knock->page->right_order = 11;
    knock->page->cli_live = 2;
    knock->page->srv_live = 1;
    knock->page->cli_notify = VCHAN_NOTIFY_WRITE;
}

static void
publish(struct knock *knock)
{
    set_number(knock->node, "ring-ref", knock->page_reference);
    set_number(knock->node, "event-channel", knock->port);
}

static void
region(struct knock *knock)
{
    struct wire_hello *hello = &knock->hello;

    raw_hello(hello);
    knock->pages = (uint32_t)(hello->region_bytes / PAGE);
    knock->region = xengntshr_share_pages(knock->shares, host_domain, (int)knock->pages, knock->references, 1);
    knock->directory = xengntshr_share_pages(knock->shares, host_domain, 2, knock->directories, 1);
    assert_non_null(knock->region);
    assert_non_null(knock->directory);
    knock->directory[0] = knock->directories[1];
    memcpy(knock->directory + 1024, knock->references, sizeof(knock->references));
    hello->directory = knock->directories[0];
}

static void
knock_at(struct knock *knock)
{
    prepare(knock);
    region(knock);
    publish(knock);
}

static void
say(struct knock *knock, const void *data, size_t bytes)
{
    unsigned char *ring = (unsigned char *)knock->page + TO_HOST;

    for (size_t i = 0; i < bytes; i++)
        ring[(knock->page->right.prod + i) % 2048] = ((const unsigned char *)data)[i];
    __sync_synchronize();
    knock->page->right.prod += (uint32_t)bytes;
    __sync_synchronize();
    xenevtchn_notify(knock->events, knock->port);
}

/* Until the welcome has come, or the host has left. */
static bool
answered(struct knock *knock)
{
    const unsigned char *ring = (const unsigned char *)knock->page + FROM_HOST;
    volatile struct vchan_interface *page = knock->page;

    for (int ms = test_ms(3000); ms > 0; ms -= 2) {
        bool left = page->cli_live == 0;

        if (page->left.prod - page->left.cons >= sizeof(knock->welcome)) {
            memcpy(&knock->welcome, ring + page->left.cons % 1024, sizeof(knock->welcome));
            page->left.cons += (uint32_t)sizeof(knock->welcome);
            return true;
        }
        if (left)
            return false;
        test_sleep_ms(2);
    }
    return false;
}

static void
withdraw(struct knock *knock)
{
    if (knock->region)
        munmap(knock->region, (size_t)knock->pages * PAGE);
    if (knock->directory)
        munmap(knock->directory, 2 * PAGE);
    knock->region = NULL;
    knock->directory = NULL;
}

static void
leave(struct knock *knock)
{
    withdraw(knock);
    if (knock->page)
        munmap(knock->page, PAGE);
    knock->page = NULL;
    if (knock->shares)
        xengntshr_close(knock->shares);
    if (knock->events)
        xenevtchn_close(knock->events);
    knock->shares = NULL;
    knock->events = NULL;
    if (knock->node[0])
        xs_rm(store, XBT_NULL, knock->node);
    for (size_t i = 0; i < sizeof(open_now) / sizeof(open_now[0]); i++)
        if (open_now[i] == knock)
            open_now[i] = NULL;
}

/* What a failed test has left. */
static void
clean_up(void)
{
    for (size_t i = 0; i < sizeof(open_now) / sizeof(open_now[0]); i++)
        if (open_now[i])
            leave(open_now[i]);
}

/* ---- What must be so after each -------------------------------------------------------------- */

static unsigned
nodes_left(void)
{
    unsigned count = 0;
    char **names = xs_directory(store, XBT_NULL, folder, &count);

    free(names);
    return names ? count : 0;
}

static bool
gone(const char *node, int ms)
{
    for (ms = test_ms(ms); ms > 0 && !absent(node); ms -= 20)
        test_sleep_ms(20);
    return absent(node);
}

static const struct gpuvchan_channel_options options = {
    .size = sizeof(options), .arena_bytes = 65536, .lanes = 2, .timeout_ms = 60000};

static int
serves(void)
{
    struct gpuvchan_channel *another;
    struct gpuvchan_client own_client;
    int error = gpuvchan_channel_connect(host.address, &options, &another);

    if (error != 0)
        return error;
    error = gpuvchan_client_open(another, &subject_protocol, &own_client);
    if (error == 0)
        error = subject_call(&own_client, SUBJECT_NOTE, 1);
    gpuvchan_channel_close(another);
    return error;
}

/* With the neighbour and the monitor. */
static int descriptors, nodes;

/* Only the neighbour's worker is there. */
static int
as_before(void **state)
{
    int error = subject_call(&client, SUBJECT_NOTE, 1), count = 0, workers = 0, left = 0;

    (void)state;
    check_lap();
    clean_up();
    if (error != 0 || (error = serves()) != 0) {
        print_message("# the host does not serve: %d: %s\n", error, gpuvchan_error_text());
        return 1;
    }
    for (int ms = test_ms(3000); ms > 0; ms -= 50) {
        workers = test_host_workers(&host, NULL, 0);
        left = (int)nodes_left();
        count = test_host_descriptors(&host, 0);
        if (workers == 1 && left == nodes && count == descriptors)
            break;
        test_sleep_ms(50);
    }
    if (workers != 1 || left != nodes || count != descriptors) {
        print_message("# left: %d workers, %d nodes, %d descriptors instead of %d\n", workers - 1, left - nodes, count,
                      descriptors);
        return 1;
    }
    if (test_host_said(&host, " signal ", 0)) {
        print_message("# a worker crashed; the host's log:\n%s\n", test_host_log(&host));
        return 1;
    }
    return 0;
}

/* ---- Grants ---------------------------------------------------------------------------------- */

static void
refused(struct knock *knock)
{
    say(knock, &knock->hello, sizeof(knock->hello));
    assert_true(answered(knock));
    if (knock->welcome.status >= 0)
        print_message("# directory %u: accepted\n", knock->hello.directory);
    assert_true(knock->welcome.status < 0);
    leave(knock);
}

static void
directory_grants(void **state)
{
    static const uint32_t numbers[] = {2, 7, 30000, 32767, 32768, 1u << 20, 1u << 31, UINT32_MAX};
    static struct knock knock;
    uint32_t other;
    void *page;

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        knock_at(&knock);
        knock.hello.directory = numbers[i];
        refused(&knock);
    }
    /* The guest's console and xenstore pages, which Dom0 may map: it harms none but itself. */
    for (uint32_t i = 0; i < 2; i++) {
        knock_at(&knock);
        knock.hello.directory = i;
        say(&knock, &knock.hello, sizeof(knock.hello));
        assert_true(answered(&knock));
        leave(&knock);
    }
    /* One that was taken back, and one that is for another domain. */
    knock_at(&knock);
    page = xengntshr_share_pages(knock.shares, host_domain, 1, &other, 1);
    assert_non_null(page);
    munmap(page, PAGE);
    knock.hello.directory = other;
    refused(&knock);
    knock_at(&knock);
    page = xengntshr_share_pages(knock.shares, host_domain + 1000, 1, &other, 1);
    assert_non_null(page);
    memcpy(page, knock.directory, PAGE);
    knock.hello.directory = other;
    refused(&knock);
    munmap(page, PAGE);
}

static void
directory_contents(void **state)
{
    static struct knock knock;
    uint64_t seed = 5;

    (void)state;
    for (int way = 0; way < 8; way++) {
        uint32_t *list;
        bool allowed; /* since what it names may be its own: 0 is its console's page */

        knock_at(&knock);
        list = knock.directory + 1024;
        for (int i = 0; i < 1024; i++)
            switch (way) {
            case 0:
                list[i] = 0;
                break;
            case 1:
                list[i] = UINT32_MAX;
                break;
            case 2:
                list[i] = (uint32_t)check_random(&seed);
                break;
            case 3: /* only the last of those that count */
                list[i] = i == (int)knock.pages - 1 ? 77777 : list[i];
                break;
            case 4: /* all in one page: none but the guest is harmed */
                list[i] = knock.references[0];
                break;
            case 5: /* the page of the vchan itself, and those of the directory */
                list[i] = i % 3 == 0 ? knock.page_reference : knock.directories[i % 3 - 1];
                break;
            default:
                break;
            }
        if (way == 6)
            knock.directory[0] = knock.directories[0]; /* the root page names itself */
        if (way == 7)
            knock.directory[0] = UINT32_MAX - 1;
        say(&knock, &knock.hello, sizeof(knock.hello));
        assert_true(answered(&knock));
        allowed = way == 0 || (way >= 4 && way <= 6);
        if (knock.welcome.status == 0 && !allowed)
            print_message("# way %d was accepted\n", way);
        assert_true(knock.welcome.status < 0 || allowed);
        leave(&knock);
    }
}

/* The host copies a directory once, whatever becomes of it meanwhile. */
struct flips {
    volatile unsigned char *at;
    size_t bytes;
    _Atomic int stop;
};

static NO_TSAN void *
flip(void *argument)
{
    struct flips *flips = argument;
    uint64_t seed = 99;

    while (!flips->stop)
        for (int i = 0; i < 16; i++) {
            uint64_t random = check_random(&seed);

            flips->at[random % flips->bytes] = (unsigned char)(random >> 32);
        }
    return NULL;
}

static void
directory_changes(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        static struct knock knock;
        struct flips flips = {.stop = 0};
        pthread_t thread;

        knock_at(&knock);
        flips.at = (volatile unsigned char *)(knock.directory + 1024);
        flips.bytes = 4ull * knock.pages;
        assert_int_equal(pthread_create(&thread, NULL, flip, &flips), 0);
        say(&knock, &knock.hello, sizeof(knock.hello));
        answered(&knock);
        flips.stop = 1;
        pthread_join(thread, NULL);
        leave(&knock);
    }
}

static void
too_many_pages(void **state)
{
    static const uint64_t arenas[] = {1 << 20,    8 << 20,    128 << 20, 1ull << 30, (4ull << 30) - (2 << 20),
                                      5ull << 30, 63ull << 30};

    (void)state;
    for (size_t i = 0; i < sizeof(arenas) / sizeof(arenas[0]); i++) {
        static struct knock knock;

        knock_at(&knock);
        memset(knock.directory + 1024 + knock.pages, 0xff, PAGE - 4ul * knock.pages);
        memset(knock.directory + 1, 0xff, PAGE - 4);
        knock.hello.arena_bytes = arenas[i];
        knock.hello.region_bytes = knock.hello.arena_offset + arenas[i];
        refused(&knock);
    }
}

/* ---- Doorbells ------------------------------------------------------------------------------- */

static const char *
fault_of(struct knock *knock)
{
    static char text[WIRE_FAULT_TEXT + 1];
    struct wire_region *shared = (struct wire_region *)(void *)knock->region;

    text[0] = '\0';
    for (int ms = test_ms(3000); ms > 0 && text[0] == '\0'; ms--) {
        if (atomic_load(&shared->fault) != 0)
            memcpy(text, shared->fault_text, WIRE_FAULT_TEXT);
        else
            test_sleep_ms(1);
    }
    return text;
}

static struct wire_lane *
lane_of(struct knock *knock, uint32_t lane)
{
    return (struct wire_lane *)(void *)(knock->region + wire_lane_offset(&knock->hello, lane));
}

static void
welcomed(struct knock *knock)
{
    knock_at(knock);
    say(knock, &knock->hello, sizeof(knock->hello));
    assert_true(answered(knock));
    if (knock->welcome.status != 0)
        print_message("# refused: %.190s\n", knock->welcome.text);
    assert_int_equal(knock->welcome.status, 0);
}

static void
doorbells(void **state)
{
    static const uint32_t ports[] = {0, 1, 2, 500, 1023, 1024, 4096, 131071, 1u << 31, UINT32_MAX};
    const size_t count = sizeof(ports) / sizeof(ports[0]);

    (void)state;
    for (size_t i = 0; i <= count; i++) {
        static struct knock knock;
        const char *fault;

        welcomed(&knock);
        /* The last: the channel-wide one, which the host has bound already. */
        atomic_store(&lane_of(&knock, 0)->doorbell, i < count ? ports[i] : knock.port);
        atomic_store(&lane_of(&knock, 0)->guest_state, WIRE_LANE_OPEN);
        xenevtchn_notify(knock.events, knock.port);
        fault = fault_of(&knock);
        if (!strstr(fault, "cannot be bound"))
            print_message("# port %u: fault '%s'\n", i < count ? ports[i] : knock.port, fault);
        assert_non_null(strstr(fault, "cannot be bound"));
        leave(&knock);
    }
}

static bool
pings(struct knock *knock, uint32_t lane, xenevtchn_handle *events, evtchn_port_t port)
{
    struct gpuvchan_record record = {
        .units = 1, .opcode = WIRE_CONTROL_PING, .flags = GPUVCHAN_RECORD_CALL | GPUVCHAN_RECORD_FLIP, .sequence = 1};
    uint64_t word = 0;

    memcpy(lane_of(knock, lane)->slot, &record, sizeof(record));
    atomic_store(&lane_of(knock, lane)->doorbell, port);
    atomic_store(&lane_of(knock, lane)->guest_state, WIRE_LANE_OPEN);
    xenevtchn_notify(knock->events, knock->port);
    xenevtchn_notify(events, port);
    for (int ms = test_ms(2000); ms > 0 && (word >> 40 & 0xff) != GPUVCHAN_RECORD_FLIP; ms--) {
        word = atomic_load((_Atomic uint64_t *)(void *)lane_of(knock, lane)->slot);
        test_sleep_ms(1);
    }
    return (word >> 40 & 0xff) == GPUVCHAN_RECORD_FLIP;
}

/* A guest that closes event channels that the host has bound; one for two lanes; rung without end. */
static void
doorbells_closed(void **state)
{
    static struct knock knock;

    (void)state;
    for (int way = 0; way < 3; way++) {
        evtchn_port_t port;
        xenevtchn_handle *events = xenevtchn_open(NULL, 0);

        assert_non_null(events);
        welcomed(&knock);
        port = (evtchn_port_t)xenevtchn_bind_unbound_port(events, host_domain);
        assert_true(pings(&knock, 0, events, port));
        if (way == 0) {
            xenevtchn_unbind(events, port);
            test_sleep_ms(test_ms(20));
        } else if (way == 1) {
            atomic_store(&lane_of(&knock, 1)->doorbell, port);
            atomic_store(&lane_of(&knock, 1)->guest_state, WIRE_LANE_OPEN);
            xenevtchn_notify(knock.events, knock.port);
            assert_non_null(strstr(fault_of(&knock), "cannot be bound"));
        } else {
            for (int i = 0; i < 20000; i++) {
                xenevtchn_notify(events, port);
                xenevtchn_notify(knock.events, knock.port);
            }
            assert_int_equal(subject_call(&client, SUBJECT_NOTE, 1), 0);
        }
        xenevtchn_close(events);
        leave(&knock);
    }
}

/* ---- xenstore -------------------------------------------------------------------------------- */

static void
rubbish_in_nodes(void **state)
{
    static const char digits[1000] = {'0'};
    static const struct {
        const char *text;
        size_t bytes;
    } rubbish[] = {
        {"", 0},
        {"-1", 2},
        {"-9", 2},
        {"0", 1},
        {"00000000000000000000000000012", 29},
        {"99999999999999999999999999", 26},
        {"4294967295", 10},
        {"4294967296", 10},
        {"999999", 6},
        {"0x10", 4},
        {"8 9", 3},
        {"8\0009", 3},
        {"text", 4},
        {"%s%n%s%n", 8},
        {"\xff\xfe\x01\x00\x7f", 5},
        {"8/../../9", 9},
        {digits, sizeof(digits)},
    };
    const size_t count = sizeof(rubbish) / sizeof(rubbish[0]);
    char rubbish_nodes[2 * sizeof(rubbish) / sizeof(rubbish[0])][NODE];

    (void)state;
    for (size_t i = 0; i < 2 * count; i++) {
        assert_true(named(rubbish_nodes[i]));
        set(rubbish_nodes[i], i < count ? "ring-ref" : "event-channel", rubbish[i % count].text,
            rubbish[i % count].bytes);
        set_number(rubbish_nodes[i], i < count ? "event-channel" : "ring-ref", 9);
    }
    test_sleep_ms(test_ms(200));
    assert_int_equal(serves(), 0);
    /* Some are numbers, which the host has tried; the rest is nothing to it, and stays. */
    for (size_t i = 0; i < 2 * count; i++)
        xs_rm(store, XBT_NULL, rubbish_nodes[i]);
}

/* To services and hosts that there are not, or nearly. */
static void
wrong_services(void **state)
{
    static const char *const services[] = {"",          "/",         "plain",      "%u",        "%u/",
                                           "%u/plai",   "%u/plain2", "%u/nobody",  "0%u/plain", " %u/plain",
                                           "%u/plain/", "-1/plain",  "99999/plain"};
    char nodes_made[sizeof(services) / sizeof(services[0])][NODE], to[100];

    (void)state;
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        const char *number = strstr(services[i], "%u");

        if (number)
            snprintf(to, sizeof(to), "%.*s%u%s", (int)(number - services[i]), services[i], host_domain, number + 2);
        else
            snprintf(to, sizeof(to), "%s", services[i]);
        assert_true(named(nodes_made[i]));
        assert_true(set(nodes_made[i], "to", to, strlen(to)));
        set_number(nodes_made[i], "ring-ref", 8);
        set_number(nodes_made[i], "event-channel", 9);
    }
    test_sleep_ms(test_ms(50));
    assert_int_equal(test_host_workers(&host, NULL, 0), 1);
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        assert_false(absent(nodes_made[i]));
        xs_rm(store, XBT_NULL, nodes_made[i]);
    }
}

/* Right numbers below wrong names, deeper nodes, and more of them. */
static void
wrong_names(void **state)
{
    static const char *const names[] = {
        "x",       "0123456789a", "0123456789abc", "0123456789AB", "0123456789ag",   "ring-ref",
        "refused", "host",        "------------",  "0123456789a.", "@releaseDomain", "0123456789ab/0123456789ab"};
    char to[40];
    char node[NODE + 300], longest[230];

    (void)state;
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    snprintf(to, sizeof(to), "%u/" SERVICE, host_domain);
    for (size_t i = 0; i <= sizeof(names) / sizeof(names[0]); i++) {
        snprintf(node, sizeof(node), "%s/%s", folder, i < sizeof(names) / sizeof(names[0]) ? names[i] : longest);
        if (!xs_mkdir(store, XBT_NULL, node))
            continue; /* no name for xenstored either */
        share(node);
        set(node, "to", to, strlen(to));
        set(node, "ring-ref", "8", 1);
        set(node, "event-channel", "9", 1);
        test_sleep_ms(test_ms(20));
        assert_int_equal(test_host_workers(&host, NULL, 0), 1);
        assert_false(absent(node));
        xs_rm(store, XBT_NULL, node);
    }
    snprintf(node, sizeof(node), "%s/0123456789ab", folder);
    xs_rm(store, XBT_NULL, node);
}

/* As many as xenstored allows a domain: all look like guests that wait. */
static void
all_nodes(void **state)
{
    unsigned count = 0;
    char node[NODE];

    (void)state;
    for (;; count++) {
        if (!named(node) || !set(node, "ring-ref", "30000", 5) || !set(node, "event-channel", "1000", 4))
            break;
        if (count > 5000)
            break;
    }
    print_message("# %u channels fit into xenstore\n", count);
    assert_int_equal(subject_call(&client, SUBJECT_NOTE, 1), 0);
    xs_rm(store, XBT_NULL, node); /* it is not complete, or not there */
    /* The host clears away what nobody serves, refusals after a while. */
    for (int ms = test_ms(10000); ms > 0 && nodes_left() > (unsigned)nodes; ms -= 50)
        test_sleep_ms(50);
    assert_int_equal(nodes_left(), nodes);
}

/* "refused" is the host's to write. */
static void
own_refusals(void **state)
{
    static struct knock knock;

    (void)state;
    prepare(&knock);
    set(knock.node, "refused", "-13 says the guest itself", 25);
    publish(&knock);
    assert_true(gone(knock.node, 15000));
    leave(&knock);
}

static void
node_storm(void **state)
{
    static struct knock knock;

    (void)state;
    prepare(&knock);
    set_number(knock.node, "ring-ref", knock.page_reference);
    for (unsigned i = 0; i < check_rounds(2000); i++)
        xs_write(store, XBT_NULL, knock.node, "again", 5);
    assert_int_equal(subject_call(&client, SUBJECT_NOTE, 1), 0);
    assert_int_equal(serves(), 0);
    leave(&knock);
}

/* The nodes are the guest's: it takes the host's access to them away, or removes them while it is served. */
static void
nodes_withdrawn(void **state)
{
    struct xs_permissions none = {.id = own, .perms = XS_PERM_NONE};
    static struct knock knock;
    char path[NODE + 20];

    (void)state;
    knock_at(&knock);
    snprintf(path, sizeof(path), "%s/ring-ref", knock.node);
    xs_set_permissions(store, XBT_NULL, path, &none, 1);
    xs_set_permissions(store, XBT_NULL, knock.node, &none, 1);
    test_sleep_ms(test_ms(50));
    leave(&knock);
    welcomed(&knock);
    xs_rm(store, XBT_NULL, knock.node);
    test_sleep_ms(test_ms(50));
    leave(&knock);
}

/* ---- The vchan's page ------------------------------------------------------------------------ */

static void
page_contents(void **state)
{
    static const struct {
        uint16_t left, right;
        struct ring_shared left_ring, right_ring;
        uint8_t cli_live, srv_live;
    } wrong[] = {
        {.left = 0, .right = 0, .srv_live = 1},
        {.left = 9, .right = 9, .srv_live = 1},
        {.left = 10, .right = 10, .srv_live = 1},
        {.left = 11, .right = 11, .srv_live = 1},
        {.left = 12, .right = 11, .srv_live = 1},
        {.left = 10, .right = 20, .srv_live = 1},
        {.left = 20, .right = 20, .srv_live = 1},
        {.left = 21, .right = 31, .srv_live = 1},
        {.left = 32, .right = 33, .srv_live = 1},
        {.left = 0xffff, .right = 0xffff, .srv_live = 1},
        {.left = 10, .right = 11, .srv_live = 0},
        {.left = 10, .right = 11, .srv_live = 255, .cli_live = 255},
        {.left = 10, .right = 11, .srv_live = 1, .right_ring = {.prod = UINT32_MAX}},
        {.left = 10, .right = 11, .srv_live = 1, .right_ring = {.prod = 1u << 31}},
        {.left = 10, .right = 11, .srv_live = 1, .right_ring = {.cons = 1}},
        {.left = 10, .right = 11, .srv_live = 1, .right_ring = {.cons = UINT32_MAX, .prod = 2049}},
        {.left = 10, .right = 11, .srv_live = 1, .left_ring = {.cons = 5000}},
        {.left = 10, .right = 11, .srv_live = 1, .left_ring = {.prod = UINT32_MAX, .cons = 7}},
    };
    static struct knock knocks[sizeof(wrong) / sizeof(wrong[0])];
    uint64_t seed = 3;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct vchan_interface *page;

        prepare(&knocks[i]);
        page = knocks[i].page;
        for (int j = 0; j < 200; j++)
            page->grants[j] = (uint32_t)check_random(&seed) % 40000;
        page->left_order = wrong[i].left;
        page->right_order = wrong[i].right;
        page->left = wrong[i].left_ring;
        page->right = wrong[i].right_ring;
        page->cli_live = wrong[i].cli_live;
        page->srv_live = wrong[i].srv_live;
        publish(&knocks[i]);
    }
    /* Some of them wait for a hello until the host does not any more; others are served meanwhile. */
    assert_int_equal(serves(), 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_true(gone(knocks[i].node, 10000));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        leave(&knocks[i]);
}

static void
page_changes(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        static struct knock knock;
        struct flips flips = {.stop = 0};
        pthread_t thread;

        knock_at(&knock);
        flips.at = (volatile unsigned char *)knock.page;
        /* All of it, or only positions and notification bits: then more happens before the host leaves. */
        flips.bytes = i % 2 ? PAGE : 16;
        say(&knock, &knock.hello, sizeof(knock.hello));
        assert_int_equal(pthread_create(&thread, NULL, flip, &flips), 0);
        for (int j = 0; j < 50; j++) {
            xenevtchn_notify(knock.events, knock.port);
            test_sleep_ms(2);
        }
        flips.stop = 1;
        pthread_join(thread, NULL);
        leave(&knock);
    }
}

/* ---- Coming and going ------------------------------------------------------------------------ */

static void
closed_at_once(void **state)
{
    static struct knock knock;
    int status;
    pid_t pid;

    (void)state;
    for (int i = 0; i < 15; i++) {
        prepare(&knock);
        publish(&knock);
        leave(&knock);
    }
    /* A process that dies leaves its nodes behind, which the host clears away. */
    for (int i = 0; i < 3; i++) {
        char node[NODE] = "";
        int ends[2];

        assert_int_equal(pipe(ends), 0);
        pid = fork();
        if (pid == 0) {
            store = xs_open(0);
            if (i == 0) {
                prepare(&knock);
                publish(&knock);
            } else if (i == 1) {
                knock_at(&knock);
                say(&knock, &knock.hello, sizeof(knock.hello));
            } else {
                welcomed(&knock);
            }
            (void)!write(ends[1], knock.node, sizeof(knock.node));
            _exit(0);
        }
        close(ends[1]);
        assert_int_equal(read(ends[0], node, sizeof(node)), sizeof(node));
        close(ends[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(gone(node, 10000));
    }
}

static void
silent_guests(void **state)
{
    static struct knock knocks[6];
    uint64_t started = test_now_ms();

    (void)state;
    for (int i = 0; i < 6; i++) {
        knock_at(&knocks[i]);
        if (i > 2) /* a part of a hello, or nearly all */
            say(&knocks[i], &knocks[i].hello, i == 3 ? 1 : i == 4 ? 100 : sizeof(knocks[i].hello) - 1);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(serves(), 0);
    for (int i = 0; i < 6; i++)
        assert_true(gone(knocks[i].node, 10000)); /* it waits for 5 s */
    assert_true(test_host_said(&host, "did not say hello within", 1000));
    print_message("# they were left after %llu ms\n", (unsigned long long)(test_now_ms() - started));
    for (int i = 0; i < 6; i++)
        leave(&knocks[i]);
}

static void
region_withdrawn(void **state)
{
    static struct knock knock;

    (void)state;
    for (int i = 0; i < 12; i++) {
        if (i % 3 == 2)
            welcomed(&knock);
        else
            knock_at(&knock);
        if (i % 3 != 2)
            say(&knock, &knock.hello, sizeof(knock.hello));
        if (i % 3 == 1)
            test_sleep_ms(i);
        withdraw(&knock); /* before, while or after the host maps it */
        if (i % 3 == 2)
            xenevtchn_notify(knock.events, knock.port);
        else
            answered(&knock);
        leave(&knock);
    }
}

static void
more_than_a_hello(void **state)
{
    static const unsigned char rubbish[1024] = {0xee};
    static struct knock knock;

    (void)state;
    welcomed(&knock);
    for (int i = 0; i < 10; i++)
        say(&knock, rubbish, sizeof(rubbish));
    assert_true(pings(&knock, 0, knock.events, (evtchn_port_t)xenevtchn_bind_unbound_port(knock.events, host_domain)));
    leave(&knock);
}

/* ---- Run ------------------------------------------------------------------------------------- */

static int
start(void **state)
{
    unsigned bytes;
    char *text;
    int error;

    (void)state;
    store = xs_open(0);
    text = store ? xs_read(store, XBT_NULL, "domid", &bytes) : NULL;
    if (!text)
        return 1;
    own = (uint32_t)atoi(text);
    free(text);
    snprintf(folder, sizeof(folder), "/local/domain/%u/data/gpuvchan", own);
    error = gpuvchan_channel_connect(host.address, &options, &channel);
    if (error == 0)
        error = gpuvchan_client_open(channel, &subject_protocol, &client);
    if (error == 0)
        error = serves();
    if (error != 0) {
        print_message("# %d: %s\n", error, gpuvchan_error_text());
        return 1;
    }
    test_sleep_ms(test_ms(100));
    descriptors = test_host_descriptors(&host, 0);
    nodes = (int)nodes_left();
    return 0;
}

static int
stop(void **state)
{
    int error = subject_call(&client, SUBJECT_NOTE, 1);

    (void)state;
    gpuvchan_channel_close(channel);
    if (error != 0 || test_host_quiet(&host, 4000) != 0)
        return 1;
    xs_close(store);
    return test_host_stop(&host);
}

#define TEST(function) cmocka_unit_test_teardown(function, as_before)

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(directory_grants), TEST(directory_contents), TEST(directory_changes), TEST(too_many_pages),
        TEST(doorbells),        TEST(doorbells_closed),   TEST(rubbish_in_nodes),  TEST(wrong_services),
        TEST(wrong_names),      TEST(all_nodes),          TEST(own_refusals),      TEST(node_storm),
        TEST(nodes_withdrawn),  TEST(page_contents),      TEST(page_changes),      TEST(closed_at_once),
        TEST(silent_guests),    TEST(region_withdrawn),   TEST(more_than_a_hello),
    };

    check_begin();
    if (argc != 2 || sscanf(argv[1], "xen:%u", &host_domain) != 1) {
        printf("1..0 # SKIP usage: hostile_xen xen:DOMAIN, in a domain of Xen\n");
        return 0;
    }
    if (test_host_find(&host, argv[1], SERVICE) != 0)
        return 1;
    return cmocka_run_group_tests_name("hostile guest on Xen", tests, start, stop);
}
