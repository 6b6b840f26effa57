/* SPDX-License-Identifier: MIT */
/* The doctor on the host's GPU, its driver, and the plugins. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "files.h"
#include "process.h"

/* ---- NVIDIA ---------------------------------------------------------------------------------- */

/* The version of CUDA that the driver's library is for, 0 if there is none. Ours for guests does not count. */
static int
cuda_version(const struct doctor *doctor)
{
    int (*get_version)(int *version);
    int version = 0;
    void *library;

    if (doctor->ctl->root[0])
        return 0;
    library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return 0;
    *(void **)&get_version = dlsym(library, "cuDriverGetVersion");
    if (dlsym(library, "gpuvchan_guest_libcuda") || !get_version || get_version(&version) != 0)
        version = 0;
    dlclose(library);
    return version;
}

static void
check_nvidia(struct doctor *doctor)
{
    bool device = file_exists(doctor->ctl, "/dev/nvidiactl");
    int cuda = cuda_version(doctor);
    char driver[64];

    file_line(doctor->ctl, driver, sizeof(driver), "/sys/module/nvidia/version");
    if (device && cuda)
        report_ok(&doctor->report, "NVIDIA", "driver %s, CUDA %d.%d", driver[0] ? driver : "is there", cuda / 1000,
                  cuda % 1000 / 10);
    else if (device)
        report_warn(
            &doctor->report, "NVIDIA",
            "the kernel's driver %s is there, but no libcuda.so.1: the simulated device will serve. Do: install the "
            "driver's CUDA library (Debian: apt-get install libcuda1)",
            driver);
    else if (cuda)
        report_warn(&doctor->report, "NVIDIA",
                    "libcuda.so.1 is there, but no /dev/nvidiactl: the simulated device will serve. Do: "
                    "nvidia-modprobe -c 0 -u "
                    "(or: modprobe nvidia)");
    else
        report_ok(&doctor->report, "NVIDIA", "no NVIDIA driver: the simulated device will serve");
}

/* ---- Rendering ------------------------------------------------------------------------------- */

static void
check_dri(struct doctor *doctor)
{
    char **names = file_names(doctor->ctl, "/dev/dri"), name[PATH_MAX];
    const char *node = NULL;

    for (size_t i = 0; names[i] && !node; i++)
        if (strncmp(names[i], "renderD", 7) == 0)
            node = names[i];
    if (!node) {
        report_ok(&doctor->report, "/dev/dri", "no GPU renders here: OpenGL will be drawn by the CPU");
    } else {
        file_name(doctor->ctl, name, "/dev/dri/%s", node);
        if (access(name, R_OK | W_OK) == 0)
            report_ok(&doctor->report, "/dev/dri", "%s can be opened", node);
        else
            report_warn(
                &doctor->report, "/dev/dri",
                "you may not open %s: OpenGL will be drawn by the CPU. Do: usermod -aG render USER, for who runs "
                "gpuvchan-host",
                node);
    }
    names_free(names);
}

/* ---- Plugins --------------------------------------------------------------------------------- */

/* The host that lies beside this program, otherwise the one of PATH. */
static void
find_host(char path[PATH_MAX])
{
    ssize_t bytes = readlink("/proc/self/exe", path, PATH_MAX - 32);
    char *slash;

    path[bytes < 0 ? 0 : bytes] = '\0';
    slash = strrchr(path, '/');
    if (slash) {
        strcpy(slash, "/gpuvchan-host");
        if (access(path, X_OK) == 0)
            return;
    }
    strcpy(path, "gpuvchan-host");
}

/* The first words of the lines. */
static void
first_words(const char *text, char *words, size_t bytes)
{
    size_t used = 0;

    words[0] = '\0';
    for (const char *line = text; *line && used < bytes; line += strcspn(line, "\n"), line += *line == '\n')
        used +=
            (size_t)snprintf(words + used, bytes - used, "%s%.*s", used ? ", " : "", (int)strcspn(line, " \n"), line);
}

static void
check_plugins(struct doctor *doctor)
{
    char path[PATH_MAX], output[8192], words[256];
    const char *const arguments[] = {path, "--list-plugins", NULL};
    int status;

    find_host(path);
    status = process_run(arguments, output, sizeof(output), 60);
    if (status == -ENOENT) {
        report_fail(&doctor->report, "plugins", "gpuvchan-host, which would use them, is missing. Do: install it");
    } else if (status != 0) {
        report_warn(&doctor->report, "plugins", "%s. Do: gpuvchan-host --list-plugins tells more",
                    status < 0 ? strerror(-status) : last_line(output));
    } else {
        first_words(output, words, sizeof(words));
        if (words[0])
            report_ok(&doctor->report, "plugins", "%s", words);
        else
            report_warn(&doctor->report, "plugins",
                        "there are none. Do: install them, or see gpuvchan-host --plugin-dir");
    }
}

void
doctor_gpu(struct doctor *doctor)
{
    check_nvidia(doctor);
    check_dri(doctor);
    check_plugins(doctor);
}
