/* SPDX-License-Identifier: MIT */
/* Moving a function between its driver and pciback, by xl where there is one, otherwise by sysfs alone. */
#ifndef GPUVCHAN_CTL_PCI_BIND_H
#define GPUVCHAN_CTL_PCI_BIND_H

#include "pci.h"
#include "xl.h"

/* All return 0 or not, and then with the reason in `says`. */

/* Loads xen-pciback; *loaded tells whether it was not there. */
int pci_load_back(const struct ctl *ctl, bool *loaded, char says[XL_SAYS]);
void pci_unload_back(void);

/* Binds it to pciback. After a failure it may be anywhere: pci_give_back() is what undoes it. */
int pci_take(const struct ctl *ctl, struct pci_device *device, char says[XL_SAYS]);

/* Binds it to `driver` again, from wherever it is; "": to none, NULL: to any that wants it. */
int pci_give_back(const struct ctl *ctl, struct pci_device *device, const char *driver, char says[XL_SAYS]);

#endif
