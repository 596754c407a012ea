# The CUDA module: built where there is a compiler for it (AUTO: in a wheel's build only, so that the inner loop of work
# on the core stays short), or as told. Static runtime, no driver needed to build or to import. -fmad=false keeps
# IEEE operations those of the CPU.
set(PQI_CUDA AUTO CACHE STRING "Build the module for CUDA arrays: ON, OFF or AUTO")
option(PQI_BLOCKS "Build _blocks, the CUDA module's block programs on the CPU, for tests" OFF)
set(pqi_cuda_sources
  csrc/pqi/cuda/gini.cu
  csrc/pqi/cuda/gini_sketch.cu
  csrc/pqi/cuda/group_classes.cu
  csrc/pqi/cuda/histogram.cu
  csrc/pqi/cuda/norms.cu
  csrc/pqi/cuda/source.cu
  csrc/pqi/cuda/sum_doubles.cu
  csrc/pqi/cuda/sum_floats.cu
  csrc/pqi/cuda/summary.cu
  csrc/pqi/cuda/topk.cu)
set(pqi_cuda_bindings csrc/bindings/cuda.cpp csrc/bindings/cuda_accumulators.cpp csrc/bindings/dlpack_view.cpp)

if(PQI_BLOCKS)
  set(PQI_CUDA OFF) # one configuration compiles the .cu files as one language
  set_source_files_properties(${pqi_cuda_sources} PROPERTIES LANGUAGE CXX)
  pybind11_add_module(_blocks NO_EXTRAS ${pqi_cuda_bindings} ${pqi_cuda_sources} csrc/pqi/cuda/executor.cpp
                      csrc/pqi/cuda/executor_queue.cpp)
  target_compile_definitions(_blocks PRIVATE PQI_EXECUTOR)
  target_compile_options(_blocks PRIVATE -O2 -Wall -Wextra -ffp-contract=off -fno-strict-aliasing)
endif()

if(PQI_CUDA STREQUAL "AUTO" AND NOT SKBUILD)
  set(PQI_CUDA OFF)
endif()
if(PQI_CUDA)
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    if(NOT CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 80-real 90)
    endif()
    enable_language(CUDA)
    set(CMAKE_CUDA_STANDARD 20)
    set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
    pybind11_add_module(_cuda NO_EXTRAS ${pqi_cuda_bindings} ${pqi_cuda_sources} csrc/pqi/cuda/launch.cu)
    list(TRANSFORM CMAKE_CUDA_ARCHITECTURES PREPEND "sm_" OUTPUT_VARIABLE pqi_cuda_names)
    list(TRANSFORM pqi_cuda_names REPLACE "-real" "")
    list(JOIN pqi_cuda_names " " pqi_cuda_names)
    target_compile_definitions(_cuda PRIVATE PQI_CUDA_ARCHITECTURES="${pqi_cuda_names}")
    target_compile_options(_cuda PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-O2 -Wall -Wextra -ffp-contract=off>
                                         $<$<COMPILE_LANGUAGE:CUDA>:-O3 -fmad=false -Xcompiler=-ffp-contract=off>)
    install(TARGETS _cuda LIBRARY DESTINATION pqi)
  elseif(NOT PQI_CUDA STREQUAL "AUTO")
    message(FATAL_ERROR "PQI_CUDA=${PQI_CUDA} needs a CUDA compiler (nvcc) on the path or in CMAKE_CUDA_COMPILER")
  endif()
endif()
