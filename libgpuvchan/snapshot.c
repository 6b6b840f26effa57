/* SPDX-License-Identifier: MIT */
/* Snapshots: pieces over a descriptor; snapshot.h tells of what they are made. */
#include "snapshot.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "error.h"

#define MAGIC 0x3150414e53565047ull /* "GPVSNAP1" */
#define VERSION 1u
#define BUFFER (64u << 10)         /* what is smaller is collected here */
#define PIECE_MAX (1ull << 30)     /* of data */
#define ENDS_EARLY "it ends early" /* a file cut short, or a writer that died */

enum kind {
    KIND_SECTION = 1,     /* its name */
    KIND_DATA = 2,        /* as it is */
    KIND_SECTION_END = 3, /* uint64_t: bytes of the section */
    KIND_END = 4,         /* uint64_t: sections */
};

struct header {
    uint64_t magic;
    uint32_t version;
    uint32_t reserved;
};

struct head {
    uint32_t kind;
    uint32_t reserved;
    uint64_t bytes;
};
_Static_assert(sizeof(struct header) == 16 && sizeof(struct head) == 16, "layout");

struct gpuvchan_snapshot {
    int fd;
    int error; /* the first one */
    bool writing;
    bool inside;              /* a section */
    bool ended;               /* reading: the section has no more */
    char name[SNAPSHOT_NAME]; /* of the section, or the last one */
    uint64_t sections;
    uint64_t bytes;     /* of the section, up to here */
    uint64_t left;      /* reading: of the piece */
    size_t start, fill; /* writing: data without a head yet; reading: what came in advance */
    unsigned char buffer[BUFFER];
};

static GPUVCHAN_PRINTF(3, 4) int fail(struct gpuvchan_snapshot *snapshot, int error, const char *format, ...)
{
    char what[160];
    va_list list;

    va_start(list, format);
    vsnprintf(what, sizeof(what), format, list);
    va_end(list);
    snapshot->error = error;
    gpuvchan__error(error, "snapshot%s%s: %s", snapshot->name[0] ? ", section " : "", snapshot->name, what);
    gpuvchan_log(GPUVCHAN_LOG_ERROR, "%s", gpuvchan_error_text());
    return error;
}

static int
misused(struct gpuvchan_snapshot *snapshot, const char *what)
{
    return fail(snapshot, -EINVAL, "%s", what);
}

/* ---- Descriptor ------------------------------------------------------------------------------ */

static int
write_all(struct gpuvchan_snapshot *snapshot, struct iovec *parts, int count)
{
    while (count > 0) {
        ssize_t n = writev(snapshot->fd, parts, count);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(snapshot, -errno, "cannot be written: %s", strerror(errno));
        while (count > 0 && (size_t)n >= parts->iov_len) {
            n -= (ssize_t)parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + n;
            parts->iov_len -= (size_t)n;
        }
    }
    return 0;
}

static int
read_some(struct gpuvchan_snapshot *snapshot, void *data, size_t room, size_t *got)
{
    ssize_t n;

    do
        n = read(snapshot->fd, data, room);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return fail(snapshot, -errno, "cannot be read: %s", strerror(errno));
    if (n == 0)
        return fail(snapshot, -EBADMSG, ENDS_EARLY);
    *got = (size_t)n;
    return 0;
}

/* Small things through the buffer, large ones at once to where they belong. */
static int
read_all(struct gpuvchan_snapshot *snapshot, void *data, size_t bytes)
{
    unsigned char *to = data;

    while (bytes > 0) {
        size_t got = snapshot->fill - snapshot->start;
        int error = 0;

        if (got > 0) {
            got = got < bytes ? got : bytes;
            memcpy(to, snapshot->buffer + snapshot->start, got);
            snapshot->start += got;
        } else if (bytes >= BUFFER) {
            error = read_some(snapshot, to, bytes, &got);
        } else {
            snapshot->start = snapshot->fill = 0;
            error = read_some(snapshot, snapshot->buffer, BUFFER, &snapshot->fill);
        }
        if (error != 0)
            return error;
        to += got;
        bytes -= got;
    }
    return 0;
}

/* In a file. */
static int
pass_over(struct gpuvchan_snapshot *snapshot, uint64_t bytes)
{
    uint64_t here = snapshot->fill - snapshot->start;
    off_t at, end;

    if (bytes <= here) {
        snapshot->start += bytes;
        return 0;
    }
    bytes -= here;
    snapshot->start = snapshot->fill = 0;
    at = lseek(snapshot->fd, 0, SEEK_CUR);
    end = lseek(snapshot->fd, 0, SEEK_END);
    if (at < 0 || end < 0)
        return fail(snapshot, -errno, "cannot be looked through: %s", strerror(errno));
    if (bytes > (uint64_t)(end - at))
        return fail(snapshot, -EBADMSG, ENDS_EARLY);
    return lseek(snapshot->fd, at + (off_t)bytes, SEEK_SET) < 0 ? fail(snapshot, -errno, "%s", strerror(errno)) : 0;
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

static int
piece_write(struct gpuvchan_snapshot *snapshot, enum kind kind, const void *data, uint64_t bytes)
{
    struct head head = {.kind = kind, .bytes = bytes};
    struct iovec parts[] = {
        {.iov_base = &head, .iov_len = sizeof(head)},
        {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes},
    };

    return write_all(snapshot, parts, 2);
}

static int
flush(struct gpuvchan_snapshot *snapshot)
{
    size_t bytes = snapshot->fill;

    snapshot->fill = 0;
    return bytes > 0 ? piece_write(snapshot, KIND_DATA, snapshot->buffer, bytes) : 0;
}

static bool
size_possible(const struct head *head)
{
    switch (head->kind) {
    case KIND_SECTION:
        return head->bytes == SNAPSHOT_NAME;
    case KIND_DATA:
        return head->bytes > 0 && head->bytes <= PIECE_MAX;
    case KIND_SECTION_END:
    case KIND_END:
        return head->bytes == sizeof(uint64_t);
    default:
        return false;
    }
}

static int
piece_read(struct gpuvchan_snapshot *snapshot, struct head *head)
{
    int error = read_all(snapshot, head, sizeof(*head));

    if (error == 0 && (!size_possible(head) || head->reserved != 0))
        error = fail(snapshot, -EBADMSG, "a piece of kind %u with %llu bytes is impossible: it is damaged", head->kind,
                     (unsigned long long)head->bytes);
    return error;
}

static int
sum_check(struct gpuvchan_snapshot *snapshot, const char *what, uint64_t have)
{
    uint64_t said;
    int error = read_all(snapshot, &said, sizeof(said));

    if (error == 0 && said != have)
        error = fail(snapshot, -EBADMSG, "%llu %s where %llu were written: it is damaged", (unsigned long long)have,
                     what, (unsigned long long)said);
    return error;
}

/* Have some data of the section at hand, or know that it has ended. */
static int
section_more(struct gpuvchan_snapshot *snapshot)
{
    struct head head;
    int error;

    if (snapshot->left > 0 || snapshot->ended)
        return 0;
    error = piece_read(snapshot, &head);
    if (error != 0)
        return error;
    if (head.kind == KIND_DATA) {
        snapshot->left = head.bytes;
        return 0;
    }
    if (head.kind != KIND_SECTION_END)
        return fail(snapshot, -EBADMSG, "a piece of kind %u within a section: it is damaged", head.kind);
    snapshot->ended = true;
    return sum_check(snapshot, "bytes of a section", snapshot->bytes);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static struct gpuvchan_snapshot *
create(int fd, bool writing)
{
    struct gpuvchan_snapshot *snapshot = calloc(1, sizeof(*snapshot));

    if (!snapshot) {
        gpuvchan__error(-ENOMEM, "out of memory");
        return NULL;
    }
    snapshot->fd = fd;
    snapshot->writing = writing;
    return snapshot;
}

int
gpuvchan__snapshot_write_to(int fd, struct gpuvchan_snapshot **out)
{
    struct header header = {.magic = MAGIC, .version = VERSION};
    struct iovec part = {.iov_base = &header, .iov_len = sizeof(header)};
    struct gpuvchan_snapshot *snapshot = create(fd, true);
    int error;

    if (!snapshot)
        return -ENOMEM;
    error = write_all(snapshot, &part, 1);
    if (error != 0)
        gpuvchan__snapshot_destroy(snapshot);
    else
        *out = snapshot;
    return error;
}

int
gpuvchan__snapshot_read_from(int fd, struct gpuvchan_snapshot **out)
{
    struct gpuvchan_snapshot *snapshot = create(fd, false);
    struct header header;
    int error;

    if (!snapshot)
        return -ENOMEM;
    error = read_all(snapshot, &header, sizeof(header));
    if (error == 0 && (header.magic != MAGIC || header.reserved != 0))
        error = fail(snapshot, -EBADMSG, "it begins with 0x%llx: this is no snapshot of gpuvchan",
                     (unsigned long long)header.magic);
    else if (error == 0 && header.version != VERSION)
        error =
            fail(snapshot, -EPROTONOSUPPORT, "it has version %u, this library reads %u: use the release that wrote it",
                 header.version, VERSION);
    if (error != 0)
        gpuvchan__snapshot_destroy(snapshot);
    else
        *out = snapshot;
    return error;
}

void
gpuvchan__snapshot_destroy(struct gpuvchan_snapshot *snapshot)
{
    free(snapshot);
}

/* Its name must be this to the last byte. */
static int
section_read(struct gpuvchan_snapshot *snapshot)
{
    char found[SNAPSHOT_NAME], printable[SNAPSHOT_NAME] = "the end";
    struct head head;
    int error = piece_read(snapshot, &head);

    if (error == 0 && head.kind == KIND_SECTION) {
        error = read_all(snapshot, found, sizeof(found));
        if (error != 0 || memcmp(found, snapshot->name, sizeof(found)) == 0)
            return error;
        gpuvchan__text_from_peer(printable, sizeof(printable), found, sizeof(found));
    }
    return error ? error : fail(snapshot, -EBADMSG, "%s comes in its place", printable);
}

int
gpuvchan__snapshot_begin(struct gpuvchan_snapshot *snapshot, const char *name)
{
    int error = snapshot->error;

    if (error != 0)
        return error;
    if (snapshot->inside || strlen(name) >= SNAPSHOT_NAME)
        return misused(snapshot, "a section within a section, or with too long a name");
    memset(snapshot->name, 0, sizeof(snapshot->name));
    memcpy(snapshot->name, name, strlen(name));
    if (snapshot->writing)
        error = piece_write(snapshot, KIND_SECTION, snapshot->name, sizeof(snapshot->name));
    else
        error = section_read(snapshot);
    snapshot->inside = error == 0;
    snapshot->ended = false;
    snapshot->bytes = snapshot->left = 0;
    snapshot->sections++;
    return error;
}

int
gpuvchan__snapshot_end(struct gpuvchan_snapshot *snapshot)
{
    int error = snapshot->error;

    if (error != 0)
        return error;
    if (!snapshot->inside)
        return misused(snapshot, "the end of a section that was not begun");
    snapshot->inside = false;
    if (snapshot->writing) {
        error = flush(snapshot);
        return error ? error : piece_write(snapshot, KIND_SECTION_END, &snapshot->bytes, sizeof(snapshot->bytes));
    }
    error = section_more(snapshot);
    if (error == 0 && !snapshot->ended)
        error = fail(snapshot, -EBADMSG, "only %llu bytes of it were read, and there are more",
                     (unsigned long long)snapshot->bytes);
    return error;
}

int
gpuvchan__snapshot_finish(struct gpuvchan_snapshot *snapshot)
{
    int error = snapshot->error;
    struct head head;

    if (error != 0)
        return error;
    if (snapshot->inside)
        return misused(snapshot, "the end within a section");
    snapshot->name[0] = '\0';
    if (snapshot->writing)
        return piece_write(snapshot, KIND_END, &snapshot->sections, sizeof(snapshot->sections));
    error = piece_read(snapshot, &head);
    if (error == 0 && head.kind != KIND_END)
        error = fail(snapshot, -EBADMSG, "it has more sections than were read");
    return error ? error : sum_check(snapshot, "sections", snapshot->sections);
}

/* ---- Whole files ----------------------------------------------------------------------------- */

/* @return 1: there was a section, 0: none is left, or an error. */
static int
section_pass(struct gpuvchan_snapshot *snapshot)
{
    struct head head;
    int error = piece_read(snapshot, &head);

    if (error == 0 && head.kind == KIND_END)
        return sum_check(snapshot, "sections", snapshot->sections);
    if (error == 0 && head.kind != KIND_SECTION)
        error = fail(snapshot, -EBADMSG, "a piece of kind %u where a section should begin: it is damaged", head.kind);
    if (error == 0)
        error = pass_over(snapshot, head.bytes);
    snapshot->ended = false;
    snapshot->bytes = 0;
    snapshot->sections++;
    while (error == 0 && !snapshot->ended) {
        error = section_more(snapshot);
        if (error == 0)
            error = pass_over(snapshot, snapshot->left);
        snapshot->bytes += snapshot->left;
        snapshot->left = 0;
    }
    return error ? error : 1;
}

int
gpuvchan__snapshot_check(int fd)
{
    off_t start = lseek(fd, 0, SEEK_CUR);
    struct gpuvchan_snapshot *snapshot;
    int error = start < 0 ? gpuvchan__error(-errno, "a snapshot to look through must be a file: %s", strerror(errno))
                          : gpuvchan__snapshot_read_from(fd, &snapshot);

    if (error != 0)
        return error;
    do
        error = section_pass(snapshot);
    while (error > 0);
    gpuvchan__snapshot_destroy(snapshot);
    if (lseek(fd, start, SEEK_SET) != start && error == 0)
        error = gpuvchan__error(-errno, "cannot go back to where a snapshot begins: %s", strerror(errno));
    return error;
}

/* ---- For plugins ----------------------------------------------------------------------------- */

int
gpuvchan_snapshot_write(struct gpuvchan_snapshot *snapshot, const void *data, size_t bytes)
{
    const unsigned char *from = data;
    int error = snapshot->error;

    if (error == 0 && (!snapshot->writing || !snapshot->inside))
        error = misused(snapshot, "written to outside of suspend()");
    if (error != 0)
        return error;
    snapshot->bytes += bytes;
    if (bytes > BUFFER - snapshot->fill)
        error = flush(snapshot);
    while (error == 0 && bytes >= BUFFER) {
        size_t piece = bytes < PIECE_MAX ? bytes : PIECE_MAX;

        error = piece_write(snapshot, KIND_DATA, from, piece);
        from += piece;
        bytes -= piece;
    }
    if (error == 0 && bytes > 0) {
        memcpy(snapshot->buffer + snapshot->fill, from, bytes);
        snapshot->fill += bytes;
    }
    return error;
}

int
gpuvchan_snapshot_read(struct gpuvchan_snapshot *snapshot, void *data, size_t bytes)
{
    unsigned char *to = data;
    int error = snapshot->error;

    if (error == 0 && (snapshot->writing || !snapshot->inside))
        error = misused(snapshot, "read from outside of resume()");
    while (error == 0 && bytes > 0) {
        size_t piece;

        error = section_more(snapshot);
        if (error == 0 && snapshot->ended)
            error = fail(snapshot, -ENODATA, "%zu bytes more were read than the %llu that were written", bytes,
                         (unsigned long long)snapshot->bytes);
        if (error != 0)
            break;
        piece = bytes < snapshot->left ? bytes : (size_t)snapshot->left;
        error = read_all(snapshot, to, piece);
        snapshot->left -= piece;
        snapshot->bytes += piece;
        to += piece;
        bytes -= piece;
    }
    return error;
}
