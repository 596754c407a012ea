#include "executor.hpp"

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace pqi::cuda::executor {
namespace {

constexpr size_t stack_size = size_t(1) << 17;

enum class Waits { no, block, lanes, finished };

struct Fiber {
  jmp_buf place;
  ucontext_t start;
  bool started = false;
  Waits waits = Waits::no;
  int line = 0, width = 0;
  bool gives = false;
  uint64_t gift = 0, received[warp_size] = {};
};

class Machine {
 public:
  void run(uint64_t blocks, int threads, size_t shared_bytes, const std::function<void()>& body);

  Fiber& fiber(int thread) { return *fibers_[size_t(thread)]; }
  Fiber& current() { return fiber(thread_); }
  // Gives the processor back until the fiber is ready again.
  void suspend(Waits waits, int width, int line);
  [[noreturn]] void loop();

  int thread_ = 0, threads_ = 0;
  uint64_t block_ = 0, blocks_ = 0;
  std::vector<unsigned char> shared_;

 private:
  void run_block();
  void resume(int thread);
  void after(int thread);
  void release(int first, int count);
  void start(Fiber& fiber, size_t number);
  [[noreturn]] void report();
  uint64_t draw(uint64_t below) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ % below;
  }

  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<char*> stack_;  // never given back
  jmp_buf scheduler_;
  const std::function<void()>* body_ = nullptr;
  std::vector<int> ready_;
  std::vector<int> arrived_;  // by width and first lane of a segment
  int at_block_ = 0, finished_ = 0;
  uint64_t state_ = 1;
};

Machine& machine() {
  static Machine only;
  return only;
}

void Machine::loop() {
  for (;;) {
    (*body_)();
    suspend(Waits::finished, 0, 0);
  }
}

void Machine::suspend(Waits waits, int width, int line) {
  Fiber& fiber = current();
  fiber.waits = waits;
  fiber.width = width;
  fiber.line = line;
  if (_setjmp(fiber.place) == 0) _longjmp(scheduler_, 1);
}

void Machine::start(Fiber& fiber, size_t number) {
  getcontext(&fiber.start);
  fiber.start.uc_stack.ss_sp = stack_[number];
  fiber.start.uc_stack.ss_size = stack_size;
  fiber.start.uc_link = nullptr;
  makecontext(&fiber.start, [] { machine().loop(); }, 0);
  fiber.started = false;
}

void Machine::resume(int thread) {
  thread_ = thread;
  Fiber& fiber = current();
  fiber.waits = Waits::no;
  if (_setjmp(scheduler_) != 0) return;
  if (fiber.started) _longjmp(fiber.place, 1);
  fiber.started = true;
  setcontext(&fiber.start);
}

void Machine::release(int first, int count) {
  for (int i = first; i < first + count; ++i) ready_.push_back(i);
}

void Machine::after(int thread) {
  const Fiber& fiber = *fibers_[size_t(thread)];
  if (fiber.waits == Waits::finished) {
    ++finished_;
  } else if (fiber.waits == Waits::block) {
    if (++at_block_ < threads_) return;
    for (int i = 0; i < threads_; ++i)
      if (fibers_[size_t(i)]->line != fiber.line) report();
    at_block_ = 0;
    release(0, threads_);
  } else {
    const int first = thread / fiber.width * fiber.width;
    int& arrived = arrived_[size_t(fiber.width * threads_ + first)];
    if (++arrived < fiber.width) return;
    for (int i = first; i < first + fiber.width; ++i) {
      const Fiber& other = *fibers_[size_t(i)];
      if (other.waits != Waits::lanes || other.line != fiber.line || other.width != fiber.width) report();
    }
    for (int i = 0; fiber.gives && i < fiber.width; ++i)
      for (int j = 0; j < fiber.width; ++j) this->fiber(first + i).received[j] = this->fiber(first + j).gift;
    arrived = 0;
    release(first, fiber.width);
  }
}

void Machine::run_block() {
  std::fill(shared_.begin(), shared_.end(), poison);
  std::fill(arrived_.begin(), arrived_.end(), 0);
  at_block_ = finished_ = 0;
  ready_.clear();
  release(0, threads_);
  while (!ready_.empty()) {
    const size_t chosen = size_t(draw(ready_.size()));
    const int thread = ready_[chosen];
    ready_[chosen] = ready_.back();
    ready_.pop_back();
    resume(thread);
    after(thread);
  }
  if (finished_ < threads_) report();
}

// Forgets the fibers, which are stuck in the middle of a program, and says where they are.
void Machine::report() {
  std::string message = "divergent barrier in block " + std::to_string(block_) + ":";
  int told = 0;
  for (int i = 0; i < threads_ && told < 8; ++i) {
    const Fiber& fiber = *fibers_[size_t(i)];
    if (i > 0 && fibers_[size_t(i - 1)]->waits == fiber.waits && fibers_[size_t(i - 1)]->line == fiber.line) continue;
    message += " thread " + std::to_string(i) +
               (fiber.waits == Waits::finished ? " has finished;"
                : fiber.waits == Waits::no     ? " is running;"
                                               : " waits at line " + std::to_string(fiber.line) + ";");
    ++told;
  }
  fibers_.clear();
  throw std::runtime_error(message);
}

void Machine::run(uint64_t blocks, int threads, size_t shared_bytes, const std::function<void()>& body) {
  if (shared_bytes > settings().shared_limit) throw std::runtime_error("more shared memory than the machine has");
  body_ = &body;
  threads_ = threads;
  blocks_ = blocks;
  state_ = settings().seed * 0x9e3779b97f4a7c15ull + 1;
  shared_.resize(shared_bytes);
  arrived_.resize(size_t((warp_size + 1) * threads));
  while (fibers_.size() < size_t(threads)) {
    if (stack_.size() <= fibers_.size()) {
      void* memory = mmap(nullptr, stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (memory == MAP_FAILED) throw std::runtime_error("no memory for a fiber's stack");
      stack_.push_back(static_cast<char*>(memory));
    }
    fibers_.push_back(std::make_unique<Fiber>());
    start(*fibers_.back(), fibers_.size() - 1);
  }
  // Every block once: a stride coprime to their number from a random first one.
  uint64_t stride = blocks > 2 ? 1 + draw(blocks - 1) : 1;
  const auto coprime = [&](uint64_t a, uint64_t b) {
    while (b != 0) std::swap(a %= b, b);
    return a == 1;
  };
  while (blocks > 2 && !coprime(blocks, stride)) stride = stride % blocks + 1;
  block_ = blocks > 0 ? draw(blocks) : 0;
  for (uint64_t done = 0; done < blocks; ++done) {
    run_block();
    block_ = uint64_t((unsigned __int128)(block_ + stride) % blocks);
  }
}

}  // namespace

Settings& settings() {
  static Settings only;
  return only;
}

void run(uint64_t blocks, int threads, size_t shared_bytes, const std::function<void()>& body) {
  machine().run(blocks, threads, shared_bytes, body);
}

int thread() { return machine().thread_; }
int threads() { return machine().threads_; }
uint64_t block() { return machine().block_; }
uint64_t blocks() { return machine().blocks_; }
unsigned char* shared_memory(size_t bytes) { return machine().shared_.data() + bytes; }
void wait_for_block(int place) { machine().suspend(Waits::block, 0, place); }
void wait_for_lanes(int width, int place) { machine().suspend(Waits::lanes, width, place); }

void exchange(uint64_t value, int width, int place) {
  Fiber& fiber = machine().current();
  fiber.gift = value;
  fiber.gives = true;
  machine().suspend(Waits::lanes, width, place);
  fiber.gives = false;
}

uint64_t given(int lane) { return machine().current().received[lane]; }

}  // namespace pqi::cuda::executor
