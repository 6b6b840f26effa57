/* SPDX-License-Identifier: MIT */
/*
 * Completion words for what comes and goes, such as records of events.
 *
 * Design notes: a word that is given back may still have a mark under way. It is taken again only when that has been
 * reached, or the old mark would be mistaken for the new one's. Values of a word grow over all its users.
 */
#include "word.h"

#include <pthread.h>
#include <stdlib.h>

#define LOOK_AT 16u     /* given back ones, before a new one is asked for */
#define WORDS_MAX 1024u /* which others do not miss, should the GPU write none of them */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cuda_guest_word *given;
static uint32_t given_count, given_room, next, made;

static bool
is_reached(const struct cuda_guest_word *word)
{
    return gpuvchan_completion_read(cuda_guest.channel, word->index) >= word->marked;
}

/* With the lock. */
static bool
take_given(struct cuda_guest_word *word)
{
    for (uint32_t i = 0; i < given_count && i < LOOK_AT; i++) {
        uint32_t at = next++ % given_count;

        if (is_reached(&given[at])) {
            *word = given[at];
            given[at] = given[--given_count];
            return true;
        }
    }
    return false;
}

static void
take(struct cuda_guest_word *word)
{
    pthread_mutex_lock(&lock);
    if (!take_given(word)) {
        word->marked = 0;
        word->taken = made < WORDS_MAX && gpuvchan_completion_create(cuda_guest.channel, &word->index) == 0;
        made += word->taken;
    }
    pthread_mutex_unlock(&lock);
}

void
cuda_guest_word_give(struct cuda_guest_word *word)
{
    if (!word->taken)
        return;
    pthread_mutex_lock(&lock);
    if (given_count == given_room) {
        uint32_t room = given_room ? given_room * 2 : 64;
        struct cuda_guest_word *more = realloc(given, room * sizeof(*given));

        if (more) {
            given = more;
            given_room = room;
        }
    }
    if (given_count < given_room) /* else it is lost */
        given[given_count++] = *word;
    pthread_mutex_unlock(&lock);
    word->taken = false;
}

bool
cuda_guest_word_next(struct cuda_guest_word *word)
{
    if (word->taken && !is_reached(word))
        cuda_guest_word_give(word);
    if (!word->taken)
        take(word);
    word->marked += word->taken;
    return word->taken;
}
