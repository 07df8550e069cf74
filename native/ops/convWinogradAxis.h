// One axis of a convolution by Winograd's minimal filtering: its tiles and its phases.
//
// With a stride s, output y takes inputs y * s + j. Those of one j mod s are a phase: a convolution of stride 1, of every s-th input and every s-th tap.
// All phases have the same points, and the products of a coefficient sum over phases as they do over channels. Phases with one tap less than the
// first have no coefficient of infinity: 3 taps of stride 2 are F(4, 2) and F(4, 1), 5 + 4 products for 4 outputs instead of 12.
#pragma once
#include <algorithm>
#include <cstdint>

namespace xcorr {

struct WinogradAxis {
  WinogradAxis(int64_t kernelOf, int64_t outputs, int64_t strideOf, int64_t dilationOf, int most)
      : kernel(kernelOf), out(outputs), stride(strideOf), dilation(dilationOf), m(kernel == 1 ? 1 : most), n(static_cast<int>(m + TapsOf(0) - 1)),
        perTrack(((out + dilation - 1) / dilation + m - 1) / m), phases(std::min(stride, kernel)), longPhases(kernel % phases == 0 ? phases : kernel % phases) {}

  // Tiles. With a dilation d, outputs d apart make d tracks of tiles of their own.
  int64_t tiles() const { return perTrack * dilation; }
  // The first output of a tile; how many it has, perhaps none.
  int64_t First(int64_t tile) const { return tile / perTrack + tile % perTrack * m * dilation; }
  int Count(int64_t tile) const { return static_cast<int>(std::clamp<int64_t>((out - First(tile) + dilation - 1) / dilation, 0, m)); }
  // Inputs of a tile, `dilation` apart. A phase's begin with the one of its number and lie `stride` of them apart.
  int64_t inputs() const { return (m - 1) * stride + kernel; }

  // Taps and coefficients of a phase; how many phases have a coefficient, which are the first of all; pairs of the two.
  int64_t TapsOf(int64_t phase) const { return (kernel - phase + stride - 1) / stride; }
  int CoefficientsOf(int64_t phase) const { return phase < longPhases ? n : n - 1; }
  int64_t PhasesOf(int64_t coefficient) const { return coefficient == n - 1 ? longPhases : phases; }
  int64_t products() const { return (n - 1) * phases + longPhases; }

  int64_t kernel, out, stride, dilation;
  int m, n;
  int64_t perTrack, phases, longPhases;
};

}  // namespace xcorr
