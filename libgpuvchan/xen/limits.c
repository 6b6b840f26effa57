/* SPDX-License-Identifier: MIT */
/* What Xen and the kernel allow a guest to share. */
#include "limits.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GNTALLOC_LIMIT "/sys/module/xen_gntalloc/parameters/limit"
#define GNTDEV_LIMIT "/sys/module/xen_gntdev/parameters/limit"

/* ---- Files ----------------------------------------------------------------------------------- */

int
gpuvchan__xen_file_line(const char *root, const char *path, char *text, size_t bytes)
{
    char name[PATH_MAX];
    ssize_t got;
    int fd;

    text[0] = '\0';
    if (snprintf(name, sizeof(name), "%s%s", root, path) >= (int)sizeof(name))
        return -ENAMETOOLONG;
    fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    do
        got = read(fd, text, bytes - 1);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        int error = -errno;

        close(fd);
        text[0] = '\0';
        return error;
    }
    close(fd);
    text[got] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return 0;
}

static uint64_t
file_number(const char *root, const char *path, uint64_t otherwise)
{
    char text[32], *end;
    unsigned long long value;

    if (gpuvchan__xen_file_line(root, path, text, sizeof(text)) != 0 || text[0] < '0' || text[0] > '9')
        return otherwise;
    value = strtoull(text, &end, 10);
    return *end ? otherwise : value;
}

static bool
present(const char *root, const char *path)
{
    char name[PATH_MAX];

    return snprintf(name, sizeof(name), "%s%s", root, path) < (int)sizeof(name) && access(name, F_OK) == 0;
}

bool
gpuvchan__xen_module_loaded(const char *root, const char *name)
{
    char path[128];

    snprintf(path, sizeof(path), "/sys/module/%.64s", name);
    return present(root, path);
}

/* ---- The size of the grant table -------------------------------------------------------------- */

/* The hypervisor's interface, which is stable: xen/public/grant_table.h. */
#define HYPERCALL_GRANT_TABLE 20u
#define GNTTABOP_QUERY_SIZE 6u
#define GNTTABOP_GET_VERSION 10u
#define DOMID_SELF 0x7ff0u

struct query_size {
    uint16_t dom;
    uint32_t frames, max_frames;
    int16_t status;
};

struct get_version {
    uint16_t dom, pad;
    uint32_t version;
};

struct xencall_functions {
    void *(*open)(void *logger, unsigned flags);
    int (*close)(void *xencall);
    int (*call3)(void *xencall, unsigned op, uint64_t arg1, uint64_t arg2, uint64_t arg3);
    void *(*alloc_buffer)(void *xencall, size_t bytes);
    void (*free_buffer)(void *xencall, void *buffer);
};

static bool
xencall_load(struct xencall_functions *functions)
{
    void *library = dlopen("libxencall.so.1", RTLD_NOW | RTLD_LOCAL);

    if (!library)
        return false;
    /* Never unloaded: others in the process may have it, too. */
    *(void **)&functions->open = dlsym(library, "xencall_open");
    *(void **)&functions->close = dlsym(library, "xencall_close");
    *(void **)&functions->call3 = dlsym(library, "xencall3");
    *(void **)&functions->alloc_buffer = dlsym(library, "xencall_alloc_buffer");
    *(void **)&functions->free_buffer = dlsym(library, "xencall_free_buffer");
    return functions->open && functions->close && functions->call3 && functions->alloc_buffer && functions->free_buffer;
}

/* An operation on the grant table whose argument goes to the hypervisor and comes back. */
static bool
grant_table_op(const struct xencall_functions *functions, void *xencall, unsigned op, void *argument, size_t bytes)
{
    void *buffer = functions->alloc_buffer(xencall, bytes);
    int result;

    if (!buffer)
        return false;
    memcpy(buffer, argument, bytes);
    result = functions->call3(xencall, HYPERCALL_GRANT_TABLE, op, (uint64_t)(uintptr_t)buffer, 1);
    memcpy(argument, buffer, bytes);
    functions->free_buffer(xencall, buffer);
    return result == 0;
}

static void *
xencall_open(struct xencall_functions *functions)
{
    /* libxencall complains on stderr when it may not open the device. */
    if (access("/dev/xen/hypercall", R_OK | W_OK) != 0 && access("/dev/xen/privcmd", R_OK | W_OK) != 0)
        return NULL;
    return xencall_load(functions) ? functions->open(NULL, 0) : NULL;
}

bool
gpuvchan__xen_frames_of(uint32_t domain, uint32_t *used, uint32_t *most)
{
    struct query_size size = {.dom = (uint16_t)domain};
    struct xencall_functions functions;
    void *xencall = xencall_open(&functions);
    bool known;

    if (!xencall)
        return false;
    known = grant_table_op(&functions, xencall, GNTTABOP_QUERY_SIZE, &size, sizeof(size)) && size.status == 0;
    functions.close(xencall);
    if (known) {
        *used = size.frames;
        *most = size.max_frames;
    }
    return known;
}

static void
ask_version(struct gpuvchan__xen_facts *facts)
{
    struct get_version version = {.dom = DOMID_SELF};
    struct xencall_functions functions;
    void *xencall = xencall_open(&functions);

    if (!xencall)
        return;
    if (grant_table_op(&functions, xencall, GNTTABOP_GET_VERSION, &version, sizeof(version)) && version.version == 2)
        facts->frame_entries = 256;
    functions.close(xencall);
}

/* ---- The node ---------------------------------------------------------------------------------- */

/* xenstore's protocol, as far as reading one node of the own domain takes it: xen/public/io/xs_wire.h. */
#define XS_READ 2u
#define NODE "data/gpuvchan/frames"
#define NODE_MS 2000 /* the kernel's device is silent where there is no xenstored */

struct message {
    uint32_t type, request, transaction, bytes;
    char body[64];
};

static bool
read_message(int fd, struct message *message)
{
    size_t used = 0, head = offsetof(struct message, body);

    memset(message, 0, sizeof(*message));
    while (used < head || used < head + message->bytes) {
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};
        ssize_t got;

        if (poll(&pollfd, 1, NODE_MS) <= 0)
            return false;
        got = read(fd, (char *)message + used, sizeof(*message) - 1 - used);
        if (got <= 0)
            return false;
        used += (size_t)got;
        if (used >= head && message->bytes >= sizeof(message->body))
            return false;
    }
    return true;
}

/* For programs of ordinary users, and kernels that let no guest ask the hypervisor. */
static bool
ask_node(struct gpuvchan__xen_facts *facts)
{
    struct message message = {.type = XS_READ, .bytes = sizeof(NODE), .body = NODE};
    size_t bytes = offsetof(struct message, body) + sizeof(NODE);
    int fd = open("/dev/xen/xenbus", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    unsigned long frames;
    bool answered;

    if (fd < 0)
        return false;
    answered = write(fd, &message, bytes) == (ssize_t)bytes && read_message(fd, &message) && message.type == XS_READ;
    close(fd);
    frames = answered ? strtoul(message.body, NULL, 10) : 0;
    if (frames == 0 || frames > UINT16_MAX)
        return false;
    facts->frames_max = (uint32_t)frames;
    return true;
}

static bool
ask(struct gpuvchan__xen_facts *facts)
{
    if (gpuvchan__xen_frames_of(DOMID_SELF, &facts->frames_used, &facts->frames_max)) {
        ask_version(facts);
        return true;
    }
    return !facts->control && ask_node(facts);
}

/* Behind a root of its own there is no hypervisor: the file "gnttab" holds used and most frames instead. */
static bool
ask_file(const char *root, struct gpuvchan__xen_facts *facts)
{
    char text[64];

    return gpuvchan__xen_file_line(root, "/gnttab", text, sizeof(text)) == 0 &&
           sscanf(text, "%" SCNu32 " %" SCNu32, &facts->frames_used, &facts->frames_max) == 2;
}

/* ---- Facts ----------------------------------------------------------------------------------- */

static void
read_version(const char *root, struct gpuvchan__xen_facts *facts)
{
    char extra[16];

    facts->major = (unsigned)file_number(root, "/sys/hypervisor/version/major", 0);
    facts->minor = (unsigned)file_number(root, "/sys/hypervisor/version/minor", 0);
    gpuvchan__xen_file_line(root, "/sys/hypervisor/version/extra", extra, sizeof(extra));
    if (facts->major)
        snprintf(facts->version, sizeof(facts->version), "%u.%u%s", facts->major % 1000, facts->minor % 1000, extra);
}

void
gpuvchan__xen_facts_read(const char *root, struct gpuvchan__xen_facts *facts)
{
    char text[64];

    memset(facts, 0, sizeof(*facts));
    facts->frames_max = XEN_LIMITS_FRAMES_DEFAULT;
    facts->frame_entries = XEN_LIMITS_PAGE / 8;
    gpuvchan__xen_file_line(root, "/sys/hypervisor/type", text, sizeof(text));
    facts->xen = strcmp(text, "xen") == 0;
    /* xenfs need not be mounted in a guest; in Dom0 the tools do it. */
    gpuvchan__xen_file_line(root, "/proc/xen/capabilities", text, sizeof(text));
    facts->control = strstr(text, "control_d") != NULL;
    facts->xen |= facts->control;
    gpuvchan__xen_file_line(root, "/sys/hypervisor/guest_type", facts->type, sizeof(facts->type));
    read_version(root, facts);

    /* Where a module's parameters cannot be seen, its device shows that it is there, with its default. */
    facts->gntalloc = gpuvchan__xen_module_loaded(root, "xen_gntalloc") || present(root, "/dev/xen/gntalloc");
    facts->gntdev = gpuvchan__xen_module_loaded(root, "xen_gntdev") || present(root, "/dev/xen/gntdev");
    if (facts->gntalloc)
        facts->gntalloc_limit = file_number(root, GNTALLOC_LIMIT, XEN_LIMITS_GNTALLOC_DEFAULT);
    if (facts->gntdev)
        facts->gntdev_limit = file_number(root, GNTDEV_LIMIT, 65536);
    if (facts->xen)
        facts->frames_known = root[0] ? ask_file(root, facts) : ask(facts);
}

/* ---- Judgement ------------------------------------------------------------------------------- */

uint64_t
gpuvchan__xen_safe_grants(const struct gpuvchan__xen_facts *facts)
{
    uint64_t entries = (uint64_t)facts->frames_max * facts->frame_entries;

    return entries > XEN_LIMITS_DRIVERS ? entries - XEN_LIMITS_DRIVERS : 0;
}

uint64_t
gpuvchan__xen_grants_for(uint64_t pages)
{
    uint64_t directory;

    /* More than any domain has, and far from an overflow. */
    if (pages > 1ull << 48)
        pages = 1ull << 48;
    directory = pages / XEN_LIMITS_PER_DIRECTORY + (pages % XEN_LIMITS_PER_DIRECTORY != 0);
    return pages + directory + XEN_LIMITS_CHANNEL;
}

/* The inverse: the largest region that so many grants are enough for. */
static uint64_t
pages_within(uint64_t grants)
{
    if (grants <= XEN_LIMITS_CHANNEL)
        return 0;
    grants -= XEN_LIMITS_CHANNEL;
    return grants - grants / (XEN_LIMITS_PER_DIRECTORY + 1) - (grants % (XEN_LIMITS_PER_DIRECTORY + 1) != 0);
}

uint32_t
gpuvchan__xen_frames_for(const struct gpuvchan__xen_facts *facts, uint64_t pages)
{
    uint64_t step = 64 * (uint64_t)facts->frame_entries;
    uint64_t entries = gpuvchan__xen_grants_for(pages) + XEN_LIMITS_DRIVERS;
    uint64_t steps = entries / step + (entries % step != 0);

    return steps > UINT32_MAX / 64 ? UINT32_MAX : (uint32_t)steps * 64;
}

/* What follows where nobody has told how many frames there are. */
#define ASSUMED " (Xen's default, for want of an answer: if there are N, as root: xenstore-write " NODE " N)"

/* What raises gntalloc's limit, now and at the next start. */
static void
say_limit(char *text, size_t bytes, uint64_t limit)
{
    snprintf(text, bytes,
             "echo %" PRIu64 " > " GNTALLOC_LIMIT "; for the next start: "
             "echo 'options xen-gntalloc limit=%" PRIu64 "' > /etc/modprobe.d/gpuvchan.conf",
             limit, limit);
}

static void
why_not_loaded(char *why, size_t bytes)
{
    snprintf(
        why, bytes,
        "the kernel module xen-gntalloc, by which programs grant memory, is not loaded. Do: modprobe xen-gntalloc; "
        "for the next start: echo xen-gntalloc > /etc/modules-load.d/gpuvchan.conf");
}

/* What is missing; nothing where as many as possible were wanted. */
static void
say_needed(char *text, size_t bytes, uint64_t wanted)
{
    if (wanted < XEN_LIMITS_ALL)
        snprintf(text, bytes, ", and %" PRIu64 " are needed", gpuvchan__xen_grants_for(wanted));
    else
        text[0] = '\0';
}

static void
why_limit(const struct gpuvchan__xen_facts *facts, uint64_t wanted, char *why, size_t bytes)
{
    char raise[256], needed[48];

    /* Up to what is safe there is no reason to have less: it counts all programs of the domain. */
    say_limit(raise, sizeof(raise), gpuvchan__xen_safe_grants(facts));
    say_needed(needed, sizeof(needed), wanted);
    snprintf(why, bytes,
             "xen-gntalloc's limit lets the programs of this domain grant %" PRIu64 " pages in all%s. Do: %s",
             facts->gntalloc_limit, needed, raise);
}

static void
why_frames(const struct gpuvchan__xen_facts *facts, uint64_t wanted, char *why, size_t bytes)
{
    uint64_t safe = gpuvchan__xen_safe_grants(facts);
    uint32_t frames = gpuvchan__xen_frames_for(facts, wanted < XEN_LIMITS_ALL ? wanted : 2 * safe + 1);
    struct gpuvchan__xen_facts then = *facts;
    char raise[256], needed[48];

    then.frames_max = frames;
    say_limit(raise, sizeof(raise), gpuvchan__xen_safe_grants(&then));
    say_needed(needed, sizeof(needed), wanted);
    snprintf(why, bytes,
             "the grant table has %" PRIu32 " frames%s, for %" PRIu64 " pages of all programs%s. Do: put "
             "max_grant_frames=%" PRIu32 " into the guest's xl.cfg and gnttab_max_frames=%" PRIu32
             " on Xen's command line, restart both, then %s",
             facts->frames_max, facts->frames_known ? "" : ASSUMED, safe, needed, frames, frames, raise);
}

static void
why_unprotected(const struct gpuvchan__xen_facts *facts, char *why, size_t bytes)
{
    uint64_t safe = gpuvchan__xen_safe_grants(facts);
    char lower[256];

    say_limit(lower, sizeof(lower), safe);
    snprintf(why, bytes,
             "xen-gntalloc's limit of %" PRIu64 " pages is above the %" PRIu64 " that the grant table's %" PRIu32
             " frames%s hold: programs that fill the table break gntalloc until it is loaded anew. Do: %s",
             facts->gntalloc_limit, safe, facts->frames_max, facts->frames_known ? "" : ASSUMED, lower);
}

uint64_t
gpuvchan__xen_judge(const struct gpuvchan__xen_facts *facts, uint64_t wanted, char *why, size_t bytes)
{
    uint64_t safe = gpuvchan__xen_safe_grants(facts);
    uint64_t by_limit = pages_within(facts->gntalloc_limit), by_frames = pages_within(safe);
    uint64_t pages = by_limit < by_frames ? by_limit : by_frames;
    char unused[1];

    if (!why) {
        why = unused;
        bytes = sizeof(unused);
    }
    if (bytes > 0)
        why[0] = '\0';
    if (!facts->gntalloc)
        why_not_loaded(why, bytes);
    else if (wanted > by_limit && (wanted <= by_frames || (wanted >= XEN_LIMITS_ALL && by_limit < by_frames)))
        why_limit(facts, wanted, why, bytes);
    else if (wanted > by_frames)
        why_frames(facts, wanted, why, bytes);
    else if (facts->gntalloc_limit > safe)
        why_unprotected(facts, why, bytes);
    return wanted < pages ? wanted : pages;
}

uint64_t
gpuvchan__xen_grantable(const char *root, uint64_t wanted_pages, char *why, size_t bytes)
{
    struct gpuvchan__xen_facts facts;

    gpuvchan__xen_facts_read(root, &facts);
    return gpuvchan__xen_judge(&facts, wanted_pages, why, bytes);
}
