/* SPDX-License-Identifier: MIT */
/*
 * The machine: compact operations, warps and blocks.
 *
 * A warp is 32 lanes. Registers lie as slot[lane], so that an operation is one
 * loop over lanes. A predicate is a slot whose first word is a mask of lanes.
 * Constants and temporaries are slots too: an operand is always a slot, and
 * every slot number in an operation was given out by the resolver.
 *
 * Each lane has its own program counter and frame. The scheduler takes the
 * deepest frame and in it the lowest program counter, and runs all lanes that
 * stand there as one group until the group meets other lanes, waits or ends.
 * Thus divergent paths meet again at the first instruction they share.
 *
 * Addresses: device memory and host memory known to the driver are their own
 * addresses; shared, local and kernel parameters live in windows far above any
 * address of a process (SIM_WINDOW_*).
 */
#ifndef SIM_EXEC_H
#define SIM_EXEC_H

#include "../../../libgpuvchan/protocol/cuda/cuda_api.h"
#include "ptx.h"

#include <stdatomic.h>

#define SIM_LANES 32
#define SIM_FULL 0xffffffffu
#define SIM_NO_SLOT UINT32_MAX

#define SIM_WINDOW_SHIFT 56
#define SIM_WINDOW_SHARED (1ull << SIM_WINDOW_SHIFT)
#define SIM_WINDOW_LOCAL (2ull << SIM_WINDOW_SHIFT)
#define SIM_WINDOW_PARAM (3ull << SIM_WINDOW_SHIFT)
#define SIM_WINDOW_CODE (4ull << SIM_WINDOW_SHIFT)
#define SIM_WINDOW_MASK ((1ull << SIM_WINDOW_SHIFT) - 1)

#define SIM_MAX_THREADS 1024
#define SIM_MAX_WARPS (SIM_MAX_THREADS / SIM_LANES)
#define SIM_BARRIERS 17            /* the last one is the cluster's */
#define SIM_MAX_LOCAL (512u << 10) /* bytes of local memory of a thread */
#define SIM_MAX_DEPTH 1024         /* nested calls */
#define SIM_MAX_FRAMES (64u << 20) /* bytes of registers of a warp */
#define SIM_MAX_PARAMS 32764
#define SIM_STATIC_SHARED (48u << 10)
#define SIM_MAX_SHARED (227u << 10)

struct op;
struct warp;

typedef void (*op_fn)(struct warp *warp, const struct op *op, uint32_t lanes);

/* struct op flags */
enum {
    OP_CONTROL = 1,       /* may move lanes: the loop must look afterwards */
    OP_ADDRESS32 = 2,     /* the address register is 32 bits wide */
    OP_FRAME = 4,         /* imm counts from the frame's local memory */
    OP_SHARED_SYMBOL = 8, /* symbol is a shared variable, add its offset */
    OP_GUARD_NOT = 16,
    OP_NOT_C = 32, /* the predicate in c is negated */
};

/* Floating point modes in struct op mode */
enum {
    FP_FTZ = 1,
    FP_SAT = 2,
    FP_RELU = 4,
    FP_ROUND_SHIFT = 4, /* enum sim_round in the bits above */
};

enum sim_round {
    ROUND_NONE,
    ROUND_RN,
    ROUND_RZ,
    ROUND_RM,
    ROUND_RP,
    ROUND_RNA
};

/* Slots are stored times 32, ready to index words. */
struct op {
    op_fn fn;
    uint32_t guard;
    uint32_t d, d2;
    uint32_t a, b, c;
    uint32_t list;   /* first word in the code's lists: slots, targets */
    uint32_t symbol; /* shared variable, function, special register */
    uint64_t imm;
    uint32_t target;
    uint32_t line;
    uint8_t flags;
    uint8_t type, type2;
    uint8_t space;
    uint8_t count;
    uint8_t mode;
    uint8_t mode2;
    uint8_t bits;
};

struct sim_constant {
    uint32_t slot;
    uint64_t value;
};

struct sim_param {
    uint32_t offset, size;
};

/* A function of a loaded module; kernels too. */
struct sim_function {
    char *name;
    bool entry, defined;
    uint32_t start; /* first op */
    uint32_t slots; /* registers of a frame */
    struct sim_constant *constants;
    uint32_t constant_count;
    uint32_t local_size;      /* .local, and .param of device functions */
    struct sim_param *params; /* kernel: in the buffer; else in the frame */
    uint32_t param_count, param_bytes;
    struct sim_param *returns;
    uint32_t return_count;
    uint32_t *calls; /* functions named in the body */
    uint32_t call_count;
    uint32_t *shared; /* shared variables named in the body */
    uint32_t shared_count;
    uint32_t shared_bytes;    /* kernel: static shared memory */
    uint32_t *shared_offsets; /* kernel: of every shared variable of the module */
    bool indirect;            /* calls through pointers */
    uint32_t max_threads[3], required_threads[3];
    op_fn builtin;          /* vprintf and its like */
    unsigned int registers; /* named in the text, for attributes */
};

struct sim_code {
    struct op *ops;
    uint32_t op_count;
    uint32_t *lists;
    uint32_t list_count;
    struct sim_function *functions;
    uint32_t function_count;
    uint32_t shared_variables;
};

struct frame {
    struct frame *parent;
    const struct sim_function *function;
    const struct op *call; /* in the parent */
    uint32_t lanes;        /* that are in this frame or in ones above it */
    uint32_t depth;
    uint64_t local_base;
    uint64_t regs[];
};

struct block;

struct warp {
    /* the group that runs now */
    uint64_t *regs;
    struct frame *frame;
    uint32_t pc;
    uint32_t mask;
    bool moved; /* a control operation took the group apart */

    struct block *block;
    const struct op *ops;
    const uint32_t *lists;
    struct exec *exec;
    uint32_t index; /* of the warp in its block */
    uint32_t alive, sync, barred;
    uint32_t carry; /* CC.CF of each lane */
    uint32_t lane_pc[SIM_LANES];
    struct frame *lane_frame[SIM_LANES];
    uint32_t members[SIM_LANES]; /* what a lane in a .sync operation waits for */
    uint8_t barrier[SIM_LANES];
    uint32_t result[SIM_LANES]; /* slot for the result of bar.red */
    uint8_t result_mode[SIM_LANES];
    unsigned char *local;
    uint32_t local_size;
    size_t frame_bytes;
    struct frame *spare; /* freed frames, by parent */
    int32_t slice;       /* operations before others get their turn */
    bool highest;        /* prefers the highest program counter for a while */
    uint32_t tid[3][SIM_LANES];
};

struct barrier {
    uint32_t arrived;
    uint32_t expected; /* 0: all threads of the block that live */
    uint32_t popcount;
    bool all, any;
};

struct block {
    struct launch *launch;
    struct exec *exec;
    uint32_t ctaid[3];
    unsigned char *shared;
    uint32_t shared_size;
    uint32_t warp_count, alive;
    struct barrier barriers[SIM_BARRIERS];
    struct warp *warps;
};

/* One kernel launch. */
struct range;

/* Multiprocessors of a device: of each another number, so that who takes one device for another is found out. */
static inline unsigned int
sim_units(int device)
{
    return 2 + (unsigned int)device;
}

struct launch {
    const struct sim_code *code;
    const struct sim_function *kernel;
    uint32_t grid[3], block[3];
    uint32_t dynamic_shared;
    bool cooperative;
    unsigned char *params;
    uint32_t param_bytes;
    uint64_t workspace; /* device memory for grid barriers */
    struct sim_memory *memory;
    int ordinal; /* of the device */
    struct sim_context *context;
    uint64_t grid_id;
    uint32_t first_unit, units; /* multiprocessors that have the blocks */
    /* Does the device reach it? NULL: it reaches all there is. */
    bool (*reaches)(const struct launch *launch, const struct range *range);
};

/* One thread that executes blocks of a launch. */
struct exec {
    struct launch *launch;
    uintptr_t range_start; /* the memory that the last access hit */
    size_t range_size;
    uint64_t steps, step_limit;
    CUresult fault;
    char message[256];
};

/*
 * Runs all blocks. Returns CUDA_SUCCESS or the error that the context keeps
 * from now on; the message, of size bytes, then says which kernel, line, block
 * and thread it was.
 */
CUresult sim_launch_run(struct launch *launch, char *message, size_t size);

void warp_fault(struct warp *warp, const struct op *op, unsigned int lane, CUresult code, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Lanes leave the group for good, or wait. For the control operations. */
void warp_exit(struct warp *warp, uint32_t lanes);
void warp_split(struct warp *warp, uint32_t lanes, uint32_t pc);
bool warp_call(struct warp *warp, const struct op *op, uint32_t lanes, uint32_t function);
void warp_return(struct warp *warp, uint32_t lanes);
/* True when the lanes, and those that waited here, may go on as warp->mask. */
uint32_t warp_meet(struct warp *warp, uint32_t lanes, uint32_t members);
void warp_barrier(struct warp *warp, const struct op *op, uint32_t lanes, uint32_t id, uint32_t count, bool waits);

/* Where size bytes at an address are, or NULL with the fault set. */
void *warp_pointer_slow(struct warp *warp, const struct op *op, unsigned int lane, unsigned int space, uint64_t address,
                        unsigned int size);

/* A string of the program, NULL with the fault set when it is not readable. */
const char *warp_string(struct warp *warp, const struct op *op, unsigned int lane, uint64_t address);

/* Builtins: what device code may call without defining it. */
op_fn sim_builtin_find(const char *name);

/* Compiles a parsed module; memory addresses come from the loader. */
struct sim_addresses {
    const uint64_t *variables; /* by index in ptx_module.variables */
};

struct sim_code *sim_code_create(struct ptx_module *module, const struct sim_addresses *addresses, struct ptx_log *log);
void sim_code_destroy(struct sim_code *code);

#endif
