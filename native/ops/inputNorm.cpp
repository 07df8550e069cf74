// Normalisations by the input's own mean and variance: layerNorm, instanceNorm, groupNorm, channelNorm. Sums are in an order that depends on shapes alone.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "epilogue.h"
#include "functionStep.h"
#include "layout.h"
#include "sums.h"

namespace xcorr {
namespace {

// Of f(x) of `pixels` pixels of 8 channels, for each channel.
template <typename F>
void SumPixels(const float* in, int64_t pixels, double* sums, const F& f) {
  double own[kBlock] = {};
  for (int64_t i = 0; i < pixels * kBlock; i += kBlock) {
    for (int64_t l = 0; l < kBlock; ++l) own[l] += f(in[i + l], l);
  }
  std::copy_n(own, kBlock, sums);
}

double InverseDeviation(double squares, double count, double eps) { return 1 / std::sqrt(squares / count + eps); }

// Statistics over groups of channels: of every channel its sum, from these the groups' means, of every channel its squares about the mean, and from these what
// it is multiplied by and moved by.
std::unique_ptr<Step> MakeGroups(const Problem& p, int64_t groups) {
  RequireFloat32(p);
  const TensorDesc x = p.inputs[0];
  if (x.layout != p.outputs[0].layout) throw Declined("input and output in different layouts");
  const bool blocked = x.layout == Layout::kBlocked;
  const double eps = p.attributes.Number("eps", 1e-5);
  const int64_t channels = x.shape[1], lanes = blocked ? kBlock : 1, planes = blocked ? Blocks(channels) : channels, stored = planes * lanes;
  const int64_t pixels = PixelsOf(x);
  const int64_t perGroup = channels / groups, plane = pixels * lanes, pieces = (plane + kGrain - 1) / kGrain;
  const Epilogue epilogue(p.attributes);
  const KernelTable* table = p.kernels;
  const auto run = [=](Team& team, const void* const* inputs, void* const* outputs, void* scratch) {
    const float *in = In(inputs, 0), *scale = In(inputs, 1), *bias = In(inputs, 2);
    const int64_t images = x.shape[0], all = images * stored;
    double* sums = static_cast<double*>(scratch);
    double* means = sums + all;
    float* factors = reinterpret_cast<float*>(means + all);
    float* shifts = factors + all;
    std::fill_n(means, all, 0.0);
    // Into `sums`: of each channel, of f(number, mean).
    const auto perChannel = [&](const auto& f) {
      team.Run(images * planes, [&](int64_t task, int) {
        const float* from = in + task * plane;
        const double* mean = means + task * lanes;
        if (blocked) SumPixels(from, pixels, sums + task * lanes, [&](double number, int64_t l) { return f(number, mean[l]); });
        else sums[task] = SumOf(pixels, [&](int64_t i) { return f(from[i], mean[0]); });
      });
    };
    // Calls body(sum of the group's channels' sums, first channel, of the image at `base`).
    const auto perGroupOf = [&](const auto& body) {
      for (int64_t base = 0; base < all; base += stored) {
        for (int64_t c = 0; c < channels; c += perGroup) body(SumOf(perGroup, [&](int64_t i) { return sums[base + c + i]; }), base, c);
      }
    };
    const double count = static_cast<double>(perGroup * pixels);
    perChannel([](double number, double) { return number; });
    perGroupOf([&](double sum, int64_t base, int64_t c) { std::fill_n(means + base + c, perGroup, sum / count); });
    perChannel([](double number, double mean) { return (number - mean) * (number - mean); });
    std::fill_n(factors, 2 * all, 0.0f);
    perGroupOf([&](double squares, int64_t base, int64_t first) {
      const double inverse = InverseDeviation(squares, count, eps);
      for (int64_t c = first; c < first + perGroup; ++c) {
        factors[base + c] = static_cast<float>(inverse * scale[c]);
        shifts[base + c] = static_cast<float>(bias[c] - means[base + c] * inverse * scale[c]);
      }
    });
    team.Run(images * planes * pieces, [&](int64_t task, int) {
      const int64_t at = task / pieces, begin = task % pieces * kGrain, count = std::min(kGrain, plane - begin);
      const Operand form = blocked ? Operand::kBlock : Operand::kScalar;
      float* out = Out(outputs) + at * plane + begin;
      table->BinaryRun({in + at * plane + begin, factors + at * lanes, out, count, Operand::kFull, form, BinaryKind::kMul, epilogue.fused, shifts + at * lanes, form});
      epilogue.ApplyRest(out, count);
    });
    if (blocked && !epilogue.zeroStaysZero) ClearPaddingLanes(Image(x), Out(outputs));
  };
  return MakeFunction("planes", run, static_cast<size_t>(x.shape[0] * stored) * 2 * (sizeof(double) + sizeof(float)));
}

// Statistics over the channels of each pixel: of kRow numbers, which are some pixels' lanes, in each block of channels (or each channel) at a time.
template <int64_t kLanes>
class ChannelNorm {
 public:
  static constexpr int64_t kRow = 128, kPixels = kRow / kLanes;

  ChannelNorm(int64_t channels, int64_t plane, double eps) : channels_(channels), planes_((channels + kLanes - 1) / kLanes), plane_(plane), eps_(eps) {}

  int64_t stored() const { return planes_ * kLanes; }

  // scale and bias: of stored() channels
  void Run(const float* in, int64_t pixels, const float* scale, const float* bias, float* out) const {
    const int64_t row = pixels * kLanes;
    double sums[kRow] = {};
    float means[kRow], factors[kRow];
    Sum(in, row, planes_, sums, [](float number, int64_t) { return number; });
    PerPixel(pixels, sums, means, [&](double sum) { return sum / static_cast<double>(channels_); });
    std::fill_n(sums, kRow, 0.0);
    const auto square = [&](float number, int64_t j) { return (number - means[j]) * (number - means[j]); };
    const int64_t full = channels_ / kLanes, lanes = channels_ % kLanes;
    Sum(in, row, full, sums, square);
    // The last block's own lanes.
    for (int64_t j = 0; lanes > 0 && j < row; ++j) {
      if (j % kLanes < lanes) sums[j] += square(in[full * plane_ + j], j);
    }
    PerPixel(pixels, sums, factors, [&](double squares) { return InverseDeviation(squares, static_cast<double>(channels_), eps_); });
    for (int64_t p = 0; p < planes_; ++p, scale += kLanes, bias += kLanes) {
      const float* from = in + p * plane_;
      float* to = out + p * plane_;
      for (int64_t i = 0; i < row; i += kLanes) {
        for (int64_t l = 0; l < kLanes; ++l) to[i + l] = (from[i + l] - means[i + l]) * factors[i + l] * scale[l] + bias[l];
      }
    }
  }

 private:
  // Adds f(number) of all planes, few of them at a time in float.
  template <typename F>
  void Sum(const float* in, int64_t row, int64_t planes, double* sums, const F& f) const {
    constexpr int64_t kFew = 16;
    for (int64_t first = 0; first < planes; first += kFew) {
      float few[kRow] = {};
      for (int64_t p = first; p < std::min(planes, first + kFew); ++p) {
        for (int64_t j = 0; j < row; ++j) few[j] += f(in[p * plane_ + j], j);
      }
      for (int64_t j = 0; j < row; ++j) sums[j] += few[j];
    }
  }

  // f(sum of a pixel's lanes), to all of these
  template <typename F>
  static void PerPixel(int64_t pixels, const double* sums, float* to, const F& f) {
    for (int64_t i = 0; i < pixels; ++i) {
      std::fill_n(to + i * kLanes, kLanes, static_cast<float>(f(std::accumulate(sums + i * kLanes, sums + (i + 1) * kLanes, 0.0))));
    }
  }

  int64_t channels_, planes_, plane_;
  double eps_;
};

template <int64_t kLanes>
std::unique_ptr<Step> MakeChannels(const Problem& p, int64_t pixels) {
  const int64_t images = p.inputs[0].shape[0], channels = p.inputs[0].shape[1];
  const ChannelNorm<kLanes> norm(channels, pixels * kLanes, p.attributes.Number("eps", 1e-5));
  const int64_t stored = norm.stored(), parts = (pixels + norm.kPixels - 1) / norm.kPixels;
  const auto run = [=](Team& team, const void* const* inputs, void* const* outputs, void* scratch) {
    float* scale = static_cast<float*>(scratch);
    float* bias = scale + stored;
    std::fill_n(scale, 2 * stored, 0.0f);
    std::copy_n(In(inputs, 1), channels, scale);
    std::copy_n(In(inputs, 2), channels, bias);
    team.Run(images * parts, [&](int64_t task, int) {
      const int64_t first = task % parts * norm.kPixels, at = task / parts * stored * pixels + first * kLanes;
      norm.Run(In(inputs, 0) + at, std::min(norm.kPixels, pixels - first), scale, bias, Out(outputs) + at);
    });
  };
  return MakeFunction("pixels", run, static_cast<size_t>(2 * stored) * sizeof(float));
}

}  // namespace

std::unique_ptr<Step> Make_instanceNorm(const Problem& p) { return MakeGroups(p, p.inputs[0].shape[1]); }
std::unique_ptr<Step> Make_groupNorm(const Problem& p) { return MakeGroups(p, p.attributes.Int("groups", 1)); }

std::unique_ptr<Step> Make_channelNorm(const Problem& p) {
  RequireFloat32(p);
  const TensorDesc& x = p.inputs[0];
  if (x.layout != p.outputs[0].layout) throw Declined("input and output in different layouts");
  return x.layout == Layout::kBlocked ? MakeChannels<kBlock>(p, PixelsOf(x)) : MakeChannels<1>(p, PixelsOf(x));
}

// Rows: the last axes, one after the other.
std::unique_ptr<Step> Make_layerNorm(const Problem& p) {
  RequireFloat32(p);
  RequirePlain(p);
  const std::vector<int64_t>& shape = p.inputs[0].shape;
  const double eps = p.attributes.Number("eps", 1e-5);
  const int64_t count = std::accumulate(shape.begin() + p.attributes.Int("axis", 0), shape.end(), int64_t{1}, std::multiplies<int64_t>());
  for (size_t i = 1; i < p.inputs.size(); ++i) {
    if (p.inputs[i].Elements() != count) throw Declined("scale or bias that repeats");
  }
  const bool moves = p.inputs.size() > 2;
  const int64_t rows = count ? p.inputs[0].Elements() / count : 0, perTask = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, count));
  return MakeFunction("rows", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    const float *scale = In(inputs, 1), *bias = moves ? In(inputs, 2) : nullptr;
    team.Run((rows + perTask - 1) / perTask, [&](int64_t task, int) {
      for (int64_t row = task * perTask; row < std::min(rows, (task + 1) * perTask); ++row) {
        const float* x = In(inputs, 0) + row * count;
        float* y = Out(outputs) + row * count;
        const double mean = SumOf(count, [&](int64_t i) { return static_cast<double>(x[i]); }) / static_cast<double>(count);
        const double squares = SumOf(count, [&](int64_t i) { return (x[i] - mean) * (x[i] - mean); });
        const float middle = static_cast<float>(mean), factor = static_cast<float>(InverseDeviation(squares, static_cast<double>(count), eps));
        for (int64_t i = 0; i < count; ++i) y[i] = (x[i] - middle) * factor * scale[i];
        for (int64_t i = 0; bias && i < count; ++i) y[i] += bias[i];
      }
    });
  });
}

}  // namespace xcorr
