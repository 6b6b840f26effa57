/* SPDX-License-Identifier: MIT */
/* The digest: of known data, the same with any number of threads, and other for other data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <gpuvchan/gpuvchan.h>

#define MIB ((size_t)1 << 20)

static const char *
digest_of(const void *data, size_t bytes, unsigned threads)
{
    static char text[2 * GPUVCHAN_DIGEST + 1];
    uint8_t digest[GPUVCHAN_DIGEST];

    gpuvchan_digest(data, bytes, threads, digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        sprintf(text + 2 * i, "%02x", digest[i]);
    return text;
}

static void
test_known(void **state)
{
    (void)state;
    /* printf '' | sha256sum; printf abc | sha256sum | xxd -r -p | sha256sum */
    assert_string_equal(digest_of("", 0, 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_string_equal(digest_of("abc", 3, 1), "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358");
}

static void
test_threads(void **state)
{
    const size_t sizes[] = {1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 13 * MIB + 5};
    unsigned char *data = malloc(13 * MIB + 5);
    char single[65];

    (void)state;
    assert_non_null(data);
    for (size_t i = 0; i < 13 * MIB + 5; i++)
        data[i] = (unsigned char)(i * 7 >> 3);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        strcpy(single, digest_of(data, sizes[i], 0));
        for (unsigned threads = 1; threads < 40; threads = threads * 2 + 1)
            assert_string_equal(digest_of(data, sizes[i], threads), single);
        data[sizes[i] - 1] ^= 1;
        assert_string_not_equal(digest_of(data, sizes[i], 3), single);
        data[sizes[i] - 1] ^= 1;
    }
    free(data);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known), cmocka_unit_test(test_threads)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
