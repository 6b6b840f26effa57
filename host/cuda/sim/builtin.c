/* SPDX-License-Identifier: MIT */
/*
 * The functions that device code may call and the driver provides: printf,
 * assert, malloc and free. Parameters lie in the caller's frame, where the
 * call's list says.
 */
#include "memory.h"
#include "ops.h"

#include <stdio.h>

/* Where parameter i of the call is; NULL when the call does not pass it. */
static void *
argument(struct warp *w, const struct op *op, unsigned int lane, uint32_t i, uint32_t size)
{
    const uint32_t *list = w->lists + op->list, *place;

    if (i >= list[1])
        return NULL;
    place = list + 2 + 2 * (list[0] + i);
    if (place[1] < size)
        return NULL;
    return w->local + (size_t)lane * w->local_size + w->frame->local_base + place[0];
}

static uint64_t
argument_value(struct warp *w, const struct op *op, unsigned int lane, uint32_t i, uint32_t size)
{
    uint64_t value = 0;
    void *place = argument(w, op, lane, i, size);

    if (place)
        memcpy(&value, place, size);
    return value;
}

static void
set_result(struct warp *w, const struct op *op, unsigned int lane, uint64_t value)
{
    const uint32_t *list = w->lists + op->list;
    uint32_t size = list[0] ? list[3] < 8 ? list[3] : 8 : 0;

    if (size)
        memcpy(w->local + (size_t)lane * w->local_size + w->frame->local_base + list[2], &value, size);
}

/* One conversion of a format: its text, and whether a width is an argument. */
struct conversion {
    char text[32];
    char letter;
    unsigned int stars;
    size_t length;
};

static bool
parse_conversion(const char *format, struct conversion *c)
{
    size_t n = 1, kept = 1;

    memset(c, 0, sizeof *c);
    c->text[0] = '%';
    while (format[n] && strchr("-+ #0123456789.*hlLzjt", format[n])) {
        c->stars += format[n] == '*';
        /* every integer comes in 64 bits to us: lengths are set below */
        if (!strchr("hlLzjt", format[n]) && kept < sizeof c->text - 4)
            c->text[kept++] = format[n];
        n++;
    }
    c->letter = format[n];
    c->length = n + (format[n] != '\0');
    if (!c->letter || !strchr("diouxXcsfFeEgGaAp%", c->letter) || c->stars > 2)
        return false;
    if (strchr("diouxX", c->letter)) {
        c->text[kept++] = 'l';
        c->text[kept++] = 'l';
    }
    c->text[kept++] = c->letter;
    return true;
}

/* The next argument of printf: aligned to its size in the buffer. */
static bool
next_argument(struct warp *w, const struct op *op, unsigned int lane, uint64_t *at, unsigned int size, uint64_t *value)
{
    const void *place;

    *at = (*at + size - 1) & ~(uint64_t)(size - 1);
    place = warp_pointer_slow(w, op, lane, PTX_GENERIC, *at, size);
    if (!place)
        return false;
    *value = 0;
    memcpy(value, place, size);
    *at += size;
    return true;
}

static unsigned int
argument_size(const char *conversion, const struct conversion *c)
{
    size_t i;

    if (c->letter == 'c')
        return 4;
    if (strchr("spfFeEgGaA", c->letter))
        return 8;
    for (i = 0; i < c->length; i++)
        if (strchr("lLzjt", conversion[i]))
            return 8;
    return 4;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void
print_value(const struct conversion *c, const int *stars, unsigned int size, uint64_t value, const char *string)
{
    long long integer =
        c->letter == 'd' || c->letter == 'i' ? size == 4 ? (int32_t)value : (long long)value : (long long)value;

#define PRINT(v)                                    \
    (c->stars == 0   ? printf(c->text, v)           \
     : c->stars == 1 ? printf(c->text, stars[0], v) \
                     : printf(c->text, stars[0], stars[1], v))
    if (c->letter == 's')
        PRINT(string);
    else if (c->letter == 'c')
        PRINT((int)value);
    else if (c->letter == 'p')
        PRINT((void *)(uintptr_t)value);
    else if (strchr("diouxX", c->letter))
        PRINT(integer);
    else
        PRINT(as_f64(value));
#undef PRINT
}
#pragma GCC diagnostic pop

static bool
print_conversion(struct warp *w, const struct op *op, unsigned int lane, const char *format, const struct conversion *c,
                 uint64_t *at)
{
    unsigned int size = argument_size(format, c), i;
    const char *string = NULL;
    int stars[2] = {0, 0};
    uint64_t value;

    for (i = 0; i < c->stars; i++) {
        if (!next_argument(w, op, lane, at, 4, &value))
            return false;
        stars[i] = (int32_t)value < -4096 || (int32_t)value > 4096 ? 0 : (int32_t)value;
    }
    if (!next_argument(w, op, lane, at, size, &value))
        return false;
    if (c->letter == 's') {
        string = warp_string(w, op, lane, value);
        if (!string)
            return false;
    }
    print_value(c, stars, size, value, string);
    return true;
}

static void
print_lane(struct warp *w, const struct op *op, unsigned int lane)
{
    const char *format = warp_string(w, op, lane, argument_value(w, op, lane, 0, 8));
    uint64_t at = argument_value(w, op, lane, 1, 8);
    struct conversion c;

    while (format && *format) {
        if (*format != '%') {
            size_t n = strcspn(format, "%");

            fwrite(format, 1, n, stdout);
            format += n;
            continue;
        }
        if (!parse_conversion(format, &c)) {
            putchar(*format++);
            continue;
        }
        if (c.letter == '%')
            putchar('%');
        else if (!print_conversion(w, op, lane, format, &c, &at))
            return;
        format += c.length;
    }
}

static void
builtin_vprintf(struct warp *w, const struct op *op, uint32_t m)
{
    LANES(m, {
        print_lane(w, op, l);
        set_result(w, op, l, 0);
    });
    fflush(stdout);
}

static bool
print_assertion(struct warp *w, const struct op *op, unsigned int lane)
{
    static const uint32_t arguments[3] = {0, 1, 3};
    const char *texts[3];
    int i;

    for (i = 0; i < 3; i++) {
        texts[i] = warp_string(w, op, lane, argument_value(w, op, lane, arguments[i], 8));
        if (!texts[i])
            return false;
    }
    fprintf(stderr, "%s:%u: %s: block: [%u,%u,%u], thread: [%u,%u,%u] Assertion `%s` failed.\n", texts[1],
            (unsigned int)argument_value(w, op, lane, 2, 4), texts[2], w->block->ctaid[0], w->block->ctaid[1],
            w->block->ctaid[2], w->tid[0][lane], w->tid[1][lane], w->tid[2][lane], texts[0]);
    return true;
}

static void
builtin_assertfail(struct warp *w, const struct op *op, uint32_t m)
{
    LANES(m, {
        if (!print_assertion(w, op, l))
            return;
    });
    warp_fault(w, op, (unsigned int)__builtin_ctz(m), CUDA_ERROR_ASSERT, "assertion failed");
}

static void
builtin_malloc(struct warp *w, const struct op *op, uint32_t m)
{
    struct launch *launch = w->block->launch;

    LANES(m, {
        uint64_t size = argument_value(w, op, l, 0, 8);
        uintptr_t start = 0;

        if (sim_memory_alloc(launch->memory, RANGE_HEAP, launch->ordinal, launch->context, size, 0, &start))
            start = 0;
        set_result(w, op, l, start);
    });
}

static void
builtin_free(struct warp *w, const struct op *op, uint32_t m)
{
    LANES(m, {
        uint64_t address = argument_value(w, op, l, 0, 8);

        w->exec->range_size = 0;
        if (address && sim_memory_free(w->block->launch->memory, RANGE_HEAP, address))
            warp_fault(w, op, l, CUDA_ERROR_ILLEGAL_ADDRESS, "free of %#llx", (unsigned long long)address);
    });
}

op_fn
sim_builtin_find(const char *name)
{
    static const struct {
        const char *name;
        op_fn fn;
    } builtins[] = {
        {"vprintf", builtin_vprintf},
        {"__assertfail", builtin_assertfail},
        {"malloc", builtin_malloc},
        {"free", builtin_free},
    };
    size_t i;

    for (i = 0; i < sizeof builtins / sizeof builtins[0]; i++)
        if (strcmp(builtins[i].name, name) == 0)
            return builtins[i].fn;
    return NULL;
}
