/* SPDX-License-Identifier: MIT */
/* What tests/unit/dispatch.gpv needs of C: its types, and the macros that exported functions are made of. */
#ifndef DISPATCH_TYPES_H
#define DISPATCH_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gpuvchan/plugin.h>

typedef unsigned long long test_pointer;
typedef enum {
    TEST_NONE,
    TEST_SOME = 77
} test_enum;
typedef int test_result;

typedef struct {
    uint32_t first, second;
    uint8_t third;
} test_pair;

typedef struct {
    uint8_t side[13]; /* neither a multiple of 8 nor of its own alignment's next power */
} test_box;

struct test_point {
    double x;
    float y;
};

typedef struct test_stream_object *test_stream;
typedef struct test_event_object *test_event;

#define TEST_INVALID_EVENT 401

int test_direct(struct gpuvchan_request *request, test_pointer dst, uint8_t value, test_stream on);
int test_direct_out(struct gpuvchan_request *request, uint32_t n, test_stream *made, bool *odd, uint32_t *items,
                    size_t *items_count);

/* For the output "exports". */
struct gpuvchan_client *test_client(void);
uint32_t test_handle_stream(test_stream stream);
uint32_t test_handle_event(test_event event);
test_result testScalars(uint8_t a, uint16_t b, int8_t c, uint32_t d, bool e, uint64_t f, int16_t g, float h, int64_t k,
                        int32_t l, double m, test_pointer n, test_enum o);
test_result testGreet(const char *name, const char *title, char *greeting, size_t greeting_size, char *farewell,
                      size_t farewell_size);
test_result testWork(uint32_t n, test_stream on, test_event after);

#define DISPATCH_ENTER(function)                    \
    struct gpuvchan_client *client = test_client(); \
    if (!client)                                    \
    return -1
#define DISPATCH_HANDLE(kind, value, wire)   \
    do {                                     \
        *(wire) = test_handle_##kind(value); \
        if (*(wire) == 0)                    \
            return TEST_INVALID_EVENT;       \
    } while (0)
#define DISPATCH_RESULT(function, status) ((status) < 0 ? 999 : (status))

#endif
