/* SPDX-License-Identifier: MIT */
/*
 * From an instruction's text to an operation. Each ops_*.c has a table of
 * families; a family either lists plain operations by type (rows), or decodes
 * its operands itself.
 *
 * The key of a row is the mnemonic with those modifiers that change the
 * operation, "mad.wide", "shf.l.clamp", "add.cc"; the others (rounding, .ftz,
 * cache hints, ...) are fields of struct mods.
 */
#ifndef SIM_DECODE_H
#define SIM_DECODE_H

#include "exec.h"

#define MODS_MAX 16

enum mod_op {
    MOD_OP_NONE,
    MOD_ADD,
    MOD_MIN,
    MOD_MAX,
    MOD_INC,
    MOD_DEC,
    MOD_CAS,
    MOD_EXCH,
    MOD_AND,
    MOD_OR,
    MOD_XOR,
    MOD_POPC
};

enum mod_cmp {
    CMP_NONE,
    CMP_EQ,
    CMP_NE,
    CMP_LT,
    CMP_LE,
    CMP_GT,
    CMP_GE,
    CMP_EQU,
    CMP_NEU,
    CMP_LTU,
    CMP_LEU,
    CMP_GTU,
    CMP_GEU,
    CMP_NUM,
    CMP_NAN
};

struct mods {
    char key[48];
    const char *words[MODS_MAX];
    uint8_t lengths[MODS_MAX];
    unsigned int count;
    enum ptx_type types[4];
    unsigned int type_count;
    enum sim_round round;
    bool integral; /* rni, rzi, ...: to an integral value */
    bool ftz, sat, relu;
    enum mod_op op;
    enum mod_cmp cmp;
    enum ptx_space space;
    unsigned int vector;
};

struct decoder;

#define TYPE_BIT(t) (1u << PTX_##t)

struct op_row {
    const char *key;
    uint32_t types; /* TYPE_BIT of those it is for, of the first type named */
    op_fn fn;
    uint8_t sources;
};

struct op_family {
    const char *mnemonic;
    bool (*decode)(struct decoder *d);
};

struct op_set {
    const struct op_row *rows;        /* ends with key NULL */
    const struct op_family *families; /* ends with mnemonic NULL */
};

extern const struct op_set ops_int, ops_compare, ops_float, ops_half, ops_cvt, ops_memory, ops_atomic, ops_warp,
    ops_control;

struct decoder {
    struct resolver *resolver;
    const struct ptx_instruction *in;
    struct mods mods;
    struct op op;
    uint32_t next; /* operand to take next */
};

bool mods_parse(struct mods *mods, const char *opcode);
bool mods_has(const struct mods *mods, const char *word);

/* Each takes the next operand; false with the log set when it does not fit. */
bool take_destination(struct decoder *d, uint32_t *slot);
bool take_source(struct decoder *d, enum ptx_type type, uint32_t *slot);
bool take_predicate(struct decoder *d, uint32_t *slot);
bool take_address(struct decoder *d);
/* { a, b }, or one operand as a list of one; slots go into the lists. */
bool take_destination_list(struct decoder *d);
bool take_source_list(struct decoder *d, enum ptx_type type);
bool take_label(struct decoder *d);
bool take_branch_table(struct decoder *d);
bool take_call(struct decoder *d);
bool next_is_paired(const struct decoder *d);
bool more_operands(const struct decoder *d);
const struct ptx_operand *peek_operand(const struct decoder *d);

/* An operation ahead of this one, and a slot for what it makes. */
bool decode_emit_before(struct decoder *d, const struct op *op);
bool decode_temporary(struct decoder *d, uint32_t *slot);
bool decode_constant(struct decoder *d, uint64_t value, uint32_t *slot);

bool decode_unsupported(struct decoder *d);
bool decode_bad(struct decoder *d, const char *what);
bool decode_in_kernel(const struct decoder *d);

/* Operations that the resolver itself inserts. */
op_fn op_special_find(const char *name, uint32_t *symbol);
void op_move_not_predicate(struct warp *w, const struct op *op, uint32_t m);
void op_shared_address(struct warp *w, const struct op *op, uint32_t m);
void op_frame_address(struct warp *w, const struct op *op, uint32_t m);
void op_end(struct warp *w, const struct op *op, uint32_t m);

#endif
