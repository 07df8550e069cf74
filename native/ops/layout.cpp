#include "layout.h"

#include <algorithm>
#include <cstring>

namespace xcorr {
namespace {

int64_t LanesOf(const Image& image, int64_t block) { return std::min(kBlock, image.c - block * kBlock); }

}  // namespace

void PlainToBlocked(Team& team, const Image& image, const float* plain, float* blocked) {
  const int64_t plane = image.plane();
  team.Run(image.n * image.blocks, [&](int64_t task, int) {
    const int64_t n = task / image.blocks, block = task % image.blocks;
    const int64_t lanes = LanesOf(image, block);
    const float* from = plain + (n * image.c + block * kBlock) * plane;
    float* to = blocked + task * plane * kBlock;
    if (lanes == kBlock) {
      for (int64_t p = 0; p < plane; ++p) {
        for (int64_t l = 0; l < kBlock; ++l) to[p * kBlock + l] = from[l * plane + p];
      }
      return;
    }
    for (int64_t p = 0; p < plane; ++p) {
      for (int64_t l = 0; l < kBlock; ++l) to[p * kBlock + l] = l < lanes ? from[l * plane + p] : 0.0f;
    }
  });
}

void BlockedToPlain(Team& team, const Image& image, const float* blocked, float* plain) {
  const int64_t plane = image.plane();
  team.Run(image.n * image.blocks, [&](int64_t task, int) {
    const int64_t n = task / image.blocks, block = task % image.blocks;
    const float* from = blocked + task * plane * kBlock;
    float* to = plain + (n * image.c + block * kBlock) * plane;
    for (int64_t l = 0; l < LanesOf(image, block); ++l) {
      for (int64_t p = 0; p < plane; ++p) to[l * plane + p] = from[p * kBlock + l];
    }
  });
}

int64_t PaddedFloats(const Image& image, const Padding& pad) {
  const int64_t planes = image.blocked ? image.blocks * kBlock : image.c;
  return planes * (image.h + pad.top + pad.bottom) * (image.w + pad.left + pad.right);
}

void PadImage(Team& team, const Image& image, const Padding& pad, const float* in, float* out) {
  const int64_t unit = image.blocked ? kBlock : 1;
  const int64_t planes = image.blocked ? image.blocks : image.c;
  const int64_t height = image.h + pad.top + pad.bottom;
  const int64_t row = (image.w + pad.left + pad.right) * unit;
  team.Run(planes, [&](int64_t plane, int) {
    float* to = out + plane * height * row;
    const float* from = in + plane * image.plane() * unit;
    std::memset(to, 0, static_cast<size_t>(pad.top * row) * sizeof(float));
    for (int64_t y = 0; y < image.h; ++y) {
      float* line = to + (pad.top + y) * row;
      std::memset(line, 0, static_cast<size_t>(pad.left * unit) * sizeof(float));
      std::memcpy(line + pad.left * unit, from + y * image.w * unit, static_cast<size_t>(image.w * unit) * sizeof(float));
      std::memset(line + (pad.left + image.w) * unit, 0, static_cast<size_t>(pad.right * unit) * sizeof(float));
    }
    std::memset(to + (pad.top + image.h) * row, 0, static_cast<size_t>(pad.bottom * row) * sizeof(float));
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

void ClearPaddingLanes(const Image& image, float* blocked) {
  const int64_t lanes = image.c % kBlock;
  if (lanes == 0) return;
  for (int64_t n = 0; n < image.n; ++n) {
    float* last = blocked + ((n + 1) * image.blocks - 1) * image.plane() * kBlock;
    for (int64_t p = 0; p < image.plane(); ++p) {
      for (int64_t l = lanes; l < kBlock; ++l) last[p * kBlock + l] = 0.0f;
    }
  }
}

}  // namespace xcorr
