#include "channels.h"

#include <algorithm>
#include <cstring>

#include "functionStep.h"
#include "layout.h"

namespace xcorr {
namespace {

// One block of 8 output channels: the blocks that it is made of, and which lane of each goes where (-1: none).
struct BlockSources {
  size_t output;
  int64_t block;
  std::vector<ChannelSource> blocks;  // .channel is the first of a block
  std::vector<int32_t> lanes;         // [blocks][8]

  void Add(int64_t lane, ChannelSource from) {
    if (from.input < 0) return;
    const int64_t first = from.channel / kBlock * kBlock;
    size_t s = 0;
    while (s < blocks.size() && (blocks[s].input != from.input || blocks[s].channel != first)) ++s;
    if (s == blocks.size()) {
      blocks.push_back({from.input, first});
      lanes.resize(lanes.size() + kBlock, -1);
    }
    lanes[s * kBlock + static_cast<size_t>(lane)] = static_cast<int32_t>(from.channel - first);
  }

  // It is one block as it stands. Lanes past the last channel are zero on both sides.
  bool whole(const Problem& p) const {
    if (blocks.size() != 1) return false;
    const int64_t real = std::min(kBlock, p.inputs[static_cast<size_t>(blocks[0].input)].shape[1] - blocks[0].channel);
    for (int64_t l = 0; l < real; ++l) {
      if (lanes[static_cast<size_t>(l)] != l) return false;
    }
    return true;
  }
};

// Block `block` of an output of so many channels: sourceOf(channel) says where each comes from.
template <typename F>
BlockSources SourcesOf(size_t output, int64_t block, int64_t channels, const F& sourceOf) {
  BlockSources sources = {output, block, {}, {}};
  for (int64_t l = 0; l < std::min(kBlock, channels - block * kBlock); ++l) sources.Add(l, sourceOf(block * kBlock + l));
  return sources;
}

}  // namespace

std::unique_ptr<Step> MoveChannels(const Problem& p, const std::function<ChannelSource(size_t output, int64_t channel)>& sourceOf) {
  RequireFloat32(p);
  std::vector<BlockSources> all;
  std::vector<bool> whole;
  for (size_t o = 0; o < p.outputs.size(); ++o) {
    const int64_t channels = p.outputs[o].shape[1];
    for (int64_t b = 0; b < Blocks(channels); ++b) {
      all.push_back(SourcesOf(o, b, channels, [&](int64_t c) { return sourceOf(o, c); }));
      whole.push_back(all.back().whole(p));
    }
  }
  std::vector<int64_t> inBlocks, outBlocks;
  for (const TensorDesc& t : p.inputs) inBlocks.push_back(Blocks(t.shape[1]));
  for (const TensorDesc& t : p.outputs) outBlocks.push_back(Blocks(t.shape[1]));
  const Image image(p.outputs[0]);
  const int64_t plane = image.plane(), runs = (plane + kMovedPixels - 1) / kMovedPixels, blocks = static_cast<int64_t>(all.size());
  const KernelTable* table = p.kernels;
  return MakeFunction("channels", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    // Run by run: a thread reads the rows that it most likely wrote.
    team.Run(image.n * runs * blocks, [&](int64_t task, int) {
      const int64_t n = task / blocks / runs, first = task / blocks % runs * kMovedPixels, pixels = std::min(kMovedPixels, plane - first);
      const size_t b = static_cast<size_t>(task % blocks);
      const BlockSources& sources = all[b];
      const float* in[kBlock];
      for (size_t s = 0; s < sources.blocks.size(); ++s) {
        const size_t i = static_cast<size_t>(sources.blocks[s].input);
        in[s] = In(inputs, i) + ((n * inBlocks[i] + sources.blocks[s].channel / kBlock) * plane + first) * kBlock;
      }
      float* out = Out(outputs, sources.output) + ((n * outBlocks[sources.output] + sources.block) * plane + first) * kBlock;
      // A plan may have put what only gets longer where it is to be.
      if (whole[b] && out == in[0]) return;
      if (whole[b]) std::memcpy(out, in[0], static_cast<size_t>(pixels * kBlock) * sizeof(float));
      else table->PickChannels({in, sources.lanes.data(), static_cast<int>(sources.blocks.size()), out, pixels, kBlock, kBlock});
    });
  });
}

std::unique_ptr<Step> MovePixels(const Problem& p, int64_t inStep, int64_t outStep, const std::function<PixelSource(int64_t channel, int64_t row, int64_t column)>& sourceOf) {
  RequireFloat32(p);
  const Image x(p.inputs[0]), y(p.outputs[0]);
  // The pixels of a square of the input are its inputs; and each of a square of the output is made of blocks of its own.
  std::vector<BlockSources> all;
  for (int64_t b = 0; b < y.blocks; ++b) {
    for (int64_t at = 0; at < outStep * outStep; ++at) {
      all.push_back(SourcesOf(0, b, y.c, [&](int64_t c) {
        const PixelSource source = sourceOf(c, at / outStep, at % outStep);
        return ChannelSource{source.row * inStep + source.column, source.channel};
      }));
    }
  }
  const int64_t rows = x.h / inStep, columns = x.w / inStep, squares = outStep * outStep;
  const int64_t perTask = std::max<int64_t>(1, kMovedPixels / std::max<int64_t>(1, columns * squares)), runs = (rows + perTask - 1) / perTask;
  const KernelTable* table = p.kernels;
  return MakeFunction("pixels", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run(y.n * runs * y.blocks, [&](int64_t task, int) {
      const int64_t n = task / y.blocks / runs, first = task / y.blocks % runs * perTask, block = task % y.blocks;
      for (int64_t row = first; row < std::min(rows, first + perTask); ++row) {
        for (int64_t at = 0; at < squares; ++at) {
          const BlockSources& sources = all[static_cast<size_t>(block * squares + at)];
          const float* in[kBlock];
          for (size_t s = 0; s < sources.blocks.size(); ++s) {
            const auto [pixel, channel] = sources.blocks[s];
            in[s] = In(inputs, 0) + (((n * x.blocks + channel / kBlock) * x.h + row * inStep + pixel / inStep) * x.w + pixel % inStep) * kBlock;
          }
          float* out = Out(outputs) + (((n * y.blocks + block) * y.h + row * outStep + at / outStep) * y.w + at % outStep) * kBlock;
          table->PickChannels({in, sources.lanes.data(), static_cast<int>(sources.blocks.size()), out, columns, inStep * kBlock, outStep * kBlock});
        }
      }
    });
  });
}

std::unique_ptr<Step> Make_channelShuffle(const Problem& p) {
  const int64_t groups = p.attributes.Int("groups", 1), perGroup = p.inputs[0].shape[1] / groups;
  if (p.inputs[0].layout != p.outputs[0].layout) throw Declined("input and output in different layouts");
  if (p.inputs[0].layout == Layout::kBlocked) {
    return MoveChannels(p, [=](size_t, int64_t c) { return ChannelSource{0, c % groups * perGroup + c / groups}; });
  }
  const Image x(p.inputs[0]);
  const size_t bytes = static_cast<size_t>(x.plane()) * SizeOf(p.inputs[0].dtype);
  return MakeFunction("planes", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run(x.n * x.c, [&](int64_t plane, int) {
      const int64_t c = plane % x.c, from = plane - c + c % groups * perGroup + c / groups;
      std::memcpy(static_cast<char*>(outputs[0]) + static_cast<size_t>(plane) * bytes, static_cast<const char*>(inputs[0]) + static_cast<size_t>(from) * bytes, bytes);
    });
  });
}

}  // namespace xcorr
