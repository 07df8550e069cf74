// Ops that put channels of images in blocks into other places: concat, split, slice, pad, channelShuffle; depthToSpace and spaceToDepth, which move pixels too.
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

// In a square of pixels of the input.
struct PixelSource {
  int64_t channel, row, column;
};

// A step for an image in blocks whose squares of inStep x inStep pixels become squares of outStep x outStep: says where a channel of a pixel of these comes from.
std::unique_ptr<Step> MovePixels(const Problem& problem, int64_t inStep, int64_t outStep,
                                 const std::function<PixelSource(int64_t channel, int64_t row, int64_t column)>& sourceOf);

}  // namespace xcorr
