/* SPDX-License-Identifier: MIT */
/* What kernels print comes out of the program, in the order of what it prints itself. */
#include "test.h"

/* hello(count): each of the first count threads says its number. */
static const char printing[] = ".version 6.4\n"
                               ".target sm_75\n"
                               ".address_size 64\n"
                               ".extern .func (.param .b32 result) vprintf\n"
                               "(.param .b64 format, .param .b64 arguments);\n"
                               ".global .align 1 .b8 number[14] = {116, 104, 114, 101, 97, 100, 32, 37, 117, 32, 37, "
                               "115, 10, 0};\n"
                               ".global .align 1 .b8 word[4] = {114, 97, 110, 0};\n"
                               ".visible .entry hello(.param .u32 count)\n"
                               "{\n"
                               "    .local .align 8 .b8 stack[16];\n"
                               "    .reg .pred %p;\n"
                               "    .reg .u32 %thread, %count, %result;\n"
                               "    .reg .u64 %format, %word, %stack, %place;\n"
                               "    ld.param.u32 %count, [count];\n"
                               "    mov.u32 %thread, %tid.x;\n"
                               "    setp.ge.u32 %p, %thread, %count;\n"
                               "    @%p bra done;\n"
                               "    mov.u64 %stack, stack;\n"
                               "    cvta.local.u64 %place, %stack;\n"
                               "    mov.u64 %format, number;\n"
                               "    cvta.global.u64 %format, %format;\n"
                               "    mov.u64 %word, word;\n"
                               "    cvta.global.u64 %word, %word;\n"
                               "    st.local.u32 [%stack], %thread;\n"
                               "    st.local.u64 [%stack+8], %word;\n"
                               "    {\n"
                               "    .param .b64 format;\n"
                               "    .param .b64 arguments;\n"
                               "    .param .b32 answer;\n"
                               "    st.param.b64 [format], %format;\n"
                               "    st.param.b64 [arguments], %place;\n"
                               "    call.uni (answer), vprintf, (format, arguments);\n"
                               "    ld.param.b32 %result, [answer];\n"
                               "    }\n"
                               "done:\n"
                               "    ret;\n"
                               "}\n";

/* claims(): that 1 is 2. */
static const char claiming[] = ".version 6.4\n"
                               ".target sm_75\n"
                               ".address_size 64\n"
                               ".extern .func __assertfail\n"
                               "(.param .b64 message, .param .b64 file, .param .b32 line, .param .b64 function,\n"
                               " .param .b64 width) .noreturn;\n"
                               ".global .align 1 .b8 claim[7] = {49, 32, 61, 61, 32, 50, 0};\n"
                               ".global .align 1 .b8 place[6] = {112, 108, 97, 99, 101, 0};\n"
                               ".visible .entry claims()\n"
                               "{\n"
                               "    .reg .u64 %claim, %place;\n"
                               "    mov.u64 %claim, claim;\n"
                               "    cvta.global.u64 %claim, %claim;\n"
                               "    mov.u64 %place, place;\n"
                               "    cvta.global.u64 %place, %place;\n"
                               "    {\n"
                               "    .param .b64 message;\n"
                               "    .param .b64 file;\n"
                               "    .param .b32 line;\n"
                               "    .param .b64 function;\n"
                               "    .param .b64 width;\n"
                               "    st.param.b64 [message], %claim;\n"
                               "    st.param.b64 [file], %place;\n"
                               "    st.param.b32 [line], 7;\n"
                               "    st.param.b64 [function], %place;\n"
                               "    st.param.b64 [width], 1;\n"
                               "    call.uni __assertfail, (message, file, line, function, width);\n"
                               "    }\n"
                               "    ret;\n"
                               "}\n";

/* The device is of no use afterwards. */
static void
assertion(void)
{
    FILE *file = tmpfile();
    char line[512] = "";
    CUcontext context;
    CUmodule module;
    CUfunction claims;

    if (!file)
        exit(1);
    NEED(cuCtxCreate_v2(&context, 0, 0));
    NEED(cuModuleLoadData(&module, claiming));
    NEED(cuModuleGetFunction(&claims, module, "claims"));
    fflush(stderr);
    dup2(fileno(file), 2);
    NEED(cuLaunchKernel(claims, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    GIVES(CUDA_ERROR_ASSERT, cuCtxSynchronize());
    fflush(stderr);
    rewind(file);
    ok(fgets(line, sizeof(line), file) && strstr(line, "Assertion `1 == 2` failed"), "a failed assertion says so");
    fclose(file);
}

static void
hello(CUfunction function, CUstream stream, unsigned count)
{
    void *parameters[] = {&count};

    NEED(cuLaunchKernel(function, 1, 1, 1, 8, 1, 1, 0, stream, parameters, NULL));
}

int
main(int count, char **arguments)
{
    CUcontext context;
    CUmodule module;
    CUlibrary library;
    CUfunction function;
    CUkernel kernel;
    CUstream stream;
    CUevent event;
    CUdeviceptr memory;
    unsigned word;

    (void)arguments;
    if (count > 1) {
        NEED(cuInit(0));
        assertion();
        return test_failed;
    }
    context = test_begin();
    NEED(cuMemAlloc_v2(&memory, 4));
    NEED(cuModuleLoadData(&module, printing));
    NEED(cuModuleGetFunction(&function, module, "hello"));
    NEED(cuLibraryLoadData(&library, printing, NULL, NULL, 0, NULL, NULL, 0));
    NEED(cuLibraryGetKernel(&kernel, library, "hello"));
    NEED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    NEED(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    puts("a context is waited for");
    hello(function, NULL, 3);
    NEED(cuCtxSynchronize());
    puts("nothing more is said");
    NEED(cuCtxSynchronize());
    puts("a stream is waited for");
    hello((CUfunction)kernel, stream, 1);
    NEED(cuStreamSynchronize(stream));
    puts("an event is waited for");
    hello(function, stream, 2);
    NEED(cuEventRecord(event, stream));
    NEED(cuEventSynchronize(event));
    puts("a copy waits");
    hello(function, NULL, 1);
    NEED(cuMemcpyDtoH_v2(&word, memory, sizeof(word)));
    puts("much is said");
    for (unsigned i = 0; i < 2000; i++)
        hello(function, NULL, 8);
    NEED(cuCtxSynchronize());
    puts("a context ends");
    hello(function, NULL, 1);
    NEED(cuModuleUnload(module));
    NEED(cuCtxDestroy_v2(context));
    fflush(stdout);
    ok(system("/proc/$PPID/exe alone") == 0, "so does one of a program that prints nothing");
    assertion();
    return test_end();
}
