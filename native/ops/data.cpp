// Ops that move elements: reshape, transpose, depthToSpace, spaceToDepth, expand, tile, slice, concat, split, reorder. Any dtype, by the size of its elements.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "channels.h"
#include "functionStep.h"
#include "layout.h"
#include "shape.h"

namespace xcorr {
namespace {

// Numbers of x in a row that MakeExchange takes at a time: so few that what they write stays in the first cache until all groups of 8 have added their part.
constexpr int64_t kRun = 64;

// Axes of y, the last left out, that run along x together: neighbours of the first are neighbours in x, and each of the others goes on where those before it end. No more
// than make a run.
std::vector<size_t> AxesAlong(const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
  std::vector<size_t> axes;
  for (int64_t length = 1; length < kRun;) {
    size_t next = 0;
    while (next + 1 < shape.size() && (shape[next] == 1 || strides[next] != length)) ++next;
    if (next + 1 >= shape.size()) break;
    axes.push_back(next);
    length *= shape[next];
  }
  return axes;
}
int64_t LengthOf(const std::vector<size_t>& axes, const std::vector<int64_t>& shape) {
  return std::accumulate(axes.begin(), axes.end(), int64_t{1}, [&](int64_t length, size_t a) { return length * shape[a]; });
}

// What MakeGather does where the last axis of y is far apart in x, and neighbours in x are far apart in y: 8 numbers of the one by 8 of the other
// are transposed in registers. `along`: the axes of y that run along x.
std::unique_ptr<Step> MakeExchange(const Problem& p, const std::vector<int64_t>& shape, int64_t base, const std::vector<int64_t>& strides, const std::vector<size_t>& along) {
  const size_t last = shape.size() - 1;
  const std::vector<int64_t> own = Strides(shape);
  const int64_t length = LengthOf(along, shape), width = shape[last], runs = (length + kRun - 1) / kRun;
  const int64_t others = p.outputs[0].Elements() / (length * width);
  const KernelTable* table = p.kernels;
  return MakeFunction("exchange", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run(others * runs, [&](int64_t task, int) {
      const int64_t first = task % runs * kRun, pixels = std::min(kRun, length - first);
      int64_t from = base + first, to = 0, rest = task / runs;
      for (size_t a = last; a-- > 0;) {
        if (std::find(along.begin(), along.end(), a) != along.end()) continue;
        from += rest % shape[a] * strides[a];
        to += rest % shape[a] * own[a];
        rest /= shape[a];
      }
      int64_t places[kRun];
      for (int64_t i = 0; i < pixels;) {
        int64_t at = first + i, place = to;
        for (size_t a : along) {
          place += at % shape[a] * own[a];
          at /= shape[a];
        }
        const int64_t end = std::min(pixels, i + shape[along[0]] - (first + i) % shape[along[0]]);
        for (; i < end; ++i, place += own[along[0]]) places[i] = place;
      }
      float blocks[kRun * kBlock];
      for (int64_t group = 0; group < width; group += kBlock) {
        // The last group overlaps the one before.
        const int64_t lane = std::max<int64_t>(0, std::min(group, width - kBlock));
        const int lanes = static_cast<int>(std::min(kBlock, width - lane));
        table->PlanesToBlock({In(inputs, 0) + from + lane * strides[last], blocks, strides[last], pixels, lanes, 0});
        float* out = Out(outputs) + lane;
        for (int64_t i = 0; i < pixels; ++i) {
          if (lanes == kBlock) std::memcpy(out + places[i], blocks + i * kBlock, kBlock * sizeof(float));
          else for (int l = 0; l < lanes; ++l) out[places[i] + l] = blocks[i * kBlock + l];
        }
      }
    });
  });
}

// Where an index of the first so many axes of a shape, counted in their order, lies by these strides.
int64_t PlaceOf(int64_t index, size_t axes, const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
  int64_t place = 0;
  for (size_t a = axes; a-- > 0;) {
    place += index % shape[a] * strides[a];
    index /= shape[a];
  }
  return place;
}

// `count` times `inner` elements: those of x are steps[0] apart, and steps[1].
template <typename T>
void GatherShort(const T* __restrict x, int64_t count, int64_t inner, const int64_t (&steps)[2], T* __restrict y) {
  if (inner == 2 && steps[0] == 1) {
    const T* __restrict second = x + steps[1];
    for (int64_t i = 0; i < count; ++i) {
      y[2 * i] = x[i];
      y[2 * i + 1] = second[i];
    }
    return;
  }
  if (count < inner) {
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t j = 0; j < inner; ++j) y[i * inner + j] = x[i * steps[0] + j * steps[1]];
    }
    return;
  }
  for (int64_t j = 0; j < inner; ++j) {
    for (int64_t i = 0; i < count; ++i) y[i * inner + j] = x[i * steps[0] + j * steps[1]];
  }
}

// What MakeGather does where the last axis of y is so short that its rows would cost more than their elements: two axes at a time.
template <typename T>
std::unique_ptr<Step> MakeShortGather(const std::vector<int64_t>& shape, int64_t base, const std::vector<int64_t>& strides) {
  const size_t outer = shape.size() - 2;
  const int64_t count = shape[outer], inner = shape[outer + 1];
  int64_t rows = 1;
  for (size_t a = 0; a < outer; ++a) rows *= shape[a];
  const int64_t perTask = std::max<int64_t>(1, kGrain / (count * inner));
  return MakeFunction("copy", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run((rows + perTask - 1) / perTask, [&](int64_t task, int) {
      for (int64_t row = task * perTask; row < std::min(rows, (task + 1) * perTask); ++row) {
        const int64_t from = base + PlaceOf(row, outer, shape, strides);
        GatherShort(static_cast<const T*>(inputs[0]) + from, count, inner, {strides[outer], strides[outer + 1]}, static_cast<T*>(outputs[0]) + row * count * inner);
      }
    });
  });
}

// The same of pairs, where the last axis of y is a pair in x as well. They lie where numbers may.
struct Pair {
  uint32_t first, second;
};
std::unique_ptr<Step> MakePairGather(std::vector<int64_t> shape, int64_t base, std::vector<int64_t> strides) {
  shape.pop_back();
  strides.pop_back();
  for (int64_t& stride : strides) stride /= 2;
  return MakeShortGather<Pair>(shape, base / 2, strides);
}
bool ArePairs(const std::vector<int64_t>& shape, int64_t base, const std::vector<int64_t>& strides) {
  if (shape.size() < 3 || shape.back() != 2 || strides.back() != 1 || base % 2 != 0) return false;
  return std::all_of(strides.begin(), strides.end() - 1, [](int64_t stride) { return stride % 2 == 0; });
}

// `count` runs of so many bytes, `fromStep` and `toStep` apart. Short ones of a number that is known take a tenth of the time.
template <int64_t kBytes>
void CopyRuns(const char* from, int64_t fromStep, char* to, int64_t toStep, int64_t count, int64_t bytes) {
  for (int64_t i = 0; i < count; ++i) std::memcpy(to + i * toStep, from + i * fromStep, static_cast<size_t>(kBytes ? kBytes : bytes));
}
void CopyRuns(const void* from, int64_t fromStep, void* to, int64_t toStep, int64_t count, int64_t bytes) {
  const auto copy = bytes == 4 ? CopyRuns<4> : bytes == 8 ? CopyRuns<8> : bytes == 16 ? CopyRuns<16> : CopyRuns<0>;
  copy(static_cast<const char*>(from), fromStep, static_cast<char*>(to), toStep, count, bytes);
}

// y[index] = x[base + sum of index * strides] for the indices of a shape, whatever the output's own: runs of the last axis are copied whole where they can be.
std::unique_ptr<Step> MakeGather(const Problem& p, const std::vector<int64_t>& shape, int64_t base, const std::vector<int64_t>& strides) {
  const size_t size = SizeOf(p.outputs[0].dtype), rank = shape.size();
  const int64_t inner = rank ? shape[rank - 1] : 1, step = rank ? strides[rank - 1] : 1;
  const std::vector<size_t> along = AxesAlong(shape, strides);
  if (size == sizeof(float) && step != 1 && step != 0 && inner >= kBlock / 2 && LengthOf(along, shape) >= kBlock) return MakeExchange(p, shape, base, strides, along);
  const bool some = size == sizeof(uint32_t) && p.outputs[0].Elements() > 0;
  if (some && ArePairs(shape, base, strides)) return MakePairGather(shape, base, strides);
  if (some && rank > 1 && inner < kBlock && shape[rank - 2] > inner) return MakeShortGather<uint32_t>(shape, base, strides);
  const int64_t rows = inner ? p.outputs[0].Elements() / inner : 0, neighbours = rank > 1 ? shape[rank - 2] : 1, next = rank > 1 ? strides[rank - 2] : 0;
  const int64_t perTask = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, inner));
  return MakeFunction("copy", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    const int64_t bytes = static_cast<int64_t>(size);
    team.Run((rows + perTask - 1) / perTask, [&](int64_t task, int) {
      const int64_t end = std::min(rows, (task + 1) * perTask);
      // Rows along the last axis but one at a time: to find a place takes as long as to copy a short row.
      for (int64_t row = task * perTask, count = 0; row < end; row += count) {
        const int64_t from = base + row % neighbours * next + PlaceOf(row / neighbours, rank > 2 ? rank - 2 : 0, shape, strides);
        count = std::min(end - row, neighbours - row % neighbours);
        const char* x = static_cast<const char*>(inputs[0]) + from * bytes;
        char* y = static_cast<char*>(outputs[0]) + row * inner * bytes;
        if (step == 1) {
          CopyRuns(x, next * bytes, y, inner * bytes, count, inner * bytes);
          continue;
        }
        for (int64_t r = 0; r < count; ++r, x += next * bytes, y += inner * bytes) {
          if (step == 0 && size == 4) std::fill_n(reinterpret_cast<uint32_t*>(y), inner, *reinterpret_cast<const uint32_t*>(x));
          else if (size == 4) for (int64_t i = 0; i < inner; ++i) reinterpret_cast<uint32_t*>(y)[i] = reinterpret_cast<const uint32_t*>(x)[i * step];
          else for (int64_t i = 0; i < inner; ++i) std::memcpy(y + i * bytes, x + i * step * bytes, size);
        }
      }
    });
  });
}

// Bytes of everything from `axis` on, of one index of the axes before it.
int64_t RowBytes(const TensorDesc& t, size_t axis) {
  int64_t outer = 1;
  for (size_t a = 0; a < axis; ++a) outer *= t.shape[a];
  return outer ? static_cast<int64_t>(t.Bytes()) / outer : 0;
}

// All images are in blocks.
bool AllBlocked(const Problem& p) {
  auto blocked = [](const TensorDesc& t) { return t.layout == Layout::kBlocked; };
  return std::all_of(p.inputs.begin(), p.inputs.end(), blocked) && std::all_of(p.outputs.begin(), p.outputs.end(), blocked);
}

int64_t OuterSize(const TensorDesc& t, size_t axis) {
  return std::accumulate(t.shape.begin(), t.shape.begin() + static_cast<int64_t>(axis), int64_t{1}, std::multiplies<int64_t>());
}

}  // namespace

std::unique_ptr<Step> Make_reshape(const Problem& p) {
  RequirePlain(p);
  const size_t bytes = p.outputs[0].Bytes();
  return MakeFunction("copy", [=](Team&, const void* const* inputs, void* const* outputs, void*) { std::memcpy(outputs[0], inputs[0], bytes); });
}

std::unique_ptr<Step> Make_transpose(const Problem& p) {
  RequirePlain(p);
  const std::vector<int64_t> own = Strides(p.inputs[0].shape);
  std::vector<int64_t> strides;
  for (int64_t axis : p.attributes.Ints("perm")) strides.push_back(own[static_cast<size_t>(axis)]);
  return MakeGather(p, p.outputs[0].shape, 0, strides);
}

// A transpose of axes that the shapes do not show: (N, C, b, b, H, W) or (N, b, b, C, H, W) to (N, C, H, b, W, b).
std::unique_ptr<Step> Make_depthToSpace(const Problem& p) {
  const int64_t b = p.attributes.Int("blockSize", 1);
  const std::vector<int64_t> &x = p.inputs[0].shape, &y = p.outputs[0].shape;
  const int64_t plane = x[2] * x[3], channels = y[1];
  const bool channelsFirst = p.attributes.Text("mode") == "CRD";
  if (AllBlocked(p)) {
    return MovePixels(p, 1, b, [=](int64_t c, int64_t i, int64_t j) { return PixelSource{channelsFirst ? (c * b + i) * b + j : (i * b + j) * channels + c, 0, 0}; });
  }
  RequirePlain(p);
  const int64_t channel = channelsFirst ? b * b * plane : plane, column = channelsFirst ? plane : channels * plane;
  return MakeGather(p, {x[0], channels, x[2], b, x[3], b}, 0, {x[1] * plane, channel, x[3], b * column, 1, column});
}

// The other way: (N, C, H, b, W, b) to (N, b, b, C, H, W) or (N, C, b, b, H, W).
std::unique_ptr<Step> Make_spaceToDepth(const Problem& p) {
  const int64_t b = p.attributes.Int("blockSize", 1);
  const std::vector<int64_t>& x = p.inputs[0].shape;
  const bool channelsFirst = p.attributes.Text("mode") == "CRD";
  if (AllBlocked(p)) {
    return MovePixels(p, b, 1, [=, channels = x[1]](int64_t c, int64_t, int64_t) {
      const int64_t at = channelsFirst ? c % (b * b) : c / channels;
      return PixelSource{channelsFirst ? c / (b * b) : c % channels, at / b, at % b};
    });
  }
  RequirePlain(p);
  const int64_t h = x[2] / b, w = x[3] / b, row = x[3], plane = x[2] * row, image = x[1] * plane;
  if (channelsFirst) return MakeGather(p, {x[0], x[1], b, b, h, w}, 0, {image, plane, row, 1, b * row, b});
  return MakeGather(p, {x[0], b, b, x[1], h, w}, 0, {image, row, 1, plane, b * row, b});
}

std::unique_ptr<Step> Make_expand(const Problem& p) {
  RequirePlain(p);
  std::vector<int64_t> shape = p.outputs[0].shape, strides = BroadcastStrides(p.inputs[0].shape, shape);
  JoinAxes(&shape, {&strides});
  return MakeGather(p, shape, 0, strides);
}

// Every axis is two: its repeats, which stay where they are in x, and what is repeated.
std::unique_ptr<Step> Make_tile(const Problem& p) {
  RequirePlain(p);
  const std::vector<int64_t> &x = p.inputs[0].shape, own = Strides(x), repeats = p.attributes.Ints("repeats");
  std::vector<int64_t> shape, strides;
  for (size_t a = 0; a < x.size(); ++a) {
    shape.insert(shape.end(), {repeats[a], x[a]});
    strides.insert(strides.end(), {0, own[a]});
  }
  JoinAxes(&shape, {&strides});
  return MakeGather(p, shape, 0, strides);
}

std::unique_ptr<Step> Make_slice(const Problem& p) {
  const std::vector<int64_t> own = Strides(p.inputs[0].shape), starts = p.attributes.Ints("starts"), steps = p.attributes.Ints("steps");
  if (AllBlocked(p)) {
    for (size_t a : {0, 2, 3}) {
      if (p.outputs[0].shape[a] != p.inputs[0].shape[a] || steps[a] != 1) throw Declined("pixels of blocks");
    }
    return MoveChannels(p, [&](size_t, int64_t c) { return ChannelSource{0, starts[1] + c * steps[1]}; });
  }
  RequirePlain(p);
  std::vector<int64_t> strides;
  int64_t base = 0;
  for (size_t a = 0; a < own.size(); ++a) {
    base += starts[a] * own[a];
    strides.push_back(steps[a] * own[a]);
  }
  return MakeGather(p, p.outputs[0].shape, base, strides);
}

std::unique_ptr<Step> Make_concat(const Problem& p) {
  const size_t axis = static_cast<size_t>(p.attributes.Int("axis", 0));
  if (AllBlocked(p) && axis == 1) {
    std::vector<ChannelSource> from;
    for (size_t i = 0; i < p.inputs.size(); ++i) {
      for (int64_t c = 0; c < p.inputs[i].shape[1]; ++c) from.push_back({static_cast<int64_t>(i), c});
    }
    return MoveChannels(p, [&](size_t, int64_t c) { return from[static_cast<size_t>(c)]; });
  }
  RequirePlain(p);
  std::vector<int64_t> parts;
  for (const TensorDesc& t : p.inputs) parts.push_back(RowBytes(t, axis));
  const int64_t outer = OuterSize(p.outputs[0], axis), row = RowBytes(p.outputs[0], axis);
  return MakeFunction("copy", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run(static_cast<int64_t>(parts.size()), [&](int64_t i, int) {
      const int64_t start = std::accumulate(parts.begin(), parts.begin() + i, int64_t{0}), part = parts[static_cast<size_t>(i)];
      CopyRuns(inputs[i], part, static_cast<char*>(outputs[0]) + start, row, outer, part);
    });
  });
}

std::unique_ptr<Step> Make_split(const Problem& p) {
  const size_t axis = static_cast<size_t>(p.attributes.Int("axis", 0));
  if (AllBlocked(p) && axis == 1) {
    std::vector<int64_t> starts = {0};
    for (const TensorDesc& t : p.outputs) starts.push_back(starts.back() + t.shape[1]);
    return MoveChannels(p, [&](size_t o, int64_t c) { return ChannelSource{0, starts[o] + c}; });
  }
  RequirePlain(p);
  std::vector<int64_t> parts;
  for (const TensorDesc& t : p.outputs) parts.push_back(RowBytes(t, axis));
  const int64_t outer = OuterSize(p.inputs[0], axis), row = RowBytes(p.inputs[0], axis);
  return MakeFunction("copy", [=](Team&, const void* const* inputs, void* const* outputs, void*) {
    int64_t start = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
      CopyRuns(static_cast<const char*>(inputs[0]) + start, row, outputs[i], parts[i], outer, parts[i]);
      start += parts[i];
    }
  });
}

std::unique_ptr<Step> Make_reorder(const Problem& p) {
  RequireFloat32(p);
  const Image x(p.inputs[0]);
  const bool toBlocked = p.outputs[0].layout == Layout::kBlocked;
  if (x.blocked == toBlocked) throw Declined("nothing to reorder");
  const KernelTable* table = p.kernels;
  return MakeFunction("transposed blocks", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    if (toBlocked) PlainToBlocked(*table, team, x, In(inputs, 0), Out(outputs));
    else BlockedToPlain(*table, team, x, In(inputs, 0), Out(outputs));
  });
}

}  // namespace xcorr
