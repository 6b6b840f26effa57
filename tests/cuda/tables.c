/* SPDX-License-Identifier: MIT */
/* The tables that the CUDA runtime asks for: what libraries rely on beyond what a runtime's start shows. */
#include <pthread.h>

#include "test.h"

typedef CUresult storage_put(CUcontext, void *key, void *value, void (*end)(CUcontext, void *, void *));
typedef CUresult storage_delete(CUcontext, void *key);
typedef CUresult storage_get(void **value, CUcontext, void *key);

static const CUuuid runtime = {"\x6b\xd5\xfb\x6c\x5b\xf4\xe7\x4a\x89\x87\xd9\x39\x12\xfd\x9d\xf9"};
static const CUuuid tools = {"\x42\xd8\x5a\x81\x23\xf6\xcb\x47\x82\x98\xf6\xe7\x8a\x3a\xec\xdc"};
static const CUuuid storage = {"\xc6\x93\x33\x6e\x11\x21\xdf\x11\xa8\xc3\x68\xf3\x55\xd8\x95\x93"};
static const CUuuid integrity = {"\xd4\x08\x20\x55\xbd\xe6\x70\x4b\x8d\x34\xba\x12\x3c\x66\xe1\xf2"};
static const CUuuid library = {"\x21\x31\x8c\x60\x97\x14\x32\x48\x8c\xa6\x41\xff\x73\x24\xc8\xf2"};
static const CUuuid module = {"\x6e\x16\x3f\xbe\xb9\x58\x44\x4d\x83\x5c\xe1\x82\xaf\xf1\x99\x1e"};
static const CUuuid hooks = {"\xf8\xcf\xf9\x51\x21\x46\x8b\x4e\xb9\xe2\xfb\x46\x9e\x7c\x0d\xd9"};
static const CUuuid profiler = {"\x7c\xb6\x3f\x9b\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c"};
static const CUuuid unknown = {"\x17\x34\xdc\x26\x80\x0d\x47\x45\x87\x26\xc0\xf1\xe7\xdd\x8b\xca"};

static void *const *
table(const CUuuid *which)
{
    const void *found = NULL;

    NEED(cuGetExportTable(&found, which));
    return found;
}

/* ---- Storage --------------------------------------------------------------------------------- */

static storage_put *put;
static storage_delete *drop;
static storage_get *get;

static struct {
    CUcontext context;
    void *key, *value;
    int times;
} heard;

static void
hear(CUcontext context, void *key, void *value)
{
    heard.context = context;
    heard.key = key;
    heard.value = value;
    heard.times++;
}

static void *
stored(CUcontext context, void *key)
{
    void *value = &value;

    return get(&value, context, key) == CUDA_SUCCESS ? value : NULL;
}

static void
keeps(CUcontext context)
{
    char keys[40];
    void *value = NULL;
    bool good = true;

    GIVES(CUDA_ERROR_INVALID_HANDLE, get(&value, context, keys));
    GIVES(CUDA_SUCCESS, put(context, keys, &heard, NULL));
    GIVES(CUDA_SUCCESS, get(&value, NULL, keys));
    ok(value == &heard, "NULL is the current context");
    GIVES(CUDA_SUCCESS, put(context, keys, &good, NULL));
    ok(stored(context, keys) == &good, "a value is replaced");
    GIVES(CUDA_SUCCESS, drop(context, keys));
    GIVES(CUDA_ERROR_INVALID_HANDLE, get(&value, context, keys));
    GIVES(CUDA_ERROR_INVALID_HANDLE, drop(context, keys));
    for (int i = 0; i < 40; i++)
        good &= put(context, &keys[i], &keys[39 - i], NULL) == CUDA_SUCCESS;
    for (int i = 0; i < 40; i += 2)
        good &= drop(context, &keys[i]) == CUDA_SUCCESS;
    for (int i = 0; i < 40; i++)
        good &= stored(context, &keys[i]) == (i % 2 ? &keys[39 - i] : NULL);
    ok(good, "many are told apart");
    for (int i = 1; i < 40; i += 2)
        good &= drop(context, &keys[i]) == CUDA_SUCCESS;
    ok(good, "and go");
}

static void
ends(void)
{
    CUcontext context, other;
    void *value;

    NEED(cuCtxCreate_v2(&other, 0, 0));
    NEED(cuCtxCreate_v2(&context, 0, 0));
    NEED(put(context, &context, &other, hear));
    ok(stored(other, &context) == NULL, "a context does not see what is another's");
    NEED(cuCtxDestroy_v2(context));
    ok(heard.times == 1 && heard.context == context && heard.key == &context && heard.value == &other,
       "whose value is in a context hears of its end");
    NEED(cuCtxDestroy_v2(other));
    ok(heard.times == 1, "once");
    NEED(cuDevicePrimaryCtxRetain(&context, 0));
    NEED(cuCtxSetCurrent(context));
    NEED(put(context, &heard, &other, hear));
    NEED(cuDevicePrimaryCtxReset_v2(0));
    ok(heard.times == 2 && heard.key == &heard, "and of a primary context's");
    ok(get(&value, context, &heard) != CUDA_SUCCESS, "whose next life begins with nothing");
    NEED(cuDevicePrimaryCtxRelease_v2(0));
}

static _Atomic bool stop;

static void *
reader(void *context)
{
    long wrong = 0;

    while (!stop) {
        void *value = stored(context, &heard);

        wrong += value != NULL && value != &heard && value != &stop;
    }
    return (void *)wrong;
}

/* Values change while others look: they see one or the other, or none. */
static void
races(CUcontext context)
{
    void *wrong = NULL;
    pthread_t thread;

    pthread_create(&thread, NULL, reader, context);
    for (unsigned i = 0; i < test_rounds(20000); i++) {
        put(context, &heard, i % 2 ? (void *)&heard : (void *)&stop, NULL);
        if (i % 3 == 0)
            drop(context, &heard);
        put(context, &drop, &drop, NULL);
        drop(context, &drop);
    }
    stop = true;
    pthread_join(thread, &wrong);
    ok(wrong == NULL, "readers see no value that is another key's");
}

/* ---- The others ------------------------------------------------------------------------------ */

static int visited;

static void
visit(void *with, CUfunction function, int index)
{
    (void)index;
    visited += with == &visited && function != NULL;
}

static void
others(CUcontext context)
{
    CUresult (*primary)(CUcontext *, CUdevice);
    CUresult (*current)(CUcontext *);
    CUresult (*check)(unsigned, unsigned long long, unsigned long long[2]);
    CUresult (*identity)(CUcontext, unsigned long long *);
    CUresult (*any)(void *, void *);
    int (*functions)(CUcontext, CUmodule, void (*)(void *, CUfunction, int), void *);
    unsigned long long first[2], second[2], id = 0, same = 1;
    CUcontext found = NULL;
    unsigned flags;
    CUmodule kernels_of;
    const void *none = &none;
    int active = 1;

    memcpy(&primary, &table(&runtime)[2], sizeof(primary));
    GIVES(CUDA_SUCCESS, primary(&found, 0));
    NEED(cuDevicePrimaryCtxGetState(0, &flags, &active));
    ok(found && !active, "the primary context is named before anybody has it");
    memcpy(&current, &table(&tools)[2], sizeof(current));
    GIVES(CUDA_SUCCESS, current(&found));
    ok(found == context, "tools get the current context");
    memcpy(&check, &table(&integrity)[1], sizeof(check));
    GIVES(CUDA_SUCCESS, check(13002, 1700000000, first));
    GIVES(CUDA_SUCCESS, check(13002, 1700000000, second));
    ok(first[0] == second[0] && first[1] == second[1], "the same question has the same answer");
    GIVES(CUDA_SUCCESS, check(13002, 1700000001, second));
    ok(first[0] != second[0], "at another time it is another one");
    memcpy(&identity, &table(&library)[4], sizeof(identity));
    GIVES(CUDA_SUCCESS, identity(context, &id));
    NEED(cuCtxGetId(context, &same));
    ok(id == same, "a context has its number");
    NEED(cuModuleLoadData(&kernels_of, kernels));
    memcpy(&functions, &table(&module)[7], sizeof(functions));
    ok(functions(context, kernels_of, visit, &visited) == 1 && visited == 6, "all functions of a module are visited");
    memcpy(&any, &table(&unknown)[4], sizeof(any));
    GIVES(CUDA_ERROR_NOT_SUPPORTED, any(NULL, NULL));
    GIVES(CUDA_ERROR_NOT_FOUND, cuGetExportTable(&none, &hooks));
    ok(none == NULL, "there is no table then");
    GIVES(CUDA_ERROR_NOT_FOUND, cuGetExportTable(&none, &profiler));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuGetExportTable(NULL, &runtime));
}

int
main(void)
{
    CUcontext context = test_begin();
    void *const *functions = table(&storage);

    memcpy(&put, &functions[0], sizeof(put));
    memcpy(&drop, &functions[1], sizeof(drop));
    memcpy(&get, &functions[2], sizeof(get));
    keeps(context);
    others(context);
    races(context);
    ends();
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
