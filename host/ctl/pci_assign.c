/* SPDX-License-Identifier: MIT */
/*
 * gpuvchanctl pci assign: takes a card from its drivers, so that a domain can have it.
 *
 * Design notes
 *
 * Everything that can refuse is asked before anything is changed. Then each step puts what undoes it on a
 * list before it begins, since a step that fails may have done a part. A failure or a signal between steps
 * undoes the list from its end. What a crash leaves is undone by `release`, from the records in /run.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pci.h"
#include "pci_bind.h"
#include "pci_check.h"
#include "pci_record.h"
#include "xl_config.h"

#define FUNCTIONS 8

struct assignment {
    struct ctl *ctl;
    struct pci_device *functions[FUNCTIONS]; /* all of the card */
    size_t count;
    const char *domain, *config;
    bool permissive, attach;
    struct undo {
        void (*back)(struct assignment *assignment, struct pci_device *function);
        struct pci_device *function;
    } undo[3 * FUNCTIONS + 1];
    size_t undos;
};

/* ---- Signals --------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void
interrupt(int signal)
{
    interrupted = signal;
}

static void
catch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = interrupt};

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed terminal must not end it in the middle */
}

static bool
stopped(void)
{
    if (interrupted)
        complain("stopped by a signal; what was done is undone");
    return interrupted != 0;
}

/* ---- Undoing --------------------------------------------------------------------------------- */

static void
will_undo(struct assignment *assignment, void (*back)(struct assignment *, struct pci_device *),
          struct pci_device *function)
{
    assignment->undo[assignment->undos++] = (struct undo){back, function};
}

static void
undo_all(struct assignment *assignment)
{
    while (assignment->undos > 0) {
        const struct undo *undo = &assignment->undo[--assignment->undos];

        undo->back(assignment, undo->function);
    }
}

static void
undo_load(struct assignment *assignment, struct pci_device *function)
{
    (void)assignment;
    (void)function;
    pci_unload_back();
}

static void
undo_take(struct assignment *assignment, struct pci_device *function)
{
    char driver[PCI_DRIVER], says[XL_SAYS];

    pci_record_read(assignment->ctl, function->address, driver);
    if (pci_give_back(assignment->ctl, function, driver, says) == 0) {
        pci_record_remove(assignment->ctl, function->address);
        fprintf(stderr, "%s: bound to %s again\n", function->address, driver[0] ? driver : "no driver");
    } else {
        complain("%s could not be bound to %s again: %s. Do: gpuvchanctl pci release %s", function->address,
                 driver[0] ? driver : "no driver", says, function->address);
    }
}

static void
undo_attach(struct assignment *assignment, struct pci_device *function)
{
    char says[XL_SAYS];

    xl_run(says, "pci-detach", assignment->domain, function->address, NULL);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static int
load(struct assignment *assignment)
{
    char says[XL_SAYS];
    bool loaded;

    if (pci_load_back(assignment->ctl, &loaded, says) != 0) {
        complain("modprobe xen-pciback: %s. The kernel of Dom0 needs CONFIG_XEN_PCIDEV_BACKEND", says);
        return 1;
    }
    if (loaded)
        will_undo(assignment, undo_load, NULL);
    return 0;
}

static int
take(struct assignment *assignment, struct pci_device *function)
{
    char driver[PCI_DRIVER], says[XL_SAYS];
    int error = 0;

    if (strcmp(function->driver, PCIBACK) == 0)
        return 0;
    /* What an earlier attempt that crashed has noted is the truth; that nothing is bound now is its doing. */
    if (function->driver[0] || !pci_record_read(assignment->ctl, function->address, driver)) {
        snprintf(driver, sizeof(driver), "%s", function->driver);
        error = pci_record_write(assignment->ctl, function->address, driver);
    }
    if (error != 0) {
        complain("/run/gpuvchan/pci/%s: %s", function->address, strerror(-error));
        return 1;
    }
    will_undo(assignment, undo_take, function);
    if (pci_take(assignment->ctl, function, says) != 0) {
        complain("%s could not be made assignable: %s", function->address, says);
        return 1;
    }
    printf("%s: taken from %s, assignable\n", function->address, driver[0] ? driver : "no driver");
    return 0;
}

static void
entry_of(const struct assignment *assignment, const struct pci_device *function, char entry[40])
{
    snprintf(entry, 40, "%s%s", function->address, assignment->permissive ? ",permissive=1" : "");
}

static int
attach(struct assignment *assignment, struct pci_device *function)
{
    char entry[40], says[XL_SAYS];

    entry_of(assignment, function, entry);
    will_undo(assignment, undo_attach, function);
    if (xl_run(says, "pci-attach", assignment->domain, entry, NULL) != 0) {
        complain("%s could not be attached to '%s': %s. Is xen-pcifront loaded there? Without --domain it is only made "
                 "assignable, and the domain "
                 "has it from its next start",
                 function->address, assignment->domain, says);
        return 1;
    }
    printf("%s: attached to '%s'\n", function->address, assignment->domain);
    return 0;
}

static int
write_config(struct assignment *assignment)
{
    char entries[FUNCTIONS][40], says[XL_SAYS];
    const char *list[FUNCTIONS + 1] = {NULL};
    bool changed;

    for (size_t i = 0; i < assignment->count; i++) {
        entry_of(assignment, assignment->functions[i], entries[i]);
        list[i] = entries[i];
    }
    if (xl_config_add_pci(assignment->config, list, &changed, says) != 0) {
        complain("%s: %s", assignment->config, says);
        return 1;
    }
    if (changed)
        printf("%s: has the card now; what it was is in %s.bak\n", assignment->config, assignment->config);
    else
        printf("%s: had the card already\n", assignment->config);
    return 0;
}

static int
do_steps(struct assignment *assignment)
{
    if (load(assignment) != 0)
        return 1;
    for (size_t i = 0; i < assignment->count; i++)
        if (stopped() || take(assignment, assignment->functions[i]) != 0)
            return 1;
    for (size_t i = 0; assignment->attach && i < assignment->count; i++)
        if (stopped() || attach(assignment, assignment->functions[i]) != 0)
            return 1;
    if (stopped())
        return 1;
    return assignment->config ? write_config(assignment) : 0;
}

/* ---- The command ----------------------------------------------------------------------------- */

static int
check(struct assignment *assignment)
{
    bool taken = true;

    if (assignment->config && pci_check_config(assignment->config) != 0)
        return 1;
    for (size_t i = 0; i < assignment->count; i++) {
        if (pci_check_function(assignment->ctl, assignment->functions[i]) != 0)
            return 1;
        taken &= strcmp(assignment->functions[i]->driver, PCIBACK) == 0;
    }
    return taken ? 0 : pci_check_iommu();
}

static void
print_lines(const struct assignment *assignment)
{
    puts("For the configuration of the domain that gets it:\n\n"
         "    type = \"pv\"  # or \"hvm\"; libxl gives no PCI devices to \"pvh\"");
    fputs("    pci = [", stdout);
    for (size_t i = 0; i < assignment->count; i++) {
        char entry[40];

        entry_of(assignment, assignment->functions[i], entry);
        printf("%s'%s'", i ? ", " : "", entry);
    }
    puts("]\n"
         "    # memory and maxmem must be the same: a device needs all of it from the start\n"
         "\n"
         "For guests' arenas of more than 512 MiB in all, or 112 MiB in one guest, put this on Xen's command line,\n"
         "without which no domain starts that has the lines below it:\n\n"
         "    gnttab_max_frames=256 gnttab_max_maptrack_frames=4096\n\n"
         "    max_maptrack_frames = 4096  # for this domain: it maps its guests' arenas\n"
         "    max_grant_frames = 256      # for its guests: they grant them");
}

/* The domain that has any of the card, or NULL. */
static const struct pci_device *
owned(const struct assignment *assignment)
{
    for (size_t i = 0; i < assignment->count; i++)
        if (assignment->functions[i]->domain >= 0)
            return assignment->functions[i];
    return NULL;
}

static int
already(struct assignment *assignment, const struct pci_device *function)
{
    if (assignment->domain && strcmp(assignment->domain, function->domain_name) != 0) {
        complain("%s is in use by domain '%s' (%d). Do: xl shutdown %s, or xl pci-detach %s %s", function->address,
                 function->domain_name, function->domain, function->domain_name, function->domain_name,
                 function->address);
        return 1;
    }
    printf("%s is assigned already, to domain '%s' (%d)\n", function->address, function->domain_name, function->domain);
    return assignment->config ? write_config(assignment) : 0;
}

static bool
all_taken(const struct assignment *assignment)
{
    for (size_t i = 0; i < assignment->count; i++)
        if (strcmp(assignment->functions[i]->driver, PCIBACK) != 0)
            return false;
    return true;
}

static int
assign(struct assignment *assignment)
{
    const struct pci_device *function = owned(assignment);
    char says[XL_SAYS];

    if (function)
        return already(assignment, function);
    if (check(assignment) != 0)
        return 1;
    if (all_taken(assignment))
        printf("%s is assignable already\n", assignment->functions[0]->address);
    assignment->attach = assignment->domain && xl_run(says, "domid", assignment->domain, NULL, NULL) == 0;
    if (assignment->domain && !assignment->attach)
        printf("domain '%s' does not run: it gets the card when it starts\n", assignment->domain);
    catch_signals();
    if (do_steps(assignment) != 0) {
        undo_all(assignment);
        return 1;
    }
    if (!assignment->config)
        print_lines(assignment);
    return 0;
}

static int
assign_to(struct assignment *assignment, struct pci_devices *devices, const struct pci_device *wanted)
{
    for (size_t i = 0; i < devices->count && assignment->count < FUNCTIONS; i++)
        if (pci_same_slot(&devices->items[i], wanted))
            assignment->functions[assignment->count++] = &devices->items[i];
    if (pci_read_owners(assignment->ctl, devices) != 0) {
        complain("xenstored does not answer, so whether a domain has %s is not known; is it running?", wanted->address);
        return 1;
    }
    return assign(assignment);
}

int
pci_assign_command(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {CTL_OPTIONS,
                                            {"domain", required_argument, NULL, 'd'},
                                            {"permissive", no_argument, NULL, 'p'},
                                            {"config", required_argument, NULL, 'c'},
                                            {0}};
    struct assignment assignment = {.ctl = ctl};
    struct pci_devices devices;
    const struct pci_device *wanted;
    int option, result = 1;

    while ((option = getopt_long(argc, argv, "c:d:hp", options, NULL)) != -1) {
        if (option == 'd')
            assignment.domain = optarg;
        else if (option == 'c')
            assignment.config = optarg;
        else if (option == 'p')
            assignment.permissive = true;
        else if (option == CTL_OPTION_ROOT)
            ctl->root = optarg;
        else
            return 1;
    }
    pci_scan(ctl, &devices);
    wanted = pci_of_arguments(&devices, argc - optind, argv + optind);
    if (wanted && pci_may_change(ctl))
        result = assign_to(&assignment, &devices, wanted);
    pci_devices_free(&devices);
    return result;
}
