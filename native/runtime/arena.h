// Memory aligned for the widest vectors, from one allocation.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace xcorr {

constexpr size_t kAlignment = 64;
constexpr size_t AlignUp(size_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

constexpr size_t kHugePage = 2 << 20;

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  // Uninitialised. Throws std::bad_alloc.
  explicit AlignedBuffer(size_t bytes) : bytes_(bytes) {
    const size_t alignment = bytes >= 2 * kHugePage ? kHugePage : kAlignment;
    memory_.reset(new uint8_t[bytes + alignment]);
    const uintptr_t address = reinterpret_cast<uintptr_t>(memory_.get());
    data_ = memory_.get() + ((address + alignment - 1) / alignment * alignment - address);
    if (alignment == kHugePage) AdviseHugePages(data_, bytes);
  }
  uint8_t* data() const { return data_; }
  float* floats() const { return reinterpret_cast<float*>(data_); }
  size_t bytes() const { return bytes_; }

 private:
  // Weights and images are streamed through: with pages of 4 KB, a good part of the time goes to finding pages.
  static void AdviseHugePages(uint8_t* data, size_t bytes);

  std::unique_ptr<uint8_t[]> memory_;
  uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
};

// The constants of one program, one after another in a few large buffers.
class ConstantMemory {
 public:
  uint8_t* Take(size_t bytes) {
    const size_t needed = AlignUp(bytes);
    if (buffers_.empty() || used_ + needed > buffers_.back().bytes()) {
      // What is never written costs no memory.
      const size_t usual = buffers_.empty() ? size_t{1} << 20 : size_t{16} << 20;
      buffers_.emplace_back(needed > usual ? needed : usual);
      used_ = 0;
    }
    uint8_t* taken = buffers_.back().data() + used_;
    used_ += needed;
    total_ += needed;
    return taken;
  }
  float* TakeFloats(int64_t count) { return reinterpret_cast<float*>(Take(static_cast<size_t>(count) * sizeof(float))); }
  size_t bytes() const { return total_; }

 private:
  std::vector<AlignedBuffer> buffers_;
  size_t used_ = 0, total_ = 0;
};

// Memory of the calling thread, dirty, kept until the thread ends: every step of every network works in the same few megabytes, which so
// stay in the thread's caches. Valid until the next call on this thread.
inline float* ThreadScratch(size_t floats) {
  static thread_local AlignedBuffer buffer;
  if (buffer.bytes() < floats * sizeof(float)) buffer = AlignedBuffer(floats * sizeof(float));
  return buffer.floats();
}

}  // namespace xcorr
