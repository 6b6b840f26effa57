/* SPDX-License-Identifier: MIT */
/* GPUVCHAN_STATS=1: what a guest process has sent, and for how long it has waited. All functions take NULL for "no". */
#ifndef GPUVCHAN_STATS_H
#define GPUVCHAN_STATS_H

#include <stdint.h>

#include <gpuvchan/protocol.h>

struct gpuvchan__stats;

/** For a new channel; NULL unless the environment asks for it. */
struct gpuvchan__stats *gpuvchan__stats_create(void);
/** Prints what is left. */
void gpuvchan__stats_destroy(struct gpuvchan__stats *stats);

/** What is in @p slot from now on. */
void gpuvchan__stats_protocol(struct gpuvchan__stats *stats, uint8_t slot, const struct gpuvchan_protocol *protocol);

void gpuvchan__stats_post(struct gpuvchan__stats *stats, uint8_t slot, uint16_t opcode);
/** A record that was waited for. */
void gpuvchan__stats_call(struct gpuvchan__stats *stats, uint8_t slot, uint16_t opcode, uint64_t waited_ns);
/** A look at a completion word, by which the GPU or the worker tells without a record. */
void gpuvchan__stats_completion(struct gpuvchan__stats *stats, uint64_t waited_ns);

#endif
