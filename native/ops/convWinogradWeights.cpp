#include "convWinogradWeights.h"

namespace xcorr {
namespace {

// G of a phase, coefficients x taps row by row, for the points of winogradPoints.h.
std::vector<double> FilterTransform(const WinogradAxis& axis, int64_t phase) {
  const int n = axis.n;
  if (n == 1) return {1};
  std::vector<double> points, g;
  if (WinogradHasZero(n)) points.push_back(0);
  for (int pair = 0; pair < WinogradPairs(n); ++pair) {
    points.push_back(WinogradPoint(n, pair));
    points.push_back(-WinogradPoint(n, pair));
  }
  const int64_t taps = axis.TapsOf(phase);
  for (double p : points) {
    double scale = 1, power = 1;
    for (double q : points) scale *= p == q ? 1 : p - q;
    for (int64_t t = 0; t < taps; ++t, power *= p) g.push_back(power / scale);
  }
  if (axis.CoefficientsOf(phase) < n) return g;
  for (int64_t t = 0; t < taps; ++t) g.push_back(t + 1 == taps ? 1 : 0);
  return g;
}

constexpr int64_t kMostLanes = 64;  // of a panel

// out[lane] = sum over k of factors[k] * from[k * step + lane]
template <typename T>
void Combine(const double* factors, int64_t count, const double* from, int64_t step, int64_t lanes, T* out) {
  double sums[kMostLanes] = {};
  for (int64_t k = 0; k < count; ++k) {
    for (int64_t l = 0; l < lanes; ++l) sums[l] += factors[k] * from[k * step + l];
  }
  for (int64_t l = 0; l < lanes; ++l) out[l] = static_cast<T>(sums[l]);
}

}  // namespace

WinogradWeights::WinogradWeights(const Conv& conv, const WinogradAxis& rows, const WinogradAxis& columns)
    : rows_(rows), columns_(columns), inChannels_(conv.inPerGroup), outChannels_(conv.y.c), inputBlocks_(Blocks(conv.inPerGroup)),
      blockChannels_(std::min(conv.inPerGroup, kBlock)) {
  int64_t productTaps = 0;
  for (int64_t y = 0; y < rows_.n; ++y) {
    for (int64_t x = 0; x < columns_.n; ++x) {
      const int64_t perBlock = rows_.PhasesOf(y) * columns_.PhasesOf(x) * blockChannels_ / unit();
      products_.push_back({productTaps, perBlock, inputBlocks_ * perBlock});
      productTaps += inputBlocks_ * perBlock;
    }
  }
  const int64_t outBlocks = Blocks(conv.outPerGroup);
  int64_t at = 0;
  for (int64_t b = 0; b < conv.groups * outBlocks; b += panels_.back().blocks) {
    Panel panel;
    panel.firstBlock = b;
    panel.firstInput = b / outBlocks * inputBlocks_;
    panel.blocks = std::min<int64_t>(conv.table.tileBlocks, outBlocks - b % outBlocks);
    panel.lanes = WholeVectors(conv.table, panel.blocks) * kBlock;
    panel.bias = at;
    panel.products = panel.bias + panel.lanes;
    panel.direct = panel.products + productTaps * unit() * panel.lanes;
    panel.end = at = panel.direct + taps() * inputBlocks_ * kBlock * panel.blocks * kBlock;
    panels_.push_back(panel);
  }
}

void WinogradWeights::Pack(const float* weight, const float* bias, float* to) const {
  std::fill(to, to + floats(), 0.0f);
  for (const Panel& panel : panels_) {
    if (bias) std::copy_n(bias + panel.firstBlock * kBlock, LanesOf(panel), to + panel.bias);
    PackDirect(panel, weight, to + panel.direct);
  }
  for (int64_t i = 0; i < rows_.phases; ++i) {
    for (int64_t j = 0; j < columns_.phases; ++j) PackPhase(i, j, weight, to);
  }
}

void WinogradWeights::PackDirect(const Panel& panel, const float* weight, float* to) const {
  for (int64_t c = 0; c < inChannels_; ++c) {
    for (int64_t l = 0; l < LanesOf(panel); ++l) {
      const float* w = weight + ((panel.firstBlock * kBlock + l) * inChannels_ + c) * taps();
      for (int64_t t = 0; t < taps(); ++t) to[((c / kBlock * taps() + t) * kBlock + c % kBlock) * panel.blocks * kBlock + l] = w[t];
    }
  }
}

// G w G^T of the taps of one phase, columns first: of all lanes of a panel at once, so that a coefficient's are written in a row.
void WinogradWeights::PackPhase(int64_t rowPhase, int64_t columnPhase, const float* weight, float* to) const {
  const std::vector<double> gRows = FilterTransform(rows_, rowPhase), gColumns = FilterTransform(columns_, columnPhase);
  const int64_t kh = rows_.TapsOf(rowPhase), kw = columns_.TapsOf(columnPhase);
  const int64_t rows = rows_.CoefficientsOf(rowPhase), columns = columns_.CoefficientsOf(columnPhase);
  std::vector<double> w(static_cast<size_t>(kh * kw * kMostLanes)), half(static_cast<size_t>(kh * columns * kMostLanes));
  for (const Panel& panel : panels_) {
    const int64_t lanes = LanesOf(panel), filter = inChannels_ * taps();
    for (int64_t c = 0; c < inChannels_; ++c) {
      const float* first = weight + panel.firstBlock * kBlock * filter + c * taps() + rowPhase * columns_.kernel + columnPhase;
      for (int64_t i = 0; i < kh; ++i) {
        double* const row = w.data() + i * kw * kMostLanes;
        for (int64_t j = 0; j < kw; ++j) {
          const float* tap = first + i * rows_.stride * columns_.kernel + j * columns_.stride;
          for (int64_t l = 0; l < lanes; ++l) row[j * kMostLanes + l] = static_cast<double>(tap[l * filter]);
        }
        for (int64_t x = 0; x < columns; ++x) Combine(gColumns.data() + x * kw, kw, row, kMostLanes, lanes, half.data() + (i * columns + x) * kMostLanes);
      }
      for (int64_t y = 0; y < rows; ++y) {
        for (int64_t x = 0; x < columns; ++x) {
          const Product& product = products_[static_cast<size_t>(y * columns_.n + x)];
          const int64_t phase = rowPhase * columns_.PhasesOf(x) + columnPhase;
          const int64_t row = (product.begin + c / kBlock * product.perBlock) * unit() + phase * blockChannels_ + c % kBlock;
          Combine(gRows.data() + y * kh, kh, half.data() + x * kMostLanes, columns * kMostLanes, lanes, to + panel.products + row * panel.lanes);
        }
      }
    }
  }
}

}  // namespace xcorr
