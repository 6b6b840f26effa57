/* SPDX-License-Identifier: MIT */
/* gpuvchanctl pci release: binds a card's functions to their drivers again, also after a crash half-way. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pci.h"
#include "pci_bind.h"
#include "pci_record.h"

static int
release_one(struct ctl *ctl, struct pci_device *device)
{
    char driver[PCI_DRIVER], says[XL_SAYS];
    bool recorded = pci_record_read(ctl, device->address, driver);

    if (pci_give_back(ctl, device, recorded ? driver : NULL, says) != 0) {
        complain("%s: %s. Load its driver (modprobe) and try again, or bind it to one by hand", device->address, says);
        return 1;
    }
    pci_record_remove(ctl, device->address);
    if (device->driver[0])
        printf("%s: bound to %s\n", device->address, device->driver);
    else
        printf("%s: bound to no driver, as it was before\n", device->address);
    return 0;
}

static bool
is_taken(const struct ctl *ctl, const struct pci_device *device)
{
    char driver[PCI_DRIVER];

    return strcmp(device->driver, PCIBACK) == 0 || pci_record_read(ctl, device->address, driver);
}

/* Nothing is touched while a domain has any function of the card. */
static int
check_owners(struct ctl *ctl, struct pci_devices *devices, const struct pci_device *wanted)
{
    if (pci_read_owners(ctl, devices) != 0) {
        complain("xenstored does not answer, so whether a domain has %s is not known; is it running?", wanted->address);
        return 1;
    }
    for (size_t i = 0; i < devices->count; i++) {
        const struct pci_device *device = &devices->items[i];

        if (device->domain < 0 || !pci_same_slot(device, wanted))
            continue;
        complain("%s is in use by domain '%s' (%d). Do: xl shutdown %s, or xl pci-detach %s %s", device->address,
                 device->domain_name, device->domain, device->domain_name, device->domain_name, device->address);
        return 1;
    }
    return 0;
}

static int
release(struct ctl *ctl, struct pci_devices *devices, const struct pci_device *wanted)
{
    int failed = 0, taken = 0;

    for (size_t i = 0; i < devices->count; i++)
        taken += pci_same_slot(&devices->items[i], wanted) && is_taken(ctl, &devices->items[i]);
    if (taken == 0) {
        printf("%s is not assigned: it is bound to %s\n", wanted->address,
               wanted->driver[0] ? wanted->driver : "no driver");
        return 0;
    }
    if (check_owners(ctl, devices, wanted) != 0)
        return 1;
    for (size_t i = 0; i < devices->count; i++)
        if (pci_same_slot(&devices->items[i], wanted) && is_taken(ctl, &devices->items[i]))
            failed += release_one(ctl, &devices->items[i]);
    return failed ? 1 : 0;
}

int
pci_release_command(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {CTL_OPTIONS, {0}};
    struct pci_devices devices;
    struct pci_device *wanted;
    int option, result = 1;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option != CTL_OPTION_ROOT)
            return 1;
        ctl->root = optarg;
    }
    pci_scan(ctl, &devices);
    wanted = pci_of_arguments(&devices, argc - optind, argv + optind);
    if (wanted && pci_may_change(ctl))
        result = release(ctl, &devices, wanted);
    pci_devices_free(&devices);
    return result;
}
