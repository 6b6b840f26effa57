/* SPDX-License-Identifier: MIT */
/* xenstore: reading, sharing, and where things lie in it. */
#include "xen_transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

struct xs_handle *
xen_store_open(void)
{
    struct xs_handle *store = xs_open(0);

    if (!store)
        gpuvchan__error(-errno,
                        "cannot reach xenstore: %s (in a guest /dev/xen/xenbus must be open to this user, see the "
                        "group gpuvchan in gpuvchan(7); in Dom0 xenstored must run, and this must be root)",
                        strerror(errno));
    return store;
}

bool
xen_store_read(struct xs_handle *store, const char *node, char *text, size_t bytes)
{
    unsigned length;
    char *value = xs_read(store, XBT_NULL, node, &length);

    if (!value)
        return false;
    if (length >= bytes)
        length = (unsigned)bytes - 1;
    memcpy(text, value, length);
    text[length] = '\0';
    free(value);
    return true;
}

bool
xen_store_number(struct xs_handle *store, const char *node, uint32_t *number)
{
    char text[16], *end;
    unsigned long value;

    if (!xen_store_read(store, node, text, sizeof(text)))
        return false;
    value = strtoul(text, &end, 10);
    if (end == text || *end || value > UINT32_MAX) {
        errno = EINVAL;
        return false;
    }
    *number = (uint32_t)value;
    return true;
}

bool
xen_store_share(struct xs_handle *store, xs_transaction_t t, const char *node, uint32_t own, uint32_t other)
{
    struct xs_permissions permissions[] = {
        {.id = own, .perms = XS_PERM_NONE}, /* of everybody who is not named; the owner may do all */
        {.id = other, .perms = XS_PERM_READ | XS_PERM_WRITE},
    };

    return xs_mkdir(store, t, node) && xs_set_permissions(store, t, node, permissions, 2);
}

int
xen_place_parse(const char *place, uint32_t *domain, bool *has_domain, char service[XEN_SERVICE])
{
    const char *slash = strchr(place, '/');
    char *end;
    unsigned long number = strtoul(place, &end, 10);

    *has_domain = end != place;
    if (end != (slash ? slash : place + strlen(place)) || place[0] == '-' || place[0] == '+' ||
        number >= DOMID_FIRST_RESERVED)
        return gpuvchan__error(
            -EINVAL, "'xen:%s' is no address: write xen:, xen:DOMAIN with its number, or xen:DOMAIN/SERVICE", place);
    if (slash &&
        (slash[1] == '\0' || strlen(slash + 1) >= XEN_SERVICE ||
         slash[1 + strspn(slash + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] != '\0'))
        return gpuvchan__error(-EINVAL, "'xen:%s' is no address: a service's name has 1 to %u letters, digits, - and _",
                               place, XEN_SERVICE - 1);
    if (*has_domain)
        *domain = (uint32_t)number;
    snprintf(service, XEN_SERVICE, "%s", slash ? slash + 1 : "default");
    return 0;
}

void
xen_to(char to[XEN_TO], uint32_t host, const char *service)
{
    snprintf(to, XEN_TO, "%u/%.31s", host, service);
}

void
xen_host_node(char node[XEN_NODE], uint32_t host, const char *service)
{
    snprintf(node, XEN_NODE, "/local/domain/%u/data/gpuvchan/%.31s", host, service);
}

bool
xen_store_absent(struct xs_handle *store, const char *node)
{
    char text[8];

    /* Who may not read the parent either is not told that a node is missing. */
    return !xen_store_read(store, node, text, sizeof(text)) && (errno == ENOENT || errno == EACCES);
}
