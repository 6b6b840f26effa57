/* SPDX-License-Identifier: MIT */
/*
 * The host's session: the handshake's checks, opening plugins, the fault that ends it, and the services
 * that plugins use.
 *
 * Design notes: everything from the guest is hostile. The hello is checked field by field before the
 * region is mapped, and the layout is computed from those private numbers alone. A fault is told once,
 * with its values, to the log and (as text in the region) to the guest.
 */
#include "session.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "snapshot.h"
#include "transport.h"

#define DEFAULT_ARENA_MAX (64ull << 30)
#define DEFAULT_LANES_MAX 256u
#define DEFAULT_TIMEOUT_MS 5000u
#define DEFAULT_SPIN_US 50
#define STUCK_SECONDS 3

/* ---- Handshake ------------------------------------------------------------------------------- */

static bool
ring_size_ok(uint32_t bytes)
{
    return bytes >= WIRE_RING_MIN && bytes <= WIRE_RING_MAX && (bytes & (bytes - 1)) == 0;
}

static int
hello_check(const struct wire_hello *hello, const struct gpuvchan_session_limits *limits)
{
    uint64_t lanes_end;

    if (hello->magic != WIRE_MAGIC)
        return gpuvchan__error(-EPROTO, "hello with magic 0x%llx, no guest of gpuvchan",
                               (unsigned long long)hello->magic);
    if (hello->major != WIRE_MAJOR)
        return gpuvchan__error(-EPROTO, "the guest speaks version %u of the transport, this host %u: update the older",
                               hello->major, WIRE_MAJOR);
    if (hello->lanes == 0 || hello->lanes > WIRE_LANES_MAX)
        return gpuvchan__error(-EPROTO, "%u lanes asked for, 1 to %u are possible", hello->lanes, WIRE_LANES_MAX);
    if (!ring_size_ok(hello->command_bytes) || !ring_size_ok(hello->reply_bytes))
        return gpuvchan__error(-EPROTO, "rings of %u and %u bytes: must be powers of two from %u to %u",
                               hello->command_bytes, hello->reply_bytes, WIRE_RING_MIN, WIRE_RING_MAX);
    if (hello->arena_bytes > limits->arena_bytes || hello->arena_bytes > WIRE_ARENA_MAX)
        return gpuvchan__error(-E2BIG, "an arena of %llu bytes asked for, this host allows %llu: lower GPUVCHAN_ARENA",
                               (unsigned long long)hello->arena_bytes, (unsigned long long)limits->arena_bytes);
    lanes_end = wire_lane_offset(hello, hello->lanes); /* at most 1024 * 32 MiB: cannot overflow */
    if (hello->arena_offset < lanes_end || hello->arena_offset > lanes_end + (1ull << 30) ||
        hello->arena_offset % WIRE_PAGE != 0 || hello->arena_bytes % WIRE_PAGE != 0 ||
        hello->region_bytes != hello->arena_offset + hello->arena_bytes)
        return gpuvchan__error(-EPROTO, "region of %llu bytes with an arena of %llu at %llu: does not fit together",
                               (unsigned long long)hello->region_bytes, (unsigned long long)hello->arena_bytes,
                               (unsigned long long)hello->arena_offset);
    return 0;
}

static void
welcome_fill(struct wire_welcome *welcome, int status, const char *text)
{
    memset(welcome, 0, sizeof(*welcome));
    welcome->magic = WIRE_MAGIC;
    welcome->major = WIRE_MAJOR;
    welcome->minor = WIRE_MINOR;
    welcome->status = status;
    welcome->worker_pid = (uint32_t)getpid();
    snprintf(welcome->text, sizeof(welcome->text), "%s", text);
}

void
gpuvchan_session_refuse(int fd, int error, const char *reason)
{
    const struct gpuvchan__transport *transport = gpuvchan__transport_of(fd);
    struct wire_welcome welcome;

    welcome_fill(&welcome, error < 0 ? error : -EACCES, reason);
    if (transport)
        transport->refuse(fd, &welcome);
    else
        close(fd);
}

static void
limits_settle(struct gpuvchan_session_limits *limits, const struct gpuvchan_session_limits *given)
{
    memset(limits, 0, sizeof(*limits));
    if (given)
        memcpy(limits, given, given->size < sizeof(*limits) ? given->size : sizeof(*limits));
    limits->arena_bytes = limits->arena_bytes ? limits->arena_bytes : DEFAULT_ARENA_MAX;
    limits->lanes = limits->lanes ? limits->lanes : DEFAULT_LANES_MAX;
    limits->timeout_ms = limits->timeout_ms ? limits->timeout_ms : DEFAULT_TIMEOUT_MS;
    limits->spin_us = limits->spin_us ? limits->spin_us : DEFAULT_SPIN_US;
}

int
gpuvchan__session_check(const struct gpuvchan_session *session)
{
    return hello_check(&session->hello, &session->limits);
}

int
gpuvchan__session_map(struct gpuvchan_session *session)
{
    const struct wire_hello *hello = &session->hello;
    void *base;
    int error = session->link->transport->map(session->link, hello, &base);

    if (error != 0)
        return error;
    session->base = base;
    session->region = base;
    session->arena = session->base + hello->arena_offset;
    session->arena_bytes = hello->arena_bytes;
    session->same_address = (uintptr_t)base == hello->base;
    session->lane_count = hello->lanes < session->limits.lanes ? hello->lanes : session->limits.lanes;
    for (uint32_t i = 0; i < session->lane_count; i++) {
        session->lanes[i] = gpuvchan__session_lane_create(session, i);
        if (!session->lanes[i])
            return gpuvchan__error(-ENOMEM, "out of memory");
    }
    return 0;
}

struct gpuvchan_session *
gpuvchan__session_create(int fd, const struct gpuvchan_session_limits *limits)
{
    const struct gpuvchan__transport *transport = gpuvchan__transport_of(fd);
    struct gpuvchan_session *session = transport ? calloc(1, sizeof(*session)) : NULL;

    if (!session) {
        close(fd);
        if (transport)
            gpuvchan__error(-ENOMEM, "out of memory");
        else
            gpuvchan__error(-EINVAL, "descriptor %d is no connection of a guest", fd);
        return NULL;
    }
    pthread_mutex_init(&session->lock, NULL);
    pthread_mutex_init(&session->pause_lock, NULL);
    pthread_cond_init(&session->turned, NULL);
    limits_settle(&session->limits, limits);
    session->spin_ns = gpuvchan__spin_ns(session->limits.spin_us, transport);
    gpuvchan__share_init(&session->share, "");
    return session;
}

int
gpuvchan_session_accept(int fd, const struct gpuvchan_session_limits *limits, struct gpuvchan_session **out)
{
    const struct gpuvchan__transport *transport = gpuvchan__transport_of(fd);
    struct gpuvchan_session *session = gpuvchan__session_create(fd, limits);
    struct wire_welcome welcome;
    int error;

    if (!session)
        return transport ? -ENOMEM : -EINVAL;
    error = transport->receive(fd, &session->hello, session->limits.timeout_ms, &session->link);
    if (error != 0)
        goto destroy;
    transport->identify(session->link, session->share.guest, sizeof(session->share.guest));
    error = gpuvchan__session_check(session);
    if (error == 0) {
        uint64_t features = transport->features(session->link) & session->hello.features & WIRE_FEATURES_KNOWN;

        session->fence = !(features & WIRE_FEATURE_ASYMMETRIC_FENCE);
        error = gpuvchan__session_map(session);
        welcome_fill(&welcome, error, error ? gpuvchan_error_text() : "");
        welcome.features = features;
        welcome.lanes = session->lane_count;
        welcome.flags = session->same_address ? WIRE_WELCOME_SAME_ADDRESS : 0;
    } else {
        welcome_fill(&welcome, error, gpuvchan_error_text());
    }
    if (error != 0) {
        transport->welcome(session->link, &session->hello, &welcome);
        goto destroy;
    }
    error = transport->welcome(session->link, &session->hello, &welcome);
    if (error != 0)
        goto destroy;
    gpuvchan__text_from_peer(session->hello.program, sizeof(session->hello.program), session->hello.program,
                             sizeof(session->hello.program));
    *out = session;
    return 0;
destroy:
    gpuvchan_session_destroy(session);
    return error;
}

int
gpuvchan_session_restrict(struct gpuvchan_session *session)
{
    return session->link->transport->restrict_self(session->link);
}

const char *
gpuvchan_session_program(const struct gpuvchan_session *session)
{
    return session->hello.program;
}

/* ---- Plugins --------------------------------------------------------------------------------- */

int
gpuvchan_session_offer(struct gpuvchan_session *session, const struct gpuvchan_plugin *plugin)
{
    if (plugin->api > GPUVCHAN_PLUGIN_API || plugin->size < offsetof(struct gpuvchan_plugin, load) || !plugin->name ||
        !plugin->dispatch || !plugin->open || !plugin->close)
        return gpuvchan__error(-EINVAL, "plugin %s: not complete, or made for a newer library",
                               plugin->name ? plugin->name : "without a name");
    if (session->offer_count == SESSION_OFFERS)
        return gpuvchan__error(-ENOSPC, "more than %u plugins", SESSION_OFFERS);
    session->offers[session->offer_count++] = plugin;
    return 0;
}

static int
open_refuse(struct wire_opened *opened, int error, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(opened->text, sizeof(opened->text), format, list);
    va_end(list);
    return error;
}

static const struct gpuvchan_plugin *
offer_find(const struct gpuvchan_session *session, const char *name)
{
    for (uint32_t i = 0; i < session->offer_count; i++)
        if (strcmp(session->offers[i]->name, name) == 0)
            return session->offers[i];
    return NULL;
}

const struct gpuvchan_plugin *
gpuvchan__session_plugin(const struct gpuvchan_session *session, const char *name, const struct wire_open *open,
                         struct wire_opened *opened, int *error)
{
    const struct gpuvchan_plugin *plugin = offer_find(session, name);
    const struct gpuvchan_protocol *mine;

    if (!plugin) {
        *error = open_refuse(opened, -ENOENT, "this host has no plugin %s, or does not offer it", name);
        return NULL;
    }
    mine = &plugin->dispatch->protocol;
    opened->version = mine->version;
    if (mine->version == open->version && mine->hash == open->hash && mine->entries == open->entries)
        return plugin;
    *error = open_refuse(opened, -EPROTONOSUPPORT,
                         "the host's plugin was built from another version of the protocol (%u, the guest has %u): "
                         "install the same release on both sides",
                         mine->version, open->version);
    return NULL;
}

static int
open_locked(struct gpuvchan_session *session, const struct wire_open *open, const char *name,
            struct wire_opened *opened)
{
    uint32_t count = atomic_load(&session->protocols_open);
    int error = 0;
    const struct gpuvchan_plugin *plugin = gpuvchan__session_plugin(session, name, open, opened, &error);

    if (!plugin)
        return error;
    for (uint32_t slot = 1; slot <= count; slot++)
        if (session->protocols[slot].plugin == plugin) {
            opened->slot = slot;
            return 0;
        }
    if (count + 1 >= WIRE_PROTOCOLS)
        return open_refuse(opened, -ENOSPC, "more than %u protocols on one channel", WIRE_PROTOCOLS - 1);
    error = plugin->open(session, &session->protocols[count + 1].state);
    if (error != 0)
        return open_refuse(opened, error < 0 ? error : -EIO, "the plugin could not open: %s",
                           gpuvchan_error_text()[0] ? gpuvchan_error_text() : "see the host's log");
    session->protocols[count + 1].plugin = plugin;
    /* Pairs with the acquire in the lanes: the slot's contents are there. */
    atomic_store_explicit(&session->protocols_open, count + 1, memory_order_release);
    opened->slot = count + 1;
    return 0;
}

int
gpuvchan__session_open(struct gpuvchan_session *session, const struct wire_open *open, struct wire_opened *opened)
{
    char name[sizeof(open->name)];
    int error;

    gpuvchan__text_from_peer(name, sizeof(name), open->name, sizeof(open->name));
    pthread_mutex_lock(&session->lock);
    error = open_locked(session, open, name, opened);
    pthread_mutex_unlock(&session->lock);
    if (error != 0)
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "%s asks for %s: %s", session->hello.program, name, opened->text);
    return error;
}

/* ---- Fault, run, end ------------------------------------------------------------------------- */

static int
end_with(struct gpuvchan_session *session, int error, const char *what, const char *text)
{
    int none = 0;

    if (!atomic_compare_exchange_strong(&session->fault, &none, error))
        return none;
    gpuvchan_log(GPUVCHAN_LOG_ERROR, "%s (pid %u) %s: %s", session->hello.program, session->hello.pid, what, text);
    snprintf(session->region->fault_text, sizeof(session->region->fault_text), "%s", text);
    /* Pairs with the acquire in gpuvchan__channel_lost(). */
    atomic_store_explicit(&session->region->fault, (uint32_t)-error, memory_order_release);
    gpuvchan_session_stop(session);
    return error;
}

int
gpuvchan__session_fault(struct gpuvchan_session *session, int error, const char *text)
{
    return end_with(session, error, "broke the protocol", text);
}

int
gpuvchan__session_fail(struct gpuvchan_session *session, int error, const char *text)
{
    return end_with(session, error, "cannot be served any more", text);
}

void
gpuvchan_session_stop(struct gpuvchan_session *session)
{
    atomic_store(&session->phase, SESSION_STOPS);
    session->link->transport->shut(session->link);
}

void
gpuvchan_session_interrupt(struct gpuvchan_session *session)
{
    atomic_store(&session->interrupted, true);
    session->link->transport->wake_main(session->link);
}

int
gpuvchan__session_start_lanes(struct gpuvchan_session *session)
{
    for (uint32_t i = 0; i < session->lane_count; i++) {
        struct session_lane *lane = session->lanes[i];
        uint32_t doorbell;

        if (lane->running || atomic_load_explicit(&lane->shared->guest_state, memory_order_acquire) != WIRE_LANE_OPEN)
            continue;
        doorbell = atomic_load_explicit(&lane->shared->doorbell, memory_order_relaxed);
        if (session->link->transport->lane_join(session->link, i, doorbell) != 0)
            return gpuvchan__session_fault(session, -EPROTO, gpuvchan_error_text());
        if (gpuvchan__session_lane_begin(lane) != 0)
            return gpuvchan__session_fail(session, -ENOMEM, "the host is out of memory for another lane");
        if (pthread_create(&lane->thread, NULL, gpuvchan__session_lane_serve, lane) != 0)
            return gpuvchan__session_fail(session, -EAGAIN, "the host cannot start another thread");
        lane->running = true;
        atomic_store_explicit(&lane->shared->host_state, WIRE_LANE_OPEN, memory_order_release);
    }
    return 0;
}

/* Handlers that wait for the guest need not any more. */
static void
interrupt_plugins(struct gpuvchan_session *session)
{
    for (uint32_t slot = atomic_load(&session->protocols_open); slot > 0; slot--)
        if (PLUGIN_HAS(session->protocols[slot].plugin, interrupt))
            session->protocols[slot].plugin->interrupt(session->protocols[slot].state);
}

/* Lanes end by themselves soon, except one that a handler keeps, or the guest by a doorbell that it made block. */
static bool
join_lanes(struct gpuvchan_session *session)
{
    struct timespec give_up;

    clock_gettime(CLOCK_REALTIME, &give_up);
    give_up.tv_sec += STUCK_SECONDS;
    for (uint32_t i = 0; i < session->lane_count; i++) {
        struct session_lane *lane = session->lanes[i];

        if (lane->running && pthread_timedjoin_np(lane->thread, NULL, &give_up) != 0) {
            gpuvchan_log(GPUVCHAN_LOG_ERROR, "%s (pid %u): lane %u does not end", session->hello.program,
                         session->hello.pid, i);
            session->stuck = true;
        } else {
            lane->running = false;
        }
    }
    return !session->stuck;
}

int
gpuvchan_session_run(struct gpuvchan_session *session)
{
    int error = 0;

    gpuvchan__session_go_on(session);
    while (error == 0 && atomic_load(&session->phase) == SESSION_SERVES) {
        if (atomic_exchange(&session->interrupted, false))
            return -EINTR;
        error = gpuvchan__session_start_lanes(session);
        if (error == 0)
            error = session->link->transport->wait_main(session->link, -1);
    }
    gpuvchan_session_stop(session);
    gpuvchan__session_go_on(session); /* for those that did not see the end, since they stood still */
    interrupt_plugins(session);
    return join_lanes(session) ? atomic_load(&session->fault) : -ETIMEDOUT;
}

void
gpuvchan_session_destroy(struct gpuvchan_session *session)
{
    if (!session || session->stuck) /* a thread still uses it all */
        return;
    for (uint32_t i = 0; i < session->lane_count; i++)
        if (session->lanes[i])
            gpuvchan__session_lane_close_states(session->lanes[i]);
    for (uint32_t slot = atomic_load(&session->protocols_open); slot > 0; slot--)
        session->protocols[slot].plugin->close(session->protocols[slot].state);
    for (uint32_t i = 0; i < session->lane_count; i++)
        gpuvchan__session_lane_destroy(session->lanes[i]);
    gpuvchan__share_finish(&session->share);
    if (session->link)
        session->link->transport->close(session->link);
    gpuvchan__snapshot_destroy(session->snapshot);
    pthread_cond_destroy(&session->turned);
    pthread_mutex_destroy(&session->pause_lock);
    pthread_mutex_destroy(&session->lock);
    free(session);
}

/* ---- Services for plugins -------------------------------------------------------------------- */

void *
gpuvchan_session_arena(const struct gpuvchan_session *session, uint64_t *bytes)
{
    *bytes = session->arena_bytes;
    return session->arena;
}

bool
gpuvchan_session_same_address(const struct gpuvchan_session *session)
{
    return session->same_address;
}

void *
gpuvchan_session_resolve(const struct gpuvchan_session *session, struct gpuvchan_reference reference)
{
    if (reference.offset > session->arena_bytes || reference.bytes > session->arena_bytes - reference.offset)
        return NULL;
    return session->arena + reference.offset;
}

_Atomic uint64_t *
gpuvchan_session_completion(struct gpuvchan_session *session, uint32_t index)
{
    if (index >= WIRE_COMPLETIONS)
        return NULL;
    return (_Atomic uint64_t *)(void *)(session->base + WIRE_PAGE) + index;
}

void
gpuvchan_completion_signal(_Atomic uint64_t *word, uint64_t value)
{
    /* Pairs with the acquire in gpuvchan_completion_read(). */
    atomic_store_explicit(word, value, memory_order_release);
}

void *
gpuvchan_session_completions(struct gpuvchan_session *session, size_t *bytes)
{
    *bytes = WIRE_COMPLETION_BYTES;
    return session->base + WIRE_PAGE;
}

int
gpuvchan_session_share(struct gpuvchan_session *session, const void *data, size_t bytes, int fd,
                       struct gpuvchan_session_token *token)
{
    return gpuvchan__share_offer(&session->share, data, bytes, fd, token);
}

void
gpuvchan_session_unshare(struct gpuvchan_session *session, const struct gpuvchan_session_token *token)
{
    gpuvchan__share_end(&session->share, token);
}

int
gpuvchan_session_take(struct gpuvchan_session *session, const struct gpuvchan_session_token *token, void *data,
                      size_t *bytes, int *fd)
{
    return gpuvchan__share_take(&session->share, token, data, bytes, fd);
}
