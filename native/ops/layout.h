// Images from one layout to the other, and into padded copies. See Layout in op.h.
#pragma once
#include <functional>
#include <numeric>

#include "op.h"

namespace xcorr {

inline int64_t Blocks(int64_t channels) { return (channels + kBlock - 1) / kBlock; }

// Pixels of an image (N, C, ...) of any number of axes.
inline int64_t PixelsOf(const TensorDesc& x) { return std::accumulate(x.shape.begin() + 2, x.shape.end(), int64_t{1}, std::multiplies<int64_t>()); }

// (N, C, H, W) float32 of either layout as numbers to compute with.
struct Image {
  explicit Image(const TensorDesc& d)
      : n(d.shape[0]), c(d.shape[1]), h(d.shape[2]), w(d.shape[3]), blocks(Blocks(c)), blocked(d.layout == Layout::kBlocked) {}
  int64_t n, c, h, w, blocks;
  bool blocked;
  int64_t plane() const { return h * w; }
  int64_t blockedFloats() const { return n * blocks * plane() * kBlock; }
};

// Pixels of a block that one task moves: half of a first cache on each side.
constexpr int64_t kMovedPixels = 512;

// Whole tensors.
void PlainToBlocked(const KernelTable& table, Team& team, const Image& image, const float* plain, float* blocked);
void BlockedToPlain(const KernelTable& table, Team& team, const Image& image, const float* blocked, float* plain);

// One image (of a batch) with zeros around it: `in` is its first float; `out` is [blocks][h + top + bottom][w + left + right][8], or without
// the 8 (and with channels for blocks) if the image is plain. The size in floats is the second function's.
struct Padding {
  int64_t top, left, bottom, right;
  bool any() const { return top || left || bottom || right; }
};
// Rows first .. first + rows - 1 of one plane of h rows of w numbers, counted from the image's top: of each the rowFloats numbers from column -left on.
// What lies outside of the image is zeros.
void CopyRows(const float* plane, int64_t h, int64_t w, int64_t first, int64_t rows, int64_t left, int64_t rowFloats, float* out);
void PadImage(Team& team, const Image& image, const Padding& padding, const float* in, float* out);
int64_t PaddedFloats(const Image& image, const Padding& padding);

// Every stepY-th row's every stepX-th pixel of one blocked image: [blocks][picked.h][picked.w][8].
void PickPixels(Team& team, const Image& image, int64_t stepY, int64_t stepX, const Image& picked, const float* in, float* out);

// Sets the lanes past the last channel to 0 again, in every pixel.
void ClearPaddingLanes(const Image& image, float* blocked);

}  // namespace xcorr
