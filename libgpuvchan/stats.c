/* SPDX-License-Identifier: MIT */
/*
 * Counts of records, for who wants to know what a program waits for.
 *
 * Design notes: lanes that are counted take the out-of-line way of each record, so the others pay nothing. Counters
 * are shared by all lanes of a channel. What is printed is forgotten, so that two prints enclose a steady state.
 */
#include "stats.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "ring.h"

#define NAME_BYTES 32

struct entry {
    _Atomic uint64_t calls, posts, waited_ns;
};

struct counted {
    char name[NAME_BYTES];
    const char *const *names; /* NULL: nobody has told */
    uint32_t count;
    struct entry *entries; /* by opcode */
};

struct gpuvchan__stats {
    struct counted protocols[WIRE_PROTOCOLS]; /* by slot */
    struct entry completions;
    uint64_t since;
    pid_t process;
    struct gpuvchan__stats *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the list, and of what is no counter */
static struct gpuvchan__stats *all;
static _Atomic pid_t owner; /* whose channels are counted; a child's locks are not to be relied upon */

/* ---- Counting -------------------------------------------------------------------------------- */

struct gpuvchan__stats *
gpuvchan__stats_create(void)
{
    const char *wanted = getenv("GPUVCHAN_STATS");
    struct gpuvchan__stats *stats;

    if (!wanted || !wanted[0] || strcmp(wanted, "0") == 0)
        return NULL;
    stats = calloc(1, sizeof(*stats));
    if (!stats)
        return NULL;
    stats->since = gpuvchan__now_ns();
    stats->process = getpid();
    owner = stats->process;
    pthread_mutex_lock(&lock);
    stats->next = all;
    all = stats;
    pthread_mutex_unlock(&lock);
    return stats;
}

void
gpuvchan__stats_protocol(struct gpuvchan__stats *stats, uint8_t slot, const struct gpuvchan_protocol *protocol)
{
    struct counted *counted = stats ? &stats->protocols[slot] : NULL;

    if (!counted)
        return;
    pthread_mutex_lock(&lock);
    if (!counted->entries) {
        snprintf(counted->name, sizeof(counted->name), "%s", protocol->name);
        counted->entries = calloc(protocol->entries, sizeof(*counted->entries));
        counted->count = counted->entries ? protocol->entries : 0;
    }
    pthread_mutex_unlock(&lock);
}

void
gpuvchan_client_name_entries(const struct gpuvchan_client *client, const char *const *names)
{
    struct gpuvchan__stats *stats = client->channel->stats;

    if (!stats)
        return;
    pthread_mutex_lock(&lock);
    stats->protocols[client->slot].names = names;
    pthread_mutex_unlock(&lock);
}

static void
add(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

/* A slot's protocol is there before its first record. */
static struct entry *
entry_of(struct gpuvchan__stats *stats, uint8_t slot, uint16_t opcode)
{
    const struct counted *counted = stats && slot < WIRE_PROTOCOLS ? &stats->protocols[slot] : NULL;

    return counted && opcode < counted->count ? &counted->entries[opcode] : NULL;
}

void
gpuvchan__stats_post(struct gpuvchan__stats *stats, uint8_t slot, uint16_t opcode)
{
    struct entry *entry = entry_of(stats, slot, opcode);

    if (entry)
        add(&entry->posts, 1);
}

static void
add_call(struct entry *entry, uint64_t waited_ns)
{
    add(&entry->calls, 1);
    add(&entry->waited_ns, waited_ns);
}

void
gpuvchan__stats_call(struct gpuvchan__stats *stats, uint8_t slot, uint16_t opcode, uint64_t waited_ns)
{
    struct entry *entry = entry_of(stats, slot, opcode);

    if (entry)
        add_call(entry, waited_ns);
}

void
gpuvchan__stats_completion(struct gpuvchan__stats *stats, uint64_t waited_ns)
{
    add_call(&stats->completions, waited_ns);
}

/* ---- Printing -------------------------------------------------------------------------------- */

struct line {
    char name[80];
    uint64_t calls, posts, waited_ns;
};

struct table {
    struct line *lines;
    size_t count, room;
    struct line sum;
};

static uint64_t
take(_Atomic uint64_t *counter)
{
    return atomic_exchange_explicit(counter, 0, memory_order_relaxed);
}

/* The next line, if there is room for another one. */
static struct line *
grow(struct table *table)
{
    size_t room = table->room ? table->room * 2 : 32;
    struct line *grown = table->lines;

    if (table->count == table->room) {
        grown = realloc(table->lines, room * sizeof(*grown));
        if (!grown)
            return NULL;
        table->lines = grown;
        table->room = room;
    }
    return &grown[table->count];
}

static void
table_add(struct table *table, const struct counted *counted, uint32_t opcode)
{
    struct entry *entry = &counted->entries[opcode];
    const char *name = counted->names ? counted->names[opcode] : NULL;
    struct line *line = grow(table);

    if (!line)
        return;
    line->calls = take(&entry->calls);
    line->posts = take(&entry->posts);
    line->waited_ns = take(&entry->waited_ns);
    if (line->calls == 0 && line->posts == 0)
        return;
    if (name)
        snprintf(line->name, sizeof(line->name), "%s %s", counted->name, name);
    else
        snprintf(line->name, sizeof(line->name), "%s %u", counted->name, opcode);
    table->sum.calls += line->calls;
    table->sum.posts += line->posts;
    table->sum.waited_ns += line->waited_ns;
    table->count++;
}

/* What was waited for longest, then what was sent most often. */
static int
compare(const void *left, const void *right)
{
    const struct line *a = left, *b = right;

    if (a->waited_ns != b->waited_ns)
        return a->waited_ns < b->waited_ns ? 1 : -1;
    return a->posts < b->posts ? 1 : a->posts > b->posts ? -1 : strcmp(a->name, b->name);
}

static void
print_table(struct table *table, const struct gpuvchan__stats *stats, uint64_t words, uint64_t words_ns)
{
    uint64_t now = gpuvchan__now_ns();

    qsort(table->lines, table->count, sizeof(*table->lines), compare);
    flockfile(stderr);
    fprintf(stderr, "gpuvchan stats: process %d, %.3f s: %llu calls, %llu posts; waited %.3f ms\n", (int)stats->process,
            (double)(now - stats->since) / 1e9, (unsigned long long)table->sum.calls,
            (unsigned long long)table->sum.posts, (double)(table->sum.waited_ns + words_ns) / 1e6);
    if (table->count > 0 || words > 0)
        fprintf(stderr, "gpuvchan stats: %10s %12s %10s\n", "calls", "waited ms", "posts");
    for (size_t i = 0; i < table->count; i++)
        fprintf(stderr, "gpuvchan stats: %10llu %12.3f %10llu  %s\n", (unsigned long long)table->lines[i].calls,
                (double)table->lines[i].waited_ns / 1e6, (unsigned long long)table->lines[i].posts,
                table->lines[i].name);
    if (words > 0)
        fprintf(stderr, "gpuvchan stats: %10llu %12.3f %10s  completion words polled, without a record\n",
                (unsigned long long)words, (double)words_ns / 1e6, "-");
    funlockfile(stderr);
}

/* With the lock. @p always: also if nothing was counted. */
static void
print(struct gpuvchan__stats *stats, bool always)
{
    struct table table = {0};
    uint64_t words = take(&stats->completions.calls), words_ns = take(&stats->completions.waited_ns);

    for (unsigned slot = 0; slot < WIRE_PROTOCOLS; slot++)
        for (uint32_t i = 0; i < stats->protocols[slot].count; i++)
            table_add(&table, &stats->protocols[slot], i);
    if (always || table.count > 0 || words > 0)
        print_table(&table, stats, words, words_ns);
    stats->since = gpuvchan__now_ns();
    free(table.lines);
}

static void
print_all(bool always)
{
    if (owner != getpid())
        return;
    pthread_mutex_lock(&lock);
    for (struct gpuvchan__stats *stats = all; stats; stats = stats->next)
        if (stats->process == getpid())
            print(stats, always);
    pthread_mutex_unlock(&lock);
}

void
gpuvchan_stats_print(void)
{
    print_all(true);
}

/* Channels that nobody closes, at the end of the process. */
__attribute__((destructor)) static void
finish(void)
{
    print_all(false);
}

void
gpuvchan__stats_destroy(struct gpuvchan__stats *stats)
{
    if (!stats)
        return;
    pthread_mutex_lock(&lock);
    for (struct gpuvchan__stats **at = &all; *at; at = &(*at)->next)
        if (*at == stats) {
            *at = stats->next;
            break;
        }
    if (stats->process == getpid())
        print(stats, false);
    pthread_mutex_unlock(&lock);
    for (unsigned slot = 0; slot < WIRE_PROTOCOLS; slot++)
        free(stats->protocols[slot].entries);
    free(stats);
}
