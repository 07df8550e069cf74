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
    float* centres = reinterpret_cast<float*>(means + all);  // the means, as kernels take them
    float* factors = centres + all;
    float* shifts = factors + all;
    std::fill_n(centres, 3 * all, 0.0f);
    // Into `sums`: of each channel, of its numbers, or of the squares about the centres.
    const auto perChannel = [&](bool squares) {
      team.Run(images * planes, [&](int64_t task, int) {
        PlaneSums(*table, in + task * plane, pixels, blocked, squares ? centres + task * lanes : nullptr, sums + task * lanes);
      });
    };
    // Calls body(sum of the group's channels' sums, first channel, of the image at `base`).
    const auto perGroupOf = [&](const auto& body) {
      for (int64_t base = 0; base < all; base += stored) {
        for (int64_t c = 0; c < channels; c += perGroup) body(SumOf(perGroup, [&](int64_t i) { return sums[base + c + i]; }), base, c);
      }
    };
    const double count = static_cast<double>(perGroup * pixels);
    perChannel(false);
    perGroupOf([&](double sum, int64_t base, int64_t c) {
      std::fill_n(means + base + c, perGroup, sum / count);
      std::fill_n(centres + base + c, perGroup, static_cast<float>(sum / count));
    });
    perChannel(true);
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
  return MakeFunction("planes", run, static_cast<size_t>(x.shape[0] * stored) * (2 * sizeof(double) + 3 * sizeof(float)));
}

// Statistics over the channels of some pixels of a plain image, plane by plane.
void NormPlainPixels(const ChannelNormArgs& args) {
  constexpr int64_t kMost = 128, kFew = 16;
  for (int64_t first = 0; first < args.pixels; first += kMost) {
    const int64_t pixels = std::min(kMost, args.pixels - first);
    const float* in = args.in + first;
    // Adds up f(number, pixel) of all planes, few of them at a time in float.
    const auto sum = [&](double* sums, const auto& f) {
      std::fill_n(sums, pixels, 0.0);
      for (int64_t c = 0; c < args.channels; c += kFew) {
        float few[kMost] = {};
        for (int64_t k = c; k < std::min(args.channels, c + kFew); ++k) {
          for (int64_t p = 0; p < pixels; ++p) few[p] += f(in[k * args.plane + p], p);
        }
        for (int64_t p = 0; p < pixels; ++p) sums[p] += few[p];
      }
    };
    double sums[kMost];
    float means[kMost], factors[kMost];
    const double count = static_cast<double>(args.channels);
    sum(sums, [](float number, int64_t) { return number; });
    for (int64_t p = 0; p < pixels; ++p) means[p] = static_cast<float>(sums[p] / count);
    sum(sums, [&](float number, int64_t p) { return (number - means[p]) * (number - means[p]); });
    for (int64_t p = 0; p < pixels; ++p) factors[p] = static_cast<float>(InverseDeviation(sums[p], count, static_cast<double>(args.eps)));
    for (int64_t c = 0; c < args.channels; ++c) {
      float* out = args.out + c * args.plane + first;
      for (int64_t p = 0; p < pixels; ++p) out[p] = (in[c * args.plane + p] - means[p]) * factors[p] * args.scale[c] + args.bias[c];
    }
  }
}

}  // namespace

std::unique_ptr<Step> Make_instanceNorm(const Problem& p) { return MakeGroups(p, p.inputs[0].shape[1]); }
std::unique_ptr<Step> Make_groupNorm(const Problem& p) { return MakeGroups(p, p.attributes.Int("groups", 1)); }

// Statistics over the channels of each pixel.
std::unique_ptr<Step> Make_channelNorm(const Problem& p) {
  RequireFloat32(p);
  const TensorDesc x = p.inputs[0];
  if (x.layout != p.outputs[0].layout) throw Declined("input and output in different layouts");
  const bool blocked = x.layout == Layout::kBlocked;
  const int64_t channels = x.shape[1], lanes = blocked ? kBlock : 1, stored = blocked ? Blocks(channels) * kBlock : channels;
  const int64_t pixels = PixelsOf(x), perTask = std::max<int64_t>(1, kGrain / (8 * stored)) * 8, tasks = (pixels + perTask - 1) / perTask;
  const float eps = static_cast<float>(p.attributes.Number("eps", 1e-5));
  const KernelTable* table = p.kernels;
  const auto run = [=](Team& team, const void* const* inputs, void* const* outputs, void* scratch) {
    float* scale = static_cast<float*>(scratch);
    float* bias = scale + stored;
    std::fill_n(scale, 2 * stored, 0.0f);
    std::copy_n(In(inputs, 1), channels, scale);
    std::copy_n(In(inputs, 2), channels, bias);
    team.Run(x.shape[0] * tasks, [&](int64_t task, int) {
      const int64_t first = task % tasks * perTask, at = task / tasks * stored * pixels + first * lanes;
      const ChannelNormArgs args = {In(inputs, 0) + at, Out(outputs) + at, pixels * lanes, channels, std::min(perTask, pixels - first), scale, bias, eps};
      blocked ? table->ChannelNorm(args) : NormPlainPixels(args);
    });
  };
  return MakeFunction("pixels", run, static_cast<size_t>(2 * stored) * sizeof(float));
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
