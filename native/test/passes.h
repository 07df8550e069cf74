// Passes over tensors: kernels/elementwise.h, softmax.h, responseNorm.h, channelNorm.h, channels.h, layout.h, separable.h.
#pragma once
#include "check.h"

namespace {

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

// Over numbers from far below zero to far above: within 4e-7 of the largest of the result and 1.
void TestActivations(const KernelTable& table) {
  using Kind = xcorr::ActivationKind;
  std::vector<float> in, out;
  for (int i = -4000; i <= 4000; ++i) in.push_back(static_cast<float>(i) / 40);
  out.resize(in.size());
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto check = [&](xcorr::UnaryKind kind, Kind activation, const char* name, const auto& expected) {
    xcorr::UnaryArgs args = {in.data(), out.data(), static_cast<int64_t>(in.size()), kind, {}};
    args.activation.kind = activation;
    args.activation.a = 1;
    table.UnaryRun(args);
    for (size_t i = 0; i < in.size(); ++i) {
      const double wanted = expected(static_cast<double>(in[i]));
      if (!(std::fabs(out[i] - wanted) <= 4e-7 * std::max(1.0, std::fabs(wanted)))) Expect(out[i], wanted, table, name);
    }
  };
  check(xcorr::UnaryKind::kErf, Kind::kNone, "erf", [](double x) { return std::erf(x); });
  const auto activation = [&](Kind kind, const char* name, const auto& expected) { check(xcorr::UnaryKind::kActivation, kind, name, expected); };
  activation(Kind::kSigmoid, "sigmoid", sigmoid);
  activation(Kind::kSilu, "silu", [&](double x) { return x * sigmoid(x); });
  activation(Kind::kTanh, "tanh", [](double x) { return std::tanh(x); });
  activation(Kind::kElu, "elu", [](double x) { return x < 0 ? std::expm1(x) : x; });
  activation(Kind::kGelu, "gelu", [](double x) { return x * std::erfc(-x * std::sqrt(0.5)) / 2; });
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

// As runs, and as columns of a matrix that is as wide as there are runs; results, and what results are made of.
void TestSoftmax(const KernelTable& table, int64_t runs, int64_t length) {
  const size_t count = static_cast<size_t>(runs * length), some = static_cast<size_t>(runs);
  std::vector<float> in = Fill(count), columns(count);
  for (size_t i = 0; i < count; ++i) in[i] *= 10;
  for (size_t i = 0; i < count; ++i) columns[i % static_cast<size_t>(length) * some + i / static_cast<size_t>(length)] = in[i];
  for (bool parts : {false, true}) {
    std::vector<float> out(count + 1, kGuard), outColumns(count + 1, kGuard), tops(some + 1, kGuard), sums(some + 1, kGuard), columnTops = tops, columnSums = sums;
    table.SoftmaxRuns({in.data(), out.data(), runs, length, parts ? tops.data() : nullptr, parts ? sums.data() : nullptr});
    table.SoftmaxColumns({columns.data(), outColumns.data(), runs, length, runs, parts ? columnTops.data() : nullptr, parts ? columnSums.data() : nullptr});
    for (size_t r = 0; r < some; ++r) {
      const float* run = in.data() + r * static_cast<size_t>(length);
      const double top = *std::max_element(run, run + length);
      double sum = 0;
      for (int64_t i = 0; i < length; ++i) sum += std::exp(run[i] - top);
      for (size_t i = 0; i < static_cast<size_t>(length); ++i) {
        const double expected = std::exp(run[i] - top) / (parts ? 1 : sum);
        for (float made : {out[r * static_cast<size_t>(length) + i], outColumns[i * some + r]}) {
          if (!(std::fabs(made - expected) <= 1e-6 * expected)) Expect(made, expected, table, "softmax");
        }
      }
      if (!parts) continue;
      Expect(tops[r], top, table, "SoftmaxRuns: top");
      Expect(columnTops[r], top, table, "SoftmaxColumns: top");
      for (float made : {sums[r], columnSums[r]}) {
        if (!(std::fabs(made - sum) <= 1e-6 * sum)) Expect(made, sum, table, "softmax: sum");
      }
    }
    for (float guard : {out[count], outColumns[count], tops[some], sums[some], columnTops[some], columnSums[some]}) Expect(guard, kGuard, table, "softmax guard");
  }
}

// Channels of numbers far from zero; the lanes past the last one are 0 and stay so.
void TestChannelNorm(const KernelTable& table, int channels, int pixels) {
  const size_t count = static_cast<size_t>(channels), blocks = (count + 7) / 8, plane = static_cast<size_t>(pixels + 1) * 8;
  const std::vector<float> numbers = Fill(plane * blocks), scale = Fill(blocks * 8), bias = Fill(blocks * 8);
  std::vector<float> in(plane * blocks), out(plane * blocks, kGuard), scales(blocks * 8), biases(blocks * 8);
  const auto at = [&](size_t c, size_t p) { return c / 8 * plane + p * 8 + c % 8; };
  for (size_t c = 0; c < count; ++c) {
    scales[c] = scale[c];
    biases[c] = bias[c];
    for (size_t p = 0; p < static_cast<size_t>(pixels); ++p) in[at(c, p)] = numbers[at(c, p)] + 2;
  }
  table.ChannelNorm({in.data(), out.data(), static_cast<ptrdiff_t>(plane), channels, pixels, scales.data(), biases.data(), 1e-3f});
  for (size_t p = 0; p <= static_cast<size_t>(pixels); ++p) {
    double mean = 0, variance = 0;
    for (size_t c = 0; c < count; ++c) mean += in[at(c, p)] / static_cast<double>(count);
    for (size_t c = 0; c < count; ++c) variance += std::pow(in[at(c, p)] - mean, 2) / static_cast<double>(count);
    for (size_t c = 0; c < blocks * 8; ++c) {
      const double expected = p == static_cast<size_t>(pixels) ? kGuard : c < count ? (in[at(c, p)] - mean) / std::sqrt(variance + 1e-3) * scales[c] + biases[c] : 0;
      if (!(std::fabs(out[at(c, p)] - expected) <= 3e-6)) Expect(out[at(c, p)], expected, table, "ChannelNorm");
    }
  }
}

// Pixels `every` so many from each other on both sides.
void TestPickChannels(const KernelTable& table, int pixels, int sources, int inEvery, int outEvery) {
  const size_t size = static_cast<size_t>(pixels * outEvery) * 8, inPixel = static_cast<size_t>(inEvery) * 8, outPixel = static_cast<size_t>(outEvery) * 8;
  std::vector<std::vector<float>> blocks;
  std::vector<const float*> in;
  for (int s = 0; s < sources; ++s) blocks.push_back(Fill(static_cast<size_t>(pixels) * inPixel));
  for (const std::vector<float>& block : blocks) in.push_back(block.data());
  // Lane l of the result comes from source l % (sources + 1), or from none.
  std::vector<int32_t> lanes(static_cast<size_t>(sources) * 8, -1);
  for (int l = 0; l < 8; ++l) {
    if (l % (sources + 1) < sources) lanes[static_cast<size_t>(l % (sources + 1) * 8 + l)] = (l * 5 + 3) % 8;
  }
  std::vector<float> out(size + 8, kGuard);
  table.PickChannels({in.data(), lanes.data(), sources, out.data(), pixels, static_cast<ptrdiff_t>(inPixel), static_cast<ptrdiff_t>(outPixel)});
  for (size_t i = 0; i < size + 8; ++i) {
    const size_t l = i % 8, source = l % static_cast<size_t>(sources + 1);
    const bool written = i < size && i % outPixel < 8;
    const double expected = !written ? kGuard : source < static_cast<size_t>(sources) ? blocks[source][i / outPixel * inPixel + (l * 5 + 3) % 8] : 0;
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
  double sums[8], squares[8];
  float most[8];
  table.MaxPixels({block.data(), most, pixels});
  const std::vector<float> means = Fill(8);
  table.SumPixels({block.data(), sums, pixels, nullptr});
  table.SumPixels({block.data(), squares, pixels, means.data()});
  for (size_t l = 0; l < 8; ++l) {
    const bool exists = l < static_cast<size_t>(lanes);
    double sum = 0, about = 0;
    for (size_t p = 0; p < size; ++p) about += std::pow(static_cast<double>(block[p * 8 + l]) - means[l], 2);
    Expect(static_cast<float>(squares[l]), about, table, "SumPixels about means");
    for (size_t p = 0; p < plane; ++p) {
      if (p < size) Expect(block[p * 8 + l], exists ? planes[l * plane + p] : 0, table, "PlanesToBlock");
      if (p < size && exists) sum += planes[l * plane + p];
      Expect(back[l * plane + p], exists && p < size ? planes[l * plane + p] : kGuard, table, "BlockToPlanes");
    }
    float largest = block[l];
    for (size_t p = 0; p < size; ++p) largest = std::max(largest, block[p * 8 + l]);
    Expect(most[l], largest, table, "MaxPixels");
    Expect(block[size * 8 + l], kGuard, table, "PlanesToBlock guard");
    Expect(static_cast<float>(sums[l]), sum, table, "SumPixels");
  }
}

// Rows of `pixels` outputs, each of `taps` inputs or, if 0, of 1 to 3, a few pixels apart.
void TestSeparable(const KernelTable& table, int64_t pixels, int64_t unit, int64_t taps, bool maximum) {
  const size_t count = static_cast<size_t>(pixels);
  std::vector<int64_t> begin = {0}, places;
  for (int64_t x = 0; x < pixels; ++x) {
    for (int64_t t = 0; t < (taps > 0 ? taps : x % 3 + 1); ++t) places.push_back((x + t * 2) % (pixels + 2));
    begin.push_back(static_cast<int64_t>(places.size()));
  }
  const std::vector<float> weights = Fill(places.size()), in = Fill((count + 2) * static_cast<size_t>(unit));
  std::vector<float> out(count * static_cast<size_t>(unit) + 1, kGuard);
  xcorr::SeparableColumnsArgs args = {in.data(), out.data(), pixels, unit, taps, begin.data(), places.data(), weights.data(), maximum, nullptr, nullptr, nullptr};
  const auto combined = [&](size_t first, size_t last, const auto& at) {
    double sum = maximum ? -INFINITY : 0;
    for (size_t t = first; t < last; ++t) sum = maximum ? std::max(sum, at(t)) : sum + at(t) * (taps == 1 ? 1.0 : static_cast<double>(weights[t]));
    return sum;
  };
  const auto check = [&](const char* name) {
    for (size_t i = 0; i < count * static_cast<size_t>(unit); ++i) {
      const size_t x = i / static_cast<size_t>(unit), lane = i % static_cast<size_t>(unit);
      const auto at = [&](size_t t) { return static_cast<double>(in[static_cast<size_t>(places[t] * unit) + lane]); };
      Expect(out[i], combined(static_cast<size_t>(begin[x]), static_cast<size_t>(begin[x + 1]), at), table, name);
    }
    Expect(out.back(), kGuard, table, "SeparableColumns guard");
  };
  table.SeparableColumns(args);
  check("SeparableColumns");
  // The same by groups of 8, whose inputs lie within 8: none is further than 7 from the first. Whole groups: of others, the last two would have pixels in common.
  if (unit == 1 && !maximum && pixels % 8 == 0 && (taps == 1 || taps == 2 || taps == 4)) {
    std::vector<int64_t> firsts;
    std::vector<int32_t> lanes;
    std::vector<float> laneWeights;
    for (int64_t x = 0; x < pixels; x += 8) {
      firsts.push_back(std::min(x, pixels - 6));
      for (int64_t t = 0; t < taps; ++t) {
        for (int64_t l = 0; l < 8; ++l) {
          const size_t tap = static_cast<size_t>((x + l) * taps + t);
          places[tap] = firsts.back() + (l * 3 + t) % 8;
          lanes.push_back(static_cast<int32_t>(places[tap] - firsts.back()));
          laneWeights.push_back(weights[tap]);
        }
      }
    }
    args.firsts = firsts.data();
    args.lanes = lanes.data();
    args.laneWeights = laneWeights.data();
    std::fill(out.begin(), out.end(), kGuard);
    table.SeparableColumns(args);
    check("SeparableColumns in groups");
  }
  if (taps < 2) return;
  std::vector<std::vector<float>> rows;
  std::vector<const float*> parts;
  for (int64_t t = 0; t < taps; ++t) rows.push_back(Fill(count));
  for (const auto& row : rows) parts.push_back(row.data());
  std::fill(out.begin(), out.end(), kGuard);
  table.SeparableRows({parts.data(), weights.data(), taps, out.data(), pixels, maximum});
  for (size_t i = 0; i < count; ++i) {
    Expect(out[i], combined(0, static_cast<size_t>(taps), [&](size_t t) { return static_cast<double>(rows[t][i]); }), table, "SeparableRows");
  }
  Expect(out[count], kGuard, table, "SeparableRows guard");
}

void TestPasses(const KernelTable& table) {
  for (int64_t pixels : {1, 8, 21, 40}) {
    for (int64_t taps : {0, 1, 2, 3, 4}) {
      for (int64_t unit : {1, 8}) {
        for (bool maximum : {false, true}) TestSeparable(table, pixels, unit, taps, maximum);
      }
    }
  }
  for (int pixels : {1, 7, 8, 9, 35, 70}) {
    for (int lanes = 1; lanes <= 8; ++lanes) TestLayout(table, pixels, lanes);
  }
  for (int64_t count : {1, 7, 8, 9, 26, 63, 64, 90, 135}) TestElementwise(table, count);
  TestActivations(table);
  for (int sources = 0; sources <= 8; ++sources) {
    TestPickChannels(table, 3, sources, 1, 1);
    TestPickChannels(table, 3, sources, 1, 2);
    TestPickChannels(table, 3, sources, 3, 1);
  }
  for (int64_t length : {1, 7, 16, 33, 600}) {
    for (int64_t runs : {1, 8, 21}) TestSoftmax(table, runs, length);
  }
  for (int channels : {1, 5, 8, 16, 37, 300}) {
    for (int pixels : {1, 4, 7, 8, 21}) TestChannelNorm(table, channels, pixels);
  }
  for (int size : {1, 2, 5, 6, 19}) {
    for (int blocks : {1, 2, 5}) TestResponseNorm(table, blocks, 3, size);
  }
}

}  // namespace
