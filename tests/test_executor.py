"""The executor that runs block programs on the CPU: it finds the mistakes that it is there to find."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CUDA = Path(__file__).parents[1] / "csrc" / "pqi" / "cuda"
COMPILER = shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++") or shutil.which("clang++")

PROGRAMS = r"""
#include <cstdio>
#include <stdexcept>

#include "launch.hpp"

using namespace pqi::cuda;

// Reverses numbers through shared memory.
template <bool with_barrier>
struct Reverse {
  static constexpr int threads = 64;
  int* out;
  void operator()(Block& block) const {
    int* const shared = block.shared<int>();
    shared[block.thread()] = block.thread();
    if (with_barrier) block.sync();
    out[block.thread()] = shared[threads - 1 - block.thread()];
  }
};

// Sums a warp's lane numbers by shuffles and counts odd lanes of segments of 8.
struct Lanes {
  static constexpr int threads = 64;
  int* out;
  void operator()(Block& block) const {
    int sum = block.lane();
    for (int mask = 16; mask > 0; mask /= 2) sum += block.shuffle_xor(sum, mask);
    const uint32_t odd = block.ballot(block.lane() % 2 == 1, 8);
    const int next = block.shuffle_down(block.lane(), 3, 8), first = block.broadcast(block.lane(), 0, 4);
    const uint32_t same = block.match(uint32_t(block.lane() / 16));
    const bool right = sum == 496 && odd == 0xaa && next == (block.lane() % 8 < 5 ? block.lane() + 3 : block.lane()) &&
                       first == block.lane() / 4 * 4 && same == (block.lane() < 16 ? 0xffffu : 0xffff0000u);
    out[block.thread()] = right ? block.thread() : -1;
  }
};

enum class Wrong { some_threads, two_places, early_exit, half_a_warp };

template <Wrong wrong>
struct Divergent {
  static constexpr int threads = 64;
  void operator()(Block& block) const {
    if (wrong == Wrong::some_threads && block.thread() < 32) block.sync();
    if (wrong == Wrong::two_places) {
      if (block.thread() < 32) {
        block.sync();
      } else {
        block.sync();
      }
    }
    if (wrong == Wrong::early_exit) {
      if (block.thread() == 5) return;
      block.sync();
    }
    if (wrong == Wrong::half_a_warp && block.lane() < 16) block.sync_lanes();
  }
};

template <class Program>
int wrong_results(Program program, bool reversed) {
  int wrong = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    executor::settings().seed = seed;
    int out[64];
    program.out = out;
    Queue(0, 0).launch(3, program, 64 * sizeof(int));
    for (int i = 0; i < 64; ++i) wrong += out[i] != (reversed ? 63 - i : i);
  }
  return wrong;
}

template <Wrong wrong>
void run_divergent() {
  try {
    Queue(0, 0).launch(1, Divergent<wrong>{});
    std::puts("nothing");
  } catch (const std::runtime_error& error) {
    std::puts(error.what());
  }
}

int main() {
  std::printf("%d\n%d\n%d\n", wrong_results(Reverse<true>{}, true), wrong_results(Reverse<false>{}, true),
              wrong_results(Lanes{}, false));
  run_divergent<Wrong::some_threads>();
  run_divergent<Wrong::two_places>();
  run_divergent<Wrong::early_exit>();
  run_divergent<Wrong::half_a_warp>();
  std::printf("%d\n", wrong_results(Reverse<true>{}, true));
}
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    if COMPILER is None:
        pytest.skip("needs a C++ compiler")
    if not CUDA.is_dir():
        pytest.skip("needs the C++ sources beside the tests")
    made = tmp_path_factory.mktemp("executor")
    (made / "programs.cpp").write_text(PROGRAMS)
    sources = [made / "programs.cpp", CUDA / "executor.cpp", CUDA / "executor_queue.cpp"]
    flags = ["-std=c++20", "-O1", "-Wall", "-Wextra", "-Werror", "-DPQI_EXECUTOR", f"-I{CUDA}"]
    subprocess.run([COMPILER, *flags, *sources, "-o", made / "programs"], check=True)
    done = subprocess.run([made / "programs"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_right_programs_are_right_in_every_order(output: list[str]) -> None:
    assert output[0] == "0"
    assert output[2] == "0"


def test_a_missing_barrier_shows(output: list[str]) -> None:
    assert int(output[1]) > 0


@pytest.mark.parametrize("line", range(3, 7))
def test_divergent_barriers_are_errors(output: list[str], line: int) -> None:
    assert "divergent barrier" in output[line]
    assert "waits at line" in output[line]


def test_goes_on_after_an_error(output: list[str]) -> None:
    assert output[7] == "0"
