// batchNorm, localResponseNorm.
#include <algorithm>
#include <cmath>

#include "epilogue.h"
#include "functionStep.h"
#include "layout.h"

namespace xcorr {

namespace {

// y = x * scale + shift for batchNorm's four parameters; zeros past the last channel.
void FoldStatistics(const void* const* inputs, double eps, int64_t channels, int64_t stored, float* scale, float* shift) {
  std::fill(scale, scale + stored, 0.0f);
  std::fill(shift, shift + stored, 0.0f);
  for (int64_t c = 0; c < channels; ++c) {
    const double factor = In(inputs, 1)[c] / std::sqrt(In(inputs, 4)[c] + eps);
    scale[c] = static_cast<float>(factor);
    shift[c] = static_cast<float>(In(inputs, 2)[c] - In(inputs, 3)[c] * factor);
  }
}

}  // namespace

// One pass: x * scale + shift, then the activation.
std::unique_ptr<Step> Make_batchNorm(const Problem& p) {
  RequireFloat32(p);
  const TensorDesc x = p.inputs[0];
  if (x.layout != p.outputs[0].layout) throw Declined("input and output in different layouts");
  const bool blocked = x.layout == Layout::kBlocked;
  const double eps = p.attributes.Number("eps", 1e-5);
  const int64_t channels = x.shape[1], lanes = blocked ? kBlock : 1;
  const int64_t pixels = PixelsOf(x);
  const int64_t perImage = blocked ? Blocks(channels) : channels, plane = pixels * lanes, pieces = (plane + kGrain - 1) / kGrain;
  const Epilogue epilogue(p.attributes);
  const bool clears = blocked && !epilogue.zeroStaysZero;
  const KernelTable* table = p.kernels;
  const int64_t stored = perImage * lanes;
  float* folded = nullptr;
  if (std::all_of(p.constants.begin() + 1, p.constants.end(), [](const Constant& constant) { return static_cast<bool>(constant); })) {
    AlignedBuffer buffers[5];
    const void* numbers[5] = {};
    for (size_t i = 1; i < 5; ++i) numbers[i] = p.constants[i].Floats(&buffers[i]);
    folded = p.memory->TakeFloats(2 * stored);
    FoldStatistics(numbers, eps, channels, stored, folded, folded + stored);
  }
  auto run = [=](Team& team, const void* const* inputs, void* const* outputs, void* scratch) {
    float* scales = folded ? folded : static_cast<float*>(scratch);
    if (!folded) FoldStatistics(inputs, eps, channels, stored, scales, scales + stored);
    team.Run(x.shape[0] * perImage * pieces, [&](int64_t task, int) {
      const float *scale = scales + task / pieces % perImage * lanes, *shift = scale + stored;
      const int64_t begin = task % pieces * kGrain, at = task / pieces * plane + begin, count = std::min(kGrain, plane - begin);
      const Operand form = blocked ? Operand::kBlock : Operand::kScalar;
      table->BinaryRun({In(inputs, 0) + at, scale, Out(outputs) + at, count, Operand::kFull, form, BinaryKind::kMul, epilogue.fused, shift, form});
      epilogue.ApplyRest(Out(outputs) + at, count);
    });
    if (clears) ClearPaddingLanes(Image(x), Out(outputs));
  };
  return MakeFunction("scale and shift", run, folded ? 0 : static_cast<size_t>(2 * stored) * sizeof(float));
}

std::unique_ptr<Step> Make_localResponseNorm(const Problem& p) {
  RequireFloat32(p);
  const TensorDesc& in = p.inputs[0];
  if (in.layout != p.outputs[0].layout) throw Declined("input and output in different layouts");
  const int64_t pixels = PixelsOf(in);
  const bool blocked = in.layout == Layout::kBlocked;
  const Image x(TensorDesc{in.dtype, in.layout, {in.shape[0], in.shape[1], 1, pixels}});
  const double beta = p.attributes.Number("beta", 0.75), alpha = p.attributes.Number("alpha", 1e-4), k = p.attributes.Number("k", 1);
  ResponseNormArgs all = {};
  all.plane = pixels * kBlock;
  all.blocks = x.blocks;
  all.size = p.attributes.Int("size", 1);
  all.before = (all.size - 1) / 2;
  all.factor = static_cast<float>(alpha / static_cast<double>(all.size));
  all.k = static_cast<float>(k);
  all.threeQuarters = beta == 0.75;  // the usual one: two square roots
  const size_t scratch = blocked ? 0 : 2 * static_cast<size_t>(x.blockedFloats()) * sizeof(float);
  const KernelTable* table = p.kernels;
  auto run = [=](Team& team, const void* const* inputs, void* const* outputs, void* work) {
    const float* from = In(inputs, 0);
    float* to = Out(outputs);
    if (!blocked) {
      float* reordered = static_cast<float*>(work);
      PlainToBlocked(*table, team, x, from, reordered);
      from = reordered;
      to = reordered + x.blockedFloats();
    }
    constexpr int64_t kPixels = 16;
    const int64_t parts = (pixels + kPixels - 1) / kPixels;
    team.Run(x.n * parts, [&](int64_t task, int) {
      ResponseNormArgs args = all;
      const int64_t first = task % parts * kPixels, at = (task / parts * x.blocks * pixels + first) * kBlock;
      args.in = from + at;
      args.out = to + at;
      args.pixels = std::min(kPixels, pixels - first);
      args.squares = ThreadScratch(static_cast<size_t>(kPixels * (x.blocks * kBlock + args.size - 1)));
      table->ResponseNorm(args);
      for (int64_t b = 0; !args.threeQuarters && b < x.blocks; ++b) {
        const float* number = args.in + b * args.plane;
        float* base = args.out + b * args.plane;
        for (int64_t i = 0; i < args.pixels * kBlock; ++i) base[i] = number[i] / std::pow(base[i], static_cast<float>(beta));
      }
    });
    if (blocked) ClearPaddingLanes(x, to);
    else BlockedToPlain(*table, team, x, to, Out(outputs));
  };
  return MakeFunction("window of channels", run, scratch);
}

}  // namespace xcorr
