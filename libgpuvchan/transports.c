/* SPDX-License-Identifier: MIT */
/*
 * Which transport an address or a connection is for, and loading the one for Xen.
 *
 * The module for Xen links Xen's libraries, which change their names with each release; the library links
 * none, so that the same binaries run everywhere. It lies in the folder gpuvchan/ beside the library.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "transport.h"

#define XEN_MODULE "transport_xen.so"
#define XEN_DEVICES "/dev/xen"

static const struct gpuvchan__transport *xen; /* once it is loaded */
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

bool
gpuvchan__xen_here(void)
{
    return access(XEN_DEVICES "/evtchn", F_OK) == 0;
}

static int
core_error(int error, const char *format, va_list list)
{
    char text[ERROR_TEXT];

    vsnprintf(text, sizeof(text), format, list);
    return gpuvchan__error(error, "%s", text);
}

static void
core_log(enum gpuvchan_log_level level, const char *text)
{
    gpuvchan_log(level, "%s", text);
}

static void
module_path(char *path, size_t bytes)
{
    const char *folder = secure_getenv("GPUVCHAN_TRANSPORTS");
    const char *slash;
    Dl_info info;

    if (folder && folder[0]) {
        snprintf(path, bytes, "%s/" XEN_MODULE, folder);
    } else if (dladdr((void *)(uintptr_t)gpuvchan__xen_here, &info) && (slash = strrchr(info.dli_fname, '/'))) {
        snprintf(path, bytes, "%.*s/gpuvchan/" XEN_MODULE, (int)(slash - info.dli_fname), info.dli_fname);
    } else {
        snprintf(path, bytes, "%s", XEN_MODULE);
    }
}

static int
module_load(const struct gpuvchan__transport **out)
{
    static const struct gpuvchan__core core = {.error = core_error, .log = core_log};
    gpuvchan__module_func *entry;
    char path[4096];
    void *module;

    if (!gpuvchan__xen_here())
        return gpuvchan__error(-ENOENT,
                               "this system is no domain of Xen, or its modules are not loaded: there is no "
                               "%s/evtchn (modprobe xen-evtchn; xen-gntalloc in guests, xen-gntdev on hosts)",
                               XEN_DEVICES);
    module_path(path, sizeof(path));
    module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module)
        return gpuvchan__error(-ENOENT, "the transport for Xen does not load: %s", dlerror());
    *(void **)&entry = dlsym(module, "gpuvchan_transport_module");
    *out = entry ? entry(GPUVCHAN_VERSION, &core) : NULL;
    if (*out)
        return 0; /* stays loaded: its threads and handles know no end */
    dlclose(module);
    return gpuvchan__error(-ENOENT, "%s belongs to another version of the library than " GPUVCHAN_VERSION, path);
}

static int
xen_load(const struct gpuvchan__transport **out)
{
    int error = 0;

    pthread_mutex_lock(&loading);
    if (!xen)
        error = module_load(&xen);
    pthread_mutex_unlock(&loading);
    if (error == 0)
        *out = xen;
    return error;
}

int
gpuvchan__transport_find(const char *address, const struct gpuvchan__transport **out, const char **place)
{
    *place = address;
    if (strncmp(address, "xen:", 4) == 0) {
        *place = address + 4;
        return xen_load(out);
    }
    if (strncmp(address, "local:", 6) == 0)
        *place = address + 6;
    else if (!strchr(address, '/'))
        return gpuvchan__error(-EINVAL, "'%s' is no address: write local:/path/of/socket, or xen:DOMAIN", address);
    *out = &gpuvchan__transport_local;
    return 0;
}

const struct gpuvchan__transport *
gpuvchan__transport_of(int fd)
{
    const struct gpuvchan__transport *found;

    if (gpuvchan__transport_local.is_mine(fd))
        return &gpuvchan__transport_local;
    return gpuvchan__xen_here() && xen_load(&found) == 0 && found->is_mine(fd) ? found : NULL;
}

uint64_t
gpuvchan__spin_ns(int32_t spin_us, const struct gpuvchan__transport *transport)
{
    if (spin_us < 0 || (!transport->remote && sysconf(_SC_NPROCESSORS_ONLN) < 2))
        return 0;
    return (uint64_t)spin_us * 1000;
}
