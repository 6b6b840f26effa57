/* SPDX-License-Identifier: MIT */
/*
 * A libcuda.so.1 without a device that records its calls, for the host's plugin: driver=/PATH/libcuda.so.1. What
 * reaches the driver of a program's calls can so be compared with what did before.
 *
 * Design notes: most functions are generated (generate.py) and succeed. Here are those whose answers a program
 * depends on. Handles are numbers whose upper half is the kind, addresses are those of no memory: the device holds
 * nothing, and copies from it give zeros. Parameters of kernels are laid out as the image says, PTX or cubin, also
 * compressed ones in a fat binary; a kernel that is in none has none. RECORDER_LOG names the file.
 */
#include "recorder.h"

#include <elf.h>
#include <fcntl.h>
#include <lz4.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#define KINDS 32
#define HANDLE_BASE 0x5a00000000000000ull /* | kind << 32 | number */
#define MEMORY_BASE 0x100000000000ull
#define MEMORY_STRIDE (1ull << 34)
#define WINDOWS 8
#define KERNELS 4096
#define PARAMETERS 128
#define PARTS 65536
#define LINE_BYTES 8192

struct parameter {
    unsigned offset, bytes;
};

struct kernel {
    char name[512];
    uint64_t handle;
    unsigned count;
    struct parameter parameters[PARAMETERS];
};

/* PTX or a cubin, of a module or a library. */
struct part {
    uint64_t handle;
    unsigned char *bytes;
    size_t size;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_file = -1;
static char line[LINE_BYTES];
static size_t used;
static const char *kinds[KINDS];
static unsigned numbers[KINDS], allocations, parts_count, kernels_count;
static struct kernel kernels[KERNELS];
static struct part parts[PARTS];
static struct {
    CUdeviceptr start;
    size_t bytes;
} windows[WINDOWS]; /* of addresses that were wished for */
static _Thread_local CUcontext current;

/* ---- Lines ----------------------------------------------------------------------------------- */

static void __attribute__((format(printf, 1, 2))) add(const char *format, ...)
{
    va_list list;
    int bytes;

    va_start(list, format);
    bytes = vsnprintf(line + used, sizeof(line) - used, format, list);
    va_end(list);
    used += (size_t)bytes < sizeof(line) - used ? (size_t)bytes : sizeof(line) - used - 1;
}

/* The worker may have given up opening files when the first call comes. */
__attribute__((constructor)) static void
open_log(void)
{
    const char *path = getenv("RECORDER_LOG");

    if (path)
        log_file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

__attribute__((destructor)) static void
close_log(void)
{
    if (log_file >= 0 && write(log_file, "end\n", 4) < 0)
        abort();
}

void
recorder_begin(const char *function)
{
    pthread_mutex_lock(&lock);
    used = 0;
    add("%s", function);
}

CUresult
recorder_end(void)
{
    add("\n");
    if (log_file >= 0 && write(log_file, line, used) < 0)
        abort();
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}

void
recorder_number(long long value)
{
    add(" %lld", value);
}

void
recorder_text(const char *text)
{
    if (text)
        add(" \"%.200s\"", text);
    else
        add(" null");
}

void
recorder_handle(uint64_t handle)
{
    unsigned kind = (handle >> 32) & 0xffffff;

    if (handle >> 56 == HANDLE_BASE >> 56 && kind < KINDS && kinds[kind])
        add(" %s%u", kinds[kind], (unsigned)handle);
    else if (handle == 0)
        add(" null");
    else if (handle <= 2)
        add(handle == 1 ? " legacy" : " per-thread");
    else
        add(" a pointer");
}

static bool
is_allocated(CUdeviceptr address)
{
    return address >= MEMORY_BASE && address < MEMORY_BASE + (allocations + 1) * MEMORY_STRIDE;
}

/* The number of the window that holds it, or WINDOWS. */
static unsigned
window_of(CUdeviceptr address)
{
    unsigned i = 0;

    while (i < WINDOWS && address - windows[i].start >= windows[i].bytes)
        i++;
    return i;
}

void
recorder_address(CUdeviceptr address)
{
    unsigned window = window_of(address);

    if (is_allocated(address))
        add(" m%llu+%llu", (address - MEMORY_BASE) / MEMORY_STRIDE, (address - MEMORY_BASE) % MEMORY_STRIDE);
    else if (window < WINDOWS)
        add(" w%u+%llu", window + 1, address - windows[window].start);
    else
        add(address ? " host" : " null");
}

void
recorder_made(uint64_t handle)
{
    add(" ->");
    if (handle >> 56 == HANDLE_BASE >> 56)
        recorder_handle(handle);
    else
        recorder_address(handle);
}

uint64_t
recorder_make(const char *kind)
{
    for (unsigned i = 0; i < KINDS; i++) {
        if (!kinds[i])
            kinds[i] = kind;
        if (strcmp(kinds[i], kind) == 0)
            return HANDLE_BASE | (uint64_t)i << 32 | ++numbers[i];
    }
    abort();
}

CUdeviceptr
recorder_allocate(void)
{
    return MEMORY_BASE + ++allocations * MEMORY_STRIDE;
}

/* ---- Images ---------------------------------------------------------------------------------- */

/* Bytes of the last PTX type between two places; 0: there is none. */
static unsigned
type_bytes(const char *from, const char *to)
{
    static const char *const types[] = {".b8", ".b16", ".b32", ".b64", ".u8",  ".u16", ".u32", ".u64",
                                        ".s8", ".s16", ".s32", ".s64", ".f16", ".f32", ".f64"};
    static const unsigned sizes[] = {1, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8};
    const char *found;
    unsigned size = 0;

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        if ((found = strstr(from, types[i])) && found < to && strchr(" \t", found[strlen(types[i])]))
            size = sizes[i];
    return size;
}

/* Of PTX: ".param .u64 name", ".param .align 8 .b8 name[16]", between the parentheses behind the entry's name. */
static void
lay_out_ptx(struct kernel *kernel, const char *text)
{
    size_t length = strlen(kernel->name);
    unsigned offset = 0;
    const char *at = text, *end;

    do {
        at = strstr(at, ".entry");
        if (!at)
            return;
        at += strlen(".entry");
        at += strspn(at, " \t\r\n");
    } while (strncmp(at, kernel->name, length) != 0 || !strchr(" (\t\r\n", at[length]));
    at += length;
    at += strspn(at, " \t\r\n");
    end = *at == '(' ? strchr(at, ')') : at;
    while (end && (at = strstr(at, ".param")) && at < end && kernel->count < PARAMETERS) {
        unsigned align = 0, size = 0, elements = 1;
        const char *stop = at + strcspn(at, ",)"), *found, *bracket = memchr(at, '[', (size_t)(stop - at));

        if ((found = strstr(at, ".align")) && found < stop)
            align = (unsigned)atoi(found + strlen(".align"));
        size = type_bytes(at, stop);
        if (bracket)
            elements = (unsigned)atoi(bracket + 1);
        align = align > size ? align : size;
        offset = align ? (offset + align - 1) / align * align : offset;
        kernel->parameters[kernel->count++] = (struct parameter){offset, size * elements};
        offset += size * elements;
        at = stop;
    }
}

/* Of a cubin: the records of .nv.info.NAME that describe a parameter each, the last one first. */
static void
lay_out_records(struct kernel *kernel, const unsigned char *bytes, size_t size)
{
    for (size_t at = 0; at + 4 <= size;) {
        unsigned format = bytes[at], what = bytes[at + 1], length = bytes[at + 2] | bytes[at + 3] << 8;
        uint16_t ordinal, offset;
        uint32_t how;

        at += 4;
        if (format != 4)
            continue;
        if (what == 0x17 && length >= 12 && at + 12 <= size) {
            memcpy(&ordinal, bytes + at + 4, 2);
            memcpy(&offset, bytes + at + 6, 2);
            memcpy(&how, bytes + at + 8, 4);
            if (ordinal < PARAMETERS) {
                kernel->parameters[ordinal] = (struct parameter){offset, how >> 18};
                kernel->count = ordinal + 1u > kernel->count ? ordinal + 1u : kernel->count;
            }
        }
        at += length;
    }
}

/* The section @p wanted of a cubin, or of @p type if that is not 0. */
static bool
find_section(const struct part *part, const char *wanted, unsigned type, Elf64_Shdr *section)
{
    const unsigned char *bytes = part->bytes;
    size_t size = part->size;
    Elf64_Ehdr head;
    Elf64_Shdr names;

    if (size < sizeof(head) || memcmp(bytes, ELFMAG, SELFMAG) != 0)
        return false;
    memcpy(&head, bytes, sizeof(head));
    if (head.e_shoff + (uint64_t)head.e_shnum * sizeof(names) > size || head.e_shstrndx >= head.e_shnum)
        return false;
    memcpy(&names, bytes + head.e_shoff + head.e_shstrndx * sizeof(names), sizeof(names));
    for (unsigned i = 0; i < head.e_shnum; i++) {
        memcpy(section, bytes + head.e_shoff + i * sizeof(*section), sizeof(*section));
        if (section->sh_offset + section->sh_size > size || names.sh_offset + section->sh_name >= size)
            continue;
        if (type ? section->sh_type == type
                 : strncmp((const char *)bytes + names.sh_offset + section->sh_name, wanted,
                           size - names.sh_offset - section->sh_name) == 0)
            return true;
    }
    return false;
}

static void
lay_out(struct kernel *kernel, const struct part *part)
{
    Elf64_Shdr section;
    char wanted[600];

    if (memcmp(part->bytes, ELFMAG, SELFMAG) != 0) {
        lay_out_ptx(kernel, (const char *)part->bytes);
        return;
    }
    snprintf(wanted, sizeof(wanted), ".nv.info.%s", kernel->name);
    if (find_section(part, wanted, 0, &section))
        lay_out_records(kernel, part->bytes + section.sh_offset, section.sh_size);
}

/* Of PTX: ".global .align 8 .b8 name[24];". */
static size_t
ptx_variable_bytes(const char *text, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = text; (at = strstr(at, name)); at += length) {
        const char *begin = at;

        while (begin > text && !strchr(";{}(,", begin[-1]))
            begin--;
        if (at > text && strchr(" \t", at[-1]) && strchr("[; =", at[length]) && type_bytes(begin, at) != 0)
            return type_bytes(begin, at) * (at[length] == '[' ? strtoul(at + length + 1, NULL, 10) : 1);
    }
    return 0;
}

/* How many bytes a variable has; 0: there is none of that name. */
static size_t
variable_bytes(const struct part *part, const char *name)
{
    Elf64_Shdr symbols, texts;
    Elf64_Sym symbol;

    if (memcmp(part->bytes, ELFMAG, SELFMAG) != 0)
        return ptx_variable_bytes((const char *)part->bytes, name);
    if (!find_section(part, NULL, SHT_SYMTAB, &symbols) || !find_section(part, ".strtab", 0, &texts))
        return 0;
    for (size_t at = 0; at + sizeof(symbol) <= symbols.sh_size; at += sizeof(symbol)) {
        memcpy(&symbol, part->bytes + symbols.sh_offset + at, sizeof(symbol));
        if (symbol.st_name < texts.sh_size &&
            strcmp((const char *)part->bytes + texts.sh_offset + symbol.st_name, name) == 0)
            return symbol.st_size;
    }
    return 0;
}

/* Always with a NUL behind it. */
static void
add_part(uint64_t handle, const void *bytes, size_t size)
{
    struct part *part = &parts[parts_count++];

    if (parts_count == PARTS || !(part->bytes = malloc(size + 1)))
        abort();
    part->handle = handle;
    part->size = size;
    memcpy(part->bytes, bytes, size);
    part->bytes[size] = '\0';
}

static void
add_compressed(uint64_t handle, uint64_t flags, const char *bytes, size_t size, size_t whole)
{
    char *text = malloc(whole + 1);
    size_t got = 0;

    if (!text)
        abort();
    if (flags & 0x8000)
        got = ZSTD_decompress(text, whole, bytes, size);
    else if (LZ4_decompress_safe(bytes, text, (int)size, (int)whole) == (int)whole)
        got = whole;
    if (got == whole)
        add_part(handle, text, whole);
    free(text);
}

/* Each entry: kind at 0, its head's bytes at 4, its own at 8, compressed ones at 16, flags at 40, all at 56. */
static void
add_fatbin(uint64_t handle, const unsigned char *bytes, size_t size)
{
    uint16_t head_bytes;
    uint32_t entry_bytes, compressed;
    uint64_t payload, flags, whole;

    memcpy(&head_bytes, bytes + 6, 2);
    for (size_t at = head_bytes; at + 64 <= size; at += entry_bytes + payload) {
        memcpy(&entry_bytes, bytes + at + 4, 4);
        memcpy(&payload, bytes + at + 8, 8);
        memcpy(&compressed, bytes + at + 16, 4);
        memcpy(&flags, bytes + at + 40, 8);
        memcpy(&whole, bytes + at + 56, 8);
        if (entry_bytes < 64 || payload > size - at - entry_bytes || compressed > payload)
            return;
        if (flags & 0xa000)
            add_compressed(handle, flags, (const char *)bytes + at + entry_bytes, compressed, whole);
        else
            add_part(handle, bytes + at + entry_bytes, payload);
    }
}

static size_t
image_bytes(const unsigned char *image)
{
    uint64_t body;
    uint16_t head;
    Elf64_Ehdr elf;

    if (memcmp(image, ELFMAG, SELFMAG) == 0) {
        memcpy(&elf, image, sizeof(elf));
        return elf.e_shoff + (size_t)elf.e_shnum * elf.e_shentsize;
    }
    if (image[0] == 0x50 && image[1] == 0xed) {
        memcpy(&head, image + 6, 2);
        memcpy(&body, image + 8, 8);
        return head + body;
    }
    return strlen((const char *)image) + 1;
}

/* Bytes of an image as a number that tells images apart: FNV-1a. */
static uint32_t
fingerprint(const unsigned char *bytes, size_t count)
{
    uint32_t value = 2166136261u;

    for (size_t i = 0; i < count; i++)
        value = (value ^ bytes[i]) * 16777619u;
    return value;
}

/* With the lock. */
static uint64_t
load(const unsigned char *image, const char *kind)
{
    uint64_t handle = recorder_make(kind);
    size_t size = image_bytes(image);

    if (image[0] == 0x50 && image[1] == 0xed)
        add_fatbin(handle, image, size);
    else
        add_part(handle, image, size);
    add(" %zu bytes %08x", size, fingerprint(image, size));
    recorder_made(handle);
    return handle;
}

static uint64_t
find_kernel(uint64_t from, const char *name, const char *kind)
{
    struct kernel *kernel;

    if (kernels_count == KERNELS || strlen(name) >= sizeof(kernel->name))
        abort();
    recorder_handle(from);
    recorder_text(name);
    kernel = &kernels[kernels_count++];
    strcpy(kernel->name, name);
    kernel->handle = recorder_make(kind);
    for (unsigned i = 0; i < parts_count && kernel->count == 0; i++)
        if (parts[i].handle == from)
            lay_out(kernel, &parts[i]);
    add(" of %u parameters", kernel->count);
    recorder_made(kernel->handle);
    return kernel->handle;
}

static const struct kernel *
kernel_of(uint64_t handle)
{
    for (unsigned i = 0; i < kernels_count; i++)
        if (kernels[i].handle == handle)
            return &kernels[i];
    return NULL;
}

RECORDER_EXPORT CUresult
cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int count, CUjit_option *options, void **values)
{
    (void)options;
    (void)values;
    recorder_begin(__func__);
    *module = (CUmodule)load(image, "module");
    recorder_number(count);
    return recorder_end();
}

RECORDER_EXPORT CUresult
cuLibraryLoadData(CUlibrary *library, const void *image, CUjit_option *options, void **values, unsigned int count,
                  CUlibraryOption *how, void **how_values, unsigned int how_count)
{
    (void)options;
    (void)values;
    (void)count;
    (void)how;
    (void)how_values;
    recorder_begin(__func__);
    *library = (CUlibrary)load(image, "library");
    recorder_number(how_count);
    return recorder_end();
}

RECORDER_EXPORT CUresult
cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
    recorder_begin(__func__);
    *function = (CUfunction)find_kernel((uint64_t)module, name, "function");
    return recorder_end();
}

RECORDER_EXPORT CUresult
cuLibraryGetKernel(CUkernel *kernel, CUlibrary library, const char *name)
{
    recorder_begin(__func__);
    *kernel = (CUkernel)find_kernel((uint64_t)library, name, "kernel");
    return recorder_end();
}

/* What the library has, its module has. */
RECORDER_EXPORT CUresult
cuLibraryGetModule(CUmodule *module, CUlibrary library)
{
    recorder_begin(__func__);
    recorder_handle((uint64_t)library);
    *module = (CUmodule)recorder_make("module");
    for (unsigned i = 0, count = parts_count; i < count; i++)
        if (parts[i].handle == (uint64_t)library)
            add_part((uint64_t)*module, parts[i].bytes, parts[i].size);
    recorder_made((uint64_t)*module);
    return recorder_end();
}

static CUresult
find_variable(const char *function, CUdeviceptr *address, size_t *bytes, uint64_t from, const char *name)
{
    recorder_begin(function);
    recorder_handle(from);
    recorder_text(name);
    *bytes = 0;
    for (unsigned i = 0; i < parts_count && *bytes == 0; i++)
        if (parts[i].handle == from)
            *bytes = variable_bytes(&parts[i], name);
    if (*bytes == 0) {
        add(" is not there");
        recorder_end();
        return CUDA_ERROR_NOT_FOUND;
    }
    *address = recorder_allocate();
    recorder_number((long long)*bytes);
    recorder_made(*address);
    return recorder_end();
}

RECORDER_EXPORT CUresult
cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes, CUmodule module, const char *name)
{
    return find_variable(__func__, address, bytes, (uint64_t)module, name);
}

RECORDER_EXPORT CUresult
cuLibraryGetGlobal(CUdeviceptr *address, size_t *bytes, CUlibrary library, const char *name)
{
    return find_variable(__func__, address, bytes, (uint64_t)library, name);
}

static CUresult
parameter_of(uint64_t handle, size_t index, size_t *offset, size_t *bytes)
{
    const struct kernel *kernel;
    CUresult result = CUDA_ERROR_INVALID_VALUE;

    pthread_mutex_lock(&lock);
    kernel = kernel_of(handle);
    if (kernel && index < kernel->count) {
        *offset = kernel->parameters[index].offset;
        if (bytes)
            *bytes = kernel->parameters[index].bytes;
        result = CUDA_SUCCESS;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

RECORDER_EXPORT CUresult
cuFuncGetParamInfo(CUfunction function, size_t index, size_t *offset, size_t *bytes)
{
    return parameter_of((uint64_t)function, index, offset, bytes);
}

RECORDER_EXPORT CUresult
cuKernelGetParamInfo(CUkernel kernel, size_t index, size_t *offset, size_t *bytes)
{
    return parameter_of((uint64_t)kernel, index, offset, bytes);
}

static int
attribute_of_function(CUfunction_attribute attribute)
{
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
        return 1024;
    case CU_FUNC_ATTRIBUTE_NUM_REGS:
        return 32;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
        return 90;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        return 49152;
    default:
        return 0;
    }
}

RECORDER_EXPORT CUresult
cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function)
{
    (void)function;
    *value = attribute_of_function(attribute);
    return attribute < CU_FUNC_ATTRIBUTE_MAX ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

RECORDER_EXPORT CUresult
cuKernelGetAttribute(int *value, CUfunction_attribute attribute, CUkernel kernel, CUdevice device)
{
    (void)kernel;
    (void)device;
    *value = attribute_of_function(attribute);
    return attribute < CU_FUNC_ATTRIBUTE_MAX ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* ---- Launches -------------------------------------------------------------------------------- */

/* Eight bytes that are an address are shown as one. */
static void
add_parameter(const unsigned char *bytes, unsigned count)
{
    uint64_t address = 0;

    if (count == 8) {
        memcpy(&address, bytes, 8);
        if (is_allocated(address) || window_of(address) < WINDOWS) {
            recorder_address(address);
            return;
        }
    }
    add(" ");
    for (unsigned i = 0; i < count; i++)
        add("%02x", bytes[i]);
}

static void
add_parameters(uint64_t function, void **parameters, void **extra)
{
    const struct kernel *kernel = kernel_of(function);
    const unsigned char *buffer = NULL;

    for (; extra && extra[0]; extra += 2)
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            buffer = extra[1];
    add(" (");
    for (unsigned i = 0; kernel && i < kernel->count; i++)
        if (buffer)
            add_parameter(buffer + kernel->parameters[i].offset, kernel->parameters[i].bytes);
        else if (parameters)
            add_parameter(parameters[i], kernel->parameters[i].bytes);
    add(" )");
}

static CUresult
launch(const char *function, uint64_t kernel, const unsigned shape[7], CUstream stream, void **parameters, void **extra)
{
    recorder_begin(function);
    recorder_handle(kernel);
    for (unsigned i = 0; i < 7; i++)
        add(" %u", shape[i]);
    recorder_handle((uint64_t)stream);
    add_parameters(kernel, parameters, extra);
    return recorder_end();
}

RECORDER_EXPORT CUresult
cuLaunchKernel(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx, unsigned int by,
               unsigned int bz, unsigned int shared, CUstream stream, void **parameters, void **extra)
{
    return launch(__func__, (uint64_t)function, (unsigned[]){gx, gy, gz, bx, by, bz, shared}, stream, parameters,
                  extra);
}

RECORDER_EXPORT CUresult
cuLaunchCooperativeKernel(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx,
                          unsigned int by, unsigned int bz, unsigned int shared, CUstream stream, void **parameters)
{
    return launch(__func__, (uint64_t)function, (unsigned[]){gx, gy, gz, bx, by, bz, shared}, stream, parameters, NULL);
}

RECORDER_EXPORT CUresult
cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **parameters, void **extra)
{
    const CUlaunchConfig *c = config;

    recorder_begin(__func__);
    recorder_handle((uint64_t)function);
    add(" %u %u %u %u %u %u %u", c->gridDimX, c->gridDimY, c->gridDimZ, c->blockDimX, c->blockDimY, c->blockDimZ,
        c->sharedMemBytes);
    recorder_handle((uint64_t)c->hStream);
    for (unsigned i = 0; i < c->numAttrs; i++)
        add(" attribute %d", (int)c->attrs[i].id);
    add_parameters((uint64_t)function, parameters, extra);
    return recorder_end();
}

RECORDER_EXPORT CUresult
cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction function, int block_size, size_t dynamic,
                                                     unsigned int flags)
{
    recorder_begin(__func__);
    recorder_handle((uint64_t)function);
    add(" %d %zu %u", block_size, dynamic, flags);
    *blocks = block_size > 0 && block_size <= 1024 ? 2048 / block_size : 0;
    return recorder_end();
}

RECORDER_EXPORT CUresult
cuOccupancyMaxActiveClusters(int *clusters, CUfunction function, const CUlaunchConfig *config)
{
    recorder_begin(__func__);
    recorder_handle((uint64_t)function);
    add(" %u %u", config->blockDimX, config->sharedMemBytes);
    *clusters = 66;
    return recorder_end();
}

/* ---- The device ------------------------------------------------------------------------------ */

static const struct {
    int attribute, value;
} attributes[] = {
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 2147483647},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 49152},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 232448},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, 233472},
    {CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK, 1024},
    {CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY, 65536},
    {CU_DEVICE_ATTRIBUTE_WARP_SIZE, 32},
    {CU_DEVICE_ATTRIBUTE_MAX_PITCH, 2147483647},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, 65536},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, 65536},
    {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1980000},
    {CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 512},
    {CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT, 32},
    {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 132},
    {CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS, 1},
    {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 3},
    {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
    {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 62914560},
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, 2048},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, 32},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 9},
    {CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS, 1},
    {CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED, 1},
};

RECORDER_EXPORT CUresult
cuInit(unsigned int flags)
{
    return flags ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

RECORDER_EXPORT CUresult
cuDriverGetVersion(int *version)
{
    *version = 13000;
    return CUDA_SUCCESS;
}

RECORDER_EXPORT CUresult
cuGetErrorName(CUresult error, const char **name)
{
    *name = error == CUDA_SUCCESS ? "CUDA_SUCCESS" : "CUDA_ERROR";
    return CUDA_SUCCESS;
}

RECORDER_EXPORT CUresult
cuDeviceGet(CUdevice *device, int ordinal)
{
    *device = ordinal;
    return ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

RECORDER_EXPORT CUresult
cuDeviceGetCount(int *count)
{
    *count = 1;
    return CUDA_SUCCESS;
}

RECORDER_EXPORT CUresult
cuDeviceGetName(char *name, int bytes, CUdevice device)
{
    (void)device;
    snprintf(name, (size_t)bytes, "recording device");
    return CUDA_SUCCESS;
}

RECORDER_EXPORT CUresult
cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
    memset(uuid, 0x47 + device, sizeof(*uuid));
    return CUDA_SUCCESS;
}

RECORDER_EXPORT CUresult
cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
    (void)device;
    *bytes = 140ull << 30;
    return CUDA_SUCCESS;
}

RECORDER_EXPORT CUresult
cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    (void)device;
    *value = 0;
    for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++)
        if (attributes[i].attribute == (int)attribute)
            *value = attributes[i].value;
    return attribute < CU_DEVICE_ATTRIBUTE_MAX ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

RECORDER_EXPORT CUresult
cuMemGetInfo_v2(size_t *available, size_t *total)
{
    recorder_begin(__func__);
    *available = 139ull << 30;
    *total = 140ull << 30;
    return recorder_end();
}

RECORDER_EXPORT CUresult
cuCtxSetCurrent(CUcontext context)
{
    current = context;
    recorder_begin(__func__);
    recorder_handle((uint64_t)context);
    return recorder_end();
}

RECORDER_EXPORT CUresult
cuCtxGetCurrent(CUcontext *context)
{
    *context = current;
    return CUDA_SUCCESS;
}

RECORDER_EXPORT CUresult
cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
    recorder_begin(__func__);
    *least = 0;
    *greatest = -5;
    return recorder_end();
}

/* ---- Memory ---------------------------------------------------------------------------------- */

RECORDER_EXPORT CUresult
cuMemHostGetDevicePointer_v2(CUdeviceptr *address, void *pointer, unsigned int flags)
{
    recorder_begin(__func__);
    recorder_number(flags);
    *address = (uintptr_t)pointer;
    return recorder_end();
}

RECORDER_EXPORT CUresult
cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height, unsigned int element)
{
    recorder_begin(__func__);
    add(" %zu %zu %u", width, height, element);
    *address = recorder_allocate();
    *pitch = (width + 511) & ~(size_t)511;
    recorder_made(*address);
    return recorder_end();
}

RECORDER_EXPORT CUresult
cuMemAddressReserve(CUdeviceptr *address, size_t bytes, size_t alignment, CUdeviceptr wanted, unsigned long long flags)
{
    recorder_begin(__func__);
    add(" %zu %zu %llu", bytes, alignment, flags);
    *address = wanted ? wanted : recorder_allocate();
    for (unsigned i = 0; wanted && i < WINDOWS; i++)
        if (windows[i].bytes == 0) {
            windows[i].start = wanted;
            windows[i].bytes = bytes;
            break;
        }
    recorder_made(*address);
    return recorder_end();
}

RECORDER_EXPORT CUresult
cuMemGetAllocationGranularity(size_t *bytes, const CUmemAllocationProp *properties,
                              CUmemAllocationGranularity_flags which)
{
    (void)properties;
    (void)which;
    *bytes = 2u << 20;
    return CUDA_SUCCESS;
}

static CUresult
copy_out(const char *function, void *to, CUdeviceptr from, size_t bytes, CUstream stream, bool on_stream)
{
    memset(to, 0, bytes);
    recorder_begin(function);
    recorder_address(from);
    add(" %zu", bytes);
    if (on_stream)
        recorder_handle((uint64_t)stream);
    return recorder_end();
}

RECORDER_EXPORT CUresult
cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes)
{
    return copy_out(__func__, to, from, bytes, NULL, false);
}

RECORDER_EXPORT CUresult
cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    return copy_out(__func__, to, from, bytes, stream, true);
}

/* Who waits for a word of its own memory is not to wait for ever. */
RECORDER_EXPORT CUresult
cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags)
{
    recorder_begin("cuStreamWriteValue64_v2");
    recorder_handle((uint64_t)stream);
    recorder_address(address);
    recorder_number(flags);
    recorder_end();
    if (!is_allocated(address) && window_of(address) == WINDOWS)
        __atomic_store_n((uint64_t *)(uintptr_t)address, value, __ATOMIC_RELEASE);
    return CUDA_SUCCESS;
}

RECORDER_EXPORT CUresult
cuStreamWriteValue64(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags)
{
    return cuStreamWriteValue64_v2(stream, address, value, flags);
}

/* How often these are asked depends on time: the guest looks at a word first. */
RECORDER_EXPORT CUresult
cuStreamQuery(CUstream stream)
{
    (void)stream;
    return CUDA_SUCCESS;
}

RECORDER_EXPORT CUresult
cuStreamSynchronize(CUstream stream)
{
    (void)stream;
    return CUDA_SUCCESS;
}

RECORDER_EXPORT CUresult
cuEventQuery(CUevent event)
{
    (void)event;
    return CUDA_SUCCESS;
}
