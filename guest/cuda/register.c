/* SPDX-License-Identifier: MIT */
/*
 * Registered memory: ordinary memory of the program that the device is to reach.
 *
 * Design notes: the host cannot see a program's own pages, but it sees the arena's. So the pages of a registered
 * range become pages of the arena: their contents are copied there, and the arena's are mapped over them. The
 * pointer stays, and the contents come back when the range is unregistered. The device knows the memory
 * by the arena's address, which is not the pointer: programs ask for it, as
 * CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM says.
 *
 * Whole pages change places, with what else is in the first and the last one. What another thread writes into a
 * page between its copy and its change is lost; programs register memory before they use it. Only private memory can be
 * replaced so, and no stack; pages that another registration has replaced already cannot be replaced again.
 *
 * A child of fork() must not share these pages with its parent: it gets copies.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "guest.h"

#define PAGE 4096u
#define REGISTER_FLAGS                                                                          \
    (CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_IOMEMORY | \
     CU_MEMHOSTREGISTER_READ_ONLY)

/** Pages that are the arena's. */
struct registration {
    struct registration *next;
    unsigned char *start;
    size_t bytes;
    struct gpuvchan_buffer *buffer;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct registration *registrations;

/* ---- Pages ----------------------------------------------------------------------------------- */

/* Something for some of a registration's pages, from @p offset on. */
typedef bool pages_func(struct registration *one, size_t offset, size_t bytes);

/*
 * The first and the last page may hold what belongs to others, who may be writing to it: each by itself, so that
 * there is next to no time between its copy and its change.
 */
static bool
piecewise(struct registration *one, pages_func *change)
{
    if (one->bytes > 2 * PAGE && !change(one, PAGE, one->bytes - 2 * PAGE))
        return false;
    return change(one, 0, PAGE) && (one->bytes == PAGE || change(one, one->bytes - PAGE, PAGE));
}

/* Whole pages, with what nobody may read who minds bounds: by no function that a sanitizer watches. */
__attribute__((no_sanitize("address", "thread"))) static void
copy(void *to, const void *from, size_t bytes)
{
    volatile uint64_t *target = to;
    const volatile uint64_t *source = from;

    for (size_t i = 0; i < bytes / sizeof(*target); i++)
        target[i] = source[i];
}

static bool
move_in(struct registration *one, size_t offset, size_t bytes)
{
    copy((unsigned char *)gpuvchan_buffer_data(one->buffer) + offset, one->start + offset, bytes);
    return gpuvchan_buffer_map_over(one->buffer, offset, bytes, one->start + offset) == 0;
}

/* Into pages of the process's own. In the child of a fork too. */
static bool
move_out(struct registration *one, size_t offset, size_t bytes)
{
    void *own = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (own == MAP_FAILED)
        return false;
    copy(own, one->start + offset, bytes);
    return mremap(own, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, one->start + offset) ==
           (void *)(one->start + offset);
}

static bool
is_stack(const char *name, const unsigned char *start, const unsigned char *end)
{
    const unsigned char *here = __builtin_frame_address(0);

    return strncmp(name, "[stack", 6) == 0 || (here >= start && here < end);
}

/* Is all of it memory of this process alone, to be read and written? */
static bool
is_private(const unsigned char *start, size_t bytes)
{
    uintptr_t at = (uintptr_t)start, end = at + bytes;
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];

    while (maps && at < end && fgets(line, sizeof(line), maps)) {
        unsigned long low, high;
        char access[5], name[64] = "";

        if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %63s", &low, &high, access, name) < 3 || high <= at)
            continue;
        if (low > at || access[0] != 'r' || access[1] != 'w' || access[3] != 'p' ||
            is_stack(name, start, start + bytes))
            break;
        at = high;
    }
    if (maps)
        fclose(maps);
    return at >= end;
}

/* With the lock. */
static bool
is_replaced(const unsigned char *start, size_t bytes)
{
    for (const struct registration *one = registrations; one; one = one->next)
        if (start < one->start + one->bytes && one->start < start + bytes)
            return true;
    return false;
}

/* ---- Fork ------------------------------------------------------------------------------------ */

static void
fork_prepare(void)
{
    pthread_mutex_lock(&lock);
}

static void
fork_parent(void)
{
    pthread_mutex_unlock(&lock);
}

static void
fork_child(void)
{
    for (struct registration *one = registrations; one; one = one->next)
        piecewise(one, move_out);
    pthread_mutex_unlock(&lock);
}

static void
watch_forks(void)
{
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* ---- Registering ----------------------------------------------------------------------------- */

/* Has the arena's pages, with the same contents, where the registration's are. With the lock. */
static CUresult
replace(struct registration *one)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, watch_forks);
    if (is_replaced(one->start, one->bytes) || !is_private(one->start, one->bytes))
        return CUDA_ERROR_NOT_SUPPORTED;
    if (gpuvchan_buffer_create(cuda_guest.channel, one->bytes, &one->buffer) != 0)
        return cuda_guest_arena_exhausted("cuMemHostRegister", one->bytes);
    if (piecewise(one, move_in)) {
        one->next = registrations;
        registrations = one;
        return CUDA_SUCCESS;
    }
    if (piecewise(one, move_out))
        gpuvchan_buffer_destroy(one->buffer);
    return CUDA_ERROR_NOT_SUPPORTED;
}

/* Ends the registration that begins in the page of @p pointer. */
static void
restore(const void *pointer)
{
    struct registration **at = &registrations, *found;
    unsigned char *start = (unsigned char *)((uintptr_t)pointer & ~(uintptr_t)(PAGE - 1));

    pthread_mutex_lock(&lock);
    while (*at && (*at)->start != start)
        at = &(*at)->next;
    found = *at;
    if (found)
        *at = found->next;
    /* Pages that cannot be had stay the arena's, which then has that much less. */
    if (found && piecewise(found, move_out))
        gpuvchan_buffer_destroy(found->buffer);
    pthread_mutex_unlock(&lock);
    free(found);
}

static CUresult
begin(unsigned char *pointer, size_t bytes, struct gpuvchan_buffer **buffer)
{
    struct registration *one = malloc(sizeof(*one));
    uintptr_t start = (uintptr_t)pointer & ~(uintptr_t)(PAGE - 1);
    CUresult result;

    if (!one)
        return CUDA_ERROR_OUT_OF_MEMORY;
    one->start = (unsigned char *)start;
    one->bytes = (((uintptr_t)pointer + bytes + PAGE - 1) & ~(uintptr_t)(PAGE - 1)) - start;
    pthread_mutex_lock(&lock);
    result = replace(one);
    *buffer = result == CUDA_SUCCESS ? one->buffer : NULL;
    pthread_mutex_unlock(&lock);
    if (result != CUDA_SUCCESS)
        free(one);
    return result;
}

bool
cuda_guest_can_register(void)
{
    unsigned char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct gpuvchan_buffer *buffer;
    bool can = false;

    if (page == MAP_FAILED)
        return false;
    if (gpuvchan_buffer_create(cuda_guest.channel, PAGE, &buffer) == 0) {
        can = gpuvchan_buffer_map_over(buffer, 0, PAGE, page) == 0;
        gpuvchan_buffer_destroy(buffer);
    }
    munmap(page, PAGE);
    return can;
}

ENTRY
cuMemHostRegister_v2(void *pointer, size_t bytes, unsigned int flags)
{
    struct cuda_guest_thread *self;
    struct gpuvchan_buffer *buffer;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!pointer || bytes == 0 || bytes > UINTPTR_MAX - PAGE - (uintptr_t)pointer || flags & ~(unsigned)REGISTER_FLAGS)
        return CUDA_ERROR_INVALID_VALUE;
    if (cuda_guest_range_touched((uintptr_t)pointer, bytes))
        return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    if (flags & (CU_MEMHOSTREGISTER_IOMEMORY | CU_MEMHOSTREGISTER_READ_ONLY))
        return CUDA_ERROR_NOT_SUPPORTED;
    result = begin(pointer, bytes, &buffer);
    if (result != CUDA_SUCCESS)
        return result;
    result = cuda_guest_arena_pin(self, pointer, bytes, flags, buffer);
    if (result != CUDA_SUCCESS)
        restore(pointer);
    return result;
}
ENTRY_ALIAS(cuMemHostRegister, cuMemHostRegister_v2);

ENTRY
cuMemHostUnregister(void *pointer)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_range range;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!pointer)
        return CUDA_ERROR_INVALID_VALUE;
    if (!cuda_guest_range_take((uintptr_t)pointer, CUDA_GUEST_REGISTERED, &range))
        return cuda_guest_range_find((uintptr_t)pointer, &range) ? CUDA_ERROR_INVALID_VALUE
                                                                 : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    result = cuda_guest_arena_unpin(self, &range);
    if (result != CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)
        restore(pointer);
    return result;
}

void
cuda_guest_registered_drop(const struct cuda_guest_range *range)
{
    restore(range->host);
}
