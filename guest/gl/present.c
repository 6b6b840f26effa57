/* SPDX-License-Identifier: MIT */
/*
 * Pictures on their way to the X server.
 *
 * Design notes: the thread that draws posts for a picture and hands it, before it is there, to the presenter: a thread
 * of the X server's, which waits for the host, copies the picture from its slot of the arena to memory that the
 * server sees, and has it shown. By then the program draws the next one. It waits when both slots of its window are taken.
 *
 * With the host, the server, or the window gone pictures are dropped, and nothing waits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "gl-guest.h"

#include "process.h"
#include "screen.h"

#define PIXEL 4u
#define SECOND 1000000000ull
#define SPIN_US 20u

/* ---- Memory that the server sees ------------------------------------------------------------- */

static void
segment_end(struct gl_screen *screen, struct gl_segment *segment)
{
    if (segment->id)
        xcb_shm_detach(screen->connection, segment->id);
    if (segment->data)
        munmap(segment->data, segment->bytes);
    memset(segment, 0, sizeof(*segment));
}

static bool
segment_attach(struct gl_screen *screen, struct gl_segment *segment, int fd)
{
    xcb_generic_error_t *error;
    int theirs = dup(fd); /* xcb closes it */

    if (theirs < 0)
        return false;
    segment->id = xcb_generate_id(screen->connection);
    error =
        xcb_request_check(screen->connection, xcb_shm_attach_fd_checked(screen->connection, segment->id, theirs, 1));
    free(error);
    if (error)
        segment->id = 0;
    return !error;
}

static bool
segment_begin(struct gl_screen *screen, struct gl_segment *segment, size_t bytes)
{
    int fd = memfd_create("gpuvchan-picture", MFD_CLOEXEC);
    void *data;
    bool made;

    if (fd < 0)
        return false;
    data = ftruncate(fd, (off_t)bytes) == 0 ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    made = data != MAP_FAILED;
    if (made) {
        segment->data = data;
        segment->bytes = bytes;
        made = segment_attach(screen, segment, fd);
        if (!made)
            segment_end(screen, segment);
    }
    close(fd);
    return made;
}

/* One that the server does not read, of at least that size; NULL: there is none to be had. */
static struct gl_segment *
segment_take(struct gl_surface *surface, size_t bytes)
{
    struct gl_screen *screen = surface->screen;
    struct gl_segment *segment = &surface->segments[0];

    if (!screen->shared)
        return NULL;
    if (segment->reading)
        segment = &surface->segments[1];
    if (segment->reading)
        gl_screen_wait(screen, segment);
    if (segment->bytes < bytes)
        segment_end(screen, segment);
    if (!segment->data && !segment_begin(screen, segment, bytes)) {
        screen->shared = false; /* as of a server elsewhere */
        return NULL;
    }
    return segment;
}

/* ---- Showing --------------------------------------------------------------------------------- */

static void
put_shared(struct gl_surface *surface, struct gl_segment *segment, const struct gl_slot *slot)
{
    struct gl_screen *screen = surface->screen;
    uint16_t width = (uint16_t)slot->width, height = (uint16_t)slot->height;

    pthread_mutex_lock(&screen->lock);
    segment->reading = true;
    segment->sequence = xcb_shm_put_image(screen->connection, surface->xid, surface->gc, width, height, 0, 0, width,
                                          height, 0, 0, surface->depth, XCB_IMAGE_FORMAT_Z_PIXMAP, 1, segment->id, 0)
                            .sequence;
    pthread_mutex_unlock(&screen->lock);
    xcb_flush(screen->connection);
}

/* Through the connection, in portions that a request may have. */
static void
put_sent(struct gl_surface *surface, const struct gl_slot *slot, const unsigned char *picture)
{
    xcb_connection_t *connection = surface->screen->connection;
    size_t row = (size_t)slot->width * PIXEL, most = (size_t)xcb_get_maximum_request_length(connection) * 4 - 64;
    uint32_t rows = most / row > 0 ? (uint32_t)(most / row) : 1;

    for (uint32_t y = 0; y < slot->height; y += rows) {
        uint32_t count = slot->height - y < rows ? slot->height - y : rows;

        xcb_put_image(connection, XCB_IMAGE_FORMAT_Z_PIXMAP, surface->xid, surface->gc, (uint16_t)slot->width,
                      (uint16_t)count, 0, (int16_t)y, 0, surface->depth, (uint32_t)(count * row), picture + y * row);
    }
    xcb_flush(connection);
}

static uint64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* Not sooner after the last one than the program has said. */
static void
keep_interval(struct gl_surface *surface)
{
    int interval = atomic_load(&surface->interval);
    uint64_t due = surface->shown_ns + (uint64_t)(interval < 0 ? -interval : interval) * SECOND / 60, now = now_ns();
    struct timespec at = {.tv_sec = (time_t)(due / SECOND), .tv_nsec = (long)(due % SECOND)};

    if (interval != 0 && due > now)
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
            ;
    surface->shown_ns = interval != 0 && due + SECOND / 60 > now ? due : now;
}

/* A picture that has come: the one copy that is made of it here. */
static void
show(struct gl_surface *surface, const struct gl_slot *slot)
{
    const void *picture = gpuvchan_buffer_data(slot->buffer);
    size_t bytes = (size_t)slot->width * slot->height * PIXEL;
    struct gl_segment *segment;

    keep_interval(surface);
    segment = segment_take(surface, bytes);
    if (!segment) {
        put_sent(surface, slot, picture);
        return;
    }
    gpuvchan_arena_read(segment->data, picture, bytes);
    put_shared(surface, segment, slot);
}

/* ---- The presenter --------------------------------------------------------------------------- */

static int
wait_for_host(const struct gl_surface *surface, struct gpuvchan_lane *lane, uint64_t number)
{
    int status = gpuvchan_completion_spin(surface->client.channel, surface->word, number, SPIN_US);

    if (status == -ETIME)
        status = lane ? gl_frame_wait_on(&surface->client, lane, surface->word, number) : -ENOTCONN;
    return status;
}

static void
slot_free(struct gl_screen *screen, struct gl_slot *slot)
{
    pthread_mutex_lock(&screen->lock);
    slot->taken = false;
    pthread_cond_broadcast(&screen->freed);
    pthread_mutex_unlock(&screen->lock);
}

static struct gl_slot *
next_slot(struct gl_screen *screen)
{
    struct gl_slot *slot;

    pthread_mutex_lock(&screen->lock);
    while (!screen->first)
        pthread_cond_wait(&screen->queued, &screen->lock);
    slot = screen->first;
    screen->first = slot->next;
    if (!screen->first)
        screen->last = &screen->first;
    pthread_mutex_unlock(&screen->lock);
    return slot;
}

static void *
present_all(void *user)
{
    struct gl_screen *screen = user;
    struct gpuvchan_lane *lane = gpuvchan_lane_current(gl_process.channel);

    if (lane)
        gpuvchan_lane_set_unordered(lane);
    for (;;) {
        struct gl_slot *slot = next_slot(screen);
        struct gl_surface *surface = slot->surface;

        if (wait_for_host(surface, lane, slot->number) == 0) {
            gl_screen_events(screen);
            if (!atomic_load(&surface->gone) && !atomic_load(&screen->lost))
                show(surface, slot);
        }
        slot_free(screen, slot);
    }
    return NULL;
}

/* With the lock. */
static int
presenter_start(struct gl_screen *screen)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int error;

    if (screen->running)
        return 0;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    error = pthread_create(&thread, &attributes, present_all, screen);
    pthread_attr_destroy(&attributes);
    screen->running = error == 0;
    return -error;
}

/* ---- The thread that draws ------------------------------------------------------------------- */

int
gl_present_begin(struct gl_surface *surface)
{
    int error;

    if (!gl_screen_add(surface))
        return -ENOENT;
    error = gpuvchan_completion_create(surface->client.channel, &surface->word);
    if (error == 0) {
        pthread_mutex_lock(&surface->screen->lock);
        error = presenter_start(surface->screen);
        pthread_mutex_unlock(&surface->screen->lock);
        if (error == 0)
            return 0;
        gpuvchan_completion_destroy(surface->client.channel, surface->word);
    }
    gl_screen_remove(surface);
    return error;
}

/* With the lock. */
static void
wait_until_free(struct gl_surface *surface, const struct gl_slot *slot)
{
    while (slot->taken)
        pthread_cond_wait(&surface->screen->freed, &surface->screen->lock);
}

void
gl_present_finish(struct gl_surface *surface)
{
    pthread_mutex_lock(&surface->screen->lock);
    for (unsigned i = 0; i < GL_SLOTS; i++)
        wait_until_free(surface, &surface->slots[i]);
    pthread_mutex_unlock(&surface->screen->lock);
}

void
gl_present_end(struct gl_surface *surface)
{
    gl_present_finish(surface);
    for (unsigned i = 0; i < GL_SLOTS; i++) {
        gpuvchan_buffer_destroy(surface->slots[i].buffer);
        segment_end(surface->screen, &surface->segments[i]);
    }
    gl_screen_remove(surface);
    gpuvchan_completion_destroy(surface->client.channel, surface->word);
}

/* Room in the arena for the window's size. */
static int
slot_fit(struct gl_surface *surface, struct gl_slot *slot)
{
    size_t bytes = (size_t)surface->width * surface->height * PIXEL;

    slot->surface = surface;
    slot->width = surface->width;
    slot->height = surface->height;
    if (slot->buffer && gpuvchan_buffer_size(slot->buffer) >= bytes)
        return 0;
    gpuvchan_buffer_destroy(slot->buffer);
    slot->buffer = NULL;
    return gpuvchan_buffer_create(surface->client.channel, bytes, &slot->buffer);
}

static void
enqueue(struct gl_screen *screen, struct gl_slot *slot)
{
    pthread_mutex_lock(&screen->lock);
    slot->taken = true;
    slot->next = NULL;
    *screen->last = slot;
    screen->last = &slot->next;
    pthread_cond_signal(&screen->queued);
    pthread_mutex_unlock(&screen->lock);
}

int
gl_present(struct gl_surface *surface, struct gpuvchan_lane *lane)
{
    struct gl_screen *screen = surface->screen;
    struct gl_slot *slot = &surface->slots[surface->number % GL_SLOTS];
    struct gpuvchan_reference to;
    int error;

    if (gpuvchan_gl_lost())
        return -ENOTCONN;
    pthread_mutex_lock(&screen->lock);
    wait_until_free(surface, slot);
    pthread_mutex_unlock(&screen->lock);
    if (atomic_load(&surface->gone) || atomic_load(&screen->lost))
        return -ENOENT;
    error = slot_fit(surface, slot);
    if (error != 0)
        return error;
    to.offset = gpuvchan_buffer_offset(slot->buffer);
    to.bytes = (uint64_t)slot->width * slot->height * PIXEL;
    slot->number = ++surface->number;
    error = gl_frame_on(&surface->client, lane, surface->handle, to, slot->width, slot->height, surface->word,
                        slot->number);
    if (error == 0)
        enqueue(screen, slot);
    return error;
}
