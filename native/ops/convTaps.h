// The taps of a tile (kernels/convTile.h), and by how many of them it asks for its input ahead.
#pragma once
#include <algorithm>

#include "../kernels/args.h"

namespace xcorr {

// far: the input comes from beyond the second cache, and is asked for as much longer ahead.
inline void SetTaps(ConvTileArgs* args, const ptrdiff_t* taps, int64_t count, bool far = false) {
  args->taps = taps;
  args->tapCount = count;
  args->inAhead = std::min<int64_t>(count, far ? 16 : 2);
}

}  // namespace xcorr
