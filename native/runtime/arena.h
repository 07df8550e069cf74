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

}  // namespace xcorr
