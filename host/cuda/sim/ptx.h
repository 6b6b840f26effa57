/* SPDX-License-Identifier: MIT */
/*
 * PTX text as a tree: what the parser makes and the resolver reads.
 *
 * Invariants:
 *  - Everything hangs on one arena; ptx_module_destroy frees all of it.
 *  - Names are interned: two names are equal when their numbers are.
 *  - The text may come from a hostile guest. Every table is bounded, nothing
 *    recurses deeper than PTX_MAX_NESTING, and memory grows in proportion to
 *    the text, never to a number written in it.
 */
#ifndef SIM_PTX_H
#define SIM_PTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PTX_MAX_TEXT (256u << 20)
#define PTX_MAX_NESTING 64
#define PTX_MAX_OPERANDS 128
#define PTX_MAX_VARIABLE (1ull << 40)

/* What a load has to say: the texts that CU_JIT_*_LOG_BUFFER receive. */
struct ptx_log {
    char text[1024];
    bool unsupported;             /* valid PTX that this device lacks, not a syntax error */
    unsigned int version, target; /* as far as the text told, 90 for 9.0 and sm_90 */
};

void ptx_log_set(struct ptx_log *log, bool unsupported, unsigned int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Memory that is freed as a whole. */
struct ptx_arena {
    struct ptx_chunk *chunks;
    size_t used, size;
};

void *ptx_arena_alloc(struct ptx_arena *arena, size_t size);
void ptx_arena_finish(struct ptx_arena *arena);

/* A growing array in the arena; returns the new element, zeroed, or NULL. */
struct ptx_array {
    void *data;
    uint32_t count, capacity;
};

void *ptx_array_add(struct ptx_arena *arena, struct ptx_array *array, size_t element);

/* Names to numbers, and pairs of numbers to a number. */
struct ptx_map {
    uint64_t *keys;
    uint32_t *values;
    uint32_t count, capacity;
};

#define PTX_NONE UINT32_MAX

uint32_t ptx_map_get(const struct ptx_map *map, uint64_t key);
bool ptx_map_put(struct ptx_map *map, uint64_t key, uint32_t value);
void ptx_map_finish(struct ptx_map *map);

struct ptx_names {
    struct ptx_array texts; /* const char * */
    uint32_t *buckets;
    uint32_t capacity;
};

uint32_t ptx_names_intern(struct ptx_names *names, struct ptx_arena *arena, const char *text, size_t length);
const char *ptx_names_text(const struct ptx_names *names, uint32_t name);

/* Types, in the order of the table in ptx_type.c. */
enum ptx_type {
    PTX_NOTYPE,
    PTX_PRED,
    PTX_B8,
    PTX_B16,
    PTX_B32,
    PTX_B64,
    PTX_B128,
    PTX_U8,
    PTX_U16,
    PTX_U32,
    PTX_U64,
    PTX_S8,
    PTX_S16,
    PTX_S32,
    PTX_S64,
    PTX_F16,
    PTX_F16X2,
    PTX_BF16,
    PTX_BF16X2,
    PTX_F32,
    PTX_F64,
    PTX_U16X2,
    PTX_S16X2,
    PTX_TYPES
};

enum ptx_type ptx_type_find(const char *name, size_t length);
unsigned int ptx_type_size(enum ptx_type type);

enum ptx_space {
    PTX_GENERIC,
    PTX_REG,
    PTX_GLOBAL,
    PTX_SHARED,
    PTX_LOCAL,
    PTX_CONST,
    PTX_PARAM
};

enum ptx_linkage {
    PTX_PRIVATE,
    PTX_VISIBLE,
    PTX_WEAK,
    PTX_EXTERN,
    PTX_COMMON
};

/* Tokens. */
enum ptx_token_kind {
    PTX_TOKEN_END,
    PTX_TOKEN_NAME,
    PTX_TOKEN_DIRECTIVE,
    PTX_TOKEN_INTEGER,
    PTX_TOKEN_FLOAT,
    PTX_TOKEN_FLOAT32,
    PTX_TOKEN_STRING,
    PTX_TOKEN_PUNCTUATION,
    PTX_TOKEN_ERROR
};

struct ptx_token {
    enum ptx_token_kind kind;
    unsigned int line;
    const char *text;
    size_t length;
    uint64_t bits; /* value of a number; a float's bits */
    char punctuation;
};

struct ptx_lexer {
    const char *at, *end;
    unsigned int line;
};

void ptx_lexer_next(struct ptx_lexer *lexer, struct ptx_token *token);

/*
 * An opcode with its modifiers is one word, "ld.global.nc.v4.u32", but a name
 * is not: in "%tid.x" the rest belongs to the name, in "add" to the opcode.
 * Extends the name token by the modifiers that follow it.
 */
void ptx_lexer_extend_opcode(struct ptx_lexer *lexer, struct ptx_token *token);

/* Operands. */
enum ptx_operand_kind {
    PTX_OPERAND_NAME, /* register, symbol or label, plus offset */
    PTX_OPERAND_INTEGER,
    PTX_OPERAND_FLOAT,   /* bits of a double */
    PTX_OPERAND_FLOAT32, /* bits of a float */
    PTX_OPERAND_ADDRESS, /* [name + offset] or [offset] */
    PTX_OPERAND_LIST,    /* { a, b } or ( a, b ) */
    PTX_OPERAND_SINK     /* _ */
};

struct ptx_operand {
    uint8_t kind;
    bool negated;   /* !%p */
    bool paired;    /* the second half of %a|%p */
    uint32_t name;  /* PTX_NONE where there is none */
    uint32_t count; /* of a list */
    uint64_t value; /* number, or offset to add to the name */
    const struct ptx_operand *elements;
};

struct ptx_instruction {
    const char *opcode; /* with all modifiers */
    uint32_t guard;     /* name of a predicate, or PTX_NONE */
    bool guard_negated;
    unsigned int line;
    uint32_t scope;
    uint32_t count;
    const struct ptx_operand *operands;
};

/* Where a name is valid. Scope 0 is the module. */
struct ptx_scope {
    uint32_t parent;
};

struct ptx_initializer {
    uint64_t offset; /* in the variable */
    uint32_t symbol; /* PTX_NONE: bits alone */
    bool generic;
    unsigned int size;
    unsigned int shift; /* mask(): which byte of the address */
    uint64_t bits;
};

/* What a variable refers to. */
enum ptx_reference {
    PTX_NO_REFERENCE,
    PTX_TEXREF,
    PTX_SURFREF
};

struct ptx_variable {
    uint32_t name;
    enum ptx_space space;
    enum ptx_type type;
    enum ptx_reference reference;
    bool managed;
    enum ptx_linkage linkage;
    unsigned int align;
    unsigned int line;
    uint64_t size;      /* in bytes; 0: declared without size */
    uint32_t registers; /* of a register name with <n>: n */
    uint32_t scope;
    uint32_t init_count;
    const struct ptx_initializer *init;
};

struct ptx_label {
    uint32_t name, scope;
    uint32_t at;           /* index of the instruction that follows */
    uint32_t target_count; /* .branchtargets or .calltargets */
    const uint32_t *targets;
};

struct ptx_function {
    uint32_t name;
    bool entry, defined;
    enum ptx_linkage linkage;
    unsigned int line;
    uint32_t scope;
    uint32_t max_threads[3], required_threads[3];
    bool noreturn;
    struct ptx_array returns, params; /* struct ptx_variable */
    struct ptx_array variables;       /* struct ptx_variable, registers included */
    struct ptx_array instructions;    /* struct ptx_instruction */
    struct ptx_array labels;          /* struct ptx_label */
};

struct ptx_module {
    struct ptx_arena arena;
    struct ptx_names names;
    unsigned int version; /* major * 10 + minor */
    unsigned int target;  /* 75 for sm_75 */
    unsigned int address_size;
    struct ptx_array scopes;    /* struct ptx_scope */
    struct ptx_array variables; /* struct ptx_variable, module scope */
    struct ptx_array functions; /* struct ptx_function */
};

/*
 * Parses length bytes of PTX. Returns NULL, with the reason in the log, when
 * the text is no PTX or memory is short.
 */
struct ptx_module *ptx_module_parse(const char *text, size_t length, struct ptx_log *log);
void ptx_module_destroy(struct ptx_module *module);

#define PTX_AT(array, type, index) (&((type *)(array).data)[index])

#endif
