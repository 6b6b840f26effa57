/* SPDX-License-Identifier: MIT */
/*
 * Tensor maps, which only the driver knows how to make, from their arguments alone.
 *
 * Design notes: libraries for Hopper make one before each launch, of tensors that they use again and again. The
 * same arguments give the same map, so the last ones are remembered.
 */
#include <string.h>

#include "context.h"

#define RANK_MOST 5u
#define WORDS (sizeof(CUtensorMap) / sizeof(uint64_t))
#define REMEMBERED 128u

enum form {
    TILED = 1,
    IM2COL,
    IM2COL_WIDE
};

/* All arguments. Unused parts are 0, so that keys can be compared as bytes. */
struct key {
    uint64_t address, dimensions[RANK_MOST], strides[RANK_MOST - 1];
    uint32_t form, rank, box[RANK_MOST], steps[RANK_MOST];
    int32_t lower[RANK_MOST - 2], upper[RANK_MOST - 2];
    uint32_t channels, pixels;
    int32_t type, interleave, swizzle, promotion, fill, mode;
};
_Static_assert(sizeof(struct key) % sizeof(uint64_t) == 0, "it has no padding");

struct known {
    struct key key; /* form 0: none */
    uint64_t map[WORDS];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct known known[REMEMBERED]; /* with the lock */

/* ---- What was made before -------------------------------------------------------------------- */

static struct known *
place_of(const struct key *key)
{
    uint64_t words[sizeof(*key) / sizeof(uint64_t)], hash = 0;

    memcpy(words, key, sizeof(words));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ull;
    return &known[(hash >> 32) % REMEMBERED];
}

static bool
recall(const struct key *key, CUtensorMap *map)
{
    const struct known *place = place_of(key);
    bool found;

    pthread_mutex_lock(&lock);
    found = memcmp(&place->key, key, sizeof(*key)) == 0;
    if (found)
        memcpy(map, place->map, sizeof(*map));
    pthread_mutex_unlock(&lock);
    return found;
}

static void
remember(const struct key *key, const CUtensorMap *map)
{
    struct known *place = place_of(key);

    pthread_mutex_lock(&lock);
    place->key = *key;
    memcpy(place->map, map, sizeof(*map));
    pthread_mutex_unlock(&lock);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

/* A context is not needed, but if there is one the host's thread is in it, as natively. */
static CUresult
tensor_enter(struct cuda_guest_thread **self)
{
    *self = cuda_guest_self();
    return (*self)->depth != 0 ? cuda_guest_enter(self) : cuda_guest_enter_outside(self);
}

static int
ask(const struct cuda_guest_thread *self, const struct key *key, uint64_t *map, size_t *words)
{
    const struct gpuvchan_client *client = &cuda_guest.client;
    const size_t rank = key->rank;

    switch (key->form) {
    case TILED:
        return cuda_tensor_tiled_on(client, self->lane, key->type, key->address, key->dimensions, rank, key->strides,
                                    rank - 1, key->box, rank, key->steps, rank, key->interleave, key->swizzle,
                                    key->promotion, key->fill, map, words);
    case IM2COL:
        return cuda_tensor_im2col_on(client, self->lane, key->type, key->address, key->dimensions, rank, key->strides,
                                     rank - 1, key->lower, rank - 2, key->upper, rank - 2, key->channels, key->pixels,
                                     key->steps, rank, key->interleave, key->swizzle, key->promotion, key->fill, map,
                                     words);
    default:
        return cuda_tensor_im2col_wide_on(client, self->lane, key->type, key->address, key->dimensions, rank,
                                          key->strides, rank - 1, key->lower[0], key->upper[0], key->channels,
                                          key->pixels, key->steps, rank, key->interleave, key->mode, key->swizzle,
                                          key->promotion, key->fill, map, words);
    }
}

static CUresult
encode(const struct key *key, CUtensorMap *out)
{
    struct cuda_guest_thread *self;
    size_t words = WORDS;
    uint64_t map[WORDS];
    CUresult result = tensor_enter(&self);

    if (result != CUDA_SUCCESS || recall(key, out))
        return result;
    result = cuda_guest_result(ask(self, key, map, &words));
    if (result != CUDA_SUCCESS)
        return result;
    if (words != WORDS)
        return CUDA_ERROR_UNKNOWN;
    memcpy(out, map, sizeof(*out));
    remember(key, out);
    return CUDA_SUCCESS;
}

/* ---- Entry points ---------------------------------------------------------------------------- */

/* What all forms have; false: an argument that must be there is not, or the rank is none. */
static bool
key_begin(struct key *key, enum form form, const CUtensorMap *map, uint32_t rank, const void *address,
          const cuuint64_t *dimensions, const cuuint64_t *strides, const cuuint32_t *steps)
{
    uint32_t least = form == TILED ? 1 : 3;

    memset(key, 0, sizeof(*key));
    if (!map || !dimensions || !steps || rank < least || rank > RANK_MOST || (!strides && rank > 1))
        return false;
    key->form = form;
    key->rank = rank;
    key->address = (uintptr_t)address;
    memcpy(key->dimensions, dimensions, rank * sizeof(*dimensions));
    if (rank > 1)
        memcpy(key->strides, strides, (rank - 1) * sizeof(*strides));
    memcpy(key->steps, steps, rank * sizeof(*steps));
    return true;
}

ENTRY
cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *address,
                       const cuuint64_t *dimensions, const cuuint64_t *strides, const cuuint32_t *box,
                       const cuuint32_t *steps, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                       CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
    struct key key;

    if (!box || !key_begin(&key, TILED, map, rank, address, dimensions, strides, steps))
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(key.box, box, rank * sizeof(*box));
    key.type = (int32_t)type;
    key.interleave = (int32_t)interleave;
    key.swizzle = (int32_t)swizzle;
    key.promotion = (int32_t)promotion;
    key.fill = (int32_t)fill;
    return encode(&key, map);
}

ENTRY
cuTensorMapEncodeIm2col(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *address,
                        const cuuint64_t *dimensions, const cuuint64_t *strides, const int *lower, const int *upper,
                        cuuint32_t channels, cuuint32_t pixels, const cuuint32_t *steps,
                        CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
                        CUtensorMapFloatOOBfill fill)
{
    struct key key;

    if (!lower || !upper || !key_begin(&key, IM2COL, map, rank, address, dimensions, strides, steps))
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(key.lower, lower, (rank - 2) * sizeof(*lower));
    memcpy(key.upper, upper, (rank - 2) * sizeof(*upper));
    key.channels = channels;
    key.pixels = pixels;
    key.type = (int32_t)type;
    key.interleave = (int32_t)interleave;
    key.swizzle = (int32_t)swizzle;
    key.promotion = (int32_t)promotion;
    key.fill = (int32_t)fill;
    return encode(&key, map);
}

ENTRY
cuTensorMapEncodeIm2colWide(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *address,
                            const cuuint64_t *dimensions, const cuuint64_t *strides, int lower, int upper,
                            cuuint32_t channels, cuuint32_t pixels, const cuuint32_t *steps,
                            CUtensorMapInterleave interleave, CUtensorMapIm2ColWideMode mode,
                            CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
    struct key key;

    if (!key_begin(&key, IM2COL_WIDE, map, rank, address, dimensions, strides, steps))
        return CUDA_ERROR_INVALID_VALUE;
    key.lower[0] = lower;
    key.upper[0] = upper;
    key.channels = channels;
    key.pixels = pixels;
    key.mode = (int32_t)mode;
    key.type = (int32_t)type;
    key.interleave = (int32_t)interleave;
    key.swizzle = (int32_t)swizzle;
    key.promotion = (int32_t)promotion;
    key.fill = (int32_t)fill;
    return encode(&key, map);
}

ENTRY
cuTensorMapReplaceAddress(CUtensorMap *map, void *address)
{
    struct cuda_guest_thread *self;
    uint64_t before[WORDS], after[WORDS];
    size_t words = WORDS;
    CUresult result = tensor_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!map)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(before, map, sizeof(before));
    result = cuda_guest_result(cuda_tensor_replace_address_on(&cuda_guest.client, self->lane, before, WORDS,
                                                              (uintptr_t)address, after, &words));
    if (result == CUDA_SUCCESS && words == WORDS)
        memcpy(map, after, sizeof(after));
    return result;
}
