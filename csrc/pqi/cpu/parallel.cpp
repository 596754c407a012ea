#include "parallel.hpp"

#include <omp.h>
#include <pthread.h>

#include <atomic>

namespace pqi::cpu {
namespace {

std::atomic<int> requested{0};

// libgomp's threads do not survive a fork, and the next parallel region of the child would wait for them for ever.
std::atomic<bool> forked{false};
const int fork_handler = pthread_atfork(nullptr, nullptr, [] { forked.store(true); });

}  // namespace

void set_num_threads(int threads) { requested.store(threads); }

int num_threads() {
  if (forked.load()) return 1;
  const int threads = requested.load();
  return threads > 0 ? threads : omp_get_max_threads();
}

int threads_for(size_t tasks) {
  const size_t threads = size_t(num_threads());
  return int(tasks < threads ? (tasks > 0 ? tasks : 1) : threads);
}

namespace detail {

void run(size_t tasks, int threads, Body body, void* context) {
  if (size_t(threads) > tasks) threads = int(tasks);
  if (threads <= 1 || forked.load()) {
    for (size_t task = 0; task < tasks; ++task) body(context, task, 0);
    return;
  }
  std::exception_ptr error;
  std::atomic<bool> failed{false};
  std::atomic<size_t> next{0};
#pragma omp parallel num_threads(threads)
  {
    const int thread = omp_get_thread_num();
    for (size_t task = next++; task < tasks && !failed.load(std::memory_order_relaxed); task = next++) {
      try {
        body(context, task, thread);
      } catch (...) {
        if (!failed.exchange(true)) error = std::current_exception();
      }
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace detail
}  // namespace pqi::cpu
