// Ops that put channels of images in blocks into other places, and move no pixel: concat, split, slice, pad, channelShuffle.
#pragma once
#include <functional>

#include "op.h"

namespace xcorr {

// Where a channel comes from. No input: it is zero.
struct ChannelSource {
  int64_t input = -1, channel = 0;
};

// A step for images in blocks, inputs and outputs of one size: sourceOf(output, channel) says where each channel comes from.
std::unique_ptr<Step> MoveChannels(const Problem& problem, const std::function<ChannelSource(size_t output, int64_t channel)>& sourceOf);

}  // namespace xcorr
