// The kernels alone, without Node: every table that this CPU supports against naive loops in double precision. Numbers are small integers,
// so float sums are exact and every kernel must agree to the bit; guard values stand after the end of every output.
//
// Built and run by native/test/run.sh, for this machine and, under qemu, for AArch64.
#include <cmath>
#include <cstdio>
#include <vector>

#include "../runtime/cpu.h"

namespace {

using xcorr::KernelTable;

int failures = 0;
constexpr float kGuard = 12345.0f;

uint32_t state = 1;
float Next() {  // -4 .. 4
  state = state * 1664525u + 1013904223u;
  return static_cast<float>(static_cast<int>(state >> 16) % 9 - 4);
}
std::vector<float> Fill(size_t n) {
  std::vector<float> v(n);
  for (float& x : v) x = Next();
  return v;
}

void Expect(float got, double expected, const KernelTable& table, const char* what) {
  if (static_cast<double>(got) == expected) return;
  if (++failures < 20) std::printf("%s %s: got %g, expected %g\n", table.name, what, static_cast<double>(got), expected);
}

// A row of `pixels` outputs from `taps` taps, `unit` channels each.
void TestConvTile(const KernelTable& table, int pixels, int blocks, int unit, int inPixel, bool residual, bool relu, bool listed = false) {
  const int taps = 3;
  const int narrow = table.lanes >= 8 ? table.lanes : table.tileBlocks * 8;
  const int lanes = blocks * 8 <= narrow ? narrow : table.tileBlocks * 8;
  const ptrdiff_t offsets[taps] = {0, 5, 16};
  const std::vector<float> in = Fill(static_cast<size_t>(pixels * inPixel + 64));
  const std::vector<float> weights = Fill(static_cast<size_t>(taps * unit * lanes)), bias = Fill(static_cast<size_t>(lanes));
  const ptrdiff_t outBlock = pixels * 8 + 8;
  const std::vector<float> add = Fill(static_cast<size_t>(outBlock * blocks));
  std::vector<float> out(static_cast<size_t>(outBlock * blocks), kGuard);
  xcorr::ConvTileArgs args = {in.data(), inPixel, offsets, taps, unit, weights.data(), nullptr, 0, bias.data(), residual ? add.data() : nullptr, out.data(), 8, outBlock, pixels, nullptr, nullptr, blocks, {}};
  // The same pixels, named one by one.
  std::vector<ptrdiff_t> inAt, outAt;
  for (int i = 0; i < pixels; ++i) {
    inAt.push_back(i * inPixel);
    outAt.push_back(i * 8);
  }
  if (listed) {
    args.inAt = inAt.data();
    args.outAt = outAt.data();
  }
  if (relu) {
    args.activation.kind = xcorr::ActivationKind::kClip;
    args.activation.b = INFINITY;
  }
  table.ConvTile(args);
  for (int b = 0; b < blocks; ++b) {
    for (int i = 0; i < pixels; ++i) {
      for (int l = 0; l < 8; ++l) {
        double sum = bias[static_cast<size_t>(b * 8 + l)];
        for (int t = 0; t < taps; ++t) {
          for (int u = 0; u < unit; ++u) sum += static_cast<double>(in[static_cast<size_t>(i * inPixel + offsets[t] + u)]) * weights[static_cast<size_t>((t * unit + u) * lanes + b * 8 + l)];
        }
        if (residual) sum += add[static_cast<size_t>(b * outBlock + i * 8 + l)];
        if (relu && sum < 0) sum = 0;
        Expect(out[static_cast<size_t>(b * outBlock + i * 8 + l)], sum, table, "ConvTile");
      }
    }
    for (int g = 0; g < 8; ++g) Expect(out[static_cast<size_t>(b * outBlock + pixels * 8 + g)], kGuard, table, "ConvTile guard");
  }
}

// A row of maximum or average over an image of 3 rows.
void TestWindowRow(const KernelTable& table, int width, int columns, int stride, int dilation, int pad) {
  const int pixels = (width + 2 * pad - dilation * (columns - 1) - 1) / stride + 1;
  if (pixels < 1) return;
  const std::vector<float> image = Fill(static_cast<size_t>(3 * width * 8));
  std::vector<float> out(static_cast<size_t>((pixels + 1) * 8), kGuard);
  xcorr::WindowRowArgs args = {};
  args.in = image.data() - pad * 8;
  args.inRow = width * 8;
  args.stride = stride;
  args.dilation = dilation;
  args.rows = 3;
  args.columns = columns;
  args.columnBegin = pad;
  args.columnEnd = pad + width;
  args.out = out.data();
  args.pixels = pixels;
  for (int kind = 1; kind < 3; ++kind) {
    (kind == 1 ? table.MaxPoolRow : table.AvgPoolRow)(args);
    for (int x = 0; x < pixels; ++x) {
      for (int l = 0; l < 8; ++l) {
        double sum = 0, best = -INFINITY;
        int count = 0;
        for (int i = 0; i < 3; ++i) {
          for (int j = 0; j < columns; ++j) {
            const int at = x * stride + j * dilation - pad;
            if (at < 0 || at >= width) continue;
            const double v = image[static_cast<size_t>((i * width + at) * 8 + l)];
            sum += v;
            best = v > best ? v : best;
            ++count;
          }
        }
        if (count == 0) continue;
        const double expected = kind == 1 ? best : static_cast<double>(static_cast<float>(sum) / static_cast<float>(count));
        Expect(out[static_cast<size_t>(x * 8 + l)], expected, table, kind == 1 ? "MaxPoolRow" : "AvgPoolRow");
      }
    }
    for (int g = 0; g < 8; ++g) Expect(out[static_cast<size_t>(pixels * 8 + g)], kGuard, table, "WindowRow guard");
  }
}

void TestPlanesTile(const KernelTable& table, int vecs, int outs, bool relu) {
  const size_t taps = 5, n = static_cast<size_t>(vecs), lanes = static_cast<size_t>(table.lanes), m = static_cast<size_t>(outs);
  const ptrdiff_t offsets[taps] = {0, 8, 3, 40, 17};
  const std::vector<float> in = Fill(2048), weights = Fill(taps * 16), bias = Fill(16);
  std::vector<ptrdiff_t> inAt, outAt;
  for (size_t v = 0; v < n; ++v) {
    inAt.push_back(static_cast<ptrdiff_t>(v * 24));
    outAt.push_back(static_cast<ptrdiff_t>(v * lanes));
  }
  xcorr::Activation activation;
  if (relu) {
    activation.kind = xcorr::ActivationKind::kClip;
    activation.b = INFINITY;
  }
  const size_t plane = n * lanes + 8;
  std::vector<float> out(plane * m, kGuard);
  table.PlanesTile({in.data(), inAt.data(), vecs, offsets, static_cast<int64_t>(taps), weights.data(), bias.data(), out.data(), outAt.data(), static_cast<ptrdiff_t>(plane), outs, activation});
  for (size_t o = 0; o < m; ++o) {
    for (size_t v = 0; v < n; ++v) {
      for (size_t l = 0; l < lanes; ++l) {
        double sum = bias[o];
        for (size_t t = 0; t < taps; ++t) sum += static_cast<double>(in[static_cast<size_t>(inAt[v] + offsets[t]) + l]) * weights[t * m + o];
        Expect(out[o * plane + v * lanes + l], relu && sum < 0 ? 0 : sum, table, "PlanesTile");
      }
    }
    Expect(out[o * plane + n * lanes], kGuard, table, "PlanesTile guard");
  }
}

void TestDepthwise(const KernelTable& table, int pixels, int kernel, int stride, int dilation, int rows, bool residual) {
  const size_t width = static_cast<size_t>((pixels - 1) * stride + (kernel - 1) * dilation + 1), k = static_cast<size_t>(kernel), n = static_cast<size_t>(pixels);
  const std::vector<float> in = Fill((k + 1) * width * 8 + 8), weights = Fill(k * k * 8), bias = Fill(8), add = Fill(2 * (n + 1) * 8);
  std::vector<float> out(2 * (n + 1) * 8, kGuard);
  xcorr::DepthwiseArgs args = {};
  args.in = in.data();
  args.inRow = static_cast<ptrdiff_t>(width * 8);
  args.stride = stride;
  args.dilation = dilation;
  args.kernelRows = args.kernelColumns = kernel;
  args.weights = weights.data();
  args.bias = bias.data();
  args.residual = residual ? add.data() : nullptr;
  args.out = out.data();
  args.outRow = static_cast<ptrdiff_t>((n + 1) * 8);
  args.rows = rows;
  args.pixels = pixels;
  if (residual) {
    args.activation.kind = xcorr::ActivationKind::kLeakyRelu;
    args.activation.a = 0.5f;
  }
  table.DepthwiseRows(args);
  for (size_t r = 0; r < 2; ++r) {
    for (size_t x = 0; x <= n; ++x) {
      for (size_t l = 0; l < 8; ++l) {
        const size_t at = (r * (n + 1) + x) * 8 + l;
        double sum = bias[l];
        for (size_t i = 0; i < k && x < n; ++i) {
          for (size_t j = 0; j < k; ++j) sum += static_cast<double>(in[((r + i) * width + x * static_cast<size_t>(stride) + j * static_cast<size_t>(dilation)) * 8 + l]) * weights[(i * k + j) * 8 + l];
        }
        if (residual) sum += add[at];
        if (residual && sum < 0) sum /= 2;
        Expect(out[at], x < n && r < static_cast<size_t>(rows) ? sum : kGuard, table, "DepthwiseRows");
      }
    }
  }
}

void TestElementwise(const KernelTable& table, int64_t count) {
  const std::vector<float> a = Fill(static_cast<size_t>(count)), b = Fill(static_cast<size_t>(count));
  std::vector<float> out(static_cast<size_t>(count + 1), kGuard);
  table.BinaryRun({a.data(), b.data(), out.data(), count, xcorr::Operand::kFull, xcorr::Operand::kFull, xcorr::BinaryKind::kMul, {}});
  for (int64_t i = 0; i < count; ++i) Expect(out[static_cast<size_t>(i)], static_cast<double>(a[static_cast<size_t>(i)]) * b[static_cast<size_t>(i)], table, "BinaryRun");
  Expect(out[static_cast<size_t>(count)], kGuard, table, "BinaryRun guard");
  table.UnaryRun({a.data(), out.data(), count, xcorr::UnaryKind::kExp, {}});
  for (int64_t i = 0; i < count; ++i) {
    const double expected = std::exp(static_cast<double>(a[static_cast<size_t>(i)]));
    if (!(std::fabs(out[static_cast<size_t>(i)] - expected) <= 3e-7 * expected)) Expect(out[static_cast<size_t>(i)], expected, table, "exp");
  }
}

void TestLayout(const KernelTable& table, int pixels, int lanes) {
  const size_t size = static_cast<size_t>(pixels);
  const size_t plane = size + 3;
  const std::vector<float> planes = Fill(plane * 8);
  std::vector<float> block((size + 1) * 8, kGuard), back(plane * 8, kGuard);
  table.PlanesToBlock({planes.data(), block.data(), static_cast<ptrdiff_t>(plane), pixels, lanes});
  table.BlockToPlanes({block.data(), back.data(), static_cast<ptrdiff_t>(plane), pixels, lanes});
  double sums[8];
  table.SumPixels({block.data(), sums, pixels});
  for (size_t l = 0; l < 8; ++l) {
    const bool exists = l < static_cast<size_t>(lanes);
    double sum = 0;
    for (size_t p = 0; p < plane; ++p) {
      if (p < size) Expect(block[p * 8 + l], exists ? planes[l * plane + p] : 0, table, "PlanesToBlock");
      if (p < size && exists) sum += planes[l * plane + p];
      Expect(back[l * plane + p], exists && p < size ? planes[l * plane + p] : kGuard, table, "BlockToPlanes");
    }
    Expect(block[size * 8 + l], kGuard, table, "PlanesToBlock guard");
    Expect(static_cast<float>(sums[l]), sum, table, "SumPixels");
  }
}

}  // namespace

int main() {
  for (const KernelTable* table : xcorr::SupportedTables()) {
    const int before = failures;
    for (int pixels = 1; pixels <= table->tilePixels; ++pixels) {
      for (int blocks = 1; blocks <= table->tileBlocks; ++blocks) {
        for (int inPixel : {8, 16, 24}) TestConvTile(*table, pixels, blocks, 8, inPixel, pixels % 2 == 0, blocks % 2 == 0);
        TestConvTile(*table, pixels, blocks, 8, 8, pixels % 2 == 0, blocks % 2 == 0, true);
        for (int inPixel : {1, 2, 3}) TestConvTile(*table, pixels, blocks, 1, inPixel, pixels % 2 == 1, blocks % 2 == 1);
      }
    }
    for (int width : {1, 2, 3, 4, 5, 7, 8, 9, 14}) {
      for (int columns : {1, 3, 5}) {
        for (int stride : {1, 2}) TestWindowRow(*table, width, columns, stride, 1 + (columns + width) % 2, columns / 2);
      }
    }
    for (int vecs = 1; vecs <= 8; ++vecs) {
      for (int outs = 1; outs <= table->planeOuts; ++outs) {
        if (vecs <= table->PlaneVecs(outs)) TestPlanesTile(*table, vecs, outs, outs % 2 == 0);
      }
    }
    for (int pixels = 1; pixels <= 19; ++pixels) {
      for (int kernel : {1, 3, 4, 5}) {
        for (int rows : {1, 2}) TestDepthwise(*table, pixels, kernel, 1, 1, rows, pixels % 2 == rows % 2);
        TestDepthwise(*table, pixels, kernel, 2, 1, 1, pixels % 2 == 1);
        TestDepthwise(*table, pixels, kernel, 3, 2, 1, pixels % 2 == 0);
      }
    }
    for (int pixels : {1, 7, 8, 9, 35, 70}) {
      for (int lanes = 1; lanes <= 8; ++lanes) TestLayout(*table, pixels, lanes);
    }
    for (int64_t count : {1, 7, 8, 9, 26}) TestElementwise(*table, count);
    std::printf("%s: %s\n", table->name, failures == before ? "all kernels agree" : "FAILED");
  }
  return failures == 0 ? 0 : 1;
}
