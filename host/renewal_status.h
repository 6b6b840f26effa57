/* SPDX-License-Identifier: MIT */
/*
 * What a worker says about its renewals, for who asks for one by SIGUSR2: a file in memory, open in its process at
 * a fixed number. It has eight digits, a space and words: how many requests have been answered, and how the
 * last one was. The digits are written last. Who asks reads them before and after.
 */
#ifndef HOST_RENEWAL_STATUS_H
#define HOST_RENEWAL_STATUS_H

#define RENEWAL_STATUS_FD 7
#define RENEWAL_STATUS_NAME "gpuvchan-renewals" /* of the file, without "/memfd:" */
#define RENEWAL_STATUS_BYTES 512
#define RENEWAL_STATUS_DIGITS 8
#define RENEWAL_STATUS_DONE "renewed" /* the words; anything else says why not */

#endif
