/* SPDX-License-Identifier: MIT */
/*
 * Records of every kind and content through the CUDA plugin, over the fake driver, which ends the process when
 * it is handed a handle or an address that the guest does not own, or when something is left at the end.
 *
 * An input is a list of records: entry (2 bytes, little endian), lane (1), payload bytes (2), payload. The entry is
 * named by a hash of its name, so that seeds mean the same when opcodes change; a number that no name has is one modulo
 * the opcodes. So that inputs get far, a guest process begins with objects of the first kinds, and eight aligned bytes of
 * payload whose upper half is 0xa110c000 + i stand for the address of its memory number i plus the lower half. Entry
 * 0xffff breaks the contexts, as a fault of a kernel does; 0xfffe makes the next call of a function fail.
 *
 * seeds: tests/fuzz/corpus/cuda OUT/seeds/cuda
 * prepare: tests/fuzz/seeds.py libgpuvchan/protocol/cuda/cuda.gpv OUT/seeds/cuda &&
 * prepare: mkdir -p OUT/fake &&
 * prepare: cc -D_GNU_SOURCE -shared -fPIC -g -Ilibgpuvchan/protocol/cuda -Itests/fake tests/fake/libcuda.c
 * prepare: -o OUT/fake/libcuda.so.1
 * build: ALL:host/cuda GEN/cuda-host.c ALL:libgpuvchan -Ihost/cuda -Ilibgpuvchan/protocol/cuda -Itests/fake
 * build: -l:libnettle.a -llz4 -lzstd -lpthread
 */
#include "cuda_session.h"

#define RECORDS_MAX 64
#define ADDRESS_TOKEN 0xa110c000u
#define ENTRY_FAULT 0xffffu
#define ENTRY_FAIL 0xfffeu
#define NAMES 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct fake_session fake;
static uint64_t addresses[4];
static uint16_t opcodes[NAMES]; /* by the hash of an entry's name */

static void
silent(enum gpuvchan_log_level level, const char *text)
{
    (void)level;
    (void)text;
}

static int
execute(uint16_t opcode, const void *payload, size_t bytes)
{
    memcpy(fake.record, payload, bytes);
    return fake_execute(&fake, 0, opcode, (uint32_t)bytes);
}

#define EXECUTE(OPCODE, name, ...) \
    execute(CUDA_OPCODE_##OPCODE, &(struct cuda_##name##_request){__VA_ARGS__}, sizeof(struct cuda_##name##_request))

static int
execute_named(uint16_t opcode, const void *fixed, size_t bytes, const char *name)
{
    memcpy(fake.record, fixed, bytes);
    memcpy(fake.record + bytes, name, strlen(name) + 1);
    return fake_execute(&fake, 0, opcode, (uint32_t)(bytes + strlen(name) + 1));
}

/*
 * Handles 16 to 21: context, module, function of three parameters, stream, event, and another context; 22 to 25: a
 * library, a kernel of it with as many, the module that it has, and a link; 26 to 28: an array, a mipmapped one, a level.
 */
static int
furnish(void)
{
    struct cuda_module_function_request function = {.made = 18, .from = 17, .name_length = 2, .offsets_room = 8};
    struct cuda_module_global_request global = {.from = 17, .name_length = 1};
    struct cuda_library_kernel_request kernel = {.made = 23, .from = 22, .name_length = 2};
    uint64_t arena_bytes;
    char *arena = gpuvchan_session_arena(fake.session, &arena_bytes);
    int failed = 0;

    strcpy(arena, ".version 7.0\n");
    failed |= EXECUTE(PRIMARY_RETAIN, primary_retain, .made = 16);
    failed |= EXECUTE(CTX_CREATE, ctx_create, .made = 21, .device = 1);
    failed |= EXECUTE(CTX_SET_CURRENT, ctx_set_current, .now = 16);
    failed |= EXECUTE(MODULE_LOAD, module_load, .made = 17, .image = {0, strlen(arena)});
    failed |= execute_named(CUDA_OPCODE_MODULE_FUNCTION, &function, sizeof(function), "k3");
    failed |= execute_named(CUDA_OPCODE_MODULE_GLOBAL, &global, sizeof(global), "g");
    addresses[3] = ((struct cuda_module_global_reply *)(void *)fake.reply)->address;
    failed |= EXECUTE(LIBRARY_LOAD, library_load, .made = 22, .image = {0, strlen(arena)});
    failed |= execute_named(CUDA_OPCODE_LIBRARY_KERNEL, &kernel, sizeof(kernel), "k3");
    failed |= EXECUTE(KERNEL_INFO, kernel_info, .kernel = 23);
    failed |= EXECUTE(LIBRARY_MODULE, library_module, .made = 24, .from = 22);
    failed |= EXECUTE(LINK_CREATE, link_create, .made = 25, .log_bytes = 100);
    failed |= EXECUTE(STREAM_CREATE, stream_create, .made = 19);
    failed |= EXECUTE(ARRAY_CREATE, array_create, .made = 26, .description = {.Width = 64, .NumChannels = 1});
    failed |= EXECUTE(MIPMAP_CREATE, mipmap_create, .made = 27, .description = {.Width = 64, .NumChannels = 1});
    failed |= EXECUTE(MIPMAP_LEVEL, mipmap_level, .made = 28, .from = 27);
    failed |= EXECUTE(EVENT_CREATE, event_create, .made = 20);
    for (unsigned i = 0; i < 2; i++) {
        failed |= EXECUTE(MEM_ALLOC, mem_alloc, .bytes = 4096 << (4 * i));
        addresses[i] = ((struct cuda_mem_alloc_reply *)(void *)fake.reply)->address;
    }
    failed |= EXECUTE(HOST_REGISTER, host_register, .memory = {65536, 65536});
    addresses[2] = ((struct cuda_host_register_reply *)(void *)fake.reply)->address;
    return failed;
}

static void
put_addresses(unsigned char *payload, size_t bytes)
{
    for (size_t at = 0; at + 8 <= bytes; at += 8) {
        uint64_t word;

        memcpy(&word, payload + at, sizeof(word));
        if (word >> 32 < ADDRESS_TOKEN || word >> 32 >= ADDRESS_TOKEN + 4)
            continue;
        word = addresses[(word >> 32) - ADDRESS_TOKEN] + (uint64_t)(int64_t)(int32_t)word;
        memcpy(payload + at, &word, sizeof(word));
    }
}

/* What waits for the driver to call it is never called here, nor freed: the fake driver runs nothing. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* As seeds.py has it: the lower half of FNV-1a. */
static uint16_t
hash(const char *name)
{
    uint32_t value = 0x811c9dc5;

    for (; *name; name++)
        value = (value ^ (unsigned char)*name) * 0x01000193;
    return (uint16_t)value;
}

static void
number_entries(void)
{
    for (uint32_t i = 0; i < NAMES; i++)
        opcodes[i] = (uint16_t)(i % cuda_dispatch.protocol.entries);
    for (uint32_t i = 0; i < cuda_dispatch.protocol.entries; i++)
        if (cuda_dispatch.entries[i].name)
            opcodes[hash(cuda_dispatch.entries[i].name)] = (uint16_t)i;
    for (uint32_t i = 0; i < NAMES; i++)
        if (opcodes[i] == CUDA_OPCODE_OUTPUT_BEGIN) /* it would take what sanitizers say */
            opcodes[i] = CUDA_OPCODE_OUTPUT_FETCH;
}

static void
begin_once(void)
{
    if (fake.session)
        return;
    number_entries();
    gpuvchan_log_set(silent, GPUVCHAN_LOG_ERROR);
    fake_session_begin(&fake);
}

static void
fail_next(uint8_t which)
{
    static const char *const functions[] = {
        "cuMemAlloc_v2",       "cuMemFree_v2",         "cuStreamDestroy_v2", "cuModuleUnload",
        "cuMemHostUnregister", "cuMemHostRegister_v2", "cuEventDestroy_v2",  "cuStreamWriteValue64_v2",
        "cuModuleGetFunction", "cuCtxSynchronize"};

    fake.driver->fail = functions[which % (sizeof(functions) / sizeof(functions[0]))];
    fake.driver->fail_result = which & 0x80 ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_UNKNOWN;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    begin_once();
    if (fake_open(&fake) != 0 || furnish() != 0)
        abort();
    for (int i = 0; i < RECORDS_MAX && bytes >= 5 && atomic_load(&fake.session->fault) == 0; i++) {
        unsigned entry = data[0] | (unsigned)data[1] << 8;
        uint32_t lane = data[2] % FAKE_LANES;
        size_t payload = data[3] | (size_t)data[4] << 8;

        data += 5;
        bytes -= 5;
        payload = payload < bytes ? payload : bytes;
        memset(fake.record, 0, (payload + 15) & ~(size_t)15);
        memcpy(fake.record, data, payload);
        put_addresses(fake.record, payload);
        if (entry == ENTRY_FAULT)
            fake.driver->fault = CUDA_ERROR_LAUNCH_FAILED;
        else if (entry == ENTRY_FAIL)
            fail_next(payload ? data[0] : 0);
        else if (opcodes[entry] != CUDA_OPCODE_HOST_FUNCTION_NEXT) /* which waits for the driver to call something */
            fake_execute(&fake, lane, opcodes[entry], (uint32_t)payload);
        data += payload;
        bytes -= payload;
    }
    fake.driver->fail = NULL; /* what fails at the end is another matter */
    fake_close(&fake);
    fake.driver_reset();
    return 0;
}
