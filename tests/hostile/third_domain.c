/* SPDX-License-Identifier: MIT */
/*
 * A domain that wants to look into the channel between two others. Usage: third_domain GUEST HOST NODE
 * RING-REF PORT: the two domains' numbers, and what the channel's node in xenstore says, which this domain
 * cannot know, but guess.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <libxenvchan.h>
#include <xenstore.h>

#include "check.h"

#define GUESSES 600 /* references and ports below that are tried, too */

static uint32_t guest, host, reference, port;
static const char *node;
static struct xs_handle *store;

static void
denied(const char *parent, const char *key, bool writing)
{
    char path[300];
    unsigned bytes;
    void *value = NULL;
    bool done;

    snprintf(path, sizeof(path), "%s%s%s", parent, key[0] ? "/" : "", key);
    errno = 0;
    if (writing)
        done = xs_write(store, XBT_NULL, path, "-13 go away", 11);
    else
        done = (value = xs_read(store, XBT_NULL, path, &bytes)) != NULL;
    if (done || errno != EACCES)
        print_message("# %s %s: %s\n", writing ? "writing" : "reading", path, done ? "it can" : strerror(errno));
    free(value);
    assert_false(done);
    assert_int_equal(errno, EACCES);
}

static void
nodes_are_closed(void **state)
{
    static const char *const keys[] = {"ring-ref", "event-channel", "refused", "to", ""};

    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(keys[i], "refused") != 0 && keys[i][0])
            denied(node, keys[i], false);
        denied(node, keys[i], true);
    }
}

static void
others_places_are_closed(void **state)
{
    char path[200];

    (void)state;
    snprintf(path, sizeof(path), "/local/domain/%u/data/gpuvchan", guest);
    denied(path, "0123456789ab", true);
    denied(path, "host", true); /* who could send a guest to another host */
    snprintf(path, sizeof(path), "/local/domain/%u/data/gpuvchan", host);
    denied(path, "plain", true);
    denied(path, "default", true);
    assert_false(xs_rm(store, XBT_NULL, node));
}

static void
grants_are_closed(void **state)
{
    xengnttab_handle *grants = xengnttab_open(NULL, 0);

    (void)state;
    assert_non_null(grants);
    for (uint32_t i = 0; i <= GUESSES; i++) {
        uint32_t number = i == GUESSES ? reference : i;
        void *page = xengnttab_map_grant_ref(grants, guest, number, PROT_READ);

        if (page)
            print_message("# grant %u of domain %u can be mapped\n", number, guest);
        assert_null(page);
    }
    xengnttab_close(grants);
}

static void
event_channels_are_closed(void **state)
{
    xenevtchn_handle *events = xenevtchn_open(NULL, 0);

    (void)state;
    assert_non_null(events);
    for (uint32_t i = 0; i <= GUESSES; i++) {
        uint32_t number = i == GUESSES ? port : i;
        xenevtchn_port_or_error_t bound = xenevtchn_bind_interdomain(events, guest, number);

        if (bound >= 0)
            print_message("# port %u of domain %u can be bound\n", number, guest);
        assert_true(bound < 0);
    }
    xenevtchn_close(events);
}

static void
the_vchan_is_closed(void **state)
{
    (void)state;
    assert_null(libxenvchan_client_init(NULL, (int)guest, node));
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_are_closed),    cmocka_unit_test(others_places_are_closed),
        cmocka_unit_test(grants_are_closed),   cmocka_unit_test(event_channels_are_closed),
        cmocka_unit_test(the_vchan_is_closed),
    };
    int failed;

    check_begin();
    if (argc != 6) {
        printf("1..0 # SKIP usage: third_domain GUEST HOST NODE RING-REF PORT, in a domain of Xen\n");
        return 0;
    }
    guest = (uint32_t)atoi(argv[1]);
    host = (uint32_t)atoi(argv[2]);
    node = argv[3];
    reference = (uint32_t)atoi(argv[4]);
    port = (uint32_t)atoi(argv[5]);
    store = xs_open(0);
    if (!store) {
        printf("Bail out! no xenstore\n");
        return 1;
    }
    if (!freopen("/dev/null", "w", stderr)) /* Xen's libraries say what fails there */
        return 1;
    failed = cmocka_run_group_tests_name("third domain", tests, NULL, NULL);
    xs_close(store);
    return failed;
}
