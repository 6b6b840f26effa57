/* SPDX-License-Identifier: MIT */
/* The entry points that refused entries of the protocol have. */
#ifndef CUDA_GUEST_REFUSAL_H
#define CUDA_GUEST_REFUSAL_H

#include "cuda-symbols.h"
#include "guest.h"

/** An entry point whose arguments nobody reads, by a C name that no declaration of it contradicts. */
#define CUDA_GUEST_REFUSAL(symbol) cuda_guest_refusal_##symbol
#define CUDA_GUEST_DECLARE(symbol, reason) CUresult CUDA_GUEST_REFUSAL(symbol)(void) __asm__(#symbol);
CUDA_REFUSED_SYMBOLS(CUDA_GUEST_DECLARE)
#undef CUDA_GUEST_DECLARE

#endif
