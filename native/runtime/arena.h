// Memory aligned for the widest vectors, from one allocation.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace xcorr {

constexpr size_t kAlignment = 64;
constexpr size_t AlignUp(size_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  // Uninitialised. Throws std::bad_alloc.
  explicit AlignedBuffer(size_t bytes) : memory_(new uint8_t[bytes + kAlignment]), bytes_(bytes) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(memory_.get());
    data_ = memory_.get() + (AlignUp(address) - address);
  }
  uint8_t* data() const { return data_; }
  float* floats() const { return reinterpret_cast<float*>(data_); }
  size_t bytes() const { return bytes_; }

 private:
  std::unique_ptr<uint8_t[]> memory_;
  uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
};

// Memory of the calling thread, dirty, kept until the thread ends: every step of every network works in the same few megabytes, which so
// stay in the thread's caches. Valid until the next call on this thread.
inline float* ThreadScratch(size_t floats) {
  static thread_local AlignedBuffer buffer;
  if (buffer.bytes() < floats * sizeof(float)) buffer = AlignedBuffer(floats * sizeof(float));
  return buffer.floats();
}

}  // namespace xcorr
