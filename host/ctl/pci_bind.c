/* SPDX-License-Identifier: MIT */
/* Moving a function between its driver and pciback. */
#include "pci_bind.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "files.h"
#include "process.h"

#define BUS "/sys/bus/pci"
#define DEVICES BUS "/devices"
#define DRIVERS BUS "/drivers"

int
pci_load_back(const struct ctl *ctl, bool *loaded, char says[XL_SAYS])
{
    static const char *const arguments[] = {"modprobe", "xen-pciback", NULL};
    char output[1024];
    int status;

    *loaded = false;
    if (file_exists(ctl, DRIVERS "/" PCIBACK))
        return 0;
    status = process_run(arguments, output, sizeof(output), 30);
    if (status != 0) {
        snprintf(says, XL_SAYS, "%s", status < 0 ? strerror(-status) : last_line(output));
        return status;
    }
    *loaded = true;
    return 0;
}

void
pci_unload_back(void)
{
    static const char *const arguments[] = {"modprobe", "-r", "xen-pciback", NULL};
    char output[256];

    process_run(arguments, output, sizeof(output), 30);
}

static bool
is_back(const struct pci_device *device)
{
    return strcmp(device->driver, PCIBACK) == 0;
}

static int
unbind(const struct ctl *ctl, struct pci_device *device)
{
    int error = sysfs_write(ctl, device->address, DEVICES "/%s/driver/unbind", device->address);

    pci_read_driver(ctl, device);
    return error;
}

static int
probe(const struct ctl *ctl, struct pci_device *device)
{
    int error = sysfs_write(ctl, device->address, BUS "/drivers_probe");

    pci_read_driver(ctl, device);
    return error;
}

/* What xl does, except for the quarantine, which only it can ask the hypervisor for. */
static int
take_by_sysfs(const struct ctl *ctl, struct pci_device *device, char says[XL_SAYS])
{
    const char *step = "unbind";
    int error = device->driver[0] ? unbind(ctl, device) : 0;

    if (error == 0) {
        step = "driver_override";
        error = sysfs_write(ctl, PCIBACK, DEVICES "/%s/driver_override", device->address);
    }
    if (error == 0) {
        step = "drivers_probe";
        error = probe(ctl, device);
    }
    if (error != 0)
        snprintf(says, XL_SAYS, "%s: %s", step, strerror(-error));
    return error;
}

int
pci_take(const struct ctl *ctl, struct pci_device *device, char says[XL_SAYS])
{
    int error = xl_present() ? xl_run(says, "pci-assignable-add", device->address, NULL, NULL)
                             : take_by_sysfs(ctl, device, says);

    pci_read_driver(ctl, device);
    if (error == 0 && !is_back(device)) {
        snprintf(says, XL_SAYS, "it is bound to %s, not to " PCIBACK, device->driver[0] ? device->driver : "nothing");
        error = -EIO;
    }
    return error;
}

/* ---- And back -------------------------------------------------------------------------------- */

/* Whether a domain has it, or nobody knows: then it is not torn from pciback. */
static bool
maybe_owned(const struct ctl *ctl, struct pci_device *device)
{
    struct pci_devices one = {.items = device, .count = 1};

    device->domain = -1;
    return pci_read_owners(ctl, &one) != 0 || device->domain >= 0;
}

/* xl first: it takes the function out of the quarantine, and forgets what it has kept of it. */
static void
leave_back(const struct ctl *ctl, struct pci_device *device, const char *driver, char says[XL_SAYS])
{
    if (xl_present()) {
        if (driver && !driver[0])
            xl_run(says, "pci-assignable-remove", device->address, NULL, NULL);
        else
            xl_run(says, "pci-assignable-remove", "-r", device->address, NULL);
        pci_read_driver(ctl, device);
    }
    if (is_back(device) && !maybe_owned(ctl, device))
        unbind(ctl, device);
}

static void
drop_override(const struct ctl *ctl, const struct pci_device *device)
{
    char override[PCI_DRIVER];

    file_line(ctl, override, sizeof(override), DEVICES "/%s/driver_override", device->address);
    if (strcmp(override, PCIBACK) == 0)
        sysfs_write(ctl, "\n", DEVICES "/%s/driver_override", device->address);
}

static void
bind(const struct ctl *ctl, struct pci_device *device, const char *driver)
{
    if (!device->driver[0])
        probe(ctl, device);
    if (!driver || strcmp(device->driver, driver) == 0)
        return;
    /* Another driver was faster. */
    if (device->driver[0])
        unbind(ctl, device);
    sysfs_write(ctl, device->address, DRIVERS "/%s/bind", driver);
    pci_read_driver(ctl, device);
}

int
pci_give_back(const struct ctl *ctl, struct pci_device *device, const char *driver, char says[XL_SAYS])
{
    char xl_says[XL_SAYS] = "";

    pci_read_driver(ctl, device);
    if (is_back(device))
        leave_back(ctl, device, driver, xl_says);
    drop_override(ctl, device);
    if (!driver || driver[0])
        bind(ctl, device, driver);
    if (driver ? strcmp(device->driver, driver) == 0 : device->driver[0] && !is_back(device))
        return 0;
    if (driver && driver[0] && !file_exists(ctl, DRIVERS "/%s", driver))
        snprintf(says, XL_SAYS, "its driver %s is not loaded", driver);
    else
        snprintf(says, XL_SAYS, "it is bound to %s%s%.120s", device->driver[0] ? device->driver : "nothing",
                 xl_says[0] ? "; xl said: " : "", xl_says);
    return -EIO;
}
