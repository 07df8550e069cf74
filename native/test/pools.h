// Pools: kernels/pool.h.
#pragma once
#include "check.h"

namespace {

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

// All rows of two planes, or some of one.
void TestPoolPlane(const KernelTable& table, const PoolImage& image, int window, int stride, int pad, bool whole) {
  const int pixels = (image.width + 2 * pad - window) / stride + 1, rows = (image.height + 2 * pad - window) / stride + 1;
  if (image.width + 2 * pad < window || window - 1 - pad > stride) return;
  const std::vector<float> factors(static_cast<size_t>(pixels + table.lanes), 0.5f);
  const std::vector<const float*> factorRows(static_cast<size_t>(rows), factors.data());
  std::vector<float> in = image.data, out(static_cast<size_t>(2 * pixels * rows + 16), kGuard);
  in.insert(in.end(), image.data.begin(), image.data.end());
  const int begin = whole ? 0 : rows / 3, end = whole ? rows : (rows + 1) / 2, planes = whole ? 2 : 1;
  table.PoolPlane({image.kind, in.data(), image.height, image.width, begin * stride - pad, pad, window, stride, out.data() + begin * pixels, pixels * rows, pixels,
                   end - begin, planes, whole, factorRows.data()});
  for (int at = 0; at < 2 * pixels * rows + 16; ++at) {
    const int plane = at / (pixels * rows), y = at / pixels % rows;
    const bool inside = plane < planes && y >= begin && y < end;
    ExpectPooled(out[static_cast<size_t>(at)], inside ? image.Window(y * stride - pad, at % pixels * stride - pad, 0, window, window) : kGuard, table, "PoolPlane");
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

void TestPools(const KernelTable& table) {
  for (xcorr::PoolKind kind : {xcorr::PoolKind::kMaximum, xcorr::PoolKind::kSum}) {
    for (int width : {1, 2, 3, 4, 5, 7, 8, 9, 14, 17, 33, 47}) {
      const PoolImage blocks(kind, 7, width, 8, width % 2 == 0), plane(kind, 7, width, 1, width % 2 == 0);
      for (int window : {2, 3, 4, 5}) {
        for (int stride : {1, 2, window, window + 2}) {
          TestPoolRowsAndColumns(table, blocks, window, stride);
          for (int pad : {0, 1}) {
            TestPoolSlide(table, blocks, window, stride, pad);
            if (window > 3 || stride > 2) continue;
            for (bool whole : {true, false}) TestPoolPlane(table, plane, window, stride, pad, whole);
          }
        }
      }
    }
  }
  for (int64_t pixels : {1, 7, 8, 9, 16, 31, 49}) TestSumPlanes(table, 3, pixels);
}

}  // namespace
