/* SPDX-License-Identifier: MIT */
/*
 * The words of an opcode. A word that no table knows makes the instruction
 * unsupported: nothing is guessed.
 */
#include "decode.h"

#include <stdio.h>
#include <string.h>

/* Words that choose another operation; they become part of the key. */
static const char *const key_words[] = {
    "lo",  "hi",  "wide", "cc",  "l",   "r",    "clamp", "wrap",   "shiftamt",
    "f4e", "b4e", "rc8",  "ecl", "ecr", "rc16", "NaN",   "approx", "full",
};

/* Words that a family looks for by itself, or that change nothing here. */
static const char *const plain_words[] = {
    "volatile",
    "relaxed",
    "acquire",
    "release",
    "acq_rel",
    "sc",
    "weak",
    "mmio",
    "cta",
    "cluster",
    "gpu",
    "sys",
    "gl",
    "ca",
    "cg",
    "cs",
    "lu",
    "cv",
    "wb",
    "wt",
    "nc",
    "to",
    "sync",
    "aligned",
    "uni",
    "up",
    "down",
    "bfly",
    "idx",
    "all",
    "any",
    "ballot",
    "warp",
    "arrive",
    "wait",
    "red",
    "finite",
    "infinite",
    "number",
    "notanumber",
    "normal",
    "subnormal",
    "noftz",
    "async",
    "bulk",
    "commit_group",
    "wait_group",
    "wait_all",
    "mbarrier",
    "proxy",
    "alias",
    "tensormap",
    "mbarrier_init",
    "L1::evict_normal",
    "L1::evict_unchanged",
    "L1::evict_first",
    "L1::evict_last",
    "L1::no_allocate",
    "L2::evict_normal",
    "L2::evict_first",
    "L2::evict_last",
    "L2::64B",
    "L2::128B",
    "L2::256B",
    "L2::cache_hint",
    "L1",
    "L2",
    "fractional",
    "range",
    "launch_dependents",
    "inc",
    "dec",
    "level",
    "unified",
    "evict_normal",
    "L2::evict_unchanged",
};

static const struct {
    const char *word;
    enum sim_round round;
    bool integral;
} rounds[] = {
    {"rn", ROUND_RN, false}, {"rz", ROUND_RZ, false},   {"rm", ROUND_RM, false},
    {"rp", ROUND_RP, false}, {"rna", ROUND_RNA, false}, {"rni", ROUND_RN, true},
    {"rzi", ROUND_RZ, true}, {"rmi", ROUND_RM, true},   {"rpi", ROUND_RP, true},
};

static const struct {
    const char *word;
    enum mod_op op;
} operations[] = {
    {"add", MOD_ADD},   {"min", MOD_MIN}, {"max", MOD_MAX}, {"inc", MOD_INC}, {"dec", MOD_DEC},   {"cas", MOD_CAS},
    {"exch", MOD_EXCH}, {"and", MOD_AND}, {"or", MOD_OR},   {"xor", MOD_XOR}, {"popc", MOD_POPC},
};

static const struct {
    const char *word;
    enum mod_cmp cmp;
} comparisons[] = {
    {"eq", CMP_EQ},   {"ne", CMP_NE},   {"lt", CMP_LT},   {"le", CMP_LE},   {"gt", CMP_GT},   {"ge", CMP_GE},
    {"lo", CMP_LT},   {"ls", CMP_LE},   {"hi", CMP_GT},   {"hs", CMP_GE},   {"equ", CMP_EQU}, {"neu", CMP_NEU},
    {"ltu", CMP_LTU}, {"leu", CMP_LEU}, {"gtu", CMP_GTU}, {"geu", CMP_GEU}, {"num", CMP_NUM}, {"nan", CMP_NAN},
};

static const struct {
    const char *word;
    enum ptx_space space;
} spaces[] = {
    {"global", PTX_GLOBAL},     {"shared", PTX_SHARED}, {"shared::cta", PTX_SHARED}, {"shared::cluster", PTX_SHARED},
    {"local", PTX_LOCAL},       {"const", PTX_CONST},   {"param", PTX_PARAM},        {"param::entry", PTX_PARAM},
    {"param::func", PTX_PARAM},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static bool
is_word(const char *word, size_t length, const char *known)
{
    return strncmp(word, known, length) == 0 && known[length] == '\0';
}

static bool
add_key(struct mods *mods, const char *word, size_t length)
{
    size_t used = strlen(mods->key);

    if (used + length + 2 > sizeof mods->key)
        return false;
    snprintf(mods->key + used, sizeof mods->key - used, ".%.*s", (int)length, word);
    return true;
}

static bool
take_key_word(struct mods *mods, const char *word, size_t length)
{
    size_t i;

    for (i = 0; i < COUNT(key_words); i++)
        if (is_word(word, length, key_words[i]))
            return add_key(mods, word, length);
    return false;
}

static bool
take_type_or_vector(struct mods *mods, const char *word, size_t length)
{
    enum ptx_type type = ptx_type_find(word, length);

    if (type != PTX_NOTYPE) {
        if (mods->type_count == COUNT(mods->types))
            return false;
        mods->types[mods->type_count++] = type;
        return true;
    }
    if (length == 2 && word[0] == 'v' && (word[1] == '2' || word[1] == '4' || word[1] == '8')) {
        mods->vector = (unsigned int)(word[1] - '0');
        return true;
    }
    return false;
}

static bool
take_flag(struct mods *mods, const char *word, size_t length)
{
    size_t i;
    bool known = true;

    if (is_word(word, length, "ftz"))
        mods->ftz = true;
    else if (is_word(word, length, "sat") || is_word(word, length, "satfinite"))
        mods->sat = true;
    else if (is_word(word, length, "relu"))
        mods->relu = true;
    else
        known = false;
    for (i = 0; i < COUNT(rounds) && !known; i++)
        if (is_word(word, length, rounds[i].word)) {
            mods->round = rounds[i].round;
            mods->integral = rounds[i].integral;
            known = true;
        }
    for (i = 0; i < COUNT(spaces) && !known; i++)
        if (is_word(word, length, spaces[i].word)) {
            if (!mods->space)
                mods->space = spaces[i].space;
            known = true;
        }
    return known;
}

static bool
take_word(struct mods *mods, const char *word, size_t length)
{
    bool known = take_key_word(mods, word, length);
    size_t i;

    /* lo and hi are halves of a product as well as comparisons */
    for (i = 0; i < COUNT(comparisons); i++)
        if (is_word(word, length, comparisons[i].word)) {
            mods->cmp = comparisons[i].cmp;
            known = true;
        }
    for (i = 0; i < COUNT(operations); i++)
        if (is_word(word, length, operations[i].word)) {
            mods->op = operations[i].op;
            known = true;
        }
    if (known || take_type_or_vector(mods, word, length) || take_flag(mods, word, length))
        return true;
    for (i = 0; i < COUNT(plain_words); i++)
        if (is_word(word, length, plain_words[i]))
            return true;
    return false;
}

bool
mods_has(const struct mods *mods, const char *word)
{
    unsigned int i;

    for (i = 0; i < mods->count; i++)
        if (is_word(mods->words[i], mods->lengths[i], word))
            return true;
    return false;
}

bool
mods_parse(struct mods *mods, const char *opcode)
{
    size_t length = strcspn(opcode, ".");

    memset(mods, 0, sizeof *mods);
    if (length >= sizeof mods->key)
        return false;
    memcpy(mods->key, opcode, length);
    opcode += length;
    while (*opcode == '.') {
        length = strcspn(++opcode, ".");
        if (mods->count == MODS_MAX || length > UINT8_MAX || !take_word(mods, opcode, length))
            return false;
        mods->words[mods->count] = opcode;
        mods->lengths[mods->count++] = (uint8_t)length;
        opcode += length;
    }
    if (mods->sat && mods->type_count && (mods->types[0] == PTX_S32) && mods->key[0] != 'c')
        return add_key(mods, "sat", 3);
    return true;
}
