/* SPDX-License-Identifier: MIT */
/*
 * The protocol that the tests of the core speak, without the scanner: a plugin that remembers what was
 * executed in which order, and a guest's calls to it.
 */
#ifndef TESTS_SUBJECT_H
#define TESTS_SUBJECT_H

#include <gpuvchan/plugin.h>

enum subject_opcode {
    SUBJECT_NOTE = 1, /* remembers value */
    SUBJECT_FAIL,     /* returns the status in value */
    SUBJECT_ECHO,     /* replies its payload */
    SUBJECT_NOTES,    /* replies the notes from number value on */
    SUBJECT_SLEEP,    /* for value milliseconds */
    SUBJECT_BLOCK,    /* until value releases have come */
    SUBJECT_RELEASE,
    SUBJECT_SIGNAL,  /* writes completion word `index` */
    SUBJECT_FILL,    /* fills the reference with the byte in value */
    SUBJECT_REPLY,   /* replies value bytes */
    SUBJECT_LANE,    /* replies struct subject_lane */
    SUBJECT_CORRUPT, /* says that the guest is corrupt */
    SUBJECT_DIE,     /* ends the process */
    SUBJECT_OPCODES
};

struct subject_request {
    uint64_t value;
    uint64_t index;
    struct gpuvchan_reference reference;
};

struct subject_lane {
    uint32_t lane, number; /* of the lane, and which of all that were opened */
    uint32_t opened, closed;
};

#define SUBJECT_NOTES_MAX (1u << 20)

extern const struct gpuvchan_protocol subject_protocol;
extern const struct gpuvchan_plugin subject_plugin;
/** The same handlers under another name. */
extern const struct gpuvchan_protocol second_protocol;
extern const struct gpuvchan_plugin second_plugin;
/** Its open fails. */
extern const struct gpuvchan_plugin broken_plugin;
extern const struct gpuvchan_protocol broken_protocol;

/** Guest: one record on the calling thread's lane. */
int subject_post(const struct gpuvchan_client *client, uint16_t opcode, uint64_t value);
int subject_call(const struct gpuvchan_client *client, uint16_t opcode, uint64_t value);
int subject_send(const struct gpuvchan_client *client, uint16_t opcode, bool call, const void *payload, size_t bytes,
                 const void **reply, uint32_t *reply_bytes);
/** Number of notes executed, or a negative errno value; copies at most @p room of them from number @p from on. */
int64_t subject_notes(const struct gpuvchan_client *client, uint64_t from, uint64_t *notes, size_t room);

#endif
