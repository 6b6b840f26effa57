/* SPDX-License-Identifier: MIT */
/*
 * A lane on the host: the thread that takes records, has them executed and answers.
 *
 * Design notes
 *
 * One record: peek (header checked) → copy to private memory → wait for its turn among the lanes → the
 * protocol's generated checks → the plugin's handler → reply, or deferred error → advance.
 *
 * Turn among the lanes: gpuvchan/protocol.h explains tickets. A lane announces in `begun` the position
 * behind which nothing of it need be waited for: behind a post once it is executed, behind a call
 * already when it begins, because the guest's thread is waiting in it and nothing can have come after it.
 * So a call that blocks stalls no other lane. Waiting is always for smaller tickets, so it ends; a guest
 * that lies about tickets holds up itself alone, until it dies or is stopped.
 */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "session.h"

#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define FAILED_POSTS_LOGGED 16u /* of a lane */

/* ---- Life ------------------------------------------------------------------------------------ */

struct session_lane *
gpuvchan__session_lane_create(struct gpuvchan_session *session, uint32_t index)
{
    struct session_lane *lane = aligned_alloc(64, (sizeof(*lane) + 63) & ~(size_t)63);
    unsigned char *base = session->base + wire_lane_offset(&session->hello, index);
    unsigned char *command = base + sizeof(struct wire_lane);

    if (!lane)
        return NULL;
    memset(lane, 0, sizeof(*lane));
    lane->session = session;
    lane->index = index;
    lane->shared = (struct wire_lane *)(void *)base;
    gpuvchan__reader_init(&lane->reader, &lane->shared->command, lane->shared->slot, command,
                          session->hello.command_bytes, session->link, index, true, session->fence);
    gpuvchan__writer_init(&lane->writer, &lane->shared->reply, lane->shared->slot,
                          command + session->hello.command_bytes, session->hello.reply_bytes, session->link, index,
                          session->spin_ns);
    lane->writer.front.fence = session->fence;
    return lane;
}

int
gpuvchan__session_lane_begin(struct session_lane *lane)
{
    uint32_t reply_max = gpuvchan__ring_record_max(lane->session->hello.reply_bytes);

    lane->record = aligned_alloc(64, (lane->reader.record_max + 63) & ~63u);
    lane->reply = aligned_alloc(64, (reply_max + 63) & ~63u);
    if (!lane->record || !lane->reply)
        return -ENOMEM;
    lane->request = (struct gpuvchan_request){
        .session = lane->session,
        .payload = lane->record,
        .lane = lane->index,
        .sequence = lane->request.sequence, /* of a lane that has moved here */
        .reply = lane->reply,
        .reply_room = reply_max - (uint32_t)sizeof(struct gpuvchan_record),
    };
    /* Replies are sent in whole units: nothing of ours may be in the rest. */
    memset(lane->reply, 0, reply_max);
    return 0;
}

void
gpuvchan__session_lane_destroy(struct session_lane *lane)
{
    if (!lane)
        return;
    free(lane->record);
    free(lane->reply);
    free(lane);
}

void
gpuvchan__session_lane_close_states(struct session_lane *lane)
{
    for (uint32_t slot = 1; slot < WIRE_PROTOCOLS; slot++) {
        struct session_lane_protocol *mine = &lane->protocols[slot];
        const struct gpuvchan_plugin *plugin = lane->session->protocols[slot].plugin;

        if (mine->entries && plugin->lane_close)
            plugin->lane_close(mine->state, mine->lane_state);
        memset(mine, 0, sizeof(*mine));
    }
}

/* ---- Turn among the lanes -------------------------------------------------------------------- */

/* Has @p other a record that was published before ticket @p ticket was taken and is not begun? */
static bool
comes_first(const struct session_lane *other, uint64_t ticket)
{
    for (;;) {
        uint64_t at = atomic_load_explicit(&other->begun, memory_order_acquire);
        uint64_t theirs, word = gpuvchan__reader_word(&other->reader, at, &theirs);

        /* A skip may stand alone for long, until the guest publishes what it made room for. */
        if (word >> 40 & GPUVCHAN_RECORD_SKIP)
            word = gpuvchan__reader_word(&other->reader, (at | (other->reader.bytes - 1)) + 1, &theirs);
        /* If the lane moved on meanwhile, what we read may be from another lap: look again. */
        if (at == atomic_load_explicit(&other->begun, memory_order_acquire))
            return word != 0 && theirs < ticket;
    }
}

/* False: the other lanes stand still, or end, and the turn does not come. */
static __attribute__((noinline)) bool
wait_turn(struct session_lane *lane, uint64_t ticket)
{
    struct gpuvchan_session *session = lane->session;

    for (uint32_t i = 0; i < session->lane_count; i++) {
        const struct session_lane *other = session->lanes[i];
        unsigned tries = 0;

        if (i == lane->index)
            continue;
        /* They are opened in turn: there are no more. */
        if (atomic_load_explicit(&other->shared->guest_state, memory_order_acquire) != WIRE_LANE_OPEN)
            break;
        while (comes_first(other, ticket)) {
            if (atomic_load_explicit(&session->phase, memory_order_relaxed) != SESSION_SERVES)
                return false;
            if (++tries % 64 == 0)
                sched_yield();
            else
                gpuvchan__pause();
        }
    }
    return true;
}

/* ---- Executing ------------------------------------------------------------------------------- */

static __attribute__((noinline)) int
execute_control(struct session_lane *lane, struct gpuvchan_request *request)
{
    struct wire_open open;
    struct wire_opened *opened;

    switch (request->opcode) {
    case WIRE_CONTROL_PING:
        return 0;
    case WIRE_CONTROL_OPEN:
        opened = gpuvchan_request_reply(request, sizeof(*opened));
        if (request->bytes < sizeof(open) || !opened)
            return gpuvchan_request_corrupt(request, "open with %u bytes", request->bytes);
        memcpy(&open, request->payload, sizeof(open));
        return gpuvchan__session_open(lane->session, &open, opened);
    case WIRE_CONTROL_RESET:
        gpuvchan__session_lane_close_states(lane);
        return 0;
    default:
        return gpuvchan_request_corrupt(request, "unknown control record %u", request->opcode);
    }
}

/* The lane's first record for a protocol. */
static __attribute__((noinline)) int
lane_join(struct session_lane *lane, uint32_t slot, struct gpuvchan_request *request)
{
    struct session_lane_protocol *mine = &lane->protocols[slot];
    const struct session_protocol *protocol = &lane->session->protocols[slot];
    int error = 0;

    /* Pairs with the release in open_locked(). */
    if (slot > atomic_load_explicit(&lane->session->protocols_open, memory_order_acquire))
        return gpuvchan_request_corrupt(request, "record for protocol %u, which is not open", slot);
    if (protocol->plugin->lane_open)
        error = protocol->plugin->lane_open(protocol->state, lane->index, &mine->lane_state);
    if (error != 0)
        return error;
    mine->state = protocol->state;
    mine->count = protocol->plugin->dispatch->protocol.entries;
    mine->entries = protocol->plugin->dispatch->entries;
    return 0;
}

static __attribute__((noinline)) void
trace(const struct gpuvchan_request *request, const struct gpuvchan_entry *entry, int status)
{
    gpuvchan_log(GPUVCHAN_LOG_INFO, "lane %u #%llu %s %s %u bytes -> %d", request->lane,
                 (unsigned long long)request->sequence, request->flags & GPUVCHAN_RECORD_CALL ? "call" : "post",
                 entry->name, request->bytes, status);
}

static inline int
execute_plugin(struct session_lane *lane, uint32_t slot, struct gpuvchan_request *request)
{
    struct session_lane_protocol *mine = &lane->protocols[slot % WIRE_PROTOCOLS];
    const struct gpuvchan_entry *entry;
    int status;

    if (UNLIKELY(slot >= WIRE_PROTOCOLS))
        return gpuvchan_request_corrupt(request, "record for protocol %u", slot);
    if (UNLIKELY(!mine->entries)) {
        status = lane_join(lane, slot, request);
        if (status != 0)
            return status;
    }
    entry = &mine->entries[request->opcode];
    if (UNLIKELY(request->opcode >= mine->count || !entry->execute))
        return gpuvchan_request_corrupt(request, "protocol %u has no entry %u", slot, request->opcode);
    /* Records come in whole units. */
    if (UNLIKELY(request->bytes < entry->bytes_min || request->bytes >= entry->bytes_max + GPUVCHAN_RECORD_UNIT))
        return gpuvchan_request_corrupt(request, "%s with %u bytes, %u to %u are possible", entry->name, request->bytes,
                                        entry->bytes_min, entry->bytes_max);
    request->state = mine->state;
    request->lane_state = mine->lane_state;
    status = entry->execute(request);
    if (UNLIKELY(lane->session->limits.trace))
        trace(request, entry, status);
    return status;
}

/* For who wonders what a later call's error comes from. A guest that fails for ever does not fill the log. */
static __attribute__((noinline)) void
log_failed_post(const struct session_lane *lane, const struct gpuvchan_record *record, int status)
{
    const struct session_lane_protocol *mine = &lane->protocols[record->slot % WIRE_PROTOCOLS];
    const char *name = mine->entries && record->opcode < mine->count ? mine->entries[record->opcode].name : NULL;

    if (lane->error_count <= FAILED_POSTS_LOGGED)
        gpuvchan_log(GPUVCHAN_LOG_INFO, "%s (pid %u): the post %s of lane %u failed with %d, which a later call says%s",
                     lane->session->hello.program, lane->session->hello.pid, name ? name : "of an unknown record",
                     lane->index, status, lane->error_count == FAILED_POSTS_LOGGED ? "; no more of these" : "");
}

/* The first failure of a post since the guest last looked stays until it looks again. */
static void
defer_error(struct session_lane *lane, const struct gpuvchan_record *record, int status)
{
    uint32_t seen = (uint32_t)atomic_load_explicit(&lane->shared->error_seen, memory_order_acquire);
    uint64_t sequence = lane->request.sequence;

    if (seen != lane->error_count)
        return;
    lane->error_count++;
    log_failed_post(lane, record, status);
    atomic_store_explicit(&lane->shared->error_seq, sequence, memory_order_relaxed);
    /* Pairs with the acquire in gpuvchan_lane_take_error(). */
    atomic_store_explicit(&lane->shared->error, (uint64_t)lane->error_count << 32 | (uint32_t)status,
                          memory_order_release);
}

static inline __attribute__((always_inline)) int
execute(struct session_lane *lane, const struct gpuvchan_record *record)
{
    struct gpuvchan_request *request = &lane->request;

    request->reply_bytes = 0;
    request->linger_us = 0;
    return UNLIKELY(record->slot == 0) ? execute_control(lane, request) : execute_plugin(lane, record->slot, request);
}

/* 1; 0: the record stays where it is, to be executed again; -EPROTO. */
static inline __attribute__((always_inline)) int
is_done(struct session_lane *lane, int status)
{
    if (UNLIKELY(status == -EPROTO) && atomic_load(&lane->session->fault) != 0)
        return -EPROTO;
    if (UNLIKELY(status == -ERESTART)) {
        lane->request.sequence--;
        return 0;
    }
    return 1;
}

/* Posts are never in the slot. Here and below a record is copied for those that take its address: so it stays in registers. */
static inline __attribute__((always_inline)) int
execute_post(struct session_lane *lane, const struct gpuvchan_record *record, uint64_t behind)
{
    int status = execute(lane, record), done = is_done(lane, status);

    if (UNLIKELY(done <= 0))
        return done;
    /* Before the guest learns of it: it clears the memory, and other lanes must not take that for an empty ring. */
    atomic_store_explicit(&lane->begun, behind, memory_order_release);
    gpuvchan__reader_advance_to(&lane->reader, behind);
    if (UNLIKELY(status != 0)) {
        const struct gpuvchan_record failed = *record;

        defer_error(lane, &failed, status);
    }
    return 0;
}

static inline __attribute__((always_inline)) int
execute_call(struct session_lane *lane, const struct gpuvchan_record *record, uint64_t behind)
{
    const struct gpuvchan_record answered = *record;
    bool in_slot = lane->reader.at == lane->reader.slot;
    int status, done;

    atomic_store_explicit(&lane->begun, in_slot ? lane->reader.head : behind, memory_order_release);
    status = execute(lane, record);
    done = is_done(lane, status);
    if (UNLIKELY(done <= 0))
        return done;
    gpuvchan__reader_advance(&lane->reader, record);
    return gpuvchan__writer_reply(&lane->writer, &answered, status, lane->request.reply, lane->request.reply_bytes);
}

static inline __attribute__((always_inline)) int
lane_execute(struct session_lane *lane, const struct gpuvchan_record *record)
{
    struct gpuvchan_request *request = &lane->request;
    uint64_t size = (uint64_t)record->units * GPUVCHAN_RECORD_UNIT, behind = lane->reader.head + size;

    request->bytes = (uint32_t)size - (uint32_t)sizeof(*record);
    request->opcode = record->opcode;
    request->flags = record->flags;
    gpuvchan__reader_copy(&lane->reader, record, lane->record);
    /* Also when it follows the ticket executed last: a smaller one may have been published only since then. */
    if (record->ticket != 0 && !wait_turn(lane, record->ticket))
        return 0; /* it stays where it is */
    request->sequence++;
    return record->flags & GPUVCHAN_RECORD_CALL ? execute_call(lane, record, behind)
                                                : execute_post(lane, record, behind);
}

static uint64_t
spin_ns(const struct session_lane *lane)
{
    uint64_t usual = lane->session->spin_ns, longer = lane->request.linger_us * 1000ull;

    return usual > 0 && longer > usual ? longer : usual; /* who never spins does not linger either */
}

/* In a process that has taken another one's place: as the lane was there. */
static int
reopen_states(struct session_lane *lane)
{
    for (uint32_t slot = 1; slot < WIRE_PROTOCOLS; slot++) {
        int error = lane->reopen & 1u << slot ? lane_join(lane, slot, &lane->request) : 0;
        char text[WIRE_FAULT_TEXT];

        if (error == 0)
            continue;
        snprintf(text, sizeof(text), "lane %u: plugin %s does not open it again: error %d", lane->index,
                 lane->session->protocols[slot].plugin->name, error);
        return gpuvchan__session_fail(lane->session, -EIO, text);
    }
    return 0;
}

/* Between two records. Does nothing until the session serves again, or stops; @p ends: nothing more at all. */
static __attribute__((noinline)) void
stand_still(struct session_lane *lane, bool ends)
{
    struct gpuvchan_session *session = lane->session;

    pthread_mutex_lock(&session->pause_lock);
    lane->still = true;
    pthread_cond_broadcast(&session->turned);
    while (!ends && atomic_load(&session->phase) == SESSION_PAUSES)
        pthread_cond_wait(&session->turned, &session->pause_lock);
    lane->still = ends;
    pthread_mutex_unlock(&session->pause_lock);
}

void *
gpuvchan__session_lane_serve(void *argument)
{
    struct session_lane *lane = argument;
    struct gpuvchan_session *session = lane->session;
    bool call = false;
    int phase, error = reopen_states(lane);

    while (error == 0 && (phase = atomic_load_explicit(&session->phase, memory_order_relaxed)) != SESSION_STOPS) {
        struct gpuvchan_record record;
        int found;

        if (UNLIKELY(phase == SESSION_PAUSES)) {
            stand_still(lane, false);
            continue;
        }
        found = gpuvchan__reader_peek(&lane->reader, &record);
        if (found > 0) {
            error = lane_execute(lane, &record);
            call = record.flags & GPUVCHAN_RECORD_CALL;
        } else {
            /* A skip may have been passed: announced before the wait tells the guest, as above. */
            atomic_store_explicit(&lane->begun, lane->reader.head, memory_order_release);
            /* After a call the guest is soon back with more; after posts it likes to fill its lines alone. */
            error = found < 0 ? found : gpuvchan__reader_wait(&lane->reader, spin_ns(lane), call);
        }
    }
    if (error == -EPROTO)
        gpuvchan__session_fault(session, error, gpuvchan_error_text());
    stand_still(lane, true);
    return NULL;
}

/* ---- Services to generated code -------------------------------------------------------------- */

int
gpuvchan_request_corrupt(struct gpuvchan_request *request, const char *format, ...)
{
    char what[160], text[WIRE_FAULT_TEXT];
    va_list list;

    va_start(list, format);
    vsnprintf(what, sizeof(what), format, list);
    va_end(list);
    snprintf(text, sizeof(text), "lane %u, record %llu: %s", request->lane, (unsigned long long)request->sequence,
             what);
    return gpuvchan__session_fault(request->session, -EPROTO, text);
}
