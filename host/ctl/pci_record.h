/* SPDX-License-Identifier: MIT */
/*
 * What a function was bound to before it was taken: a file for each in /run/gpuvchan/pci, written before
 * anything is changed and removed when the driver is back. So what a crash left half-way can be undone.
 */
#ifndef GPUVCHAN_CTL_PCI_RECORD_H
#define GPUVCHAN_CTL_PCI_RECORD_H

#include <stdbool.h>

#include "pci.h"

/* 0 or -errno. The driver may be "": none. */
int pci_record_write(const struct ctl *ctl, const char *address, const char *driver);
bool pci_record_read(const struct ctl *ctl, const char *address, char driver[PCI_DRIVER]);
void pci_record_remove(const struct ctl *ctl, const char *address);

/* One process changes drivers at a time. Held to its end; 0, or -errno with -EWOULDBLOCK: another has it. */
int pci_record_lock(const struct ctl *ctl);

#endif
