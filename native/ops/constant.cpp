#include "constant.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

#if !defined(_WIN32)
#include <unistd.h>
#endif

namespace xcorr {
namespace {

void ReadFile(int file, int64_t offset, size_t bytes, uint8_t* to) {
#if defined(_WIN32)
  throw std::runtime_error("constants are read from files by their numbers, which Windows has not");
#else
  while (bytes > 0) {
    const ssize_t had = pread(file, to, bytes, static_cast<off_t>(offset));
    if (had < 0 && errno == EINTR) continue;
    if (had <= 0) throw std::runtime_error(std::string("cannot read weights: ") + (had < 0 ? std::strerror(errno) : "the file ends before them"));
    to += had;
    offset += had;
    bytes -= static_cast<size_t>(had);
  }
#endif
}

}  // namespace

const float* Constant::Floats(int64_t first, int64_t count, AlignedBuffer* buffer) const {
  const size_t begin = static_cast<size_t>(first) * sizeof(float), bytes = static_cast<size_t>(count) * sizeof(float);
  const bool aligned = reinterpret_cast<uintptr_t>(memory_) % alignof(float) == 0;
  if (memory_ && aligned && !factors_) return static_cast<const float*>(memory_) + first;
  if (buffer->bytes() < bytes) *buffer = AlignedBuffer(bytes);
  Copy(begin, bytes, buffer->data());
  return buffer->floats();
}

void Constant::Copy(size_t begin, size_t bytes, uint8_t* to) const {
  if (memory_) std::memcpy(to, static_cast<const uint8_t*>(memory_) + begin, bytes);
  else ReadFile(file_, offset_ + static_cast<int64_t>(begin), bytes, to);
  if (!factors_) return;
  // Elements are float32 then; `run` of them have a factor.
  const size_t run = bytes_ / sizeof(float) / factorCount_, first = begin / sizeof(float), end = first + bytes / sizeof(float);
  float* floats = reinterpret_cast<float*>(to);
  for (size_t i = first; i < end;) {
    const double factor = factors_[i / run];
    for (const size_t stop = std::min(end, (i / run + 1) * run); i < stop; ++i) floats[i - first] = static_cast<float>(static_cast<double>(floats[i - first]) * factor);
  }
}

}  // namespace xcorr
