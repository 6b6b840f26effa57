/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include <gpuvchan/plugin.h>

#include "check.h"

static void
accepts(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"1", 1},
        {"4096", 4096},
        {"007", 7},
        {"1K", 1024},
        {"1k", 1024},
        {"64M", 64ull << 20},
        {"64m", 64ull << 20},
        {"3G", 3ull << 30},
        {"2t", 2ull << 40},
        {"0T", 0},
        {"18446744073709551615", UINT64_MAX},
        {"18014398509481983K", 18014398509481983ull << 10},
        {"16777215T", 16777215ull << 40},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t bytes = 77;

        assert_int_equal(gpuvchan_parse_size(good[i].text, &bytes), 0);
        assert_true(bytes == good[i].bytes);
    }
}

static void
refuses(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        " 1",
        "1 ",
        "-1",
        "+1",
        "K",
        "1KB",
        "1KK",
        "1B",
        "1E",
        "0x10",
        "1.5G",
        "1,000",
        "ten",
        "18446744073709551616",
        "18014398509481984K",
        "16777216T",
        "99999999999999999999999999",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t bytes = 77;

        assert_int_equal(gpuvchan_parse_size(bad[i], &bytes), -EINVAL);
        assert_true(bytes == 77);
        assert_non_null(strstr(gpuvchan_error_text(), "is not a size"));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),
        cmocka_unit_test(refuses),
    };

    check_begin();
    return cmocka_run_group_tests_name("size", tests, NULL, NULL);
}
