// Parts of what is counted.
#pragma once
#include <cstdint>

namespace xcorr {

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};
// One of so many parts of nearly equal size.
inline Range Share(int64_t all, int64_t parts, int64_t part) { return {all * part / parts, all * (part + 1) / parts}; }

}  // namespace xcorr
