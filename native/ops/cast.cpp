// cast between all dtypes but float16: by way of double, as the definition does, so that all numbers, NaN and what is out of range come out alike.
#include <cmath>
#include <cstring>

#include "functionStep.h"

namespace xcorr {
namespace {

// The integer part modulo 2^64; of what is not finite, 0.
uint64_t Wrapped(double x) {
  if (std::fabs(x) < 9223372036854775808.0) return static_cast<uint64_t>(static_cast<int64_t>(x));
  if (!std::isfinite(x)) return 0;
  const double rest = std::fmod(x, 18446744073709551616.0);
  const uint64_t size = static_cast<uint64_t>(std::fabs(rest));
  return rest < 0 ? 0 - size : size;
}

template <typename T>
void ReadAs(const void* from, int64_t begin, int64_t count, double* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<double>(static_cast<const T*>(from)[begin + i]);
}
template <typename T>
void WriteAs(const double* from, int64_t begin, int64_t count, void* to) {
  T* y = static_cast<T*>(to) + begin;
  for (int64_t i = 0; i < count; ++i) {
    if constexpr (std::is_floating_point_v<T>) y[i] = static_cast<T>(from[i]);
    else y[i] = static_cast<T>(Wrapped(from[i]));
  }
}
// NaN is false, as in JavaScript.
void WriteBools(const double* from, int64_t begin, int64_t count, void* to) {
  for (int64_t i = 0; i < count; ++i) static_cast<uint8_t*>(to)[begin + i] = from[i] < 0 || from[i] > 0;
}

using Reader = void (*)(const void* from, int64_t begin, int64_t count, double* to);
using Writer = void (*)(const double* from, int64_t begin, int64_t count, void* to);

Reader ReaderOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return ReadAs<float>;
    case DType::kFloat64: return ReadAs<double>;
    case DType::kInt8: return ReadAs<int8_t>;
    case DType::kInt32: return ReadAs<int32_t>;
    case DType::kInt64: return ReadAs<int64_t>;
    case DType::kUint8:
    case DType::kBool: return ReadAs<uint8_t>;
    default: throw Declined("float16");
  }
}
Writer WriterOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return WriteAs<float>;
    case DType::kFloat64: return WriteAs<double>;
    case DType::kInt8: return WriteAs<int8_t>;
    case DType::kUint8: return WriteAs<uint8_t>;
    case DType::kInt32: return WriteAs<int32_t>;
    case DType::kInt64: return WriteAs<int64_t>;
    case DType::kBool: return WriteBools;
    default: throw Declined("float16");
  }
}

}  // namespace

std::unique_ptr<Step> Make_cast(const Problem& p) {
  RequirePlain(p);
  const DType from = p.inputs[0].dtype, to = p.outputs[0].dtype;
  if (from == to && from != DType::kBool) {
    const size_t bytes = p.outputs[0].Bytes();
    return MakeFunction("copy", [=](Team&, const void* const* inputs, void* const* outputs, void*) { std::memcpy(outputs[0], inputs[0], bytes); });
  }
  const Reader read = ReaderOf(from);
  const Writer write = WriterOf(to);
  const int64_t count = p.outputs[0].Elements();
  return MakeFunction("numbers", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    InPieces(team, count, [&](int64_t begin, int64_t end) {
      constexpr int64_t kAtOnce = 512;
      double numbers[kAtOnce];
      for (int64_t i = begin; i < end; i += kAtOnce) {
        const int64_t some = std::min(kAtOnce, end - i);
        read(inputs[0], i, some, numbers);
        write(numbers, i, some, outputs[0]);
      }
    });
  });
}

}  // namespace xcorr
