// A constant input of a step: where its elements are, in memory or still in a file.
#pragma once
#include <cstddef>
#include <cstdint>

#include "../runtime/arena.h"

namespace xcorr {

class Constant {
 public:
  Constant() = default;
  Constant(const void* memory, size_t bytes) : memory_(memory), bytes_(bytes) {}
  Constant(int file, int64_t offset, size_t bytes) : file_(file), offset_(offset), bytes_(bytes) {}
  // Of float32: each n-th of the elements is multiplied by the next of n factors, which stay the caller's.
  void Scale(const double* factors, size_t count) {
    factors_ = factors;
    factorCount_ = count;
  }

  explicit operator bool() const { return memory_ != nullptr || file_ >= 0; }
  // All bytes, as they are to be read. Throws if a file does not have them any more, as the next does.
  void CopyTo(void* to) const { Copy(0, bytes_, static_cast<uint8_t*>(to)); }
  // Elements first .. first + count - 1 of float32: in their place if they can be read there, else in the buffer, which grows if it must.
  const float* Floats(int64_t first, int64_t count, AlignedBuffer* buffer) const;
  const float* Floats(AlignedBuffer* buffer) const { return Floats(0, static_cast<int64_t>(bytes_ / sizeof(float)), buffer); }

 private:
  void Copy(size_t begin, size_t bytes, uint8_t* to) const;

  const void* memory_ = nullptr;
  int file_ = -1;  // POSIX's number of an open file
  int64_t offset_ = 0;
  size_t bytes_ = 0;
  const double* factors_ = nullptr;
  size_t factorCount_ = 0;
};

}  // namespace xcorr
