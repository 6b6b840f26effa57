/* SPDX-License-Identifier: MIT */
/* Snapshots: what is written is read, over files and pipes; what was cut short, changed or is foreign is refused. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "check.h"
#include "snapshot.h"

#define LARGE ((size_t)3 << 20)

/* Each error is logged; here most are wanted. */
static void
quiet(enum gpuvchan_log_level level, const char *text)
{
    (void)level;
    (void)text;
}

static int
file(void)
{
    int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_true(fd >= 0);
    return fd;
}

static void
fill(unsigned char *data, size_t bytes, uint64_t seed)
{
    for (size_t i = 0; i < bytes; i++)
        data[i] = (unsigned char)check_random(&seed);
}

static struct gpuvchan_snapshot *
writer(int fd)
{
    struct gpuvchan_snapshot *snapshot;

    assert_int_equal(gpuvchan__snapshot_write_to(fd, &snapshot), 0);
    return snapshot;
}

static struct gpuvchan_snapshot *
reader(int fd)
{
    struct gpuvchan_snapshot *snapshot;

    assert_int_equal(gpuvchan__snapshot_read_from(fd, &snapshot), 0);
    return snapshot;
}

static void
expect(struct gpuvchan_snapshot *snapshot, const void *data, size_t bytes)
{
    void *got = malloc(bytes);

    assert_non_null(got);
    assert_int_equal(gpuvchan_snapshot_read(snapshot, got, bytes), 0);
    assert_memory_equal(got, data, bytes);
    free(got);
}

/* Portions of all sizes; the same bytes are read in other portions. */
static void
write_sections(int fd, const unsigned char *data)
{
    struct gpuvchan_snapshot *snapshot = writer(fd);
    size_t at = 0;

    assert_int_equal(gpuvchan__snapshot_begin(snapshot, "first"), 0);
    for (size_t step = 1; at < LARGE; at += step, step = step * 3 % 200003)
        assert_int_equal(gpuvchan_snapshot_write(snapshot, data + at, step < LARGE - at ? step : LARGE - at), 0);
    assert_int_equal(gpuvchan__snapshot_end(snapshot), 0);
    assert_int_equal(gpuvchan__snapshot_begin(snapshot, "empty"), 0);
    assert_int_equal(gpuvchan__snapshot_end(snapshot), 0);
    assert_int_equal(gpuvchan__snapshot_begin(snapshot, "a-name-of-31-characters-as-most"), 0);
    assert_int_equal(gpuvchan_snapshot_write(snapshot, data, LARGE), 0);
    assert_int_equal(gpuvchan_snapshot_write(snapshot, "tail", 4), 0);
    assert_int_equal(gpuvchan__snapshot_end(snapshot), 0);
    assert_int_equal(gpuvchan__snapshot_finish(snapshot), 0);
    gpuvchan__snapshot_destroy(snapshot);
}

static void
read_sections(int fd, const unsigned char *data)
{
    struct gpuvchan_snapshot *snapshot = reader(fd);
    unsigned char byte;

    assert_int_equal(gpuvchan__snapshot_begin(snapshot, "first"), 0);
    for (size_t at = 0, step = 7; at < LARGE; at += step, step = step * 5 % 300007)
        expect(snapshot, data + at, step < LARGE - at ? step : LARGE - at);
    assert_int_equal(gpuvchan__snapshot_end(snapshot), 0);
    assert_int_equal(gpuvchan__snapshot_begin(snapshot, "empty"), 0);
    assert_int_equal(gpuvchan_snapshot_read(snapshot, &byte, 0), 0);
    assert_int_equal(gpuvchan__snapshot_end(snapshot), 0);
    assert_int_equal(gpuvchan__snapshot_begin(snapshot, "a-name-of-31-characters-as-most"), 0);
    expect(snapshot, data, LARGE);
    expect(snapshot, "tail", 4);
    assert_int_equal(gpuvchan__snapshot_end(snapshot), 0);
    assert_int_equal(gpuvchan__snapshot_finish(snapshot), 0);
    gpuvchan__snapshot_destroy(snapshot);
}

static void
through_a_file(void **state)
{
    unsigned char *data = malloc(LARGE);
    int fd = file();

    (void)state;
    assert_non_null(data);
    fill(data, LARGE, 1);
    assert_int_equal(write(fd, "before", 6), 6);
    write_sections(fd, data);
    assert_int_equal(lseek(fd, 6, SEEK_SET), 6);
    assert_int_equal(gpuvchan__snapshot_check(fd), 0);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 6);
    read_sections(fd, data);
    close(fd);
    free(data);
}

struct end {
    int fd;
    const unsigned char *data;
};

static void *
write_to_pipe(void *argument)
{
    const struct end *end = argument;

    write_sections(end->fd, end->data);
    close(end->fd);
    return NULL;
}

static void
through_a_pipe(void **state)
{
    unsigned char *data = malloc(LARGE);
    struct end end = {.data = data};
    pthread_t thread;
    int ends[2];

    (void)state;
    assert_non_null(data);
    fill(data, LARGE, 2);
    assert_int_equal(pipe(ends), 0);
    end.fd = ends[1];
    assert_int_equal(pthread_create(&thread, NULL, write_to_pipe, &end), 0);
    read_sections(ends[0], data);
    pthread_join(thread, NULL);
    assert_true(gpuvchan__snapshot_check(ends[0]) < 0); /* only files can be looked through */
    close(ends[0]);
    free(data);
}

/* A small one: two sections, the first of ten bytes. */
static int
small(void)
{
    int fd = file();
    struct gpuvchan_snapshot *snapshot = writer(fd);

    assert_int_equal(gpuvchan__snapshot_begin(snapshot, "one"), 0);
    assert_int_equal(gpuvchan_snapshot_write(snapshot, "0123456789", 10), 0);
    assert_int_equal(gpuvchan__snapshot_end(snapshot), 0);
    assert_int_equal(gpuvchan__snapshot_begin(snapshot, "two"), 0);
    assert_int_equal(gpuvchan_snapshot_write(snapshot, "x", 1), 0);
    assert_int_equal(gpuvchan__snapshot_end(snapshot), 0);
    assert_int_equal(gpuvchan__snapshot_finish(snapshot), 0);
    gpuvchan__snapshot_destroy(snapshot);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* As small() wrote it. @return the first error. */
static int
read_small(int fd)
{
    struct gpuvchan_snapshot *snapshot;
    char got[10], one;
    int error = gpuvchan__snapshot_read_from(fd, &snapshot);

    if (error != 0)
        return error;
    gpuvchan__snapshot_begin(snapshot, "one");
    gpuvchan_snapshot_read(snapshot, got, 10);
    gpuvchan__snapshot_end(snapshot);
    gpuvchan__snapshot_begin(snapshot, "two");
    gpuvchan_snapshot_read(snapshot, &one, 1);
    gpuvchan__snapshot_end(snapshot);
    error = gpuvchan__snapshot_finish(snapshot);
    if (error == 0)
        assert_true(memcmp(got, "0123456789", 10) == 0 && one == 'x');
    gpuvchan__snapshot_destroy(snapshot);
    return error;
}

static void
cut_short(void **state)
{
    int fd = small();
    struct stat info;

    (void)state;
    assert_int_equal(fstat(fd, &info), 0);
    for (off_t bytes = info.st_size; bytes >= 0; bytes--) {
        int expected = bytes == info.st_size ? 0 : -EBADMSG;

        assert_int_equal(ftruncate(fd, bytes), 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_int_equal(gpuvchan__snapshot_check(fd), expected);
        assert_int_equal(read_small(fd), expected);
    }
    assert_non_null(strstr(gpuvchan_error_text(), "ends early"));
    close(fd);
}

#define FIRST_DATA 80 /* in small(): behind the header, and head and name of the section, and head of the piece */
#define SECOND_DATA 178

static void
damaged(void **state)
{
    int fd = small();
    struct stat info;

    (void)state;
    assert_int_equal(fstat(fd, &info), 0);
    for (off_t at = 0; at < info.st_size; at++) {
        unsigned char byte, other;

        if ((at >= FIRST_DATA && at < FIRST_DATA + 10) || at == SECOND_DATA)
            continue; /* what a plugin wrote is its own matter */
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        for (unsigned bit = 0; bit < 8; bit++) {
            other = (unsigned char)(byte ^ 1u << bit);
            assert_int_equal(pwrite(fd, &other, 1, at), 1);
            assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
            assert_true(read_small(fd) < 0);
            assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
            gpuvchan__snapshot_check(fd); /* a name may be any; it ends, and says what it says */
        }
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(read_small(fd), 0);
    close(fd);
}

static void
foreign(void **state)
{
    static const char text[] = "this is a text, and not a short one";
    struct gpuvchan_snapshot *snapshot;
    uint32_t version = 77;
    int fd = file();

    (void)state;
    assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(gpuvchan__snapshot_check(fd), -EBADMSG);
    assert_non_null(strstr(gpuvchan_error_text(), "no snapshot of gpuvchan"));
    close(fd);

    fd = small();
    assert_int_equal(pwrite(fd, &version, sizeof(version), 8), sizeof(version));
    assert_int_equal(gpuvchan__snapshot_read_from(fd, &snapshot), -EPROTONOSUPPORT);
    assert_non_null(strstr(gpuvchan_error_text(), "version 77"));
    close(fd);
}

/* ---- What a plugin may do wrong -------------------------------------------------------------- */

static void
reads_too_much(void **state)
{
    int fd = small();
    struct gpuvchan_snapshot *snapshot = reader(fd);
    char got[16];

    (void)state;
    assert_int_equal(gpuvchan__snapshot_begin(snapshot, "one"), 0);
    assert_int_equal(gpuvchan_snapshot_read(snapshot, got, 4), 0);
    assert_int_equal(gpuvchan_snapshot_read(snapshot, got, 7), -ENODATA); /* not of the next section */
    assert_non_null(strstr(gpuvchan_error_text(), "section one"));
    assert_int_equal(gpuvchan_snapshot_read(snapshot, got, 1), -ENODATA); /* an error stays */
    assert_int_equal(gpuvchan__snapshot_end(snapshot), -ENODATA);
    assert_int_equal(gpuvchan__snapshot_finish(snapshot), -ENODATA);
    gpuvchan__snapshot_destroy(snapshot);
    close(fd);
}

static void
reads_too_little(void **state)
{
    int fd = small();
    struct gpuvchan_snapshot *snapshot = reader(fd);
    char got[16];

    (void)state;
    assert_int_equal(gpuvchan__snapshot_begin(snapshot, "one"), 0);
    assert_int_equal(gpuvchan_snapshot_read(snapshot, got, 9), 0);
    assert_int_equal(gpuvchan__snapshot_end(snapshot), -EBADMSG);
    gpuvchan__snapshot_destroy(snapshot);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    snapshot = reader(fd);
    assert_int_equal(gpuvchan__snapshot_begin(snapshot, "one"), 0);
    assert_int_equal(gpuvchan__snapshot_end(snapshot), -EBADMSG); /* nothing of it was read */
    gpuvchan__snapshot_destroy(snapshot);
    close(fd);
}

static void
another_section(void **state)
{
    int fd = small();
    struct gpuvchan_snapshot *snapshot = reader(fd);

    (void)state;
    assert_int_equal(gpuvchan__snapshot_begin(snapshot, "two"), -EBADMSG);
    gpuvchan__snapshot_destroy(snapshot);
    close(fd);
}

static void
misuse(void **state)
{
    int fd = file();
    struct gpuvchan_snapshot *snapshot = writer(fd);
    char byte;

    (void)state;
    assert_int_equal(gpuvchan_snapshot_write(snapshot, "x", 1), -EINVAL); /* outside of a section */
    gpuvchan__snapshot_destroy(snapshot);
    snapshot = writer(fd);
    assert_int_equal(gpuvchan__snapshot_begin(snapshot, "one"), 0);
    assert_int_equal(gpuvchan_snapshot_read(snapshot, &byte, 1), -EINVAL);
    assert_int_equal(gpuvchan__snapshot_end(snapshot), -EINVAL);
    gpuvchan__snapshot_destroy(snapshot);
    close(fd);
    gpuvchan__snapshot_destroy(NULL);
}

static void
no_room(void **state)
{
    int fd = file();
    struct gpuvchan_snapshot *snapshot;
    char *data = calloc(1, 1 << 20);

    (void)state;
    assert_non_null(data);
    assert_int_equal(ftruncate(fd, 1 << 16), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
    snapshot = writer(fd);
    assert_int_equal(gpuvchan__snapshot_begin(snapshot, "one"), 0);
    assert_true(gpuvchan_snapshot_write(snapshot, data, 1 << 20) < 0);
    assert_true(gpuvchan_snapshot_write(snapshot, data, 1) < 0);
    assert_true(gpuvchan__snapshot_end(snapshot) < 0);
    assert_true(gpuvchan__snapshot_finish(snapshot) < 0);
    gpuvchan__snapshot_destroy(snapshot);
    close(fd);
    free(data);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(through_a_file),   cmocka_unit_test(through_a_pipe),  cmocka_unit_test(cut_short),
        cmocka_unit_test(damaged),          cmocka_unit_test(foreign),         cmocka_unit_test(reads_too_much),
        cmocka_unit_test(reads_too_little), cmocka_unit_test(another_section), cmocka_unit_test(misuse),
        cmocka_unit_test(no_room),
    };

    check_begin();
    gpuvchan_log_set(quiet, GPUVCHAN_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
