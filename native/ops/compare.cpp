// Comparisons, logic and where: of plain operands that broadcast.
#include <cstring>

#include "runs.h"

namespace xcorr {
namespace {

template <typename T, typename F>
std::unique_ptr<Step> MakeTestOf(const Problem& p, F f) {
  RequirePlain(p);
  const Runs runs(p.outputs[0].shape, {p.inputs[0].shape, p.inputs[1].shape});
  return MakeFunction("runs", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    runs.Each(team, [&](int64_t at, const Runs::Places& from, int64_t count) {
      const T *a = static_cast<const T*>(inputs[0]) + from[0], *b = static_cast<const T*>(inputs[1]) + from[1];
      ForPairs(a, runs.steps()[0], b, runs.steps()[1], static_cast<uint8_t*>(outputs[0]) + at, count, f);
    });
  });
}

template <typename F>
std::unique_ptr<Step> MakeComparison(const Problem& p, F f) {
  switch (p.inputs[0].dtype) {
    case DType::kFloat32: return MakeTestOf<float>(p, f);
    case DType::kInt32: return MakeTestOf<int32_t>(p, f);
    case DType::kInt64: return MakeTestOf<int64_t>(p, f);
    case DType::kUint8:
    case DType::kBool: return MakeTestOf<uint8_t>(p, f);
    default: throw Declined("a dtype that no comparison takes");
  }
}

template <typename T>
std::unique_ptr<Step> MakeWhere(const Problem& p) {
  const Runs runs(p.outputs[0].shape, {p.inputs[0].shape, p.inputs[1].shape, p.inputs[2].shape});
  return MakeFunction("runs", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    const Runs::Places& steps = runs.steps();
    runs.Each(team, [&](int64_t at, const Runs::Places& from, int64_t count) {
      const uint8_t* condition = static_cast<const uint8_t*>(inputs[0]) + from[0];
      const T *a = static_cast<const T*>(inputs[1]) + from[1], *b = static_cast<const T*>(inputs[2]) + from[2];
      T* y = static_cast<T*>(outputs[0]) + at;
      if (!steps[0]) {
        const T* chosen = *condition ? a : b;
        if (steps[*condition ? 1 : 2]) std::memcpy(y, chosen, static_cast<size_t>(count) * sizeof(T));
        else std::fill(y, y + count, *chosen);
        return;
      }
      const T firstA = *a, firstB = *b;
      WithSteps(steps[1], steps[2], [&](auto fullA, auto fullB) {
        for (int64_t i = 0; i < count; ++i) {
          const T yes = fullA() ? a[i] : firstA, no = fullB() ? b[i] : firstB;
          y[i] = condition[i] ? yes : no;
        }
      });
    });
  });
}

}  // namespace

std::unique_ptr<Step> Make_equal(const Problem& p) {
  return MakeComparison(p, [](auto a, auto b) { return a == b; });
}
std::unique_ptr<Step> Make_greater(const Problem& p) {
  return MakeComparison(p, [](auto a, auto b) { return a > b; });
}
std::unique_ptr<Step> Make_greaterOrEqual(const Problem& p) {
  return MakeComparison(p, [](auto a, auto b) { return a >= b; });
}
std::unique_ptr<Step> Make_less(const Problem& p) {
  return MakeComparison(p, [](auto a, auto b) { return a < b; });
}
std::unique_ptr<Step> Make_lessOrEqual(const Problem& p) {
  return MakeComparison(p, [](auto a, auto b) { return a <= b; });
}
std::unique_ptr<Step> Make_and(const Problem& p) {
  return MakeTestOf<uint8_t>(p, [](uint8_t a, uint8_t b) { return (a != 0) & (b != 0); });
}
std::unique_ptr<Step> Make_or(const Problem& p) {
  return MakeTestOf<uint8_t>(p, [](uint8_t a, uint8_t b) { return (a | b) != 0; });
}
std::unique_ptr<Step> Make_xor(const Problem& p) {
  return MakeTestOf<uint8_t>(p, [](uint8_t a, uint8_t b) { return (a != 0) != (b != 0); });
}

std::unique_ptr<Step> Make_where(const Problem& p) {
  RequirePlain(p);
  switch (SizeOf(p.outputs[0].dtype)) {
    case 1: return MakeWhere<uint8_t>(p);
    case 2: return MakeWhere<uint16_t>(p);
    case 4: return MakeWhere<uint32_t>(p);
    default: return MakeWhere<uint64_t>(p);
  }
}

}  // namespace xcorr
