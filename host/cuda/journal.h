/* SPDX-License-Identifier: MIT */
/*
 * The journal: the records that made what a guest process has, so that a fresh worker can make it again.
 *
 * Design notes
 *
 * An object keeps a private copy of the record that created it and of those that set something of it: the last one
 * for each thing that can be set. They go when the object goes, so what is kept is bounded by what exists. Numbers tell
 * the order. Records are kept after they have succeeded, around the protocol's generated functions; those that are sent
 * often (launches, copies, marks, events that are recorded) are not in the table of rules and pay nothing.
 *
 * Where the guest was told a number that it may have put anywhere, an address say, the reply is kept as well: it must
 * come out the same. What the driver can be asked for (attributes of streams, access to memory, graphs) is not kept.
 */
#ifndef CUDA_JOURNAL_H
#define CUDA_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

struct cuda_host;
struct cuda_object;
struct gpuvchan_dispatch;
struct gpuvchan_request;

struct cuda_record {
    struct cuda_record *next; /* of the same object: a later one */
    uint64_t number;          /* in the order of execution */
    uint32_t context;         /* handle of the one that was current; 0: none */
    uint16_t opcode;
    uint32_t bytes, reply_bytes;
    _Alignas(8) unsigned char data[]; /* the payload, then the reply */
};

/** The protocol's table, with functions around those whose records are kept. */
extern struct gpuvchan_dispatch cuda_kept_dispatch;

/**
 * Keeps a copy of @p request, which has succeeded, with @p object. One of the same opcode with the same
 * @p key_bytes first bytes gives way to it (0: all stay).
 */
void cuda_record_keep(struct gpuvchan_request *request, struct cuda_object *object, uint32_t key_bytes);
/** Drops those of @p object that have this opcode and begin with the same @p bytes (0: all). */
void
cuda_record_drop(struct cuda_host *host, struct cuda_object *object, uint16_t opcode, const void *key, uint32_t bytes);
/** Frees a list of them. */
void cuda_records_free(struct cuda_record *records);

/** Is @p opcode one that may be in a journal? What a snapshot brings is not more than what a guest could send. */
bool cuda_record_is_kept(uint16_t opcode);
/** Where in the payload the reference to an image stands; 0: it has none. */
uint32_t cuda_record_image_at(uint16_t opcode);

#endif
