/* SPDX-License-Identifier: MIT */
/* The queue of guests that wait for a place. */
#include "waiting.h"

#include <string.h>

#include "workers.h"

#define WAIT_MS 1000
#define WAITING_PER_DOMAIN 8 /* so that one domain does not take all places where others wait */

bool
waiting_add(struct waiting *waiting, const struct guest *guest, int64_t now)
{
    size_t same = 0;

    for (size_t i = 0; i < waiting->count; i++)
        same += guest->peer.domain >= 0 && waiting->guests[i].peer.domain == guest->peer.domain;
    if (waiting->count == WAITING_MAX || same >= WAITING_PER_DOMAIN)
        return false;
    waiting->guests[waiting->count] = *guest;
    waiting->guests[waiting->count++].deadline = now + WAIT_MS;
    return true;
}

struct guest
waiting_take(struct waiting *waiting, size_t i)
{
    struct guest guest = waiting->guests[i];

    waiting->count--;
    memmove(&waiting->guests[i], &waiting->guests[i + 1], (waiting->count - i) * sizeof(guest));
    return guest;
}

int64_t
waiting_next_deadline(const struct waiting *waiting)
{
    return waiting->count > 0 ? waiting->guests[0].deadline : NEVER;
}
