/* SPDX-License-Identifier: MIT */
/* PCI functions as this system sees them. */
#include "pci.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "xen_libs.h"

#define DEVICES "/sys/bus/pci/devices"

static unsigned
read_hex(const struct ctl *ctl, const char *address, const char *name)
{
    char text[32];

    file_line(ctl, text, sizeof(text), DEVICES "/%s/%s", address, name);
    return (unsigned)strtoul(text, NULL, 16);
}

void
pci_read_driver(const struct ctl *ctl, struct pci_device *device)
{
    file_link(ctl, device->driver, sizeof(device->driver), DEVICES "/%s/driver", device->address);
}

static void
read_device(const struct ctl *ctl, const char *address, struct pci_device *device)
{
    char text[8];

    memset(device, 0, sizeof(*device));
    device->domain = -1;
    snprintf(device->address, sizeof(device->address), "%s", address);
    device->class = read_hex(ctl, address, "class");
    device->vendor = read_hex(ctl, address, "vendor") & 0xffff;
    device->device = read_hex(ctl, address, "device") & 0xffff;
    file_link(ctl, device->group, sizeof(device->group), DEVICES "/%s/iommu_group", address);
    file_line(ctl, text, sizeof(text), DEVICES "/%s/boot_vga", address);
    device->boot_vga = text[0] == '1';
    pci_read_driver(ctl, device);
}

void
pci_scan(const struct ctl *ctl, struct pci_devices *devices)
{
    char **names = file_names(ctl, DEVICES);
    char address[PCI_ADDRESS];
    size_t count = 0;

    while (names[count])
        count++;
    devices->count = 0;
    devices->items = calloc(count + 1, sizeof(*devices->items));
    if (!devices->items)
        abort();
    for (size_t i = 0; i < count; i++)
        if (pci_parse_address(names[i], address))
            read_device(ctl, address, &devices->items[devices->count++]);
    names_free(names);
}

void
pci_devices_free(struct pci_devices *devices)
{
    free(devices->items);
    devices->items = NULL;
    devices->count = 0;
}

/* ---- Addresses ------------------------------------------------------------------------------- */

/* The digits of an address; '#' is one. */
static bool
fits(const char *text, const char *pattern)
{
    for (; *pattern; text++, pattern++)
        if (*pattern == '#' ? !isxdigit((unsigned char)*text) : *text != *pattern)
            return false;
    return *text == '\0';
}

bool
pci_parse_address(const char *text, char address[PCI_ADDRESS])
{
    bool is_short = fits(text, "##:##.#");

    if (!is_short && !fits(text, "####:##:##.#"))
        return false;
    strcpy(address, is_short ? "0000:" : ""); /* both fit, and are of one length together */
    strcat(address, text);
    for (char *at = address; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return address[11] <= '7';
}

bool
pci_is_display(const struct pci_device *device)
{
    return device->class >> 16 == 0x03;
}

bool
pci_same_slot(const struct pci_device *a, const struct pci_device *b)
{
    return strncmp(a->address, b->address, strlen("0000:01:00.")) == 0;
}

/* ---- Domains that have them ------------------------------------------------------------------ */

/* A domain that is gone may have left its backend's nodes, if nobody answered at its other end. */
static void
give_owner(struct xenstore *xenstore, struct pci_devices *devices, const char *address, const char *domain)
{
    char *name = xenstore_read(xenstore, "/local/domain/%s/name", domain);

    if (!name)
        return;
    for (size_t i = 0; i < devices->count; i++) {
        struct pci_device *device = &devices->items[i];

        if (strncmp(device->address, address, strlen(device->address)) != 0)
            continue;
        device->domain = atoi(domain);
        snprintf(device->domain_name, sizeof(device->domain_name), "%s", name);
    }
    free(name);
}

/* The nodes dev-0, dev-1, ... of a backend; state-0 and others stand beside them. */
static void
read_backend(struct xenstore *xenstore, struct pci_devices *devices, int own, const char *domain, const char *backend)
{
    char **nodes = xenstore_list(xenstore, "/local/domain/%d/backend/pci/%s/%s", own, domain, backend);

    for (size_t i = 0; nodes[i]; i++) {
        char *address = NULL;

        if (strncmp(nodes[i], "dev-", 4) == 0)
            address = xenstore_read(xenstore, "/local/domain/%d/backend/pci/%s/%s/%s", own, domain, backend, nodes[i]);
        if (address)
            give_owner(xenstore, devices, address, domain);
        free(address);
    }
    names_free(nodes);
}

int
pci_read_owners(const struct ctl *ctl, struct pci_devices *devices)
{
    struct xenstore *xenstore;
    int own, error = xenstore_open(ctl, &xenstore);
    char **domains;

    if (error != 0)
        return error;
    own = xenstore_own_domain(xenstore);
    own = own < 0 ? 0 : own;
    domains = xenstore_list(xenstore, "/local/domain/%d/backend/pci", own);
    for (size_t i = 0; domains[i]; i++) {
        char **backends = xenstore_list(xenstore, "/local/domain/%d/backend/pci/%s", own, domains[i]);

        for (size_t j = 0; backends[j]; j++)
            read_backend(xenstore, devices, own, domains[i], backends[j]);
        names_free(backends);
    }
    names_free(domains);
    xenstore_close(xenstore);
    return 0;
}
