/* SPDX-License-Identifier: MIT
 *
 * xen-count: what every domain holds of what can be leaked, for Dom0. It prints lines of words:
 *
 *     domain ID NAME FLAGS        FLAGS as "xl list" has them; NAME is "-" for one that xenstore does not know
 *     grant ID PEER GIVEN MAPPED  entries of ID's grant table for PEER, and those that PEER has mapped now
 *     channel ID PEER COUNT       event channels between them that ID has, bound or offered; PEER is "-" for
 *                                 interrupts and the like
 *     unknown ID WHAT             it cannot be told, with the reason
 *
 * The figures come from Xen itself, not from what a domain's kernel believes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xenctrl.h>
#include <xentoollog.h>
#include <xenstore.h>

enum { DOMAINS = 256, OTHER = DOMAINS };

static xc_interface *control;

static void
print_grants(int domid)
{
    static unsigned given[DOMAINS + 1], mapped[DOMAINS + 1];
    int count = 0;
    /* Xen lets no domain map its own pages as another's. */
    grant_entry_v1_t *table = xc_gnttab_map_table_v1(control, domid == 0 ? DOMID_SELF : domid, &count);

    if (!table) {
        printf("unknown %d grants: %s\n", domid, strerror(errno));
        return;
    }
    memset(given, 0, sizeof(given));
    memset(mapped, 0, sizeof(mapped));
    /* The first ones are the toolstack's, for console and xenstore. */
    for (int i = GNTTAB_NR_RESERVED_ENTRIES; i < count; i++) {
        unsigned flags = __atomic_load_n(&table[i].flags, __ATOMIC_RELAXED);
        unsigned peer = table[i].domid < DOMAINS ? table[i].domid : OTHER;

        if ((flags & GTF_type_mask) == GTF_invalid)
            continue;
        given[peer]++;
        mapped[peer] += (flags & (GTF_reading | GTF_writing)) != 0;
    }
    munmap(table, (size_t)count * sizeof(*table));
    for (int i = 0; i <= DOMAINS; i++)
        if (given[i])
            printf("grant %d %d %u %u\n", domid, i, given[i], mapped[i]);
}

static void
print_channels(int domid)
{
    static unsigned count[DOMAINS + 1];
    unsigned own = 0;

    memset(count, 0, sizeof(count));
    for (evtchn_port_t port = 1;; port++) {
        xc_evtchn_status_t status = {.dom = (domid_t)domid, .port = port};

        if (xc_evtchn_status(control, &status) < 0)
            break;
        switch (status.status) {
        case EVTCHNSTAT_closed:
            break;
        case EVTCHNSTAT_unbound:
            count[status.u.unbound.dom < DOMAINS ? status.u.unbound.dom : OTHER]++;
            break;
        case EVTCHNSTAT_interdomain:
            count[status.u.interdomain.dom < DOMAINS ? status.u.interdomain.dom : OTHER]++;
            break;
        default:
            own++;
        }
    }
    for (int i = 0; i <= DOMAINS; i++)
        if (count[i])
            printf("channel %d %d %u\n", domid, i, count[i]);
    if (own)
        printf("channel %d - %u\n", domid, own);
}

int
main(void)
{
    static xc_dominfo_t domains[DOMAINS];
    struct xs_handle *store = xs_open(0);
    int count;

    control = xc_interface_open((xentoollog_logger *)xtl_createlogger_stdiostream(stderr, XTL_CRITICAL, 0), NULL, 0);
    count = control ? xc_domain_getinfo(control, 0, DOMAINS, domains) : -1;
    if (!store || count < 0) {
        perror("xen-count");
        return 1;
    }
    for (int i = 0; i < count; i++) {
        const xc_dominfo_t *info = &domains[i];
        char path[64], *name;
        unsigned bytes;

        snprintf(path, sizeof(path), "/local/domain/%u/name", info->domid);
        name = xs_read(store, XBT_NULL, path, &bytes);
        printf("domain %u %s %c%c%c%c%c%c\n", info->domid, name ? name : "-", info->running ? 'r' : '-',
            info->blocked ? 'b' : '-', info->paused ? 'p' : '-', info->shutdown ? 's' : '-',
            info->crashed ? 'c' : '-', info->dying ? 'd' : '-');
        free(name);
        print_grants((int)info->domid);
        print_channels((int)info->domid);
    }
    return 0;
}
