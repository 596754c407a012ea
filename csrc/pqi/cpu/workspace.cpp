#include "workspace.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <mutex>
#include <vector>

namespace pqi::cpu {
namespace {

constexpr size_t huge_page = size_t(1) << 21;

// Sizes are rounded up to four steps an octave, so that calls of nearly one size share blocks.
size_t rounded(size_t bytes) {
  const size_t step = std::bit_floor(bytes) / 4;
  return (bytes + step - 1) / step * step;
}

// A place for each size that `rounded` gives.
size_t class_of(size_t size) {
  const size_t octave = size_t(std::bit_width(size)) - 1;
  return 4 * octave + (size >> (octave - 2) & 3);
}
constexpr size_t classes = 4 * 64;

void* map(size_t size) noexcept {
  void* found = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return found == MAP_FAILED ? nullptr : found;
}

// From the system; large blocks on a huge page's boundary, which spares most of the page faults.
void* fresh(size_t size) noexcept {
#if defined(MADV_HUGEPAGE)
  if (size >= 2 * huge_page) {
    char* const base = static_cast<char*>(map(size + huge_page));
    if (base == nullptr) return nullptr;
    const size_t before = size_t(-reinterpret_cast<uintptr_t>(base)) % huge_page;
    if (before > 0) ::munmap(base, before);
    ::munmap(base + before + size, huge_page - before);
    ::madvise(base + before, size, MADV_HUGEPAGE);
    return base + before;
  }
#endif
  return map(size);
}

size_t first_limit() {
  constexpr size_t most = size_t(1) << 30;
  const long pages = ::sysconf(_SC_PHYS_PAGES), page = ::sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? std::min(most, size_t(pages) * size_t(page) / 16) : most;
}

class Cache {
 public:
  void* take(size_t size) {
    {
      const std::lock_guard<std::mutex> locked(mutex_);
      auto& idle = idle_[class_of(size)];
      if (!idle.empty()) {
        void* const block = idle.back().address;
        idle.pop_back();
        bytes_ -= size;
        return block;
      }
    }
    void* block = fresh(size);
    if (block == nullptr) {
      shrink(0);
      block = fresh(size);
    }
    if (block == nullptr) throw std::bad_alloc();
    return block;
  }

  void give(void* block, size_t size) noexcept {
    {
      const std::lock_guard<std::mutex> locked(mutex_);
      if (size <= limit_) {
        try {
          idle_[class_of(size)].push_back({block, size, ++clock_});
          bytes_ += size;
          drop_beyond(limit_);
          return;
        } catch (const std::bad_alloc&) {
        }
      }
    }
    ::munmap(block, size);
  }

  void shrink(size_t limit) {
    const std::lock_guard<std::mutex> locked(mutex_);
    drop_beyond(limit);
  }

  void set_limit(size_t bytes) {
    const std::lock_guard<std::mutex> locked(mutex_);
    limit_ = bytes;
    drop_beyond(limit_);
  }

  size_t limit() {
    const std::lock_guard<std::mutex> locked(mutex_);
    return limit_;
  }

  size_t bytes() {
    const std::lock_guard<std::mutex> locked(mutex_);
    return bytes_;
  }

  // A child of fork has the forking thread alone, which holds the lock here; blocks that other threads had are lost to
  // it, idle ones are its own copies.
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  struct Block {
    void* address;
    size_t size;
    uint64_t idle_since;
  };

  void drop_beyond(size_t limit) noexcept {
    while (bytes_ > limit) {
      std::vector<Block>* oldest = nullptr;
      for (auto& idle : idle_)
        if (!idle.empty() && (oldest == nullptr || idle.front().idle_since < oldest->front().idle_since))
          oldest = &idle;
      ::munmap(oldest->front().address, oldest->front().size);
      bytes_ -= oldest->front().size;
      oldest->erase(oldest->begin());
    }
  }

  std::mutex mutex_;
  std::vector<Block> idle_[classes];
  size_t limit_ = first_limit(), bytes_ = 0;
  uint64_t clock_ = 0;
};

// Never destroyed: threads may still compute while the process ends.
Cache& cache() {
  static Cache* const made = [] {
    auto* const created = new Cache;
    pthread_atfork([] { cache().lock(); }, [] { cache().unlock(); }, [] { cache().unlock(); });
    return created;
  }();
  return *made;
}

}  // namespace

void set_workspace_limit(size_t bytes) { cache().set_limit(bytes); }

size_t workspace_limit() { return cache().limit(); }

size_t workspace_bytes() { return cache().bytes(); }

void release_workspace() { cache().shrink(0); }

namespace workspace {

void* take(size_t bytes) { return cache().take(rounded(bytes)); }

void give(void* block, size_t bytes) noexcept { cache().give(block, rounded(bytes)); }

}  // namespace workspace
}  // namespace pqi::cpu
