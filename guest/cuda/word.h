/* SPDX-License-Identifier: MIT */
/* Completion words for what comes and goes. */
#ifndef CUDA_GUEST_WORD_H
#define CUDA_GUEST_WORD_H

#include "guest.h"

/**
 * Makes @p word ready for another mark, of value word->marked: in another word where that one's is still under way.
 * False: there is none left. Who shares @p word with other threads needs a lock.
 */
bool cuda_guest_word_next(struct cuda_guest_word *word);

/** Gives it back, for others; its mark may be under way. */
void cuda_guest_word_give(struct cuda_guest_word *word);

#endif
