/* SPDX-License-Identifier: MIT */
/* What the fake libnvidia-ml.so.1 says, for it and for its tests. */
#ifndef FAKE_NVML_H
#define FAKE_NVML_H

#include "nvml_objects.h"
#include "refused.h"

#define FAKE_DEVICES 3u
#define FAKE_SAMPLES 700u
#define FAKE_PROCESSES 300u
#define FAKE_OWN 217u

/* Formats of the device's number, from 1. */
#define FAKE_DRIVER "580.11.%02u"
#define FAKE_NVML "13.580.11.%02u"
#define FAKE_NAME "Fake GPU %u"
#define FAKE_UUID "GPU-%08x-0123-4567-89ab-cdef01234567"
#define FAKE_SERIAL "16500%u"
#define FAKE_VBIOS "96.00.99.00.0%u"
#define FAKE_PART "900-2G520-%u"
#define FAKE_IMAGE "G520.%u"
#define FAKE_INFOROM "6.%u"
#define FAKE_GSP "580.%u"

#endif
