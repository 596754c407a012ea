#!/usr/bin/env bash
# One go on a machine with an NVIDIA GPU: builds the CUDA module, tests it on the device, runs compute-sanitizer over
# a part of the tests, and times every job beside its peers. Writes bench/results/gpu.md with date, card and driver.
# Where it was written there was no GPU: it has been checked for syntax only.
set -euo pipefail
cd "$(dirname "$0")/.."
results=bench/results
mkdir -p "$results"

command -v nvidia-smi >/dev/null || { echo "no nvidia-smi: this needs an NVIDIA GPU and its driver" >&2; exit 1; }
command -v nvcc >/dev/null || { echo "no nvcc on the path: this needs a CUDA toolkit" >&2; exit 1; }

make install
python=.venv/bin/python
"$python" - <<'CHECK'
import sys, torch
import pqi._cuda as cuda
if cuda.device_count() == 0:
    sys.exit("pqi._cuda sees no device")
if not torch.cuda.is_available():
    sys.exit("torch sees no GPU: install a CUDA build of torch into .venv")
print(cuda.device_names(), cuda.architectures())
CHECK
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader | tee "$results/gpu-card.txt"

echo "== tests on the device"
"$python" -m pytest tests/test_gpu.py tests/test_cuda*.py tests/test_device*.py -q | tee "$results/gpu-tests.txt"

if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck; do
    echo "== compute-sanitizer $tool"
    compute-sanitizer --tool "$tool" --error-exitcode 1 "$python" -m pytest tests/test_gpu.py -q -k "small" |
      tee "$results/gpu-$tool.txt"
  done
else
  echo "no compute-sanitizer on the path: left out"
fi

echo "== speed"
"$python" bench/gpu.py --elements "${PQI_GPU_ELEMENTS:-1e9}" --output "$results/gpu.md"
sed -i "1s/^/driver $(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1), /" "$results/gpu.md"
cat "$results/gpu.md"
