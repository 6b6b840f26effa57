/* SPDX-License-Identifier: MIT */
/*
 * cuGetProcAddress(): the function of a name as a version of CUDA knew it.
 *
 * Design notes: of the entries of a name the newest that is not newer than the version asked for counts. Who asks
 * for per-thread default streams gets the variant with them where the name has one, else the plain one; the
 * variant has versions of its own. The table is sorted by name, as the scanner writes it.
 */
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "refusal.h"

struct entry {
    const char *name;
    unsigned since;
    unsigned flags; /* enum gpuvchan_api_flags */
    void (*function)(void);
};

#define ENTRY_OF(name, since, flags, symbol) {#name, since, flags, (void (*)(void))(symbol)},
#define REFUSAL_OF(name, since, flags, symbol) ENTRY_OF(name, since, flags, CUDA_GUEST_REFUSAL(symbol))

static const struct entry served[] = {CUDA_API_LIST(ENTRY_OF)};
static const struct entry refused[] = {CUDA_API_REFUSED_LIST(REFUSAL_OF)};
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct search {
    const char *name;
    unsigned version;
    bool per_thread;
    const struct entry *best;
    bool best_is_variant, known;
};

static void
consider(struct search *search, const struct entry *entry)
{
    bool variant = entry->flags != 0;

    if (strcmp(entry->name, search->name) != 0 || (variant && !search->per_thread))
        return;
    /* A name that has a variant has it alone for those who want it. */
    if (variant && !search->best_is_variant) {
        search->best = NULL;
        search->best_is_variant = true;
    }
    if (search->best_is_variant && !variant)
        return;
    search->known = true;
    if (entry->since <= search->version && (!search->best || entry->since > search->best->since))
        search->best = entry;
}

static int
by_name(const void *name, const void *entry)
{
    return strcmp(name, ((const struct entry *)entry)->name);
}

static void
consider_all(struct search *search, const struct entry *entries, size_t count)
{
    const struct entry *found = bsearch(search->name, entries, count, sizeof(*entries), by_name);

    while (found && found > entries && strcmp(found[-1].name, search->name) == 0)
        found--;
    for (; found && found < entries + count && strcmp(found->name, search->name) == 0; found++)
        consider(search, found);
}

static void
look_up(struct search *search)
{
    consider_all(search, served, COUNT(served));
    consider_all(search, refused, COUNT(refused));
}

ENTRY
cuGetProcAddress_v2(const char *name, void **function, int version, cuuint64_t flags,
                    CUdriverProcAddressQueryResult *status)
{
    struct search search = {.name = name,
                            .version = (unsigned)version,
                            .per_thread = flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM};

    if (!name || !function ||
        flags & ~(cuuint64_t)(CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM))
        return CUDA_ERROR_INVALID_VALUE;
    if (version / 1000 > CUDA_VERSION / 1000) /* of a CUDA that this driver says it cannot serve */
        return CUDA_ERROR_INVALID_VALUE;
    look_up(&search);
    *function = NULL;
    if (search.best)
        memcpy(function, &search.best->function, sizeof(*function));
    else if (name[0] != '\0') /* which a runtime asks for at its start */
        gpuvchan_log(GPUVCHAN_LOG_DEBUG, "cuda: cuGetProcAddress: no '%s' of version %d, flags %llu", name, version,
                     (unsigned long long)flags);
    if (status)
        *status = search.best    ? CU_GET_PROC_ADDRESS_SUCCESS
                  : search.known ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                                 : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return CUDA_SUCCESS;
}

ENTRY
cuGetProcAddress(const char *name, void **function, int version, cuuint64_t flags)
{
    CUresult result = cuGetProcAddress_v2(name, function, version, flags, NULL);

    return result == CUDA_SUCCESS && !*function ? CUDA_ERROR_NOT_FOUND : result;
}
