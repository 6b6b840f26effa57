/* SPDX-License-Identifier: MIT
 *
 * How Dom0 has a guest run commands: xen-call in Dom0 asks, xen-agent in the guest answers, by xenstore.
 *
 * Design notes.  Xenstore is there as soon as a guest is, needs no grant and no event channel besides the
 * kernel's own (so that tests may count those), and a guest finds it again after save and restore. All nodes
 * lie in the guest's home below "rig", belong to Dom0 (the guest's quotas of nodes are the tests'), and are
 * made by Dom0 when they are missing, that is also after a restore:
 *
 *     request   "SEQ OPERATION JOB NUMBER\n" and data; Dom0 writes it again when no reply comes
 *     reply     "SEQ WORD NUMBER NUMBER"; a request that was answered already gets the same answer again
 *     data/N    what a "read" has read, in pieces
 *     event     a counter that the guest raises when a job has ended
 *
 *     ping                    up 0 0
 *     write JOB OFFSET        appends the request's data to the job's script
 *     start JOB               runs the script by /bin/sh, in a session of its own
 *     state JOB               none | running OUTPUT-BYTES 0 | exited OUTPUT-BYTES STATUS
 *     read JOB OFFSET         its output from there: data BYTES 0
 *     kill JOB SIGNAL         to its process group
 *     forget JOB              kills it and removes what it has left
 *
 * One request is under way at a time, xen-call locks; jobs run as many as there are.
 */
#ifndef RIG_H
#define RIG_H

/* xenstored grants a guest 2048 bytes per node, permissions included. */
enum { RIG_PIECE = 1920, RIG_PIECES = 16, RIG_JOB = 48 };

#endif
