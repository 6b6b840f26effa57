/* SPDX-License-Identifier: MIT */
/*
 * The state of one compilation. resolve.c turns names into slots, offsets and
 * addresses; compile.c goes through functions and instructions.
 */
#ifndef SIM_RESOLVE_H
#define SIM_RESOLVE_H

#include "decode.h"

#define RESOLVER_MAX_SLOTS (1u << 18)

enum symbol_kind {
    SYMBOL_REGISTERS,
    SYMBOL_REGISTER,
    SYMBOL_VARIABLE,
    SYMBOL_SHARED,
    SYMBOL_FRAME,
    SYMBOL_PARAM
};

struct symbol {
    enum symbol_kind kind;
    const struct ptx_variable *variable;
    uint32_t slot;  /* register */
    uint64_t value; /* address, offset, or number of the shared variable */
};

/* A growing array outside the arena. */
struct vector {
    void *data;
    uint32_t count, capacity;
};

struct resolver {
    struct ptx_module *module;
    struct ptx_log *log;
    const struct sim_addresses *addresses;
    struct sim_code *code;
    const struct ptx_function **sources; /* by function number */
    const struct ptx_function *source;   /* now */
    struct sim_function *function;
    struct ptx_map names;     /* (name, scope) to symbol: module */
    struct ptx_map locals;    /* the same of the function, emptied after each */
    struct ptx_map functions; /* name to function number */
    struct ptx_map labels;    /* (name, scope) to label number */
    struct ptx_map constants; /* value to slot */
    uint32_t ones_slot;       /* of the value that a map cannot hold */
    struct vector symbols, ops, lists, constant_list, calls, shared;
    struct vector fixups; /* ops whose target is a label */
    struct vector list_fixups;
    uint32_t module_symbols;
    uint32_t slots, local_size;
    uint32_t *at; /* instruction to op */
};

void *resolver_vector_add(struct vector *v, size_t element);
bool resolver_vector_push(struct vector *v, uint32_t value);
bool resolver_out_of_memory(struct resolver *r);
const char *resolver_text(const struct resolver *r, uint32_t name);
uint64_t resolver_pair(uint32_t name, uint32_t scope);
struct symbol *
resolver_add_symbol(struct resolver *r, struct ptx_map *map, uint32_t name, uint32_t scope, struct symbol symbol);
bool resolver_new_slot(struct resolver *r, uint32_t *slot);
struct symbol *resolver_find_symbol(struct resolver *r, uint32_t name, uint32_t scope);
struct op resolver_blank_op(const struct ptx_instruction *in);
bool decode_unknown_name(struct decoder *d, uint32_t name);

#endif
