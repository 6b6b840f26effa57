/* SPDX-License-Identifier: MIT */
/*
 * Texture and surface references, which CUDA 12's compiler does not make any more: refused. They look at no
 * argument, so they have none here, and this file does not include what declares them as they are.
 */
#include <gpuvchan/gpuvchan.h>

/* texture.c */
int cuda_guest_refuse_reference(void);

#define REFERENCE_ENTRIES(X)       \
    X(cuModuleGetSurfRef)          \
    X(cuModuleGetTexRef)           \
    X(cuParamSetTexRef)            \
    X(cuSurfRefGetArray)           \
    X(cuSurfRefSetArray)           \
    X(cuTexRefCreate)              \
    X(cuTexRefDestroy)             \
    X(cuTexRefGetAddress)          \
    X(cuTexRefGetAddressMode)      \
    X(cuTexRefGetAddress_v2)       \
    X(cuTexRefGetArray)            \
    X(cuTexRefGetBorderColor)      \
    X(cuTexRefGetFilterMode)       \
    X(cuTexRefGetFlags)            \
    X(cuTexRefGetFormat)           \
    X(cuTexRefGetMaxAnisotropy)    \
    X(cuTexRefGetMipmapFilterMode) \
    X(cuTexRefGetMipmapLevelBias)  \
    X(cuTexRefGetMipmapLevelClamp) \
    X(cuTexRefGetMipmappedArray)   \
    X(cuTexRefSetAddress)          \
    X(cuTexRefSetAddress2D)        \
    X(cuTexRefSetAddress2D_v2)     \
    X(cuTexRefSetAddress2D_v3)     \
    X(cuTexRefSetAddressMode)      \
    X(cuTexRefSetAddress_v2)       \
    X(cuTexRefSetArray)            \
    X(cuTexRefSetBorderColor)      \
    X(cuTexRefSetFilterMode)       \
    X(cuTexRefSetFlags)            \
    X(cuTexRefSetFormat)           \
    X(cuTexRefSetMaxAnisotropy)    \
    X(cuTexRefSetMipmapFilterMode) \
    X(cuTexRefSetMipmapLevelBias)  \
    X(cuTexRefSetMipmapLevelClamp) \
    X(cuTexRefSetMipmappedArray)

#define REFUSED(name)                         \
    GPUVCHAN_EXPORT int name(void);           \
    GPUVCHAN_EXPORT int name(void)            \
    {                                         \
        return cuda_guest_refuse_reference(); \
    }

REFERENCE_ENTRIES(REFUSED)
