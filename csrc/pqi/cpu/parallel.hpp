// The only place that knows threads. Tasks are handed out one by one as threads become free; a task writes only its own
// results, so what is computed never depends on how many threads there are or which of them did it.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <type_traits>

namespace pqi::cpu {

// 0: as many as OpenMP offers (OMP_NUM_THREADS, else the processors).
void set_num_threads(int threads);
int num_threads();
// As many of them as this many tasks can keep busy, at least one.
int threads_for(size_t tasks);

// One of several neighbours that a thread each writes all the time, apart from the others: they would take the cache
// line from each other, and processors fetch lines in pairs.
template <class T>
struct alignas(128) Apart : T {};

namespace detail {
using Body = void (*)(void* context, size_t task, int thread);
void run(size_t tasks, int threads, Body body, void* context);
}  // namespace detail

// Calls body(task, thread) for every task in [0, tasks) on at most `threads` threads, thread in [0, threads). The first
// exception a task throws is rethrown here once all have stopped.
template <class F>
void parallel_for(size_t tasks, int threads, F&& body) {
  detail::run(
      tasks, threads,
      [](void* context, size_t task, int thread) {
        (*static_cast<std::remove_reference_t<F>*>(context))(task, thread);
      },
      const_cast<void*>(static_cast<const void*>(std::addressof(body))));
}

}  // namespace pqi::cpu
