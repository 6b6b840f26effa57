/* SPDX-License-Identifier: MIT */
/* What Xen allows to share: the arithmetic, and what is read from a tree of files. */
#include "xen/limits.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static struct gpuvchan__xen_facts
facts_of(uint64_t limit, uint32_t frames)
{
    return (struct gpuvchan__xen_facts){.xen = true,
                                        .gntalloc = true,
                                        .gntalloc_limit = limit,
                                        .frames_known = true,
                                        .frames_max = frames,
                                        .frame_entries = 512};
}

/* ---- Arithmetic ------------------------------------------------------------------------------ */

static void
test_grants_for(void **state)
{
    (void)state;
    assert_int_equal(gpuvchan__xen_grants_for(1), 1 + 1 + XEN_LIMITS_CHANNEL);
    assert_int_equal(gpuvchan__xen_grants_for(1024), 1024 + 1 + XEN_LIMITS_CHANNEL);
    assert_int_equal(gpuvchan__xen_grants_for(1025), 1025 + 2 + XEN_LIMITS_CHANNEL);
    assert_int_equal(gpuvchan__xen_grants_for(16384), 16384 + 16 + XEN_LIMITS_CHANNEL);
    assert_true(gpuvchan__xen_grants_for(UINT64_MAX) >= 1ull << 48);
}

static void
test_safe_grants(void **state)
{
    struct gpuvchan__xen_facts facts = facts_of(1024, 64);

    (void)state;
    assert_int_equal(gpuvchan__xen_safe_grants(&facts), 64 * 512 - 4096);
    facts.frame_entries = 256;
    assert_int_equal(gpuvchan__xen_safe_grants(&facts), 64 * 256 - 4096);
    facts.frames_max = 4;
    assert_int_equal(gpuvchan__xen_safe_grants(&facts), 0);
}

static void
test_frames_for(void **state)
{
    struct gpuvchan__xen_facts facts = facts_of(1024, 64);

    (void)state;
    assert_int_equal(gpuvchan__xen_frames_for(&facts, 1), 64);
    assert_int_equal(gpuvchan__xen_frames_for(&facts, 16384), 64);
    assert_int_equal(gpuvchan__xen_frames_for(&facts, 65536), 192);
    assert_int_equal(gpuvchan__xen_frames_for(&facts, UINT64_MAX), UINT32_MAX);
    /* What it says is enough. */
    for (uint64_t pages = 1; pages < 1000000; pages += 997) {
        facts.frames_max = gpuvchan__xen_frames_for(&facts, pages);
        assert_true(gpuvchan__xen_safe_grants(&facts) >= gpuvchan__xen_grants_for(pages));
        facts.frames_max -= 64;
        assert_true(facts.frames_max == 0 || gpuvchan__xen_safe_grants(&facts) < gpuvchan__xen_grants_for(pages));
    }
}

/* Never more than a limit, and never less than it allows. */
static void
test_judge_is_exact(void **state)
{
    (void)state;
    for (uint64_t limit = 0; limit < 40000; limit++) {
        struct gpuvchan__xen_facts facts = facts_of(limit, 64);
        uint64_t most = limit < 28672 ? limit : 28672;
        uint64_t pages = gpuvchan__xen_judge(&facts, UINT64_MAX, NULL, 0);

        assert_true(pages == 0 || gpuvchan__xen_grants_for(pages) <= most);
        assert_true(gpuvchan__xen_grants_for(pages + 1) > most);
        assert_int_equal(gpuvchan__xen_judge(&facts, 100, NULL, 0), pages < 100 ? pages : 100);
    }
}

/* ---- Explanations ---------------------------------------------------------------------------- */

static void
test_why(void **state)
{
    struct gpuvchan__xen_facts facts = facts_of(28672, 64);
    char why[XEN_LIMITS_WHY];

    (void)state;
    assert_int_equal(gpuvchan__xen_judge(&facts, 16384, why, sizeof(why)), 16384);
    assert_string_equal(why, "");

    facts.gntalloc_limit = 1024;
    assert_int_equal(gpuvchan__xen_judge(&facts, 16384, why, sizeof(why)), 1007);
    assert_non_null(strstr(why, "grant 1024 pages in all, and 16416 are needed"));
    assert_non_null(strstr(why, "Do: echo 28672 > /sys/module/xen_gntalloc/parameters/limit; "));
    assert_non_null(strstr(why, "'options xen-gntalloc limit=28672' > /etc/modprobe.d/gpuvchan.conf"));

    facts.gntalloc_limit = 200000;
    assert_int_equal(gpuvchan__xen_judge(&facts, 65536, why, sizeof(why)), 28628);
    assert_non_null(strstr(why, "64 frames, for 28672 pages of all programs, and 65616 are needed"));
    assert_non_null(strstr(why, "max_grant_frames=192"));
    assert_non_null(strstr(why, "gnttab_max_frames=192"));
    assert_non_null(strstr(why, "limit=94208'"));
    facts.frames_known = false;
    gpuvchan__xen_judge(&facts, 65536, why, sizeof(why));
    assert_non_null(strstr(why, "64 frames (Xen's default, for want of an answer: if there are N, as root: "
                                "xenstore-write data/gpuvchan/frames N)"));

    assert_int_equal(gpuvchan__xen_judge(&facts, 16384, why, sizeof(why)), 16384);
    assert_non_null(strstr(why, "200000 pages is above the 28672"));

    /* As many as possible: about the nearer limit, and nothing is said to be needed. */
    gpuvchan__xen_judge(&facts, XEN_LIMITS_ALL, why, sizeof(why));
    assert_non_null(strstr(why, "for 28672 pages of all programs. Do: put max_grant_frames=128"));
    facts.gntalloc_limit = 1024;
    gpuvchan__xen_judge(&facts, UINT64_MAX, why, sizeof(why));
    assert_non_null(strstr(why, "grant 1024 pages in all. Do: echo 28672 > "));

    facts.gntalloc = false;
    facts.gntalloc_limit = 0;
    assert_int_equal(gpuvchan__xen_judge(&facts, 16384, why, sizeof(why)), 0);
    assert_non_null(strstr(why, "Do: modprobe xen-gntalloc"));
}

/* The longest texts fit, and a small buffer is not overrun. */
static void
test_why_fits(void **state)
{
    struct gpuvchan__xen_facts facts = facts_of(UINT64_MAX, UINT32_MAX / 2);
    char why[2 * XEN_LIMITS_WHY], small[8] = "1234567";

    (void)state;
    facts.frames_known = false;
    gpuvchan__xen_judge(&facts, XEN_LIMITS_ALL - 1, why, sizeof(why));
    assert_true(strlen(why) > 100 && strlen(why) < XEN_LIMITS_WHY);
    gpuvchan__xen_judge(&facts, 1, why, sizeof(why));
    assert_true(strlen(why) > 100 && strlen(why) < XEN_LIMITS_WHY);
    gpuvchan__xen_judge(&facts, 1, small, 4);
    assert_int_equal(strlen(small), 3);
    assert_string_equal(small + 4, "567");
    gpuvchan__xen_judge(&facts, 1, small, 0);
}

/* ---- Files ----------------------------------------------------------------------------------- */

struct tree {
    char root[64];
};

static void
put(const struct tree *tree, const char *path, const char *text)
{
    char name[256];
    int fd;

    snprintf(name, sizeof(name), "%s%s", tree->root, path);
    for (char *at = name + strlen(tree->root) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        mkdir(name, 0755);
        *at = '/';
    }
    fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static int
tree_create(void **state)
{
    static struct tree tree;
    const char *folder = getenv("TMPDIR");

    snprintf(tree.root, sizeof(tree.root), "%.30s/gpuvchan-limits.XXXXXX", folder ? folder : "/tmp");
    *state = &tree;
    return mkdtemp(tree.root) ? 0 : -1;
}

static int
tree_destroy(void **state)
{
    const struct tree *tree = *state;
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", tree->root);
    return system(command);
}

static void
test_nothing(void **state)
{
    const struct tree *tree = *state;
    struct gpuvchan__xen_facts facts;
    char why[XEN_LIMITS_WHY], text[8] = "x";

    gpuvchan__xen_facts_read(tree->root, &facts);
    assert_false(facts.xen || facts.control || facts.gntalloc || facts.gntdev || facts.frames_known);
    assert_string_equal(facts.version, "");
    assert_int_equal(facts.frames_max, 64);
    assert_int_equal(gpuvchan__xen_grantable(tree->root, 1, why, sizeof(why)), 0);
    assert_true(gpuvchan__xen_file_line(tree->root, "/no/such", text, sizeof(text)) < 0);
    assert_string_equal(text, "");
}

static void
test_guest(void **state)
{
    const struct tree *tree = *state;
    struct gpuvchan__xen_facts facts;
    char why[XEN_LIMITS_WHY];

    put(tree, "/sys/hypervisor/type", "xen\n");
    put(tree, "/sys/hypervisor/guest_type", "PVH\n");
    put(tree, "/sys/hypervisor/version/major", "4\n");
    put(tree, "/sys/hypervisor/version/minor", "17\n");
    put(tree, "/sys/hypervisor/version/extra", ".7\n");
    put(tree, "/proc/xen/capabilities", "");
    put(tree, "/sys/module/xen_gntalloc/parameters/limit", "20000\n");
    put(tree, "/sys/module/xen_gntdev/parameters/limit", "65536\n");
    put(tree, "/gnttab", "5 256\n");
    gpuvchan__xen_facts_read(tree->root, &facts);
    assert_true(facts.xen && facts.gntalloc && facts.gntdev && facts.frames_known);
    assert_false(facts.control);
    assert_string_equal(facts.version, "4.17.7");
    assert_string_equal(facts.type, "PVH");
    assert_int_equal(facts.gntalloc_limit, 20000);
    assert_int_equal(facts.gntdev_limit, 65536);
    assert_int_equal(facts.frames_used, 5);
    assert_int_equal(facts.frames_max, 256);
    assert_int_equal(gpuvchan__xen_grantable(tree->root, 16384, why, sizeof(why)), 16384);
    assert_string_equal(why, "");
    assert_true(gpuvchan__xen_module_loaded(tree->root, "xen_gntalloc"));
    assert_false(gpuvchan__xen_module_loaded(tree->root, "xen_evtchn"));
}

static void
test_odd_files(void **state)
{
    const struct tree *tree = *state;
    struct gpuvchan__xen_facts facts;

    put(tree, "/proc/xen/capabilities", "control_d\n");
    put(tree, "/sys/hypervisor/type", "");
    put(tree, "/sys/module/xen_gntalloc/parameters/limit", "-1\n"); /* it is a signed int */
    put(tree, "/sys/module/xen_gntdev/parameters/limit", "12x\n");
    put(tree, "/gnttab", "junk\n");
    gpuvchan__xen_facts_read(tree->root, &facts);
    assert_true(facts.xen && facts.control && !facts.frames_known);
    assert_int_equal(facts.gntalloc_limit, XEN_LIMITS_GNTALLOC_DEFAULT);
    assert_int_equal(facts.gntdev_limit, 65536);
    assert_int_equal(facts.frames_max, 64);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grants_for),
        cmocka_unit_test(test_safe_grants),
        cmocka_unit_test(test_frames_for),
        cmocka_unit_test(test_judge_is_exact),
        cmocka_unit_test(test_why),
        cmocka_unit_test(test_why_fits),
        cmocka_unit_test_setup_teardown(test_nothing, tree_create, tree_destroy),
        cmocka_unit_test_setup_teardown(test_guest, tree_create, tree_destroy),
        cmocka_unit_test_setup_teardown(test_odd_files, tree_create, tree_destroy),
    };

    check_begin();
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
