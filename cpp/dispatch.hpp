// Which backend runs: an ordered list, the first one that this CPU supports, or the one that was asked for.
#pragma once
#include <string>
#include <vector>

#include "backend.hpp"

namespace tconv {

struct Choice {
    std::string name, description;
    const Backend* backend;  // null: the reference loops
    bool supported;
};

const std::vector<Choice>& choices();              // best first; the last two run everywhere
const Choice* choose(const std::string& name);     // "" means the best; null if unknown or unsupported
std::vector<std::string> cpu_features();           // of those that matter here

}  // namespace tconv
