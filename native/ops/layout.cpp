#include "layout.h"

#include <algorithm>
#include <cstring>

namespace xcorr {
namespace {

// Numbers that one task of PadImage copies.
constexpr int64_t kPaddedFloats = 8192;

// Calls reorder(image n, block, first pixel, pixels, lanes) for all of them.
template <typename F>
void ForRuns(Team& team, const Image& image, const F& reorder) {
  const int64_t runs = (image.plane() + kMovedPixels - 1) / kMovedPixels;
  team.Run(image.n * image.blocks * runs, [&](int64_t task, int) {
    const int64_t plane = task / runs, first = task % runs * kMovedPixels;
    const int64_t block = plane % image.blocks;
    reorder(plane / image.blocks, block, first, std::min(kMovedPixels, image.plane() - first), static_cast<int>(std::min(kBlock, image.c - block * kBlock)));
  });
}

}  // namespace

void PlainToBlocked(const KernelTable& table, Team& team, const Image& image, const float* plain, float* blocked) {
  const int64_t plane = image.plane();
  ForRuns(team, image, [&](int64_t n, int64_t block, int64_t first, int64_t pixels, int lanes) {
    const float* from = plain + (n * image.c + block * kBlock) * plane + first;
    table.PlanesToBlock({from, blocked + ((n * image.blocks + block) * plane + first) * kBlock, plane, pixels, lanes, 0});
  });
}

void BlockedToPlain(const KernelTable& table, Team& team, const Image& image, const float* blocked, float* plain) {
  const int64_t plane = image.plane();
  // Results rotate through memory that no cache holds. Of small planes those of the next block are asked for: 294 KB of 14x14 in 20 us instead
  // of 34; of large ones the next lines (-15 %).
  const int64_t ahead = plane <= kMovedPixels ? plane * kBlock : 64;
  ForRuns(team, image, [&](int64_t n, int64_t block, int64_t first, int64_t pixels, int lanes) {
    float* to = plain + (n * image.c + block * kBlock) * plane + first;
    table.BlockToPlanes({blocked + ((n * image.blocks + block) * plane + first) * kBlock, to, plane, pixels, lanes, ahead});
  });
}

int64_t PaddedFloats(const Image& image, const Padding& pad) {
  const int64_t planes = image.blocked ? image.blocks * kBlock : image.c;
  return planes * (image.h + pad.top + pad.bottom) * (image.w + pad.left + pad.right);
}

void CopyRows(const float* plane, int64_t h, int64_t w, int64_t first, int64_t rows, int64_t left, int64_t rowFloats, float* out) {
  const auto clear = [](float* at, int64_t floats) { std::memset(at, 0, static_cast<size_t>(floats) * sizeof(float)); };
  const int64_t begin = std::clamp<int64_t>(left, 0, rowFloats), end = std::clamp<int64_t>(left + w, begin, rowFloats);
  for (int64_t y = first; y < first + rows; ++y, out += rowFloats) {
    if (y < 0 || y >= h) {
      clear(out, rowFloats);
      continue;
    }
    clear(out, begin);
    std::memcpy(out + begin, plane + y * w + begin - left, static_cast<size_t>(end - begin) * sizeof(float));
    clear(out + end, rowFloats - end);
  }
}

void PadImage(Team& team, const Image& image, const Padding& pad, const float* in, float* out) {
  const int64_t unit = image.blocked ? kBlock : 1;
  const int64_t planes = image.blocked ? image.blocks : image.c;
  const int64_t height = image.h + pad.top + pad.bottom;
  const int64_t row = (image.w + pad.left + pad.right) * unit;
  const int64_t perTask = std::max<int64_t>(1, kPaddedFloats / row), runs = (height + perTask - 1) / perTask;
  // Run by run: a thread copies from all planes the rows that it will read, as it wrote them.
  team.Run(runs * planes, [&](int64_t task, int) {
    const int64_t plane = task % planes, first = task / planes * perTask, rows = std::min(height - first, perTask);
    CopyRows(in + plane * image.plane() * unit, image.h, image.w * unit, first - pad.top, rows, pad.left * unit, row, out + (plane * height + first) * row);
  });
}

void PickPixels(Team& team, const Image& image, int64_t stepY, int64_t stepX, const Image& picked, const float* in, float* out) {
  team.Run(image.blocks, [&](int64_t block, int) {
    float* to = out + block * picked.plane() * kBlock;
    for (int64_t y = 0; y < picked.h; ++y) {
      const float* row = in + (block * image.h + y * stepY) * image.w * kBlock;
      for (int64_t x = 0; x < picked.w; ++x, to += kBlock) std::memcpy(to, row + x * stepX * kBlock, kBlock * sizeof(float));
    }
  });
}

namespace {

// With a number of lanes that is known at compile time, a pixel is a store or two.
template <int kFirst>
void ClearLanesFrom(int64_t first, float* block, int64_t pixels) {
  if constexpr (kFirst < kBlock) {
    if (first != kFirst) return ClearLanesFrom<kFirst + 1>(first, block, pixels);
    for (int64_t p = 0; p < pixels; ++p) std::fill_n(block + p * kBlock + kFirst, kBlock - kFirst, 0.0f);
  }
}

}  // namespace

void ClearPaddingLanes(const Image& image, float* blocked) {
  const int64_t lanes = image.c % kBlock;
  if (lanes == 0) return;
  for (int64_t n = 0; n < image.n; ++n) ClearLanesFrom<1>(lanes, blocked + ((n + 1) * image.blocks - 1) * image.plane() * kBlock, image.plane());
}

}  // namespace xcorr
