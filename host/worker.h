/* SPDX-License-Identifier: MIT */
/* A worker: the process that serves one guest process. */
#ifndef HOST_WORKER_H
#define HOST_WORKER_H

#include "renewal_status.h"

/*
 * What the supervisor hands it: a first argument, and descriptors; that of its file, locked, may be missing. A spare
 * worker gets the connection and the file later, through the link.
 */
#define WORKER_ARGUMENT "--worker"
#define WORKER_SPARE_ARGUMENT "--spare-worker"
#define WORKER_LOCAL_SPARE_ARGUMENT \
    "--local-spare-worker" /* its guest will be local: mapping its memory takes no rights */
#define WORKER_CONNECTION_FD 3
#define WORKER_CONFIG_FD 4
#define WORKER_LINK_FD 5 /* see worker_link.h */
#define WORKER_FILE_FD 6

/* The same program, which only tries whether it could take a worker's place; it reports at the connection's number. */
#define WORKER_REHEARSAL_ARGUMENT "--worker-rehearsal"

/* What it has besides, and hands to the program that takes its place. */
#define WORKER_STATUS_FD RENEWAL_STATUS_FD
#define WORKER_SNAPSHOT_FD 8

/* How it ends; anything else is a crash. */
enum worker_exit {
    WORKER_DONE = 0,    /* the guest has closed, died, or was told to go */
    WORKER_FAILED = 1,  /* could not begin; logged */
    WORKER_CORRUPT = 2, /* the guest broke the protocol; logged */
    WORKER_STUCK = 3,   /* a plugin did not return or close in time; logged */
    WORKER_NO_EXEC = 4, /* the program could not be started anew */
};

enum worker_kind {
    WORKER_WITH_GUEST,
    WORKER_SPARE,
    WORKER_LOCAL_SPARE,
};

/** The whole life of the process. @return its exit status. */
int worker_main(enum worker_kind kind);

#endif
