// gather: rows of any dtype, taken along an axis at places that a tensor of indices says.
#include <cstring>

#include "functionStep.h"
#include "shape.h"

namespace xcorr {
namespace {

// Indices as places from the front; false if one of them is out of range.
template <typename T>
bool ReadPlaces(const void* indices, int64_t count, int64_t length, int64_t* places) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t index = static_cast<const T*>(indices)[i];
    if (index < -length || index >= length) return false;
    places[i] = index < 0 ? index + length : index;
  }
  return true;
}

// Where the rows are: each of `outer` groups has `length` of them, and gives `count`.
struct Rows {
  int64_t outer, length, count;
  size_t bytes;
};

template <typename T>
void CopyElements(const Rows& r, const void* x, const int64_t* places, int64_t first, int64_t last, void* y) {
  for (int64_t row = first; row < last; ++row) static_cast<T*>(y)[row] = static_cast<const T*>(x)[row / r.count * r.length + places[row % r.count]];
}

void TakeRows(const Rows& r, Team& team, const void* x, const int64_t* places, void* y) {
  const int64_t rows = r.outer * r.count, perTask = std::max<int64_t>(1, kGrain * 4 / std::max<int64_t>(1, static_cast<int64_t>(r.bytes)));
  team.Run((rows + perTask - 1) / perTask, [&](int64_t task, int) {
    const int64_t first = task * perTask, last = std::min(rows, first + perTask);
    if (r.bytes == 4) return CopyElements<uint32_t>(r, x, places, first, last, y);
    if (r.bytes == 8) return CopyElements<uint64_t>(r, x, places, first, last, y);
    for (int64_t row = first; row < last; ++row) {
      const int64_t from = row / r.count * r.length + places[row % r.count];
      std::memcpy(static_cast<char*>(y) + row * static_cast<int64_t>(r.bytes), static_cast<const char*>(x) + from * static_cast<int64_t>(r.bytes), r.bytes);
    }
  });
}

}  // namespace

// A wrong index is an error that the definition reports. So in a plan indices have to be known and right before it runs; an eager call declines at once.
std::unique_ptr<Step> Make_gather(const Problem& p) {
  RequirePlain(p);
  const TensorDesc &x = p.inputs[0], &indices = p.inputs[1];
  const AroundAxis around(x.shape, static_cast<size_t>(p.attributes.Int("axis", 0)));
  const Rows r = {around.outer, around.length, indices.Elements(), SizeOf(x.dtype) * static_cast<size_t>(around.inner)};
  const auto read = indices.dtype == DType::kInt32 ? ReadPlaces<int32_t> : ReadPlaces<int64_t>;
  if (r.count == 0) return MakeFunction("nothing", [](Team&, const void* const*, void* const*, void*) {});
  if (p.constants[1]) {
    std::vector<uint8_t> stored(indices.Bytes());
    p.constants[1].CopyTo(stored.data());
    std::vector<int64_t> places(static_cast<size_t>(r.count));
    if (!read(stored.data(), r.count, r.length, places.data())) throw Declined("an index out of range");
    return MakeFunction("rows", [=](Team& team, const void* const* inputs, void* const* outputs, void*) { TakeRows(r, team, inputs[0], places.data(), outputs[0]); });
  }
  if (p.memory) throw Declined("indices that are known only when it runs");
  auto run = [=](Team& team, const void* const* inputs, void* const* outputs, void* scratch) {
    int64_t* places = static_cast<int64_t*>(scratch);
    if (!read(inputs[1], r.count, r.length, places)) throw Declined("an index out of range");
    TakeRows(r, team, inputs[0], places, outputs[0]);
  };
  return MakeFunction("rows", run, static_cast<size_t>(r.count) * sizeof(int64_t));
}

}  // namespace xcorr
