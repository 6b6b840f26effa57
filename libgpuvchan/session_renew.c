/* SPDX-License-Identifier: MIT */
/*
 * Moving a session to a fresh process: its lanes stand still, plugins and core write a snapshot, another program
 * takes this one's place by exec, with the same connection and region, and goes on from there.
 *
 * Design notes
 *
 * A lane stands still between two records only, so that each is executed once, here or there. What then tells the
 * next record from the last is private to the lane: positions in the rings, the turn of the slot, numbers of
 * records and errors. That is in the snapshot, and nothing of the region is: it stays where it is. The guest sees a
 * worker that takes its time. No thread ends until exec, since drivers have state per thread, and a renewal that is
 * given up leaves all as it was.
 *
 * A lane that waits for its turn among the lanes gives its record back, since what it waits for stands still. A
 * handler that blocks is waited for, for a time; one whose plugin has `pause` gives its record back, too.
 *
 * In the new process a session begins paused: its lanes' threads open what was open, stand still, and serve once
 * all of them do.
 *
 * Sections of the snapshot: what the transport needs, the session with its lanes, the protocols by slot, and one for
 * each plugin. The first three have names that no plugin can have.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "session.h"
#include "snapshot.h"

#define LINK ":link"
#define SESSION ":session"
#define PROTOCOLS ":protocols"

#define TICK_MS 100u
#define NO_LIMIT UINT32_MAX

struct session_image {
    struct wire_hello hello;
    uint32_t fence, same_address;
    uint32_t lanes, reserved;
};

struct lane_image {
    struct gpuvchan__reader_place reader;
    struct gpuvchan__writer_place writer;
    uint64_t sequence;
    uint32_t error_count;
    uint32_t opened; /* bits of the slots that it has opened */
};
_Static_assert(sizeof(struct session_image) == 272 && sizeof(struct lane_image) == 80, "layout, without gaps");

/* ---- Standing still -------------------------------------------------------------------------- */

static void
tell_plugins(struct gpuvchan_session *session, bool pause)
{
    for (uint32_t slot = atomic_load(&session->protocols_open); slot > 0; slot--)
        if (PLUGIN_HAS(session->protocols[slot].plugin, pause))
            session->protocols[slot].plugin->pause(session->protocols[slot].state, pause);
}

void
gpuvchan__session_go_on(struct gpuvchan_session *session)
{
    int paused = SESSION_PAUSES;

    if (session->told_to_pause) {
        tell_plugins(session, false);
        session->link->transport->heritage->rouse(session->link, false);
        session->told_to_pause = false;
    }
    pthread_mutex_lock(&session->pause_lock);
    atomic_compare_exchange_strong(&session->phase, &paused, SESSION_SERVES);
    pthread_cond_broadcast(&session->turned);
    pthread_mutex_unlock(&session->pause_lock);
}

/* With the lock. */
static const struct session_lane *
find_moving(const struct gpuvchan_session *session)
{
    for (uint32_t i = 0; i < session->lane_count; i++)
        if (session->lanes[i]->running && !session->lanes[i]->still)
            return session->lanes[i];
    return NULL;
}

static void
wait_tick(struct gpuvchan_session *session)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_clockwait(&session->turned, &session->pause_lock, CLOCK_MONOTONIC, &until);
}

/* Until all lanes stand still. */
static int
await_still(struct gpuvchan_session *session, uint32_t timeout_ms)
{
    uint64_t give_up = gpuvchan__now_ns() + timeout_ms * 1000000ull;
    const struct session_lane *moving;
    int error = 0;

    pthread_mutex_lock(&session->pause_lock);
    while ((moving = find_moving(session)) && atomic_load(&session->phase) == SESSION_PAUSES &&
           (timeout_ms == NO_LIMIT || gpuvchan__now_ns() < give_up))
        wait_tick(session);
    if (atomic_load(&session->phase) != SESSION_PAUSES)
        error = gpuvchan__error(-ESHUTDOWN, "the session has ended");
    else if (moving)
        error =
            gpuvchan__error(-EBUSY, "on lane %u a handler has not returned within %u ms", moving->index, timeout_ms);
    pthread_mutex_unlock(&session->pause_lock);
    return error;
}

static int
pause_lanes(struct gpuvchan_session *session, uint32_t timeout_ms)
{
    int serves = SESSION_SERVES;

    atomic_compare_exchange_strong(&session->phase, &serves, SESSION_PAUSES);
    session->told_to_pause = true;
    tell_plugins(session, true);
    session->link->transport->heritage->rouse(session->link, true);
    return await_still(session, timeout_ms);
}

static int
plugin_error(const struct gpuvchan_plugin *plugin, const char *what, int error)
{
    return gpuvchan__error(error < 0 ? error : -EIO, "the plugin %s could not %s: %s", plugin->name, what,
                           error < 0 ? strerror(-error) : "see the host's log");
}

/* ---- Writing --------------------------------------------------------------------------------- */

static int
check_possible(struct gpuvchan_session *session)
{
    if (!session->link->transport->heritage)
        return gpuvchan__error(-ENOTSUP, "a session over %s cannot move to another process",
                               session->link->transport->name);
    if (gpuvchan__share_in_use(&session->share))
        return gpuvchan__error(-EBUSY,
                               "the guest's other processes may take what this one shares, which ends with its worker");
    for (uint32_t slot = 1; slot <= atomic_load(&session->protocols_open); slot++)
        if (!PLUGIN_HAS(session->protocols[slot].plugin, suspend))
            return gpuvchan__error(-ENOTSUP, "the plugin %s, which is in use, has no suspend and resume",
                                   session->protocols[slot].plugin->name);
    return 0;
}

static void
lane_leave(const struct session_lane *lane, struct lane_image *image)
{
    memset(image, 0, sizeof(*image));
    gpuvchan__reader_leave(&lane->reader, &image->reader);
    gpuvchan__writer_leave(&lane->writer, &image->writer);
    image->sequence = lane->request.sequence;
    image->error_count = lane->error_count;
    for (uint32_t slot = 1; slot < WIRE_PROTOCOLS; slot++)
        image->opened |= lane->protocols[slot].entries ? 1u << slot : 0;
}

static void
write_session(const struct gpuvchan_session *session, struct gpuvchan_snapshot *snapshot)
{
    struct session_image image = {
        .hello = session->hello,
        .fence = session->fence,
        .same_address = session->same_address,
        .lanes = session->lane_count,
    };
    struct lane_image lane;

    gpuvchan__snapshot_begin(snapshot, SESSION);
    gpuvchan_snapshot_write(snapshot, &image, sizeof(image));
    for (uint32_t i = 0; i < image.lanes; i++) {
        lane_leave(session->lanes[i], &lane);
        gpuvchan_snapshot_write(snapshot, &lane, sizeof(lane));
    }
    gpuvchan__snapshot_end(snapshot);
}

static void
write_protocols(const struct gpuvchan_session *session, struct gpuvchan_snapshot *snapshot)
{
    uint32_t count = atomic_load(&session->protocols_open);

    gpuvchan__snapshot_begin(snapshot, PROTOCOLS);
    gpuvchan_snapshot_write(snapshot, &count, sizeof(count));
    for (uint32_t slot = 1; slot <= count; slot++) {
        const struct gpuvchan_plugin *plugin = session->protocols[slot].plugin;
        const struct gpuvchan_protocol *protocol = &plugin->dispatch->protocol;
        struct wire_open open = {.version = protocol->version, .entries = protocol->entries, .hash = protocol->hash};

        snprintf(open.name, sizeof(open.name), "%s", plugin->name);
        gpuvchan_snapshot_write(snapshot, &open, sizeof(open));
    }
    gpuvchan__snapshot_end(snapshot);
}

static int
suspend_plugins(const struct gpuvchan_session *session, struct gpuvchan_snapshot *snapshot)
{
    for (uint32_t slot = 1; slot <= atomic_load(&session->protocols_open); slot++) {
        const struct session_protocol *protocol = &session->protocols[slot];
        int error;

        gpuvchan__snapshot_begin(snapshot, protocol->plugin->name);
        error = protocol->plugin->suspend(protocol->state, snapshot);
        if (error != 0)
            return plugin_error(protocol->plugin, "suspend", error);
        gpuvchan__snapshot_end(snapshot);
    }
    return 0;
}

static int
write_all(const struct gpuvchan_session *session, int fd)
{
    struct gpuvchan_snapshot *snapshot;
    int error = gpuvchan__snapshot_write_to(fd, &snapshot);

    if (error != 0)
        return error;
    gpuvchan__snapshot_begin(snapshot, LINK);
    session->link->transport->heritage->save(session->link, snapshot);
    gpuvchan__snapshot_end(snapshot);
    write_session(session, snapshot);
    write_protocols(session, snapshot);
    error = suspend_plugins(session, snapshot);
    if (error == 0)
        error = gpuvchan__snapshot_finish(snapshot); /* the first error of all that was written */
    gpuvchan__snapshot_destroy(snapshot);
    return error;
}

int
gpuvchan_session_suspend(struct gpuvchan_session *session, int fd, uint32_t timeout_ms)
{
    int error = check_possible(session);

    if (error != 0)
        return error;
    error = pause_lanes(session, timeout_ms);
    if (error == 0)
        error = check_possible(session); /* a plugin may have been opened meanwhile */
    if (error == 0)
        error = write_all(session, fd);
    if (error != 0)
        gpuvchan__session_go_on(session);
    return error;
}

int
gpuvchan_session_announce(struct gpuvchan_session *session, int fd)
{
    struct gpuvchan_snapshot *snapshot;
    int error = check_possible(session);

    if (error == 0)
        error = gpuvchan__snapshot_write_to(fd, &snapshot);
    if (error != 0)
        return error;
    write_protocols(session, snapshot);
    error = gpuvchan__snapshot_finish(snapshot);
    gpuvchan__snapshot_destroy(snapshot);
    return error;
}

int
gpuvchan_session_pass(struct gpuvchan_session *session, bool on)
{
    return session->link->transport->heritage->keep(session->link, on);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static int
lane_return(struct session_lane *lane, const struct lane_image *image)
{
    int error = gpuvchan__reader_return(&lane->reader, &image->reader);

    if (error == 0)
        error = gpuvchan__writer_return(&lane->writer, &image->writer);
    if (error != 0)
        return error;
    lane->request.sequence = image->sequence;
    lane->error_count = image->error_count;
    lane->reopen = image->opened;
    atomic_store(&lane->begun, lane->reader.head);
    return 0;
}

/* The guest counts on what its welcome granted. */
static int
check_granted(const struct gpuvchan_session *session, const struct session_image *image)
{
    const struct gpuvchan__link *link = session->link;

    if (!image->fence && !(link->transport->features(link) & WIRE_FEATURE_ASYMMETRIC_FENCE))
        return gpuvchan__error(-ENOTSUP, "this process cannot have the fences that the guest was granted");
    if (image->lanes != session->lane_count)
        return gpuvchan__error(-EPROTO, "%u lanes were allowed, and now %u are", image->lanes, session->lane_count);
    if (image->same_address && !session->same_address)
        return gpuvchan__error(-ENOMEM, "the region's address 0x%llx is not free here",
                               (unsigned long long)image->hello.base);
    return 0;
}

static int
read_lanes(struct gpuvchan_session *session)
{
    int error = 0;

    for (uint32_t i = 0; i < session->lane_count && error == 0; i++) {
        struct lane_image lane;

        error = gpuvchan_snapshot_read(session->snapshot, &lane, sizeof(lane));
        if (error == 0)
            error = lane_return(session->lanes[i], &lane);
    }
    return error ? error : gpuvchan__snapshot_end(session->snapshot);
}

static int
read_session(struct gpuvchan_session *session)
{
    struct session_image image;
    int error = gpuvchan__snapshot_begin(session->snapshot, SESSION);

    if (error == 0)
        error = gpuvchan_snapshot_read(session->snapshot, &image, sizeof(image));
    if (error != 0)
        return error;
    session->hello = image.hello;
    session->hello.program[sizeof(session->hello.program) - 1] = '\0';
    session->fence = image.fence;
    error = gpuvchan__session_check(session);
    if (error == 0)
        error = gpuvchan__session_map(session);
    if (error != 0)
        return error;
    error = check_granted(session, &image);
    if (error == 0)
        error = read_lanes(session);
    if (error != 0)
        gpuvchan__session_fail(session, error, gpuvchan_error_text());
    return error;
}

static int
read_link(struct gpuvchan_session *session, int fd)
{
    const struct gpuvchan__heritage *heritage = gpuvchan__transport_of(fd)->heritage;
    int error = gpuvchan__snapshot_begin(session->snapshot, LINK);

    if (error == 0 && !heritage)
        error = gpuvchan__error(-ENOTSUP, "a session over this transport cannot have moved here");
    if (error != 0) {
        close(fd);
        return error;
    }
    error = heritage->reopen(fd, session->snapshot, &session->link);
    if (error == 0)
        session->link->transport->identify(session->link, session->share.guest, sizeof(session->share.guest));
    return error ? error : gpuvchan__snapshot_end(session->snapshot);
}

int
gpuvchan_session_reopen(int fd, int from, const struct gpuvchan_session_limits *limits, struct gpuvchan_session **out)
{
    struct gpuvchan_session *session = gpuvchan__session_create(fd, limits);
    int error;

    if (!session)
        return -EINVAL;
    atomic_store(&session->phase, SESSION_PAUSES);
    error = gpuvchan__snapshot_check(from);
    if (error == 0)
        error = gpuvchan__snapshot_read_from(from, &session->snapshot);
    if (error != 0)
        close(fd);
    else
        error = read_link(session, fd);
    if (error == 0)
        error = read_session(session);
    if (error != 0)
        gpuvchan_session_destroy(session);
    else
        *out = session;
    return error;
}

/* ---- Resuming -------------------------------------------------------------------------------- */

static const struct gpuvchan_plugin *
find_plugin(const struct gpuvchan_session *session, const struct wire_open *open, int *error)
{
    struct wire_opened opened = {0};
    const struct gpuvchan_plugin *plugin = gpuvchan__session_plugin(session, open->name, open, &opened, error);

    if (!plugin) {
        gpuvchan__error(*error, "%s", opened.text);
    } else if (!PLUGIN_HAS(plugin, resume)) {
        *error = gpuvchan__error(-ENOTSUP, "the plugin %s that is here now has no resume", plugin->name);
        return NULL;
    }
    return plugin;
}

static int
resume_plugin(struct gpuvchan_session *session, uint32_t slot, const struct wire_open *open)
{
    int error = 0;
    const struct gpuvchan_plugin *plugin = find_plugin(session, open, &error);
    void *state;

    if (plugin)
        error = gpuvchan__snapshot_begin(session->snapshot, plugin->name);
    if (error != 0)
        return error;
    error = plugin->resume(session, session->snapshot, &state);
    if (error != 0)
        return plugin_error(plugin, "resume", error);
    session->protocols[slot] = (struct session_protocol){.plugin = plugin, .state = state};
    atomic_store(&session->protocols_open, slot);
    return gpuvchan__snapshot_end(session->snapshot);
}

static int
read_protocols(struct gpuvchan_snapshot *snapshot, struct wire_open opens[WIRE_PROTOCOLS], uint32_t *count)
{
    int error = gpuvchan__snapshot_begin(snapshot, PROTOCOLS);

    if (error == 0)
        error = gpuvchan_snapshot_read(snapshot, count, sizeof(*count));
    if (error == 0 && *count >= WIRE_PROTOCOLS)
        error = gpuvchan__error(-EPROTO, "a snapshot with %u protocols", *count);
    if (error == 0)
        error = gpuvchan_snapshot_read(snapshot, opens, *count * sizeof(*opens));
    for (uint32_t i = 0; error == 0 && i < *count; i++)
        opens[i].name[sizeof(opens->name) - 1] = '\0';
    return error ? error : gpuvchan__snapshot_end(snapshot);
}

static int
resume_plugins(struct gpuvchan_session *session)
{
    struct wire_open opens[WIRE_PROTOCOLS];
    uint32_t count = 0;
    int error = read_protocols(session->snapshot, opens, &count);

    for (uint32_t slot = 1; slot <= count && error == 0; slot++)
        error = resume_plugin(session, slot, &opens[slot - 1]);
    return error ? error : gpuvchan__snapshot_finish(session->snapshot);
}

int
gpuvchan_session_foresee(int from, const struct gpuvchan_plugin *const *plugins, size_t count)
{
    struct gpuvchan_session *offered = calloc(1, sizeof(*offered));
    struct gpuvchan_snapshot *snapshot = NULL;
    struct wire_open opens[WIRE_PROTOCOLS];
    uint32_t used = 0;
    int error = offered ? gpuvchan__snapshot_read_from(from, &snapshot) : -ENOMEM;

    if (error == 0)
        error = read_protocols(snapshot, opens, &used);
    for (size_t i = 0; i < count && error == 0; i++)
        error = gpuvchan_session_offer(offered, plugins[i]);
    for (uint32_t i = 0; i < used && error == 0; i++)
        find_plugin(offered, &opens[i], &error);
    gpuvchan__snapshot_destroy(snapshot);
    free(offered);
    return error;
}

int
gpuvchan_session_resume(struct gpuvchan_session *session)
{
    int error = resume_plugins(session);
    char text[WIRE_FAULT_TEXT];

    gpuvchan__snapshot_destroy(session->snapshot);
    session->snapshot = NULL;
    if (error != 0) {
        snprintf(text, sizeof(text), "its worker was renewed, and could not go on: %s", gpuvchan_error_text());
        return gpuvchan__session_fail(session, error, text);
    }
    error = gpuvchan__session_start_lanes(session);
    return error ? error : await_still(session, NO_LIMIT);
}
