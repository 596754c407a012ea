#include "isa.hpp"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

namespace pqi::cpu {
namespace {

struct Candidate {
  const Kernels* table;
  bool (*supported)();
};

#if defined(__x86_64__)
bool supports_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}
#endif

const Candidate candidates[] = {
#if defined(__x86_64__)
    {&kernels_avx512icl,
     [] { return supports_avx512() && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni"); }},
    {&kernels_avx512, supports_avx512},
    {&kernels_avx2, [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }},
#endif
#if defined(__aarch64__)
    {&kernels_neon, [] { return true; }},
#else
    {&kernels_baseline, [] { return true; }},
#endif
};

const Kernels* find(const std::string& name) {
  for (const Candidate& candidate : candidates)
    if (candidate.supported() && (name == "auto" || name == candidate.table->name)) return candidate.table;
  std::string usable;
  for (const std::string& other : usable_isas()) usable += (usable.empty() ? "" : ", ") + other;
  throw std::invalid_argument("name must be auto or one usable on this processor (" + usable + "), got '" + name + "'");
}

std::atomic<const Kernels*> current{nullptr};

}  // namespace

const Kernels& kernels() {
  const Kernels* table = current.load(std::memory_order_acquire);
  if (table == nullptr) {
    const char* wanted = std::getenv("PQI_ISA");
    table = find(wanted != nullptr && *wanted != '\0' ? wanted : "auto");
    current.store(table, std::memory_order_release);
  }
  return *table;
}

std::vector<std::string> compiled_isas() {
  std::vector<std::string> names;
  for (const Candidate& candidate : candidates) names.emplace_back(candidate.table->name);
  return names;
}

std::vector<std::string> usable_isas() {
  std::vector<std::string> names;
  for (const Candidate& candidate : candidates)
    if (candidate.supported()) names.emplace_back(candidate.table->name);
  return names;
}

void use_isa(const std::string& name) { current.store(find(name), std::memory_order_release); }

}  // namespace pqi::cpu
