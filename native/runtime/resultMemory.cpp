#include "resultMemory.h"

#include <mutex>

namespace xcorr {
namespace {

// About what V8 lets gather before it looks for garbage: with less, most of what comes back at once would be thrown away.
constexpr size_t kMostKeptBytes = 64 << 20;

struct Kept {
  std::mutex mutex;
  std::vector<AlignedBuffer> buffers;
  size_t bytes = 0;
};

// Never destroyed: results may come back while the process ends.
Kept& ProcessKept() {
  static Kept* kept = new Kept;
  return *kept;
}

}  // namespace

AlignedBuffer TakeResultMemory(size_t bytes) {
  Kept& kept = ProcessKept();
  {
    std::lock_guard<std::mutex> lock(kept.mutex);
    // The last that came back may still be in a cache.
    for (size_t i = kept.buffers.size(); i-- > 0;) {
      if (kept.buffers[i].bytes() != bytes) continue;
      AlignedBuffer found = std::move(kept.buffers[i]);
      kept.buffers.erase(kept.buffers.begin() + static_cast<std::ptrdiff_t>(i));
      kept.bytes -= bytes;
      return found;
    }
  }
  return AlignedBuffer(bytes);
}

void ReturnResultMemory(AlignedBuffer memory) {
  Kept& kept = ProcessKept();
  std::vector<AlignedBuffer> dropped;
  std::lock_guard<std::mutex> lock(kept.mutex);
  if (memory.bytes() > kMostKeptBytes) return;
  // What has waited longest goes first: it may be of a size that nobody asks for any more.
  size_t drop = 0;
  while (kept.bytes + memory.bytes() > kMostKeptBytes) kept.bytes -= kept.buffers[drop++].bytes();
  dropped.assign(std::make_move_iterator(kept.buffers.begin()), std::make_move_iterator(kept.buffers.begin() + static_cast<std::ptrdiff_t>(drop)));
  kept.buffers.erase(kept.buffers.begin(), kept.buffers.begin() + static_cast<std::ptrdiff_t>(drop));
  kept.bytes += memory.bytes();
  kept.buffers.push_back(std::move(memory));
}

}  // namespace xcorr
