/* SPDX-License-Identifier: MIT */
/*
 * A session that was suspended, as another process finds it: whole, cut short, or changed in any place. That is a
 * child of this one, which has the same descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"
#include "snapshot.h"
#include "subject.h"

#define NOTES 10
#define CAME 77 /* what a child ends with that could reopen the session; 78: that was refused */

struct guest {
    char address[96];
    struct gpuvchan_session *_Atomic session; /* for it to interrupt */
    pthread_t thread;
    int error;
    _Atomic int interrupted, returned; /* how often it has been, and so often the run has returned */
};

static const struct gpuvchan_session_limits limits = {.size = sizeof(limits)};

static void
quiet(enum gpuvchan_log_level level, const char *text)
{
    (void)level;
    (void)text;
}

static int
notes(struct gpuvchan_client *client)
{
    int error = 0;

    for (int i = 0; i < NOTES && error == 0; i++)
        error = subject_call(client, SUBJECT_NOTE, 1);
    return error;
}

/* Notes something, and has the session interrupted, twice; then waits for its end. */
static void *
guest_thread(void *argument)
{
    struct gpuvchan_channel_options options = {.size = sizeof(options), .arena_bytes = 1 << 20, .lanes = 2};
    struct guest *guest = argument;
    struct gpuvchan_channel *channel;
    struct gpuvchan_client client;

    guest->error = gpuvchan_channel_connect(guest->address, &options, &channel);
    if (guest->error != 0)
        return NULL;
    guest->error = gpuvchan_client_open(channel, &subject_protocol, &client);
    for (int i = 0; i < 2 && guest->error == 0; i++) {
        guest->error = notes(&client);
        gpuvchan_session_interrupt(guest->session);
        atomic_fetch_add(&guest->interrupted, 1);
        while (guest->error == 0 && atomic_load(&guest->returned) <= i) /* one at a time, or two become one */
            sched_yield();
    }
    while (guest->error == 0)
        guest->error = subject_call(&client, SUBJECT_NOTE, 1); /* during one of which the session ends */
    gpuvchan_channel_close(channel);
    return NULL;
}

static struct gpuvchan_session *
serve(struct guest *guest, struct gpuvchan_listener **listener, int *connection)
{
    struct pollfd waiting = {.events = POLLIN};
    struct gpuvchan_session *session;
    struct gpuvchan_peer peer;

    snprintf(guest->address, sizeof(guest->address), "/tmp/gpuvchan-test-renew.%d", (int)getpid());
    assert_int_equal(gpuvchan_listener_create(guest->address, listener), 0);
    assert_int_equal(pthread_create(&guest->thread, NULL, guest_thread, guest), 0);
    waiting.fd = gpuvchan_listener_fd(*listener);
    assert_int_equal(poll(&waiting, 1, 30000), 1);
    assert_int_equal(gpuvchan_listener_accept(*listener, connection, &peer), 0);
    assert_int_equal(gpuvchan_session_accept(*connection, &limits, &session), 0);
    assert_int_equal(gpuvchan_session_offer(session, &subject_plugin), 0);
    guest->session = session;
    return session;
}

/* Takes over in a child, up to where threads would start. @return how that ended. */
static int
reopen_in_child(int connection, int snapshot)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        struct gpuvchan_session *session;

        alarm(60);
        if (lseek(snapshot, 0, SEEK_SET) != 0)
            _exit(1);
        _exit(gpuvchan_session_reopen(connection, snapshot, &limits, &session) == 0 ? CAME : CAME + 1);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int
copy_of(const unsigned char *data, size_t bytes)
{
    int fd = memfd_create("copy", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, bytes), (ssize_t)bytes);
    return fd;
}

static void
cut_short(int connection, const unsigned char *data, size_t bytes)
{
    size_t step = bytes / check_rounds(100) + 1;

    for (size_t length = 0; length < bytes; length += step) {
        int fd = copy_of(data, length);

        assert_int_equal(reopen_in_child(connection, fd), CAME + 1);
        close(fd);
    }
}

/* Whatever it says, the child comes to an end of its own. */
static void
changed(int connection, unsigned char *data, size_t bytes)
{
    size_t step = bytes / check_rounds(700) + 1;
    uint64_t seed = 3;
    unsigned refused = 0, tried = 0;

    for (size_t at = 0; at < bytes; at += step) {
        unsigned char before = data[at];
        int fd, status;

        data[at] ^= (unsigned char)(1u << check_random(&seed) % 8);
        fd = copy_of(data, bytes);
        status = reopen_in_child(connection, fd);
        assert_true(status == CAME || status == CAME + 1);
        refused += status == CAME + 1;
        tried++;
        data[at] = before;
        close(fd);
    }
    print_message("# %u of %u changes were refused\n", refused, tried);
    assert_true(refused > 0); /* most bytes are numbers that may be any, or of no meaning */
}

static void
run_until_interrupted(struct guest *guest, struct gpuvchan_session *session)
{
    assert_int_equal(gpuvchan_session_run(session), -EINTR);
    /* Who has interrupted it may still be at that, and the session is not to end under it. */
    while (atomic_load(&guest->interrupted) <= atomic_load(&guest->returned))
        sched_yield();
    atomic_fetch_add(&guest->returned, 1);
}

static void
renewal(void **state)
{
    struct gpuvchan_listener *listener;
    struct guest guest = {0};
    struct gpuvchan_session *session;
    unsigned char *data;
    int connection, snapshot = memfd_create("snapshot", MFD_CLOEXEC);
    struct stat info;

    (void)state;
    assert_true(snapshot >= 0);
    session = serve(&guest, &listener, &connection);
    /* It goes on when nobody has taken over. */
    run_until_interrupted(&guest, session);
    assert_int_equal(gpuvchan_session_announce(session, snapshot), 0);
    assert_int_equal(gpuvchan_session_suspend(session, snapshot, 30000), 0);
    run_until_interrupted(&guest, session);
    assert_int_equal(ftruncate(snapshot, 0), 0);
    assert_int_equal(lseek(snapshot, 0, SEEK_SET), 0);
    assert_int_equal(gpuvchan_session_suspend(session, snapshot, 30000), 0);

    assert_int_equal(fstat(snapshot, &info), 0);
    data = malloc((size_t)info.st_size);
    assert_non_null(data);
    assert_int_equal(pread(snapshot, data, (size_t)info.st_size, 0), info.st_size);
    assert_int_equal(reopen_in_child(connection, snapshot), CAME);
    cut_short(connection, data, (size_t)info.st_size);
    changed(connection, data, (size_t)info.st_size);
    assert_int_equal(reopen_in_child(connection, snapshot), CAME);

    gpuvchan_session_stop(session);
    assert_int_equal(gpuvchan_session_run(session), 0);
    gpuvchan_session_destroy(session);
    pthread_join(guest.thread, NULL);
    assert_true(guest.error == -EPIPE || guest.error == -EPROTO);
    gpuvchan_listener_destroy(listener);
    close(snapshot);
    free(data);
}

/* What a program could take over that offers other plugins. */
static void
foreseen(void **state)
{
    static const struct gpuvchan_plugin *const both[] = {&second_plugin, &subject_plugin};
    struct gpuvchan_plugin poor = subject_plugin;
    const struct gpuvchan_plugin *const only_poor[] = {&poor};
    struct gpuvchan_listener *listener;
    struct guest guest = {0};
    struct gpuvchan_session *session;
    int connection, fd = memfd_create("protocols", MFD_CLOEXEC);

    (void)state;
    poor.resume = NULL;
    session = serve(&guest, &listener, &connection);
    run_until_interrupted(&guest, session);
    assert_int_equal(gpuvchan_session_announce(session, fd), 0);
#define FORESEE(plugins, count, expected)                                         \
    do {                                                                          \
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);                              \
        assert_int_equal(gpuvchan_session_foresee(fd, plugins, count), expected); \
    } while (0)
    FORESEE(both, 2, 0);
    FORESEE(both, 1, -ENOENT);
    assert_non_null(strstr(gpuvchan_error_text(), "no plugin subject"));
    FORESEE(NULL, 0, -ENOENT);
    FORESEE(only_poor, 1, -ENOTSUP);
#undef FORESEE
    run_until_interrupted(&guest, session);
    gpuvchan_session_stop(session);
    assert_int_equal(gpuvchan_session_run(session), 0);
    gpuvchan_session_destroy(session);
    pthread_join(guest.thread, NULL);
    gpuvchan_listener_destroy(listener);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(renewal), cmocka_unit_test(foreseen)};

    check_begin();
    gpuvchan_log_set(quiet, GPUVCHAN_LOG_ERROR);
    return cmocka_run_group_tests_name("renew", tests, NULL, NULL);
}
