// Which outputs of a cell are neighbours in its lanes: those that are neighbours in memory.
#pragma once
#include "way.hpp"

namespace tconv {

enum class LaneOrder { channel_then_phase, phase_then_channel };  // the latter varies fastest

template <class S>
LaneOrder lane_order(const Query<S>& query) {
    return query.outputs_by_channels() ? LaneOrder::phase_then_channel : LaneOrder::channel_then_phase;
}

}  // namespace tconv
