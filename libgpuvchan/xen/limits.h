/* SPDX-License-Identifier: MIT */
/*
 * What Xen and the kernel allow a guest to share, and what to do when it is too little.
 *
 * Two limits stand in the way of a guest that grants pages:
 *   - gntalloc's `limit` counts the pages of all programs of the domain. Beyond it the kernel refuses, and
 *     nothing else happens.
 *   - The grant table holds so many frames, of 512 entries each. Beyond them gntalloc refuses everything,
 *     even one page, until the module is loaded anew. So this limit must never be met: it is computed first,
 *     and a part of the table is left to the drivers of disk and network.
 *
 * Links no library of Xen: libxencall, which asks for the size of the grant table, is loaded if it is there.
 * All files are read below the folder `root`, "" for the real ones.
 */
#ifndef GPUVCHAN_XEN_LIMITS_H
#define GPUVCHAN_XEN_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XEN_LIMITS_PAGE 4096u
#define XEN_LIMITS_FRAMES_DEFAULT 64u /* Xen's, for a guest whose configuration says nothing */
#define XEN_LIMITS_GNTALLOC_DEFAULT 1024u
#define XEN_LIMITS_DRIVERS 4096u       /* entries of the grant table that are left to the other drivers */
#define XEN_LIMITS_CHANNEL 16u         /* granted pages of a channel beside its region: vchan's rings, rounded up */
#define XEN_LIMITS_PER_DIRECTORY 1024u /* references in a directory page, which is granted, too */
#define XEN_LIMITS_WHY 768u            /* bytes that hold every explanation */

#define XEN_LIMITS_ALL (1ull << 32) /* pages, that many or more: as many as there may be */

struct gpuvchan__xen_facts {
    bool xen;                /* runs on Xen */
    bool control;            /* in Dom0 */
    bool gntalloc, gntdev;   /* the modules are loaded */
    bool frames_known;       /* the hypervisor or a node has told; otherwise Xen's default is assumed */
    char version[32];        /* "4.17.7", or "" */
    unsigned major, minor;   /* of the version, or 0 */
    char type[16];           /* "PV", "PVH", "HVM", or "" */
    uint64_t gntalloc_limit; /* pages that all programs of this domain may grant */
    uint64_t gntdev_limit;   /* pages that one request may map */
    uint32_t frames_used;    /* of the grant table; never shrinks */
    uint32_t frames_max;
    uint32_t frame_entries; /* 512, or 256 in tables of version 2 */
};

/* Reads everything above. What cannot be read is 0, "", or the default that is told above. */
void gpuvchan__xen_facts_read(const char *root, struct gpuvchan__xen_facts *facts);

/*
 * The size of a domain's grant table, in frames, from the hypervisor. For Dom0, which may ask about all; a guest
 * may ask about itself (DOMID_SELF), as root and unless its kernel forbids it. Guests that cannot ask look
 * for the number in their node data/gpuvchan/frames of xenstore: Dom0, or their root, may write it there.
 */
bool gpuvchan__xen_frames_of(uint32_t domain, uint32_t *used, uint32_t *most);

/* Entries of the grant table that programs may fill without danger, in the whole domain. */
uint64_t gpuvchan__xen_safe_grants(const struct gpuvchan__xen_facts *facts);

/* Grants that a region of so many pages takes, with its directory and its channel. */
uint64_t gpuvchan__xen_grants_for(uint64_t pages);

/* Frames of the grant table with which a region of so many pages is safe; a multiple of 64. */
uint32_t gpuvchan__xen_frames_for(const struct gpuvchan__xen_facts *facts, uint64_t pages);

/*
 * Pages that a program may grant now, at most `wanted`. When they are fewer, `why` (if not NULL) names the
 * limit, its value, what is needed, and after "Do: " what raises it; XEN_LIMITS_WHY bytes hold that. It is
 * also filled, though the result is `wanted`, when gntalloc's limit lies above what the grant table holds:
 * then several programs together could fill the table. Otherwise it is "". With XEN_LIMITS_ALL wanted it is
 * about the limit that is met first.
 */
uint64_t gpuvchan__xen_judge(const struct gpuvchan__xen_facts *facts, uint64_t wanted, char *why, size_t bytes);

/* The two in one: reads, then judges. Takes some microseconds, and dlopens libxencall at the first time. */
uint64_t gpuvchan__xen_grantable(const char *root, uint64_t wanted_pages, char *why, size_t bytes);

/* Whether a kernel module is loaded or built in; the name has underscores: "xen_gntalloc". */
bool gpuvchan__xen_module_loaded(const char *root, const char *name);

/* The first line of a file below `root`, without its end. 0, or -errno with text "". */
int gpuvchan__xen_file_line(const char *root, const char *path, char *text, size_t bytes);

#endif
