/* SPDX-License-Identifier: MIT */
/* gpuvchanctl pci list: GPUs, and what holds each. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "pci.h"

/* ---- Names ----------------------------------------------------------------------------------- */

/* The lists of pciutils and of hwdata have one form: "10de  NVIDIA", and below it "\t2204  GA102". */
static char *
read_ids(const struct ctl *ctl)
{
    static const char *const places[] = {"/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"};
    char name[PATH_MAX], *text = NULL;
    size_t bytes;

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !text; i++) {
        file_name(ctl, name, "%s", places[i]);
        text = file_text(name, &bytes);
    }
    return text;
}

/* The line that begins so, up to where the next vendor begins. */
static const char *
find_line(const char *text, const char *begin)
{
    size_t length = strlen(begin);

    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strncmp(line, begin, length) == 0)
            return line + length;
        if (line != text && begin[0] == '\t' && isxdigit((unsigned char)line[0]))
            break;
    }
    return NULL;
}

/* "" if it is not known: the numbers stand beside it. */
static void
name_device(const char *ids, const struct pci_device *device, char *name, size_t bytes)
{
    char begin[16];
    const char *vendor, *product;

    name[0] = '\0';
    snprintf(begin, sizeof(begin), "%04x  ", device->vendor & 0xffff);
    vendor = ids ? find_line(ids, begin) : NULL;
    if (!vendor)
        return;
    snprintf(begin, sizeof(begin), "\t%04x  ", device->device & 0xffff);
    product = find_line(vendor, begin);
    snprintf(name, bytes, "%.*s %.*s ", (int)strcspn(vendor, "\n"), vendor, product ? (int)strcspn(product, "\n") : 6,
             product ? product : "device");
}

static const char *
kind_of(const struct pci_device *device)
{
    static const struct {
        unsigned class;
        const char *name;
    } kinds[] = {{0x0300, "VGA"},        {0x0302, "3D"},    {0x03, "display"}, {0x0403, "audio"},    {0x0c03, "USB"},
                 {0x0c80, "serial bus"}, {0x01, "storage"}, {0x02, "network"}, {0x04, "multimedia"}, {0x06, "bridge"}};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (device->class >> (kinds[i].class > 0xff ? 8 : 16) == kinds[i].class)
            return kinds[i].name;
    return "other";
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void
print_state(const struct ctl *ctl, const struct pci_device *device)
{
    char users[512];

    if (strcmp(device->driver, PCIBACK) == 0) {
        if (device->domain >= 0)
            printf("    assigned to domain '%s' (%d)\n", device->domain_name, device->domain);
        else
            puts("    assignable: held by pciback, given to no domain");
        return;
    }
    printf("    driver %s%s%s%s%s\n", device->driver[0] ? device->driver : "none",
           device->group[0] ? ", IOMMU group " : "", device->group, device->boot_vga ? ", chosen by the firmware" : "",
           pci_is_console(ctl, device) ? ", shows the console" : "");
    if (pci_users(ctl, device, users, sizeof(users)) > 0)
        printf("    open by %s\n", users);
}

static void
print_device(const struct ctl *ctl, const char *ids, const struct pci_device *device)
{
    char name[256];

    name_device(ids, device, name, sizeof(name));
    printf("%s  %s  %s[%04x:%04x]\n", device->address, kind_of(device), name, device->vendor, device->device);
    print_state(ctl, device);
}

static bool
beside_a_display(const struct pci_devices *devices, const struct pci_device *device)
{
    for (size_t i = 0; i < devices->count; i++)
        if (pci_is_display(&devices->items[i]) && pci_same_slot(&devices->items[i], device))
            return true;
    return false;
}

static size_t
print_devices(const struct ctl *ctl, const struct pci_devices *devices, bool all)
{
    char *ids = read_ids(ctl);
    size_t printed = 0;

    for (size_t i = 0; i < devices->count; i++)
        if (all || pci_is_display(&devices->items[i])) {
            print_device(ctl, ids, &devices->items[i]);
            if (!all || beside_a_display(devices, &devices->items[i]))
                printed++;
        }
    free(ids);
    return printed;
}

int
pci_list_command(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {CTL_OPTIONS, {"all", no_argument, NULL, 'a'}, {0}};
    struct pci_devices devices;
    bool all = false, held = false;
    int option;

    while ((option = getopt_long(argc, argv, "ah", options, NULL)) != -1) {
        if (option == 'a')
            all = true;
        else if (option == CTL_OPTION_ROOT)
            ctl->root = optarg;
        else
            return 1;
    }
    if (optind < argc) {
        complain("pci list: '%s' is too much: it lists all GPUs", argv[optind]);
        return 1;
    }
    pci_scan(ctl, &devices);
    for (size_t i = 0; i < devices.count; i++)
        held |= strcmp(devices.items[i].driver, PCIBACK) == 0;
    if (held && pci_read_owners(ctl, &devices) != 0)
        complain("pci list: xenstored does not answer, so which domain has what is not known");
    if (print_devices(ctl, &devices, all) == 0)
        puts(devices.count ? "There is no GPU on the PCI bus here." : "There is no PCI bus here.");
    pci_devices_free(&devices);
    return 0;
}
