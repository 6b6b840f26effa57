/* SPDX-License-Identifier: MIT */
/* What sessions of one guest share, and others do not get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "share.h"

static struct gpuvchan__share first, second, other, nobody;

static int
setup(void **state)
{
    (void)state;
    gpuvchan__share_init(&first, "domain 7");
    gpuvchan__share_init(&second, "domain 7");
    gpuvchan__share_init(&other, "domain 70");
    gpuvchan__share_init(&nobody, "");
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    gpuvchan__share_finish(&first);
    gpuvchan__share_finish(&second);
    gpuvchan__share_finish(&other);
    gpuvchan__share_finish(&nobody);
    return 0;
}

static int
take(const struct gpuvchan__share *share, const struct gpuvchan_session_token *token, char text[32], int *fd)
{
    size_t bytes = 32;
    int error = gpuvchan__share_take(share, token, text, &bytes, fd);

    if (error == 0)
        text[bytes] = '\0';
    return error;
}

static void
test_bytes(void **state)
{
    struct gpuvchan_session_token token, again, different;
    char text[32] = "";
    int fd = 99;

    (void)state;
    assert_int_equal(gpuvchan__share_offer(&first, "one", 3, -1, &token), 0);
    assert_int_equal(gpuvchan__share_offer(&first, "one", 3, -1, &again), 0);
    assert_int_equal(gpuvchan__share_offer(&first, "two", 3, -1, &different), 0);
    assert_memory_equal(&token, &again, sizeof(token));
    assert_memory_not_equal(&token, &different, sizeof(token));
    assert_int_equal(take(&second, &token, text, &fd), 0);
    assert_string_equal(text, "one");
    assert_int_equal(fd, -1);
    assert_int_equal(take(&first, &different, text, &fd), 0); /* one's own */
    assert_string_equal(text, "two");
}

static void
test_descriptor(void **state)
{
    int memory = memfd_create("shared", MFD_CLOEXEC), fd = -1;
    struct gpuvchan_session_token token, again;
    char text[32] = "", read[8] = "";

    (void)state;
    assert_int_equal(pwrite(memory, "written", 8, 0), 8);
    assert_int_equal(gpuvchan__share_offer(&first, "", 0, memory, &token), 0);
    assert_int_equal(gpuvchan__share_offer(&first, "", 0, memory, &again), 0);
    assert_memory_not_equal(&token, &again, sizeof(token));
    close(memory);
    assert_int_equal(take(&second, &token, text, &fd), 0);
    assert_int_equal(pread(fd, read, 8, 0), 8);
    assert_string_equal(read, "written");
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    gpuvchan__share_end(&second, &token); /* not its own */
    assert_int_equal(take(&second, &token, text, &fd), 0);
    close(fd);
    gpuvchan__share_end(&first, &token);
    gpuvchan__share_end(&first, &token);
    assert_int_equal(take(&second, &token, text, &fd), -ENOENT);
    assert_int_equal(take(&second, &again, text, &fd), 0);
    close(fd);
}

static void
test_guests(void **state)
{
    struct gpuvchan_session_token token, none;
    char text[32] = "";
    int fd = -1;

    (void)state;
    assert_int_equal(gpuvchan__share_offer(&first, "secret", 6, -1, &token), 0);
    assert_int_equal(take(&other, &token, text, &fd), -ENOENT);
    assert_int_equal(take(&nobody, &token, text, &fd), -EACCES);
    assert_int_equal(gpuvchan__share_offer(&nobody, "secret", 6, -1, &none), -EACCES);
    token.bytes[31] ^= 1;
    assert_int_equal(take(&second, &token, text, &fd), -ENOENT);
    token.bytes[31] ^= 1;
    token.bytes[0] ^= 1;
    assert_int_equal(take(&second, &token, text, &fd), -ENOENT);
    token.bytes[0] ^= 1;
    assert_int_equal(take(&second, &token, text, &fd), 0);
}

static void
test_limits(void **state)
{
    unsigned char many[GPUVCHAN_SHARE_BYTES + 1] = {0};
    struct gpuvchan_session_token token;
    size_t bytes = 4;
    int fd = -1;

    (void)state;
    assert_int_equal(gpuvchan__share_offer(&first, many, sizeof(many), -1, &token), -E2BIG);
    assert_int_equal(gpuvchan__share_offer(&first, many, GPUVCHAN_SHARE_BYTES, -1, &token), 0);
    assert_int_equal(gpuvchan__share_take(&second, &token, many, &bytes, &fd), -EMSGSIZE);
    assert_int_equal(gpuvchan__share_offer(&first, many, 1, 9999, &token), -EBADF);
}

/* Who does not speak as a worker does gets nothing, and the next one is served. */
static void
test_strangers(void **state)
{
    struct gpuvchan_session_token token;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[32] = "", answer[512];
    int fd, length;

    (void)state;
    assert_int_equal(gpuvchan__share_offer(&first, "still", 5, -1, &token), 0);
    length = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "gpuvchan-share-");
    for (unsigned i = 0; i < 16; i++)
        length += snprintf(address.sun_path + 1 + length, 3, "%02x", token.bytes[i]);
    for (int round = 0; round < 3; round++) {
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address,
                                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)),
                         0);
        if (round == 1) {
            assert_int_equal(send(fd, "short", 5, 0), 5);
            assert_true(recv(fd, answer, sizeof(answer), 0) <= 0);
        } else if (round == 2) {
            memset(answer, 0xee, sizeof(answer));
            assert_int_equal(send(fd, answer, 88, 0), 88);
            recv(fd, answer, sizeof(answer), 0);
            assert_null(memmem(answer, sizeof(answer), "still", 5));
        }
        close(fd);
    }
    assert_int_equal(take(&second, &token, text, &fd), 0);
    assert_string_equal(text, "still");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_descriptor, setup, teardown),
        cmocka_unit_test_setup_teardown(test_guests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strangers, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
