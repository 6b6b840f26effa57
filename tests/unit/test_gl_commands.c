/* SPDX-License-Identifier: MIT */
/*
 * The host's handlers of OpenGL with a driver that only notes what it is told: records that say more than they have,
 * names that stand for nothing, pointers that would be addresses. The handlers and their checks are the real ones.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gl-guest.h"
#include "gl-host.h"

#include "commands.h"

/* ---- What the handlers stand on -------------------------------------------------------------- */

static unsigned char arena[65536];
static unsigned corrupt;

void *
gpuvchan_session_resolve(const struct gpuvchan_session *session, struct gpuvchan_reference reference)
{
    (void)session;
    return reference.offset <= sizeof(arena) && reference.bytes <= sizeof(arena) - reference.offset
               ? arena + reference.offset
               : NULL;
}

int
gpuvchan_request_corrupt(struct gpuvchan_request *request, const char *format, ...)
{
    (void)request;
    (void)format;
    corrupt++;
    return -EPROTO;
}

void
gpuvchan_log(enum gpuvchan_log_level level, const char *format, ...)
{
    (void)level;
    (void)format;
}

_Atomic uint64_t *
gpuvchan_session_completion(struct gpuvchan_session *session, uint32_t index)
{
    static _Atomic uint64_t words[4];

    (void)session;
    return index < 4 ? &words[index] : NULL;
}

void
gpuvchan_completion_signal(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store(word, value);
}

void *
gl_host_function(const char *name)
{
    (void)name;
    return NULL;
}

/* ---- The driver ------------------------------------------------------------------------------ */

static struct {
    unsigned draws, uploads, uniforms, enables;
    const void *pointer;
    uint32_t name;
    int32_t bound_array, bound_element, bound_unpack;
    bool enabled, in_buffer;
    uint32_t next_name;
} driver;

static void
fake_get_integerv(uint32_t pname, int32_t *data)
{
    switch (pname) {
    case GL_ARRAY_BUFFER_BINDING:
        *data = driver.bound_array;
        break;
    case GL_ELEMENT_ARRAY_BUFFER_BINDING:
        *data = driver.bound_element;
        break;
    case GL_PIXEL_UNPACK_BUFFER_BINDING:
        *data = driver.bound_unpack;
        break;
    case GL_MAX_VERTEX_ATTRIBS:
        *data = 1;
        break;
    case GL_VIEWPORT:
        memcpy(data, (const int32_t[]){1, 2, 3, 4}, 16);
        break;
    case GL_TEXTURE_BINDING_2D:
        *data = 1001;
        break;
    default:
        break;
    }
}

static void
fake_get_vertex_attribiv(uint32_t index, uint32_t pname, int32_t *params)
{
    (void)index;
    *params = pname == GL_VERTEX_ATTRIB_ARRAY_ENABLED ? driver.enabled : driver.in_buffer;
}

static void
fake_draw_arrays(uint32_t mode, int32_t first, int32_t count)
{
    (void)mode;
    (void)first;
    (void)count;
    driver.draws++;
}

static void
fake_draw_elements(uint32_t mode, int32_t count, uint32_t type, const void *indices)
{
    (void)mode;
    (void)count;
    (void)type;
    driver.pointer = indices;
    driver.draws++;
}

static void
fake_vertex_attrib_pointer(uint32_t index, int32_t size, uint32_t type, uint8_t normalized, int32_t stride,
                           const void *pointer)
{
    (void)index;
    (void)size;
    (void)type;
    (void)normalized;
    (void)stride;
    driver.pointer = pointer;
}

static void
fake_uniform4fv(int32_t location, int32_t count, const float *value)
{
    (void)location;
    (void)count;
    driver.pointer = value;
    driver.uniforms++;
}

static void
fake_tex_sub_image(uint32_t target, int32_t level, int32_t x, int32_t y, int32_t width, int32_t height, uint32_t format,
                   uint32_t type, const void *pixels)
{
    (void)target;
    (void)level;
    (void)x;
    (void)y;
    (void)width;
    (void)height;
    (void)format;
    (void)type;
    driver.pointer = pixels;
    driver.uploads++;
}

static void
fake_bind_texture(uint32_t target, uint32_t texture)
{
    (void)target;
    driver.name = texture;
}

static void
fake_gen(int32_t n, uint32_t *names)
{
    for (int32_t i = 0; i < n; i++)
        names[i] = driver.next_name++;
}

static void
fake_delete(int32_t n, const uint32_t *names)
{
    if (n > 0)
        driver.name = names[0];
}

static void
fake_enable(uint32_t cap)
{
    (void)cap;
    driver.enables++;
}

/* ---- A guest --------------------------------------------------------------------------------- */

struct guest {
    struct gl_host host;
    struct gl_lane lane;
    struct gl_context_host context;
    _Alignas(64) unsigned char payload[65536];
    _Alignas(64) unsigned char reply[16384];
    struct gpuvchan_request request;
};

static int
set_up(void **state)
{
    struct guest *guest = calloc(1, sizeof(*guest));

    guest->context.api = GL_API_ES2;
    guest->context.group = gl_names_create();
    guest->context.own = gl_names_create();
    guest->lane.host = &guest->host;
    guest->lane.current = &guest->context;
    memset(&driver, 0, sizeof(driver));
    driver.next_name = 1001;
    corrupt = 0;
    memset(gl_functions, 0, sizeof(*gl_functions));
    gl_functions->GetIntegerv = fake_get_integerv;
    gl_functions->GetVertexAttribiv = fake_get_vertex_attribiv;
    gl_functions->DrawArrays = fake_draw_arrays;
    gl_functions->DrawElements = fake_draw_elements;
    gl_functions->VertexAttribPointer = fake_vertex_attrib_pointer;
    gl_functions->Uniform4fv = fake_uniform4fv;
    gl_functions->TexSubImage2D = fake_tex_sub_image;
    gl_functions->BindTexture = fake_bind_texture;
    gl_functions->GenTextures = fake_gen;
    gl_functions->DeleteTextures = fake_delete;
    gl_functions->Enable = fake_enable;
    *state = guest;
    return 0;
}

static int
tear_down(void **state)
{
    struct guest *guest = *state;

    gl_names_unref(guest->context.group);
    gl_names_unref(guest->context.own);
    free(guest->lane.scratch);
    free(guest);
    return 0;
}

/* Executes what lies in the payload. */
static int
execute(struct guest *guest, uint16_t opcode, size_t bytes)
{
    guest->request = (struct gpuvchan_request){
        .state = &guest->host,
        .lane_state = &guest->lane,
        .payload = guest->payload,
        .bytes = (uint32_t)((bytes + 15) & ~(size_t)15),
        .opcode = opcode,
        .reply = guest->reply,
        .reply_room = sizeof(guest->reply),
    };
    return gl_dispatch.entries[opcode].execute(&guest->request);
}

static int
draw_arrays(struct guest *guest)
{
    *(struct gl_draw_arrays_request *)guest->payload = (struct gl_draw_arrays_request){.mode = 4, .count = 3};
    return execute(guest, GL_OPCODE_DRAW_ARRAYS, sizeof(struct gl_draw_arrays_request));
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void
arrays_without_a_buffer_are_not_drawn(void **state)
{
    struct guest *guest = *state;

    assert_int_equal(draw_arrays(guest), 0);
    assert_int_equal(driver.draws, 1); /* nothing is enabled */
    driver.enabled = true;
    guest->context.commands.arrays_checked = false;
    assert_int_equal(draw_arrays(guest), 0);
    assert_int_equal(driver.draws, 1);
    driver.in_buffer = true;
    guest->context.commands.arrays_checked = false;
    assert_int_equal(draw_arrays(guest), 0);
    assert_int_equal(driver.draws, 2);
}

static void
pointers_are_offsets_or_nothing(void **state)
{
    struct guest *guest = *state;
    struct gl_vertex_attrib_pointer_request *pointer = (void *)guest->payload;
    struct gl_draw_elements_request *draw = (void *)guest->payload;

    *pointer = (struct gl_vertex_attrib_pointer_request){.size = 4, .type = GL_FLOAT, .pointer = 0x7000deadbeef};
    assert_int_equal(execute(guest, GL_OPCODE_VERTEX_ATTRIB_POINTER, sizeof(*pointer)), 0);
    assert_null(driver.pointer);
    driver.bound_array = 5;
    assert_int_equal(execute(guest, GL_OPCODE_VERTEX_ATTRIB_POINTER, sizeof(*pointer)), 0);
    assert_ptr_equal(driver.pointer, (void *)0x7000deadbeef);

    memset(guest->payload, 0, sizeof(*pointer));
    *draw = (struct gl_draw_elements_request){.mode = 4, .count = 3, .type = GL_UNSIGNED_INT, .indices = 0x4000};
    assert_int_equal(execute(guest, GL_OPCODE_DRAW_ELEMENTS, sizeof(*draw)), 0);
    assert_int_equal(driver.draws, 0);
    driver.bound_element = 6;
    guest->context.commands.arrays_checked = false;
    assert_int_equal(execute(guest, GL_OPCODE_DRAW_ELEMENTS, sizeof(*draw)), 0);
    assert_int_equal(driver.draws, 1);
}

static int
uniforms(struct guest *guest, int32_t count, uint32_t elements)
{
    struct gl_uniform4fv_request *request = (void *)guest->payload;

    *request = (struct gl_uniform4fv_request){.count = count, .value_count = elements};
    return execute(guest, GL_OPCODE_UNIFORM4FV, sizeof(*request) + elements * sizeof(float));
}

static void
arrays_have_what_counts_say(void **state)
{
    struct guest *guest = *state;

    assert_int_equal(uniforms(guest, 2, 8), 0);
    assert_int_equal(driver.uniforms, 1);
    assert_int_equal(uniforms(guest, 2, 7), -EPROTO);
    assert_int_equal(uniforms(guest, INT32_MAX, 8), -EPROTO);
    assert_int_equal(driver.uniforms, 1);
    assert_int_equal(uniforms(guest, -1, 0), 0); /* the driver says what is wrong */
    assert_int_equal(driver.uniforms, 2);
}

static int
sub_image(struct guest *guest, uint32_t source, uint64_t bytes, int32_t width, int32_t height, uint32_t type)
{
    struct gl_tex_sub_image2d_request *request = (void *)guest->payload;

    *request = (struct gl_tex_sub_image2d_request){
        .target = GL_TEXTURE_2D, .width = width, .height = height, .format = GL_RGBA, .type = type};
    request->upload_source = source;
    request->pixels = (struct gpuvchan_reference){bytes ? 64 : 0, bytes};
    request->upload_offset = 0x1000;
    return execute(guest, GL_OPCODE_TEX_SUB_IMAGE2D, sizeof(*request));
}

static void
pixels_are_there(void **state)
{
    struct guest *guest = *state;

    assert_int_equal(sub_image(guest, GL_SOURCE_ARENA, 16 * 16 * 4, 16, 16, GL_UNSIGNED_BYTE), 0);
    assert_int_equal(driver.uploads, 1);
    assert_ptr_equal(driver.pointer, arena + 64);
    sub_image(guest, GL_SOURCE_ARENA, 16 * 16 * 4 - 1, 16, 16, GL_UNSIGNED_BYTE);
    sub_image(guest, GL_SOURCE_ARENA, 16 * 16 * 4, 16, 16, GL_FLOAT);
    sub_image(guest, GL_SOURCE_ARENA, 1024, INT32_MAX, INT32_MAX, GL_UNSIGNED_BYTE);
    sub_image(guest, GL_SOURCE_NULL, 0, 16, 16, GL_UNSIGNED_BYTE);
    sub_image(guest, GL_SOURCE_BUFFER, 0, 16, 16, GL_UNSIGNED_BYTE);
    assert_int_equal(driver.uploads, 1);
    driver.enables = 0;
    sub_image(guest, GL_SOURCE_ARENA, 1024, 16, 16, 0x1234);
    assert_int_equal(driver.enables, 1); /* has the driver raise GL_INVALID_ENUM */
    assert_int_equal(driver.uploads, 1);
    driver.bound_unpack = 3;
    assert_int_equal(sub_image(guest, GL_SOURCE_BUFFER, 0, 16, 16, GL_UNSIGNED_BYTE), 0);
    assert_int_equal(driver.uploads, 2);
    assert_ptr_equal(driver.pointer, (void *)0x1000);
}

static int
gen_textures(struct guest *guest, int32_t n, uint32_t count, uint32_t first)
{
    struct gl_gen_textures_request *request = (void *)guest->payload;
    uint32_t *names = (void *)(request + 1);

    *request = (struct gl_gen_textures_request){.n = n, .textures_count = count};
    for (uint32_t i = 0; i < count; i++)
        names[i] = first + i;
    return execute(guest, GL_OPCODE_GEN_TEXTURES, sizeof(*request) + count * sizeof(*names));
}

static int
bind_texture(struct guest *guest, uint32_t name)
{
    struct gl_bind_texture_request *request = (void *)guest->payload;

    *request = (struct gl_bind_texture_request){.target = GL_TEXTURE_2D, .texture = name};
    return execute(guest, GL_OPCODE_BIND_TEXTURE, sizeof(*request));
}

static void
names_are_the_guests(void **state)
{
    struct guest *guest = *state;
    struct gl_get_integerv_request *get = (void *)guest->payload;
    const struct gl_get_integerv_reply *got = (void *)guest->reply;

    assert_int_equal(gen_textures(guest, 2, 2, 7), 0);
    assert_int_equal(bind_texture(guest, 8), 0);
    assert_int_equal(driver.name, 1002);
    assert_int_equal(bind_texture(guest, 0), 0);
    assert_int_equal(driver.name, 0);
    assert_int_equal(gen_textures(guest, 1, 1, 8), -EPROTO); /* it is taken */
    assert_int_equal(gen_textures(guest, 1, 1, 0), -EPROTO);
    assert_int_equal(gen_textures(guest, 3, 2, 20), -EPROTO);

    /* What GL makes at its first use: not in the core profile. */
    assert_int_equal(bind_texture(guest, 4711), 0);
    assert_int_not_equal(driver.name, GL_NO_NAME);
    guest->context.api = GL_API_CORE;
    assert_int_equal(bind_texture(guest, 4712), 0);
    assert_int_equal(driver.name, GL_NO_NAME);

    *get = (struct gl_get_integerv_request){.pname = GL_TEXTURE_BINDING_2D, .data_room = 1024};
    assert_int_equal(execute(guest, GL_OPCODE_GET_INTEGERV, sizeof(*get)), 0);
    assert_int_equal(got->data_count, 1);
    assert_int_equal(*(const int32_t *)(got + 1), 7);
}

static void
answers_have_what_was_written(void **state)
{
    struct guest *guest = *state;
    struct gl_get_integerv_request *get = (void *)guest->payload;
    const struct gl_get_integerv_reply *got = (void *)guest->reply;

    gl_functions_load();
    gl_functions->GetIntegerv = fake_get_integerv;
    *get = (struct gl_get_integerv_request){.pname = GL_VIEWPORT, .data_room = 1024};
    assert_int_equal(execute(guest, GL_OPCODE_GET_INTEGERV, sizeof(*get)), 0);
    assert_int_equal(got->data_count, 4);
    assert_memory_equal(got + 1, ((const int32_t[]){1, 2, 3, 4}), 16);
    get->data_room = 2; /* no more than there is room for */
    assert_int_equal(execute(guest, GL_OPCODE_GET_INTEGERV, sizeof(*get)), 0);
    assert_int_equal(got->data_count, 2);
    *get = (struct gl_get_integerv_request){.pname = 0x1234, .data_room = 1024};
    assert_int_equal(execute(guest, GL_OPCODE_GET_INTEGERV, sizeof(*get)), 0);
    assert_int_equal(got->data_count, 0);
}

static void
without_a_context_nothing_is_done(void **state)
{
    struct guest *guest = *state;

    guest->lane.current = NULL;
    for (unsigned opcode = 256; opcode < GL_OPCODES; opcode++) {
        const struct gpuvchan_entry *entry = &gl_dispatch.entries[opcode];

        if (!entry->name)
            continue;
        memset(guest->payload, 0, sizeof(guest->payload));
        (void)execute(guest, (uint16_t)opcode, entry->bytes_min);
    }
    assert_int_equal(driver.draws + driver.uploads + driver.uniforms, 0);
}

/* Whatever stands in a record, the handlers return: under a sanitizer this is worth more. */
static void
records_of_noise(void **state)
{
    struct guest *guest = *state;
    uint32_t random = 12345;

    for (unsigned round = 0; round < 20000; round++) {
        static const uint16_t opcodes[] = {
            GL_OPCODE_UNIFORM4FV,   GL_OPCODE_TEX_SUB_IMAGE2D, GL_OPCODE_GEN_TEXTURES, GL_OPCODE_DELETE_TEXTURES,
            GL_OPCODE_GET_INTEGERV, GL_OPCODE_DRAW_ELEMENTS,   GL_OPCODE_BIND_TEXTURE};
        uint16_t opcode = opcodes[round % (sizeof(opcodes) / sizeof(opcodes[0]))];
        const struct gpuvchan_entry *entry = &gl_dispatch.entries[opcode];
        size_t bytes;

        for (unsigned i = 0; i < 256; i++) {
            random = random * 1664525 + 1013904223;
            guest->payload[i] = (unsigned char)(random >> 24 & (random >> 9 & 1 ? 0xff : 0x03));
        }
        bytes = entry->bytes_min + (random >> 5) % 128;
        if (bytes <= entry->bytes_max)
            (void)execute(guest, opcode, bytes);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(arrays_without_a_buffer_are_not_drawn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pointers_are_offsets_or_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(arrays_have_what_counts_say, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pixels_are_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_are_the_guests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_have_what_was_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_context_nothing_is_done, set_up, tear_down),
        cmocka_unit_test_setup_teardown(records_of_noise, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
