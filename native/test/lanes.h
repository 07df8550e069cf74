// Lanes with weights of their own: kernels/lanewise.h, depthwisePlanes.h.
#pragma once
#include "check.h"

namespace {

// An image of `height` x `width` with `pad` around it; units 0: depthwise, else input channels per group.
void TestLanewise(const KernelTable& table, int height, int width, int kernel, int stride, int dilation, int units, int pad, int blocks) {
  const bool even = dilation == 1;
  const int slides = even && stride <= 2 ? table.LanewiseRows(kernel, stride, units != 0) : 0;
  // Kernels that do not slide are given no padding.
  if (slides == 0 && pad > 0) return TestLanewise(table, height + 2 * pad, width + 2 * pad, kernel, stride, dilation, units, 0, blocks);
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
  const bool residual = (width + kernel) % 2 == 0;
  xcorr::LanewiseArgs args = {};
  args.pixel = 8;
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
  const int most = slides > 0 ? slides : 1;
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
void TestDepthwisePlanes(const KernelTable& table, int height, int width, int kernel, int stride, int dilation, int pad) {
  const int64_t reach = (kernel - 1) * dilation + 1;
  const int64_t pixels = (width + 2 * pad - reach) / stride + 1, lines = (height + 2 * pad + 1 - kernel) / stride + 1;
  if (width + 2 * pad < reach || height + 2 * pad + 1 < kernel) return;
  const int64_t taps = kernel * kernel, inRow = dilation * width, outRow = dilation * pixels, inPlane = inRow * height, outPlane = outRow * lines;
  const std::vector<float> in = Fill(static_cast<size_t>(2 * inPlane)), data = Fill(static_cast<size_t>(2 * (1 + taps)));
  for (bool whole : {true, false}) {
    xcorr::DepthwisePlanesArgs args = {};
    std::vector<float> out(static_cast<size_t>(2 * outPlane + 32), kGuard);
    args.in = in.data();
    args.height = height;
    args.width = width;
    args.inRow = inRow;
    args.inPlane = inPlane;
    args.top = args.left = pad;
    args.kernel = kernel;
    args.stride = stride;
    args.dilation = dilation;
    args.data = data.data();
    args.outRow = outRow;
    args.outPlane = outPlane;
    args.pixels = pixels;
    args.begin = whole ? 0 : lines / 3;
    args.end = whole ? lines : (lines + 1) / 2;
    args.planes = whole ? 2 : 1;
    args.whole = whole;
    args.low = -20;
    args.high = 25;
    args.out = out.data() + args.begin * outRow;
    table.DepthwisePlanes(args);
    for (int64_t at = 0; at < 2 * outPlane + 32; ++at) {
      const int64_t plane = at / outPlane, y = at % outPlane / outRow, x = at % outRow;
      if (x >= pixels || plane >= args.planes || y < args.begin || y >= args.end) {
        Expect(out[static_cast<size_t>(at)], kGuard, table, "DepthwisePlanes guard");
        continue;
      }
      const float* weights = data.data() + plane * (1 + taps);
      double sum = weights[0];
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t row = y * stride + t / kernel - pad, column = x * stride + t % kernel * dilation - pad;
        if (row < 0 || row >= height || column < 0 || column >= width) continue;
        sum += static_cast<double>(in[static_cast<size_t>(plane * inPlane + row * inRow + column)]) * weights[1 + t];
      }
      Expect(out[static_cast<size_t>(at)], std::min(25.0, std::max(-20.0, sum)), table, "DepthwisePlanes");
    }
  }
}

void TestLanes(const KernelTable& table) {
  for (int width : {1, 2, 3, 5, 8, 19}) {
    for (int kernel : {1, 3, 4, 5, 7}) {
      for (int stride : {1, 2, 3}) {
        for (int units : {0, 1, 2, 4, 8}) {
          const int height = 1 + (width + kernel) % 9, blocks = 1 + (width + units) % 2 * (table.panelBlocks - 1);
          TestLanewise(table, height, width, kernel, stride, 1 + width % 2, units, kernel / 2 + stride / 3, blocks);
          TestLanewise(table, height, width, kernel, stride, 1, units, (width + height) % kernel, blocks);
        }
      }
    }
  }
  for (int width = 1; width <= 40; ++width) {
    for (int kernel : {3, 5, 7}) {
      for (int stride = 1; stride <= (kernel == 7 ? 1 : 2); ++stride) {
        for (int pad : {0, 1, kernel / 2, kernel}) TestDepthwisePlanes(table, 1 + width % 13, width, kernel, stride, 1, pad);
      }
      for (int dilation = 2; kernel == 3 && dilation <= 4; ++dilation) {
        for (int pad : {0, 1, dilation * (kernel / 2)}) TestDepthwisePlanes(table, 1 + width % 13, width, kernel, 1, dilation, pad);
      }
    }
  }
}

}  // namespace
