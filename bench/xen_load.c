/* SPDX-License-Identifier: MIT */
#include "xen_module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gpuvchan/gpuvchan.h>

#define MODULE "bench_xen.so"
#define DEVICE "/dev/xen/evtchn"

/* Where the library's own modules are. */
static void
module_path(char *path, size_t bytes)
{
    const char *folder = secure_getenv("GPUVCHAN_TRANSPORTS"), *slash;
    Dl_info info;

    if (folder && folder[0])
        snprintf(path, bytes, "%s/" MODULE, folder);
    else if (dladdr((void *)(uintptr_t)gpuvchan_version, &info) && (slash = strrchr(info.dli_fname, '/')))
        snprintf(path, bytes, "%.*s/gpuvchan/" MODULE, (int)(slash - info.dli_fname), info.dli_fname);
    else
        snprintf(path, bytes, MODULE);
}

const struct bench_xen *
bench_xen_load(char problem[BENCH_XEN_TEXT])
{
    const struct bench_xen *xen;
    char path[4096];
    void *module;

    if (access(DEVICE, F_OK) != 0) {
        snprintf(problem, BENCH_XEN_TEXT,
                 "this system is no domain of Xen, or its modules are not loaded: there is no " DEVICE
                 " (modprobe xen-evtchn; xen-gntalloc in guests, xen-gntdev on hosts)");
        return NULL;
    }
    module_path(path, sizeof(path));
    /* Global, and bound at once: see xen_module.h. */
    module = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!module) {
        snprintf(problem, BENCH_XEN_TEXT, "what measures libxenvchan does not load: %s", dlerror());
        return NULL;
    }
    xen = dlsym(module, "bench_xen");
    if (!xen)
        snprintf(problem, BENCH_XEN_TEXT, "%.900s is not of this version", path);
    return xen;
}
