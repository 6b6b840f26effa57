/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that stand for memory or a pool, which the program passes to other processes as it does with the driver's.
 *
 * Design notes: such a descriptor is one end of a pair of sockets, with a message in it that whoever has it looks at,
 * and nobody takes out. The other end stays here, and tells when nobody has the first one any more: the host's worker
 * has the driver's descriptor for so long, and that keeps the memory. This is looked at when something is shared or freed.
 */
#include "share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

#define MAGIC 0x7673767567707667ull
#define REASON "nothing is shared between processes where the host's administrator has set ipc=no"

struct message {
    uint64_t magic;
    uint32_t kind, reserved;
    uint8_t token[CUDA_GUEST_TOKEN];
};

struct shared {
    struct shared *next;
    int fd;
    uint8_t token[CUDA_GUEST_TOKEN];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct shared *shared; /* with the lock */

CUresult
cuda_guest_share_result(CUresult result)
{
    static _Atomic bool told;

    if (result == CUDA_ERROR_NOT_SUPPORTED && !atomic_exchange(&told, true)) {
        gpuvchan_log(GPUVCHAN_LOG_DEBUG, "cuda: " REASON);
        cuda_guest_log(CU_LOG_LEVEL_ERROR, REASON);
    }
    return result;
}

static bool
is_abandoned(const struct shared *one)
{
    char byte;

    return recv(one->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

void
cuda_guest_share_sweep(struct cuda_guest_thread *self)
{
    struct shared **at, *one;

    pthread_mutex_lock(&lock);
    for (at = &shared; (one = *at);) {
        if (!is_abandoned(one)) {
            at = &one->next;
            continue;
        }
        *at = one->next;
        cuda_shared_end_on(&cuda_guest.client, self->lane, one->token, sizeof(one->token));
        close(one->fd);
        free(one);
    }
    pthread_mutex_unlock(&lock);
}

CUresult
cuda_guest_share_descriptor(struct cuda_guest_thread *self, enum cuda_guest_share_kind kind,
                            const uint8_t token[CUDA_GUEST_TOKEN], int *fd)
{
    struct message message = {.magic = MAGIC, .kind = kind};
    struct shared *one = malloc(sizeof(*one));
    int ends[2];

    memcpy(message.token, token, sizeof(message.token));
    if (!one || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        goto undo;
    if (send(ends[0], &message, sizeof(message), MSG_NOSIGNAL) != (ssize_t)sizeof(message)) {
        close(ends[0]);
        close(ends[1]);
        goto undo;
    }
    memcpy(one->token, token, sizeof(one->token));
    one->fd = ends[0];
    pthread_mutex_lock(&lock);
    one->next = shared;
    shared = one;
    pthread_mutex_unlock(&lock);
    *fd = ends[1];
    return CUDA_SUCCESS;
undo:
    free(one);
    cuda_shared_end_on(&cuda_guest.client, self->lane, token, CUDA_GUEST_TOKEN);
    return CUDA_ERROR_OPERATING_SYSTEM;
}

CUresult
cuda_guest_share_token(int fd, enum cuda_guest_share_kind kind, uint8_t token[CUDA_GUEST_TOKEN])
{
    struct message message;

    if (recv(fd, &message, sizeof(message), MSG_DONTWAIT | MSG_PEEK) != (ssize_t)sizeof(message) ||
        message.magic != MAGIC || message.kind != (uint32_t)kind)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(token, message.token, sizeof(message.token));
    return CUDA_SUCCESS;
}
