/* SPDX-License-Identifier: MIT */
/* Notes of nodes: see graph.h. Few nodes have one. */
#include <stdlib.h>
#include <string.h>

#include "graph.h"

#define BUCKETS 256u

struct note {
    struct note *next;
    uint32_t node, graph;
    CUgraphNodeType type;
    void *data;
};

static pthread_mutex_t notes_lock = PTHREAD_MUTEX_INITIALIZER;
static struct note *notes[BUCKETS];

static struct note **
place(uint32_t node)
{
    struct note **at = &notes[node % BUCKETS];

    while (*at && (*at)->node != node)
        at = &(*at)->next;
    return at;
}

static void
drop(struct note **at)
{
    struct note *note = *at;

    *at = note->next;
    free(note->data);
    free(note);
}

void
cuda_guest_note_set(uint32_t node, uint32_t graph, CUgraphNodeType type, void *data)
{
    struct note **at, *note = data ? calloc(1, sizeof(*note)) : NULL;

    pthread_mutex_lock(&notes_lock);
    at = place(node);
    if (*at) {
        graph = graph ? graph : (*at)->graph;
        drop(at);
    }
    if (note) {
        *note = (struct note){.next = notes[node % BUCKETS], .node = node, .graph = graph, .type = type, .data = data};
        notes[node % BUCKETS] = note;
    }
    pthread_mutex_unlock(&notes_lock);
}

bool
cuda_guest_note_get(uint32_t node, CUgraphNodeType type, void *out, size_t bytes)
{
    const struct note *note;

    pthread_mutex_lock(&notes_lock);
    note = *place(node);
    if (note && note->type != type)
        note = NULL;
    if (note)
        memcpy(out, note->data, bytes);
    pthread_mutex_unlock(&notes_lock);
    return note != NULL;
}

void
cuda_guest_notes_drop(uint32_t graph)
{
    pthread_mutex_lock(&notes_lock);
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct note **at = &notes[i]; *at;) {
            if ((*at)->graph == graph)
                drop(at);
            else
                at = &(*at)->next;
        }
    pthread_mutex_unlock(&notes_lock);
}
