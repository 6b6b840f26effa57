/* SPDX-License-Identifier: MIT */
/*
 * What programs of the CUDA runtime ask libcuda.so.1 for besides the driver API: tables of functions by UUID, through
 * cuGetExportTable(). Only in builds with `make CUDART_COMPAT=1`; README.md tells what to think of before. The
 * names, indexes and signatures are those that open implementations of the driver API have published.
 */
#ifndef CUDA_GUEST_CUDART_COMPAT_H
#define CUDA_GUEST_CUDART_COMPAT_H

#include "guest.h"

/** MD2 (RFC 1319) of @p bytes with a key of 16 bytes (HMAC, RFC 2104), begun, fed and ended. */
struct cuda_guest_hmac {
    uint8_t state[48], checksum[16], key[16];
    uint8_t last; /* of the checksum */
    unsigned filled;
};
void cuda_guest_hmac_begin(struct cuda_guest_hmac *hmac, const uint8_t key[16]);
void cuda_guest_hmac_add(struct cuda_guest_hmac *hmac, const void *data, size_t bytes);
void cuda_guest_hmac_end(struct cuda_guest_hmac *hmac, uint8_t digest[16]);

#endif
