/* SPDX-License-Identifier: MIT */
/*
 * Policy.
 *
 * Design notes
 *
 * It goes by what the kernel or Xen vouches for and by nothing that a guest says: users and groups on a
 * socket; on Xen the domain's name and UUID, as the toolstack has them, and its number, which a driver
 * domain alone sees. A number is given anew at each start of a domain: of several sections that fit, the
 * one with the UUID counts, then the one with the name.
 */
#include "policy.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define EVERY_DOMAIN "all"

static bool
is_guest_domain(const struct gpuvchan_peer *peer)
{
    return peer->domain >= 0;
}

void
policy_describe(const struct gpuvchan_peer *peer, char *text, size_t bytes)
{
    if (!is_guest_domain(peer))
        snprintf(text, bytes, "process %d, uid %u", peer->pid, peer->uid);
    else if (peer->name[0])
        snprintf(text, bytes, "domain %d (%s)", peer->domain, peer->name);
    else
        snprintf(text, bytes, "domain %d", peer->domain);
}

/* ---- Domains --------------------------------------------------------------------------------- */

enum fit {
    FIT_NONE,
    FIT_NUMBER,
    FIT_NAME,
    FIT_UUID,
};

static enum fit
fits(const char *word, const struct gpuvchan_peer *peer)
{
    char number[16];

    snprintf(number, sizeof(number), "%d", peer->domain);
    if (peer->uuid[0] && strcasecmp(word, peer->uuid) == 0)
        return FIT_UUID;
    if (peer->name[0] && strcmp(word, peer->name) == 0)
        return FIT_NAME;
    return strcmp(word, number) == 0 ? FIT_NUMBER : FIT_NONE;
}

static const struct domain_section *
section_for(const struct host_options *options, const struct gpuvchan_peer *peer)
{
    const struct domain_section *best = NULL;
    enum fit closest = FIT_NONE;

    for (size_t i = 0; is_guest_domain(peer) && i < options->domain_count; i++) {
        enum fit fit = fits(options->domains[i].domain, peer);

        if (fit > closest) {
            closest = fit;
            best = &options->domains[i];
        }
    }
    return best;
}

static bool
is_given(const struct domain_section *section, enum domain_key key)
{
    return section && section->source[key] != 0;
}

static bool
allows_domain(const struct host_options *options, const struct gpuvchan_peer *peer, char *why)
{
    const struct domain_section *section = section_for(options, peer);
    bool allowed = false;
    char who[96];

    policy_describe(peer, who, sizeof(who));
    if (is_given(section, DOMAIN_ALLOW)) {
        if (!section->allow)
            snprintf(why, POLICY_REASON,
                     "%s may not use this host: its administrator has set allow = no in [domain %s]", who,
                     section->domain);
        return section->allow;
    }
    for (size_t i = 0; i < options->allow_domains.count; i++)
        allowed |= strcmp(options->allow_domains.items[i], EVERY_DOMAIN) == 0 ||
                   fits(options->allow_domains.items[i], peer) != FIT_NONE;
    if (!allowed)
        snprintf(why, POLICY_REASON, "%s may not use this host: its administrator has to add it to allow-domains", who);
    return allowed;
}

size_t
policy_domain_limit(const struct host_options *options, const struct gpuvchan_peer *peer)
{
    const struct domain_section *section = section_for(options, peer);

    if (!is_guest_domain(peer))
        return 0;
    return (size_t)(is_given(section, DOMAIN_MAX_PROCESSES) ? section->max_processes : options->max_domain_processes);
}

bool
policy_view(const struct host_options *options, const struct gpuvchan_peer *peer, struct host_options *view)
{
    const struct domain_section *section = section_for(options, peer);

    *view = *options;
    if (!section)
        return false;
    if (section->plugins.count > 0)
        view->plugins = section->plugins;
    if (is_given(section, DOMAIN_MAX_ARENA))
        view->max_arena = section->max_arena;
    if (is_given(section, DOMAIN_MAX_LANES))
        view->max_lanes = section->max_lanes;
    return section->plugins.count > 0 || view->max_arena != options->max_arena || view->max_lanes != options->max_lanes;
}

/* ---- Users ----------------------------------------------------------------------------------- */

static bool
list_has(const struct text_list *list, uint32_t id)
{
    for (size_t i = 0; i < list->count; i++)
        if (strtoul(list->items[i], NULL, 10) == id)
            return true;
    return false;
}

bool
policy_allows(const struct host_options *options, const struct gpuvchan_peer *peer, char why[POLICY_REASON])
{
    if (is_guest_domain(peer))
        return allows_domain(options, peer, why);
    if ((options->allow_uids.count == 0 && options->allow_gids.count == 0) ||
        list_has(&options->allow_uids, peer->uid) || list_has(&options->allow_gids, peer->gid))
        return true;
    snprintf(why, POLICY_REASON,
             "uid %u may not use this host: its administrator has to add it to allow-uids or allow-gids", peer->uid);
    return false;
}
