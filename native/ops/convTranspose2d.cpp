// convTranspose2d: scattered (convTransposeScattered.cpp); by phases (convTransposePhases.cpp); or, for groups that do not fill blocks of 8 channels,
// gathered: each output pixel sums the taps that reach it.
#include <algorithm>

#include "convTranspose.h"
#include "functionStep.h"
#include "layout.h"

namespace xcorr {
namespace {

// Taps of one axis that reach output o: input place (o + begin - k * dilation) / stride where that is whole and inside.
struct Reach {
  int64_t input, tap;
};

std::vector<std::vector<Reach>> ReachOf(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation, int64_t begin) {
  std::vector<std::vector<Reach>> all(static_cast<size_t>(out));
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t k = 0; k < kernel; ++k) {
      const int64_t at = o + begin - k * dilation;
      if (at >= 0 && at % stride == 0 && at / stride < in) all[static_cast<size_t>(o)].push_back({at / stride, k});
    }
  }
  return all;
}

}  // namespace

std::unique_ptr<Step> Make_convTranspose2d(const Problem& p) {
  RequireFloat32(p);
  Conv conv(p);  // its weight is (Cin, Cout / groups, Kh, Kw)
  conv.inPerGroup = conv.x.c / conv.groups;
  conv.outPerGroup = conv.weight.shape[1];
  const Reason scattered = AcceptsScattered(conv), declined = AcceptsPhases(conv);
  if (scattered.empty() || declined.empty()) {
    std::unique_ptr<ConvStep> step = scattered.empty() ? MakeScattered(conv) : MakePhases(conv);
    step->Prepare(p);
    step->info.algorithm = scattered.empty() ? "scattered" : "phases";
    if (!scattered.empty()) step->info.declined = "scattered: " + scattered;
    return step;
  }
  const Image x(p.inputs[0]), y(p.outputs[0]);
  const std::vector<int64_t> stride = p.attributes.Ints("stride"), dilation = p.attributes.Ints("dilation"), pads = p.attributes.Ints("padding");
  const int64_t groups = p.attributes.Int("groups", 1), kh = p.inputs[1].shape[2], kw = p.inputs[1].shape[3];
  const int64_t perGroup = p.inputs[1].shape[1], inPerGroup = x.c / groups;
  const bool hasBias = p.inputs.size() > 2;
  const Epilogue epilogue(p.attributes);
  const KernelTable* table = p.kernels;
  const auto rows = ReachOf(x.h, y.h, kh, stride[0], dilation[0], pads[0]), columns = ReachOf(x.w, y.w, kw, stride[1], dilation[1], pads[1]);
  // Scratch: the input as [h][w][channel of the group's order], the weights as [tap][input channel][8 output channels] per output block.
  const int64_t inFloats = x.n * x.blocks * kBlock * x.plane();
  const int64_t weightFloats = y.blocks * kh * kw * inPerGroup * kBlock;
  const int64_t outFloats = y.blocked ? 0 : y.blockedFloats();
  auto run = [=](Team& team, const void* const* inputs, void* const* outputs, void* scratch) {
    float* work = static_cast<float*>(scratch);
    float* weights = work + inFloats;
    float* out = y.blocked ? Out(outputs) : weights + weightFloats;
    const float *in = In(inputs, 0), *weight = In(inputs, 1), *bias = hasBias ? In(inputs, 2) : nullptr;
    Image blockedX = x;
    if (!x.blocked) {
      PlainToBlocked(*table, team, blockedX, in, work);
      in = work;
    }
    team.Run(y.blocks, [&](int64_t block, int) {
      float* w = weights + block * kh * kw * inPerGroup * kBlock;
      for (int64_t t = 0; t < kh * kw; ++t) {
        for (int64_t c = 0; c < inPerGroup; ++c) {
          for (int64_t l = 0; l < kBlock; ++l, ++w) {
            const int64_t o = block * kBlock + l;
            if (o >= y.c) *w = 0;
            else *w = weight[((o / perGroup * inPerGroup + c) * perGroup + o % perGroup) * kh * kw + t];
          }
        }
      }
    });
    team.Run(x.n * y.blocks * y.h, [&](int64_t task, int) {
      const int64_t oy = task % y.h, block = task / y.h % y.blocks, n = task / y.h / y.blocks;
      const float* image = in + n * x.blocks * kBlock * x.plane();
      const float* w = weights + block * kh * kw * inPerGroup * kBlock;
      float* line = out + ((n * y.blocks + block) * y.h + oy) * y.w * kBlock;
      const int64_t lanes = std::min(kBlock, y.c - block * kBlock);
      for (int64_t ox = 0; ox < y.w; ++ox) {
        float sum[kBlock] = {0, 0, 0, 0, 0, 0, 0, 0};
        for (int64_t l = 0; bias && l < lanes; ++l) sum[l] = bias[block * kBlock + l];
        for (const Reach& row : rows[static_cast<size_t>(oy)]) {
          for (const Reach& column : columns[static_cast<size_t>(ox)]) {
            const float* pixel = image + (row.input * x.w + column.input) * kBlock;
            const float* taps = w + (row.tap * kw + column.tap) * inPerGroup * kBlock;
            if (groups == 1) {
              for (int64_t c = 0; c < inPerGroup; ++c) {
                const float v = pixel[c / kBlock * x.plane() * kBlock + c % kBlock];
                for (int64_t l = 0; l < kBlock; ++l) sum[l] += v * taps[c * kBlock + l];
              }
              continue;
            }
            for (int64_t l = 0; l < lanes; ++l) {
              const int64_t first = (block * kBlock + l) / perGroup * inPerGroup;
              for (int64_t c = 0; c < inPerGroup; ++c) {
                sum[l] += pixel[(first + c) / kBlock * x.plane() * kBlock + (first + c) % kBlock] * taps[c * kBlock + l];
              }
            }
          }
        }
        for (int64_t l = 0; l < kBlock; ++l) line[ox * kBlock + l] = sum[l];
      }
      table->UnaryRun({line, line, y.w * kBlock, UnaryKind::kActivation, epilogue.fused});
      epilogue.ApplyRest(line, y.w * kBlock);
    });
    ClearPaddingLanes(y, out);
    if (!y.blocked) BlockedToPlain(*table, team, y, out, Out(outputs));
  };
  auto step = MakeFunction("gathered", run, static_cast<size_t>(inFloats + weightFloats + outFloats) * sizeof(float));
  step->info.declined = "scattered: " + scattered + "; phases: " + declined;
  return step;
}

// dy and weight to dx: a transposed convolution whose output size is given.
std::unique_ptr<Step> Make_conv2dInputGradient(const Problem& p) {
  RequireFloat32(p);
  Conv conv(p);
  conv.inPerGroup = conv.x.c / conv.groups;
  conv.outPerGroup = conv.weight.shape[1];
  const Reason declined = AcceptsPhases(conv);
  if (!declined.empty()) throw Declined(declined);
  std::unique_ptr<ConvStep> step = MakePhases(conv);
  step->Prepare(p);
  step->info.algorithm = "phases";
  return step;
}

}  // namespace xcorr
