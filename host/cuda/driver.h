/* SPDX-License-Identifier: MIT */
/* The CUDA driver that executes records: NVIDIA's libcuda.so.1, or the simulated one. One per process. */
#ifndef CUDA_DRIVER_H
#define CUDA_DRIVER_H

#include <stdbool.h>

#include "cuda_api.h"

/*
 * name, symbol, and since when the driver has it: what no supported driver lacks is NEEDED; handlers check the
 * pointers of OPTIONAL ones.
 */
#define CUDA_DRIVER_FUNCTIONS(NEEDED, OPTIONAL)                                                                        \
    NEEDED(cuInit, cuInit)                                                                                             \
    NEEDED(cuDriverGetVersion, cuDriverGetVersion)                                                                     \
    NEEDED(cuGetErrorName, cuGetErrorName)                                                                             \
    NEEDED(cuDeviceGet, cuDeviceGet)                                                                                   \
    NEEDED(cuDeviceGetCount, cuDeviceGetCount)                                                                         \
    NEEDED(cuDeviceGetName, cuDeviceGetName)                                                                           \
    OPTIONAL(cuDeviceGetUuid, cuDeviceGetUuid_v2)                                                                      \
    NEEDED(cuDeviceTotalMem, cuDeviceTotalMem_v2)                                                                      \
    NEEDED(cuDeviceGetAttribute, cuDeviceGetAttribute)                                                                 \
    NEEDED(cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain)                                                         \
    NEEDED(cuDevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2)                                                    \
    NEEDED(cuDevicePrimaryCtxReset, cuDevicePrimaryCtxReset_v2)                                                        \
    NEEDED(cuDevicePrimaryCtxSetFlags, cuDevicePrimaryCtxSetFlags_v2)                                                  \
    NEEDED(cuCtxCreate, cuCtxCreate_v2)                                                                                \
    NEEDED(cuCtxDestroy, cuCtxDestroy_v2)                                                                              \
    NEEDED(cuCtxSetCurrent, cuCtxSetCurrent)                                                                           \
    NEEDED(cuCtxSynchronize, cuCtxSynchronize)                                                                         \
    NEEDED(cuCtxGetLimit, cuCtxGetLimit)                                                                               \
    NEEDED(cuCtxSetLimit, cuCtxSetLimit)                                                                               \
    NEEDED(cuCtxGetCacheConfig, cuCtxGetCacheConfig)                                                                   \
    NEEDED(cuCtxSetCacheConfig, cuCtxSetCacheConfig)                                                                   \
    NEEDED(cuCtxGetStreamPriorityRange, cuCtxGetStreamPriorityRange)                                                   \
    NEEDED(cuDeviceCanAccessPeer, cuDeviceCanAccessPeer)                                                               \
    NEEDED(cuDeviceGetP2PAttribute, cuDeviceGetP2PAttribute)                                                           \
    OPTIONAL(cuDeviceGetLuid, cuDeviceGetLuid)                                                                         \
    OPTIONAL(cuDeviceGetTexture1DLinearMaxWidth, cuDeviceGetTexture1DLinearMaxWidth)                                   \
    OPTIONAL(cuDeviceGetHostAtomicCapabilities, cuDeviceGetHostAtomicCapabilities)                                     \
    OPTIONAL(cuDeviceGetP2PAtomicCapabilities, cuDeviceGetP2PAtomicCapabilities)                                       \
    OPTIONAL(cuFlushGPUDirectRDMAWrites, cuFlushGPUDirectRDMAWrites)                                                   \
    NEEDED(cuCtxEnablePeerAccess, cuCtxEnablePeerAccess)                                                               \
    NEEDED(cuCtxDisablePeerAccess, cuCtxDisablePeerAccess)                                                             \
    OPTIONAL(cuCtxGetSharedMemConfig, cuCtxGetSharedMemConfig)                                                         \
    OPTIONAL(cuCtxSetSharedMemConfig, cuCtxSetSharedMemConfig)                                                         \
    OPTIONAL(cuCtxSetFlags, cuCtxSetFlags)                                                                             \
    OPTIONAL(cuCtxResetPersistingL2Cache, cuCtxResetPersistingL2Cache)                                                 \
    OPTIONAL(cuDeviceGetDevResource, cuDeviceGetDevResource)                                                           \
    OPTIONAL(cuCtxGetDevResource, cuCtxGetDevResource)                                                                 \
    OPTIONAL(cuDevSmResourceSplitByCount, cuDevSmResourceSplitByCount)                                                 \
    OPTIONAL(cuDevResourceGenerateDesc, cuDevResourceGenerateDesc)                                                     \
    OPTIONAL(cuGreenCtxCreate, cuGreenCtxCreate)                                                                       \
    OPTIONAL(cuGreenCtxDestroy, cuGreenCtxDestroy)                                                                     \
    OPTIONAL(cuCtxFromGreenCtx, cuCtxFromGreenCtx)                                                                     \
    OPTIONAL(cuModuleGetTexRef, cuModuleGetTexRef)                                                                     \
    OPTIONAL(cuModuleGetSurfRef, cuModuleGetSurfRef)                                                                   \
    OPTIONAL(cuTexRefCreate, cuTexRefCreate)                                                                           \
    OPTIONAL(cuTexRefDestroy, cuTexRefDestroy)                                                                         \
    OPTIONAL(cuTexRefSetArray, cuTexRefSetArray)                                                                       \
    OPTIONAL(cuTexRefSetMipmappedArray, cuTexRefSetMipmappedArray)                                                     \
    OPTIONAL(cuTexRefSetAddress, cuTexRefSetAddress_v2)                                                                \
    OPTIONAL(cuTexRefSetAddress2D, cuTexRefSetAddress2D_v3)                                                            \
    OPTIONAL(cuTexRefSetFormat, cuTexRefSetFormat)                                                                     \
    OPTIONAL(cuTexRefSetAddressMode, cuTexRefSetAddressMode)                                                           \
    OPTIONAL(cuTexRefSetFilterMode, cuTexRefSetFilterMode)                                                             \
    OPTIONAL(cuTexRefSetMipmapFilterMode, cuTexRefSetMipmapFilterMode)                                                 \
    OPTIONAL(cuTexRefSetMipmapLevelBias, cuTexRefSetMipmapLevelBias)                                                   \
    OPTIONAL(cuTexRefSetMipmapLevelClamp, cuTexRefSetMipmapLevelClamp)                                                 \
    OPTIONAL(cuTexRefSetMaxAnisotropy, cuTexRefSetMaxAnisotropy)                                                       \
    OPTIONAL(cuTexRefSetBorderColor, cuTexRefSetBorderColor)                                                           \
    OPTIONAL(cuTexRefSetFlags, cuTexRefSetFlags)                                                                       \
    OPTIONAL(cuTexRefGetFormat, cuTexRefGetFormat)                                                                     \
    OPTIONAL(cuTexRefGetAddressMode, cuTexRefGetAddressMode)                                                           \
    OPTIONAL(cuTexRefGetFilterMode, cuTexRefGetFilterMode)                                                             \
    OPTIONAL(cuTexRefGetMipmapFilterMode, cuTexRefGetMipmapFilterMode)                                                 \
    OPTIONAL(cuTexRefGetMipmapLevelBias, cuTexRefGetMipmapLevelBias)                                                   \
    OPTIONAL(cuTexRefGetMipmapLevelClamp, cuTexRefGetMipmapLevelClamp)                                                 \
    OPTIONAL(cuTexRefGetMaxAnisotropy, cuTexRefGetMaxAnisotropy)                                                       \
    OPTIONAL(cuTexRefGetBorderColor, cuTexRefGetBorderColor)                                                           \
    OPTIONAL(cuTexRefGetFlags, cuTexRefGetFlags)                                                                       \
    OPTIONAL(cuSurfRefSetArray, cuSurfRefSetArray)                                                                     \
    OPTIONAL(cuMemMapArrayAsync, cuMemMapArrayAsync)                                                                   \
    OPTIONAL(cuMemExportToShareableHandle, cuMemExportToShareableHandle)                                               \
    OPTIONAL(cuMemImportFromShareableHandle, cuMemImportFromShareableHandle)                                           \
    OPTIONAL(cuMemPoolExportToShareableHandle, cuMemPoolExportToShareableHandle)                                       \
    OPTIONAL(cuMemPoolImportFromShareableHandle, cuMemPoolImportFromShareableHandle)                                   \
    OPTIONAL(cuMemPoolExportPointer, cuMemPoolExportPointer)                                                           \
    OPTIONAL(cuMemPoolImportPointer, cuMemPoolImportPointer)                                                           \
    OPTIONAL(cuMemRetainAllocationHandle, cuMemRetainAllocationHandle)                                                 \
    OPTIONAL(cuPointerGetAttribute, cuPointerGetAttribute)                                                             \
    OPTIONAL(cuCtxGetExecAffinity, cuCtxGetExecAffinity)                                                               \
    NEEDED(cuModuleLoadDataEx, cuModuleLoadDataEx)                                                                     \
    NEEDED(cuModuleUnload, cuModuleUnload)                                                                             \
    NEEDED(cuModuleGetFunction, cuModuleGetFunction)                                                                   \
    NEEDED(cuModuleGetGlobal, cuModuleGetGlobal_v2)                                                                    \
    OPTIONAL(cuModuleGetFunctionCount, cuModuleGetFunctionCount)                                                       \
    NEEDED(cuFuncGetAttribute, cuFuncGetAttribute)                                                                     \
    NEEDED(cuFuncSetAttribute, cuFuncSetAttribute)                                                                     \
    NEEDED(cuFuncSetCacheConfig, cuFuncSetCacheConfig)                                                                 \
    OPTIONAL(cuFuncGetParamInfo, cuFuncGetParamInfo)                                                                   \
    OPTIONAL(cuFuncGetName, cuFuncGetName)                                                                             \
    OPTIONAL(cuFuncLoad, cuFuncLoad)                                                                                   \
    OPTIONAL(cuFuncIsLoaded, cuFuncIsLoaded)                                                                           \
    OPTIONAL(cuFuncSetSharedMemConfig, cuFuncSetSharedMemConfig)                                                       \
    OPTIONAL(cuModuleEnumerateFunctions, cuModuleEnumerateFunctions)                                                   \
    OPTIONAL(cuLibraryLoadData, cuLibraryLoadData)                                                                     \
    OPTIONAL(cuLibraryUnload, cuLibraryUnload)                                                                         \
    OPTIONAL(cuLibraryGetKernel, cuLibraryGetKernel)                                                                   \
    OPTIONAL(cuLibraryGetKernelCount, cuLibraryGetKernelCount)                                                         \
    OPTIONAL(cuLibraryEnumerateKernels, cuLibraryEnumerateKernels)                                                     \
    OPTIONAL(cuLibraryGetModule, cuLibraryGetModule)                                                                   \
    OPTIONAL(cuKernelGetFunction, cuKernelGetFunction)                                                                 \
    OPTIONAL(cuKernelGetName, cuKernelGetName)                                                                         \
    OPTIONAL(cuKernelGetParamInfo, cuKernelGetParamInfo)                                                               \
    OPTIONAL(cuKernelGetAttribute, cuKernelGetAttribute)                                                               \
    OPTIONAL(cuKernelSetAttribute, cuKernelSetAttribute)                                                               \
    OPTIONAL(cuKernelSetCacheConfig, cuKernelSetCacheConfig)                                                           \
    OPTIONAL(cuLinkCreate, cuLinkCreate_v2)                                                                            \
    OPTIONAL(cuLinkAddData, cuLinkAddData_v2)                                                                          \
    OPTIONAL(cuLinkComplete, cuLinkComplete)                                                                           \
    OPTIONAL(cuLinkDestroy, cuLinkDestroy)                                                                             \
    OPTIONAL(cuOccupancyAvailableDynamicSMemPerBlock, cuOccupancyAvailableDynamicSMemPerBlock)                         \
    OPTIONAL(cuOccupancyMaxActiveClusters, cuOccupancyMaxActiveClusters)                                               \
    OPTIONAL(cuOccupancyMaxPotentialClusterSize, cuOccupancyMaxPotentialClusterSize)                                   \
    NEEDED(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags) \
    NEEDED(cuLaunchKernel, cuLaunchKernel)                                                                             \
    OPTIONAL(cuLaunchCooperativeKernel, cuLaunchCooperativeKernel)                                                     \
    OPTIONAL(cuLaunchKernelEx, cuLaunchKernelEx)                                                                       \
    NEEDED(cuMemAlloc, cuMemAlloc_v2)                                                                                  \
    NEEDED(cuMemAllocPitch, cuMemAllocPitch_v2)                                                                        \
    NEEDED(cuMemFree, cuMemFree_v2)                                                                                    \
    NEEDED(cuMemGetInfo, cuMemGetInfo_v2)                                                                              \
    OPTIONAL(cuMemAllocAsync, cuMemAllocAsync)                                                                         \
    OPTIONAL(cuMemAllocFromPoolAsync, cuMemAllocFromPoolAsync)                                                         \
    OPTIONAL(cuMemFreeAsync, cuMemFreeAsync)                                                                           \
    OPTIONAL(cuMemPoolCreate, cuMemPoolCreate)                                                                         \
    OPTIONAL(cuMemPoolDestroy, cuMemPoolDestroy)                                                                       \
    OPTIONAL(cuMemPoolTrimTo, cuMemPoolTrimTo)                                                                         \
    OPTIONAL(cuMemPoolSetAttribute, cuMemPoolSetAttribute)                                                             \
    OPTIONAL(cuMemPoolGetAttribute, cuMemPoolGetAttribute)                                                             \
    OPTIONAL(cuMemPoolSetAccess, cuMemPoolSetAccess)                                                                   \
    OPTIONAL(cuMemPoolGetAccess, cuMemPoolGetAccess)                                                                   \
    OPTIONAL(cuDeviceGetDefaultMemPool, cuDeviceGetDefaultMemPool)                                                     \
    OPTIONAL(cuDeviceSetMemPool, cuDeviceSetMemPool)                                                                   \
    OPTIONAL(cuDeviceGetMemPool, cuDeviceGetMemPool)                                                                   \
    OPTIONAL(cuMemAddressReserve, cuMemAddressReserve)                                                                 \
    OPTIONAL(cuMemAddressFree, cuMemAddressFree)                                                                       \
    OPTIONAL(cuMemCreate, cuMemCreate)                                                                                 \
    OPTIONAL(cuMemGetAllocationPropertiesFromHandle, cuMemGetAllocationPropertiesFromHandle)                           \
    OPTIONAL(cuMemRelease, cuMemRelease)                                                                               \
    OPTIONAL(cuMemMap, cuMemMap)                                                                                       \
    OPTIONAL(cuMemUnmap, cuMemUnmap)                                                                                   \
    OPTIONAL(cuMemSetAccess, cuMemSetAccess)                                                                           \
    OPTIONAL(cuMemGetAccess, cuMemGetAccess)                                                                           \
    OPTIONAL(cuMemGetAllocationGranularity, cuMemGetAllocationGranularity)                                             \
    OPTIONAL(cuPointerSetAttribute, cuPointerSetAttribute)                                                             \
    NEEDED(cuMemHostRegister, cuMemHostRegister_v2)                                                                    \
    NEEDED(cuMemHostUnregister, cuMemHostUnregister)                                                                   \
    NEEDED(cuMemHostGetDevicePointer, cuMemHostGetDevicePointer_v2)                                                    \
    NEEDED(cuMemGetAddressRange, cuMemGetAddressRange_v2)                                                              \
    OPTIONAL(cuIpcGetMemHandle, cuIpcGetMemHandle)                                                                     \
    OPTIONAL(cuIpcOpenMemHandle, cuIpcOpenMemHandle_v2)                                                                \
    OPTIONAL(cuIpcCloseMemHandle, cuIpcCloseMemHandle)                                                                 \
    OPTIONAL(cuIpcGetEventHandle, cuIpcGetEventHandle)                                                                 \
    OPTIONAL(cuIpcOpenEventHandle, cuIpcOpenEventHandle)                                                               \
    NEEDED(cuMemsetD8Async, cuMemsetD8Async)                                                                           \
    NEEDED(cuMemsetD16Async, cuMemsetD16Async)                                                                         \
    NEEDED(cuMemsetD32Async, cuMemsetD32Async)                                                                         \
    NEEDED(cuMemsetD2D8Async, cuMemsetD2D8Async)                                                                       \
    NEEDED(cuMemsetD2D16Async, cuMemsetD2D16Async)                                                                     \
    NEEDED(cuMemsetD2D32Async, cuMemsetD2D32Async)                                                                     \
    NEEDED(cuMemcpyHtoD, cuMemcpyHtoD_v2)                                                                              \
    NEEDED(cuMemcpyDtoH, cuMemcpyDtoH_v2)                                                                              \
    NEEDED(cuMemcpyHtoDAsync, cuMemcpyHtoDAsync_v2)                                                                    \
    NEEDED(cuMemcpyDtoHAsync, cuMemcpyDtoHAsync_v2)                                                                    \
    NEEDED(cuMemcpyDtoDAsync, cuMemcpyDtoDAsync_v2)                                                                    \
    NEEDED(cuMemcpyPeer, cuMemcpyPeer)                                                                                 \
    NEEDED(cuMemcpyPeerAsync, cuMemcpyPeerAsync)                                                                       \
    NEEDED(cuMemcpy2DAsync, cuMemcpy2DAsync_v2)                                                                        \
    NEEDED(cuMemcpy3DAsync, cuMemcpy3DAsync_v2)                                                                        \
    NEEDED(cuMemcpy3DPeerAsync, cuMemcpy3DPeerAsync)                                                                   \
    NEEDED(cuMemcpyAtoA, cuMemcpyAtoA_v2)                                                                              \
    NEEDED(cuMemcpyAtoD, cuMemcpyAtoD_v2)                                                                              \
    NEEDED(cuMemcpyDtoA, cuMemcpyDtoA_v2)                                                                              \
    NEEDED(cuMemcpyAtoHAsync, cuMemcpyAtoHAsync_v2)                                                                    \
    NEEDED(cuMemcpyHtoAAsync, cuMemcpyHtoAAsync_v2)                                                                    \
    NEEDED(cuArray3DCreate, cuArray3DCreate_v2)                                                                        \
    NEEDED(cuArray3DGetDescriptor, cuArray3DGetDescriptor_v2)                                                          \
    NEEDED(cuArrayDestroy, cuArrayDestroy)                                                                             \
    OPTIONAL(cuArrayGetPlane, cuArrayGetPlane)                                                                         \
    OPTIONAL(cuArrayGetMemoryRequirements, cuArrayGetMemoryRequirements)                                               \
    OPTIONAL(cuArrayGetSparseProperties, cuArrayGetSparseProperties)                                                   \
    NEEDED(cuMipmappedArrayCreate, cuMipmappedArrayCreate)                                                             \
    NEEDED(cuMipmappedArrayGetLevel, cuMipmappedArrayGetLevel)                                                         \
    NEEDED(cuMipmappedArrayDestroy, cuMipmappedArrayDestroy)                                                           \
    OPTIONAL(cuMipmappedArrayGetMemoryRequirements, cuMipmappedArrayGetMemoryRequirements)                             \
    OPTIONAL(cuMipmappedArrayGetSparseProperties, cuMipmappedArrayGetSparseProperties)                                 \
    NEEDED(cuTexObjectCreate, cuTexObjectCreate)                                                                       \
    NEEDED(cuTexObjectDestroy, cuTexObjectDestroy)                                                                     \
    NEEDED(cuSurfObjectCreate, cuSurfObjectCreate)                                                                     \
    NEEDED(cuSurfObjectDestroy, cuSurfObjectDestroy)                                                                   \
    OPTIONAL(cuTensorMapEncodeTiled, cuTensorMapEncodeTiled)                                                           \
    OPTIONAL(cuTensorMapEncodeIm2col, cuTensorMapEncodeIm2col)                                                         \
    OPTIONAL(cuTensorMapEncodeIm2colWide, cuTensorMapEncodeIm2colWide)                                                 \
    OPTIONAL(cuTensorMapReplaceAddress, cuTensorMapReplaceAddress)                                                     \
    NEEDED(cuStreamCreateWithPriority, cuStreamCreateWithPriority)                                                     \
    NEEDED(cuStreamDestroy, cuStreamDestroy_v2)                                                                        \
    NEEDED(cuStreamQuery, cuStreamQuery)                                                                               \
    NEEDED(cuStreamSynchronize, cuStreamSynchronize)                                                                   \
    NEEDED(cuStreamWaitEvent, cuStreamWaitEvent)                                                                       \
    OPTIONAL(cuStreamWriteValue32, cuStreamWriteValue32_v2)                                                            \
    OPTIONAL(cuStreamWriteValue64, cuStreamWriteValue64_v2)                                                            \
    OPTIONAL(cuStreamWaitValue32, cuStreamWaitValue32_v2)                                                              \
    OPTIONAL(cuStreamWaitValue64, cuStreamWaitValue64_v2)                                                              \
    OPTIONAL(cuStreamBatchMemOp, cuStreamBatchMemOp_v2)                                                                \
    OPTIONAL(cuStreamGetAttribute, cuStreamGetAttribute)                                                               \
    OPTIONAL(cuStreamSetAttribute, cuStreamSetAttribute)                                                               \
    OPTIONAL(cuStreamCopyAttributes, cuStreamCopyAttributes)                                                           \
    OPTIONAL(cuStreamAddCallback, cuStreamAddCallback)                                                                 \
    OPTIONAL(cuLaunchHostFunc, cuLaunchHostFunc)                                                                       \
    OPTIONAL(cuStreamIsCapturing, cuStreamIsCapturing)                                                                 \
    OPTIONAL(cuStreamBeginCapture, cuStreamBeginCapture_v2)                                                            \
    OPTIONAL(cuStreamBeginCaptureToGraph, cuStreamBeginCaptureToGraph)                                                 \
    OPTIONAL(cuStreamEndCapture, cuStreamEndCapture)                                                                   \
    OPTIONAL(cuStreamGetCaptureInfo, cuStreamGetCaptureInfo_v3)                                                        \
    OPTIONAL(cuStreamUpdateCaptureDependencies, cuStreamUpdateCaptureDependencies_v2)                                  \
    OPTIONAL(cuThreadExchangeStreamCaptureMode, cuThreadExchangeStreamCaptureMode)                                     \
    OPTIONAL(cuCtxRecordEvent, cuCtxRecordEvent)                                                                       \
    OPTIONAL(cuCtxWaitEvent, cuCtxWaitEvent)                                                                           \
    OPTIONAL(cuGraphCreate, cuGraphCreate)                                                                             \
    OPTIONAL(cuGraphClone, cuGraphClone)                                                                               \
    OPTIONAL(cuGraphDestroy, cuGraphDestroy)                                                                           \
    OPTIONAL(cuGraphGetNodes, cuGraphGetNodes)                                                                         \
    OPTIONAL(cuGraphGetRootNodes, cuGraphGetRootNodes)                                                                 \
    OPTIONAL(cuGraphGetEdges, cuGraphGetEdges_v2)                                                                      \
    OPTIONAL(cuGraphAddDependencies, cuGraphAddDependencies_v2)                                                        \
    OPTIONAL(cuGraphRemoveDependencies, cuGraphRemoveDependencies_v2)                                                  \
    OPTIONAL(cuGraphConditionalHandleCreate, cuGraphConditionalHandleCreate)                                           \
    OPTIONAL(cuGraphAddNode, cuGraphAddNode_v2)                                                                        \
    OPTIONAL(cuGraphNodeSetParams, cuGraphNodeSetParams)                                                               \
    OPTIONAL(cuGraphExecNodeSetParams, cuGraphExecNodeSetParams)                                                       \
    OPTIONAL(cuGraphKernelNodeGetParams, cuGraphKernelNodeGetParams_v2)                                                \
    OPTIONAL(cuGraphMemcpyNodeGetParams, cuGraphMemcpyNodeGetParams)                                                   \
    OPTIONAL(cuGraphMemsetNodeGetParams, cuGraphMemsetNodeGetParams)                                                   \
    OPTIONAL(cuGraphHostNodeGetParams, cuGraphHostNodeGetParams)                                                       \
    OPTIONAL(cuGraphEventRecordNodeGetEvent, cuGraphEventRecordNodeGetEvent)                                           \
    OPTIONAL(cuGraphEventWaitNodeGetEvent, cuGraphEventWaitNodeGetEvent)                                               \
    OPTIONAL(cuGraphBatchMemOpNodeGetParams, cuGraphBatchMemOpNodeGetParams)                                           \
    OPTIONAL(cuGraphMemAllocNodeGetParams, cuGraphMemAllocNodeGetParams)                                               \
    OPTIONAL(cuGraphMemFreeNodeGetParams, cuGraphMemFreeNodeGetParams)                                                 \
    OPTIONAL(cuGraphChildGraphNodeGetGraph, cuGraphChildGraphNodeGetGraph)                                             \
    OPTIONAL(cuGraphNodeGetType, cuGraphNodeGetType)                                                                   \
    OPTIONAL(cuGraphNodeGetDependencies, cuGraphNodeGetDependencies_v2)                                                \
    OPTIONAL(cuGraphNodeGetDependentNodes, cuGraphNodeGetDependentNodes_v2)                                            \
    OPTIONAL(cuGraphNodeFindInClone, cuGraphNodeFindInClone)                                                           \
    OPTIONAL(cuGraphDestroyNode, cuGraphDestroyNode)                                                                   \
    OPTIONAL(cuGraphKernelNodeGetAttribute, cuGraphKernelNodeGetAttribute)                                             \
    OPTIONAL(cuGraphKernelNodeSetAttribute, cuGraphKernelNodeSetAttribute)                                             \
    OPTIONAL(cuGraphKernelNodeCopyAttributes, cuGraphKernelNodeCopyAttributes)                                         \
    OPTIONAL(cuGraphInstantiateWithParams, cuGraphInstantiateWithParams)                                               \
    OPTIONAL(cuGraphExecDestroy, cuGraphExecDestroy)                                                                   \
    OPTIONAL(cuGraphExecUpdate, cuGraphExecUpdate_v2)                                                                  \
    OPTIONAL(cuGraphNodeSetEnabled, cuGraphNodeSetEnabled)                                                             \
    OPTIONAL(cuGraphNodeGetEnabled, cuGraphNodeGetEnabled)                                                             \
    OPTIONAL(cuGraphLaunch, cuGraphLaunch)                                                                             \
    OPTIONAL(cuGraphUpload, cuGraphUpload)                                                                             \
    OPTIONAL(cuDeviceGraphMemTrim, cuDeviceGraphMemTrim)                                                               \
    OPTIONAL(cuDeviceGetGraphMemAttribute, cuDeviceGetGraphMemAttribute)                                               \
    OPTIONAL(cuDeviceSetGraphMemAttribute, cuDeviceSetGraphMemAttribute)                                               \
    OPTIONAL(cuUserObjectCreate, cuUserObjectCreate)                                                                   \
    OPTIONAL(cuUserObjectRelease, cuUserObjectRelease)                                                                 \
    OPTIONAL(cuGraphRetainUserObject, cuGraphRetainUserObject)                                                         \
    OPTIONAL(cuGraphReleaseUserObject, cuGraphReleaseUserObject)                                                       \
    NEEDED(cuEventCreate, cuEventCreate)                                                                               \
    NEEDED(cuEventDestroy, cuEventDestroy_v2)                                                                          \
    NEEDED(cuEventRecord, cuEventRecord)                                                                               \
    OPTIONAL(cuEventRecordWithFlags, cuEventRecordWithFlags)                                                           \
    NEEDED(cuEventQuery, cuEventQuery)                                                                                 \
    NEEDED(cuEventSynchronize, cuEventSynchronize)                                                                     \
    NEEDED(cuEventElapsedTime, cuEventElapsedTime)

struct cuda_driver {
#define CUDA_DRIVER_FIELD(name, symbol) __typeof__(symbol) *name;
    CUDA_DRIVER_FUNCTIONS(CUDA_DRIVER_FIELD, CUDA_DRIVER_FIELD)
#undef CUDA_DRIVER_FIELD
    bool simulated;
    int version; /* as cuDriverGetVersion says: 13000 is 13.0 */
    int devices;
    char path[4096]; /* of the file that was loaded */
};

/** @p choice: auto, simulated, or the path of a libcuda.so.1. Before the driver is started. @return 0, -EINVAL. */
int cuda_driver_choose(const char *choice);
/** What must be done while the process may still do all: lets the driver create its device files if there are none. */
void cuda_driver_prepare(void);
/**
 * Loads and initialises the driver at the first call; the same table afterwards. Thread-safe.
 * NULL: none works here; the reason and the remedy are in the log, once per attempt.
 */
const struct cuda_driver *cuda_driver_start(void);
/** The driver has no @p function: says so once. Returns CUDA_ERROR_NOT_SUPPORTED. */
int cuda_driver_lacks(const struct cuda_driver *driver, const char *function);
/** The name of @p result. */
const char *cuda_driver_error(const struct cuda_driver *driver, CUresult result);

#endif
