/* SPDX-License-Identifier: MIT */
/*
 * A guest with stubs of its own, which sends what the library never would: to a host over the fake library, which ends
 * the worker if something reaches it that must not.
 */
#include "test.h"

#include "nvml-guest.h"

#include "fake_nvml.h"

static struct gpuvchan_client client;

static unsigned
random_number(void)
{
    static unsigned state = 12345;

    return state = state * 1664525u + 1013904223u;
}

static uint32_t
allowed_version(unsigned query)
{
    static const uint32_t newest[] = {
#define NEWEST(function, type, new, old) new,
        NVML_VERSIONED_OF_DEVICE(NEWEST) NVML_VERSIONED_OF_SYSTEM(NEWEST)
#undef NEWEST
    };

    return newest[query];
}

static int
versioned(uint32_t device, unsigned query, uint32_t version, size_t bytes, size_t room)
{
    static unsigned char data[NVML_VERSIONED_GIVEN_MAX], back[NVML_VERSIONED_FILLED_MAX];

    memset(data, 0xff, sizeof(data));
    memcpy(data, &version, sizeof(version));
    return nvml_versioned(&client, device, query, data, bytes, back, &room);
}

/* Sizes that are not the version's, versions that are not the function's, functions that are none. */
static void
test_versions(void)
{
    bool right = true;

    for (unsigned query = 0; query < NVML_QUERIES; query++) {
        uint32_t version = allowed_version(query), bytes = nvml_version_bytes(version);

        right &= versioned(NVML_DEVICE_FIRST, query, version, bytes, bytes) == NVML_SUCCESS;
        right &= versioned(NVML_DEVICE_FIRST, query, version, bytes - 4, bytes) == NVML_ERROR_INVALID_ARGUMENT;
        right &= versioned(NVML_DEVICE_FIRST, query, version, 4096, 4096) == NVML_ERROR_INVALID_ARGUMENT;
        right &= versioned(NVML_DEVICE_FIRST, query, version, bytes, bytes - 1) == NVML_ERROR_INSUFFICIENT_SIZE;
        right &= versioned(NVML_DEVICE_FIRST, query, version + (1u << 24), bytes, bytes) ==
                 NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
        right &= versioned(NVML_DEVICE_FIRST, query, version, 3, 4096) == NVML_ERROR_INVALID_ARGUMENT;
        right &= versioned(NVML_DEVICE_FIRST, query, version, 0, 4096) == NVML_ERROR_INVALID_ARGUMENT;
    }
    ok(right, "structs whose size or version does not fit");
    ok(versioned(0, 0, nvmlMemory_v2, sizeof(nvmlMemory_v2_t), 4096) == NVML_ERROR_INVALID_ARGUMENT,
       "a struct of no device");
    ok(versioned(NVML_DEVICE_FIRST, NVML_QUERIES, 0, 4, 4) == NVML_ERROR_INVALID_ARGUMENT &&
           versioned(NVML_DEVICE_FIRST, ~0u, 0, 4, 4) == NVML_ERROR_INVALID_ARGUMENT,
       "a function that is none");
    right = true;
    for (unsigned i = 0; i < 20000; i++) {
        unsigned query = random_number() >> 8;
        uint32_t version = random_number();
        size_t bytes = random_number() >> 20;

        query %= NVML_QUERIES + 1;
        version = i % 2 != 0 ? (version & 0x3000fff) : (uint32_t)bytes | (1 + i % 3) << 24;
        right &= versioned(NVML_DEVICE_FIRST, query, version, bytes, 4096) >= 0;
    }
    ok(right, "random ones");
}

static void
test_devices(void)
{
    const uint32_t foreign[] = {0, 1, 15, NVML_DEVICE_FIRST + FAKE_DEVICES, NVML_DEVICE_FIRST | 1u << 20, 0xfffff, ~0u};
    struct nvml_device_info info;
    nvmlMemory_t memory;
    uint32_t number;
    bool right = true;

    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        right &= nvml_memory(&client, foreign[i], &memory) == NVML_ERROR_INVALID_ARGUMENT;
        right &= nvml_device_info(&client, foreign[i], &info) == NVML_ERROR_INVALID_ARGUMENT;
        right &= nvml_common_ancestor(&client, NVML_DEVICE_FIRST, foreign[i], (void *)&number) ==
                 NVML_ERROR_INVALID_ARGUMENT;
    }
    ok(right, "devices that are none");
}

/* Serial numbers and processes of others cannot be had by other words either. */
static void
test_secrets(void)
{
    nvmlProcessUtilizationSample_t samples[8];
    struct nvml_device_info info;
    nvml_u64 bytes;
    size_t count = 8;
    bool present = true, right = true;
    char text[80];

    memset(&info, 0, sizeof(info));
    ok(nvml_device_info(&client, NVML_DEVICE_FIRST, &info) == 0 && info.serial_status == NVML_ERROR_NOT_SUPPORTED &&
           info.serial[0] == '\0',
       "no serial number");
    ok(nvml_part_number(&client, NVML_DEVICE_FIRST, text, sizeof(text)) == NVML_ERROR_NOT_SUPPORTED, "no part number");
    ok(nvml_own_memory(&client, NVML_DEVICE_FIRST, NVML_PROCESSES_GRAPHICS, &present, &bytes) == 0 && !present,
       "no process of others");
    ok(nvml_own_memory(&client, NVML_DEVICE_FIRST, NVML_PROCESS_LISTS, &present, &bytes) == NVML_ERROR_INVALID_ARGUMENT,
       "no further list");
    ok(nvml_own_utilization(&client, NVML_DEVICE_FIRST, 0, samples, &count) == 0 && count == 2, "no samples of others");
    for (size_t i = 0; i < count; i++)
        right &= samples[i].pid == 0;
    ok(right, "no number of a process of the host");
}

static void
test_lists(void)
{
    nvmlFieldValue_t values[NVML_FIELD_VALUES_WANTED_MAX], back[NVML_FIELD_VALUES_WANTED_MAX];
    nvmlSample_t samples[4];
    nvmlValueType_t kind;
    size_t count = 1;

    memset(values, 0xff, sizeof(values));
    ok(nvml_field_values(&client, NVML_DEVICE_FIRST, values, 2, back, &count) == NVML_ERROR_INVALID_ARGUMENT,
       "less room than was asked for");
    count = 4;
    ok(nvml_field_values(&client, NVML_DEVICE_FIRST, values, 0, back, &count) == NVML_ERROR_INVALID_ARGUMENT,
       "nothing");
    count = NVML_FIELD_VALUES_WANTED_MAX;
    ok(nvml_field_values(&client, NVML_DEVICE_FIRST, values, count, back, &count) == 0, "fields full of ones");
    count = 0;
    ok(nvml_samples(&client, NVML_DEVICE_FIRST, (nvmlSamplingType_t)~0u, ~0ull, &kind, NULL, &count) == 0 && count == 0,
       "samples without room");
    count = 4;
    ok(nvml_samples(&client, NVML_DEVICE_FIRST, NVML_TOTAL_POWER_SAMPLES, 0, &kind, samples, &count) == 0 && count == 4,
       "and with little");
}

int
main(void)
{
    struct gpuvchan_channel *channel;
    uint32_t devices = 0;
    int32_t version;
    char driver[80], library[80];

    if (!ok(gpuvchan_channel_connect(NULL, NULL, &channel) == 0 &&
                gpuvchan_client_open(channel, &nvml_protocol, &client) == 0,
            "connected"))
        return done();
    test_versions();
    test_devices();
    test_secrets();
    test_lists();
    ok(nvml_init(&client, &devices, &version, driver, sizeof(driver), library, sizeof(library)) == 0 &&
           devices == FAKE_DEVICES,
       "the worker lives");
    gpuvchan_channel_close(channel);
    return done();
}
