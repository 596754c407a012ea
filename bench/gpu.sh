#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: builds the CUDA module, tests it on the device, runs compute-sanitizer over a part of
# the tests, and times every job beside its peers. Where it was written there was no GPU: only its first lines ran.
set -uo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
usage: bench/gpu.sh [build|test|memcheck|racecheck|bench]...

Runs the steps named, or all in this order, each well below ten minutes; a step that fails does not keep the later ones
from running. What they print lies in bench/results/gpu-*.txt, the table in bench/results/gpu.md.

  PQI_PYTHON=python3      use this Python, which has torch with CUDA, numpy, pytest and what the tests import, and
                          install nothing: `build` then needs cmake, ninja, pybind11 and nvcc and builds into python/pqi
                          for this GPU; without them take along a python/pqi/_cuda*.so and leave the step out
  PQI_GPU_ELEMENTS=1e9    of each timed array
TEXT
}

case "${1:-}" in -h | --help) usage && exit 0 ;; esac
for step in "$@"; do
  case "$step" in build | test | memcheck | racecheck | bench) ;; *) usage >&2 && exit 2 ;; esac
done
[ $# -gt 0 ] || set -- build test memcheck racecheck bench
command -v nvidia-smi >/dev/null || { echo "no nvidia-smi: this needs an NVIDIA GPU and its driver" >&2; exit 1; }
card=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader | head -1) || { echo "$card" >&2; exit 1; }
echo "== $card"

results=bench/results
python=${PQI_PYTHON:-.venv/bin/python}
export PQI_REQUIRE_GPU=1 # tests that find no device fail instead of being skipped
if command -v "$python" >/dev/null &&
  ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  echo "torch of $python reaches no CUDA device: install one that is built for CUDA, for a CUDA version no newer than" \
    "the driver's (nvidia-smi shows it); python -c 'import torch; print(torch.version.cuda)' must not say None" >&2
  exit 1
fi
if [ -n "${PQI_PYTHON:-}" ]; then export PYTHONPATH="$PWD/python${PYTHONPATH:+:$PYTHONPATH}"; fi
mkdir -p "$results"

build() {
  command -v nvcc >/dev/null || { echo "no nvcc on the path: this needs a CUDA toolkit" >&2; return 1; }
  if [ -z "${PQI_PYTHON:-}" ]; then
    make install || return
  else
    local architecture
    architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
    cmake -S . -B build/gpu -G Ninja -DPQI_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES="$architecture-real" \
      -DSKBUILD_PROJECT_VERSION=0 -DPython_EXECUTABLE="$(command -v "$python")" \
      -DCMAKE_PREFIX_PATH="$("$python" -m pybind11 --cmakedir)" || return
    cmake --build build/gpu || return
    cp build/gpu/_core*.so build/gpu/_cuda*.so python/pqi/
  fi
  mkdir -p build/gpu
  nvcc -O2 -std=c++17 -arch=native -shared -Xcompiler -fPIC -o build/gpu/libcub_peers.so bench/cub_peers.cu
}

test_device() {
  "$python" -m pytest -p no:cacheprovider -q tests/test_gpu.py tests/test_torch_gpu.py tests/test_cuda*.py tests/test_device*.py
}

# Only our kernels are looked into; torch's, which fill the tests' arrays, would take most of the time.
sanitize() {
  command -v compute-sanitizer >/dev/null || { echo "no compute-sanitizer on the path" >&2; return 1; }
  local help option only=()
  help=$(compute-sanitizer --help 2>&1)
  for option in --kernel-name --kernel-regex; do # versions name it differently
    [[ $help != *"$option "* ]] || only=("$option" kns=run_program)
  done
  # Without its cache torch's arrays are allocations of their own, and what lies beyond one is seen.
  PYTORCH_NO_CUDA_MEMORY_CACHING=1 compute-sanitizer --tool "$1" "${only[@]}" --error-exitcode 1 \
    "$python" -m pytest -p no:cacheprovider -q tests/test_gpu.py -k "$2"
}

speed() {
  local cub=()
  [ ! -f build/gpu/libcub_peers.so ] || cub=(--cub build/gpu/libcub_peers.so)
  "$python" bench/gpu.py --elements "${PQI_GPU_ELEMENTS:-1e9}" --card "$card" --output "$results/gpu.md" "${cub[@]}" &&
    cat "$results/gpu.md"
}

failed=()
run() {
  local step=$1
  shift
  echo "== $step"
  "$@" 2>&1 | tee "$results/gpu-$step.txt" || failed+=("$step")
}

for step in "$@"; do
  case "$step" in
    build) run build build ;;
    test) run test test_device ;;
    memcheck) run memcheck sanitize memcheck small ;;
    racecheck) run racecheck sanitize racecheck "small and not 1048577 and (float32 or float64 or bfloat16)" ;;
    bench) run bench speed ;;
  esac
done
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
