// A layer and the sizes of its arrays, as a line of a table.
#pragma once
#include <vector>

#include "problem.hpp"

namespace tconv {

using Size = std::vector<Index>;

struct Sizes {
    const char* name;
    Index batch, in_channels, out_channels, groups;
    Size in, out;
    std::vector<Axis> axes;

    Size kernel() const {
        Size result;
        for (const Axis& axis : axes) result.push_back(axis.kernel);
        return result;
    }
};

inline Index product(const Size& numbers) {
    Index result = 1;
    for (const Index n : numbers) result *= n;
    return result;
}

}  // namespace tconv
