// pad: of float32 with one number, in either layout; of any dtype with what the tensor has itself, or by less than nothing.
#include <cmath>
#include <cstring>

#include "channels.h"
#include "functionStep.h"
#include "layout.h"
#include "shape.h"

namespace xcorr {
namespace {

// Padding with one number, and of at least 0: of any axes of a plain float32 tensor; of a blocked one, of channels with zeros, or of rows, columns and the
// end of the channels.
std::unique_ptr<Step> MakeConstantPad(const Problem& p) {
  const TensorDesc &t = p.inputs[0], &out = p.outputs[0];
  std::vector<int64_t> pads = p.attributes.Ints("pads");
  if (t.layout != out.layout) throw Declined("input and output in different layouts");
  const float value = static_cast<float>(p.attributes.Number("value", 0));
  if (t.layout == Layout::kBlocked && value == 0 && t.shape[0] == out.shape[0] && t.shape[2] == out.shape[2] && t.shape[3] == out.shape[3] && !pads[2] && !pads[3]) {
    return MoveChannels(p, [&](size_t, int64_t c) {
      const int64_t from = c - pads[1];
      return from < 0 || from >= t.shape[1] ? ChannelSource{} : ChannelSource{0, from};
    });
  }
  // Stored sizes: [N][blocks][H][W][8] for a blocked image.
  std::vector<int64_t> from = t.shape, to = out.shape;
  std::vector<int64_t> begins(pads.begin(), pads.begin() + static_cast<int64_t>(t.shape.size()));
  if (t.layout == Layout::kBlocked) {
    if (pads[0] || pads[1] || pads[4] || (pads[5] && value != 0)) throw Declined("padding that blocks of channels do not have");
    from[1] = Blocks(from[1]);
    to[1] = Blocks(to[1]);
    from.push_back(kBlock);
    to.push_back(kBlock);
    begins.push_back(0);
  }
  const std::vector<int64_t> strides = Strides(to);
  const size_t rank = from.size();
  // A run: the last axis, or the last two of a blocked image, whose 8 channels are never padded.
  const size_t runAxis = t.layout == Layout::kBlocked ? rank - 2 : rank - 1;
  const int64_t run = from[runAxis] * strides[runAxis];
  const int64_t rows = run ? t.StoredElements() / run : 0, total = out.StoredElements();
  const bool clears = t.layout == Layout::kBlocked && value != 0;
  const TensorDesc y = out;
  return MakeFunction("rows", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    float* target = Out(outputs);
    team.Run((total + kGrain - 1) / kGrain, [&](int64_t task, int) { std::fill(target + task * kGrain, target + std::min(total, (task + 1) * kGrain), value); });
    const int64_t perTask = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, run));
    team.Run((rows + perTask - 1) / perTask, [&](int64_t task, int) {
      for (int64_t row = task * perTask; row < std::min(rows, (task + 1) * perTask); ++row) {
        int64_t at = begins[runAxis] * strides[runAxis], rest = row;
        for (size_t a = runAxis; a-- > 0;) {
          at += (rest % from[a] + begins[a]) * strides[a];
          rest /= from[a];
        }
        std::memcpy(target + at, In(inputs, 0) + row * run, static_cast<size_t>(run) * sizeof(float));
      }
    });
    if (clears) ClearPaddingLanes(Image(y), target);
  });
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

// Rows of the result: of a row's elements those inside are copied at once, those beside it one by one from where they come from. `value` is the constant.
template <typename T>
std::unique_ptr<Step> MakePadFrom(const Problem& p, const std::string& mode, T value) {
  RequirePlain(p);
  const std::vector<int64_t> &x = p.inputs[0].shape, shape = p.outputs[0].shape, strides = Strides(x), pads = p.attributes.Ints("pads");
  std::vector<std::vector<int64_t>> sources(shape.size());
  for (size_t a = 0; a < shape.size(); ++a) {
    for (int64_t i = 0; i < shape[a]; ++i) sources[a].push_back(SourceOf(i - pads[a], x[a], mode));
  }
  const size_t last = shape.size() - 1;
  const int64_t width = shape[last], left = std::min(width, std::max<int64_t>(0, pads[last]));
  const int64_t right = std::max(left, std::min(width, pads[last] + x[last])), skipped = std::max<int64_t>(0, -pads[last]);
  const int64_t rows = width ? p.outputs[0].Elements() / width : 0, perTask = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width));
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
  });
}

}  // namespace

std::unique_ptr<Step> Make_pad(const Problem& p) {
  const std::string mode = p.attributes.Text("mode");
  const std::vector<int64_t> pads = p.attributes.Ints("pads");
  const double value = p.attributes.Number("value", 0);
  const bool isFloat = p.inputs[0].dtype == DType::kFloat32;
  if (pads.empty()) throw Declined("a scalar");
  if (mode == "constant" && isFloat && *std::min_element(pads.begin(), pads.end()) >= 0) return MakeConstantPad(p);
  if (p.inputs[0].layout != p.outputs[0].layout) throw Declined("input and output in different layouts");
  if (isFloat) return MakePadFrom<float>(p, mode, static_cast<float>(value));
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
