"""What goes wrong on a CUDA device is a Python exception that names what to do, and the next call works.

The runtime's errors come from a stand-in for it that the module's launch.cu is compiled against; memory that runs out
is the executor's; the module itself, where it was built, is given arrays that only claim to lie on a device.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import blocks
from blocks import Data, check_gini
from cases import draw

CUDA = Path(__file__).parents[1] / "csrc" / "pqi" / "cuda"
COMPILER = shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++") or shutil.which("clang++")

# What launch.cu calls, over host memory; `failing` calls give the next error.
RUNTIME = r"""
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
enum cudaError_t { cudaSuccess, cudaErrorMemoryAllocation, cudaErrorNoKernelImageForDevice,
                   cudaErrorUnsupportedPtxVersion, cudaErrorInvalidDeviceFunction, cudaErrorNoDevice,
                   cudaErrorLaunchFailure };
enum { cudaFuncAttributeMaxDynamicSharedMemorySize, cudaMemcpyHostToDevice, cudaMemAllocationTypePinned,
       cudaMemLocationTypeDevice, cudaMemPoolAttrReleaseThreshold, cudaMemPoolAttrReservedMemCurrent };
using cudaStream_t = void*;
using cudaMemPool_t = void*;
struct dim3 { explicit dim3(unsigned) {} };
struct cudaDeviceProp {
  char name[16] = "stand-in";
  int multiProcessorCount = 3, memoryPoolsSupported = 1;
  size_t sharedMemPerBlockOptin = 100000, totalGlobalMem = 1 << 20;
};
struct cudaMemPoolProps {
  int allocType;
  struct { int type, id; } location;
};
inline int devices = 1, current = 0;
inline cudaError_t next = cudaSuccess, last = cudaSuccess;
inline cudaError_t result() { const cudaError_t now = next; next = cudaSuccess; return last = now; }
inline cudaError_t cudaGetLastError() { const cudaError_t now = last; last = cudaSuccess; return now; }
inline const char* cudaGetErrorString(cudaError_t error) { return error == cudaErrorLaunchFailure ? "broken" : "why"; }
inline cudaError_t cudaGetDeviceCount(int* n) {
  *n = devices;
  if (devices == 0) next = cudaErrorNoDevice;
  return result();
}
inline bool pools = true;
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* to, int) {
  *to = {};
  to->memoryPoolsSupported = pools;
  return result();
}
inline cudaError_t cudaMemPoolCreate(cudaMemPool_t* to, const cudaMemPoolProps*) { *to = nullptr; return result(); }
inline cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, int, void*) { return result(); }
inline uint64_t reserved = 0;
inline cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, int, void* to) {
  *static_cast<uint64_t*>(to) = reserved;
  return result();
}
inline cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t kept) { reserved = kept; return result(); }
inline cudaError_t cudaGetDevice(int* to) { *to = current; return result(); }
inline cudaError_t cudaSetDevice(int to) { current = to; return result(); }
inline cudaError_t cudaFuncSetAttribute(const void*, int, int) { return result(); }
inline cudaError_t cudaLaunchKernel(const void*, dim3, dim3, void**, size_t, cudaStream_t) { return result(); }
inline cudaError_t cudaMemsetAsync(void* to, int byte, size_t n, cudaStream_t) {
  std::memset(to, byte, n);
  return result();
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t n, int, cudaStream_t) {
  std::memcpy(to, from, n);
  return result();
}
inline cudaError_t cudaMallocFromPoolAsync(void** to, size_t n, cudaMemPool_t, cudaStream_t) {
  if (next == cudaSuccess) *to = std::malloc(n);
  return result();
}
inline cudaError_t cudaFreeAsync(void* memory, cudaStream_t) { std::free(memory); return result(); }
"""

PROGRAM = r"""
#include <cstdio>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>
#include <cuda_runtime.h>

#define private public
#include "launch.hpp"

using namespace pqi::cuda;

template <class F>
void say(F f) {
  try {
    f();
    std::puts("nothing");
  } catch (const OutOfMemory& error) {
    std::printf("OutOfMemory: %s\n", error.what());
  } catch (const DeviceError& error) {
    std::printf("DeviceError: %s\n", error.what());
  }
  if (last != cudaSuccess) std::puts("an error is left for the next call");
}

int main() {
  devices = 0;
  say([] { Queue(0, 0); });
  std::printf("%d %zu\n", device_count(), device_names().size());
  devices = 2;
  say([] { Queue(2, 0); });
  pools = false;
  say([] { Queue(1, 0); });
  pools = true;
  const Queue queue(1, 0);
  next = cudaErrorMemoryAllocation;
  say([&] { queue.allocate(12345); });
  for (const cudaError_t error : {cudaErrorNoKernelImageForDevice, cudaErrorUnsupportedPtxVersion,
                                  cudaErrorInvalidDeviceFunction, cudaErrorLaunchFailure}) {
    next = error;
    say([&] { queue.start(nullptr, 1, 32, 0, nullptr); });
  }
  next = cudaErrorInvalidDeviceFunction;
  say([&] { queue.start(nullptr, 1, 32, 99000, nullptr); });
  say([&] { queue.start(nullptr, 1ull << 31, 32, 0, nullptr); });
  say([&] { queue.start(nullptr, 1, 32, 100001, nullptr); });
  say([&] { queue.release(queue.allocate(7)); });
  { const Queue other(0, 0); std::printf("%d ", current); }
  std::printf("%d\n", current);
  reserved = 4096;
  const auto kept = static_cast<unsigned long long>(scratch_kept());
  release_scratch();
  std::printf("%llu %llu\n", kept, static_cast<unsigned long long>(scratch_kept()));
}
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    if COMPILER is None:
        pytest.skip("needs a C++ compiler")
    if not CUDA.is_dir():
        pytest.skip("needs the C++ sources beside the tests")
    made = tmp_path_factory.mktemp("runtime")
    (made / "cuda_runtime.h").write_text(RUNTIME)
    (made / "program.cpp").write_text(PROGRAM)
    flags = ["-std=c++20", "-O1", '-DPQI_CUDA_ARCHITECTURES="sm_80 sm_90"', f"-I{CUDA}", f"-I{made}"]
    as_cpp = ["-x", "c++", str(CUDA / "launch.cu")]
    subprocess.run([COMPILER, *flags, str(made / "program.cpp"), *as_cpp, "-o", str(made / "program")], check=True)
    done = subprocess.run([made / "program"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (0, "DeviceError: no CUDA device: why"),
        (1, "0 0"),
        (2, "DeviceError: there is no device cuda:2, only 2"),
        (3, "DeviceError: pqi needs memory that is allocated in the order of a stream"),
        (4, "OutOfMemory: CUDA is out of memory on cuda:1: 12345 bytes of scratch memory; free memory there"),
        (5, "DeviceError: pqi has no kernels for the GPU on cuda:1 (compiled for sm_80 sm_90): why; rebuild with"),
        (6, "DeviceError: pqi has no kernels for the GPU on cuda:1"),
        (7, "DeviceError: pqi has no kernels for the GPU on cuda:1"),
        (8, "DeviceError: CUDA failed on cuda:1: starting a kernel: broken"),
        (9, "DeviceError: pqi has no kernels for the GPU on cuda:1"),
        (10, "DeviceError: more groups than one launch can hold; measure fewer at once"),
        (11, "DeviceError: a kernel needs 100001 bytes of shared memory, and on cuda:1 a block has 100000"),
        (12, "nothing"),
        (13, "0 1"),
        (14, "8192 0"),
    ],
)
def test_errors_of_the_runtime(output: list[str], line: int, expected: str) -> None:
    assert output[line].startswith(expected)
    assert "an error is left for the next call" not in output


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Let 100,000 bytes of scratch memory be all there is."""
    blocks.module().set_machine(1, 3, 163 * 1024, 100_000)
    yield
    blocks.module().set_machine(1, 3, 163 * 1024)


@pytest.mark.parametrize("grouping", [None, np.array([0, 20_000, 20_000, 60_000])], ids=["whole", "segments"])
def test_memory_that_runs_out(grouping: Any, little_memory: None) -> None:
    """What was taken before is given back, and a smaller call works."""
    large, module = Data(draw("normal", 60_000), axes=grouping), blocks.module()
    for name, more in (("gini", ()), ("topk_threshold", (30_000,))):
        with pytest.raises(MemoryError, match="bytes of scratch memory"):
            large.call(name, *more, shape=(large.groups,))
        assert module.allocated() == 0
    with pytest.raises(MemoryError):
        module.gini_intervals(
            *Data(draw("normal", 1 << 18)).blocks, None, 9, False, module.View.of_numpy(np.zeros(5), "out"), 0
        )
    assert module.allocated() == 0
    check_gini(Data(draw("normal", 1000)))
    assert module.allocated() == 0


def claimed(array: Any, device: int) -> Any:
    """Return an array's capsule that says it lies on this CUDA device."""
    capsule = array.__dlpack__()
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    tensor = pointer(capsule, b"dltensor")
    place = (ctypes.c_int32 * 2).from_address(tensor + ctypes.sizeof(ctypes.c_void_p))  # behind the data's address
    place[0], place[1] = 2, device  # kDLCUDA
    return capsule


def test_the_module_refuses_before_it_asks_the_device() -> None:
    cuda = pytest.importorskip("pqi._cuda", reason="pqi was built without a CUDA compiler", exc_type=ImportError)

    def view(array: Any, device: int = 0) -> Any:
        return cuda.View.of_dlpack(claimed(array, device), "x")

    assert (view(np.zeros(3), 1).device, view(np.zeros(3)).size) == (1, 3)
    with pytest.raises(ValueError, match="all arrays must lie on one CUDA device, got cuda:0 and cuda:1"):
        cuda.gini([view(np.zeros(3)), view(np.zeros(2), 1)], [], None, view(np.zeros(1)), 0)
    with pytest.raises(ValueError, match="all arrays must lie on one CUDA device, got cuda:1 and cuda:0"):
        cuda.topk_threshold([view(np.zeros(3), 1)], [], None, 1, view(np.zeros(1)), 0)
    with pytest.raises(ValueError, match="out must be contiguous and hold 1 float64 numbers"):
        cuda.gini([view(np.zeros(3))], [], None, view(np.zeros(2)), 0)
    if cuda.device_count() == 0:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="no CUDA device: "):
                cuda.gini([view(np.zeros(3))], [], None, view(np.zeros(1)), 0)
