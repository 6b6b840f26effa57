/* SPDX-License-Identifier: MIT */
/*
 * Suspending and resuming the CUDA plugin on a driver that executes: the simulated device, or CUDA_DRIVER=FILE.
 *
 * A guest process has two workers, one after the other, each a process of its own with a driver of its own: in the first
 * one things are made and saved, in the second one they are used. What both must know lies in shared memory.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "cuda_plugin.h"
#include "cuda_session.h"
#include "snapshot.h"

#include "../cuda/kernels.h"

enum { /* handles */
    CONTEXT = 16,
    OTHER_CONTEXT,
    MODULE,
    SECOND_MODULE,
    THIRD_MODULE,
    ADD,
    STREAM,
    FIRST_EVENT,
    LAST_EVENT,
    NEVER_EVENT,
    LIBRARY,
    KERNEL,
    LIBRARY_MODULE,
    PHYSICAL,
    POOL,
    ARRAY,
    MIPMAP,
    LEVEL,
    TEXTURE,
    OTHER_TEXTURE,
    SURFACE,
    EXEC,
    OTHER_EXEC,
    LINK
};

#define PAGE 4096u
#define BLOCK (2u << 20)
#define WORK 0x10000u /* where tests work in the arena */

static struct fake_session fake;
static bool in_worker;

/* cmocka's own assertions are for its process: they would go on with the next test in a worker's. */
static void
expect(bool good, const char *what, long long is, long long wanted, int line)
{
    if (good)
        return;
    if (!in_worker)
        fail_msg("line %d: %s is %lld, not %lld", line, what, is, wanted);
    fprintf(stderr, "line %d: %s is %lld, not %lld\n", line, what, is, wanted);
    _exit(1);
}

#define EQUAL(is, wanted) expect_equal((long long)(is), (long long)(wanted), #is, __LINE__)
#define TRUE(is) expect((is), #is, 0, 1, __LINE__)

static void
expect_equal(long long is, long long wanted, const char *what, int line)
{
    expect(is == wanted, what, is, wanted, line);
}

/* What the first worker leaves to the second one. */
static struct {
    CUdeviceptr chunk, allocation, small, pitched, pooled, reserved, registered, counter, second, global;
    uint64_t texture, surface;
    uint32_t graph, node, other_graph, clone, user;
    float between;
} * shared;

/* ---- Records --------------------------------------------------------------------------------- */

static int
deliver(uint16_t opcode, const void *payload, size_t bytes)
{
    memcpy(fake.record, payload, bytes);
    return fake_execute(&fake, 0, opcode, (uint32_t)bytes);
}

static const void *
reply(void)
{
    return fake.reply;
}

#define SEND(OPCODE, name, ...) \
    deliver(CUDA_OPCODE_##OPCODE, &(struct cuda_##name##_request){__VA_ARGS__}, sizeof(struct cuda_##name##_request))
#define TOLD(name) ((const struct cuda_##name##_reply *)reply())

/* With something behind the fixed part. */
static int
deliver_more(uint16_t opcode, const void *request, size_t bytes, const void *more, size_t more_bytes)
{
    memcpy(fake.record, request, bytes);
    memcpy(fake.record + bytes, more, more_bytes);
    return fake_execute(&fake, 0, opcode, (uint32_t)(bytes + more_bytes));
}

static unsigned char *
arena(uint64_t offset)
{
    uint64_t bytes;

    return (unsigned char *)gpuvchan_session_arena(fake.session, &bytes) + offset;
}

static struct gpuvchan_reference
at(uint64_t offset, uint64_t bytes)
{
    return (struct gpuvchan_reference){.offset = offset, .bytes = bytes};
}

static void
start_context(void)
{
    EQUAL(SEND(PRIMARY_RETAIN, primary_retain, .made = CONTEXT), 0);
    EQUAL(SEND(CTX_SET_CURRENT, ctx_set_current, .now = CONTEXT), 0);
}

static int
load_text(uint32_t module, const char *text)
{
    memcpy(arena(WORK), text, strlen(text));
    return SEND(MODULE_LOAD, module_load, .made = module, .image = at(WORK, strlen(text)));
}

static void
find_function(uint32_t module, uint32_t handle, const char *name)
{
    struct cuda_module_function_request request = {.made = handle,
                                                   .from = module,
                                                   .name_length = (uint32_t)strlen(name),
                                                   .offsets_room = 16,
                                                   .sizes_room = 16,
                                                   .attributes_room = 16};

    EQUAL(deliver_more(CUDA_OPCODE_MODULE_FUNCTION, &request, sizeof(request), name, strlen(name) + 1), 0);
}

static CUdeviceptr
find_global(uint32_t module, const char *name)
{
    struct cuda_module_global_request request = {.from = module, .name_length = (uint32_t)strlen(name)};

    EQUAL(deliver_more(CUDA_OPCODE_MODULE_GLOBAL, &request, sizeof(request), name, strlen(name) + 1), 0);
    return TOLD(module_global)->address;
}

/* Adds @p value to @p count words. */
static void
add(uint32_t function, CUdeviceptr data, uint32_t count, uint32_t value)
{
    struct cuda_launch_kernel_request request = {.kernel = function,
                                                 .grid_x = 1,
                                                 .grid_y = 1,
                                                 .grid_z = 1,
                                                 .block_x = 64,
                                                 .block_y = 1,
                                                 .block_z = 1,
                                                 .parameters_bytes = 16};
    struct {
        uint64_t data;
        uint32_t count, value;
    } parameters = {data, count, value};

    EQUAL(deliver_more(CUDA_OPCODE_LAUNCH_KERNEL, &request, sizeof(request), &parameters, sizeof(parameters)), 0);
}

static void
fill(CUdeviceptr to, uint8_t value, uint64_t bytes)
{
    EQUAL(SEND(MEMSET_D8, memset_d8, .to = to, .value = value, .count = bytes), 0);
}

static void
settle(void)
{
    EQUAL(deliver(CUDA_OPCODE_CTX_SYNCHRONIZE, "", 0), 0);
}

static uint32_t
word(CUdeviceptr from)
{
    uint32_t value;

    EQUAL(SEND(COPY_OUT, copy_out, .from = from, .to = at(WORK, 4)), 0);
    settle();
    memcpy(&value, arena(WORK), sizeof(value));
    return value;
}

static void
assert_filled(CUdeviceptr from, uint8_t value, size_t bytes)
{
    memset(arena(WORK), (uint8_t)~value, bytes);
    EQUAL(SEND(COPY_OUT, copy_out, .from = from, .to = at(WORK, bytes)), 0);
    settle();
    for (size_t i = 0; i < bytes; i++)
        EQUAL(arena(WORK)[i], value);
}

/* ThreadSanitizer lets nobody map where he wants to, so chunks and reservations do not come out the same. */
static void
need_addresses(void)
{
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
    skip();
#endif
#endif
#ifdef __SANITIZE_THREAD__
    skip();
#endif
}

/* Of the usual rounds, where each takes longer. */
static int
percent(void)
{
    const char *text = getenv("TEST_ROUNDS");

    return text && atoi(text) > 0 ? atoi(text) : 100;
}

/* ---- Workers --------------------------------------------------------------------------------- */

static int snapshot_file = -1;

/* Not on the lane's thread, nor does it run there otherwise. */
static void *
suspend(void *snapshot)
{
    return (void *)(intptr_t)fake.plugin->suspend(fake.state, snapshot);
}

static int
save(void)
{
    struct gpuvchan_snapshot *snapshot;
    pthread_t thread;
    void *result;
    int error;

    EQUAL(ftruncate(snapshot_file, 0), 0);
    lseek(snapshot_file, 0, SEEK_SET);
    EQUAL(gpuvchan__snapshot_write_to(snapshot_file, &snapshot), 0);
    EQUAL(gpuvchan__snapshot_begin(snapshot, "cuda"), 0);
    EQUAL(pthread_create(&thread, NULL, suspend, snapshot), 0);
    EQUAL(pthread_join(thread, &result), 0);
    error = (int)(intptr_t)result;
    if (error == 0) {
        EQUAL(gpuvchan__snapshot_end(snapshot), 0);
        EQUAL(gpuvchan__snapshot_finish(snapshot), 0);
    }
    gpuvchan__snapshot_destroy(snapshot);
    return error;
}

/* The file may have been damaged: any error is good. */
static int
load(void)
{
    struct gpuvchan_snapshot *snapshot;
    int error;

    lseek(snapshot_file, 0, SEEK_SET);
    error = gpuvchan__snapshot_read_from(snapshot_file, &snapshot);
    if (error != 0)
        return error;
    error = gpuvchan__snapshot_begin(snapshot, "cuda");
    if (error == 0)
        error = fake.plugin->resume(fake.session, snapshot, &fake.state);
    if (error == 0 && (error = gpuvchan__snapshot_end(snapshot)) != 0)
        fake.plugin->close(fake.state);
    gpuvchan__snapshot_destroy(snapshot);
    for (uint32_t i = 0; error == 0 && i < FAKE_LANES; i++)
        error = fake.plugin->lane_open(fake.state, i, &fake.lanes[i]);
    return error;
}

static void
run_in_process(void (*function)(void))
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        in_worker = true;
        function();
        exit(0); /* what is left is found by the sanitizers */
    }
    TRUE(pid > 0 && waitpid(pid, &status, 0) == pid);
    EQUAL(status, 0);
}

static void (*making)(void), (*using)(void);

static void
first_worker(void)
{
    EQUAL(fake_open(&fake), 0);
    making();
    EQUAL(save(), 0);
    fake_close(&fake);
}

/* It is renewed once more: what has been made again must be good for that, too. */
static void
middle_worker(void)
{
    EQUAL(load(), 0);
    EQUAL(save(), 0);
    fake_close(&fake);
}

static void
last_worker(void)
{
    EQUAL(load(), 0);
    using();
    fake_close(&fake);
}

static void
renewed(void (*make)(void), void (*use)(void))
{
    making = make;
    using = use;
    run_in_process(first_worker);
    if (percent() < 50)
        run_in_process(middle_worker);
    run_in_process(last_worker);
    if (percent() < 50)
        return;
    run_in_process(first_worker);
    run_in_process(middle_worker);
    run_in_process(last_worker);
}

static int refusal;
static void (*refused_after)(void);

/* The guest goes on with what it has. */
static void
refused_worker(void)
{
    EQUAL(fake_open(&fake), 0);
    making();
    EQUAL(save(), refusal);
    if (refused_after)
        refused_after();
    fake_close(&fake);
}

static void
refused(void (*make)(void), int error, void (*after)(void))
{
    making = make;
    refusal = error;
    refused_after = after;
    run_in_process(refused_worker);
}

/* ---- The journal ----------------------------------------------------------------------------- */

/* What is sent often pays nothing for it. */
static void
test_frequent_records(void **state)
{
    static const uint16_t frequent[] = {
        CUDA_OPCODE_LAUNCH_KERNEL, CUDA_OPCODE_LAUNCH_KERNEL_EX, CUDA_OPCODE_MARK,
        CUDA_OPCODE_COPY_IN,       CUDA_OPCODE_COPY_OUT,         CUDA_OPCODE_COPY_ACROSS,
        CUDA_OPCODE_COPY_IN_SMALL, CUDA_OPCODE_MEMSET_D8,        CUDA_OPCODE_EVENT_RECORD,
        CUDA_OPCODE_GRAPH_LAUNCH,  CUDA_OPCODE_STREAM_WAIT_EVENT};

    (void)state;
    for (size_t i = 0; i < sizeof(frequent) / sizeof(frequent[0]); i++)
        TRUE(fake.plugin->dispatch->entries[frequent[i]].execute == cuda_dispatch.entries[frequent[i]].execute);
    TRUE(fake.plugin->dispatch->entries[CUDA_OPCODE_STREAM_CREATE].execute !=
         cuda_dispatch.entries[CUDA_OPCODE_STREAM_CREATE].execute);
}

/* ---- Contexts, modules, functions ------------------------------------------------------------ */

static void
make_module(void)
{
    start_context();
    EQUAL(SEND(CTX_SET_LIMIT, ctx_set_limit, .limit = CU_LIMIT_STACK_SIZE, .value = 4096), 0);
    EQUAL(load_text(MODULE, kernels), 0);
    find_function(MODULE, ADD, "add");
    shared->counter = find_global(MODULE, "counter");
    fill(shared->counter, 0, 4);
    add(ADD, shared->counter, 1, 40);
}

static void
use_module(void)
{
    EQUAL(SEND(CTX_GET_LIMIT, ctx_get_limit, .limit = CU_LIMIT_STACK_SIZE), 0);
    EQUAL(TOLD(ctx_get_limit)->value, 4096);
    EQUAL(find_global(MODULE, "counter"), shared->counter);
    EQUAL(word(shared->counter), 40);
    add(ADD, shared->counter, 1, 2);
    EQUAL(word(shared->counter), 42);
    EQUAL(SEND(MODULE_UNLOAD, module_unload, .gone = MODULE), 0);
    EQUAL(SEND(CTX_GET_LIMIT, ctx_get_limit, .limit = CU_LIMIT_STACK_SIZE), 0);
    EQUAL(SEND(PRIMARY_RELEASE, primary_release, .gone = CONTEXT), 0);
}

static void
test_modules(void **state)
{
    (void)state;
    renewed(make_module, use_module);
}

/* The guest has not asked for the variable that its kernel counts in. */
static const char counting[] = ".version 6.4\n.target sm_75\n.address_size 64\n"
                               "// .global .u32 none;\n"
                               ".global .align 4 .u32 unknown[4] = {1, 2, 3, 4};\n"
                               ".visible .entry count(.param .u64 out)\n"
                               "{ .reg .u64 %d, %a; .reg .u32 %x;\n"
                               "  ld.param.u64 %d, [out]; mov.u64 %a, unknown; ld.global.u32 %x, [%a+8];\n"
                               "  add.u32 %x, %x, 1; st.global.u32 [%a+8], %x; st.global.u32 [%d], %x; ret; }\n";

static uint32_t
count(uint32_t function, CUdeviceptr out)
{
    struct cuda_launch_kernel_request request = {.kernel = function,
                                                 .grid_x = 1,
                                                 .grid_y = 1,
                                                 .grid_z = 1,
                                                 .block_x = 1,
                                                 .block_y = 1,
                                                 .block_z = 1,
                                                 .parameters_bytes = 8};

    EQUAL(deliver_more(CUDA_OPCODE_LAUNCH_KERNEL, &request, sizeof(request), &out, sizeof(out)), 0);
    return word(out);
}

static void
make_library(void)
{
    struct cuda_library_kernel_request kernel = {.made = KERNEL, .from = LIBRARY, .name_length = 5};

    start_context();
    EQUAL(SEND(CHUNK_CREATE, chunk_create, .bytes = BLOCK), 0);
    shared->chunk = TOLD(chunk_create)->address;
    memcpy(arena(WORK), counting, sizeof(counting) - 1);
    EQUAL(SEND(LIBRARY_LOAD, library_load, .made = LIBRARY, .image = at(WORK, sizeof(counting) - 1)), 0);
    EQUAL(deliver_more(CUDA_OPCODE_LIBRARY_KERNEL, &kernel, sizeof(kernel), "count", 6), 0);
    EQUAL(SEND(KERNEL_INFO, kernel_info, .kernel = KERNEL, .offsets_room = 4, .sizes_room = 4), 0);
    EQUAL(count(KERNEL, shared->chunk), 4);
    EQUAL(count(KERNEL, shared->chunk), 5);
}

static void
use_library(void)
{
    EQUAL(count(KERNEL, shared->chunk), 6);
    EQUAL(SEND(LIBRARY_MODULE, library_module, .made = LIBRARY_MODULE, .from = LIBRARY), 0);
    EQUAL(SEND(LIBRARY_UNLOAD, library_unload, .gone = LIBRARY), 0);
}

static void
test_libraries(void **state)
{
    (void)state;
    need_addresses();
    renewed(make_library, use_library);
}

/* What is loaded last must come out where it was, although something before it is gone. */
static void
make_gap(void)
{
    start_context();
    EQUAL(load_text(MODULE, kernels), 0);
    shared->counter = find_global(MODULE, "counter");
    EQUAL(load_text(SECOND_MODULE, kernels), 0);
    shared->second = find_global(SECOND_MODULE, "counter");
    fill(shared->second, 2, 4);
    EQUAL(SEND(MODULE_UNLOAD, module_unload, .gone = MODULE), 0);
    EQUAL(load_text(THIRD_MODULE, kernels), 0);
    shared->global = find_global(THIRD_MODULE, "counter");
    fill(shared->global, 3, 4);
}

static void
use_gap(void)
{
    assert_filled(shared->second, 2, 4);
    assert_filled(shared->global, 3, 4);
}

static void
test_modules_with_a_gap(void **state)
{
    (void)state;
    renewed(make_gap, use_gap);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void
make_virtual(void)
{
    CUmemAccessDesc grant = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0},
                             .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    struct cuda_virtual_set_access_request access = {.bytes = BLOCK, .grants_count = 1};

    EQUAL(SEND(VIRTUAL_RESERVE, virtual_reserve, .bytes = 4 * BLOCK), 0);
    shared->reserved = TOLD(virtual_reserve)->address;
    EQUAL(SEND(PHYSICAL_CREATE, physical_create, .made = PHYSICAL, .bytes = 2 * BLOCK), 0);
    EQUAL(SEND(VIRTUAL_MAP, virtual_map, .from = PHYSICAL, .address = shared->reserved + BLOCK, .bytes = BLOCK,
               .offset = BLOCK),
          0);
    access.address = shared->reserved + BLOCK;
    EQUAL(deliver_more(CUDA_OPCODE_VIRTUAL_SET_ACCESS, &access, sizeof(access), &grant, sizeof(grant)), 0);
    fill(shared->reserved + BLOCK, 6, BLOCK);
}

static void
make_memory(void)
{
    start_context();
    EQUAL(SEND(CHUNK_CREATE, chunk_create, .bytes = BLOCK), 0);
    shared->chunk = TOLD(chunk_create)->address;
    fill(shared->chunk, 1, BLOCK);
    EQUAL(SEND(MEM_ALLOC, mem_alloc, .bytes = 5 * BLOCK / 2), 0);
    shared->allocation = TOLD(mem_alloc)->address;
    fill(shared->allocation, 2, 5 * BLOCK / 2);
    EQUAL(SEND(MEM_ALLOC, mem_alloc, .bytes = 100), 0);
    shared->small = TOLD(mem_alloc)->address;
    fill(shared->small, 3, 100);
    EQUAL(SEND(MEM_ALLOC_PITCH, mem_alloc_pitch, .width = 100, .height = 10, .element = 4), 0);
    shared->pitched = TOLD(mem_alloc_pitch)->address;
    fill(shared->pitched, 4, TOLD(mem_alloc_pitch)->pitch * 10);
    EQUAL(SEND(POOL_CREATE, pool_create, .made = POOL), 0);
    EQUAL(SEND(POOL_SET_ATTRIBUTE, pool_set_attribute, .of = POOL, .attribute = CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
               .value = 12345678),
          0);
    EQUAL(SEND(POOL_ALLOC, pool_alloc, .bytes = 1000, .from = POOL), 0);
    shared->pooled = TOLD(pool_alloc)->address;
    fill(shared->pooled, 5, 1000);
    make_virtual();
    EQUAL(SEND(HOST_REGISTER, host_register, .memory = at(0, PAGE)), 0);
    shared->registered = TOLD(host_register)->address;
    memset(arena(0), 7, PAGE);
    settle();
}

static void
use_memory(void)
{
    assert_filled(shared->chunk + BLOCK - PAGE, 1, PAGE);
    assert_filled(shared->allocation + 2 * BLOCK, 2, PAGE);
    assert_filled(shared->small, 3, 100);
    assert_filled(shared->pitched, 4, 1000);
    assert_filled(shared->pooled, 5, 1000);
    assert_filled(shared->reserved + 2 * BLOCK - PAGE, 6, PAGE);
    assert_filled(shared->registered, 7, PAGE);
    EQUAL(SEND(POOL_GET_ATTRIBUTE, pool_get_attribute, .of = POOL, .attribute = CU_MEMPOOL_ATTR_RELEASE_THRESHOLD), 0);
    EQUAL(TOLD(pool_get_attribute)->value, 12345678);
    EQUAL(SEND(POOL_GET_ATTRIBUTE, pool_get_attribute, .of = POOL, .attribute = CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 0);
    TRUE(TOLD(pool_get_attribute)->value >= 1000);
    EQUAL(SEND(POOL_GET_ATTRIBUTE, pool_get_attribute, .of = POOL, .attribute = CU_MEMPOOL_ATTR_USED_MEM_HIGH), 0);
    TRUE(TOLD(pool_get_attribute)->value >= 1000);
    /* All can be given back, and had again. */
    EQUAL(SEND(MEM_FREE, mem_free, .address = shared->small), 0);
    EQUAL(SEND(MEM_FREE, mem_free, .address = shared->small), CUDA_ERROR_INVALID_VALUE);
    EQUAL(SEND(POOL_FREE, pool_free, .address = shared->pooled), 0);
    EQUAL(SEND(MEM_FREE, mem_free, .address = shared->allocation), 0);
    assert_filled(shared->pitched, 4, 1000);
    EQUAL(SEND(CHUNK_DESTROY, chunk_destroy, .address = shared->chunk), 0);
    EQUAL(SEND(CHUNK_CREATE, chunk_create, .bytes = BLOCK), 0);
    EQUAL(TOLD(chunk_create)->address, shared->chunk);
    EQUAL(SEND(VIRTUAL_UNMAP, virtual_unmap, .address = shared->reserved + BLOCK, .bytes = BLOCK), 0);
    EQUAL(SEND(VIRTUAL_FREE, virtual_free, .address = shared->reserved, .bytes = 4 * BLOCK), 0);
    EQUAL(SEND(PHYSICAL_RELEASE, physical_release, .gone = PHYSICAL), 0);
    EQUAL(SEND(HOST_UNREGISTER, host_unregister, .memory = at(0, PAGE)), 0);
    EQUAL(SEND(POOL_ALLOC, pool_alloc, .bytes = 1000, .from = POOL), 0);
    fill(TOLD(pool_alloc)->address, 1, 1000);
    EQUAL(SEND(MEM_ALLOC, mem_alloc, .bytes = 1000), 0);
    fill(TOLD(mem_alloc)->address, 1, 1000);
    settle();
    EQUAL(SEND(PRIMARY_RELEASE, primary_release, .gone = CONTEXT), 0);
}

static void
test_memory(void **state)
{
    (void)state;
    need_addresses();
    renewed(make_memory, use_memory);
}

/* ---- Streams and events ---------------------------------------------------------------------- */

static float
elapsed(uint32_t first, uint32_t last)
{
    EQUAL(SEND(EVENT_ELAPSED, event_elapsed, .first = first, .second = last), 0);
    return TOLD(event_elapsed)->milliseconds;
}

static void
make_events(void)
{
    start_context();
    EQUAL(SEND(STREAM_CREATE, stream_create, .made = STREAM, .flags = CU_STREAM_NON_BLOCKING), 0);
    for (uint32_t event = FIRST_EVENT; event <= NEVER_EVENT; event++)
        EQUAL(SEND(EVENT_CREATE, event_create, .made = event), 0);
    EQUAL(SEND(EVENT_RECORD, event_record, .which = FIRST_EVENT, .on = STREAM), 0);
    usleep(30000);
    EQUAL(SEND(EVENT_RECORD, event_record, .which = LAST_EVENT, .on = STREAM), 0);
    settle();
    shared->between = elapsed(FIRST_EVENT, LAST_EVENT);
    TRUE(shared->between >= 29);
    usleep(50000);
}

static void
use_events(void)
{
    float now = elapsed(FIRST_EVENT, LAST_EVENT);

    TRUE(now > shared->between - 0.1f && now < shared->between + 0.1f);
    EQUAL(SEND(EVENT_QUERY, event_query, .which = LAST_EVENT), 0);
    EQUAL(SEND(EVENT_ELAPSED, event_elapsed, .first = NEVER_EVENT, .second = LAST_EVENT), CUDA_ERROR_INVALID_HANDLE);
    /* The clock goes on, and what is recorded anew is told apart. */
    usleep(20000);
    EQUAL(SEND(EVENT_RECORD, event_record, .which = LAST_EVENT, .on = STREAM), 0);
    settle();
    TRUE(elapsed(FIRST_EVENT, LAST_EVENT) > shared->between + 65);
    TRUE(elapsed(LAST_EVENT, FIRST_EVENT) < -shared->between - 65);
    EQUAL(SEND(EVENT_RECORD, event_record, .which = FIRST_EVENT, .on = STREAM), 0);
    settle();
    TRUE(elapsed(LAST_EVENT, FIRST_EVENT) < 10000);
    EQUAL(SEND(STREAM_DESTROY, stream_destroy, .gone = STREAM), 0);
}

static void
test_events(void **state)
{
    (void)state;
    renewed(make_events, use_events);
}

/* ---- Arrays, textures, surfaces -------------------------------------------------------------- */

static void
make_arrays(void)
{
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY};
    CUDA_TEXTURE_DESC description = {.filterMode = CU_TR_FILTER_MODE_POINT};
    CUDA_ARRAY3D_DESCRIPTOR shape = {.Width = 64,
                                     .Height = 8,
                                     .Format = CU_AD_FORMAT_UNSIGNED_INT32,
                                     .NumChannels = 1,
                                     .Flags = CUDA_ARRAY3D_SURFACE_LDST};
    CUDA_ARRAY3D_DESCRIPTOR pyramid = {
        .Width = 32, .Height = 32, .Format = CU_AD_FORMAT_UNSIGNED_INT8, .NumChannels = 4};

    start_context();
    EQUAL(SEND(ARRAY_CREATE, array_create, .made = ARRAY, .description = shape), 0);
    memset(arena(WORK), 8, 256);
    EQUAL(SEND(COPY_ARRAY, copy_array, .to_array = ARRAY, .to_offset = 0, .arena = at(WORK, 256), .bytes = 256), 0);
    EQUAL(SEND(MIPMAP_CREATE, mipmap_create, .made = MIPMAP, .description = pyramid, .levels = 3), 0);
    EQUAL(SEND(MIPMAP_LEVEL, mipmap_level, .made = LEVEL, .from = MIPMAP, .level = 1), 0);
    memset(arena(WORK), 9, 64);
    EQUAL(SEND(COPY_ARRAY, copy_array, .to_array = LEVEL, .arena = at(WORK, 64), .bytes = 64), 0);
    /* The number of the one that stays is not the first one. */
    for (uint32_t i = 0; i < 2; i++) {
        EQUAL(SEND(TEXTURE_CREATE, texture_create, .made = TEXTURE + i, .resource = resource, .array = ARRAY,
                   .description = description),
              0);
        shared->texture = TOLD(texture_create)->value;
    }
    EQUAL(SEND(SURFACE_CREATE, surface_create, .made = SURFACE, .array = ARRAY), 0);
    shared->surface = TOLD(surface_create)->value;
    EQUAL(SEND(TEXTURE_DESTROY, texture_destroy, .gone = TEXTURE), 0);
    settle();
}

static void
use_arrays(void)
{
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY};
    CUDA_TEXTURE_DESC description = {.filterMode = CU_TR_FILTER_MODE_POINT};

    EQUAL(SEND(COPY_ARRAY, copy_array, .from_array = ARRAY, .arena = at(WORK, 256), .bytes = 256), 0);
    EQUAL(SEND(COPY_ARRAY, copy_array, .from_array = LEVEL, .arena = at(WORK + 256, 64), .bytes = 64), 0);
    settle();
    for (uint32_t i = 0; i < 256 + 64; i++)
        EQUAL(arena(WORK)[i], i < 256 ? 8 : 9);
    /* Its number is free again: what was made to take it is gone. */
    EQUAL(SEND(TEXTURE_CREATE, texture_create, .made = TEXTURE, .resource = resource, .array = ARRAY,
               .description = description),
          0);
    TRUE(TOLD(texture_create)->value != shared->texture && TOLD(texture_create)->value != shared->surface);
    EQUAL(SEND(TEXTURE_DESTROY, texture_destroy, .gone = OTHER_TEXTURE), 0);
    EQUAL(SEND(SURFACE_DESTROY, surface_destroy, .gone = SURFACE), 0);
    EQUAL(SEND(MIPMAP_DESTROY, mipmap_destroy, .gone = MIPMAP), 0);
    EQUAL(SEND(ARRAY_DESTROY, array_destroy, .gone = ARRAY), 0);
}

static void
test_arrays(void **state)
{
    (void)state;
    renewed(make_arrays, use_arrays);
}

/* ---- Graphs ---------------------------------------------------------------------------------- */

/* A kernel's node that adds @p value to @p data, behind @p before (0: nothing). */
static uint32_t
add_node(uint32_t graph, uint32_t before, CUdeviceptr data, uint32_t value)
{
    struct cuda_node_add_request request = {
        .graph = graph,
        .params =
            {.type = CU_GRAPH_NODE_TYPE_KERNEL,
             .kernel = {.gridDimX = 1, .gridDimY = 1, .gridDimZ = 1, .blockDimX = 1, .blockDimY = 1, .blockDimZ = 1}},
        .kernel = ADD,
        .dependencies_count = before != 0,
        .parameters_bytes = 16};
    struct {
        uint32_t before, pad;
        uint64_t data;
        uint32_t count, value;
    } more = {before, 0, data, 1, value};

    EQUAL(deliver_more(CUDA_OPCODE_NODE_ADD, &request, sizeof(request), before ? (void *)&more : &more.data,
                       before ? sizeof(more) : sizeof(more) - 8),
          0);
    return TOLD(node_add)->node;
}

static uint32_t
fill_node(uint32_t graph, CUdeviceptr to, uint32_t value)
{
    EQUAL(SEND(NODE_ADD, node_add, .graph = graph,
               .params = {.type = CU_GRAPH_NODE_TYPE_MEMSET,
                          .memset = {.dst = to, .value = value, .elementSize = 4, .width = 1, .height = 1}}),
          0);
    return TOLD(node_add)->node;
}

static int
set_node(uint32_t node, uint32_t exec, CUdeviceptr to, uint32_t value)
{
    return SEND(NODE_SET, node_set, .node = node, .exec = exec,
                .params = {.type = CU_GRAPH_NODE_TYPE_MEMSET,
                           .memset = {.dst = to, .value = value, .elementSize = 4, .width = 1, .height = 1}});
}

static void
launch(uint32_t exec)
{
    EQUAL(SEND(GRAPH_LAUNCH, graph_launch, .exec = exec), 0);
    settle();
}

/* One graph stays, with one inside; another is destroyed, but not what was made of it. */
static void
make_graphs(void)
{
    uint32_t inner;

    start_context();
    EQUAL(load_text(MODULE, kernels), 0);
    find_function(MODULE, ADD, "add");
    EQUAL(SEND(CHUNK_CREATE, chunk_create, .bytes = BLOCK), 0);
    shared->chunk = TOLD(chunk_create)->address;
    fill(shared->chunk, 0, 64);
    EQUAL(deliver(CUDA_OPCODE_GRAPH_CREATE, "", 0), 0);
    inner = TOLD(graph_create)->graph;
    add_node(inner, 0, shared->chunk + 4, 3);
    EQUAL(deliver(CUDA_OPCODE_GRAPH_CREATE, "", 0), 0);
    shared->graph = TOLD(graph_create)->graph;
    shared->node = fill_node(shared->graph, shared->chunk, 10);
    add_node(shared->graph, shared->node, shared->chunk, 5);
    EQUAL(
        SEND(NODE_ADD, node_add, .graph = shared->graph, .params = {.type = CU_GRAPH_NODE_TYPE_GRAPH}, .child = inner),
        0);
    EQUAL(SEND(GRAPH_DESTROY, graph_destroy, .graph = inner), 0);
    EQUAL(SEND(GRAPH_INSTANTIATE, graph_instantiate, .made = EXEC, .graph = shared->graph), 0);
    EQUAL(set_node(shared->node, EXEC, shared->chunk, 20), 0);
    EQUAL(SEND(GRAPH_CLONE, graph_clone, .graph = shared->graph), 0);
    shared->clone = TOLD(graph_clone)->clone;

    EQUAL(deliver(CUDA_OPCODE_GRAPH_CREATE, "", 0), 0);
    shared->other_graph = TOLD(graph_create)->graph;
    add_node(shared->other_graph, 0, shared->chunk + 8, 7);
    EQUAL(SEND(USER_OBJECT_CREATE, user_object_create, .token = 77), 0);
    shared->user = TOLD(user_object_create)->object;
    EQUAL(SEND(GRAPH_KEEP, graph_keep, .graph = shared->other_graph, .object = shared->user, .count = 1), 0);
    EQUAL(SEND(USER_OBJECT_RELEASE, user_object_release, .object = shared->user), 0);
    EQUAL(SEND(GRAPH_INSTANTIATE, graph_instantiate, .made = OTHER_EXEC, .graph = shared->other_graph), 0);
    EQUAL(SEND(GRAPH_DESTROY, graph_destroy, .graph = shared->other_graph), 0);
    launch(EXEC);
    launch(OTHER_EXEC);
    EQUAL(word(shared->chunk), 25);
    EQUAL(word(shared->chunk + 4), 3);
    EQUAL(word(shared->chunk + 8), 7);
}

static void
use_graphs(void)
{
    launch(EXEC);
    launch(OTHER_EXEC);
    EQUAL(word(shared->chunk), 25);
    EQUAL(word(shared->chunk + 4), 6);
    EQUAL(word(shared->chunk + 8), 14);
    /* The numbers that the guest has still count, and those of what is gone do not. */
    EQUAL(SEND(GRAPH_NODES, graph_nodes, .graph = shared->graph, .nodes_room = 8), 0);
    EQUAL(TOLD(graph_nodes)->total, 3);
    EQUAL(SEND(GRAPH_NODES, graph_nodes, .graph = shared->other_graph, .nodes_room = 8), CUDA_ERROR_INVALID_VALUE);
    EQUAL(SEND(NODE_IN_CLONE, node_in_clone, .node = shared->node, .clone = shared->clone), 0);
    EQUAL(SEND(NODE_TYPE, node_type, .node = TOLD(node_in_clone)->found), 0);
    EQUAL(TOLD(node_type)->type, CU_GRAPH_NODE_TYPE_MEMSET);
    EQUAL(set_node(shared->node, EXEC, shared->chunk, 30), 0);
    launch(EXEC);
    EQUAL(word(shared->chunk), 35);
    EQUAL(deliver(CUDA_OPCODE_GRAPH_CREATE, "", 0), 0);
    TRUE(TOLD(graph_create)->graph != shared->graph && TOLD(graph_create)->graph != shared->other_graph);
    EQUAL(set_node(shared->node, 0, shared->chunk, 40), 0);
    EQUAL(SEND(GRAPH_EXEC_DESTROY, graph_exec_destroy, .gone = EXEC), 0);
    EQUAL(SEND(GRAPH_INSTANTIATE, graph_instantiate, .made = EXEC, .graph = shared->graph), 0);
    launch(EXEC);
    EQUAL(word(shared->chunk), 45);
    /* Nobody has the user object any more: the guest is told. */
    EQUAL(SEND(GRAPH_EXEC_DESTROY, graph_exec_destroy, .gone = OTHER_EXEC), 0);
    EQUAL(SEND(HOST_FUNCTION_NEXT, host_function_next, .done = 0), 0);
    EQUAL(TOLD(host_function_next)->token, 77);
    EQUAL(TOLD(host_function_next)->flags, 2);
}

static void
test_graphs(void **state)
{
    (void)state;
    need_addresses();
    renewed(make_graphs, use_graphs);
}

/* ---- Lanes ----------------------------------------------------------------------------------- */

/* A lane whose context has been destroyed, and which has got the beginning of an image. */
static void
make_lane(void)
{
    start_context();
    EQUAL(SEND(CTX_CREATE, ctx_create, .made = OTHER_CONTEXT), 0);
    EQUAL(SEND(CTX_SET_CURRENT, ctx_set_current, .now = OTHER_CONTEXT), 0);
    EQUAL(SEND(CTX_DESTROY, ctx_destroy, .gone = OTHER_CONTEXT), 0);
    memcpy(arena(WORK), kernels, sizeof(kernels) - 1);
    EQUAL(SEND(IMAGE_PART, image_part, .total = sizeof(kernels) - 1, .at = 0, .part = at(WORK, 100)), 0);
    memset(arena(WORK), 0, 100);
}

static void
use_lane(void)
{
    memcpy(arena(WORK), kernels, sizeof(kernels) - 1);
    EQUAL(deliver(CUDA_OPCODE_CTX_SYNCHRONIZE, "", 0), CUDA_ERROR_CONTEXT_IS_DESTROYED);
    EQUAL(SEND(CTX_SET_CURRENT, ctx_set_current, .now = CONTEXT), 0);
    EQUAL(SEND(IMAGE_PART, image_part, .total = sizeof(kernels) - 1, .at = 100,
               .part = at(WORK + 100, sizeof(kernels) - 101)),
          0);
    EQUAL(SEND(MODULE_LOAD, module_load, .made = MODULE), 0);
    find_function(MODULE, ADD, "add");
}

static void
test_lanes(void **state)
{
    (void)state;
    renewed(make_lane, use_lane);
}

static void
make_nothing(void)
{
}

static void
test_nothing(void **state)
{
    (void)state;
    renewed(make_nothing, start_context);
}

/* ---- What is refused ------------------------------------------------------------------------- */

static void
make_capture(void)
{
    make_events();
    EQUAL(SEND(STREAM_BEGIN_CAPTURE, stream_begin_capture, .on = STREAM, .mode = 2), 0);
}

static void
end_capture(void)
{
    EQUAL(SEND(STREAM_END_CAPTURE, stream_end_capture, .on = STREAM), 0);
    EQUAL(TOLD(stream_end_capture)->status, 0);
}

static void
make_link(void)
{
    start_context();
    EQUAL(SEND(LINK_CREATE, link_create, .made = LINK), 0);
}

static void
make_changed(void)
{
    make_graphs();
    fill_node(shared->graph, shared->chunk, 0);
}

static void
make_texture_of_nothing(void)
{
    make_arrays();
    EQUAL(SEND(ARRAY_DESTROY, array_destroy, .gone = ARRAY), 0);
}

static void
make_heap(void)
{
    static const char text[] = ".version 6.4\n.target sm_75\n.address_size 64\n"
                               ".extern .func (.param .b64 result) malloc (.param .b64 bytes);\n";

    start_context();
    EQUAL(load_text(MODULE, text), 0);
}

static void
test_refusals(void **state)
{
    (void)state;
    refused(make_capture, -EBUSY, end_capture);
    refused(make_link, -EBUSY, NULL);
    refused(make_changed, -ENOTSUP, NULL);
    refused(make_texture_of_nothing, -ENOTSUP, NULL);
    refused(make_heap, -ENOTSUP, NULL);
}

/* ---- Damaged snapshots ----------------------------------------------------------------------- */

static void
damaged_worker(void)
{
    if (load() == 0)
        fake_close(&fake);
}

#define DAMAGED_MOST ((off_t)32768) /* what lies behind are contents */

/* Bits that are turned round, one at a time, and whole words of them; then an end that comes early. */
static void
damaged(void (*make)(void))
{
    off_t step = 499 * 100 / percent(), end;

    making = make;
    run_in_process(first_worker);
    end = lseek(snapshot_file, 0, SEEK_END);
    end = end < DAMAGED_MOST ? end : DAMAGED_MOST;
    for (off_t offset = 0; offset + 4 <= end; offset += step) {
        uint32_t is, damages[] = {1u << offset % 8, UINT32_MAX, 1u << (16 + offset % 16)};

        EQUAL(pread(snapshot_file, &is, 4, offset), 4);
        damages[0] ^= is;
        damages[2] ^= is;
        for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
            EQUAL(pwrite(snapshot_file, &damages[i], 4, offset), 4);
            run_in_process(damaged_worker);
        }
        EQUAL(pwrite(snapshot_file, &is, 4, offset), 4);
    }
    for (off_t cut = end; cut > 0; cut -= step * 7) {
        EQUAL(ftruncate(snapshot_file, cut), 0);
        run_in_process(damaged_worker);
    }
}

static void
test_damaged(void **state)
{
    (void)state;
    need_addresses();
    if (percent() < 50)
        skip();
    damaged(make_arrays);
    damaged(make_graphs);
    damaged(make_memory);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frequent_records),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_modules),
        cmocka_unit_test(test_libraries),
        cmocka_unit_test(test_modules_with_a_gap),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_graphs),
        cmocka_unit_test(test_lanes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_damaged),
    };
    const char *driver = getenv("CUDA_DRIVER");
    char simulated[4096];
    ssize_t bytes = readlink("/proc/self/exe", simulated, sizeof(simulated) - 64);
    int failures;

    for (int up = 0; bytes > 0 && up < 3; up++) {
        simulated[bytes] = '\0';
        *strrchr(simulated, '/') = '\0';
        bytes = (ssize_t)strlen(simulated);
    }
    strcat(simulated, "/lib/gpuvchan/sim/libcuda.so.1");
    shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snapshot_file = memfd_create("snapshot", MFD_CLOEXEC);
    if (shared == MAP_FAILED || snapshot_file < 0)
        return 1;
    if (getenv("TESTS"))
        cmocka_set_test_filter(getenv("TESTS"));
    cuda_renew_allow(true);
    fake_session_connect(&fake, driver ? driver : simulated);
    failures = cmocka_run_group_tests(tests, NULL, NULL);
    fake_session_end(&fake);
    return failures;
}
