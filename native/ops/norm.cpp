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

namespace {

struct ResponseNorm {
  explicit ResponseNorm(const Problem& p)
      : size(p.attributes.Int("size", 1)), before((size - 1) / 2), factor(static_cast<float>(p.attributes.Number("alpha", 1e-4) / static_cast<double>(size))),
        beta(static_cast<float>(p.attributes.Number("beta", 0.75))), k(static_cast<float>(p.attributes.Number("k", 1))), table(p.kernels) {}
  int64_t size, before;
  float factor, beta, k;
  const KernelTable* table;
};

// w := w^beta. The usual beta = 3/4 is two square roots: sqrt(w) * sqrt(sqrt(w)).
void Power(const ResponseNorm& norm, float* w, float* buffer, int64_t count) {
  if (norm.beta != 0.75f) {
    for (int64_t i = 0; i < count; ++i) w[i] = std::pow(w[i], norm.beta);
    return;
  }
  norm.table->UnaryRun({w, w, count, UnaryKind::kSqrt, {}});
  norm.table->UnaryRun({w, buffer, count, UnaryKind::kSqrt, {}});
  norm.table->BinaryRun({w, buffer, w, count, Operand::kFull, Operand::kFull, BinaryKind::kMul, {}});
}

}  // namespace

// A pixel's channels are brought together, so that the window slides over neighbours in memory.
std::unique_ptr<Step> Make_localResponseNorm(const Problem& p) {
  RequireFloat32(p);
  const TensorDesc x = p.inputs[0];
  const bool blocked = x.layout == Layout::kBlocked;
  if (x.layout != p.outputs[0].layout) throw Declined("input and output in different layouts");
  const ResponseNorm norm(p);
  const int64_t channels = x.shape[1];
  int64_t pixels = 1;
  for (size_t a = 2; a < x.shape.size(); ++a) pixels *= x.shape[a];
  const int64_t image = (blocked ? Blocks(channels) * kBlock : channels) * pixels;
  auto place = [=](int64_t c, int64_t i) { return blocked ? (c / kBlock * pixels + i) * kBlock + c % kBlock : c * pixels + i; };
  return MakeFunction("window of channels", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    constexpr int64_t kPixels = 16;
    const int64_t parts = (pixels + kPixels - 1) / kPixels;
    // Of each pixel: the values; the sums, later their powers; the squares, with zeros for the channels that do not exist.
    const int64_t row = channels, squares = channels + norm.size;
    team.Run(x.shape[0] * parts, [&](int64_t task, int) {
      const float* in = In(inputs, 0) + task / parts * image;
      float* out = Out(outputs) + task / parts * image;
      const int64_t first = task % parts * kPixels, count = std::min(pixels - first, kPixels);
      float* values = ThreadScratch(static_cast<size_t>(kPixels * 3 * row + squares));
      float *sums = values + kPixels * row, *buffer = sums + kPixels * row, *square = buffer + kPixels * row;
      std::fill(square, square + squares, 0.0f);
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t i = 0; i < count; ++i) values[i * row + c] = in[place(c, first + i)];
      }
      for (int64_t i = 0; i < count; ++i) {
        const float* v = values + i * row;
        float* sum = sums + i * row;
        for (int64_t c = 0; c < channels; ++c) square[norm.before + c] = v[c] * v[c];
        std::fill(sum, sum + row, 0.0f);
        for (int64_t t = 0; t < norm.size; ++t) {
          for (int64_t c = 0; c < channels; ++c) sum[c] += square[c + t];
        }
        for (int64_t c = 0; c < channels; ++c) sum[c] = norm.k + norm.factor * sum[c];
      }
      Power(norm, sums, buffer, count * row);
      norm.table->BinaryRun({values, sums, values, count * row, Operand::kFull, Operand::kFull, BinaryKind::kDiv, {}});
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t i = 0; i < count; ++i) out[place(c, first + i)] = values[i * row + c];
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
