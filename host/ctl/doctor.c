/* SPDX-License-Identifier: MIT */
/* gpuvchanctl doctor: checks what a user needs on this side, and says what to do about what is missing. */
#include "doctor.h"

#include <stdio.h>
#include <string.h>

static void
help(void)
{
    puts("Usage: gpuvchanctl doctor [--host | --guest]\n\n"
         "Checks this system, a line for each thing: 'ok', 'warn' for what limits or surprises, 'FAIL' for\n"
         "what keeps it from working, each with what to do. The status is 1 if anything failed.\n\n"
         "Options:\n"
         "  --host      check for gpuvchan-host: the default in Dom0, and needed in a driver domain\n"
         "  --guest     check for the programs of a guest: the default in other domains\n"
         "  -h, --help  print this and exit\n\n"
         "Without Xen it checks for both, which then share memory by a Unix socket.");
}

static void
choose_side(struct doctor *doctor, bool host, bool guest)
{
    doctor->host = host || (!guest && (doctor->facts.control || !doctor->facts.xen));
    doctor->guest = guest || (!host && !doctor->facts.control);
}

static int
examine(struct doctor *doctor)
{
    report_init(&doctor->report);
    doctor->domain = -1;
    doctor_xen(doctor);
    if (doctor->facts.xen)
        doctor_limits(doctor);
    if (doctor->host)
        doctor_gpu(doctor);
    if (doctor->facts.xen)
        doctor_meeting(doctor);
    /* On Xen a host serves the programs of its own system by the socket, too; a guest does not need it. */
    if (!doctor->facts.xen || doctor->host)
        doctor_local(doctor);
    xenstore_close(doctor->xenstore);
    return report_end(&doctor->report);
}

int
doctor_command(struct ctl *ctl, int argc, char **argv)
{
    enum {
        HOST = CTL_OPTION_OWN,
        GUEST
    };
    static const struct option options[] = {
        CTL_OPTIONS, {"host", no_argument, NULL, HOST}, {"guest", no_argument, NULL, GUEST}, {0}};
    struct doctor doctor = {.ctl = ctl};
    bool host = false, guest = false;
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'h':
            help();
            return 0;
        case CTL_OPTION_ROOT:
            ctl->root = optarg;
            break;
        case HOST:
            host = true;
            break;
        case GUEST:
            guest = true;
            break;
        default:
            return 1;
        }
    }
    if (optind < argc) {
        complain("doctor: '%s' is too much: it takes options alone", argv[optind]);
        return 1;
    }
    gpuvchan__xen_facts_read(ctl->root, &doctor.facts);
    choose_side(&doctor, host, guest);
    return examine(&doctor);
}
