/* SPDX-License-Identifier: MIT */
/* Who looks at a card, and who has it open. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "pci.h"

#define DEVICES "/sys/bus/pci/devices"
#define NODES 32
#define NODE 64

/* ---- Console --------------------------------------------------------------------------------- */

/* Is there a console of the kernel on a screen? The dummy one shows nothing. */
static bool
screen_console(const struct ctl *ctl, const char *kind)
{
    char **names = file_names(ctl, "/sys/class/vtconsole");
    bool found = false;

    for (size_t i = 0; names[i]; i++) {
        char name[64], bind[8];

        file_line(ctl, name, sizeof(name), "/sys/class/vtconsole/%s/name", names[i]);
        file_line(ctl, bind, sizeof(bind), "/sys/class/vtconsole/%s/bind", names[i]);
        found |= bind[0] == '1' && strstr(name, kind) != NULL;
    }
    names_free(names);
    return found;
}

/*
 * Consoles are shown by the first framebuffer, or as text by the card that the firmware chose. A framebuffer
 * of the firmware's (efifb, simplefb) belongs to no card, but is in that card's memory.
 */
bool
pci_is_console(const struct ctl *ctl, const struct pci_device *device)
{
    bool framebuffer = screen_console(ctl, "frame buffer");

    if (file_exists(ctl, DEVICES "/%s/graphics/fb0", device->address))
        return framebuffer || device->boot_vga;
    if (!device->boot_vga)
        return false;
    if (screen_console(ctl, "VGA"))
        return true;
    return framebuffer && !file_exists(ctl, "/sys/class/graphics/fb0/device/vendor");
}

/* ---- Processes ------------------------------------------------------------------------------- */

struct nodes {
    char names[NODES][NODE];
    size_t count;
};

static void
add_node(struct nodes *nodes, const char *prefix, const char *name)
{
    if (nodes->count < NODES)
        snprintf(nodes->names[nodes->count++], NODE, "%s%.32s", prefix, name);
}

/* A sound card's nodes have its number in their names: controlC1, pcmC1D3p, hwC1D0. */
static void
add_sound(const struct ctl *ctl, struct nodes *nodes, const char *card)
{
    char **names = file_names(ctl, "/sys/class/sound");
    size_t digits = strlen(card);

    for (size_t i = 0; names[i]; i++) {
        const char *at = strchr(names[i], 'C');

        if (at && strncmp(at + 1, card, digits) == 0 && !isdigit((unsigned char)at[1 + digits]))
            add_node(nodes, "/dev/snd/", names[i]);
    }
    names_free(names);
}

/* NVIDIA's nodes are numbered in an order of the driver's own. */
static void
add_nvidia(const struct ctl *ctl, struct nodes *nodes, const char *address)
{
    char name[PATH_MAX], *text, *at;
    size_t bytes;

    file_name(ctl, name, "/proc/driver/nvidia/gpus/%s/information", address);
    text = file_text(name, &bytes);
    if (!text)
        return;
    at = strstr(text, "Device Minor:");
    if (at) {
        char number[16];

        snprintf(number, sizeof(number), "%d", atoi(at + strlen("Device Minor:")));
        add_node(nodes, "/dev/nvidia", number);
    }
    free(text);
}

static void
find_nodes(const struct ctl *ctl, const struct pci_device *device, struct nodes *nodes)
{
    static const struct {
        const char *folder, *prefix;
    } kinds[] = {{"drm", "/dev/dri/"}, {"graphics", "/dev/"}};
    char **names;

    for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        names = file_names(ctl, DEVICES "/%s/%s", device->address, kinds[kind].folder);
        for (size_t i = 0; names[i]; i++)
            add_node(nodes, kinds[kind].prefix, names[i]);
        names_free(names);
    }
    names = file_names(ctl, DEVICES "/%s/sound", device->address);
    for (size_t i = 0; names[i]; i++)
        if (strncmp(names[i], "card", 4) == 0)
            add_sound(ctl, nodes, names[i] + 4);
    names_free(names);
    add_nvidia(ctl, nodes, device->address);
    if (device->group[0])
        add_node(nodes, "/dev/vfio/", device->group);
}

static bool
has_open(const struct ctl *ctl, const char *pid, const struct nodes *nodes)
{
    char **fds = file_names(ctl, "/proc/%s/fd", pid);
    bool found = false;

    for (size_t i = 0; fds[i] && !found; i++) {
        char name[PATH_MAX], target[NODE + 1];
        ssize_t bytes;

        file_name(ctl, name, "/proc/%s/fd/%s", pid, fds[i]);
        bytes = readlink(name, target, sizeof(target) - 1);
        target[bytes < 0 ? 0 : bytes] = '\0';
        for (size_t j = 0; j < nodes->count; j++)
            found |= strcmp(target, nodes->names[j]) == 0;
    }
    names_free(fds);
    return found;
}

size_t
pci_users(const struct ctl *ctl, const struct pci_device *device, char *text, size_t bytes)
{
    struct nodes nodes = {.count = 0};
    size_t users = 0, used = 0;
    char **pids;

    text[0] = '\0';
    find_nodes(ctl, device, &nodes);
    if (nodes.count == 0)
        return 0;
    pids = file_names(ctl, "/proc");
    for (size_t i = 0; pids[i]; i++) {
        char program[32];

        if (!isdigit((unsigned char)pids[i][0]) || !has_open(ctl, pids[i], &nodes))
            continue;
        file_line(ctl, program, sizeof(program), "/proc/%s/comm", pids[i]);
        if (used < bytes)
            used += (size_t)snprintf(text + used, bytes - used, "%s%s (%s)", users ? ", " : "", program, pids[i]);
        users++;
    }
    names_free(pids);
    return users;
}
