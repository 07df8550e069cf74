// pad: of any dtype, by a constant or by what the tensor has itself, also by less than nothing; blocked images where their blocks stay whole.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "channels.h"
#include "functionStep.h"
#include "layout.h"
#include "shape.h"

namespace xcorr {
namespace {

// What is moved of a blocked image.
struct Pixel {
  float lanes[kBlock];
};

// Sizes of a tensor in elements as they are moved: of a blocked image blocks of channels for channels.
std::vector<int64_t> SizesOf(const TensorDesc& t) {
  std::vector<int64_t> sizes = t.shape;
  if (t.layout == Layout::kBlocked) sizes[1] = Blocks(sizes[1]);
  return sizes;
}

// Place in 0 .. size - 1 that a place outside stands for; -1: the constant.
int64_t SourceOf(int64_t at, int64_t size, const std::string& mode) {
  const auto modulo = [at](int64_t n) { return (at % n + n) % n; };
  if (at >= 0 && at < size) return at;
  if (mode == "constant") return -1;
  if (mode == "edge") return at < 0 ? 0 : size - 1;
  if (mode == "wrap") return modulo(size);
  if (size == 1) return 0;
  const int64_t folded = modulo(2 * (size - 1));
  return folded < size ? folded : 2 * (size - 1) - folded;
}

// Rows of the result: of a row's elements those inside are copied at once, those beside it one by one from where they come from. `value` is the constant, and
// `clears` says that a blocked image's lanes after its last channel have got it too.
template <typename T>
std::unique_ptr<Step> MakePadFrom(const Problem& p, const std::string& mode, T value, bool clears = false) {
  const std::vector<int64_t> x = SizesOf(p.inputs[0]), shape = SizesOf(p.outputs[0]), strides = Strides(x), pads = p.attributes.Ints("pads");
  std::vector<std::vector<int64_t>> sources(shape.size());
  for (size_t a = 0; a < shape.size(); ++a) {
    for (int64_t i = 0; i < shape[a]; ++i) sources[a].push_back(SourceOf(i - pads[a], x[a], mode));
  }
  const size_t last = shape.size() - 1;
  const int64_t width = shape[last], left = std::min(width, std::max<int64_t>(0, pads[last]));
  const int64_t right = std::max(left, std::min(width, pads[last] + x[last])), skipped = std::max<int64_t>(0, -pads[last]);
  const int64_t rows = std::accumulate(shape.begin(), shape.end() - 1, int64_t{width > 0}, std::multiplies<int64_t>());
  const int64_t rowBytes = width * static_cast<int64_t>(sizeof(T)), perTask = std::max<int64_t>(1, kGrain * static_cast<int64_t>(sizeof(float)) / std::max<int64_t>(1, rowBytes));
  const TensorDesc result = p.outputs[0];
  return MakeFunction("rows", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run((rows + perTask - 1) / perTask, [&](int64_t task, int) {
      for (int64_t row = task * perTask; row < std::min(rows, (task + 1) * perTask); ++row) {
        T* y = static_cast<T*>(outputs[0]) + row * width;
        int64_t from = 0, rest = row;
        for (size_t a = last; a-- > 0 && from >= 0; rest /= shape[a]) {
          const int64_t source = sources[a][static_cast<size_t>(rest % shape[a])];
          from = source < 0 ? -1 : from + source * strides[a];
        }
        if (from < 0) {
          std::fill_n(y, width, value);
          continue;
        }
        const T* in = static_cast<const T*>(inputs[0]) + from;
        const auto beside = [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) y[i] = sources[last][static_cast<size_t>(i)] < 0 ? value : in[sources[last][static_cast<size_t>(i)]];
        };
        beside(0, left);
        if (left < right) std::memcpy(y + left, in + skipped, static_cast<size_t>(right - left) * sizeof(T));
        beside(right, width);
      }
    });
    if (clears) ClearPaddingLanes(Image(result), Out(outputs));
  });
}

// A blocked image: of images, rows and columns; of channels after the last one with zeros, which their lanes are already; or of channels alone with zeros.
std::unique_ptr<Step> MakeBlockedPad(const Problem& p, const std::string& mode, const std::vector<int64_t>& pads, float value) {
  const int64_t channels = p.inputs[0].shape[1];
  const bool zeros = mode == "constant" && value == 0;
  const auto isChannel = [](size_t i) { return i % 4 == 1; };
  bool others = false;
  for (size_t i = 0; i < pads.size(); ++i) others = others || (!isChannel(i) && pads[i] != 0);
  if (zeros && !others) {
    return MoveChannels(p, [&](size_t, int64_t c) {
      const int64_t from = c - pads[1];
      return from < 0 || from >= channels ? ChannelSource{} : ChannelSource{0, from};
    });
  }
  if (pads[1] != 0 || pads[5] < 0 || (pads[5] > 0 && !zeros)) throw Declined("padding that blocks of channels do not have");
  Pixel outside;
  std::fill_n(outside.lanes, kBlock, value);
  return MakePadFrom(p, mode, outside, mode == "constant" && !zeros);
}

}  // namespace

std::unique_ptr<Step> Make_pad(const Problem& p) {
  const std::string mode = p.attributes.Text("mode");
  const std::vector<int64_t> pads = p.attributes.Ints("pads");
  const double value = p.attributes.Number("value", 0);
  if (pads.empty()) throw Declined("a scalar");
  if (p.inputs[0].layout != p.outputs[0].layout) throw Declined("input and output in different layouts");
  if (p.inputs[0].layout == Layout::kBlocked) return MakeBlockedPad(p, mode, pads, static_cast<float>(value));
  if (p.inputs[0].dtype == DType::kFloat32) return MakePadFrom(p, mode, static_cast<float>(value));
  // A zero is the same bits in every dtype.
  if (mode == "constant" && !(value == 0 && !std::signbit(value))) throw Declined("a dtype other than float32, and a constant other than 0");
  switch (SizeOf(p.inputs[0].dtype)) {
    case 1: return MakePadFrom<uint8_t>(p, mode, 0);
    case 2: return MakePadFrom<uint16_t>(p, mode, 0);
    case 4: return MakePadFrom<uint32_t>(p, mode, 0);
    default: return MakePadFrom<uint64_t>(p, mode, 0);
  }
}

}  // namespace xcorr
