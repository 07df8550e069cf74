// How calls of the tile kernel (kernels/convTile.h) are laid out.
#pragma once
#include <algorithm>

#include "../kernels/table.h"

namespace xcorr {

// Taps, and by how many of them a tile asks for its input ahead. far: the input comes from beyond the second cache, and is asked for as much longer ahead.
inline void SetTaps(ConvTileArgs* args, const ptrdiff_t* taps, int64_t count, bool far = false) {
  args->taps = taps;
  args->tapCount = count;
  args->inAhead = std::min<int64_t>(count, far ? 16 : 2);
}

// Tiles of nearly equal size for so many pixels.
inline int64_t TilesOf(const KernelTable& t, int64_t blocks, int64_t pixels) {
  const int64_t most = t.TilePixels(static_cast<int>(blocks));
  return (pixels + most - 1) / most;
}

// Calls run(first, pixels, tiles) for tiles of nearly equal size: the larger ones, then the others. A last tile of one or two pixels would run at a
// fraction of the speed.
template <typename F>
void ForTiles(int64_t pixels, int64_t tiles, const F& run) {
  const int64_t least = pixels / tiles, larger = pixels % tiles;
  if (larger > 0) run(int64_t{0}, least + 1, larger);
  if (larger < tiles) run(larger * (least + 1), least, tiles - larger);
}

}  // namespace xcorr
