/* SPDX-License-Identifier: MIT */
/* Which memory the driver may read and write: pixels, buffers' contents, vertex arrays. */
#include <string.h>

#include "gl-host.h"

#include "commands.h"

int32_t
gl_get(uint32_t pname)
{
    int32_t values[16] = {0}; /* more than any number that is asked for here has */

    gl_functions->GetIntegerv(pname, values);
    return values[0];
}

void
gl_raise_enum(void)
{
    gl_functions->Enable(0xffffffffu);
}

/* ---- Pixel storage --------------------------------------------------------------------------- */

static const struct gl_pixel_store store_default = {.alignment = 4};

static void
read_store(struct gl_pixel_store *store, const uint32_t pnames[6])
{
    *store = (struct gl_pixel_store){
        .alignment = gl_get(pnames[0]),
        .row_length = gl_get(pnames[1]),
        .skip_rows = gl_get(pnames[2]),
        .skip_pixels = gl_get(pnames[3]),
        .image_height = gl_get(pnames[4]),
        .skip_images = gl_get(pnames[5]),
    };
}

/* After what sets all of it at once, which only contexts have that know all of it. */
static void
read_stores(struct gl_commands *commands)
{
    static const uint32_t pack[] = {GL_PACK_ALIGNMENT,   GL_PACK_ROW_LENGTH,   GL_PACK_SKIP_ROWS,
                                    GL_PACK_SKIP_PIXELS, GL_PACK_IMAGE_HEIGHT, GL_PACK_SKIP_IMAGES};
    static const uint32_t unpack[] = {GL_UNPACK_ALIGNMENT,   GL_UNPACK_ROW_LENGTH,   GL_UNPACK_SKIP_ROWS,
                                      GL_UNPACK_SKIP_PIXELS, GL_UNPACK_IMAGE_HEIGHT, GL_UNPACK_SKIP_IMAGES};

    read_store(&commands->pack, pack);
    read_store(&commands->unpack, unpack);
}

static struct gl_commands *
known_stores(const struct gl_context_host *context)
{
    struct gl_commands *commands = (struct gl_commands *)(uintptr_t)&context->commands;

    if (!commands->stores_known) {
        commands->pack = commands->unpack = store_default;
        commands->stores_known = true;
    }
    return commands;
}

const struct gl_pixel_store *
gl_pack_store(const struct gl_context_host *context)
{
    return &known_stores(context)->pack;
}

static int32_t *
store_field(struct gl_commands *commands, uint32_t pname)
{
    switch (pname) {
    case GL_PACK_ALIGNMENT:
        return &commands->pack.alignment;
    case GL_PACK_ROW_LENGTH:
        return &commands->pack.row_length;
    case GL_PACK_SKIP_ROWS:
        return &commands->pack.skip_rows;
    case GL_PACK_SKIP_PIXELS:
        return &commands->pack.skip_pixels;
    case GL_PACK_IMAGE_HEIGHT:
        return &commands->pack.image_height;
    case GL_PACK_SKIP_IMAGES:
        return &commands->pack.skip_images;
    case GL_UNPACK_ALIGNMENT:
        return &commands->unpack.alignment;
    case GL_UNPACK_ROW_LENGTH:
        return &commands->unpack.row_length;
    case GL_UNPACK_SKIP_ROWS:
        return &commands->unpack.skip_rows;
    case GL_UNPACK_SKIP_PIXELS:
        return &commands->unpack.skip_pixels;
    case GL_UNPACK_IMAGE_HEIGHT:
        return &commands->unpack.image_height;
    case GL_UNPACK_SKIP_IMAGES:
        return &commands->unpack.skip_images;
    default:
        return NULL;
    }
}

/* The driver says what has become of it; if it does not know the name, it has said so before. */
static void
stored(struct gl_context_host *context, uint32_t pname)
{
    int32_t *field = store_field(known_stores(context), pname);

    if (field)
        gl_functions->GetIntegerv(pname, field);
}

/* Those that are not about where pixels lie, and what the driver has for itself, are none of ours. */
static bool
may_store(uint32_t pname)
{
    return pname != GL_PACK_INVERT_MESA && pname != GL_UNPACK_CLIENT_STORAGE_APPLE;
}

int
gl_host_pixel_storei(struct gpuvchan_request *request, uint32_t pname, int32_t param)
{
    struct gl_context_host *context = gl_context_of(request);

    if (!context || !may_store(pname))
        return 0;
    gl_functions->PixelStorei(pname, param);
    stored(context, pname);
    return 0;
}

int
gl_host_pixel_storef(struct gpuvchan_request *request, uint32_t pname, float param)
{
    struct gl_context_host *context = gl_context_of(request);

    if (!context || !may_store(pname) || !GL_HAS(request, PixelStoref))
        return 0;
    gl_functions->PixelStoref(pname, param);
    stored(context, pname);
    return 0;
}

int
gl_host_pop_client_attrib(struct gpuvchan_request *request)
{
    struct gl_context_host *context = gl_context_of(request);

    if (!context || context->api != GL_API_COMPAT)
        return 0;
    gl_functions->PopClientAttrib();
    read_stores(known_stores(context));
    context->commands.arrays_checked = false;
    return 0;
}

/* ---- Sizes ----------------------------------------------------------------------------------- */

uint64_t
gl_image_unpacked(const struct gl_context_host *context, unsigned dimensions, uint32_t format, uint32_t type,
                  int32_t width, int32_t height, int32_t depth)
{
    struct gl_span span;

    return gl_image_span(&known_stores(context)->unpack, dimensions, format, type, width, height, depth, &span)
               ? span.end
               : GL_UNKNOWN_BYTES;
}

uint64_t
gl_image_packed(const struct gl_context_host *context, unsigned dimensions, uint32_t format, uint32_t type,
                int32_t width, int32_t height, int32_t depth)
{
    struct gl_span span;

    return gl_image_span(&known_stores(context)->pack, dimensions, format, type, width, height, depth, &span)
               ? span.end
               : GL_UNKNOWN_BYTES;
}

static int32_t
level_get(uint32_t target, int32_t level, uint32_t pname)
{
    int32_t values[4] = {0};

    if (gl_functions->GetTexLevelParameteriv)
        gl_functions->GetTexLevelParameteriv(target == GL_TEXTURE_CUBE_MAP ? GL_TEXTURE_CUBE_MAP_POSITIVE_X : target,
                                             level, pname, values);
    return values[0];
}

uint64_t
gl_level_packed(const struct gl_context_host *context, uint32_t target, int32_t level, uint32_t format, uint32_t type)
{
    int32_t depth = level_get(target, level, GL_TEXTURE_DEPTH);
    bool deep = target == GL_TEXTURE_3D || target == GL_TEXTURE_2D_ARRAY || target == GL_TEXTURE_CUBE_MAP_ARRAY;

    return gl_image_packed(context, deep ? 3 : 2, format, type, level_get(target, level, GL_TEXTURE_WIDTH),
                           level_get(target, level, GL_TEXTURE_HEIGHT), depth > 0 ? depth : 1);
}

uint64_t
gl_compressed_packed(const struct gl_context_host *context, uint32_t target, int32_t level)
{
    (void)context;
    return gl_count(level_get(target, level, GL_TEXTURE_COMPRESSED_IMAGE_SIZE));
}

int
gl_host_level_extent(struct gpuvchan_request *request, uint32_t target, int32_t level, int32_t *extent,
                     size_t *extent_count)
{
    struct gl_context_host *context = gl_context_of(request);
    static const uint32_t pnames[] = {GL_TEXTURE_WIDTH, GL_TEXTURE_HEIGHT, GL_TEXTURE_DEPTH, GL_TEXTURE_COMPRESSED};

    if (!context || *extent_count < 4) {
        *extent_count = 0;
        return 0;
    }
    for (int i = 0; i < 4; i++)
        extent[i] = level_get(target, level, pnames[i]);
    if (extent[3])
        extent[3] = level_get(target, level, GL_TEXTURE_COMPRESSED_IMAGE_SIZE);
    *extent_count = 4;
    return 0;
}

/* ---- Pointers -------------------------------------------------------------------------------- */

static bool
fits(const struct gpuvchan_request *request, uint64_t need, size_t bytes)
{
    if (need == GL_UNKNOWN_BYTES) {
        gl_raise_enum();
        return false;
    }
    if (need <= bytes)
        return true;
    gpuvchan_log(GPUVCHAN_LOG_WARNING, "gl: opcode %u has %zu bytes of memory where the driver uses %llu",
                 request->opcode, bytes, (unsigned long long)need);
    return false;
}

static bool
arena_memory(struct gpuvchan_request *request, const void *memory, size_t bytes, uint64_t need, const void **out)
{
    if (!fits(request, need, bytes))
        return false;
    *out = memory;
    return memory != NULL || need == 0;
}

bool
gl_upload_memory(const struct gl_context_host *context, struct gpuvchan_request *request, uint32_t source,
                 uint64_t offset, const void *memory, size_t bytes, uint64_t need, bool null_ok, const void **pixels)
{
    (void)context;
    (void)offset;
    *pixels = NULL;
    if (source == GL_SOURCE_ARENA)
        return arena_memory(request, memory, bytes, need, pixels);
    return source == GL_SOURCE_NULL && (null_ok || need == 0);
}

bool
gl_upload_pixels(const struct gl_context_host *context, struct gpuvchan_request *request, uint32_t source,
                 uint64_t offset, const void *memory, size_t bytes, uint64_t need, bool null_ok, const void **pixels)
{
    if (source != GL_SOURCE_BUFFER)
        return gl_upload_memory(context, request, source, offset, memory, bytes, need, null_ok, pixels);
    *pixels = (const void *)(uintptr_t)offset;
    return gl_get(GL_PIXEL_UNPACK_BUFFER_BINDING) != 0;
}

bool
gl_download_fits(const struct gl_context_host *context, struct gpuvchan_request *request, uint64_t need, size_t bytes)
{
    (void)context;
    return fits(request, need, bytes);
}

bool
gl_pack_bound(const struct gl_context_host *context)
{
    (void)context;
    return gl_get(GL_PIXEL_PACK_BUFFER_BINDING) != 0;
}

bool
gl_indirect_bound(const struct gl_context_host *context)
{
    (void)context;
    return gl_get(GL_DRAW_INDIRECT_BUFFER_BINDING) != 0;
}

uint64_t
gl_array_offset(const struct gl_context_host *context, uint64_t offset)
{
    (void)context;
    return offset != 0 && gl_get(GL_ARRAY_BUFFER_BINDING) == 0 ? 0 : offset;
}

/* ---- Vertex arrays --------------------------------------------------------------------------- */

/* An enabled array without a buffer would be read from an address. */
static bool
generic_arrays_safe(void)
{
    int32_t count = gl_get(GL_MAX_VERTEX_ATTRIBS);

    for (int32_t i = 0; i < count; i++) {
        int32_t enabled[4] = {0}, buffer[4] = {0};

        gl_functions->GetVertexAttribiv((uint32_t)i, GL_VERTEX_ATTRIB_ARRAY_ENABLED, enabled);
        if (!enabled[0])
            continue;
        gl_functions->GetVertexAttribiv((uint32_t)i, GL_VERTEX_ATTRIB_ARRAY_BUFFER_BINDING, buffer);
        if (buffer[0] == 0)
            return false;
    }
    return true;
}

static bool
array_safe(uint32_t array, uint32_t binding)
{
    return !gl_functions->IsEnabled(array) || gl_get(binding) != 0;
}

static bool
texture_arrays_safe(void)
{
    int32_t units = gl_get(GL_MAX_TEXTURE_UNITS), active = gl_get(GL_CLIENT_ACTIVE_TEXTURE);
    bool safe = true;

    for (int32_t i = 0; i < units && safe; i++) {
        gl_functions->ClientActiveTexture(GL_TEXTURE0 + (uint32_t)i);
        safe = array_safe(GL_TEXTURE_COORD_ARRAY, GL_TEXTURE_COORD_ARRAY_BUFFER_BINDING);
    }
    gl_functions->ClientActiveTexture((uint32_t)active);
    return safe;
}

static bool
fixed_arrays_safe(enum gl_api api)
{
    static const uint32_t arrays[][2] = {
        {GL_VERTEX_ARRAY, GL_VERTEX_ARRAY_BUFFER_BINDING},
        {GL_NORMAL_ARRAY, GL_NORMAL_ARRAY_BUFFER_BINDING},
        {GL_COLOR_ARRAY, GL_COLOR_ARRAY_BUFFER_BINDING},
        {GL_INDEX_ARRAY, GL_INDEX_ARRAY_BUFFER_BINDING}, /* from here on not in ES */
        {GL_EDGE_FLAG_ARRAY, GL_EDGE_FLAG_ARRAY_BUFFER_BINDING},
        {GL_FOG_COORD_ARRAY, GL_FOG_COORD_ARRAY_BUFFER_BINDING},
        {GL_SECONDARY_COLOR_ARRAY, GL_SECONDARY_COLOR_ARRAY_BUFFER_BINDING},
    };
    unsigned count = api == GL_API_ES1 ? 3 : sizeof(arrays) / sizeof(arrays[0]);

    for (unsigned i = 0; i < count; i++)
        if (!array_safe(arrays[i][0], arrays[i][1]))
            return false;
    return texture_arrays_safe();
}

static void
check_arrays(struct gl_context_host *context)
{
    struct gl_commands *commands = &context->commands;
    enum gl_api api = context->api;

    if (commands->arrays_checked)
        return;
    commands->arrays_checked = true;
    commands->elements_bound = gl_get(GL_ELEMENT_ARRAY_BUFFER_BINDING) != 0;
    if (api == GL_API_CORE && gl_get(GL_VERTEX_ARRAY_BINDING) == 0)
        commands->arrays_safe = true; /* the driver draws nothing without one */
    else
        commands->arrays_safe = (api == GL_API_ES1 || generic_arrays_safe()) &&
                                (!(api & (GL_API_COMPAT | GL_API_ES1)) || fixed_arrays_safe(api));
    if (!commands->arrays_safe)
        gpuvchan_log(GPUVCHAN_LOG_DEBUG, "gl: an enabled vertex array is in no buffer: nothing is drawn");
}

bool
gl_draw_ready(struct gl_context_host *context)
{
    check_arrays(context);
    return context->commands.arrays_safe;
}

bool
gl_element_bound(struct gl_context_host *context)
{
    check_arrays(context);
    return context->commands.elements_bound;
}

/* Between glBegin() and glEnd() the driver cannot be asked. */
int
gl_host_begin(struct gpuvchan_request *request, uint32_t mode)
{
    struct gl_context_host *context = gl_context_of(request);

    if (!context || !GL_HAS(request, Begin))
        return 0;
    if (context->api == GL_API_COMPAT)
        check_arrays(context);
    gl_functions->Begin(mode);
    return 0;
}

int
gl_host_array_element(struct gpuvchan_request *request, int32_t i)
{
    struct gl_context_host *context = gl_context_of(request);

    if (context && context->api == GL_API_COMPAT && context->commands.arrays_checked && context->commands.arrays_safe)
        gl_functions->ArrayElement(i);
    return 0;
}
