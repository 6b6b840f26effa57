/* SPDX-License-Identifier: MIT */
/*
 * How a spare worker gets its guest.
 *
 * Design notes
 *
 * Between the supervisor and a spare worker lies a socket. The worker closes its direction when its plugins are ready:
 * a word of its own, not read when the supervisor closes, would take the supervisor's back. The supervisor sends one
 * message, with the guest's connection, what the worker's file is to say, and the folder where
 * it lies. Before the guest has said a word the worker writes that file itself. When the supervisor closes the socket,
 * or dies, a worker without a guest ends.
 */
#ifndef HOST_SPARE_H
#define HOST_SPARE_H

#include "worker_file.h"

/** Both ends: sockets[0] is the supervisor's. @return 0 or -errno. */
int spare_sockets(int sockets[2]);

/** Supervisor: has the worker said that it is ready? Does not block. */
bool spare_is_ready(int socket);

/** Supervisor: hands the guest on @p connection over, which stays the caller's. @p folder may be -1. @return 0 or -errno. */
int spare_hand_over(int socket, int connection, int folder, const struct worker_record *record);

/**
 * Worker: says that it is ready, and waits for its guest. @return the guest's connection, whose worker's file is
 * written and stays locked; -1: there will be no guest.
 */
int spare_await(int socket);

#endif
