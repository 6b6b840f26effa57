/* SPDX-License-Identifier: MIT */
/* What speaks against taking a card, asked before anything is changed. */
#include "pci_check.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "xl.h"
#include "xl_config.h"

int
pci_check_function(const struct ctl *ctl, const struct pci_device *function)
{
    char users[400];

    if (function->class >> 16 == 0x06) {
        complain("%s is a bridge: the card at this address is a part of the machine, and cannot be given away",
                 function->address);
        return 1;
    }
    if (strcmp(function->driver, PCIBACK) == 0)
        return 0;
    if (pci_is_console(ctl, function)) {
        complain(
            "%s shows the console of Dom0, which would go dark. Do: choose another card for the console in the "
            "firmware's set-up, or a serial console (console=hvc0 for Linux, com1=115200,8n1 console=com1 for Xen, "
            "and video=efifb:off), and restart",
            function->address);
        return 1;
    }
    if (pci_users(ctl, function, users, sizeof(users)) > 0) {
        complain("%s is in use by %s. Do: end these first", function->address, users);
        return 1;
    }
    return 0;
}

int
pci_check_iommu(void)
{
    char caps[256];

    if (!xl_info("virt_caps", caps, sizeof(caps))) {
        complain("'xl info' cannot be asked, so whether there is an IOMMU is not known; going on");
        return 0;
    }
    if (strstr(caps, "directio"))
        return 0;
    complain("PCI passthrough is not supported here: Xen has no IOMMU. Do: switch on VT-d or AMD-Vi in the firmware's "
             "set-up, put iommu=1 on Xen's command line, and restart ('xl dmesg' says what Xen found)");
    return 1;
}

int
pci_check_config(const char *config)
{
    char type[16], pvh[8];
    int error = xl_config_value(config, "type", type, sizeof(type));

    if (error == 0)
        error = xl_config_value(config, "pvh", pvh, sizeof(pvh));
    if (error != 0) {
        complain("%s: %s", config, strerror(-error));
        return 1;
    }
    if (strcasecmp(type, "pvh") != 0 && pvh[0] != '1')
        return 0;
    complain("%s: the domain is a PVH one, and libxl gives those no PCI devices. Do: write type=\"pv\", or \"hvm\"",
             config);
    return 1;
}
