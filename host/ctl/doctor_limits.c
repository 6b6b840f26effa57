/* SPDX-License-Identifier: MIT */
/* The doctor on what may be granted and mapped. A guest grants, and the host maps. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "xl.h"

#define ARENA_PAGES ((64u << 20) / XEN_LIMITS_PAGE) /* the arena that a guest's program has by default */
#define GNTDEV_LEAST 1024u                          /* pages that the host maps at a time */
#define MAPTRACK_FRAMES 1024u
#define MAPTRACK_ENTRIES 256u /* of a frame */

static uint64_t
mib(uint64_t pages)
{
    return pages * XEN_LIMITS_PAGE >> 20;
}

static const char *
assumed(const struct doctor *doctor)
{
    return doctor->facts.frames_known ? ""
                                      : " (Xen's default, for want of an answer: if there are N, as root: "
                                        "xenstore-write data/gpuvchan/frames N)";
}

/* ---- Guest ----------------------------------------------------------------------------------- */

static void
check_grantable(struct doctor *doctor)
{
    char why[XEN_LIMITS_WHY];
    uint64_t pages = gpuvchan__xen_judge(&doctor->facts, ARENA_PAGES, why, sizeof(why));

    if (!doctor->facts.gntalloc)
        report_fail(&doctor->report, "granting", "%s", why);
    else if (pages < ARENA_PAGES)
        report_warn(&doctor->report, "granting",
                    "the arena of a program will have less than %" PRIu64 " KiB instead of %" PRIu64 " MiB: %s",
                    pages * (XEN_LIMITS_PAGE / 1024), mib(ARENA_PAGES), why);
    else if (why[0])
        report_warn(&doctor->report, "granting", "%s", why);
    else
        report_ok(&doctor->report, "granting", "arenas of %" PRIu64 " MiB in all", mib(doctor->facts.gntalloc_limit));
}

static void
check_frames(struct doctor *doctor)
{
    const struct gpuvchan__xen_facts *facts = &doctor->facts;
    uint32_t frames = gpuvchan__xen_frames_for(facts, ARENA_PAGES);
    uint64_t safe = gpuvchan__xen_safe_grants(facts);

    if (safe < gpuvchan__xen_grants_for(ARENA_PAGES))
        report_warn(&doctor->report, "grant table",
                    "%" PRIu32 " frames%s, for arenas of %" PRIu64 " MiB in all. Do: put max_grant_frames=%" PRIu32
                    " into the guest's xl.cfg and gnttab_max_frames=%" PRIu32
                    " on Xen's command line, and restart both",
                    facts->frames_max, assumed(doctor), mib(safe), frames, frames);
    else
        report_ok(&doctor->report, "grant table", "%" PRIu32 " frames%s, for arenas of %" PRIu64 " MiB in all",
                  facts->frames_max, assumed(doctor), mib(safe));
}

/* ---- Host ------------------------------------------------------------------------------------ */

static void
check_gntdev(struct doctor *doctor)
{
    uint64_t limit = doctor->facts.gntdev_limit;

    if (!doctor->facts.gntdev)
        return; /* its device was missed already */
    if (limit < GNTDEV_LEAST)
        report_warn(
            &doctor->report, "mapping",
            "one request may map %" PRIu64 " pages, and %u are needed. Do: echo 65536 > "
            "/sys/module/xen_gntdev/parameters/limit; for the next start: echo 'options xen-gntdev limit=65536' > "
            "/etc/modprobe.d/gpuvchan-host.conf",
            limit, GNTDEV_LEAST);
    else
        report_ok(&doctor->report, "mapping", "%" PRIu64 " MiB at a time", mib(limit));
}

/* A number on Xen's command line, as NAME=N. Later ones count. */
static unsigned long
xen_option(const char *line, const char *name, unsigned long otherwise)
{
    size_t length = strlen(name);

    for (const char *at = line; (at = strstr(at, name)); at += length)
        if ((at == line || at[-1] == ' ') && at[length] == '=')
            otherwise = strtoul(at + length + 1, NULL, 0);
    return otherwise;
}

/* A PV Dom0 tracks each page that it maps twice: for the kernel and for the program. */
static void
check_maptrack(struct doctor *doctor)
{
    bool pv = strcmp(doctor->facts.type, "PV") == 0 || !doctor->facts.type[0], asked = false;
    unsigned long frames = MAPTRACK_FRAMES;
    uint64_t pages;
    char line[1024];

    if (doctor->facts.control && xl_info("xen_commandline", line, sizeof(line))) {
        asked = true;
        frames = xen_option(line, "gnttab_max_maptrack_frames", frames);
    }
    pages = (uint64_t)frames * MAPTRACK_ENTRIES / (pv ? 2 : 1);
    if (pages < 2 * ARENA_PAGES)
        report_warn(&doctor->report, "map tracking",
                    "%lu frames are enough for guests' arenas of %" PRIu64 " MiB in all. "
                    "Do: put gnttab_max_maptrack_frames=4096 on Xen's command line, and restart",
                    frames, mib(pages));
    else
        report_ok(&doctor->report, "map tracking",
                  "%lu frames%s, for guests' arenas of %" PRIu64 " MiB in all; more: %s", frames,
                  asked ? "" : " (Xen's default)", mib(pages),
                  doctor->facts.control ? "gnttab_max_maptrack_frames=N on Xen's command line"
                                        : "max_maptrack_frames=N in this domain's xl.cfg, and no less on Xen's "
                                          "command line as gnttab_max_maptrack_frames=N");
}

/* What guests may have at most, whatever their configuration says. */
static void
check_guest_frames(struct doctor *doctor)
{
    unsigned long frames;
    char line[1024];

    if (!doctor->facts.control || !xl_info("xen_commandline", line, sizeof(line)))
        return;
    frames = xen_option(line, "gnttab_max_frames", XEN_LIMITS_FRAMES_DEFAULT);
    report_ok(&doctor->report, "guests' grant tables",
              "at most %lu frames each, which is %lu MiB; more: gnttab_max_frames=N on Xen's command line", frames,
              frames * 2);
}

void
doctor_limits(struct doctor *doctor)
{
    if (doctor->guest) {
        check_grantable(doctor);
        check_frames(doctor);
    }
    if (doctor->host) {
        check_gntdev(doctor);
        check_maptrack(doctor);
        check_guest_frames(doctor);
    }
}
