/* SPDX-License-Identifier: MIT */
/* Who may come, and how much each may have: the configuration's word on a guest that connects. */
#ifndef HOST_POLICY_H
#define HOST_POLICY_H

#include <gpuvchan/gpuvchan.h>

#include "options.h"

#define POLICY_REASON 256 /* bytes for a reason */

/** May it come at all? If not, @p why says so in words for the guest and the log. */
bool policy_allows(const struct host_options *options, const struct gpuvchan_peer *peer, char why[POLICY_REASON]);

/** Processes of this peer's domain that are served at a time; 0: they are not counted by domain. */
size_t policy_domain_limit(const struct host_options *options, const struct gpuvchan_peer *peer);

/**
 * What holds for a worker of this peer: @p options, with what its domain's section says instead. A view: it is
 * valid as long as @p options, and is not finished. @return false if that is the same as @p options.
 */
bool policy_view(const struct host_options *options, const struct gpuvchan_peer *peer, struct host_options *view);

/** Words for who connects: "process 12, uid 0" or "domain 5 (name)". */
void policy_describe(const struct gpuvchan_peer *peer, char *text, size_t bytes);

#endif
