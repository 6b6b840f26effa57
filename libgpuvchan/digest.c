/* SPDX-License-Identifier: MIT */
/*
 * A hash of hashes, so that several threads can make it: one processor with instructions for SHA-256 digests 1.6 to 2
 * GB/s, which is less than it copies.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <nettle/sha2.h>

#include <gpuvchan/gpuvchan.h>

#define PIECE ((size_t)4 << 20)
#define THREADS_MAX 16u

struct work {
    const uint8_t *data;
    size_t bytes, pieces;
    uint8_t (*digests)[SHA256_DIGEST_SIZE];
    _Atomic size_t next;
};

static void
digest_piece(const struct work *work, size_t piece, uint8_t digest[SHA256_DIGEST_SIZE])
{
    size_t at = piece * PIECE, bytes = work->bytes - at < PIECE ? work->bytes - at : PIECE;
    struct sha256_ctx hash;

    sha256_init(&hash);
    sha256_update(&hash, bytes, work->data + at);
    sha256_digest(&hash, SHA256_DIGEST_SIZE, digest);
}

static void *
digest_pieces(void *argument)
{
    struct work *work = argument;
    size_t piece;

    while ((piece = atomic_fetch_add(&work->next, 1)) < work->pieces)
        digest_piece(work, piece, work->digests[piece]);
    return NULL;
}

/* With helpers where they can be had. A program's signals are not for them. */
static void
digest_together(struct work *work, unsigned threads)
{
    pthread_t helpers[THREADS_MAX];
    sigset_t all, old;
    unsigned count = 0;

    threads = threads < work->pieces ? threads : (unsigned)work->pieces;
    threads = threads < THREADS_MAX ? threads : THREADS_MAX;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (count + 1 < threads && pthread_create(&helpers[count], NULL, digest_pieces, work) == 0)
        count++;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    digest_pieces(work);
    while (count > 0)
        pthread_join(helpers[--count], NULL);
}

void
gpuvchan_digest(const void *data, size_t bytes, unsigned threads, uint8_t digest[GPUVCHAN_DIGEST])
{
    struct work work = {.data = data, .bytes = bytes, .pieces = (bytes + PIECE - 1) / PIECE};
    uint8_t one[SHA256_DIGEST_SIZE];
    struct sha256_ctx hash;

    work.digests = threads > 1 && work.pieces > 1 ? malloc(work.pieces * sizeof(*work.digests)) : NULL;
    if (work.digests)
        digest_together(&work, threads);
    sha256_init(&hash);
    for (size_t i = 0; i < work.pieces; i++) {
        if (!work.digests)
            digest_piece(&work, i, one);
        sha256_update(&hash, SHA256_DIGEST_SIZE, work.digests ? work.digests[i] : one);
    }
    sha256_digest(&hash, GPUVCHAN_DIGEST, digest);
    free(work.digests);
}
