/* SPDX-License-Identifier: MIT */
/* The doctor's checks, by subject; each prints its lines. */
#ifndef GPUVCHAN_CTL_DOCTOR_H
#define GPUVCHAN_CTL_DOCTOR_H

#include <stdbool.h>

#include "ctl.h"
#include "report.h"
#include "xen/limits.h"
#include "xen_libs.h"

struct doctor {
    const struct ctl *ctl;
    struct report report;
    struct gpuvchan__xen_facts facts;
    bool host, guest;          /* which side's needs are checked; without Xen a system is often both */
    struct xenstore *xenstore; /* or NULL */
    int domain;                /* that this is, or -1 */
};

void doctor_xen(struct doctor *doctor);     /* hypervisor, devices, xenstored, event channels, IOMMU */
void doctor_meeting(struct doctor *doctor); /* on Xen: whether a gpuvchan-host is there */
void doctor_limits(struct doctor *doctor);  /* what may be granted and mapped */
void doctor_gpu(struct doctor *doctor);     /* driver, devices, plugins */
void doctor_local(struct doctor *doctor);   /* Unix socket and shared memory */

#endif
