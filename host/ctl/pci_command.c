/* SPDX-License-Identifier: MIT */
/* gpuvchanctl pci: which of its actions is meant. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pci.h"
#include "pci_record.h"
#include "xen/limits.h"

static const struct {
    const char *name;
    ctl_command *run;
} actions[] = {{"list", pci_list_command}, {"assign", pci_assign_command}, {"release", pci_release_command}};

#define COUNT (sizeof(actions) / sizeof(actions[0]))

static void
help(void)
{
    puts("Usage: gpuvchanctl pci list [--all]\n"
         "       gpuvchanctl pci assign ADDRESS [--domain=NAME] [--permissive] [--config=FILE]\n"
         "       gpuvchanctl pci release ADDRESS\n\n"
         "Gives a GPU to a driver domain, and takes it back. For Dom0, as root.\n\n"
         "Actions:\n"
         "  list     GPUs, and what holds each\n"
         "  assign   take a card, with all of its functions, from its drivers, so that a domain can have\n"
         "           it; prints what the domain's configuration needs\n"
         "  release  bind the card's functions to their drivers again\n\n"
         "Options:\n"
         "  -a, --all          list every PCI function, and not GPUs alone\n"
         "  -d, --domain=NAME  attach it to this domain, too, if it runs\n"
         "  -p, --permissive   let the domain write all of the configuration space\n"
         "  -c, --config=FILE  put the card into this configuration of a domain\n"
         "  -h, --help         print this and exit\n\n"
         "ADDRESS looks like 0000:01:00.0 or 01:00.0.");
}

struct pci_device *
pci_of_arguments(const struct pci_devices *devices, int argc, char *const *argv)
{
    char address[PCI_ADDRESS];

    if (argc != 1) {
        complain("%s; 'gpuvchanctl pci list' shows the addresses",
                 argc < 1 ? "the address of a card is missing"
                          : "one address is expected, of any of a card's functions");
        return NULL;
    }
    if (!pci_parse_address(argv[0], address)) {
        complain("'%s' is no address of a PCI function: they look like 0000:01:00.0 or 01:00.0", argv[0]);
        return NULL;
    }
    for (size_t i = 0; i < devices->count; i++)
        if (strcmp(devices->items[i].address, address) == 0)
            return &devices->items[i];
    complain("there is no PCI function %s; 'gpuvchanctl pci list --all' shows what there is", address);
    return NULL;
}

bool
pci_may_change(const struct ctl *ctl)
{
    struct gpuvchan__xen_facts facts;
    int error;

    gpuvchan__xen_facts_read(ctl->root, &facts);
    if (!facts.control) {
        complain("%s: cards are given to domains by Dom0", facts.xen ? "this is not Dom0" : "this is not Xen");
        return false;
    }
    if (!ctl->root[0] && geteuid() != 0) {
        complain("only root may do this. Do: run it by sudo");
        return false;
    }
    error = pci_record_lock(ctl);
    if (error == -EWOULDBLOCK)
        complain("another gpuvchanctl is at work on PCI functions; try again when it is done");
    else if (error != 0)
        complain("/run/gpuvchan/pci, where it is noted what was taken: %s", strerror(-error));
    return error == 0;
}

int
pci_command(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {CTL_OPTIONS, {0}};
    const char *names[COUNT + 1] = {NULL}, *closest;
    int option;

    while ((option = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
        if (option == 'h') {
            help();
            return 0;
        }
        if (option != CTL_OPTION_ROOT)
            return 1;
        ctl->root = optarg;
    }
    if (optind == argc) {
        complain("pci: an action is missing: list, assign or release");
        return 1;
    }
    argc -= optind;
    argv += optind;
    for (size_t i = 0; i < COUNT; i++) {
        names[i] = actions[i].name;
        if (strcmp(argv[0], actions[i].name) != 0)
            continue;
        for (int word = 1; word < argc && strcmp(argv[word], "--") != 0; word++)
            if (strcmp(argv[word], "--help") == 0 || strcmp(argv[word], "-h") == 0) {
                help();
                return 0;
            }
        name_command(argv, "gpuvchanctl pci");
        return actions[i].run(ctl, argc, argv);
    }
    closest = closest_word(argv[0], names);
    complain("pci: there is no action '%s'; %s '%s'?", argv[0], closest ? "did you mean" : "perhaps",
             closest ? closest : "list");
    return 1;
}
