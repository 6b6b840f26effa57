/* SPDX-License-Identifier: MIT */
/* PCI functions as this system sees them, and who holds them. */
#ifndef GPUVCHAN_CTL_PCI_H
#define GPUVCHAN_CTL_PCI_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl.h"

#define PCI_ADDRESS 16 /* bytes of "0000:01:00.0", and room */
#define PCI_DRIVER 64
#define PCIBACK "pciback" /* the driver's name; its module is xen-pciback */

struct pci_device {
    char address[PCI_ADDRESS];
    unsigned class; /* 0x030000: VGA */
    unsigned vendor, device;
    char driver[PCI_DRIVER]; /* "": none */
    char group[16];          /* of the IOMMU as Linux sees it; on Xen there is none */
    bool boot_vga;
    int domain; /* that it is assigned to, or -1 */
    char domain_name[80];
};

struct pci_devices {
    struct pci_device *items;
    size_t count;
};

/* All functions of this system, in order of address. */
void pci_scan(const struct ctl *ctl, struct pci_devices *devices);
void pci_devices_free(struct pci_devices *devices);

/* Fills in domain and domain_name. 0, or -errno when xenstore cannot tell: then nothing is known. */
int pci_read_owners(const struct ctl *ctl, struct pci_devices *devices);

/* Reads the driver that it has now. */
void pci_read_driver(const struct ctl *ctl, struct pci_device *device);

/* "01:00.0" or "0000:01:00.0". */
bool pci_parse_address(const char *text, char address[PCI_ADDRESS]);

bool pci_is_display(const struct pci_device *device);
bool pci_same_slot(const struct pci_device *a, const struct pci_device *b);

/* Whether the console that people look at is on this card. */
bool pci_is_console(const struct ctl *ctl, const struct pci_device *device);

/* Names processes that have it open, as "Xorg (1234), ...", and counts them. Only root sees all. */
size_t pci_users(const struct ctl *ctl, const struct pci_device *device, char *text, size_t bytes);

/* The function that the one argument of a command names; NULL after saying what is wrong with it. */
struct pci_device *pci_of_arguments(const struct pci_devices *devices, int argc, char *const *argv);

/* Whether drivers may be changed here: by root, in Dom0, and by nobody else at the same time. Says if not. */
bool pci_may_change(const struct ctl *ctl);

/* What pci_command() offers, each in a file of its own. */
ctl_command pci_list_command, pci_assign_command, pci_release_command;

#endif
