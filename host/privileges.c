/* SPDX-License-Identifier: MIT */
/* Users, groups and the little things that a process can give up by itself. */
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define GROUPS_MAX 64

#if defined(__SANITIZE_ADDRESS__)
#define LEAK_CHECKED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAK_CHECKED
#endif
#endif

struct identity {
    uid_t uid;
    gid_t gid, groups[GROUPS_MAX];
    int group_count;
};

void
privileges_restrict(void)
{
    struct rlimit none = {0, 0};

    /* A core would hold the guest's data, and the guest can cause one. */
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#ifndef LEAK_CHECKED /* which traces its own process */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

/* ---- Who to become --------------------------------------------------------------------------- */

/* @p word as a number: false if it is none. */
static bool
number_of(const char *word, uint32_t *id)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(word, &end, 10);
    if (word[0] < '0' || word[0] > '9' || *end != '\0' || errno != 0 || value >= UINT32_MAX)
        return false;
    *id = (uint32_t)value;
    return true;
}

/* With the groups that the user is in: of them, the GPU's devices may be. */
static int
find_user(const char *name, struct identity *identity, char *error)
{
    const struct passwd *entry = number_of(name, &identity->uid) ? getpwuid(identity->uid) : getpwnam(name);

    if (!entry) {
        snprintf(error, OPTIONS_ERROR, "user: there is no user '%s'", name);
        return -ENOENT;
    }
    identity->uid = entry->pw_uid;
    identity->gid = entry->pw_gid;
    identity->group_count = GROUPS_MAX;
    if (getgrouplist(entry->pw_name, entry->pw_gid, identity->groups, &identity->group_count) < 0) {
        snprintf(error, OPTIONS_ERROR, "user: '%s' is in more than %d groups", name, GROUPS_MAX);
        return -E2BIG;
    }
    return 0;
}

static int
find_group(const char *name, struct identity *identity, char *error)
{
    const struct group *entry;

    if (number_of(name, &identity->gid))
        return 0;
    entry = getgrnam(name);
    if (!entry) {
        snprintf(error, OPTIONS_ERROR, "group: there is no group '%s'", name);
        return -ENOENT;
    }
    identity->gid = entry->gr_gid;
    return 0;
}

static int
identify(const struct host_options *options, struct identity *identity, char *error)
{
    int result = 0;

    *identity = (struct identity){.uid = geteuid(), .gid = getegid()};
    if (options->user[0])
        result = find_user(options->user, identity, error);
    if (result == 0 && options->group[0])
        result = find_group(options->group, identity, error);
    return result;
}

int
privileges_check(const struct host_options *options, char *error)
{
    struct identity identity;

    if (!options->user[0] && !options->group[0])
        return 0;
    if (geteuid() != 0) {
        snprintf(error, OPTIONS_ERROR,
                 "%s: only root can have its workers become somebody else: start the host as root, or leave user and "
                 "group empty",
                 options->user[0] ? "user" : "group");
        return -EPERM;
    }
    return identify(options, &identity, error);
}

/* ---- Becoming it ----------------------------------------------------------------------------- */

static bool
is_irreversible(void)
{
    return setresuid((uid_t)-1, 0, (uid_t)-1) != 0 && setresuid(0, (uid_t)-1, (uid_t)-1) != 0 &&
           setgroups(0, NULL) != 0 && getuid() != 0 && geteuid() != 0;
}

int
privileges_drop(const struct host_options *options, char *error)
{
    struct identity identity;
    int result;

    if (!options->user[0] && !options->group[0])
        return 0;
    result = identify(options, &identity, error);
    if (result != 0)
        return result;
    /* Groups first: without root there is no changing them. */
    if (setgroups((size_t)identity.group_count, identity.groups) != 0 ||
        setresgid(identity.gid, identity.gid, identity.gid) != 0 ||
        setresuid(identity.uid, identity.uid, identity.uid) != 0) {
        snprintf(error, OPTIONS_ERROR, "cannot become user %u, group %u: %s", identity.uid, identity.gid,
                 strerror(errno));
        return -EPERM;
    }
    privileges_restrict(); /* a change of the user resets some of it */
    if (identity.uid != 0 && !is_irreversible()) {
        snprintf(error, OPTIONS_ERROR, "became user %u, but could become root again", identity.uid);
        return -EPERM;
    }
    return 0;
}
