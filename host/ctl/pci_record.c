/* SPDX-License-Identifier: MIT */
/* What a function was bound to before it was taken. */
#include "pci_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

#define FOLDER "/run/gpuvchan/pci"

static void
make_folders(const struct ctl *ctl)
{
    static const char *const folders[] = {"/run", "/run/gpuvchan", FOLDER};
    char name[PATH_MAX];

    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        file_name(ctl, name, "%s", folders[i]);
        mkdir(name, 0755); /* that it failed is seen where a file in it fails */
    }
}

int
pci_record_write(const struct ctl *ctl, const char *address, const char *driver)
{
    char name[PATH_MAX], text[PCI_DRIVER + 16];
    int bytes = snprintf(text, sizeof(text), "driver=%s\n", driver);

    make_folders(ctl);
    file_name(ctl, name, FOLDER "/%s", address);
    return file_replace(name, text, (size_t)bytes, 0644);
}

bool
pci_record_read(const struct ctl *ctl, const char *address, char driver[PCI_DRIVER])
{
    static const char key[] = "driver=";
    char text[PCI_DRIVER + 16];

    driver[0] = '\0';
    file_line(ctl, text, sizeof(text), FOLDER "/%s", address);
    /* It becomes a part of a path. */
    if (strncmp(text, key, strlen(key)) != 0 || strchr(text, '/'))
        return false;
    snprintf(driver, PCI_DRIVER, "%.*s", PCI_DRIVER - 1, text + strlen(key));
    return true;
}

void
pci_record_remove(const struct ctl *ctl, const char *address)
{
    char name[PATH_MAX];

    file_name(ctl, name, FOLDER "/%s", address);
    unlink(name);
}

int
pci_record_lock(const struct ctl *ctl)
{
    char name[PATH_MAX];
    int fd;

    make_folders(ctl);
    file_name(ctl, name, FOLDER);
    fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
}
