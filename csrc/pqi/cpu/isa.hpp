// Which table of kernels runs: the best that this processor supports, unless PQI_ISA or use_isa says otherwise.
#pragma once

#include <string>
#include <vector>

#include "kernels.hpp"

namespace pqi::cpu {

const Kernels& kernels();

// Names, best first.
std::vector<std::string> compiled_isas();
std::vector<std::string> usable_isas();

// Forces a table by name ("auto": the best one again). Throws std::invalid_argument for one not usable here.
void use_isa(const std::string& name);

}  // namespace pqi::cpu
