// The kernels alone, without Node: every table that this CPU supports against naive loops in double precision. Numbers are small integers,
// so float sums are exact and every kernel must agree to the bit; guard values stand after the end of every output.
//
// Built and run by native/test/run.sh, for this machine and, under qemu, for AArch64.
#include <algorithm>
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

// A row of `tile` outputs from `taps` taps, `unit` channels each, and of `more` tiles after it.
void TestConvTile(const KernelTable& table, int tile, int blocks, int unit, int inPixel, bool residual, bool relu, bool listed = false, int more = 0) {
  const int taps = 3, pixels = tile * (more + 1);
  const int lanes = blocks * 8;
  const ptrdiff_t offsets[taps] = {0, 5, 16};
  const std::vector<float> in = Fill(static_cast<size_t>(pixels * inPixel + 64));
  const std::vector<float> weights = Fill(static_cast<size_t>(taps * unit * lanes)), bias = Fill(static_cast<size_t>(lanes));
  const ptrdiff_t outBlock = pixels * 8 + 8;
  const std::vector<float> add = Fill(static_cast<size_t>(outBlock * blocks));
  std::vector<float> out(static_cast<size_t>(outBlock * blocks), kGuard);
  xcorr::ConvTileArgs args = {in.data(), inPixel, offsets, taps, pixels % (taps + 1), unit, weights.data(), nullptr, 0, bias.data(), residual ? add.data() : nullptr, out.data(), 8, outBlock, tile, nullptr, nullptr, blocks, {}};
  args.more = more;
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

// A pool's window in an image of blocks (pixel = 8) or of one plane (pixel = 1): rows and columns from `top` and `left` on, columns `step` apart. Half of sums.
struct PoolImage {
  xcorr::PoolKind kind;
  int height, width, pixel;
  std::vector<float> data;
  PoolImage(xcorr::PoolKind k, int h, int w, int p, bool withNaN) : kind(k), height(h), width(w), pixel(p), data(Fill(static_cast<size_t>(h * w * p))) {
    if (withNaN) data[data.size() / 2] = NAN;
  }
  bool sums() const { return kind == xcorr::PoolKind::kSum; }
  float nothing() const { return sums() ? 0.0f : -INFINITY; }
  double Window(int top, int left, int lane, int rows, int columns, int step = 1) const {
    double sum = 0, best = -INFINITY;
    for (int i = top; i < top + rows; ++i) {
      for (int j = left; j < left + columns * step; j += step) {
        if (i < 0 || i >= height || j < 0 || j >= width) continue;
        const double v = static_cast<double>(data[static_cast<size_t>((i * width + j) * pixel + lane)]);
        sum += v;
        best = v > best || std::isnan(v) ? v : best;
        if (std::isnan(v)) return v;
      }
    }
    return sums() ? sum / 2 : best;
  }
};

void ExpectPooled(float got, double expected, const KernelTable& table, const char* what) {
  if (!(std::isnan(got) && std::isnan(expected))) Expect(got, expected, table, what);
}

void TestPoolSlide(const KernelTable& table, const PoolImage& image, int window, int stride, int pad) {
  const int width = image.width, pixels = (width + 2 * pad - window) / stride + 1, outRows = window <= 3 && stride <= 2 ? 2 : 1;
  if (width + 2 * pad < window) return;
  const std::vector<float> outside(static_cast<size_t>(width * 8), image.nothing()), factors(static_cast<size_t>(pixels * 8), 0.5f);
  const float *factorRows[] = {factors.data(), factors.data()}, *rows[7];
  const ptrdiff_t outRow = pixels * 8 + 8;
  std::vector<float> out(static_cast<size_t>(outRow * outRows), kGuard);
  for (int i = 0; i < (outRows - 1) * stride + window; ++i) rows[i] = i < pad ? outside.data() : image.data.data() + (i - pad) * width * 8;
  table.PoolSlide({image.kind, rows, pad, width, window, stride, outRows, out.data(), outRow, pixels, factorRows});
  for (int at = 0; at < outRow * outRows; ++at) {
    const int y = at / static_cast<int>(outRow), x = at % static_cast<int>(outRow) / 8;
    ExpectPooled(out[static_cast<size_t>(at)], x == pixels ? kGuard : image.Window(y * stride - pad, x * stride - pad, at % 8, window, window), table, "PoolSlide");
  }
}

void TestPoolPlane(const KernelTable& table, const PoolImage& image, int window, int stride, int pad) {
  const int pixels = (image.width + 2 * pad - window) / stride + 1, rows = (image.height + 2 * pad - window) / stride + 1;
  if (image.width + 2 * pad < window || window - 1 - pad > stride) return;
  const std::vector<float> factors(static_cast<size_t>(pixels + table.lanes), 0.5f);
  const std::vector<const float*> factorRows(static_cast<size_t>(rows), factors.data());
  std::vector<float> out(static_cast<size_t>(pixels * rows + 16), kGuard);
  table.PoolPlane({image.kind, image.data.data(), image.height, image.width, -pad, pad, window, stride, stride, out.data(), pixels, rows, factorRows.data()});
  for (int at = 0; at < pixels * rows + 16; ++at) {
    const bool inside = at < pixels * rows;
    ExpectPooled(out[static_cast<size_t>(at)], inside ? image.Window(at / pixels * stride - pad, at % pixels * stride - pad, 0, window, window) : kGuard, table, "PoolPlane");
  }
}

// Two output rows of windows of two columns `stride` apart.
void TestPoolRowsAndColumns(const KernelTable& table, const PoolImage& image, int window, int stride) {
  const int places = (image.width + stride - 1) / stride, row = image.width * 8, size = places * 8;
  const ptrdiff_t phase = size + 8, taps[] = {0, 8};
  std::vector<float> buffer(static_cast<size_t>(2 * stride * phase), image.nothing()), out(static_cast<size_t>(2 * size + 8), kGuard);
  const std::vector<float> factors(static_cast<size_t>(size), 0.5f);
  table.PoolRows({image.kind, image.data.data(), row, row, window, image.width, stride, buffer.data(), phase, stride * phase, 2});
  table.PoolColumns({image.kind, buffer.data(), stride * phase, taps, 2, factors.data(), out.data(), size, places, 2});
  for (int at = 0; at < 2 * size + 8; ++at) {
    const double expected = at < 2 * size ? image.Window(at / size, at / 8 % places * stride, at % 8, window, 2, stride) : kGuard;
    ExpectPooled(out[static_cast<size_t>(at)], expected, table, "PoolRows, PoolColumns");
  }
}

// `more` tiles after the first.
void TestPlanesTile(const KernelTable& table, int vecs, int outs, int more, bool relu) {
  const size_t taps = 5, n = static_cast<size_t>(vecs * (more + 1)), lanes = static_cast<size_t>(table.lanes), m = static_cast<size_t>(outs);
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
  table.PlanesTile({in.data(), inAt.data(), vecs, offsets, static_cast<int64_t>(taps), weights.data(), bias.data(), out.data(), outAt.data(), static_cast<ptrdiff_t>(plane), outs, activation, more});
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

// From the image, with a copy if there are more than 2 outputs, or from such a copy; `more` tiles after the first.
void TestPlanesProduct(const KernelTable& table, int vecs, int outs, int more, bool image, bool relu) {
  const size_t channels = 5, pixels = static_cast<size_t>(vecs * table.lanes), m = static_cast<size_t>(outs), tiles = static_cast<size_t>(more + 1);
  const size_t all = pixels * tiles, step = image ? all + 3 : pixels, tile = image ? pixels : channels * pixels + 5, plane = all + 8, copied = channels * pixels + 1;
  const std::vector<float> in = Fill(channels * step + tiles * tile), weights = Fill(channels * m), bias = Fill(m);
  std::vector<float> out(plane * m, kGuard), copy(copied * tiles, kGuard);
  xcorr::PlanesProductArgs args = {};
  args.in = in.data();
  args.inStep = static_cast<ptrdiff_t>(step);
  args.channels = static_cast<int64_t>(channels);
  args.inAhead = image ? 2 : 0;
  args.copy = image && outs > 2 ? copy.data() : nullptr;
  args.next = in.data();
  args.nextStep = 1;
  args.nextCount = image ? 0 : 3;
  args.weights = weights.data();
  args.bias = bias.data();
  args.out = out.data();
  args.outPlane = static_cast<ptrdiff_t>(plane);
  args.vecs = vecs;
  args.outs = outs;
  args.more = more;
  args.inTile = static_cast<ptrdiff_t>(tile);
  args.copyTile = static_cast<ptrdiff_t>(copied);
  if (relu) {
    args.activation.kind = xcorr::ActivationKind::kClip;
    args.activation.b = INFINITY;
  }
  table.PlanesProduct(args);
  const auto read = [&](size_t c, size_t i) { return in[i / pixels * tile + c * step + i % pixels]; };
  for (size_t o = 0; o < m; ++o) {
    for (size_t i = 0; i < all; ++i) {
      double sum = bias[o];
      for (size_t c = 0; c < channels; ++c) sum += static_cast<double>(read(c, i)) * weights[c * m + o];
      Expect(out[o * plane + i], relu && sum < 0 ? 0 : sum, table, "PlanesProduct");
    }
    Expect(out[o * plane + all], kGuard, table, "PlanesProduct guard");
  }
  for (size_t t = 0; t < tiles; ++t) {
    for (size_t i = 0; i + 1 < copied; ++i) Expect(copy[t * copied + i], args.copy ? read(i / pixels, t * pixels + i % pixels) : kGuard, table, "PlanesProduct copy");
    Expect(copy[(t + 1) * copied - 1], kGuard, table, "PlanesProduct copy guard");
  }
}

void TestPlanesRows(const KernelTable& table, int vecs, int rows, int kernel, bool relu) {
  const ptrdiff_t lanes = table.lanes, inRow = (vecs + 3) * lanes, outRow = vecs * lanes + 8, offsets[] = {0, 2, inRow * (rows + kernel) + 1};
  const size_t taps = 3;
  const std::vector<float> in = Fill(static_cast<size_t>(2 * offsets[2])), weights = Fill(static_cast<size_t>(kernel) * taps);
  xcorr::Activation activation;
  if (relu) {
    activation.kind = xcorr::ActivationKind::kClip;
    activation.b = INFINITY;
  }
  std::vector<float> out(static_cast<size_t>(rows * outRow), kGuard);
  table.PlanesRows({in.data(), inRow, offsets, static_cast<int64_t>(taps), kernel, weights.data(), 3.0f, out.data(), outRow, vecs, rows, activation});
  for (ptrdiff_t r = 0; r < rows; ++r) {
    for (ptrdiff_t x = 0; x < vecs * lanes; ++x) {
      double sum = 3;
      for (ptrdiff_t i = 0; i < kernel; ++i) {
        for (size_t t = 0; t < taps; ++t) sum += static_cast<double>(in[static_cast<size_t>((r + i) * inRow + x + offsets[t])]) * weights[static_cast<size_t>(i) * taps + t];
      }
      Expect(out[static_cast<size_t>(r * outRow + x)], relu && sum < 0 ? 0 : sum, table, "PlanesRows");
    }
    Expect(out[static_cast<size_t>(r * outRow + vecs * lanes)], kGuard, table, "PlanesRows guard");
  }
}

// An image of `height` x `width` with `pad` around it; units 0: depthwise, else input channels per group.
void TestLanewise(const KernelTable& table, int height, int width, int kernel, int stride, int dilation, int units, int pad, int blocks) {
  const int64_t reach = (kernel - 1) * dilation + 1;
  const int64_t pixels = (width + 2 * pad - reach) / stride + 1, lines = (height + 2 * pad - reach) / stride + 1;
  if (width + 2 * pad < reach || height + 2 * pad < reach) return;
  const int64_t lanes = table.panelBlocks * 8, plane = height * width * 8, outRow = (pixels + 1) * 8, outPlane = lines * outRow, taps = kernel * kernel, channels = units ? units : 1;
  const std::vector<float> in = Fill(static_cast<size_t>(plane * blocks)), bias = Fill(static_cast<size_t>(lanes)), weights = Fill(static_cast<size_t>(channels * taps * lanes));
  const std::vector<float> add = Fill(static_cast<size_t>(outPlane * blocks)), zeros(static_cast<size_t>(width * 8), 0.0f);
  std::vector<int32_t> places;
  for (int64_t u = 0; u < channels; ++u) {
    for (int64_t l = 0; l < lanes; ++l) places.push_back(static_cast<int32_t>(units ? l / units * units + u : l));
  }
  std::vector<float> out(static_cast<size_t>(outPlane * blocks), kGuard);
  const bool residual = (width + kernel) % 2 == 0, even = dilation == 1;
  xcorr::LanewiseArgs args = {};
  args.inRow = dilation * width * 8;
  args.zeros = zeros.data();
  args.left = pad;
  args.columns = width;
  args.inSecond = blocks > 1 ? plane : 0;
  args.outSecond = blocks > 1 ? outPlane : 0;
  args.kernelRows = args.kernelColumns = kernel;
  args.stride = stride;
  args.dilation = dilation;
  args.evenSteps = even;
  args.units = static_cast<int>(channels);
  args.places = units ? places.data() : nullptr;
  args.weights = weights.data();
  args.bias = bias.data();
  args.outRow = outRow;
  args.pixels = pixels;
  if (residual) {
    args.activation.kind = xcorr::ActivationKind::kLeakyRelu;
    args.activation.a = 0.5f;
  }
  const int most = even && stride <= 2 ? table.LanewiseRows(kernel, stride, units != 0) : 1;
  for (int64_t y = 0; y < lines; y += args.rows) {
    args.rows = static_cast<int>(lines - y < most ? lines - y : most);
    const int64_t top = y * stride - pad;
    args.rowBegin = static_cast<int>(top < 0 ? (-top + dilation - 1) / dilation : 0);
    args.rowEnd = static_cast<int>(height > top ? (height - top + dilation - 1) / dilation : 0);
    args.in = in.data() + top * width * 8;
    args.out = out.data() + y * outRow;
    args.residual = residual ? add.data() + y * outRow : nullptr;
    table.Lanewise(args);
  }
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t y = 0; y < lines; ++y) {
      for (int64_t x = 0; x <= pixels; ++x) {
        for (int64_t l = 0; l < 8; ++l) {
          const size_t at = static_cast<size_t>(b * outPlane + y * outRow + x * 8 + l);
          double sum = bias[static_cast<size_t>(b * 8 + l)];
          for (int64_t t = 0; t < taps * channels; ++t) {
            const int64_t row = y * stride - pad + t % taps / kernel * dilation, column = x * stride - pad + t % kernel * dilation;
            if (row < 0 || row >= height || column < 0 || column >= width) continue;
            const int64_t lane = units ? l / units * units + t / taps : l;
            sum += static_cast<double>(in[static_cast<size_t>(b * plane + (row * width + column) * 8 + lane)]) * weights[static_cast<size_t>(t * lanes + b * 8 + l)];
          }
          if (residual) sum += add[at];
          if (residual && sum < 0) sum /= 2;
          Expect(out[at], x < pixels ? sum : kGuard, table, "Lanewise");
        }
      }
    }
  }
}

// Two planes, `pad` around them, or one more to the right and below; all rows of both, then some of the first alone.
void TestDepthwisePlanes(const KernelTable& table, int height, int width, int kernel, int stride, int pad) {
  const int64_t pixels = (width + 2 * pad + 1 - kernel) / stride + 1, lines = (height + 2 * pad + 1 - kernel) / stride + 1;
  if (width + 2 * pad + 1 < kernel || height + 2 * pad + 1 < kernel) return;
  const int64_t taps = kernel * kernel, outPlane = pixels * lines;
  const std::vector<float> in = Fill(static_cast<size_t>(2 * height * width)), data = Fill(static_cast<size_t>(2 * (1 + taps)));
  for (bool whole : {true, false}) {
    xcorr::DepthwisePlanesArgs args = {};
    std::vector<float> out(static_cast<size_t>(2 * outPlane + 32), kGuard);
    args.in = in.data();
    args.height = height;
    args.width = width;
    args.top = args.left = pad;
    args.kernel = kernel;
    args.stride = stride;
    args.data = data.data();
    args.outPlane = outPlane;
    args.pixels = pixels;
    args.begin = whole ? 0 : lines / 3;
    args.end = whole ? lines : (lines + 1) / 2;
    args.planes = whole ? 2 : 1;
    args.whole = whole;
    args.low = -20;
    args.high = 25;
    args.out = out.data() + args.begin * pixels;
    table.DepthwisePlanes(args);
    for (int64_t at = 0; at < 2 * outPlane + 32; ++at) {
      const int64_t plane = at / outPlane, y = at % outPlane / pixels, x = at % pixels;
      if (plane >= args.planes || y < args.begin || y >= args.end) {
        Expect(out[static_cast<size_t>(at)], kGuard, table, "DepthwisePlanes guard");
        continue;
      }
      const float* weights = data.data() + plane * (1 + taps);
      double sum = weights[0];
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t row = y * stride + t / kernel - pad, column = x * stride + t % kernel - pad;
        if (row < 0 || row >= height || column < 0 || column >= width) continue;
        sum += static_cast<double>(in[static_cast<size_t>((plane * height + row) * width + column)]) * weights[1 + t];
      }
      Expect(out[static_cast<size_t>(at)], std::min(25.0, std::max(-20.0, sum)), table, "DepthwisePlanes");
    }
  }
}

void TestSumPlanes(const KernelTable& table, int64_t planes, int64_t pixels) {
  const std::vector<float> in = Fill(static_cast<size_t>(planes * pixels));
  std::vector<float> out(static_cast<size_t>(planes + 1), kGuard);
  table.SumPlanes({in.data(), out.data(), planes, pixels, 0.5f});
  for (int64_t p = 0; p < planes; ++p) {
    double sum = 0;
    for (int64_t i = 0; i < pixels; ++i) sum += in[static_cast<size_t>(p * pixels + i)];
    Expect(out[static_cast<size_t>(p)], sum / 2, table, "SumPlanes");
  }
  Expect(out[static_cast<size_t>(planes)], kGuard, table, "SumPlanes guard");
}

void TestElementwise(const KernelTable& table, int64_t count) {
  const std::vector<float> a = Fill(static_cast<size_t>(count)), b = Fill(static_cast<size_t>(count));
  std::vector<float> out(static_cast<size_t>(count + 1), kGuard);
  table.BinaryRun({a.data(), b.data(), out.data(), count, xcorr::Operand::kFull, xcorr::Operand::kFull, xcorr::BinaryKind::kMul, {}});
  for (int64_t i = 0; i < count; ++i) Expect(out[static_cast<size_t>(i)], static_cast<double>(a[static_cast<size_t>(i)]) * b[static_cast<size_t>(i)], table, "BinaryRun");
  Expect(out[static_cast<size_t>(count)], kGuard, table, "BinaryRun guard");
  // A block of 8 times one number, plus numbers of their own.
  table.BinaryRun({a.data(), b.data(), out.data(), count, count < 8 ? xcorr::Operand::kFull : xcorr::Operand::kBlock, xcorr::Operand::kScalar, xcorr::BinaryKind::kMul, {}, b.data()});
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) Expect(out[i], static_cast<double>(a[i % 8]) * b[0] + b[i], table, "BinaryRun of blocks");
  Expect(out[static_cast<size_t>(count)], kGuard, table, "BinaryRun guard");
  table.UnaryRun({a.data(), out.data(), count, xcorr::UnaryKind::kExp, {}});
  for (int64_t i = 0; i < count; ++i) {
    const double expected = std::exp(static_cast<double>(a[static_cast<size_t>(i)]));
    if (!(std::fabs(out[static_cast<size_t>(i)] - expected) <= 3e-7 * expected)) Expect(out[static_cast<size_t>(i)], expected, table, "exp");
  }
}

// Windows of `size` channels of `blocks` blocks. A power of integers is not one: the base is compared to the bit, the result nearly.
void TestResponseNorm(const KernelTable& table, int blocks, int pixels, int size) {
  const size_t plane = static_cast<size_t>(pixels + 1) * 8, channels = static_cast<size_t>(blocks) * 8;
  const std::vector<float> in = Fill(plane * static_cast<size_t>(blocks));
  std::vector<float> out(in.size(), kGuard), squares(static_cast<size_t>(pixels) * (channels + static_cast<size_t>(size) - 1));
  xcorr::ResponseNormArgs args = {in.data(), out.data(), static_cast<ptrdiff_t>(plane), blocks, pixels, size, (size - 1) / 2, 0.5f, 2, false, squares.data()};
  for (bool power : {false, true}) {
    args.threeQuarters = power;
    table.ResponseNorm(args);
    for (size_t p = 0; p <= static_cast<size_t>(pixels); ++p) {
      for (size_t c = 0; c < channels; ++c) {
        double base = 2;
        for (int64_t t = 0; t < size; ++t) {
          const int64_t near = static_cast<int64_t>(c) - args.before + t;
          if (near < 0 || near >= static_cast<int64_t>(channels)) continue;
          const double v = in[static_cast<size_t>(near / 8) * plane + p * 8 + static_cast<size_t>(near % 8)];
          base += 0.5 * v * v;
        }
        const size_t at = c / 8 * plane + p * 8 + c % 8;
        const double expected = p == static_cast<size_t>(pixels) ? kGuard : power ? in[at] / std::pow(base, 0.75) : base;
        if (!(std::fabs(out[at] - expected) <= (power ? 3e-7 * std::fabs(expected) : 0))) Expect(out[at], expected, table, "ResponseNorm");
      }
    }
  }
}

void TestPickChannels(const KernelTable& table, int pixels, int sources) {
  const size_t size = static_cast<size_t>(pixels) * 8;
  std::vector<std::vector<float>> blocks;
  std::vector<const float*> in;
  for (int s = 0; s < sources; ++s) blocks.push_back(Fill(size));
  for (const std::vector<float>& block : blocks) in.push_back(block.data());
  // Lane l of the result comes from source l % (sources + 1), or from none.
  std::vector<int32_t> lanes(static_cast<size_t>(sources) * 8, -1);
  for (int l = 0; l < 8; ++l) {
    if (l % (sources + 1) < sources) lanes[static_cast<size_t>(l % (sources + 1) * 8 + l)] = (l * 5 + 3) % 8;
  }
  std::vector<float> out(size + 8, kGuard);
  table.PickChannels({in.data(), lanes.data(), sources, out.data(), pixels});
  for (size_t i = 0; i < size + 8; ++i) {
    const size_t l = i % 8, source = l % static_cast<size_t>(sources + 1);
    const double expected = i >= size ? kGuard : source < static_cast<size_t>(sources) ? blocks[source][i - l + (l * 5 + 3) % 8] : 0;
    Expect(out[i], expected, table, "PickChannels");
  }
}

void TestLayout(const KernelTable& table, int pixels, int lanes) {
  const size_t size = static_cast<size_t>(pixels);
  const size_t plane = size + 3;
  const std::vector<float> planes = Fill(plane * 8);
  std::vector<float> block((size + 1) * 8, kGuard), back(plane * 8, kGuard);
  table.PlanesToBlock({planes.data(), block.data(), static_cast<ptrdiff_t>(plane), pixels, lanes, 0});
  table.BlockToPlanes({block.data(), back.data(), static_cast<ptrdiff_t>(plane), pixels, lanes, 64});
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
    for (int blocks = 1; blocks <= table->widestBlocks; ++blocks) {
      for (int pixels = 1; pixels <= table->TilePixels(blocks); ++pixels) {
        for (int inPixel : {8, 16, 24}) {
          for (int more : {0, 2}) TestConvTile(*table, pixels, blocks, 8, inPixel, pixels % 2 == 0, blocks % 2 == 0, false, more);
        }
        TestConvTile(*table, pixels, blocks, 8, 8, pixels % 2 == 0, blocks % 2 == 0, true);
        for (int inPixel : {1, 2, 3}) {
          for (int more : {0, 2}) TestConvTile(*table, pixels, blocks, 1, inPixel, pixels % 2 == 1, blocks % 2 == 1, false, more);
        }
      }
    }
    for (xcorr::PoolKind kind : {xcorr::PoolKind::kMaximum, xcorr::PoolKind::kSum}) {
      for (int width : {1, 2, 3, 4, 5, 7, 8, 9, 14, 17, 33, 47}) {
        const PoolImage blocks(kind, 7, width, 8, width % 2 == 0), plane(kind, 7, width, 1, width % 2 == 0);
        for (int window : {2, 3, 4, 5}) {
          for (int stride : {1, 2, window, window + 2}) {
            TestPoolRowsAndColumns(*table, blocks, window, stride);
            for (int pad : {0, 1}) {
              TestPoolSlide(*table, blocks, window, stride, pad);
              if (window <= 3 && stride <= 2) TestPoolPlane(*table, plane, window, stride, pad);
            }
          }
        }
      }
    }
    for (int vecs = 1; vecs <= 8; ++vecs) {
      for (int outs = 1; outs <= table->planeOuts; ++outs) {
        if (vecs > table->PlaneVecs(outs)) continue;
        for (int more : {0, 2}) {
          TestPlanesTile(*table, vecs, outs, more, outs % 2 == 0);
          for (bool image : {false, true}) TestPlanesProduct(*table, vecs, outs, more, image, outs % 2 == 1);
        }
      }
    }
    for (int kernel = 1; kernel <= 11; ++kernel) {
      for (int vecs = 1; vecs <= table->PlaneRowVecs(kernel); ++vecs) {
        for (int rows : {1, 2, 3, 4, 5, 8, 12}) TestPlanesRows(*table, vecs, rows, kernel, rows % 2 == 0);
      }
    }
    for (int width : {1, 2, 3, 5, 8, 19}) {
      for (int kernel : {1, 3, 4, 5, 7}) {
        for (int stride : {1, 2, 3}) {
          for (int units : {0, 1, 2, 4, 8}) {
            const int height = 1 + (width + kernel) % 9, blocks = 1 + (width + units) % 2 * (table->panelBlocks - 1);
            TestLanewise(*table, height, width, kernel, stride, 1 + width % 2, units, kernel / 2 + stride / 3, blocks);
            TestLanewise(*table, height, width, kernel, stride, 1, units, (width + height) % kernel, blocks);
          }
        }
      }
    }
    for (int width = 1; width <= 40; ++width) {
      for (int kernel : {3, 5, 7}) {
        for (int stride = 1; stride <= (kernel == 7 ? 1 : 2); ++stride) {
          for (int pad : {0, 1, kernel / 2, kernel}) TestDepthwisePlanes(*table, 1 + width % 13, width, kernel, stride, pad);
        }
      }
    }
    for (int pixels : {1, 7, 8, 9, 35, 70}) {
      for (int lanes = 1; lanes <= 8; ++lanes) TestLayout(*table, pixels, lanes);
    }
    for (int64_t count : {1, 7, 8, 9, 26, 63, 64, 90, 135}) TestElementwise(*table, count);
    for (int sources = 0; sources <= 8; ++sources) TestPickChannels(*table, 3, sources);
    for (int size : {1, 2, 5, 6, 19}) {
      for (int blocks : {1, 2, 5}) TestResponseNorm(*table, blocks, 3, size);
    }
    for (int64_t pixels : {1, 7, 8, 9, 16, 31, 49}) TestSumPlanes(*table, 3, pixels);
    std::printf("%s: %s\n", table->name, failures == before ? "all kernels agree" : "FAILED");
  }
  return failures == 0 ? 0 : 1;
}
