// batchNorm, localResponseNorm, softmax.
#include <algorithm>
#include <cmath>

#include "functionStep.h"
#include "layout.h"

namespace xcorr {

std::unique_ptr<Step> Make_batchNorm(const Problem& p) {
  RequireFloat32(p);
  const TensorDesc x = p.inputs[0];
  if (x.layout != p.outputs[0].layout) throw Declined("input and output in different layouts");
  const bool blocked = x.layout == Layout::kBlocked;
  const double eps = p.attributes.Number("eps", 1e-5);
  const int64_t channels = x.shape[1], lanes = blocked ? kBlock : 1;
  int64_t pixels = 1;
  for (size_t a = 2; a < x.shape.size(); ++a) pixels *= x.shape[a];
  const int64_t perImage = blocked ? Blocks(channels) : channels;
  return MakeFunction("scale and shift", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run(x.shape[0] * perImage, [&](int64_t task, int) {
      for (int64_t l = 0; l < lanes; ++l) {
        const int64_t c = task % perImage * lanes + l;
        float scale = 0, shift = 0;
        if (c < channels) {
          const double factor = In(inputs, 1)[c] / std::sqrt(In(inputs, 4)[c] + eps);
          scale = static_cast<float>(factor);
          shift = static_cast<float>(In(inputs, 2)[c] - In(inputs, 3)[c] * factor);
        }
        const float* in = In(inputs, 0) + task * pixels * lanes + l;
        float* out = Out(outputs) + task * pixels * lanes + l;
        for (int64_t i = 0; i < pixels; ++i) out[i * lanes] = in[i * lanes] * scale + shift;
      }
    });
  });
}

std::unique_ptr<Step> Make_localResponseNorm(const Problem& p) {
  RequireFloat32(p);
  const TensorDesc x = p.inputs[0];
  const bool blocked = x.layout == Layout::kBlocked;
  if (x.layout != p.outputs[0].layout) throw Declined("input and output in different layouts");
  const int64_t size = p.attributes.Int("size", 1), before = (size - 1) / 2, after = size - 1 - before;
  const float factor = static_cast<float>(p.attributes.Number("alpha", 1e-4) / static_cast<double>(size));
  const float beta = static_cast<float>(p.attributes.Number("beta", 0.75)), k = static_cast<float>(p.attributes.Number("k", 1));
  const int64_t channels = x.shape[1];
  int64_t pixels = 1;
  for (size_t a = 2; a < x.shape.size(); ++a) pixels *= x.shape[a];
  const int64_t image = (blocked ? Blocks(channels) * kBlock : channels) * pixels;
  auto place = [=](int64_t c, int64_t i) { return blocked ? (c / kBlock * pixels + i) * kBlock + c % kBlock : c * pixels + i; };
  return MakeFunction("window of channels", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    constexpr int64_t kPixels = 64;  // a task's pixels: their channels stay in cache
    const int64_t parts = (pixels + kPixels - 1) / kPixels;
    team.Run(x.shape[0] * parts, [&](int64_t task, int) {
      const float* in = In(inputs, 0) + task / parts * image;
      float* out = Out(outputs) + task / parts * image;
      const int64_t first = task % parts * kPixels, last = std::min(pixels, first + kPixels);
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t i = first; i < last; ++i) {
          float sum = 0;
          for (int64_t near = std::max<int64_t>(0, c - before); near <= std::min(channels - 1, c + after); ++near) {
            const float v = in[place(near, i)];
            sum += v * v;
          }
          out[place(c, i)] = in[place(c, i)] / std::pow(k + factor * sum, beta);
        }
      }
    });
    if (blocked) ClearPaddingLanes(Image(x), Out(outputs));
  });
}

std::unique_ptr<Step> Make_softmax(const Problem& p) {
  RequireFloat32(p);
  RequirePlain(p);
  const TensorDesc x = p.inputs[0];
  const size_t axis = static_cast<size_t>(p.attributes.Int("axis", 0));
  int64_t outer = 1, inner = 1;
  for (size_t a = 0; a < axis; ++a) outer *= x.shape[a];
  for (size_t a = axis + 1; a < x.shape.size(); ++a) inner *= x.shape[a];
  const int64_t length = x.shape[axis];
  return MakeFunction("rows", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run(outer * inner, [&](int64_t task, int) {
      const float* in = In(inputs, 0) + task / inner * length * inner + task % inner;
      float* out = Out(outputs) + task / inner * length * inner + task % inner;
      float top = -INFINITY;
      for (int64_t i = 0; i < length; ++i) top = !(in[i * inner] <= top) ? in[i * inner] : top;
      double sum = 0;
      for (int64_t i = 0; i < length; ++i) sum += out[i * inner] = std::exp(in[i * inner] - top);
      for (int64_t i = 0; i < length; ++i) out[i * inner] = static_cast<float>(out[i * inner] / sum);
    });
  });
}

}  // namespace xcorr
