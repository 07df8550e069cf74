// Tiles of products, and what planes are brought into for them: kernels/convTile.h, dots.h, phases.h, planesTile.h, planesProduct.h, planesRows.h.
#pragma once
#include "check.h"

namespace {

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

// A row of outputs outPixel apart, to planes.
void TestDots(const KernelTable& table, int pixels, int outs, int outPixel, bool residual) {
  const size_t taps = 5, n = static_cast<size_t>(pixels), m = static_cast<size_t>(outs), step = static_cast<size_t>(outPixel), plane = n * step + 1;
  const ptrdiff_t offsets[taps] = {0, 8, 24, 3, 41};
  const std::vector<float> in = Fill(n * 16 + 64), weights = Fill(taps * m * 8), bias = Fill(m), add = Fill(plane * m);
  std::vector<float> out(plane * m, kGuard);
  xcorr::DotsArgs args = {};
  args.in = in.data();
  args.inPixel = 16;
  args.taps = offsets;
  args.tapCount = static_cast<int64_t>(taps);
  args.weights = weights.data();
  args.bias = bias.data();
  args.residual = residual ? add.data() : nullptr;
  args.out = out.data();
  args.outPixel = outPixel;
  args.outPlane = static_cast<ptrdiff_t>(plane);
  args.outs = outs;
  args.pixels = pixels;
  if (residual) {
    args.activation.kind = xcorr::ActivationKind::kLeakyRelu;
    args.activation.a = 0.5f;
  }
  table.Dots(args);
  for (size_t o = 0; o < m; ++o) {
    for (size_t i = 0; i < n; ++i) {
      double sum = bias[o];
      for (size_t t = 0; t < taps; ++t) {
        for (size_t u = 0; u < 8; ++u) sum += static_cast<double>(in[i * 16 + static_cast<size_t>(offsets[t]) + u]) * weights[(t * m + o) * 8 + u];
      }
      const size_t at = o * plane + i * step;
      if (residual) sum = sum + add[at] < 0 ? 0.5 * (sum + add[at]) : sum + add[at];
      Expect(out[at], sum, table, "Dots");
      for (size_t g = 1; g < step; ++g) Expect(out[at + g], kGuard, table, "Dots guard");
    }
    Expect(out[(o + 1) * plane - 1], kGuard, table, "Dots guard");
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

void TestTakePhases(const KernelTable& table, int step, int count) {
  const std::vector<float> in = Fill(static_cast<size_t>(step * count));
  const int apart = count + 3;
  std::vector<float> out(static_cast<size_t>(step * apart), kGuard);
  table.TakePhases({in.data(), step, count, out.data(), apart});
  for (int at = 0; at < step * apart; ++at) {
    const int p = at / apart, i = at % apart;
    Expect(out[static_cast<size_t>(at)], i < count ? in[static_cast<size_t>(i * step + p)] : kGuard, table, "TakePhases");
  }
}

void TestProducts(const KernelTable& table) {
  for (int step = 2; step <= 5; ++step) {
    for (int count : {0, 1, 7, 8, 17, 32, 47}) TestTakePhases(table, step, count);
  }
  for (int blocks = 1; blocks <= table.widestBlocks; ++blocks) {
    for (int pixels = 1; pixels <= table.TilePixels(blocks); ++pixels) {
      for (int inPixel : {8, 16, 24}) {
        for (int more : {0, 2}) TestConvTile(table, pixels, blocks, 8, inPixel, pixels % 2 == 0, blocks % 2 == 0, false, more);
      }
      TestConvTile(table, pixels, blocks, 8, 8, pixels % 2 == 0, blocks % 2 == 0, true);
      for (int inPixel : {1, 2, 3}) {
        for (int more : {0, 2}) TestConvTile(table, pixels, blocks, 1, inPixel, pixels % 2 == 1, blocks % 2 == 1, false, more);
      }
    }
  }
  for (int vecs = 1; vecs <= 8; ++vecs) {
    for (int outs = 1; outs <= table.planeOuts; ++outs) {
      if (vecs > table.PlaneVecs(outs)) continue;
      for (int more : {0, 2}) {
        TestPlanesTile(table, vecs, outs, more, outs % 2 == 0);
        for (bool image : {false, true}) TestPlanesProduct(table, vecs, outs, more, image, outs % 2 == 1);
      }
    }
  }
  for (int outs = 1; outs <= table.dotOuts; ++outs) {
    for (int pixels : {1, 2, 3, 4, 7, 8, 9, 17, 24}) {
      for (int outPixel : {1, 3}) TestDots(table, pixels, outs, outPixel, (pixels + outPixel) % 2 == 0);
    }
  }
  for (int kernel = 1; kernel <= 11; ++kernel) {
    for (int vecs = 1; vecs <= table.PlaneRowVecs(kernel); ++vecs) {
      for (int rows : {1, 2, 3, 4, 5, 8, 12}) TestPlanesRows(table, vecs, rows, kernel, rows % 2 == 0);
    }
  }
}

}  // namespace
