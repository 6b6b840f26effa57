/* SPDX-License-Identifier: MIT */
/* What the supervisor keeps for workers, and what it takes from one that is not to be trusted. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "kept.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static const struct gpuvchan_peer user = {.domain = -1, .uid = 5}, other_user = {.domain = -1, .uid = 6},
                                  web = {.domain = 3, .uuid = "6f1d0f1e-0000-4000-8000-000000000001"},
                                  number = {.domain = 3};
static const uint8_t one[WORKER_DIGEST] = {1}, two[WORKER_DIGEST] = {2}, three[WORKER_DIGEST] = {3};

static int
memory(size_t bytes, int seals)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static int
begin(void **state)
{
    static struct kept kept;

    kept_limit(&kept, 10000);
    *state = &kept;
    return 0;
}

static int
end(void **state)
{
    kept_finish(*state);
    return 0;
}

static void
test_owners(void **state)
{
    struct kept *kept = *state;

    assert_int_equal(kept_add(kept, &user, 100, one, memory(100, SEALS)), 0);
    assert_true(kept_find(kept, &user, 100, one) >= 0);
    assert_true(kept_find(kept, &user, 100, NULL) >= 0);
    assert_int_equal(kept_find(kept, &user, 100, two), -1);
    assert_int_equal(kept_find(kept, &user, 101, one), -1);
    assert_int_equal(kept_find(kept, &other_user, 100, one), -1);
    assert_int_equal(kept_find(kept, &other_user, 100, NULL), -1);
    assert_int_equal(kept_find(kept, &web, 100, one), -1);
    assert_int_equal(kept_find(kept, &number, 100, one), -1);
    assert_int_equal(kept_add(kept, &user, 100, one, memory(100, SEALS)), -EEXIST);
    assert_int_equal(kept_add(kept, &other_user, 100, one, memory(100, SEALS)), 0);
    assert_int_not_equal(kept_find(kept, &other_user, 100, one), kept_find(kept, &user, 100, one));
}

static void
test_domains(void **state)
{
    struct kept *kept = *state;

    assert_int_equal(kept_add(kept, &web, 100, one, memory(100, SEALS)), 0);
    assert_int_equal(kept_add(kept, &number, 100, one, memory(100, SEALS)), 0);
    kept_forget(kept, &web);
    assert_true(kept_find(kept, &web, 100, one) >= 0);
    kept_forget(kept, &number); /* another domain will have it */
    assert_int_equal(kept_find(kept, &number, 100, one), -1);
    assert_true(kept_find(kept, &web, 100, one) >= 0);
}

static void
test_what_may_change_is_not_taken(void **state)
{
    struct kept *kept = *state;
    int ends[2];

    assert_int_equal(kept_add(kept, &user, 100, one, memory(100, 0)), -EINVAL);
    assert_int_equal(kept_add(kept, &user, 100, one, memory(100, SEALS & ~F_SEAL_SHRINK)), -EINVAL);
    assert_int_equal(kept_add(kept, &user, 100, one, memory(100, SEALS & ~F_SEAL_WRITE)), -EINVAL);
    assert_int_equal(kept_add(kept, &user, 100, one, memory(100, SEALS & ~F_SEAL_SEAL)), -EINVAL);
    assert_int_equal(kept_add(kept, &user, 100, one, memory(99, SEALS)), -EINVAL);
    assert_int_equal(kept_add(kept, &user, 0, one, memory(0, SEALS)), -E2BIG);
    assert_int_equal(kept_add(kept, &user, 10001, one, memory(10001, SEALS)), -E2BIG);
    assert_int_equal(kept_add(kept, &user, UINT64_MAX, one, memory(100, SEALS)), -E2BIG);
    assert_int_equal(kept_add(kept, &user, 100, one, -1), -EINVAL);
    assert_int_equal(kept_add(kept, &user, 100, one, open("/dev/null", O_RDONLY | O_CLOEXEC)), -EINVAL);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(kept_add(kept, &user, 100, one, ends[0]), -EINVAL);
    close(ends[1]);
    assert_int_equal(kept->count, 0);
    assert_int_equal(kept->bytes, 0);
}

static void
test_limit(void **state)
{
    struct kept *kept = *state;

    assert_int_equal(kept_add(kept, &user, 4000, one, memory(4000, SEALS)), 0);
    assert_int_equal(kept_add(kept, &web, 4000, two, memory(4000, SEALS)), 0);
    assert_true(kept_find(kept, &user, 4000, one) >= 0);
    assert_int_equal(kept_add(kept, &user, 4000, three, memory(4000, SEALS)), 0);
    assert_int_equal(kept_find(kept, &web, 4000, two), -1); /* the one that was used least */
    assert_true(kept_find(kept, &user, 4000, one) >= 0);
    kept_limit(kept, 4000);
    assert_int_equal(kept->count, 1);
    kept_limit(kept, 0);
    assert_int_equal(kept->bytes, 0);
    assert_int_equal(kept_add(kept, &user, 1, one, memory(1, SEALS)), -E2BIG);
    kept_limit(kept, 10000);
    for (unsigned i = 0; i < 1000; i++) {
        uint8_t digest[WORKER_DIGEST] = {(uint8_t)i, (uint8_t)(i >> 8)};

        assert_int_equal(kept_add(kept, &user, 1, digest, memory(1, SEALS)), 0);
    }
    assert_true(kept->count < 1000); /* each takes a descriptor */
}

/* ---- What a worker sends ----------------------------------------------------------------------- */

static void
send_raw(int link, const void *data, size_t bytes, const int *fds, size_t count)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(8 * sizeof(int))];
    } control = {0};
    struct iovec text = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};

    if (count > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.header = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(count * sizeof(int))};
        memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
    }
    assert_int_equal(sendmsg(link, &message, MSG_NOSIGNAL), bytes);
}

static void
test_messages(void **state)
{
    struct worker_message message = {.word = WORKER_KEEP, .bytes = 7}, got;
    const int fds[4] = {0, 0, 0, 0};
    unsigned char large[4096] = {0};
    int sockets[2], fd, first;

    (void)state;
    assert_int_equal(worker_link_create(sockets), 0);
    assert_int_equal(worker_link_receive(sockets[0], &got, &fd), -EAGAIN);
    send_raw(sockets[1], &message, sizeof(message), fds, 1);
    assert_int_equal(worker_link_receive(sockets[0], &got, &fd), 0);
    assert_true(fd >= 0);
    assert_int_equal(got.bytes, 7);
    first = fd;
    close(fd);
    send_raw(sockets[1], &message, sizeof(message) - 1, fds, 1);
    assert_int_equal(worker_link_receive(sockets[0], &got, &fd), -EPROTO);
    send_raw(sockets[1], large, sizeof(large), fds, 1);
    assert_int_equal(worker_link_receive(sockets[0], &got, &fd), -EPROTO);
    send_raw(sockets[1], &message, sizeof(message), fds, 4);
    assert_int_equal(worker_link_receive(sockets[0], &got, &fd), -EPROTO);
    send_raw(sockets[1], &message, sizeof(message), fds, 2);
    assert_int_equal(worker_link_receive(sockets[0], &got, &fd), -EPROTO);
    assert_int_equal(fd, -1);
    fd = dup(0); /* none of what came is left open */
    assert_int_equal(fd, first);
    close(fd);
    close(sockets[1]);
    assert_true(worker_link_receive(sockets[0], &got, &fd) < 0);
    close(sockets[0]);
}

/* A supervisor that is gone, or has nothing: the worker goes on. */
static void
test_worker_alone(void **state)
{
    int sockets[2], link;

    (void)state;
    assert_int_equal(worker_link_create(sockets), 0);
    close(sockets[0]);
    link = sockets[1];
    assert_int_equal(worker_link_find(&link, 100, one), -ENOENT);
    assert_int_equal(link, -1);
    assert_int_equal(worker_link_find(&link, 100, NULL), -ENOENT);
    assert_int_equal(worker_link_keep(&link, 100, one, 0), -ENOENT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_owners, begin, end),
        cmocka_unit_test_setup_teardown(test_domains, begin, end),
        cmocka_unit_test_setup_teardown(test_what_may_change_is_not_taken, begin, end),
        cmocka_unit_test_setup_teardown(test_limit, begin, end),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_worker_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
