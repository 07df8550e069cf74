// Strips of planes: columns of the output as wide as a vector, down which the rows of the input go by one after another. Nothing is padded or copied: rows
// outside of the image are left out, columns outside are masked.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

template <int kValue>
struct Int {
  static constexpr int value = kValue;
};
template <int kBegin, int kEnd, typename F>
[[gnu::always_inline]] inline void ForEach(const F& f) {
  if constexpr (kBegin < kEnd) {
    f(Int<kBegin>());
    ForEach<kBegin + 1, kEnd>(f);
  }
}

// Which loads of a strip may reach out of the image: none; of a first strip those to the left of the kernel's middle; of a last one those to the right of
// it; any; any of a strip that is a whole row, with lanes to spare.
enum class Edge { kNone, kLeft, kRight, kAny, kRow };

// What the columns of the kernel read of a row. With a stride of 2 two vectors give the even pixels and the odd ones. The columns after the first two come
// from vectors of their own or, with 16 lanes and of short rows, are the first two moved by lanes, so that the last lanes of a strip are no outputs. Outside
// of the image are zeros; or -infinity, if kLowest.
template <typename V, int kKernel, int kStride, Edge kEdge, bool kDilated, bool kLowest>
class StripColumns {
 public:
  static constexpr int kWidth = sizeof(V) / sizeof(float);
  static constexpr bool kMoves = kStride == 2 && (kLanes > 8 || (kLanes == 8 && kKernel == 3 && kEdge == Edge::kRow));
  static constexpr int kOutputs = kMoves ? kWidth - (kKernel - 1) / 2 : kWidth;
  static_assert(!kDilated || kStride == 1);

  // Lane 0 of column 0 is the pixel `first` of a row of so many.
  StripColumns(int64_t first, int64_t width, int64_t dilation) : dilation_(dilation) {
    for (int k = 0; k < kLoads; ++k) {
      const int64_t begin = -(first + Place(k)), end = width + begin;
      masks_[k] = MakeMask<V>(begin, end);
      if constexpr (kLowest && kEdge != Edge::kNone) {
        float lanes[kWidth];
        for (int l = 0; l < kWidth; ++l) lanes[l] = l >= begin && l < end ? 0 : -__builtin_inff();
        outside_[k] = Load<V>(lanes);
      }
    }
  }
  // How many pixels of a row all columns read.
  static int64_t Reach(int64_t dilation) { return kStride == 1 ? kWidth + (kKernel - 1) * dilation : kMoves ? 2 * kWidth : 2 * kWidth + kKernel - 1; }
  // Those before what the kernel's middle reads for the first output, and as far as what it reads for the last.
  static int64_t Middle(int64_t dilation) { return kMiddle * dilation; }
  static int64_t Inner(int64_t dilation) { return (kOutputs - 1) * kStride + kMiddle * dilation + 1; }

  // Calls f(Int<j>(), what column j reads) for all columns. row: from the pixel `first` on.
  template <typename F>
  [[gnu::always_inline]] void ForColumns(const float* row, const F& f) const {
    V even, odd;
    ForEach<0, kKernel>([&](auto column) __attribute__((always_inline)) {
      constexpr int j = decltype(column)::value;
      if constexpr (kStride == 1) {
        f(column, Pixels<j>(row));
      } else {
        if constexpr (j % 2 == 0 && (j == 0 || !kMoves)) Split(Pixels<j>(row), Pixels<j + 1>(row), even, odd);
        if constexpr (kMoves && j >= 2) f(column, MoveSplit<j / 2>(j % 2 ? odd : even));
        else f(column, j % 2 ? odd : even);
      }
    });
  }
  // Outputs as they lie in memory, of sums in the order of what the columns read.
  static V Result(V sums) {
    return kStride == 2 ? Ordered(sums) : sums;
  }

 private:
  static constexpr int kMiddle = (kKernel - 1) / 2, kInner = (kOutputs - 1) * kStride + kMiddle + 1;
  static constexpr int kLoads = kStride == 1 ? kKernel : kMoves ? 2 : (kKernel + 1) / 2 * 2;
  // Where a load begins, without dilation.
  static constexpr int At(int load) { return kStride == 1 ? load : load / 2 * 2 + load % 2 * kWidth; }
  int64_t Place(int load) const { return kDilated ? load * dilation_ : At(load); }
  // Whether a load may reach out of the image.
  static constexpr bool Reaches(int load) {
    if (kEdge == Edge::kLeft) return At(load) < kMiddle;
    if (kEdge == Edge::kRight) return At(load) + kWidth > kInner;
    return kEdge != Edge::kNone;
  }
  template <int kLoad>
  [[gnu::always_inline]] V Pixels(const float* row) const {
    if constexpr (Reaches(kLoad) && kLowest) return Add(LoadMasked(row + Place(kLoad), masks_[kLoad]), outside_[kLoad]);
    else if constexpr (Reaches(kLoad)) return LoadMasked(row + Place(kLoad), masks_[kLoad]);
    else return Kept(Load<V>(row + Place(kLoad)));
  }
  int64_t dilation_;
  Mask<V> masks_[kLoads];
  V outside_[kLowest && kEdge != Edge::kNone ? kLoads : 1];  // added to what is loaded
};

// Strips of output columns of `planes` planes, each of count rows outRow apart.
struct StripResults {
  float* out;  // row 0 of the first plane
  int64_t pixels, count;
  ptrdiff_t outRow, outPlane;
  int64_t planes;
  bool whole;  // the rows are all of a plane

  // Results rotate through memory that no cache holds: a strip asks for what is written so many floats later, with small planes some of them ahead.
  ptrdiff_t Ahead() const { return outPlane > 1024 ? outPlane : 1024; }
  // As far as whole vectors may be written for the columns from x on of a plane. What the first strip writes past its pixels, the next strip or row writes
  // again, if rows lie one after another; others write beyond theirs only where a later one does.
  template <int kWidth>
  const float* End(int64_t plane, int64_t x) const {
    if (x + kWidth > pixels && (x > 0 || outRow != pixels)) return out;
    return whole ? out + planes * outPlane : out + plane * outPlane + count * outRow;
  }
};

template <typename V>
[[gnu::always_inline]] inline void StoreStrip(V results, float* out, const float* end, int64_t written) {
  // AVX-512 stores the first lanes as fast as all.
  if (kLanes <= 8 && out + sizeof(V) / sizeof(float) <= end) Store(results, out);
  else StoreFirst(results, out, written);
}

template <typename V, Edge kEdgeOf>
struct StripOf {
  using Vector = V;
  static constexpr Edge kEdge = kEdgeOf;
};

// Calls run(StripOf<V, which of its loads reach out>(), x) for the strip from column x on.
template <typename V, int kKernel, int kStride, bool kDilated, typename F>
inline void ForEdge(int64_t x, int64_t padding, int64_t width, int64_t pixels, int64_t dilation, const F& run) {
  using Columns = StripColumns<V, kKernel, kStride, Edge::kAny, kDilated, false>;
  const int64_t first = x * kStride - padding;
  const bool left = first < 0, right = first + Columns::Reach(dilation) > width;
  if (!left && !right) return run(StripOf<V, Edge::kNone>(), x);
  // AVX-512 masks by registers of their own.
  if constexpr (kLanes <= 8) {
    using Row = StripColumns<V, kKernel, kStride, Edge::kRow, kDilated, false>;
    if constexpr (Row::kMoves) {
      if (pixels <= Row::kOutputs) return run(StripOf<V, Edge::kRow>(), x);
    }
    if (!right && first + Columns::Middle(dilation) >= 0) return run(StripOf<V, Edge::kLeft>(), x);
    if (!left && first + Columns::Inner(dilation) <= width) return run(StripOf<V, Edge::kRight>(), x);
  }
  run(StripOf<V, Edge::kAny>(), x);
}

// Calls run(StripOf<..>(), first column) for all strips of an output row.
template <int kKernel, int kStride, bool kDilated, typename F>
inline void ForRowStrips(int64_t padding, int64_t width, int64_t pixels, int64_t dilation, const F& run) {
  constexpr int64_t kOutputs = StripColumns<Vec, kKernel, kStride, Edge::kNone, kDilated, false>::kOutputs;
  for (int64_t x = 0; x < pixels; x += kOutputs) {
    const int64_t left = pixels - x;
    // The last strip overlaps the one before.
    if constexpr (kLanes > 8) {
      constexpr int64_t kFew = StripColumns<Vec8, kKernel, kStride, Edge::kNone, kDilated, false>::kOutputs;
      if (left <= kFew) return ForEdge<Vec8, kKernel, kStride, kDilated>(pixels < kFew ? 0 : pixels - kFew, padding, width, pixels, dilation, run);
    }
    ForEdge<Vec, kKernel, kStride, kDilated>(left < kOutputs && x > 0 ? pixels - kOutputs : x, padding, width, pixels, dilation, run);
  }
}

// Calls run(StripOf<..>(), first plane, planes, first column) for all strips of args.planes planes. A strip goes through some small planes before the next,
// since what it begins with takes time as well.
template <int kKernel, int kStride, bool kDilated, typename Args, typename F>
inline void ForStrips(const Args& args, int64_t dilation, const F& run) {
  const int64_t size = args.height * args.width, most = size > 2048 ? 1 : 2048 / (size + 1) + 1;
  for (int64_t p = 0; p < args.planes; p += most) {
    const int64_t planes = args.planes - p < most ? args.planes - p : most;
    ForRowStrips<kKernel, kStride, kDilated>(args.left, args.width, args.pixels, dilation, [&](auto strip, int64_t x) { run(strip, p, planes, x); });
  }
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
