/* SPDX-License-Identifier: MIT */
/* What failed, in words: per thread for the caller, and the log. */
#ifndef GPUVCHAN_ERROR_H
#define GPUVCHAN_ERROR_H

#include <gpuvchan/gpuvchan.h>

/** Room for the longest text, which names a limit and the commands that raise it. */
#define ERROR_TEXT 1024

/** Sets this thread's gpuvchan_error_text() and returns @p error, so that a function can end with it. */
int gpuvchan__error(int error, const char *format, ...) GPUVCHAN_PRINTF(2, 3);

/** Copies a peer's text: printable ASCII only, at most @p bytes of @p from, always terminated. */
void gpuvchan__text_from_peer(char *to, size_t to_bytes, const char *from, size_t bytes);

#endif
