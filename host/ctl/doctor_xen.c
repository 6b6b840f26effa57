/* SPDX-License-Identifier: MIT */
/* The doctor on Xen: hypervisor, devices and their permissions, xenstored, event channels, IOMMU. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dlfcn.h>

#include "doctor.h"
#include "files.h"
#include "xl.h"

#define RULES "60-gpuvchan.rules"
#define CHANNELS_DEFAULT 1023 /* of a guest whose configuration says nothing */
#define CHANNELS_SPARE 128

/* ---- The hypervisor -------------------------------------------------------------------------- */

static void
check_hypervisor(struct doctor *doctor)
{
    const struct gpuvchan__xen_facts *facts = &doctor->facts;
    char where[64];

    if (!facts->xen) {
        report_ok(&doctor->report, "Xen",
                  "not here: guests and host are processes of this system, and meet at a socket");
        return;
    }
    snprintf(where, sizeof(where), "%s%s%s", facts->control ? "Dom0" : "a guest", facts->type[0] ? ", " : "",
             facts->type);
    if (facts->major == 0)
        report_warn(&doctor->report, "Xen",
                    "this is %s, of a version that is not told. Do: see that /sys is mounted, and the kernel has "
                    "CONFIG_XEN_SYS_HYPERVISOR",
                    where);
    else if (facts->major < 4 || (facts->major == 4 && facts->minor < 13))
        report_warn(&doctor->report, "Xen", "version %s is older than what is tested. Do: upgrade to 4.13 or later",
                    facts->version);
    else
        report_ok(&doctor->report, "Xen", "version %s; this is %s", facts->version, where);
}

/* ---- Devices --------------------------------------------------------------------------------- */

static const struct device {
    const char *name, *module; /* the module's name as modprobe has it, or NULL: always in the kernel */
    bool host, guest;
} devices[] = {
    {"evtchn", "xen-evtchn", true, true},
    {"gntdev", "xen-gntdev", true, false},
    {"gntalloc", "xen-gntalloc", false, true},
    {"xenbus", NULL, true, true},
};

static bool
rules_installed(const struct ctl *ctl)
{
    static const char *const folders[] = {"/etc/udev/rules.d", "/run/udev/rules.d", "/usr/local/lib/udev/rules.d",
                                          "/usr/lib/udev/rules.d", "/lib/udev/rules.d"};

    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        if (file_exists(ctl, "%s/" RULES, folders[i]))
            return true;
    return false;
}

/* What lets ordinary users open a device. */
static const char *
permission_remedy(const struct ctl *ctl, mode_t mode)
{
    if (!rules_installed(ctl))
        return "groupadd --system gpuvchan; install /lib/udev/rules.d/" RULES " ('make install' does); udevadm control "
               "--reload; udevadm trigger --subsystem-match=misc; usermod -aG gpuvchan USER";
    if ((mode & 0060) == 0060)
        return "usermod -aG gpuvchan USER, and log in anew";
    return "getent group gpuvchan || groupadd --system gpuvchan; udevadm control --reload; udevadm trigger "
           "--subsystem-match=misc (by the rules of " RULES ")";
}

static void
missing_device(struct doctor *doctor, const struct device *device, const char *what)
{
    char module[32];

    snprintf(module, sizeof(module), "%s", device->module ? device->module : "xenfs");
    for (char *at = module; *at; at++)
        *at = *at == '-' ? '_' : *at;
    if (!device->module || gpuvchan__xen_module_loaded(doctor->ctl->root, module))
        report_fail(&doctor->report, what, "the device is missing. Do: mount -t devtmpfs devtmpfs /dev");
    else
        report_fail(&doctor->report, what,
                    "its module is not loaded. Do: modprobe %s; for the next start: echo %s >> "
                    "/etc/modules-load.d/gpuvchan.conf",
                    device->module, device->module);
}

static void
check_device(struct doctor *doctor, const struct device *device)
{
    char what[32], name[PATH_MAX];
    struct stat status;

    snprintf(what, sizeof(what), "/dev/xen/%s", device->name);
    file_name(doctor->ctl, name, "%s", what);
    if (stat(name, &status) != 0)
        missing_device(doctor, device, what);
    else if (faccessat(AT_FDCWD, name, R_OK | W_OK, AT_EACCESS) != 0)
        report_fail(&doctor->report, what, "you may not open it (mode %04o). Do: as root: %s", status.st_mode & 0777,
                    permission_remedy(doctor->ctl, status.st_mode));
    else if (geteuid() == 0 && !doctor->host && (status.st_mode & 0060) != 0060)
        report_warn(&doctor->report, what, "root alone may open it, and so programs of others do not work. Do: %s",
                    permission_remedy(doctor->ctl, status.st_mode));
    else
        report_ok(&doctor->report, what, "can be opened");
}

/* Who can open it can have any memory of the domain read and written by the hypervisor, or of all in Dom0. */
static void
check_privcmd(struct doctor *doctor)
{
    char name[PATH_MAX];
    struct stat status;

    file_name(doctor->ctl, name, "/dev/xen/privcmd");
    if (stat(name, &status) == 0 && (status.st_mode & 0066))
        report_warn(&doctor->report, "/dev/xen/privcmd",
                    "others than root may open it (mode %04o), which gives them power over the whole domain. Do: "
                    "chmod 0600 /dev/xen/privcmd, and look for the udev rule that does it",
                    status.st_mode & 0777);
    else
        report_ok(&doctor->report, "/dev/xen/privcmd", "is root's alone; programs do not need it");
}

static void
check_devices(struct doctor *doctor)
{
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
        if ((doctor->host && devices[i].host) || (doctor->guest && devices[i].guest))
            check_device(doctor, &devices[i]);
    check_privcmd(doctor);
}

/* ---- The transport's module ------------------------------------------------------------------- */

static bool
load_module(const char *path)
{
    void *module = access(path, F_OK) == 0 ? dlopen(path, RTLD_LAZY | RTLD_LOCAL) : NULL;

    if (module)
        dlclose(module);
    return module != NULL;
}

/* It is beside the folder of plugins, of the installation or of a build tree. */
static void
check_transport(struct doctor *doctor)
{
    static const char installed[] = GPUVCHAN_PLUGINDIR "/../transport_xen.so";
    char built[PATH_MAX];
    ssize_t bytes = readlink("/proc/self/exe", built, sizeof(built) - 64);
    const char *path = installed;

    if (doctor->ctl->root[0])
        return;
    built[bytes < 0 ? 0 : bytes] = '\0';
    strcpy(strrchr(built, '/') ? strrchr(built, '/') : built, "/../lib/gpuvchan/transport_xen.so");
    if (access(built, F_OK) == 0)
        path = built;
    if (access(path, F_OK) != 0)
        report_fail(&doctor->report, "transport",
                    "%s, which is the one for Xen, is missing. Do: install libgpuvchan whole", path);
    else if (!load_module(path))
        report_fail(&doctor->report, "transport",
                    "it does not load: %s. Do: apt-get install libxenmisc4.17, or what has "
                    "Xen's libraries here",
                    dlerror());
    else
        report_ok(&doctor->report, "transport", "the one for Xen loads");
}

/* ---- xenstored ------------------------------------------------------------------------------- */

static void
check_xenstored(struct doctor *doctor)
{
    int error = xenstore_open(doctor->ctl, &doctor->xenstore);

    if (error == 0) {
        doctor->domain = xenstore_own_domain(doctor->xenstore);
        report_ok(&doctor->report, "xenstored", "answers; this is domain %d", doctor->domain);
    } else if (error == -ENOENT) {
        report_fail(&doctor->report, "xenstored",
                    "cannot be asked, libxenstore is missing. Do: apt-get install libxenstore4");
    } else if (error == -EACCES) {
        report_fail(&doctor->report, "xenstored", "you may not ask it. Do: see /dev/xen/xenbus above");
    } else {
        report_fail(&doctor->report, "xenstored", "does not answer (%s). Do: %s", strerror(-error),
                    doctor->facts.control ? "systemctl start xenstored (or: service xencommons start)"
                                          : "see that xenstored runs in Dom0");
    }
}

/* ---- Event channels -------------------------------------------------------------------------- */

static void
check_channels(struct doctor *doctor)
{
    char name[PATH_MAX], *text, *at;
    unsigned used = 0;
    size_t bytes;

    file_name(doctor->ctl, name, "/proc/interrupts");
    text = file_text(name, &bytes);
    for (at = text; at && (at = strstr(at, " xen-")); at++)
        used++;
    free(text);
    if (doctor->facts.control)
        report_ok(&doctor->report, "event channels", "%u in use; Dom0 may have as many as Xen knows", used);
    else if (used + CHANNELS_SPARE > CHANNELS_DEFAULT)
        report_warn(
            &doctor->report, "event channels",
            "%u in use, of %d unless the configuration says more. Do: put event_channels=4096 into this domain's "
            "xl.cfg, and restart it",
            used, CHANNELS_DEFAULT);
    else
        report_ok(&doctor->report, "event channels", "%u in use, of at least %d", used, CHANNELS_DEFAULT);
}

/* ---- IOMMU ----------------------------------------------------------------------------------- */

static void
check_iommu(struct doctor *doctor)
{
    char caps[256];

    if (!doctor->facts.control)
        return;
    if (!xl_info("virt_caps", caps, sizeof(caps)))
        report_warn(&doctor->report, "IOMMU",
                    "not known, since 'xl info' fails; it is needed to give a GPU to a driver "
                    "domain. Do: run this as root, with xl in PATH");
    else if (!strstr(caps, "directio"))
        report_warn(
            &doctor->report, "IOMMU",
            "none is in use. It is needed to give a GPU to a driver domain, and for nothing else. Do: switch on "
            "VT-d or AMD-Vi in the firmware's set-up, put iommu=1 on Xen's command line, and restart");
    else
        report_ok(&doctor->report, "IOMMU", "in use: a GPU can be given to a driver domain");
}

void
doctor_xen(struct doctor *doctor)
{
    check_hypervisor(doctor);
    if (!doctor->facts.xen)
        return;
    check_devices(doctor);
    check_transport(doctor);
    check_xenstored(doctor);
    check_channels(doctor);
    if (doctor->host)
        check_iommu(doctor);
}

/* ---- Host and guests find each other ----------------------------------------------------------- */

/* Where a guest's programs look: GPUVCHAN_ADDRESS=xen:DOMAIN/SERVICE, or the domain that a node names, or Dom0. */
static int
host_domain(struct doctor *doctor, const char **service)
{
    const char *address = getenv("GPUVCHAN_ADDRESS"), *slash;
    char *node;
    int domain;

    if (!address || strncmp(address, "xen:", 4) != 0)
        address = "xen:";
    slash = strchr(address, '/');
    *service = slash ? slash + 1 : "default";
    if (address[4] >= '0' && address[4] <= '9')
        return atoi(address + 4);
    node = xenstore_read(doctor->xenstore, "data/gpuvchan/host");
    domain = node ? atoi(node) : 0;
    free(node);
    return domain;
}

void
doctor_meeting(struct doctor *doctor)
{
    const char *service = "default";
    char *node;
    int domain;

    if (!doctor->xenstore)
        return;
    domain = doctor->host ? doctor->domain : host_domain(doctor, &service);
    node = xenstore_read(doctor->xenstore, "/local/domain/%d/data/gpuvchan/%s", domain, service);
    if (node)
        report_ok(&doctor->report, "gpuvchan-host", "serves guests of Xen in domain %d", domain);
    else if (doctor->host)
        report_warn(&doctor->report, "gpuvchan-host",
                    "does not serve guests of Xen here. Do: gpuvchan-host --daemon --address=xen:");
    else
        report_warn(
            &doctor->report, "gpuvchan-host",
            "does not serve in domain %d. Do: gpuvchan-host --daemon --address=xen: there; or, for a driver domain "
            "N, in Dom0: xenstore-write /local/domain/%d/data/gpuvchan/host N",
            domain, doctor->domain);
    free(node);
}
