/* SPDX-License-Identifier: MIT */
/*
 * For test_dispatch.c alone: what generated code calls, in small. The services of the library on both sides,
 * a lane whose records are executed by the one who waits for them, and the plugin's handlers, which check
 * what every handler may rely on, whoever calls them, and count their calls.
 */
#ifndef DISPATCH_FAKES_H
#define DISPATCH_FAKES_H

#define ARENA 4096u
#define RING 65536u
#define STREAM 100u /* handles that exist in every test */
#define EVENT 200u
#define OTHER_EVENT (201u | 5u << 20)

/* ---- Fake services ---------------------------------------------------------------------------- */

struct gpuvchan_handles {
    struct {
        uint32_t handle;
        uint16_t kind;
        void *object;
    } slots[8];
    int insert_error;
};

static struct gpuvchan_handles handles;
static unsigned char arena[ARENA];
static _Alignas(16) unsigned char reply[65536];
static uint32_t reply_bytes, reply_limit;
static int corruptions, errors_logged, discarded;
static char corruption[256];

static char stream_object, event_object, other_event_object, new_object;
#define STREAM_OBJECT ((test_stream)(void *)&stream_object)
#define EVENT_OBJECT ((test_event)(void *)&event_object)
#define OTHER_EVENT_OBJECT ((test_event)(void *)&other_event_object)

void *
gpuvchan_handles_lookup(const struct gpuvchan_handles *table, uint32_t handle, uint16_t kind)
{
    for (size_t i = 0; i < 8; i++)
        if (handle != 0 && table->slots[i].handle == handle && table->slots[i].kind == kind)
            return table->slots[i].object;
    return NULL;
}

void *
gpuvchan_handles_remove(struct gpuvchan_handles *table, uint32_t handle, uint16_t kind)
{
    for (size_t i = 0; i < 8; i++)
        if (handle != 0 && table->slots[i].handle == handle && table->slots[i].kind == kind) {
            table->slots[i].handle = 0;
            return table->slots[i].object;
        }
    return NULL;
}

int
gpuvchan_handles_insert(struct gpuvchan_handles *table, uint32_t handle, uint16_t kind, void *object)
{
    size_t free_slot = 8;

    assert_non_null(object);
    if (table->insert_error != 0)
        return table->insert_error;
    for (size_t i = 0; i < 8; i++) {
        if (table->slots[i].handle == handle)
            return -EEXIST;
        if (table->slots[i].handle == 0)
            free_slot = i;
    }
    if (free_slot == 8)
        return -ENOMEM;
    table->slots[free_slot].handle = handle;
    table->slots[free_slot].kind = kind;
    table->slots[free_slot].object = object;
    return 0;
}

void *
gpuvchan_session_resolve(const struct gpuvchan_session *session, struct gpuvchan_reference reference)
{
    (void)session;
    if (reference.offset > ARENA || reference.bytes > ARENA - reference.offset)
        return NULL;
    return arena + reference.offset;
}

int
gpuvchan_request_corrupt(struct gpuvchan_request *request, const char *format, ...)
{
    va_list list;

    (void)request;
    va_start(list, format);
    vsnprintf(corruption, sizeof(corruption), format, list);
    va_end(list);
    corruptions++;
    return -EPROTO;
}

void
gpuvchan_log(enum gpuvchan_log_level level, const char *format, ...)
{
    (void)format;
    errors_logged += level == GPUVCHAN_LOG_ERROR;
}

/* ---- Handlers --------------------------------------------------------------------------------- */

static int calls;     /* of handlers */
static int give_back; /* what they return */

static struct dispatch_scalars_request got_scalars;
static struct {
    char name[16], title[16];
    uint32_t tag, n;
    uint16_t values[8];
    unsigned char data[8];
    test_pair pairs[2];
    size_t values_count, data_bytes, pairs_count;
    test_stream stream;
    test_event event;
    test_stream streams[2];
    test_event events[4];
    size_t streams_count, events_count;
    void *text, *extra;
    size_t text_bytes, extra_bytes;
    test_pointer dst;
    uint8_t value;
} got;

struct gpuvchan_handles *
dispatch_handles(struct gpuvchan_request *request)
{
    (void)request;
    return &handles;
}

void
dispatch_discard_stream(struct gpuvchan_request *request, test_stream object)
{
    (void)request;
    assert_ptr_equal(object, &new_object);
    discarded++;
}

void
dispatch_discard_event(struct gpuvchan_request *request, test_event object)
{
    (void)request;
    assert_ptr_equal(object, &new_object);
    discarded++;
}

int
dispatch_host_nothing(struct gpuvchan_request *request)
{
    (void)request;
    calls++;
    return give_back;
}

int
dispatch_host_scalars(struct gpuvchan_request *request, uint8_t a, uint16_t b, int8_t c, uint32_t d, bool e, uint64_t f,
                      int16_t g, float h, int64_t k, int32_t l, double m, test_pointer n, test_enum o)
{
    (void)request;
    calls++;
    got_scalars = (struct dispatch_scalars_request){
        .a = a,
        .b = b,
        .c = c,
        .d = d,
        .e = e,
        .f = f,
        .g = g,
        .h = h,
        .k = k,
        .l = l,
        .m = m,
        .n = n,
        .o = o,
    };
    return give_back;
}

int
dispatch_host_numbers(struct gpuvchan_request *request, uint32_t n, int32_t *level, bool *flag, uint8_t *small,
                      bool *odd, double *half, test_pointer *where)
{
    (void)request;
    calls++;
    *level -= 1;
    *flag = !*flag;
    *small = (uint8_t)n;
    *odd = n & 1;
    *half = n / 2.0;
    *where = ~0ull - n;
    return give_back;
}

int
dispatch_host_greet(struct gpuvchan_request *request, const char *name, const char *title, char *greeting,
                    size_t greeting_size, char *farewell, size_t farewell_size)
{
    (void)request;
    calls++;
    assert_true(strlen(name) <= DISPATCH_GREET_NAME_MAX && strlen(title) <= DISPATCH_GREET_TITLE_MAX);
    assert_true(greeting_size >= 1 && greeting_size <= 17 && farewell_size >= 1 && farewell_size <= 13);
    snprintf(greeting, greeting_size, "%s %s", title, name);
    memset(farewell, 'x', farewell_size); /* a handler that forgets the NUL */
    return give_back;
}

int
dispatch_host_store(struct gpuvchan_request *request, uint32_t tag, const uint16_t *values, size_t values_count,
                    const void *data, size_t data_bytes, const test_pair *pairs, size_t pairs_count)
{
    (void)request;
    calls++;
    assert_true(values_count <= 5 && data_bytes <= 7 && pairs_count <= 2);
    got.tag = tag;
    memcpy(got.values, values, values_count * sizeof(*values));
    memcpy(got.data, data, data_bytes);
    memcpy(got.pairs, pairs, pairs_count * sizeof(*pairs));
    got.values_count = values_count;
    got.data_bytes = data_bytes;
    got.pairs_count = pairs_count;
    return give_back;
}

int
dispatch_host_head(struct gpuvchan_request *request, uint32_t n, uint64_t *items, size_t *items_count, void *data,
                   size_t *data_bytes, uint16_t *small, size_t *small_count)
{
    (void)request;
    calls++;
    assert_true(*items_count <= 4 && *data_bytes <= 5 && *small_count <= 3);
    for (size_t i = 0; i < *items_count; i++)
        items[i] = n + i;
    memset(data, 0xda, *data_bytes);
    for (size_t i = 0; i < *small_count; i++)
        small[i] = (uint16_t)(n * 2 + i);
    if (n == 1000)
        *small_count += 1; /* a handler that returns more than there is room for */
    else if (*data_bytes > 2)
        *data_bytes = 3;
    return give_back;
}

int
dispatch_host_structs(struct gpuvchan_request *request, const test_pair *pair, uint8_t between, const test_box *box,
                      uint8_t behind, uint16_t further, struct test_point *point, test_pair *both,
                      const test_box *boxes, size_t boxes_count, uint32_t *total)
{
    (void)request;
    calls++;
    assert_true(boxes_count <= 3);
    *total = pair->first + between + box->side[12] + behind + further;
    for (size_t i = 0; i < boxes_count; i++)
        *total += boxes[i].side[0] + boxes[i].side[12];
    point->x = pair->second;
    point->y = pair->third;
    both->first++;
    return give_back;
}

int
dispatch_host_upper(struct gpuvchan_request *request, void *text, size_t text_bytes, void *extra, size_t extra_bytes)
{
    (void)request;
    calls++;
    assert_true((unsigned char *)text >= arena && (unsigned char *)text + text_bytes <= arena + ARENA);
    got.text = text;
    got.text_bytes = text_bytes;
    got.extra = extra;
    got.extra_bytes = extra_bytes;
    return give_back;
}

int
dispatch_host_work(struct gpuvchan_request *request, uint32_t n, test_stream on, test_event after)
{
    (void)request;
    calls++;
    assert_non_null(after);
    got.n = n;
    got.stream = on;
    got.event = after;
    return give_back;
}

int
dispatch_host_wait_all(struct gpuvchan_request *request, const test_event *events, size_t events_count,
                       const test_stream *streams, size_t streams_count, uint32_t *count)
{
    (void)request;
    calls++;
    assert_true(events_count <= 4 && streams_count <= 2);
    memcpy(got.events, events, events_count * sizeof(*events));
    memcpy(got.streams, streams, streams_count * sizeof(*streams));
    *count = (uint32_t)(events_count + streams_count);
    return give_back;
}

int
dispatch_host_stream_create(struct gpuvchan_request *request, test_stream *made, uint32_t flags)
{
    (void)request;
    calls++;
    *made = flags == 7 ? NULL : (test_stream)(void *)&new_object; /* 7: a handler that makes nothing */
    return give_back;
}

int
dispatch_host_event_create(struct gpuvchan_request *request, test_event *made, const char *name, uint32_t *number)
{
    (void)request;
    calls++;
    *made = (test_event)(void *)&new_object;
    *number = (uint32_t)strlen(name);
    return give_back;
}

int
dispatch_host_stream_destroy(struct gpuvchan_request *request, test_stream gone, const char *why)
{
    (void)request;
    calls++;
    assert_non_null(gone);
    assert_true(strlen(why) <= 4);
    got.stream = gone;
    return give_back;
}

int
test_direct(struct gpuvchan_request *request, test_pointer dst, uint8_t value, test_stream on)
{
    (void)request;
    calls++;
    got.dst = dst;
    got.value = value;
    got.stream = on;
    return give_back;
}

int
test_direct_out(struct gpuvchan_request *request, uint32_t n, test_stream *made, bool *odd, uint32_t *items,
                size_t *items_count)
{
    (void)request;
    calls++;
    *made = (test_stream)(void *)&new_object;
    *odd = n & 1;
    assert_true(*items_count <= 4);
    for (size_t i = 0; i < *items_count; i++)
        items[i] = n;
    return give_back;
}

/* ---- Fake lane: a ring whose records are executed by the one who waits for them ----------------- */

static _Alignas(64) unsigned char ring[RING];
static _Alignas(64) unsigned char slot[GPUVCHAN_SLOT_BYTES]; /* where calls go that fit */
static struct gpuvchan_lane_front front;
static _Atomic uint32_t asleep, ordered;
static _Atomic uint64_t ticket_clock;
static uint64_t executed; /* position */
static int stub_corruptions;
static bool capture_only;
static uint32_t reply_cut = UINT32_MAX; /* answer with at most so many bytes */
static uint32_t reply_add;              /* answer with so many bytes more */
static size_t reply_lie;                /* set the byte there to 99 */
static struct gpuvchan_client client = {.slot = 3};

/* What a record carries, in a copy of exactly its size. */
struct payload {
    uint16_t opcode;
    uint32_t bytes;
    unsigned char *data;
};

static int
execute(uint16_t opcode, const void *data, uint32_t bytes)
{
    void *copy = malloc(bytes + !bytes);
    struct gpuvchan_request request = {.payload = copy,
                                       .bytes = bytes,
                                       .opcode = opcode,
                                       .session = (void *)arena,
                                       .reply = reply,
                                       .reply_room = reply_limit};
    int result;

    assert_non_null(copy);
    memcpy(copy, data, bytes);
    result = dispatch_dispatch.entries[opcode].execute(&request);
    reply_bytes = request.reply_bytes;
    free(copy);
    return result;
}

/* The record last published. */
static struct payload
take(void)
{
    bool in_slot = executed == front.tail;
    const unsigned char *at = in_slot ? slot : ring + (executed & front.mask);
    struct gpuvchan_record record;
    struct payload payload;

    memcpy(&record, at, sizeof(record));
    assert_int_equal(record.slot, client.slot);
    assert_int_not_equal(record.units, 0);
    payload.opcode = record.opcode;
    payload.bytes = record.units * GPUVCHAN_RECORD_UNIT - (uint32_t)sizeof(record);
    payload.data = malloc(payload.bytes + 1);
    memcpy(payload.data, at + sizeof(record), payload.bytes);
    if (!in_slot)
        executed += record.units * GPUVCHAN_RECORD_UNIT;
    assert_true(executed == front.tail);
    return payload;
}

int
gpuvchan_lane_wait_reply(struct gpuvchan_lane *lane, const void **answer, uint32_t *bytes)
{
    struct payload payload;
    int status;

    (void)lane;
    if (capture_only)
        return 999;
    payload = take();
    status = execute(payload.opcode, payload.data, payload.bytes);
    free(payload.data);
    if (reply_lie != 0)
        reply[reply_lie] = 99;
    *answer = reply;
    *bytes = reply_bytes < reply_cut ? reply_bytes + reply_add : reply_cut;
    return status;
}

int
gpuvchan_lane_post_special(struct gpuvchan_lane *lane, uint8_t at, uint16_t opcode, size_t payload)
{
    const void *answer;
    uint32_t bytes;

    gpuvchan_publish(lane, at, opcode, GPUVCHAN_RECORD_CALL, payload);
    return gpuvchan_lane_wait_reply(lane, &answer, &bytes);
}

int
gpuvchan_lane_call_special(struct gpuvchan_lane *lane, uint8_t at, uint16_t opcode, size_t payload, const void **answer,
                           uint32_t *bytes)
{
    gpuvchan_publish_call(lane, at, opcode, payload);
    return gpuvchan_lane_wait_reply(lane, answer, bytes);
}

struct gpuvchan_lane *
gpuvchan_lane_current(struct gpuvchan_channel *channel)
{
    (void)channel;
    return (struct gpuvchan_lane *)(void *)&front;
}

unsigned char *
gpuvchan_lane_make_room(struct gpuvchan_lane *lane, uint32_t bytes)
{
    (void)lane, (void)bytes;
    return NULL;
}

void
gpuvchan_lane_ring_doorbell(struct gpuvchan_lane *lane)
{
    (void)lane;
    fail();
}

int
gpuvchan_stub_error(struct gpuvchan_channel *channel)
{
    (void)channel;
    return -EPIPE;
}

int
gpuvchan_stub_corrupt(struct gpuvchan_channel *channel, const char *entry, uint32_t bytes)
{
    (void)channel, (void)entry, (void)bytes;
    stub_corruptions++;
    return -EPROTO;
}

struct gpuvchan_client *
test_client(void)
{
    return &client;
}

uint32_t
test_handle_stream(test_stream stream)
{
    return stream == STREAM_OBJECT ? STREAM : 0;
}

uint32_t
test_handle_event(test_event event)
{
    return event == EVENT_OBJECT ? EVENT : 0;
}

#endif
