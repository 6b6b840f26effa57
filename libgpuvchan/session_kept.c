/* SPDX-License-Identifier: MIT */
/* What a session leaves for later ones: where that is kept is the host's affair. */
#include <errno.h>

#include "session.h"

bool
gpuvchan_session_may_keep(const struct gpuvchan_session *session, uint64_t bytes)
{
    return session->limits.keeping && bytes > 0 && bytes <= session->limits.keep_bytes;
}

bool
gpuvchan_session_has_kept(struct gpuvchan_session *session, uint64_t bytes)
{
    const struct gpuvchan_keeping *keeping = session->limits.keeping;

    return gpuvchan_session_may_keep(session, bytes) && keeping->find(keeping->user, bytes, NULL) == 0;
}

int
gpuvchan_session_open_kept(struct gpuvchan_session *session, uint64_t bytes, const uint8_t digest[GPUVCHAN_DIGEST])
{
    const struct gpuvchan_keeping *keeping = session->limits.keeping;

    return gpuvchan_session_may_keep(session, bytes) ? keeping->find(keeping->user, bytes, digest) : -ENOENT;
}

int
gpuvchan_session_keep(struct gpuvchan_session *session, uint64_t bytes, const uint8_t digest[GPUVCHAN_DIGEST], int fd)
{
    const struct gpuvchan_keeping *keeping = session->limits.keeping;

    return gpuvchan_session_may_keep(session, bytes) ? keeping->keep(keeping->user, bytes, digest, fd) : -E2BIG;
}
