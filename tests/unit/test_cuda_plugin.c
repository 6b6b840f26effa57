/* SPDX-License-Identifier: MIT */
/*
 * The CUDA plugin over a fake driver, which ends the process when it is handed what the guest does not own:
 * a test that comes to its end has shown that nothing of that kind reached the driver.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cuda_session.h"

#define ARENA_PAGE 4096u
#define PTX ".version 7.0\n.target sm_70\n"

/* Handles as the guest assigns them. */
enum {
    CONTEXT = 16,
    OTHER_CONTEXT,
    MODULE,
    FUNCTION,
    STREAM,
    EVENT,
    LIBRARY,
    KERNEL,
    LINK,
    SPARE
};

static struct fake_session fake;

/* ---- Records --------------------------------------------------------------------------------- */

static int
deliver(uint32_t lane, uint16_t opcode, const void *payload, size_t bytes)
{
    memcpy(fake.record, payload, bytes);
    return fake_execute(&fake, lane, opcode, (uint32_t)bytes);
}

static const void *
reply(void)
{
    return fake.reply;
}

/* A record of fixed size on lane 0: SEND(MEM_FREE, mem_free, .address = a). */
#define SEND_ON(lane, OPCODE, name, ...)                                              \
    deliver(lane, CUDA_OPCODE_##OPCODE, &(struct cuda_##name##_request){__VA_ARGS__}, \
            sizeof(struct cuda_##name##_request))
#define SEND(OPCODE, name, ...) SEND_ON(0, OPCODE, name, __VA_ARGS__)

static unsigned char *
arena(uint64_t offset)
{
    uint64_t bytes;

    return (unsigned char *)gpuvchan_session_arena(fake.session, &bytes) + offset;
}

static CUdeviceptr
allocate(uint64_t bytes)
{
    assert_int_equal(SEND(MEM_ALLOC, mem_alloc, .bytes = bytes), 0);
    return ((const struct cuda_mem_alloc_reply *)reply())->address;
}

static int
load_module(uint32_t handle, const char *text)
{
    memcpy(arena(0), text, strlen(text));
    return SEND(MODULE_LOAD, module_load, .made = handle, .image = {0, strlen(text)}, .log_bytes = 1000);
}

/* Asks for a function of @p module; its name stands behind the fixed part. */
static int
find_function(uint32_t module, uint32_t handle, const char *name)
{
    struct cuda_module_function_request request = {.made = handle,
                                                   .from = module,
                                                   .name_length = (uint32_t)strlen(name),
                                                   .offsets_room = 16,
                                                   .sizes_room = 16,
                                                   .attributes_room = 64};

    memcpy(fake.record, &request, sizeof(request));
    memcpy(fake.record + sizeof(request), name, strlen(name) + 1);
    return fake_execute(&fake, 0, CUDA_OPCODE_MODULE_FUNCTION, (uint32_t)(sizeof(request) + strlen(name) + 1));
}

static int
find_global(uint32_t module, const char *name)
{
    struct cuda_module_global_request request = {.from = module, .name_length = (uint32_t)strlen(name)};

    memcpy(fake.record, &request, sizeof(request));
    memcpy(fake.record + sizeof(request), name, strlen(name) + 1);
    return fake_execute(&fake, 0, CUDA_OPCODE_MODULE_GLOBAL, (uint32_t)(sizeof(request) + strlen(name) + 1));
}

static int
launch(uint32_t function, uint32_t stream, bool cooperative, const void *parameters, size_t bytes)
{
    struct cuda_launch_kernel_request request = {.kernel = function,
                                                 .on = stream,
                                                 .grid_x = 2,
                                                 .grid_y = 1,
                                                 .grid_z = 1,
                                                 .block_x = 32,
                                                 .block_y = 1,
                                                 .block_z = 1,
                                                 .cooperative = cooperative,
                                                 .parameters_bytes = (uint32_t)bytes};

    memcpy(fake.record, &request, sizeof(request));
    if (bytes > 0)
        memcpy(fake.record + sizeof(request), parameters, bytes);
    return fake_execute(&fake, 0, CUDA_OPCODE_LAUNCH_KERNEL, (uint32_t)(sizeof(request) + bytes));
}

static int
copy_in_small(CUdeviceptr to, uint32_t stream, const void *data, size_t bytes)
{
    struct cuda_copy_in_small_request request = {.to = to, .on = stream, .data_bytes = (uint32_t)bytes};

    memcpy(fake.record, &request, sizeof(request));
    memcpy(fake.record + sizeof(request), data, bytes);
    return fake_execute(&fake, 0, CUDA_OPCODE_COPY_IN_SMALL, (uint32_t)(sizeof(request) + bytes));
}

static const char *
last_call(void)
{
    return fake.driver->lines[(fake.driver->calls - 1) % FAKE_LINES];
}

/* ---- Setting --------------------------------------------------------------------------------- */

static int
begin(void **state)
{
    (void)state;
    fake.plugin->config("ipc", "no"); /* the fake driver shares no chunks */
    return fake_open(&fake);
}

/* A guest process with a primary context that is current on lane 0. */
static int
begin_current(void **state)
{
    if (begin(state) != 0 || SEND(PRIMARY_RETAIN, primary_retain, .made = CONTEXT, .device = 0) != 0)
        return -1;
    return SEND(CTX_SET_CURRENT, ctx_set_current, .now = CONTEXT);
}

/* Each test's guest process must leave nothing in the driver. */
static int
end(void **state)
{
    (void)state;
    fake_close(&fake);
    for (unsigned i = 0; i < FAKE_LIVE; i++)
        if (fake.driver->live[i] != 0) {
            fprintf(stderr, "%u objects of kind %u are left\n", fake.driver->live[i], i);
            return -1;
        }
    if (fake.driver->registrations_left != 0)
        return -1;
    fake.driver->fault = 0;
    fake.driver->fail = NULL;
    fake.driver->pageable = 0;
    fake.driver->mode = CU_COMPUTEMODE_DEFAULT;
    fake.driver_reset();
    return 0;
}

/* ---- Device and context ---------------------------------------------------------------------- */

static void
test_init_and_devices(void **state)
{
    struct cuda_device_info_request info = {.device = 1, .name_room = 100, .uuid_room = 16, .attributes_room = 256};
    const struct cuda_init_reply *init;
    const unsigned char *at;
    int32_t attribute;

    (void)state;
    assert_int_equal(SEND(INIT, init, .flags = 1), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(INIT, init, .flags = 0), 0);
    init = reply();
    assert_int_equal(init->version, 13000);
    assert_int_equal(init->devices, 2);
    assert_int_equal(init->simulated, 0);

    assert_int_equal(deliver(0, CUDA_OPCODE_DEVICE_INFO, &info, sizeof(info)), 0);
    at = (const unsigned char *)reply() + sizeof(struct cuda_device_info_reply);
    assert_string_equal((const char *)at, "Fake device 1");
    at += 16; /* the name, rounded up */
    assert_int_equal(at[0], 0x41);
    memcpy(&attribute, at + 16 + 5 * sizeof(attribute), sizeof(attribute));
    assert_int_equal(attribute, 1005); /* attribute 5 is at index 5 */
    info.device = 2;
    assert_int_equal(deliver(0, CUDA_OPCODE_DEVICE_INFO, &info, sizeof(info)), CUDA_ERROR_INVALID_DEVICE);
}

static void
test_no_context_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(SEND(MEM_ALLOC, mem_alloc, .bytes = 64), CUDA_ERROR_INVALID_CONTEXT);
    assert_int_equal(SEND(STREAM_CREATE, stream_create, .made = STREAM), CUDA_ERROR_INVALID_CONTEXT);
    assert_int_equal(SEND(CTX_SET_CURRENT, ctx_set_current, .now = 99), CUDA_ERROR_INVALID_CONTEXT);
    assert_int_equal(deliver(0, CUDA_OPCODE_CTX_SYNCHRONIZE, "", 0), CUDA_ERROR_INVALID_CONTEXT);
}

/* ---- What was there before the guest --------------------------------------------------------- */

/* A guest process of a worker that has waited for it. */
static int
begin_warm(void **state)
{
    if (begin(state) != 0)
        return -1;
    fake.plugin->warm();
    return fake.driver->live[FAKE_CONTEXTS] == 1 && fake.driver->live[FAKE_MODULES] == 0 ? 0 : -1;
}

static void
test_warm_context_is_taken_over(void **state)
{
    unsigned calls = fake.driver->calls;

    (void)state;
    assert_int_equal(SEND(PRIMARY_SET_FLAGS, primary_set_flags, .device = 0, .flags = CU_CTX_SCHED_BLOCKING_SYNC), 0);
    assert_int_equal(SEND(PRIMARY_RETAIN, primary_retain, .made = CONTEXT, .device = 0), 0);
    for (; calls < fake.driver->calls; calls++)
        assert_null(strstr(fake.driver->lines[calls % FAKE_LINES], "Retain"));
    assert_int_equal(fake.driver->live[FAKE_CONTEXTS], 1);
    assert_int_equal(SEND(CTX_SET_CURRENT, ctx_set_current, .now = CONTEXT), 0);
    allocate(4096);
    assert_int_equal(SEND(PRIMARY_RELEASE, primary_release, .gone = CONTEXT, .device = 0), 0);
    assert_int_equal(fake.driver->live[FAKE_CONTEXTS], 0);
    assert_int_equal(SEND(PRIMARY_RETAIN, primary_retain, .made = CONTEXT, .device = 0), 0);
    assert_int_equal(fake.driver->live[FAKE_CONTEXTS], 1);
}

static void
test_warm_context_goes_for_flags(void **state)
{
    (void)state;
    assert_int_equal(SEND(PRIMARY_SET_FLAGS, primary_set_flags, .device = 0, .flags = CU_CTX_LMEM_RESIZE_TO_MAX), 0);
    assert_int_equal(fake.driver->live[FAKE_CONTEXTS], 0);
    assert_int_equal(SEND(PRIMARY_RETAIN, primary_retain, .made = CONTEXT, .device = 0), 0);
    assert_int_equal(fake.driver->live[FAKE_CONTEXTS], 1);
}

static void
test_warm_context_goes_for_another_device(void **state)
{
    (void)state;
    assert_int_equal(SEND(PRIMARY_RETAIN, primary_retain, .made = CONTEXT, .device = 1), 0);
    assert_int_equal(fake.driver->live[FAKE_CONTEXTS], 1);
    assert_int_equal(SEND(PRIMARY_RETAIN, primary_retain, .made = OTHER_CONTEXT, .device = 0), 0);
    assert_int_equal(fake.driver->live[FAKE_CONTEXTS], 2);
}

static void
test_warm_context_goes_for_one_that_is_not_primary(void **state)
{
    (void)state;
    assert_int_equal(SEND(CTX_CREATE, ctx_create, .made = CONTEXT, .device = 0), 0);
    assert_int_equal(fake.driver->live[FAKE_CONTEXTS], 1);
}

static void
test_no_warm_context_where_it_would_be_the_only_one(void **state)
{
    (void)state;
    fake.driver->mode = CU_COMPUTEMODE_EXCLUSIVE_PROCESS;
    fake.plugin->warm();
    assert_int_equal(fake.driver->live[FAKE_CONTEXTS], 0);
}

/* end() looks. */
static void
test_warm_context_goes_with_a_guest_that_wants_none(void **state)
{
    (void)state;
}

/* ---- Contexts -------------------------------------------------------------------------------- */

static void
test_primary_context_once(void **state)
{
    (void)state;
    assert_int_equal(SEND(PRIMARY_RETAIN, primary_retain, .made = OTHER_CONTEXT, .device = 0),
                     CUDA_ERROR_CONTEXT_ALREADY_IN_USE);
    assert_int_equal(SEND(PRIMARY_RELEASE, primary_release, .gone = CONTEXT, .device = 0), 0);
    assert_int_equal(fake.driver->live[FAKE_CONTEXTS], 0);
    assert_int_equal(SEND(PRIMARY_RELEASE, primary_release, .gone = CONTEXT, .device = 0), CUDA_ERROR_INVALID_CONTEXT);
    assert_int_equal(SEND(PRIMARY_RETAIN, primary_retain, .made = CONTEXT, .device = 0), 0);
    assert_int_equal(SEND(PRIMARY_RESET, primary_reset, .gone = CONTEXT, .device = 0), 0);
    assert_int_equal(fake.driver->live[FAKE_CONTEXTS], 0);
    assert_int_equal(SEND(PRIMARY_RETAIN, primary_retain, .made = CONTEXT, .device = 7), CUDA_ERROR_INVALID_DEVICE);
}

static void
test_destroying_the_other_kind_of_context(void **state)
{
    (void)state;
    assert_int_equal(SEND(CTX_CREATE, ctx_create, .made = OTHER_CONTEXT, .device = 1), 0);
    assert_int_equal(SEND(PRIMARY_RELEASE, primary_release, .gone = OTHER_CONTEXT, .device = 1),
                     CUDA_ERROR_INVALID_CONTEXT);
    assert_int_equal(SEND(CTX_DESTROY, ctx_destroy, .gone = CONTEXT), CUDA_ERROR_INVALID_CONTEXT);
}

static void
test_creating_leaves_the_current_context(void **state)
{
    (void)state;
    assert_int_equal(SEND(CTX_CREATE, ctx_create, .made = OTHER_CONTEXT, .device = 1), 0);
    assert_int_equal(SEND(STREAM_CREATE, stream_create, .made = STREAM), 0); /* in CONTEXT */
    assert_int_equal(SEND(CTX_DESTROY, ctx_destroy, .gone = OTHER_CONTEXT), 0);
    assert_int_equal(SEND(STREAM_QUERY, stream_query, .on = STREAM), 0);
    assert_int_equal(fake.driver->live[FAKE_STREAMS], 1);
}

static void
test_destroyed_context_takes_all_with_it(void **state)
{
    CUdeviceptr address;

    (void)state;
    address = allocate(4096);
    assert_int_equal(load_module(MODULE, PTX), 0);
    assert_int_equal(find_function(MODULE, FUNCTION, "k0"), 0);
    assert_int_equal(find_global(MODULE, "g"), 0);
    assert_int_equal(SEND(STREAM_CREATE, stream_create, .made = STREAM), 0);
    assert_int_equal(SEND(EVENT_CREATE, event_create, .made = EVENT), 0);
    assert_int_equal(SEND(HOST_REGISTER, host_register, .memory = {ARENA_PAGE, ARENA_PAGE}), 0);
    assert_int_equal(SEND(PRIMARY_RELEASE, primary_release, .gone = CONTEXT, .device = 0), 0);

    for (unsigned i = 0; i < FAKE_LIVE; i++)
        assert_int_equal(fake.driver->live[i], 0);
    assert_int_equal(SEND(CTX_CREATE, ctx_create, .made = OTHER_CONTEXT, .device = 0), 0);
    assert_int_equal(SEND(CTX_SET_CURRENT, ctx_set_current, .now = OTHER_CONTEXT), 0);
    assert_int_equal(launch(FUNCTION, 0, false, NULL, 0), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(STREAM_QUERY, stream_query, .on = STREAM), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(STREAM_DESTROY, stream_destroy, .gone = STREAM), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(EVENT_QUERY, event_query, .which = EVENT), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(MODULE_UNLOAD, module_unload, .gone = MODULE), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(MEM_FREE, mem_free, .address = address), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = address, .count = 1), CUDA_ERROR_INVALID_VALUE);
    /* Their handles can be assigned again. */
    assert_int_equal(SEND(STREAM_CREATE, stream_create, .made = STREAM), 0);
    assert_int_equal(SEND(STREAM_QUERY, stream_query, .on = STREAM), 0);
    /* And the memory registered again. */
    assert_int_equal(SEND(HOST_REGISTER, host_register, .memory = {ARENA_PAGE, ARENA_PAGE}), 0);
}

static void
test_context_destroyed_under_another_lane(void **state)
{
    (void)state;
    assert_int_equal(SEND_ON(1, CTX_SET_CURRENT, ctx_set_current, .now = CONTEXT), 0);
    assert_int_equal(SEND(PRIMARY_RELEASE, primary_release, .gone = CONTEXT, .device = 0), 0);
    assert_int_equal(SEND_ON(1, MEM_ALLOC, mem_alloc, .bytes = 64), CUDA_ERROR_CONTEXT_IS_DESTROYED);
    assert_int_equal(SEND(MEM_ALLOC, mem_alloc, .bytes = 64), CUDA_ERROR_CONTEXT_IS_DESTROYED);
}

static void
test_limits_and_configuration(void **state)
{
    (void)state;
    assert_int_equal(SEND(CTX_GET_LIMIT, ctx_get_limit, .limit = CU_LIMIT_STACK_SIZE), 0);
    assert_int_equal(((const struct cuda_ctx_get_limit_reply *)reply())->value, 4096);
    assert_int_equal(SEND(CTX_SET_LIMIT, ctx_set_limit, .limit = 1, .value = 77), 0);
    assert_string_equal(last_call(), "cuCtxSetLimit 1 77");
    assert_int_equal(deliver(0, CUDA_OPCODE_CTX_PRIORITY_RANGE, "", 0), 0);
    assert_int_equal(((const struct cuda_ctx_priority_range_reply *)reply())->greatest, -5);
    assert_int_equal(deliver(0, CUDA_OPCODE_CTX_GET_CACHE_CONFIG, "", 0), 0);
    assert_int_equal(((const struct cuda_ctx_get_cache_config_reply *)reply())->config, CU_FUNC_CACHE_PREFER_L1);
    assert_int_equal(SEND(CTX_SET_CACHE_CONFIG, ctx_set_cache_config, .config = 2), 0);
    assert_int_equal(SEND(PRIMARY_SET_FLAGS, primary_set_flags, .device = 1, .flags = 4), 0);
    assert_string_equal(last_call(), "cuDevicePrimaryCtxSetFlags 1 4");
}

/* ---- Modules and launches -------------------------------------------------------------------- */

static void
test_module_layout_and_global(void **state)
{
    const struct cuda_module_function_reply *answer;
    const uint32_t *offsets, *sizes;
    CUdeviceptr global;

    (void)state;
    assert_int_equal(load_module(MODULE, PTX), 0);
    assert_int_equal(find_function(MODULE, FUNCTION, "k3"), 0);
    answer = reply();
    assert_int_equal(answer->offsets_count, 3);
    assert_int_equal(answer->attributes_count, 16);
    offsets = (const uint32_t *)(answer + 1);
    sizes = offsets + 4; /* rounded up to 8 bytes */
    assert_int_equal(offsets[2], 16);
    assert_int_equal(sizes[1], 8);
    assert_int_equal(find_function(MODULE, SPARE, "nothing"), CUDA_ERROR_NOT_FOUND);
    assert_int_equal(find_function(99, SPARE, "k0"), CUDA_ERROR_INVALID_HANDLE);

    assert_int_equal(find_global(MODULE, "g"), 0);
    global = ((const struct cuda_module_global_reply *)reply())->address;
    assert_int_equal(find_global(MODULE, "g"), 0); /* twice is the same one */
    assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = global, .count = 256), 0);
    assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = global, .count = 257), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(MEM_FREE, mem_free, .address = global), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(MODULE_UNLOAD, module_unload, .gone = MODULE), 0);
    assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = global, .count = 1), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(launch(FUNCTION, 0, false, "", 0), CUDA_ERROR_INVALID_HANDLE);
    /* The handles are free again. */
    assert_int_equal(load_module(MODULE, PTX), 0);
    assert_int_equal(find_function(MODULE, FUNCTION, "k1"), 0);
}

static void
test_module_logs(void **state)
{
    const char *text;

    (void)state;
    assert_int_equal(load_module(MODULE, ".broken"), CUDA_ERROR_INVALID_PTX);
    assert_int_equal(SEND(MODULE_LOG, module_log, .info_log_room = 100, .error_log_room = 6), 0);
    text = (const char *)reply() + sizeof(struct cuda_module_log_reply);
    assert_string_equal(text, "info of the compiler");
    assert_string_equal(text + 24, "error"); /* as much as there is room for */
}

static int
load_with_option(uint32_t option, uint32_t count, uint32_t values)
{
    struct cuda_module_load_request request = {
        .made = MODULE, .image = {0, sizeof(PTX) - 1}, .options_count = count, .option_values_count = values};

    memcpy(arena(0), PTX, sizeof(PTX));
    memset(fake.record, 0, 256);
    memcpy(fake.record, &request, sizeof(request));
    memcpy(fake.record + sizeof(request), &option, sizeof(option));
    return fake_execute(&fake, 0, CUDA_OPCODE_MODULE_LOAD,
                        (uint32_t)(sizeof(request) + (4 * count + 7) / 8 * 8 + 8 * values));
}

static void
test_module_options_without_pointers(void **state)
{
    (void)state;
    assert_int_equal(load_with_option(CU_JIT_GLOBAL_SYMBOL_ADDRESSES, 1, 1), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(load_with_option(4711, 1, 1), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(load_with_option(CU_JIT_MAX_REGISTERS, 1, 0), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(load_with_option(CU_JIT_ERROR_LOG_BUFFER, 1, 1), 0); /* dropped: module_log stands for it */
    assert_non_null(strstr(last_call(), "cuModuleLoadDataEx 0 options"));
    assert_int_equal(SEND(MODULE_UNLOAD, module_unload, .gone = MODULE), 0);
    assert_int_equal(load_with_option(CU_JIT_MAX_REGISTERS, 1, 1), 0);
    assert_non_null(strstr(last_call(), "cuModuleLoadDataEx 1 options"));
}

static void
test_images_that_reach_out_of_themselves(void **state)
{
    unsigned char elf[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    unsigned char fatbin[32] = {0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0};
    unsigned calls = fake.driver->calls;

    (void)state;
    elf[60] = 1;    /* a section header ... */
    elf[58] = 64;   /* ... of the right size ... */
    elf[41] = 0x10; /* ... at 4096 */
    memcpy(arena(0), elf, sizeof(elf));
    assert_int_equal(SEND(MODULE_LOAD, module_load, .made = MODULE, .image = {0, 64}), CUDA_ERROR_INVALID_IMAGE);
    fatbin[8] = 17; /* a byte more than there is */
    memcpy(arena(0), fatbin, sizeof(fatbin));
    assert_int_equal(SEND(MODULE_LOAD, module_load, .made = MODULE, .image = {0, 32}), CUDA_ERROR_INVALID_IMAGE);
    memcpy(arena(0), "\x01\x02\x03\x04", 4);
    assert_int_equal(SEND(MODULE_LOAD, module_load, .made = MODULE, .image = {0, 4}), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(SEND(MODULE_LOAD, module_load, .made = MODULE), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(fake.driver->calls, calls);
}

static void
test_launch(void **state)
{
    unsigned char parameters[20] = {1, 2, 3, 4, 0, 0, 0, 0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

    (void)state;
    assert_int_equal(load_module(MODULE, PTX), 0);
    assert_int_equal(find_function(MODULE, FUNCTION, "k3"), 0);
    assert_int_equal(launch(FUNCTION, 0, false, parameters, 20), 0);
    assert_string_equal(last_call(), "cuLaunchKernel 2 1 1 32 1 1 0");
    assert_memory_equal(fake.driver->parameters, parameters, 20);
    memset(fake.driver->parameters, 0, 20);
    assert_int_equal(launch(FUNCTION, 2, true, parameters, 20), 0);
    assert_string_equal(last_call(), "cuLaunchCooperativeKernel 2 1 1 32 1 1 0");
    assert_memory_equal(fake.driver->parameters, parameters, 20);

    assert_int_equal(launch(FUNCTION, 0, false, parameters, 19), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(launch(FUNCTION, 0, true, parameters, 0), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(launch(FUNCTION, STREAM, false, parameters, 20), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(launch(MODULE, 0, false, parameters, 20), CUDA_ERROR_INVALID_HANDLE); /* another kind */
    assert_int_equal(find_function(MODULE, SPARE, "k0"), 0);
    assert_int_equal(launch(SPARE, 0, false, NULL, 0), 0);
    assert_int_equal(launch(SPARE, 0, false, parameters, 4), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(OCCUPANCY_BLOCKS, occupancy_blocks, .on = FUNCTION, .block_size = 128), 0);
    assert_int_equal(((const struct cuda_occupancy_blocks_reply *)reply())->blocks, 8);
    assert_int_equal(SEND(FUNCTION_SET_ATTRIBUTE, function_set_attribute, .on = FUNCTION, .attribute = 8, .value = 9),
                     0);
    assert_string_equal(last_call(), "cuFuncSetAttribute 8 9");
}

/* ---- Addresses ------------------------------------------------------------------------------- */

/* ---- Libraries ------------------------------------------------------------------------------- */

static int
load_library(uint32_t handle, const char *text)
{
    memcpy(arena(0), text, strlen(text));
    return SEND(LIBRARY_LOAD, library_load, .made = handle, .image = {0, strlen(text)});
}

static int
find_kernel(uint32_t library, uint32_t handle, const char *name)
{
    struct cuda_library_kernel_request request = {
        .made = handle, .from = library, .name_length = (uint32_t)strlen(name)};

    memcpy(fake.record, &request, sizeof(request));
    memcpy(fake.record + sizeof(request), name, strlen(name) + 1);
    return fake_execute(&fake, 0, CUDA_OPCODE_LIBRARY_KERNEL, (uint32_t)(sizeof(request) + strlen(name) + 1));
}

static int
ask_kernel(uint32_t kernel, uint32_t device)
{
    return SEND(KERNEL_INFO, kernel_info, .kernel = kernel, .device = device, .offsets_room = 16, .sizes_room = 16,
                .attributes_room = 64);
}

static void
test_library(void **state)
{
    unsigned char parameters[20] = {1, 2, 3};

    (void)state;
    assert_int_equal(SEND(CTX_SET_CURRENT, ctx_set_current, .now = 0), 0);
    assert_int_equal(load_library(LIBRARY, ".broken"), CUDA_ERROR_INVALID_PTX);
    assert_int_equal(load_library(LIBRARY, PTX), 0); /* needs no context */
    memset(arena(0), 'x', 4096);                     /* nor the guest's memory any more */
    assert_int_equal(find_kernel(LIBRARY, KERNEL, "k3"), 0);
    assert_int_equal(find_kernel(LIBRARY, SPARE, "nothing"), CUDA_ERROR_NOT_FOUND);
    assert_int_equal(launch(KERNEL, 0, false, parameters, 20), CUDA_ERROR_INVALID_CONTEXT);
    assert_int_equal(SEND(CTX_SET_CURRENT, ctx_set_current, .now = CONTEXT), 0);
    /* As long as nobody has asked where its parameters lie, no launch can bring the right ones. */
    assert_int_equal(launch(KERNEL, 0, false, parameters, 0), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(launch(KERNEL, 0, false, parameters, 20), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(ask_kernel(KERNEL, 2), CUDA_ERROR_INVALID_DEVICE);
    assert_int_equal(ask_kernel(KERNEL, 0), 0);
    assert_int_equal(((const struct cuda_kernel_info_reply *)reply())->offsets_count, 3);
    assert_int_equal(launch(KERNEL, 0, false, parameters, 20), 0);
    assert_memory_equal(fake.driver->parameters, parameters, 20);
    assert_int_equal(launch(KERNEL, 0, false, parameters, 19), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(launch(KERNEL, 0, true, parameters, 20), 0);
    assert_int_equal(
        SEND(KERNEL_SET_ATTRIBUTE, kernel_set_attribute, .kernel = KERNEL, .attribute = 8, .value = 5, .device = 1), 0);
    assert_string_equal(last_call(), "cuKernelSetAttribute 8 5 of device 1");
    /* What only a function of a module is for. */
    assert_int_equal(SEND(FUNCTION_SET_ATTRIBUTE, function_set_attribute, .on = KERNEL, .attribute = 8),
                     CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(FUNCTION_SET_CACHE_CONFIG, function_set_cache_config, .on = KERNEL),
                     CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(LIBRARY_UNLOAD, library_unload, .gone = LIBRARY), 0);
    assert_int_equal(launch(KERNEL, 0, false, parameters, 20), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(fake.driver->live[FAKE_LIBRARIES], 0);
}

static void
test_function_is_no_kernel(void **state)
{
    (void)state;
    assert_int_equal(load_module(MODULE, PTX), 0);
    assert_int_equal(find_function(MODULE, FUNCTION, "k3"), 0);
    assert_int_equal(ask_kernel(FUNCTION, 0), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(KERNEL_SET_ATTRIBUTE, kernel_set_attribute, .kernel = FUNCTION, .attribute = 8),
                     CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(KERNEL_SET_CACHE_CONFIG, kernel_set_cache_config, .kernel = FUNCTION),
                     CUDA_ERROR_NOT_SUPPORTED);
}

/* A library's module goes with its context or with the library, whichever ends first. */
static void
test_library_module(void **state)
{
    CUdeviceptr global;

    (void)state;
    assert_int_equal(load_library(LIBRARY, PTX), 0);
    assert_int_equal(SEND(LIBRARY_MODULE, library_module, .made = MODULE, .from = LIBRARY), 0);
    assert_int_equal(find_global(MODULE, "g"), 0);
    global = ((const struct cuda_module_global_reply *)reply())->address;
    assert_int_equal(find_function(MODULE, FUNCTION, "k0"), 0);
    assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = global, .count = 256), 0);
    assert_int_equal(SEND(LIBRARY_UNLOAD, library_unload, .gone = LIBRARY), 0);
    assert_int_equal(fake.driver->live[FAKE_MODULES], 0);
    assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = global, .count = 1), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(launch(FUNCTION, 0, false, "", 0), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(find_global(MODULE, "g"), CUDA_ERROR_INVALID_HANDLE);

    assert_int_equal(load_library(LIBRARY, PTX), 0);
    assert_int_equal(SEND(CTX_CREATE, ctx_create, .made = OTHER_CONTEXT, .device = 1), 0);
    assert_int_equal(SEND(CTX_SET_CURRENT, ctx_set_current, .now = OTHER_CONTEXT), 0);
    assert_int_equal(SEND(LIBRARY_MODULE, library_module, .made = MODULE, .from = LIBRARY), 0);
    assert_int_equal(find_function(MODULE, FUNCTION, "k0"), 0);
    assert_int_equal(SEND(CTX_SET_CURRENT, ctx_set_current, .now = CONTEXT), 0);
    assert_int_equal(SEND(CTX_DESTROY, ctx_destroy, .gone = OTHER_CONTEXT), 0);
    assert_int_equal(launch(FUNCTION, 0, false, "", 0), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(find_kernel(LIBRARY, KERNEL, "k0"), 0);
    assert_int_equal(ask_kernel(KERNEL, 0), 0);
    assert_int_equal(launch(KERNEL, 0, false, "", 0), 0);
    assert_int_equal(SEND(LIBRARY_MODULE, library_module, .made = MODULE, .from = LIBRARY), 0);
    assert_int_equal(SEND(MODULE_UNLOAD, module_unload, .gone = MODULE), 0); /* the driver has it still */
    assert_int_equal(SEND(LIBRARY_UNLOAD, library_unload, .gone = LIBRARY), 0);
}

static int
send_part(uint64_t total, uint64_t at, uint64_t bytes)
{
    return SEND(IMAGE_PART, image_part, .total = total, .at = at, .part = {0, bytes});
}

static void
test_cache_folder(void **state)
{
    (void)state;
    assert_int_equal(fake.plugin->config("cache", "relative"), -EINVAL);
    assert_int_equal(fake.plugin->config("cache", "/tmp/cache"), 0);
    assert_string_equal(getenv("CUDA_CACHE_PATH"), "/tmp/cache");
    unsetenv("CUDA_CACHE_PATH");
    assert_int_equal(fake.plugin->config("warm", "maybe"), -EINVAL);
    assert_int_equal(fake.plugin->config("warm", "yes"), 0);
}

static int
ask_kept(uint64_t bytes, size_t digest_bytes)
{
    struct cuda_image_kept_request request = {.bytes = bytes, .digest_bytes = (uint32_t)digest_bytes};

    memcpy(fake.record, &request, sizeof(request));
    memset(fake.record + sizeof(request), 7, digest_bytes);
    return fake_execute(&fake, 0, CUDA_OPCODE_IMAGE_KEPT, (uint32_t)(sizeof(request) + digest_bytes));
}

/* This session's host keeps nothing. */
static void
test_nothing_is_kept(void **state)
{
    const struct cuda_image_kept_reply *kept = reply();

    (void)state;
    assert_int_equal(ask_kept(100, 0), 0);
    assert_false(kept->kept);
    assert_int_equal(ask_kept(100, 32), 0);
    assert_false(kept->kept);
    assert_int_equal(ask_kept(UINT64_MAX, 32), 0);
    assert_false(kept->kept);
    assert_int_equal(ask_kept(100, 31), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(LIBRARY_LOAD, library_load, .made = LIBRARY), CUDA_ERROR_INVALID_IMAGE);
}

static void
test_image_in_parts(void **state)
{
    (void)state;
    assert_int_equal(SEND(LIBRARY_LOAD, library_load, .made = LIBRARY), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(send_part(0, 0, 16), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(send_part(UINT64_MAX, 0, 16), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(send_part(100, 16, 16), CUDA_ERROR_INVALID_VALUE); /* there is no beginning */
    memcpy(arena(0), PTX, 16);
    assert_int_equal(send_part(sizeof(PTX) - 1, 0, 16), 0);
    assert_int_equal(send_part(sizeof(PTX) - 1, 0x8000000000000000u, 16), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(send_part(sizeof(PTX), 16, 4), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(send_part(sizeof(PTX) - 1, 17, 4), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(send_part(sizeof(PTX) - 1, 16, sizeof(PTX)), CUDA_ERROR_INVALID_VALUE);
    memcpy(arena(0), &PTX[16], sizeof(PTX) - 17);
    assert_int_equal(send_part(sizeof(PTX) - 1, 16, sizeof(PTX) - 17), 0);
    assert_int_equal(SEND(LIBRARY_LOAD, library_load, .made = LIBRARY), 0);
    assert_non_null(strstr(last_call(), "bytes of text"));
    assert_int_equal(SEND(MODULE_LOAD, module_load, .made = MODULE), CUDA_ERROR_INVALID_IMAGE); /* it is used up */
    assert_int_equal(send_part(sizeof(PTX) - 1, 0, 16), 0);
    assert_int_equal(SEND(MODULE_LOAD, module_load, .made = MODULE), CUDA_ERROR_INVALID_IMAGE); /* not all there */
    assert_int_equal(find_kernel(LIBRARY, KERNEL, "k0"), 0);
}

/* ---- Fatbins to be linked --------------------------------------------------------------------- */

struct linked {
    uint32_t magic, version;
    uint64_t data, list, entries[3];
    struct {
        uint32_t magic;
        uint16_t version, header_bytes;
        uint64_t bytes;
    } fatbins[3];
};

static int
load_linked(const struct linked *linked, size_t bytes)
{
    memcpy(arena(0), linked, sizeof(*linked));
    return SEND(LIBRARY_LOAD, library_load, .made = LIBRARY, .image = {0, bytes});
}

static void
test_linked_images_that_reach_out_of_themselves(void **state)
{
    const uint64_t first = offsetof(struct linked, fatbins);
    struct linked good = {0x466243b1, 2, first + 32, 24, {first, first + 16, 0}, {}}, bad;
    unsigned calls = fake.driver->calls;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        good.fatbins[i].magic = 0xba55ed50;
        good.fatbins[i].version = 1;
        good.fatbins[i].header_bytes = 16;
    }
#define BAD(change) (bad = good, bad.change, load_linked(&bad, sizeof(bad)))
    assert_int_equal(BAD(version = 1), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(BAD(list = 32), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(BAD(list = (uintptr_t)&bad), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(BAD(data = 0), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(BAD(data = (uintptr_t)&bad), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(BAD(data = first), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(BAD(entries[0] = 24), CUDA_ERROR_INVALID_IMAGE); /* the list itself */
    assert_int_equal(BAD(entries[0] = first + 4), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(BAD(entries[1] = first), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(BAD(entries[1] = UINT64_MAX - 7), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(BAD(entries[2] = first + 32), CUDA_ERROR_INVALID_IMAGE); /* a list without an end */
    assert_int_equal(BAD(fatbins[1].bytes = 17), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(BAD(fatbins[2].header_bytes = 24), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(load_linked(&good, 24), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(load_linked(&good, 8), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(load_linked(&good, sizeof(good) - 8), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(fake.driver->calls, calls);
    assert_int_equal(load_linked(&good, sizeof(good)), 0);
}

/* ---- Launches with attributes ---------------------------------------------------------------- */

static int
launch_ex(uint32_t kernel, uint32_t programmatic, uint32_t completion, const CUlaunchAttribute *attribute)
{
    struct cuda_launch_kernel_ex_request request = {.kernel = kernel,
                                                    .programmatic = programmatic,
                                                    .completion = completion,
                                                    .grid_x = 2,
                                                    .grid_y = 1,
                                                    .grid_z = 1,
                                                    .block_x = 32,
                                                    .block_y = 1,
                                                    .block_z = 1,
                                                    .attributes_count = 1};

    memcpy(fake.record, &request, sizeof(request));
    memcpy(fake.record + sizeof(request), attribute, sizeof(*attribute));
    return fake_execute(&fake, 0, CUDA_OPCODE_LAUNCH_KERNEL_EX, (uint32_t)(sizeof(request) + sizeof(*attribute)));
}

static void
test_launch_attributes(void **state)
{
    CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION};
    CUdeviceptr memory;

    (void)state;
    assert_int_equal(load_module(MODULE, PTX), 0);
    assert_int_equal(find_function(MODULE, FUNCTION, "k0"), 0);
    assert_int_equal(SEND(EVENT_CREATE, event_create, .made = EVENT), 0);
    assert_int_equal(launch_ex(FUNCTION, 0, 0, &attribute), 0);
    assert_string_equal(last_call(), "cuLaunchKernelEx 2 32, 1 attributes");
    attribute.id = 4711;
    assert_int_equal(launch_ex(FUNCTION, 0, 0, &attribute), CUDA_ERROR_INVALID_VALUE);
    attribute.id = CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE;
    assert_int_equal(launch_ex(FUNCTION, 0, 0, &attribute), CUDA_ERROR_INVALID_VALUE);
    attribute.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT;
    attribute.value.programmaticEvent.event = (CUevent)0x1234; /* of no use to the guest */
    assert_int_equal(launch_ex(FUNCTION, 0, 0, &attribute), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(launch_ex(FUNCTION, STREAM, 0, &attribute), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(launch_ex(FUNCTION, EVENT, 0, &attribute), 0);
    memset(&attribute.value, 0x11, sizeof(attribute.value));
    attribute.id = CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT;
    assert_int_equal(launch_ex(FUNCTION, EVENT, 0, &attribute), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(launch_ex(FUNCTION, 0, EVENT, &attribute), 0);
    memory = allocate(1000);
    memset(&attribute.value, 0, sizeof(attribute.value));
    attribute.id = CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW;
    attribute.value.accessPolicyWindow.base_ptr = (void *)(uintptr_t)memory;
    attribute.value.accessPolicyWindow.num_bytes = 1000;
    assert_int_equal(launch_ex(FUNCTION, 0, 0, &attribute), 0);
    attribute.value.accessPolicyWindow.num_bytes = 1001;
    assert_int_equal(launch_ex(FUNCTION, 0, 0, &attribute), CUDA_ERROR_INVALID_VALUE);
    attribute.value.accessPolicyWindow.base_ptr = &attribute;
    assert_int_equal(launch_ex(FUNCTION, 0, 0, &attribute), CUDA_ERROR_INVALID_VALUE);
}

/* ---- Linking --------------------------------------------------------------------------------- */

static int
add_input(uint32_t link, int32_t type, const char *data)
{
    struct cuda_link_add_request request = {.to = link, .type = type, .data = {0, strlen(data)}, .name_length = 1};

    memcpy(arena(0), data, strlen(data));
    memcpy(fake.record, &request, sizeof(request));
    memcpy(fake.record + sizeof(request), "n", 2);
    return fake_execute(&fake, 0, CUDA_OPCODE_LINK_ADD, (uint32_t)(sizeof(request) + 8));
}

static int
fetch_linked(uint64_t at, uint64_t bytes)
{
    return SEND(LINK_FETCH, link_fetch, .from = LINK, .at = at, .part = {0, bytes});
}

static void
test_linking(void **state)
{
    const char *text;

    (void)state;
    assert_int_equal(SEND(LINK_CREATE, link_create, .made = LINK, .log_bytes = 100), 0);
    assert_int_equal(add_input(LINK, CU_JIT_INPUT_PTX, PTX), 0);
    assert_non_null(strstr(last_call(), "cuLinkAddData 1, 27 bytes, n"));
    assert_int_equal(add_input(LINK, CU_JIT_INPUT_PTX, "garbage"), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(add_input(LINK, CU_JIT_INPUT_CUBIN, "garbage"), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(add_input(LINK, -1, PTX), CUDA_ERROR_INVALID_IMAGE);
    assert_int_equal(fetch_linked(0, 16), CUDA_ERROR_INVALID_VALUE); /* nothing is made yet */
    assert_int_equal(SEND(LINK_COMPLETE, link_complete, .from = LINK), 0);
    assert_int_equal(((const struct cuda_link_complete_reply *)reply())->bytes, 5000);
    assert_int_equal(fetch_linked(4000, 1000), 0);
    assert_int_equal(*arena(999), 4999 % 251);
    assert_int_equal(fetch_linked(4000, 1001), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(fetch_linked(UINT64_MAX, 2), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(LINK_LOG, link_log, .from = LINK, .info_log_room = 100, .error_log_room = 100), 0);
    text = (const char *)reply() + sizeof(struct cuda_link_log_reply);
    assert_string_equal(text, "info of the compiler");
    assert_int_equal(SEND(LINK_DESTROY, link_destroy, .gone = LINK), 0);
    assert_int_equal(SEND(LINK_COMPLETE, link_complete, .from = LINK), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(LINK_CREATE, link_create, .made = LINK), 0); /* goes with its context */
}

static void
test_hostile_addresses(void **state)
{
    CUdeviceptr address = allocate(4096),
                bad[] = {
                    0,
                    1,
                    (uintptr_t)&fake,                      /* the worker's memory */
                    (uintptr_t)arena(0),                   /* the arena, not registered */
                    (uintptr_t)fake.driver->host[1].start, /* the completion page, registered for ourselves */
                    address - 1,
                    address + 4096,
                    address + 4089,
                    UINT64_MAX,
                    UINT64_MAX - 7,
                };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = bad[i], .count = 8), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(SEND(MEMSET_D32, memset_d32, .to = bad[i], .count = 2, .wait = 1), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(SEND(MEMSET_2D, memset_2d, .to = bad[i], .pitch = 4, .element = 1, .width = 4, .height = 2),
                         CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(copy_in_small(bad[i], 0, "12345678", 8), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(SEND(COPY_IN, copy_in, .to = bad[i], .from = {0, 8}), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(SEND(COPY_OUT, copy_out, .from = bad[i], .to = {0, 8}), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(SEND(COPY_IN_WAIT, copy_in_wait, .to = bad[i], .from = {0, 8}), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(SEND(COPY_OUT_WAIT, copy_out_wait, .from = bad[i], .to = {0, 8}, .per_thread = 1),
                         CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(SEND(COPY_OUT_SMALL, copy_out_small, .from = bad[i], .data_room = 8),
                         CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(SEND(COPY_PEER, copy_peer, .to = bad[i], .to_context = CONTEXT, .from = address,
                              .from_context = CONTEXT, .bytes = 8),
                         CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(SEND(COPY_PEER, copy_peer, .to = address, .to_context = CONTEXT, .from = bad[i],
                              .from_context = CONTEXT, .bytes = 8, .ordered = 1),
                         CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(SEND(COPY_ACROSS, copy_across, .to = bad[i], .from = address, .bytes = 8),
                         CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(SEND(COPY_ACROSS, copy_across, .to = address, .from = bad[i], .bytes = 8),
                         CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(SEND(COPY_BOX, copy_box, .from = {.address = bad[i], .pitch = 4},
                              .to = {.place = CUDA_COPY_ARENA, .pitch = 4}, .to_arena = {0, 8}, .width = 4, .rows = 2,
                              .planes = 1),
                         CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(SEND(STREAM_WRITE_VALUE, stream_write_value, .to = bad[i], .wide = 1),
                         CUDA_ERROR_INVALID_VALUE);
        if (bad[i] != 0)
            assert_int_equal(SEND(MEM_FREE, mem_free, .address = bad[i]), CUDA_ERROR_INVALID_VALUE);
    }
    assert_int_equal(SEND(MEM_FREE, mem_free, .address = address + 8), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(MEM_FREE, mem_free, .address = 0), 0);
    assert_int_equal(SEND(MEM_FREE, mem_free, .address = address), 0);
    assert_int_equal(SEND(MEM_FREE, mem_free, .address = address), CUDA_ERROR_INVALID_VALUE);
}

static void
test_lengths_that_overflow(void **state)
{
    CUdeviceptr address = allocate(4096);
    uint64_t half = 1ull << 63;

    (void)state;
    assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = address, .count = UINT64_MAX), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(MEMSET_D32, memset_d32, .to = address, .count = 1ull << 62), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(MEMSET_D16, memset_d16, .to = address, .count = half), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(COPY_ACROSS, copy_across, .to = address, .from = address, .bytes = 4097),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(COPY_ACROSS, copy_across, .to = address, .from = address, .bytes = UINT64_MAX - address),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(MEMSET_2D, memset_2d, .to = address, .pitch = half, .element = 1, .width = 1, .height = 3),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(
        SEND(MEMSET_2D, memset_2d, .to = address, .pitch = 8, .element = 4, .width = 1ull << 62, .height = 1),
        CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(MEMSET_2D, memset_2d, .to = address, .pitch = 2, .element = 4, .width = 1, .height = 2),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(MEMSET_2D, memset_2d, .to = address, .pitch = 8, .element = 3, .width = 1, .height = 2),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(COPY_BOX, copy_box, .from = {.place = CUDA_COPY_ARENA, .pitch = half},
                          .to = {.address = address, .pitch = 16}, .from_arena = {0, 100}, .width = 8, .rows = 3,
                          .planes = 1),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(COPY_BOX, copy_box, .from = {.place = CUDA_COPY_ARENA, .pitch = 50},
                          .to = {.address = address, .pitch = 64}, .from_arena = {0, 100}, .width = 50, .rows = 3,
                          .planes = 1),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(COPY_BOX, copy_box, .from = {.place = CUDA_COPY_ARRAY}, .to = {.place = 3}, .width = 1,
                          .rows = 1, .planes = 1),
                     CUDA_ERROR_INVALID_VALUE);
    /* Nothing is success, wherever it may be. */
    assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = 1, .count = 0), 0);
    assert_int_equal(SEND(COPY_ACROSS, copy_across, .to = 1, .from = 2), 0);
    assert_int_equal(SEND(COPY_BOX, copy_box, .width = 0, .rows = 5, .planes = 1), 0);
}

/* A box of device memory @p a to @p b of the arena, 4096 bytes of each. */
#define BOX(a, from_pitch, from_height, to_pitch, to_height, ...)                                             \
    SEND(COPY_BOX, copy_box, .form = CUDA_COPY_3D,                                                            \
         .from = {.address = (a), .pitch = (from_pitch), .height = (from_height)},                            \
         .to = {.place = CUDA_COPY_ARENA, .pitch = (to_pitch), .height = (to_height)}, .to_arena = {0, 4096}, \
         __VA_ARGS__)

static void
test_boxes(void **state)
{
    CUdeviceptr address = allocate(4096);
    uint64_t half = 1ull << 63;

    (void)state;
    assert_int_equal(BOX(address, 16, 16, 16, 16, .width = 16, .rows = 16, .planes = 16), 0);
    assert_int_equal(BOX(address + 1, 16, 16, 16, 16, .width = 16, .rows = 16, .planes = 16), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(BOX(address, 16, 17, 16, 16, .width = 16, .rows = 16, .planes = 16), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(BOX(address, 16, 16, 16, 17, .width = 16, .rows = 16, .planes = 16), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(BOX(address, 16, 15, 16, 16, .width = 16, .rows = 16, .planes = 2), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(BOX(address, 15, 16, 16, 16, .width = 16, .rows = 2, .planes = 1), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(BOX(address, half, 16, 16, 16, .width = 16, .rows = 3, .planes = 1), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(BOX(address, 16, half, 16, 16, .width = 16, .rows = 2, .planes = 3), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(BOX(address, 16, 16, 16, 16, .width = UINT64_MAX, .rows = 1, .planes = 1),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(BOX(address, 16, 16, 16, 16, .width = 1, .rows = UINT64_MAX, .planes = UINT64_MAX),
                     CUDA_ERROR_INVALID_VALUE);
    /* Of three dimensions as one of two; as nothing that there is; with an array that is not there. */
    assert_int_equal(SEND(COPY_BOX, copy_box, .from = {.address = address, .pitch = 16, .height = 16},
                          .to = {.place = CUDA_COPY_ARENA, .pitch = 16, .height = 16}, .to_arena = {0, 4096},
                          .width = 16, .rows = 16, .planes = 16),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(COPY_BOX, copy_box, .form = 3, .from = {.address = address, .pitch = 16},
                          .to = {.place = CUDA_COPY_ARENA, .pitch = 16}, .to_arena = {0, 4096}, .width = 16, .rows = 1,
                          .planes = 1),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(COPY_BOX, copy_box, .form = CUDA_COPY_3D, .from = {.place = CUDA_COPY_ARRAY},
                          .to = {.place = CUDA_COPY_ARENA, .pitch = 16}, .to_arena = {0, 4096}, .width = 16, .rows = 1,
                          .planes = 1),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(COPY_BOX, copy_box, .form = CUDA_COPY_3D, .from = {.address = address, .pitch = 16},
                          .to = {.place = CUDA_COPY_ARENA, .pitch = 16}, .width = 16, .rows = 1, .planes = 1),
                     CUDA_ERROR_INVALID_VALUE);
}

/* Levels go with their mipmapped array, whatever the guest says; what is gone is not named to the driver. */
static void
test_arrays(void **state)
{
    const CUDA_ARRAY3D_DESCRIPTOR description = {.Width = 64, .NumChannels = 1, .Format = CU_AD_FORMAT_UNSIGNED_INT8};
    enum {
        ARRAY = 700,
        MIPMAP,
        LEVEL,
        OTHER_LEVEL
    };

    (void)state;
    assert_int_equal(SEND(ARRAY_CREATE, array_create, .made = ARRAY, .description = description), 0);
    assert_int_equal(SEND(MIPMAP_CREATE, mipmap_create, .made = MIPMAP, .description = description, .levels = 2), 0);
    assert_int_equal(SEND(MIPMAP_LEVEL, mipmap_level, .made = LEVEL, .from = MIPMAP), 0);
    assert_int_equal(SEND(MIPMAP_LEVEL, mipmap_level, .made = OTHER_LEVEL, .from = MIPMAP, .level = 1), 0);
    assert_int_equal(SEND(COPY_ARRAY, copy_array, .from_array = ARRAY, .to_array = LEVEL, .bytes = 8), 0);
    assert_int_equal(SEND(COPY_ARRAY, copy_array, .from_array = ARRAY, .device = 4096, .bytes = 8),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(COPY_ARRAY, copy_array, .from_array = ARRAY, .arena = {0, 8}, .bytes = 9),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(COPY_ARRAY, copy_array, .arena = {0, 8}, .bytes = 8), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(COPY_ARRAY, copy_array, .from_array = MIPMAP, .arena = {0, 8}, .bytes = 8),
                     CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(ARRAY_DESTROY, array_destroy, .gone = LEVEL), 0);
    assert_int_equal(SEND(MIPMAP_DESTROY, mipmap_destroy, .gone = MIPMAP), 0);
    assert_int_equal(SEND(COPY_ARRAY, copy_array, .from_array = ARRAY, .to_array = OTHER_LEVEL, .bytes = 8),
                     CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(ARRAY_DESTROY, array_destroy, .gone = ARRAY), 0);
    assert_int_equal(SEND(ARRAY_DESTROY, array_destroy, .gone = ARRAY), CUDA_ERROR_INVALID_HANDLE);
}

/* A texture is of the guest's own memory or arrays, whatever handles its resource has. */
static void
test_textures(void **state)
{
    const CUDA_ARRAY3D_DESCRIPTOR description = {.Width = 64, .NumChannels = 1, .Format = CU_AD_FORMAT_UNSIGNED_INT8};
    CUdeviceptr address = allocate(4096);
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY};
    enum {
        ARRAY = 710,
        MIPMAP,
        TEXTURE,
        SURFACE
    };

    (void)state;
#define TEXTURE_OF(...) SEND(TEXTURE_CREATE, texture_create, .made = TEXTURE, .resource = resource, __VA_ARGS__)
    assert_int_equal(SEND(ARRAY_CREATE, array_create, .made = ARRAY, .description = description), 0);
    assert_int_equal(SEND(MIPMAP_CREATE, mipmap_create, .made = MIPMAP, .description = description, .levels = 1), 0);
    resource.res.array.hArray = (CUarray)(void *)&resource;
    assert_int_equal(TEXTURE_OF(.levels = MIPMAP), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(TEXTURE_OF(.array = ARRAY), 0);
    assert_int_equal(SEND(TEXTURE_DESTROY, texture_destroy, .gone = TEXTURE), 0);
    resource.resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY;
    assert_int_equal(TEXTURE_OF(.array = ARRAY), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(TEXTURE_OF(.levels = MIPMAP), 0);
    assert_int_equal(SEND(TEXTURE_DESTROY, texture_destroy, .gone = TEXTURE), 0);
    resource = (CUDA_RESOURCE_DESC){.resType = CU_RESOURCE_TYPE_LINEAR};
    resource.res.linear.devPtr = (uintptr_t)&resource;
    resource.res.linear.sizeInBytes = 16;
    assert_int_equal(TEXTURE_OF(), CUDA_ERROR_INVALID_VALUE);
    resource.res.linear.devPtr = address;
    resource.res.linear.sizeInBytes =
        4097; /* more than it has: a kernel could read there as well, if there is anything */
    assert_int_equal(TEXTURE_OF(), 0);
    assert_int_equal(SEND(TEXTURE_DESTROY, texture_destroy, .gone = TEXTURE), 0);
    resource = (CUDA_RESOURCE_DESC){.resType = CU_RESOURCE_TYPE_PITCH2D};
    resource.res.pitch2D.devPtr = address;
    resource.res.pitch2D.format = CU_AD_FORMAT_FLOAT;
    resource.res.pitch2D.numChannels = 1;
    resource.res.pitch2D.width = 16;
    resource.res.pitch2D.height = 64;
    resource.res.pitch2D.pitchInBytes = 64;
    assert_int_equal(TEXTURE_OF(), 0);
    assert_int_equal(SEND(TEXTURE_DESTROY, texture_destroy, .gone = TEXTURE), 0);
    resource.res.pitch2D.height = 65;
    assert_int_equal(TEXTURE_OF(), CUDA_ERROR_INVALID_VALUE);
    resource.res.pitch2D.height = 1ull << 60;
    assert_int_equal(TEXTURE_OF(), CUDA_ERROR_INVALID_VALUE);
    resource.resType = (CUresourcetype)9;
    assert_int_equal(TEXTURE_OF(.array = ARRAY), CUDA_ERROR_INVALID_VALUE);
#undef TEXTURE_OF
    assert_int_equal(SEND(SURFACE_CREATE, surface_create, .made = SURFACE, .array = ARRAY), 0);
    assert_int_equal(SEND(SURFACE_DESTROY, surface_destroy, .gone = SURFACE), 0);
    assert_int_equal(SEND(SURFACE_CREATE, surface_create, .made = SURFACE, .array = SURFACE),
                     CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(MIPMAP_DESTROY, mipmap_destroy, .gone = MIPMAP), 0);
    assert_int_equal(SEND(ARRAY_DESTROY, array_destroy, .gone = ARRAY), 0);
}

static int
ipc_open(const struct gpuvchan_session_token *token)
{
    struct cuda_ipc_memory_open_request request = {.handle_count = 64};

    memcpy(fake.record, &request, sizeof(request));
    memset(fake.record + sizeof(request), 0, 64);
    memcpy(fake.record + sizeof(request), token, sizeof(*token));
    return fake_execute(&fake, 0, CUDA_OPCODE_IPC_MEMORY_OPEN, (uint32_t)(sizeof(request) + 64));
}

/* The driver's own handle, of bytes that the fake one takes for another process's, for a guest that has its token. */
static struct gpuvchan_session_token
ipc_handle(unsigned char byte, size_t bytes)
{
    struct gpuvchan_session_token token;
    unsigned char handle[64];

    memset(handle, byte, sizeof(handle));
    assert_int_equal(gpuvchan_session_share(fake.session, handle, bytes, -1, &token), 0);
    return token;
}

/* The guest sees no handle of the driver's. What it opens is usable until it has been closed as often as opened. */
static void
test_ipc(void **state)
{
    CUdeviceptr mine = allocate(4096), address;
    struct gpuvchan_session_token token, wrong, forged = {{0}};
    const unsigned char *told;

    (void)state;
    assert_int_equal(fake.plugin->config("ipc", "maybe"), -EINVAL);
    assert_int_equal(fake.plugin->config("ipc", "no"), 0);
    assert_int_equal(SEND(IPC_MEMORY_HANDLE, ipc_memory_handle, .address = mine, .bytes = 4096, .handle_room = 64),
                     CUDA_ERROR_NOT_SUPPORTED);
    token = ipc_handle(0x5a, 64);
    assert_int_equal(ipc_open(&token), CUDA_ERROR_NOT_SUPPORTED);
    assert_int_equal(fake.plugin->config("ipc", "yes"), 0);
    assert_int_equal(SEND(IPC_MEMORY_HANDLE, ipc_memory_handle, .address = mine, .bytes = 4096, .handle_room = 64), 0);
    told = (const unsigned char *)reply() + sizeof(struct cuda_ipc_memory_handle_reply);
    assert_memory_equal(told, &token, sizeof(token)); /* the fake driver's handle is that, always */
    assert_int_equal(told[63], 0);
    assert_int_equal(
        SEND(IPC_MEMORY_HANDLE, ipc_memory_handle, .address = (uintptr_t)&mine, .bytes = 4096, .handle_room = 64),
        CUDA_ERROR_INVALID_VALUE);
    memset(&forged, 0x5a, sizeof(forged)); /* not by the bytes themselves */
    assert_int_equal(ipc_open(&forged), CUDA_ERROR_INVALID_VALUE);
    wrong = ipc_handle(0x5a, 63);
    assert_int_equal(ipc_open(&wrong), CUDA_ERROR_INVALID_VALUE);
    wrong = ipc_handle(1, 64);
    assert_int_equal(ipc_open(&wrong), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(ipc_open(&token), 0);
    address = ((const struct cuda_ipc_memory_open_reply *)reply())->address;
    assert_int_equal(((const struct cuda_ipc_memory_open_reply *)reply())->bytes, 4096);
    assert_int_equal(ipc_open(&token), 0);
    assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = address, .count = 4096), 0);
    assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = address, .count = 4097), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(MEM_FREE, mem_free, .address = address), CUDA_ERROR_INVALID_VALUE);
    /* What is not one's own cannot be passed on. */
    assert_int_equal(SEND(IPC_MEMORY_HANDLE, ipc_memory_handle, .address = address, .bytes = 4096, .handle_room = 64),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(IPC_MEMORY_CLOSE, ipc_memory_close, .address = mine), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(IPC_MEMORY_CLOSE, ipc_memory_close, .address = address + 1), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(IPC_MEMORY_CLOSE, ipc_memory_close, .address = address), 0);
    assert_false(((const struct cuda_ipc_memory_close_reply *)reply())->gone);
    assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = address, .count = 8), 0);
    assert_int_equal(SEND(IPC_MEMORY_CLOSE, ipc_memory_close, .address = address), 0);
    assert_true(((const struct cuda_ipc_memory_close_reply *)reply())->gone);
    assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = address, .count = 8), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(IPC_MEMORY_CLOSE, ipc_memory_close, .address = address), CUDA_ERROR_INVALID_VALUE);
}

static void
test_copies(void **state)
{
    CUdeviceptr address = allocate(4096), other = allocate(4096);
    unsigned before = fake.driver->synchronized;

    (void)state;
    assert_int_equal(copy_in_small(address, 0, "hello", 5), 0);
    assert_int_equal(fake.driver->synchronized, before);
    assert_int_equal(SEND(COPY_ACROSS, copy_across, .to = other + 100, .from = address, .bytes = 5), 0);
    assert_int_equal(SEND(COPY_OUT_WAIT, copy_out_wait, .from = other + 100, .to = {64, 5}), 0);
    assert_memory_equal(arena(64), "hello", 5);
    assert_int_equal(SEND(COPY_IN, copy_in, .to = address, .from = {66, 3}, .on = 2), 0);
    assert_int_equal(SEND(COPY_OUT_WAIT, copy_out_wait, .from = address, .to = {0, 5}, .per_thread = 1), 0);
    assert_memory_equal(arena(0), "llolo", 5);
    assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = address, .value = 'x', .count = 4096), 0);
    memset(arena(8), 0, 12);
    assert_int_equal(SEND(COPY_BOX, copy_box, .from = {.address = address, .pitch = 100},
                          .to = {.place = CUDA_COPY_ARENA, .pitch = 10}, .to_arena = {8, 12}, .width = 2, .rows = 2,
                          .planes = 1),
                     0);
    assert_int_equal(arena(8)[1], 'x');
    assert_int_equal(arena(8)[11], 'x');
    assert_int_equal(arena(8)[2], 0);
}

/* Where the device may read the record after the driver has returned, its stream is waited for. */
static void
test_small_copy_is_consumed(void **state)
{
    unsigned before;
    CUdeviceptr address;

    (void)state;
    assert_int_equal(SEND(PRIMARY_RELEASE, primary_release, .gone = CONTEXT, .device = 0), 0);
    fake.driver->pageable = 1;
    assert_int_equal(SEND(PRIMARY_RETAIN, primary_retain, .made = CONTEXT, .device = 0), 0);
    assert_int_equal(SEND(CTX_SET_CURRENT, ctx_set_current, .now = CONTEXT), 0);
    address = allocate(64);
    before = fake.driver->synchronized;
    assert_int_equal(copy_in_small(address, 0, "hello", 5), 0);
    assert_int_equal(fake.driver->synchronized, before + 1);
}

static void
test_registering(void **state)
{
    CUdeviceptr address;
    unsigned before;

    (void)state;
    assert_int_equal(SEND(HOST_REGISTER, host_register, .memory = {ARENA_PAGE, 3 * ARENA_PAGE}, .flags = 7), 0);
    assert_string_equal(last_call(), "cuMemHostGetDevicePointer 0");
    address = ((const struct cuda_host_register_reply *)reply())->address;
    assert_int_equal(SEND(HOST_REGISTER, host_register, .memory = {ARENA_PAGE, 3 * ARENA_PAGE}),
                     CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    assert_int_equal(SEND(HOST_REGISTER, host_register, .memory = {0, 2 * ARENA_PAGE}),
                     CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    assert_int_equal(SEND(HOST_REGISTER, host_register, .memory = {3 * ARENA_PAGE, 4 * ARENA_PAGE}),
                     CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    assert_int_equal(SEND(HOST_REGISTER, host_register, .memory = {8 * ARENA_PAGE + 1, ARENA_PAGE}),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(HOST_REGISTER, host_register, .memory = {8 * ARENA_PAGE, 5}), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(HOST_REGISTER, host_register, .memory = {8 * ARENA_PAGE, 0}), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(HOST_REGISTER, host_register, .memory = {0, ARENA_PAGE}), 0); /* its neighbour */

    before = fake.driver->synchronized;
    assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = address, .value = 3, .count = 3 * ARENA_PAGE, .wait = 1), 0);
    assert_int_equal(fake.driver->synchronized, before + 1); /* host memory: the program looks at it next */
    assert_int_equal(arena(ARENA_PAGE)[0], 3);
    assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = address, .count = 3 * ARENA_PAGE + 1), CUDA_ERROR_INVALID_VALUE);

    assert_int_equal(SEND(MEM_FREE, mem_free, .address = address), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(HOST_UNREGISTER, host_unregister, .memory = {ARENA_PAGE, ARENA_PAGE}),
                     CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    assert_int_equal(SEND(HOST_UNREGISTER, host_unregister, .memory = {ARENA_PAGE, 3 * ARENA_PAGE}), 0);
    assert_int_equal(SEND(HOST_UNREGISTER, host_unregister, .memory = {ARENA_PAGE, 3 * ARENA_PAGE}),
                     CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = address, .count = 1), CUDA_ERROR_INVALID_VALUE);
    fake.driver->fail = "cuMemHostGetDevicePointer_v2";
    fake.driver->fail_result = CUDA_ERROR_OUT_OF_MEMORY;
    assert_int_equal(SEND(HOST_REGISTER, host_register, .memory = {ARENA_PAGE, ARENA_PAGE}), CUDA_ERROR_OUT_OF_MEMORY);
    assert_int_equal(SEND(HOST_REGISTER, host_register, .memory = {ARENA_PAGE, ARENA_PAGE}), 0);
}

/* The page of completion words must not be had by registering it, either. */
static void
test_arena_reference_outside(void **state)
{
    (void)state;
    assert_int_equal(SEND(HOST_REGISTER, host_register, .memory = {(uint64_t) - (int64_t)ARENA_PAGE, ARENA_PAGE}),
                     -EPROTO);
    assert_int_equal(SEND(COPY_IN, copy_in, .from = {1 << 20, 1}), -EPROTO);
}

/* ---- Streams, events, marks ------------------------------------------------------------------ */

static void
test_streams_and_events(void **state)
{
    (void)state;
    assert_int_equal(SEND(STREAM_CREATE, stream_create, .made = STREAM, .flags = 1, .priority = -2), 0);
    assert_string_equal(last_call(), "cuStreamCreateWithPriority 1 -2");
    assert_int_equal(SEND(EVENT_CREATE, event_create, .made = EVENT, .flags = 2), 0);
    assert_int_equal(SEND(EVENT_CREATE, event_create, .made = SPARE), 0);
    assert_int_equal(SEND(EVENT_RECORD, event_record, .which = EVENT, .on = STREAM), 0);
    assert_string_equal(last_call(), "cuEventRecord");
    assert_int_equal(SEND(EVENT_RECORD, event_record, .which = EVENT, .on = STREAM, .flags = 1), 0);
    assert_string_equal(last_call(), "cuEventRecordWithFlags 1");
    assert_int_equal(SEND(STREAM_WAIT_EVENT, stream_wait_event, .on = 1, .after = EVENT), 0);
    assert_int_equal(SEND(EVENT_ELAPSED, event_elapsed, .first = EVENT, .second = SPARE), 0);
    assert_true(((const struct cuda_event_elapsed_reply *)reply())->milliseconds == 1.5f);
    assert_int_equal(SEND(EVENT_QUERY, event_query, .which = STREAM), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(STREAM_SYNCHRONIZE, stream_synchronize, .on = EVENT), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(STREAM_DESTROY, stream_destroy, .gone = STREAM), 0);
    assert_int_equal(SEND(STREAM_DESTROY, stream_destroy, .gone = STREAM), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(EVENT_RECORD, event_record, .which = EVENT, .on = STREAM), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(EVENT_DESTROY, event_destroy, .gone = EVENT), 0);
    /* The next generation of the same index. */
    assert_int_equal(SEND(STREAM_CREATE, stream_create, .made = STREAM | 1u << 20), 0);
    assert_int_equal(SEND(STREAM_QUERY, stream_query, .on = STREAM), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(STREAM_QUERY, stream_query, .on = STREAM | 1u << 20), 0);
}

static void
test_special_streams_stay(void **state)
{
    (void)state;
    assert_int_equal(SEND(STREAM_DESTROY, stream_destroy, .gone = 1), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(SEND(STREAM_QUERY, stream_query, .on = 1), 0);
    assert_int_equal(SEND(STREAM_QUERY, stream_query, .on = 2), 0);
    assert_int_equal(SEND(STREAM_QUERY, stream_query, .on = 0), 0);
}

static void
test_handle_bound_twice_ends_the_session(void **state)
{
    (void)state;
    assert_int_equal(SEND(STREAM_CREATE, stream_create, .made = STREAM), 0);
    assert_int_equal(SEND(EVENT_CREATE, event_create, .made = STREAM), -EPROTO);
    assert_int_equal(fake.driver->live[FAKE_EVENTS], 0); /* what could not be bound is gone */
    assert_int_equal(fake.session->fault, -EPROTO);
}

static void
test_mark(void **state)
{
    (void)state;
    assert_int_equal(SEND(MARK, mark, .on = 0, .index = 5, .value = 100), 0);
    assert_string_equal(last_call(), "cuStreamWriteValue64_v2 100");
    assert_int_equal(*gpuvchan_session_completion(fake.session, 5), 100);
    fake.driver->fault = CUDA_ERROR_LAUNCH_FAILED;
    assert_int_equal(SEND(MARK, mark, .on = 0, .index = 5, .value = 101), CUDA_ERROR_LAUNCH_FAILED);
    assert_int_equal(*gpuvchan_session_completion(fake.session, 5), 100);
    assert_int_equal(SEND(MARK, mark, .on = 0, .index = 1u << 20, .value = 1), -EPROTO);
    assert_int_equal(fake.session->fault, -EPROTO);
}

static void
test_event_with_a_word(void **state)
{
    (void)state;
    assert_int_equal(SEND(EVENT_CREATE, event_create, .made = EVENT), 0);
    assert_int_equal(SEND(EVENT_RECORD, event_record, .which = EVENT, .index = 5, .value = 7), 0);
    assert_string_equal(last_call(), "cuStreamWriteValue64_v2 7");
    assert_int_equal(*gpuvchan_session_completion(fake.session, 5), 7);
    /* Nobody waits for what the GPU cannot write. */
    fake.driver->fail = "cuStreamWriteValue64_v2";
    fake.driver->fail_result = CUDA_ERROR_NOT_SUPPORTED;
    assert_int_equal(SEND(EVENT_RECORD, event_record, .which = EVENT, .index = 5, .value = 8), 0);
    assert_int_equal(*gpuvchan_session_completion(fake.session, 5), 7);
    assert_int_equal(SEND(EVENT_RECORD, event_record, .which = EVENT, .index = 1u << 20, .value = 1), -EPROTO);
    assert_int_equal(fake.session->fault, -EPROTO);
}

static void
test_mark_that_the_driver_refuses(void **state)
{
    unsigned before;

    (void)state;
    before = fake.driver->synchronized;
    fake.driver->fail = "cuStreamWriteValue64_v2";
    fake.driver->fail_result = CUDA_ERROR_NOT_SUPPORTED;
    for (uint64_t value = 1; value <= 2; value++) { /* and it is not asked again */
        assert_int_equal(SEND(MARK, mark, .on = 1, .index = 6, .value = value), 0);
        assert_string_equal(last_call(), "cuStreamSynchronize");
        assert_int_equal(*gpuvchan_session_completion(fake.session, 6), value);
    }
    assert_int_equal(fake.driver->synchronized, before + 2);
}

static void
test_completion_page_survives_its_context(void **state)
{
    (void)state;
    assert_int_equal(SEND(CTX_CREATE, ctx_create, .made = OTHER_CONTEXT, .device = 1), 0);
    assert_int_equal(fake.driver->live[FAKE_REGISTRATIONS], 1);
    assert_int_equal(SEND(PRIMARY_RELEASE, primary_release, .gone = CONTEXT, .device = 0), 0);
    assert_int_equal(fake.driver->live[FAKE_REGISTRATIONS], 1);
    assert_int_equal(SEND(CTX_SET_CURRENT, ctx_set_current, .now = OTHER_CONTEXT), 0);
    assert_int_equal(SEND(MARK, mark, .on = 0, .index = 7, .value = 9), 0);
    assert_string_equal(last_call(), "cuStreamWriteValue64_v2 9");
}

/* ---- Pools, chunks, address space ------------------------------------------------------------ */

#define GRAIN ((uint64_t)2 << 20)

static CUdeviceptr
allocate_from(uint32_t pool, uint64_t bytes)
{
    assert_int_equal(SEND(POOL_ALLOC, pool_alloc, .bytes = bytes, .from = pool), 0);
    return ((const struct cuda_pool_alloc_reply *)reply())->address;
}

static int
fill(CUdeviceptr to, uint64_t count)
{
    return SEND(MEMSET_D8, memset_d8, .to = to, .count = count);
}

static void
test_pools(void **state)
{
    CUdeviceptr address;

    (void)state;
    assert_int_equal(SEND(POOL_CREATE, pool_create, .made = SPARE, .device = 2), CUDA_ERROR_INVALID_DEVICE);
    assert_int_equal(SEND(POOL_CREATE, pool_create, .made = SPARE, .device = 1, .most = 77), 0);
    assert_string_equal(last_call(), "cuMemPoolCreate 77");
    address = allocate_from(SPARE, 1000);
    assert_int_equal(fill(address, 1000), 0);
    assert_int_equal(fill(address + 1, 1000), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(POOL_FREE, pool_free, .address = address + 1), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(POOL_FREE, pool_free, .address = 0x1234), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(POOL_FREE, pool_free, .address = address), 0);
    assert_int_equal(SEND(POOL_FREE, pool_free, .address = address), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(fill(address, 1), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(MEM_FREE, mem_free, .address = allocate_from(0, 10)), 0);
    /* What the driver refuses to free stays usable. */
    address = allocate_from(SPARE, 10);
    fake.driver->fail = "cuMemFreeAsync";
    fake.driver->fail_result = CUDA_ERROR_NOT_PERMITTED;
    assert_int_equal(SEND(POOL_FREE, pool_free, .address = address), CUDA_ERROR_NOT_PERMITTED);
    assert_int_equal(fill(address, 10), 0);
    assert_int_equal(SEND(POOL_FREE, pool_free, .address = address), 0);
    assert_int_equal(SEND(POOL_DESTROY, pool_destroy, .gone = SPARE), 0);
    assert_int_equal(SEND(POOL_ALLOC, pool_alloc, .bytes = 1, .from = SPARE), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(POOL_TRIM, pool_trim, .of = CONTEXT), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(POOL_DEFAULT, pool_default, .made = SPARE, .device = 0), 0);
    assert_int_equal(SEND(POOL_CHOOSE, pool_choose, .from = SPARE, .device = 9), CUDA_ERROR_INVALID_DEVICE);
    assert_int_equal(SEND(POOL_CHOOSE, pool_choose, .from = SPARE, .device = 0), 0);
    assert_int_equal(SEND(POOL_DESTROY, pool_destroy, .gone = SPARE), CUDA_ERROR_INVALID_VALUE);
}

static CUdeviceptr
chunk_of(uint64_t bytes)
{
    assert_int_equal(SEND(CHUNK_CREATE, chunk_create, .bytes = bytes), 0);
    return ((const struct cuda_chunk_create_reply *)reply())->address;
}

static void
test_chunks(void **state)
{
    CUdeviceptr plain = allocate(100), first, second, third;

    (void)state;
    assert_int_equal(SEND(CHUNK_CREATE, chunk_create, .bytes = 0), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(CHUNK_CREATE, chunk_create, .bytes = 4096), CUDA_ERROR_INVALID_VALUE);
    fake.driver->fail = "cuMemAddressReserve"; /* once: then a smaller window is asked for */
    fake.driver->fail_result = CUDA_ERROR_OUT_OF_MEMORY;
    assert_int_equal(SEND(CHUNK_CREATE, chunk_create, .bytes = GRAIN << 18), CUDA_ERROR_OUT_OF_MEMORY);
    assert_int_equal(fake.driver->live[FAKE_RESERVATIONS], 1);
    first = chunk_of(2 * GRAIN);
    second = chunk_of(GRAIN);
    assert_true(second == first + 2 * GRAIN);
    assert_int_equal(fill(first, 2 * GRAIN), 0);
    assert_int_equal(fill(first, 2 * GRAIN + 1), CUDA_ERROR_INVALID_VALUE); /* also where the next one is */
    assert_int_equal(fill(second + GRAIN, 1), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(MEM_FREE, mem_free, .address = first), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(POOL_FREE, pool_free, .address = first), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(CHUNK_DESTROY, chunk_destroy, .address = plain), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(CHUNK_DESTROY, chunk_destroy, .address = first + GRAIN), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(CHUNK_DESTROY, chunk_destroy, .address = first), 0);
    assert_int_equal(fill(first, 1), CUDA_ERROR_INVALID_VALUE);
    third = chunk_of(GRAIN);
    assert_true(third == first); /* the lowest place that is free */
    for (unsigned i = 0; i < 2; i++) {
        fake.driver->fail = i == 0 ? "cuMemMap" : "cuMemSetAccess";
        fake.driver->fail_result = CUDA_ERROR_OUT_OF_MEMORY;
        assert_int_equal(SEND(CHUNK_CREATE, chunk_create, .bytes = GRAIN), CUDA_ERROR_OUT_OF_MEMORY);
        assert_int_equal(fake.driver->live[FAKE_PHYSICAL], 2);
    }
    assert_true(chunk_of(GRAIN) == first + GRAIN);
    assert_int_equal(SEND(PRIMARY_RELEASE, primary_release, .gone = CONTEXT, .device = 0), 0);
    assert_int_equal(fake.driver->live[FAKE_MAPPINGS], 0);
    assert_int_equal(fake.driver->live[FAKE_PHYSICAL], 0);
}

static int
set_access(CUdeviceptr address, uint64_t bytes, int type, int device)
{
    struct cuda_virtual_set_access_request request = {.address = address, .bytes = bytes, .grants_count = 1};
    CUmemAccessDesc grant = {.location = {.type = (CUmemLocationType)type, .id = device},
                             .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

    memcpy(fake.record, &request, sizeof(request));
    memset(fake.record + sizeof(request), 0, 16);
    memcpy(fake.record + sizeof(request), &grant, sizeof(grant));
    return fake_execute(&fake, 0, CUDA_OPCODE_VIRTUAL_SET_ACCESS, (uint32_t)(sizeof(request) + 16));
}

static CUdeviceptr
reserve(uint64_t bytes)
{
    assert_int_equal(SEND(VIRTUAL_RESERVE, virtual_reserve, .bytes = bytes), 0);
    return ((const struct cuda_virtual_reserve_reply *)reply())->address;
}

static int
map(uint32_t physical, CUdeviceptr address, uint64_t bytes)
{
    return SEND(VIRTUAL_MAP, virtual_map, .from = physical, .address = address, .bytes = bytes);
}

static void
test_virtual(void **state)
{
    CUdeviceptr start, other, plain = allocate(100);

    (void)state;
    assert_int_equal(SEND(PHYSICAL_CREATE, physical_create, .made = SPARE, .device = 5, .bytes = GRAIN),
                     CUDA_ERROR_INVALID_DEVICE);
    assert_int_equal(SEND(PHYSICAL_CREATE, physical_create, .made = SPARE, .device = 0, .bytes = 2 * GRAIN), 0);
    start = reserve(4 * GRAIN);
    other = reserve(GRAIN);
    assert_int_equal(fill(start, 1), CUDA_ERROR_INVALID_VALUE); /* nothing is mapped */
    assert_int_equal(map(SPARE, plain, GRAIN), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(map(SPARE, start + 3 * GRAIN, 2 * GRAIN), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(map(CONTEXT, start, GRAIN), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(map(SPARE, start, GRAIN), 0);
    assert_int_equal(map(SPARE, start, GRAIN), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(map(SPARE, start + GRAIN, GRAIN), 0);
    assert_int_equal(set_access(start, 3 * GRAIN, CU_MEM_LOCATION_TYPE_DEVICE, 0), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(set_access(plain, 100, CU_MEM_LOCATION_TYPE_DEVICE, 0), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(set_access(start, 2 * GRAIN, CU_MEM_LOCATION_TYPE_HOST, 0), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(set_access(start, 2 * GRAIN, CU_MEM_LOCATION_TYPE_DEVICE, 9), CUDA_ERROR_INVALID_DEVICE);
    assert_int_equal(set_access(start, 2 * GRAIN, CU_MEM_LOCATION_TYPE_DEVICE, 0), 0);
    assert_int_equal(fill(start + 100, 2 * GRAIN - 100), 0); /* over both */
    assert_int_equal(fill(start + 100, 2 * GRAIN - 99), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(VIRTUAL_UNMAP, virtual_unmap, .address = start, .bytes = GRAIN / 2),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(VIRTUAL_UNMAP, virtual_unmap, .address = plain, .bytes = 100), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(MEM_FREE, mem_free, .address = start), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(CHUNK_DESTROY, chunk_destroy, .address = start), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(VIRTUAL_FREE, virtual_free, .address = start, .bytes = 4 * GRAIN), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(PHYSICAL_RELEASE, physical_release, .gone = SPARE), 0);
    assert_int_equal(fake.driver->live[FAKE_PHYSICAL], 1);
    assert_int_equal(SEND(VIRTUAL_UNMAP, virtual_unmap, .address = start, .bytes = 2 * GRAIN), 0);
    assert_int_equal(fake.driver->live[FAKE_PHYSICAL], 0);
    assert_int_equal(fill(start, 1), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(VIRTUAL_FREE, virtual_free, .address = other, .bytes = 4 * GRAIN), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(VIRTUAL_FREE, virtual_free, .address = plain, .bytes = 100), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(SEND(VIRTUAL_FREE, virtual_free, .address = start, .bytes = 4 * GRAIN), 0);
    assert_int_equal(SEND(VIRTUAL_FREE, virtual_free, .address = start, .bytes = 4 * GRAIN), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(fake.driver->live[FAKE_RESERVATIONS], 1);
}

/* ---- The end --------------------------------------------------------------------------------- */

/* Two of everything, in two contexts; end() looks that nothing is left. */
static void
test_close_takes_all_down(void **state)
{
    (void)state;
    assert_int_equal(SEND(CTX_CREATE, ctx_create, .made = OTHER_CONTEXT, .device = 1), 0);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(SEND(CTX_SET_CURRENT, ctx_set_current, .now = CONTEXT + i), 0);
        allocate(100);
        assert_int_equal(SEND(MEM_ALLOC_PITCH, mem_alloc_pitch, .width = 100, .height = 7, .element = 4), 0);
        assert_int_equal(load_module(100 + i, PTX), 0);
        assert_int_equal(find_function(100 + i, 200 + i, "k5"), 0);
        assert_int_equal(SEND(STREAM_CREATE, stream_create, .made = 300 + i), 0);
        assert_int_equal(SEND(EVENT_CREATE, event_create, .made = 400 + i), 0);
        assert_int_equal(SEND(HOST_REGISTER, host_register, .memory = {i * ARENA_PAGE, ARENA_PAGE}), 0);
    }
    assert_int_equal(fake.driver->live[FAKE_ALLOCATIONS], 4);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(SEND(POOL_CREATE, pool_create, .made = 500 + i), 0);
        allocate_from(500 + i, 100);
        assert_int_equal(SEND(PHYSICAL_CREATE, physical_create, .made = 600 + i, .bytes = GRAIN), 0);
        assert_int_equal(map(600 + i, reserve(GRAIN), GRAIN), 0);
        chunk_of(GRAIN);
    }
    assert_int_equal(fake.driver->live[FAKE_MAPPINGS], 4);
}

static void
test_close_after_a_fault(void **state)
{
    CUdeviceptr address = allocate(100);

    (void)state;
    assert_int_equal(SEND(STREAM_CREATE, stream_create, .made = STREAM), 0);
    assert_int_equal(SEND(HOST_REGISTER, host_register, .memory = {0, ARENA_PAGE}), 0);
    fake.driver->fault = CUDA_ERROR_ILLEGAL_ADDRESS;
    assert_int_equal(deliver(0, CUDA_OPCODE_CTX_SYNCHRONIZE, "", 0), CUDA_ERROR_ILLEGAL_ADDRESS);
    assert_int_equal(SEND(MEM_FREE, mem_free, .address = address), CUDA_ERROR_ILLEGAL_ADDRESS);
    assert_int_equal(SEND(MEMSET_D8, memset_d8, .to = address, .count = 1), CUDA_ERROR_ILLEGAL_ADDRESS);
}

/* ---- Two lanes at once ----------------------------------------------------------------------- */

static _Atomic bool stop;

static void *
use_stream(void *argument)
{
    struct gpuvchan_request request = {
        .session = fake.session, .state = fake.state, .lane_state = fake.lanes[1], .lane = 1};
    struct cuda_ctx_set_current_request current[2] = {{.now = CONTEXT}}; /* a record is a multiple of 16 bytes */
    struct cuda_stream_query_request query[2] = {{.on = STREAM}};
    _Atomic unsigned *done = argument;

    request.payload = current;
    request.bytes = 16;
    if (cuda_dispatch.entries[CUDA_OPCODE_CTX_SET_CURRENT].execute(&request) != 0)
        abort(); /* cmocka's assertions are for its own thread */
    request.payload = query;
    while (!stop) {
        int result = cuda_dispatch.entries[CUDA_OPCODE_STREAM_QUERY].execute(&request);

        if (result != 0 && result != CUDA_ERROR_INVALID_HANDLE)
            abort();
        *done += result == 0;
    }
    return NULL;
}

/* The fake driver would end us if lane 1 handed it the stream that lane 0 has just destroyed. */
static void
test_destroy_while_in_use(void **state)
{
    _Atomic unsigned done = 0;
    pthread_t thread;

    (void)state;
    stop = false;
    pthread_create(&thread, NULL, use_stream, &done);
    for (unsigned i = 0; i < 2000; i++) {
        unsigned before = done;

        assert_int_equal(SEND(STREAM_CREATE, stream_create, .made = STREAM), 0);
        while (i % 10 == 0 && done == before)
            ; /* now it is using it */
        assert_int_equal(SEND(STREAM_DESTROY, stream_destroy, .gone = STREAM), 0);
    }
    stop = true;
    pthread_join(thread, NULL);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_current, end)
#define WARM_TEST(name) cmocka_unit_test_setup_teardown(name, begin_warm, end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_init_and_devices, begin, end),
        cmocka_unit_test_setup_teardown(test_no_context_is_an_error, begin, end),
        cmocka_unit_test_setup_teardown(test_no_warm_context_where_it_would_be_the_only_one, begin, end),
        WARM_TEST(test_warm_context_is_taken_over),
        WARM_TEST(test_warm_context_goes_for_flags),
        WARM_TEST(test_warm_context_goes_for_another_device),
        WARM_TEST(test_warm_context_goes_for_one_that_is_not_primary),
        WARM_TEST(test_warm_context_goes_with_a_guest_that_wants_none),
        TEST(test_primary_context_once),
        TEST(test_destroying_the_other_kind_of_context),
        TEST(test_creating_leaves_the_current_context),
        TEST(test_destroyed_context_takes_all_with_it),
        TEST(test_context_destroyed_under_another_lane),
        TEST(test_limits_and_configuration),
        TEST(test_module_layout_and_global),
        TEST(test_module_logs),
        TEST(test_module_options_without_pointers),
        TEST(test_images_that_reach_out_of_themselves),
        TEST(test_launch),
        TEST(test_library),
        TEST(test_function_is_no_kernel),
        TEST(test_library_module),
        TEST(test_cache_folder),
        TEST(test_nothing_is_kept),
        TEST(test_image_in_parts),
        TEST(test_linked_images_that_reach_out_of_themselves),
        TEST(test_launch_attributes),
        TEST(test_linking),
        TEST(test_hostile_addresses),
        TEST(test_lengths_that_overflow),
        TEST(test_boxes),
        TEST(test_arrays),
        TEST(test_textures),
        TEST(test_ipc),
        TEST(test_copies),
        TEST(test_small_copy_is_consumed),
        TEST(test_registering),
        TEST(test_arena_reference_outside),
        TEST(test_streams_and_events),
        TEST(test_special_streams_stay),
        TEST(test_handle_bound_twice_ends_the_session),
        TEST(test_mark),
        TEST(test_event_with_a_word),
        TEST(test_mark_that_the_driver_refuses),
        TEST(test_completion_page_survives_its_context),
        TEST(test_pools),
        TEST(test_chunks),
        TEST(test_virtual),
        TEST(test_close_takes_all_down),
        TEST(test_close_after_a_fault),
        TEST(test_destroy_while_in_use),
    };
    int failed;

    fake_session_begin(&fake);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    fake_session_end(&fake);
    return failed;
}
