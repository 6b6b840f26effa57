/* SPDX-License-Identifier: MIT */
/* What speaks against taking a card, asked before anything is changed. Each says it, and returns 0 or not. */
#ifndef GPUVCHAN_CTL_PCI_CHECK_H
#define GPUVCHAN_CTL_PCI_CHECK_H

#include "pci.h"

/* It is a part of the machine, shows the console, or is in use. What pciback has is not asked again. */
int pci_check_function(const struct ctl *ctl, const struct pci_device *function);

/* Without an IOMMU libxl would refuse, but only when the domain is created. */
int pci_check_iommu(void);

/* The same for a domain of the wrong type; `config` is its configuration file. */
int pci_check_config(const char *config);

#endif
