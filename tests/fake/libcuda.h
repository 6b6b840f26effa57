/* SPDX-License-Identifier: MIT */
/*
 * A CUDA driver for tests: it executes nothing, but knows what exists. What a real driver would crash on, or
 * would leak another's memory through, ends the process with a message: handles that are not alive, device
 * addresses outside allocations, host pointers outside what the test has allowed.
 */
#ifndef FAKE_LIBCUDA_H
#define FAKE_LIBCUDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_HOST_AREAS 8u
#define FAKE_LINE 120u
#define FAKE_LINES 64u
#define FAKE_THREADS 4u

enum fake_live {
    FAKE_CONTEXTS,
    FAKE_MODULES,
    FAKE_STREAMS,
    FAKE_EVENTS,
    FAKE_ALLOCATIONS,
    FAKE_REGISTRATIONS,
    FAKE_LIBRARIES,
    FAKE_LINKS,
    FAKE_POOLS,
    FAKE_POOLED,
    FAKE_RESERVATIONS,
    FAKE_PHYSICAL,
    FAKE_MAPPINGS,
    FAKE_LIVE
};

/** The library exports one, fake_cuda. The test reads and writes it directly. */
struct fake_cuda {
    unsigned live[FAKE_LIVE];
    unsigned calls;                    /* of all functions but questions about the driver and devices */
    char lines[FAKE_LINES][FAKE_LINE]; /* the last calls; lines[(calls - 1) % FAKE_LINES] is the last one */
    const char *fail;                  /* name of the function that fails, once */
    int fail_result;
    int fault;    /* what contexts answer from now on; 0: they work */
    int pageable; /* CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS */
    int mode;     /* CU_DEVICE_ATTRIBUTE_COMPUTE_MODE */
    struct {
        const void *start;
        size_t bytes;
    } host[FAKE_HOST_AREAS];         /* where host pointers may point */
    unsigned char parameters[32768]; /* of the last launch */
    size_t parameter_bytes;
    unsigned synchronized;       /* streams or contexts waited for */
    unsigned registrations_left; /* that went with their context */
};

/** Also exported: forgets all that was, so that a long run does not fill its tables. Nothing may be alive. */
void fake_cuda_reset(void);

/* For other files. Not thread-safe. */
/** Is it a handle of a context, module, stream, event or function that is alive? */
bool fake_cuda_owns(const void *handle);
/** Is it an address of the device's that somebody has? */
bool fake_cuda_has(uint64_t address);
/** FAKE_TAKEN_BYTES of memory that no context has, or 0; until it is given back, or the next reset. */
uint64_t fake_cuda_take(void);
void fake_cuda_give_back(uint64_t address);
#define FAKE_TAKEN_BYTES (1u << 20)

/** Also exported: the calling thread has the current context of another one from now on; it is 0 at first. */
void fake_cuda_act_as(unsigned thread);

#endif
