/* SPDX-License-Identifier: MIT */
/*
 * The guest's channel: connecting, opening protocols, the arena's buffers, completion words, and the end.
 *
 * Design notes: a channel's error is sticky and the first one counts. It is noticed by whoever waits: a
 * post into a dead channel succeeds until the ring is full, as posts do. In the child of a fork every
 * channel is dead at once (-ENOTCONN), since two processes cannot be one writer.
 */
#include "channel.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gpuvchan/plugin.h>

#include "error.h"
#include "stats.h"
#include "transport.h"

#define SYSTEM_SOCKET "/run/gpuvchan/host.sock"
#define LANES_MIN 4u
#define DEFAULT_TIMEOUT_MS 10000u
#define TIMEOUT_MAX_S 3600u
#define DEFAULT_SPIN_US 50
#define ARENA_MIN (256ull << 10) /* a smaller one serves nobody */

static pthread_mutex_t channels_lock = PTHREAD_MUTEX_INITIALIZER;
static struct gpuvchan_channel *channels; /* of this process */
static struct gpuvchan_channel *shared_channel;
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER; /* while it is being connected */

/* ---- Errors ---------------------------------------------------------------------------------- */

int
gpuvchan__channel_fail(struct gpuvchan_channel *channel, int error)
{
    int first;

    pthread_mutex_lock(&channel->lock);
    first = atomic_load(&channel->error);
    if (first == 0) {
        snprintf(channel->error_text, sizeof(channel->error_text), "%s", gpuvchan_error_text());
        atomic_store(&channel->error, error);
        channel->link->transport->shut(channel->link); /* other threads may wait for what never comes */
    } else {
        gpuvchan__error(first, "%s", channel->error_text);
    }
    pthread_mutex_unlock(&channel->lock);
    return first != 0 ? first : error;
}

int
gpuvchan__channel_lost(struct gpuvchan_channel *channel)
{
    uint32_t fault = atomic_load_explicit(&channel->region->fault, memory_order_acquire);
    char text[WIRE_FAULT_TEXT];

    if (fault == 0)
        return gpuvchan__channel_fail(
            channel, gpuvchan__error(-EPIPE, "the worker on the host has ended: see the log of gpuvchan-host"));
    gpuvchan__text_from_peer(text, sizeof(text), channel->region->fault_text, sizeof(channel->region->fault_text));
    return gpuvchan__channel_fail(channel, gpuvchan__error(-EPROTO, "the host ended the channel: %s", text));
}

int
gpuvchan_channel_error(struct gpuvchan_channel *channel)
{
    return atomic_load_explicit(&channel->error, memory_order_relaxed);
}

int
gpuvchan_stub_error(struct gpuvchan_channel *channel)
{
    int error = gpuvchan_channel_error(channel);

    if (error != 0)
        return error;
    /* Without a lane: all are taken. With one: the record was too large. */
    return pthread_getspecific(channel->key) ? -EMSGSIZE : -EAGAIN;
}

int
gpuvchan_stub_corrupt(struct gpuvchan_channel *channel, const char *entry, uint32_t bytes)
{
    return gpuvchan__channel_fail(channel,
                                  gpuvchan__error(-EPROTO, "%s: a reply of %u bytes is impossible", entry, bytes));
}

/* ---- Fork ------------------------------------------------------------------------------------ */

static void
fork_prepare(void)
{
    pthread_mutex_lock(&channels_lock);
}

static void
fork_parent(void)
{
    pthread_mutex_unlock(&channels_lock);
}

static void
fork_child(void)
{
    for (struct gpuvchan_channel *channel = channels; channel; channel = channel->next) {
        pthread_mutex_init(&channel->lock, NULL);
        if (atomic_load(&channel->error) == 0)
            snprintf(channel->error_text, sizeof(channel->error_text),
                     "the channel belongs to the parent of this process: connect anew after fork()");
        atomic_store(&channel->error, -ENOTCONN);
        channel->link->transport->abandon(channel->link);
        for (uint32_t i = 0; i < channel->lanes_open; i++)
            channel->lane[i]->writer.front.limit = 0; /* to the slow path, which looks at the error */
    }
    shared_channel = NULL; /* the child connects one of its own if it wants to */
    pthread_mutex_init(&shared_lock, NULL);
    pthread_mutex_init(&channels_lock, NULL);
}

static void
fork_register(void)
{
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* ---- Connect --------------------------------------------------------------------------------- */

static int
power_of_two(const char *what, uint32_t bytes)
{
    if (bytes < WIRE_RING_MIN || bytes > WIRE_RING_MAX || (bytes & (bytes - 1)))
        return gpuvchan__error(-EINVAL, "%s of %u bytes: must be a power of two from %u to %u", what, bytes,
                               WIRE_RING_MIN, WIRE_RING_MAX);
    return 0;
}

/* @p asked: so many must be had; 0: what is usual, or fewer. */
static int
lanes_settle(struct gpuvchan_channel_options *options, const struct gpuvchan__transport *transport, uint32_t *asked)
{
    const char *wanted = getenv("GPUVCHAN_LANES");
    uint64_t lanes = options->lanes;

    if (lanes == 0 && wanted && (gpuvchan_parse_size(wanted, &lanes) != 0 || lanes == 0 || lanes > WIRE_LANES_MAX))
        return gpuvchan__error(-EINVAL, "GPUVCHAN_LANES: '%s' is not a number from 1 to %u", wanted, WIRE_LANES_MAX);
    if (lanes > WIRE_LANES_MAX)
        return gpuvchan__error(-EINVAL, "%u lanes: at most %u", options->lanes, WIRE_LANES_MAX);
    *asked = (uint32_t)lanes;
    options->lanes = *asked ? *asked : transport->lanes;
    return 0;
}

/* The environment's, if there is one. */
static int
timeout_settle(uint32_t *timeout_ms)
{
    const char *named = getenv("GPUVCHAN_TIMEOUT");
    unsigned long seconds;
    char *end;

    *timeout_ms = DEFAULT_TIMEOUT_MS;
    if (!named)
        return 0;
    seconds = strtoul(named, &end, 10);
    if (*named < '0' || *named > '9' || *end || seconds < 1 || seconds > TIMEOUT_MAX_S)
        return gpuvchan__error(-EINVAL, "GPUVCHAN_TIMEOUT: '%s' is no number of seconds from 1 to %u", named,
                               TIMEOUT_MAX_S);
    *timeout_ms = (uint32_t)seconds * 1000;
    return 0;
}

static int
options_settle(const struct gpuvchan_channel_options *given, const struct gpuvchan__transport *transport,
               struct gpuvchan_channel_options *options, uint32_t *lanes_asked)
{
    const char *arena = getenv("GPUVCHAN_ARENA");
    int error;

    memset(options, 0, sizeof(*options));
    if (given) {
        if (given->size < sizeof(size_t))
            return gpuvchan__error(-EINVAL, "set size of the channel's options to sizeof the struct");
        memcpy(options, given, given->size < sizeof(*options) ? given->size : sizeof(*options));
    }
    if (options->arena_bytes == 0 && arena) {
        error = gpuvchan_parse_size(arena, &options->arena_bytes);
        if (error != 0)
            return gpuvchan__error(error, "GPUVCHAN_ARENA: '%s' is not a size (64M, 1G, ...)", arena);
    }
    if (options->arena_bytes == 0)
        options->arena_bytes = transport->arena_bytes;
    if (options->arena_bytes > WIRE_ARENA_MAX)
        return gpuvchan__error(-EINVAL, "an arena of %llu bytes is too large",
                               (unsigned long long)options->arena_bytes);
    options->arena_bytes = (options->arena_bytes + ARENA_GRAIN - 1) & ~(uint64_t)(ARENA_GRAIN - 1);
    error = lanes_settle(options, transport, lanes_asked);
    if (error != 0)
        return error;
    options->command_bytes = options->command_bytes ? options->command_bytes : transport->command_bytes;
    options->reply_bytes = options->reply_bytes ? options->reply_bytes : transport->reply_bytes;
    error = options->timeout_ms ? 0 : timeout_settle(&options->timeout_ms);
    if (error != 0)
        return error;
    options->spin_us = options->spin_us ? options->spin_us : DEFAULT_SPIN_US;
    error = power_of_two("command ring", options->command_bytes);
    return error ? error : power_of_two("reply ring", options->reply_bytes);
}

static const char *
default_address(char *room, size_t bytes)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    const char *named = getenv("GPUVCHAN_ADDRESS");
    struct stat info;

    if (named && named[0])
        return named;
    if (runtime && runtime[0]) {
        snprintf(room, bytes, "%s/gpuvchan/host.sock", runtime);
        if (stat(room, &info) == 0)
            return room;
    }
    return stat(SYSTEM_SOCKET, &info) != 0 && gpuvchan__xen_here() ? "xen:" : SYSTEM_SOCKET;
}

static void
region_layout(struct wire_hello *hello, uint32_t lanes, uint64_t arena_bytes, uint32_t grain)
{
    hello->lanes = lanes;
    hello->arena_offset = (wire_lane_offset(hello, lanes) + grain - 1) & ~(uint64_t)(grain - 1);
    hello->arena_bytes = arena_bytes;
    hello->region_bytes = hello->arena_offset + arena_bytes;
}

static int
hello_fill(struct wire_hello *hello, const struct gpuvchan_channel_options *options, uint32_t grain)
{
    memset(hello, 0, sizeof(*hello));
    hello->magic = WIRE_MAGIC;
    hello->major = WIRE_MAJOR;
    hello->minor = WIRE_MINOR;
    hello->command_bytes = options->command_bytes;
    hello->reply_bytes = options->reply_bytes;
    region_layout(hello, options->lanes, options->arena_bytes, grain);
    hello->pid = (uint32_t)getpid();
    snprintf(hello->program, sizeof(hello->program), "%s", program_invocation_short_name);
    if (getrandom(hello->session, sizeof(hello->session), 0) != (ssize_t)sizeof(hello->session) ||
        getrandom(hello->secret, sizeof(hello->secret), 0) != (ssize_t)sizeof(hello->secret))
        return gpuvchan__error(-errno, "no random numbers: %s", strerror(errno));
    return 0;
}

/*
 * A smaller region, which fits into @p room: lanes go first, down to @p lanes_min, while they take more than
 * half of it, then the arena. False when what is left would be of no use.
 */
static bool
region_fit(struct wire_hello *hello, uint64_t room, uint32_t lanes_min, uint32_t grain)
{
    uint64_t least = hello->arena_bytes < ARENA_MIN ? hello->arena_bytes : ARENA_MIN;
    uint64_t left = 0;
    uint32_t lanes = hello->lanes;

    while (lanes > lanes_min && wire_lane_offset(hello, lanes) > room / 2)
        lanes = lanes / 2 > lanes_min ? lanes / 2 : lanes_min;
    region_layout(hello, lanes, hello->arena_bytes, grain);
    if (room > hello->arena_offset)
        left = (room - hello->arena_offset) & ~(uint64_t)(ARENA_GRAIN - 1);
    if (left < least)
        return false;
    region_layout(hello, lanes, left < hello->arena_bytes ? left : hello->arena_bytes, grain);
    return true;
}

/* The region, smaller than asked for where the transport's limits leave less. */
static int
region_allocate(struct gpuvchan_channel *channel, uint32_t lanes_min)
{
    const struct gpuvchan__transport *transport = channel->link->transport;
    struct wire_hello *hello = &channel->hello;
    uint64_t asked = hello->arena_bytes, room;
    char why[ERROR_TEXT] = "";
    void *base;
    int error;

    room = transport->shareable(channel->link, hello->region_bytes, why, sizeof(why));
    if (room < hello->region_bytes && !region_fit(hello, room, lanes_min, transport->arena_grain))
        return gpuvchan__error(-ENOSPC, "no memory can be shared with the host: %s", why);
    while ((error = transport->allocate(channel->link, hello->region_bytes, &base)) == -ENOSPC) {
        snprintf(why, sizeof(why), "%s", gpuvchan_error_text());
        if (!region_fit(hello, hello->region_bytes / 2, lanes_min, transport->arena_grain))
            return gpuvchan__error(error, "%s", why);
    }
    if (error != 0)
        return error;
    if (hello->arena_bytes < asked)
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "the arena has %llu KiB instead of %llu: %s",
                     (unsigned long long)hello->arena_bytes >> 10, (unsigned long long)asked >> 10, why);
    channel->base = base;
    return gpuvchan__arena_init(&channel->arena, hello->arena_bytes);
}

static int
welcome_check(const struct wire_welcome *welcome, const struct wire_hello *hello)
{
    char text[sizeof(welcome->text)];

    if (welcome->magic != WIRE_MAGIC)
        return gpuvchan__error(-EPROTO, "what listens there is no gpuvchan-host");
    gpuvchan__text_from_peer(text, sizeof(text), welcome->text, sizeof(welcome->text));
    if (welcome->status != 0)
        return gpuvchan__error(welcome->status < 0 && welcome->status > -4096 ? welcome->status : -EPROTO,
                               "the host refuses: %s", text);
    if (welcome->major != WIRE_MAJOR)
        return gpuvchan__error(-EPROTO,
                               "the host speaks version %u of the transport, this library %u: update the older",
                               welcome->major, WIRE_MAJOR);
    if (welcome->features & ~hello->features)
        return gpuvchan__error(-EPROTO, "the host grants features 0x%llx that were not asked for",
                               (unsigned long long)welcome->features);
    return 0;
}

/* The host may allow fewer lanes than there is room for, but not fewer than were asked for. */
static int
lanes_take(struct gpuvchan_channel *channel, uint32_t granted, uint32_t asked)
{
    channel->lanes = granted < channel->hello.lanes ? granted : channel->hello.lanes;
    if (channel->lanes > 0 && channel->lanes >= asked)
        return 0;
    return gpuvchan__error(-E2BIG, "the host allows %u lanes, %u were asked for: ask for fewer (GPUVCHAN_LANES)",
                           channel->lanes, asked);
}

static int
channel_greet(struct gpuvchan_channel *channel, uint32_t lanes_asked, uint32_t timeout_ms)
{
    struct wire_welcome welcome;
    struct wire_hello *hello = &channel->hello;
    int error = region_allocate(channel, lanes_asked ? lanes_asked : LANES_MIN);

    if (error != 0)
        return error;
    channel->region = (struct wire_region *)(void *)channel->base;
    channel->region->magic = WIRE_MAGIC;
    channel->region->major = WIRE_MAJOR;
    channel->region->minor = WIRE_MINOR;
    hello->base = (uintptr_t)channel->base;
    hello->features = channel->link->transport->features(channel->link);
    error = channel->link->transport->greet(channel->link, hello, &welcome, timeout_ms);
    if (error == 0)
        error = welcome_check(&welcome, hello);
    if (error == 0)
        error = lanes_take(channel, welcome.lanes, lanes_asked);
    if (error != 0)
        return error;
    channel->fence = !(welcome.features & WIRE_FEATURE_ASYMMETRIC_FENCE);
    channel->same_address = welcome.flags & WIRE_WELCOME_SAME_ADDRESS;
    return 0;
}

static void
channel_free(struct gpuvchan_channel *channel)
{
    for (uint32_t i = 0; i < channel->lanes_open; i++)
        gpuvchan__lane_destroy(channel->lane[i]);
    if (channel->link)
        channel->link->transport->close(channel->link);
    gpuvchan__stats_destroy(channel->stats);
    gpuvchan__arena_finish(&channel->arena);
    pthread_mutex_destroy(&channel->lock);
    free(channel);
}

static int
connect_once(const struct gpuvchan__transport *transport, const char *place,
             const struct gpuvchan_channel_options *options, uint32_t lanes_asked, struct gpuvchan_channel **out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Atomic uint64_t ids;
    struct gpuvchan_channel *channel;
    const char *sync = getenv("GPUVCHAN_SYNC");
    int error;

    channel = aligned_alloc(64, (sizeof(*channel) + 63) & ~(size_t)63);
    if (!channel)
        return gpuvchan__error(-ENOMEM, "out of memory");
    memset(channel, 0, sizeof(*channel));
    pthread_mutex_init(&channel->lock, NULL);
    atomic_store(&channel->clock, 1);
    channel->id = atomic_fetch_add(&ids, 1) + 1;
    channel->synchronous = sync && sync[0] && strcmp(sync, "0") != 0;
    channel->stats = gpuvchan__stats_create();
    channel->spin_ns = gpuvchan__spin_ns(options->spin_us, transport);
    error = hello_fill(&channel->hello, options, transport->arena_grain);
    if (error == 0)
        error = transport->connect(place, options->timeout_ms, &channel->link);
    if (error == 0)
        error = channel_greet(channel, lanes_asked, options->timeout_ms);
    if (error == 0 && pthread_key_create(&channel->key, gpuvchan__lane_retire) != 0)
        error = gpuvchan__error(-EAGAIN, "no thread-specific key is left in this process");
    if (error != 0) {
        channel_free(channel);
        return error;
    }
    pthread_once(&once, fork_register);
    pthread_mutex_lock(&channels_lock);
    channel->next = channels;
    channels = channel;
    pthread_mutex_unlock(&channels_lock);
    *out = channel;
    return 0;
}

int
gpuvchan_channel_connect(const char *address, const struct gpuvchan_channel_options *given,
                         struct gpuvchan_channel **out)
{
    const struct gpuvchan__transport *transport;
    struct gpuvchan_channel_options options;
    const char *place;
    char room[256];
    uint32_t lanes_asked = 0;
    bool chosen = getenv("GPUVCHAN_ARENA") != NULL;
    int error;

    if (!address)
        address = default_address(room, sizeof(room));
    error = gpuvchan__transport_find(address, &transport, &place);
    if (error == 0)
        error = options_settle(given, transport, &options, &lanes_asked);
    if (error != 0)
        return error;
    chosen = chosen || options.arena_bytes != transport->arena_bytes;
    error = connect_once(transport, place, &options, lanes_asked, out);
    if (!chosen && (error == -E2BIG || error == -ENOMEM) && transport->arena_less != 0) {
        options.arena_bytes = transport->arena_less;
        error = connect_once(transport, place, &options, lanes_asked, out);
    }
    return error;
}

void
gpuvchan_channel_close(struct gpuvchan_channel *channel)
{
    if (!channel)
        return;
    pthread_mutex_lock(&channels_lock);
    for (struct gpuvchan_channel **at = &channels; *at; at = &(*at)->next)
        if (*at == channel) {
            *at = channel->next;
            break;
        }
    if (shared_channel == channel)
        shared_channel = NULL;
    pthread_mutex_unlock(&channels_lock);
    pthread_key_delete(channel->key);
    channel_free(channel);
}

int
gpuvchan_channel_shared(struct gpuvchan_channel **out)
{
    int error = 0;

    pthread_mutex_lock(&shared_lock);
    if (!shared_channel)
        error = gpuvchan_channel_connect(NULL, NULL, &shared_channel);
    if (error == 0)
        *out = shared_channel;
    pthread_mutex_unlock(&shared_lock);
    return error;
}

const uint8_t *
gpuvchan_channel_session(const struct gpuvchan_channel *channel)
{
    return channel->hello.session;
}

/* ---- Clients --------------------------------------------------------------------------------- */

int
gpuvchan_client_open(struct gpuvchan_channel *channel, const struct gpuvchan_protocol *protocol,
                     struct gpuvchan_client *client)
{
    struct gpuvchan_lane *lane = gpuvchan_lane_current(channel);
    struct wire_open *open;
    struct wire_opened opened;
    const void *reply;
    char text[sizeof(opened.text)];
    uint32_t bytes;
    int error;

    if (!lane)
        return gpuvchan_stub_error(channel);
    if (strlen(protocol->name) >= sizeof(open->name))
        return gpuvchan__error(-EINVAL, "the protocol's name %s is too long", protocol->name);
    open = gpuvchan_reserve_call(lane, sizeof(*open));
    if (!open)
        return gpuvchan_stub_error(channel);
    memset(open, 0, sizeof(*open));
    memcpy(open->name, protocol->name, strlen(protocol->name));
    open->version = protocol->version;
    open->entries = protocol->entries;
    open->hash = protocol->hash;
    gpuvchan_publish_call(lane, 0, WIRE_CONTROL_OPEN, sizeof(*open));
    error = gpuvchan__lane_wait(lane, &reply, &bytes);
    if (error < 0 && atomic_load(&channel->error) != 0)
        return error;
    if (bytes < sizeof(opened))
        return gpuvchan_stub_corrupt(channel, "open", bytes);
    memcpy(&opened, reply, sizeof(opened));
    gpuvchan__text_from_peer(text, sizeof(text), opened.text, sizeof(opened.text));
    if (error != 0)
        return gpuvchan__error(error, "%s: %s", protocol->name, text);
    if (opened.slot == 0 || opened.slot >= WIRE_PROTOCOLS)
        return gpuvchan_stub_corrupt(channel, "open", opened.slot);
    client->channel = channel;
    client->slot = (uint8_t)opened.slot;
    gpuvchan__stats_protocol(channel->stats, client->slot, protocol);
    return 0;
}

/* ---- Arena ----------------------------------------------------------------------------------- */

int
gpuvchan_buffer_create(struct gpuvchan_channel *channel, size_t bytes, struct gpuvchan_buffer **out)
{
    struct gpuvchan_buffer *buffer;
    uint64_t size = bytes;
    int error;

    if (bytes == 0)
        return gpuvchan__error(-EINVAL, "a buffer of 0 bytes");
    buffer = malloc(sizeof(*buffer));
    if (!buffer)
        return gpuvchan__error(-ENOMEM, "out of memory");
    buffer->channel = channel;
    error = gpuvchan__arena_take(&channel->arena, &size, &buffer->offset);
    if (error != 0) {
        free(buffer);
        return gpuvchan__error(error, "no %zu bytes in one piece are free in the arena of %llu: raise GPUVCHAN_ARENA",
                               bytes, (unsigned long long)channel->hello.arena_bytes);
    }
    buffer->bytes = size;
    *out = buffer;
    return 0;
}

void
gpuvchan_buffer_destroy(struct gpuvchan_buffer *buffer)
{
    if (!buffer)
        return;
    if (gpuvchan__arena_give(&buffer->channel->arena, buffer->offset, buffer->bytes) != 0)
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "out of memory: %llu bytes of the arena are lost",
                     (unsigned long long)buffer->bytes);
    free(buffer);
}

void *
gpuvchan_buffer_data(const struct gpuvchan_buffer *buffer)
{
    return buffer->channel->base + buffer->channel->hello.arena_offset + buffer->offset;
}

size_t
gpuvchan_buffer_size(const struct gpuvchan_buffer *buffer)
{
    return buffer->bytes;
}

uint64_t
gpuvchan_buffer_offset(const struct gpuvchan_buffer *buffer)
{
    return buffer->offset;
}

int
gpuvchan_buffer_map_over(const struct gpuvchan_buffer *buffer, size_t offset, size_t bytes, void *address)
{
    unsigned char *from = (unsigned char *)gpuvchan_buffer_data(buffer) + offset;
    void *again;

    if (bytes == 0 || offset > buffer->bytes || bytes > buffer->bytes - offset ||
        ((uintptr_t)address | offset | bytes) % 4096 != 0)
        return gpuvchan__error(-EINVAL, "%zu bytes at %zu of a buffer of %llu cannot be mapped at %p", bytes, offset,
                               (unsigned long long)buffer->bytes, address);
    /*
     * From no bytes: the kernel's way to map shared memory once more. It refuses what a driver has mapped, but only
     * after it has unmapped a fixed address: so anywhere first, and then to its place.
     */
    again = mremap(from, 0, bytes, MREMAP_MAYMOVE);
    if (again != MAP_FAILED) {
        if (mremap(again, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, address) == address)
            return 0;
        munmap(again, bytes);
    }
    return gpuvchan__error(errno == ENOMEM ? -ENOMEM : -EOPNOTSUPP, "the arena cannot be mapped again at %p: %s",
                           address, strerror(errno));
}

uint64_t
gpuvchan_arena_size(const struct gpuvchan_channel *channel)
{
    return channel->hello.arena_bytes;
}

bool
gpuvchan_arena_same_address(const struct gpuvchan_channel *channel)
{
    return channel->same_address;
}

bool
gpuvchan_arena_locate(const struct gpuvchan_channel *channel, const void *pointer, size_t bytes, uint64_t *offset)
{
    uint64_t at = (uintptr_t)pointer - (uintptr_t)(channel->base + channel->hello.arena_offset);

    if (at >= channel->hello.arena_bytes || bytes > channel->hello.arena_bytes - at)
        return false;
    *offset = at;
    return true;
}

/* ---- Completion words ------------------------------------------------------------------------ */

int
gpuvchan_completion_create(struct gpuvchan_channel *channel, uint32_t *index)
{
    int error = -ENOSPC;

    pthread_mutex_lock(&channel->lock);
    for (uint32_t i = 0; i < WIRE_COMPLETIONS / 64 && error != 0; i++) {
        uint64_t *used = &channel->completions_used[i];

        if (*used == UINT64_MAX)
            continue;
        *index = i * 64 + (uint32_t)__builtin_ctzll(~*used);
        *used |= 1ull << (*index % 64);
        atomic_store_explicit(channel_completion(channel, *index), 0, memory_order_relaxed);
        error = 0;
    }
    pthread_mutex_unlock(&channel->lock);
    return error == 0 ? 0 : gpuvchan__error(error, "all %u completion words are taken", WIRE_COMPLETIONS);
}

void
gpuvchan_completion_destroy(struct gpuvchan_channel *channel, uint32_t index)
{
    pthread_mutex_lock(&channel->lock);
    channel->completions_used[index / 64] &= ~(1ull << (index % 64));
    pthread_mutex_unlock(&channel->lock);
}

uint64_t
gpuvchan_completion_read(const struct gpuvchan_channel *channel, uint32_t index)
{
    /* Pairs with the release in gpuvchan_completion_signal(), or with the GPU's ordered write. */
    return atomic_load_explicit(channel_completion(channel, index), memory_order_acquire);
}

static int
completion_poll(struct gpuvchan_channel *channel, uint32_t index, uint64_t value, uint32_t spin_us)
{
    uint64_t give_up = 0;

    for (;;) {
        for (int i = 0; i < 128; i++) {
            if (gpuvchan_completion_read(channel, index) >= value)
                return 0;
            gpuvchan__pause();
        }
        if (give_up == 0)
            give_up = gpuvchan__now_ns() + spin_us * 1000ull;
        else if (gpuvchan__now_ns() >= give_up)
            break;
        else
            sched_yield(); /* the worker may be waiting for this very processor */
    }
    return gpuvchan_channel_error(channel) != 0 ? gpuvchan_channel_error(channel) : -ETIME;
}

int
gpuvchan_completion_spin(struct gpuvchan_channel *channel, uint32_t index, uint64_t value, uint32_t spin_us)
{
    uint64_t start = channel->stats ? gpuvchan__now_ns() : 0;
    int status = completion_poll(channel, index, value, spin_us);

    if (channel->stats)
        gpuvchan__stats_completion(channel->stats, gpuvchan__now_ns() - start);
    return status;
}
