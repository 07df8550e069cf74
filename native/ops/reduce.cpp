// Reductions of plain tensors, over any axes. Sums are in double. Every result is made by one task, in an order that the problem says, and memory is read
// along its rows whichever axes are reduced.
#include <cmath>
#include <limits>

#include "functionStep.h"
#include "shape.h"

namespace xcorr {
namespace {

// Results that are made side by side at most, so that their sums stay in the first cache.
constexpr int64_t kPiece = 256;

// Where the numbers of a result are: at its base plus each of the offsets, there `run` neighbours. Or, if the last axis is kept, one number, and
// those of the next `results` results lie beside it.
struct Groups {
  std::vector<int64_t> bases, offsets;
  int64_t run = 1, results = 1;
  bool alongRuns = false;
};

// All offsets that indices along these axes can make, the last axis fastest.
std::vector<int64_t> OffsetsOf(const std::vector<int64_t>& shape, const std::vector<int64_t>& strides, const std::vector<size_t>& axes) {
  std::vector<int64_t> offsets = {0};
  for (size_t axis : axes) {
    std::vector<int64_t> longer;
    for (int64_t offset : offsets) {
      for (int64_t i = 0; i < shape[axis]; ++i) longer.push_back(offset + i * strides[axis]);
    }
    offsets = std::move(longer);
  }
  return offsets;
}

Groups GroupsOf(const std::vector<int64_t>& shape, const std::vector<int64_t>& axes) {
  Groups g;
  std::vector<bool> reduced(shape.size(), false);
  for (int64_t axis : axes) reduced[static_cast<size_t>(axis)] = true;
  const std::vector<int64_t> strides = Strides(shape);
  size_t tail = shape.size();
  while (tail > 0 && shape[tail - 1] == 1) --tail;
  g.alongRuns = tail == 0 || reduced[tail - 1];
  for (; tail > 0 && (reduced[tail - 1] == g.alongRuns || shape[tail - 1] == 1); --tail) (g.alongRuns ? g.run : g.results) *= shape[tail - 1];
  std::vector<size_t> kept, others;
  for (size_t axis = 0; axis < tail; ++axis) (reduced[axis] ? others : kept).push_back(axis);
  g.bases = OffsetsOf(shape, strides, kept);
  g.offsets = OffsetsOf(shape, strides, others);
  return g;
}

// Ways to take one number more. Those of a run go to kLanes sums in turns, which wait for each other only when they are joined.
struct Sum {
  using Number = double;
  static constexpr int kLanes = 8;
  static constexpr double kStart = 0;
  static double Add(double sum, float x) { return sum + static_cast<double>(x); }
  static double Join(double a, double b) { return a + b; }
};
struct SumOfSizes : Sum {
  static double Add(double sum, float x) { return sum + static_cast<double>(std::fabs(x)); }
};
struct SumOfSquares : Sum {
  static double Add(double sum, float x) { return sum + static_cast<double>(x) * static_cast<double>(x); }
};
// In one lane: whether a product becomes infinite on its way depends on the order.
struct Product {
  using Number = double;
  static constexpr int kLanes = 1;
  static constexpr double kStart = 1;
  static double Add(double product, float x) { return product * static_cast<double>(x); }
  static double Join(double a, double b) { return a * b; }
};
// NaN wins.
struct Maximum {
  using Number = float;
  static constexpr int kLanes = 8;
  static constexpr float kStart = -std::numeric_limits<float>::infinity();
  static float Add(float most, float x) { return most > x || most != most ? most : x; }
  static float Join(float a, float b) { return Add(a, b); }
};
struct Minimum {
  using Number = float;
  static constexpr int kLanes = 8;
  static constexpr float kStart = std::numeric_limits<float>::infinity();
  static float Add(float least, float x) { return least < x || least != least ? least : x; }
  static float Join(float a, float b) { return Add(a, b); }
};

// A run of one result.
template <typename Op>
void AddRun(const float* in, int64_t count, typename Op::Number (&lanes)[Op::kLanes]) {
  typename Op::Number own[Op::kLanes];
  std::copy(lanes, lanes + Op::kLanes, own);
  int64_t i = 0;
  for (; i + Op::kLanes <= count; i += Op::kLanes) {
    for (int k = 0; k < Op::kLanes; ++k) own[k] = Op::Add(own[k], in[i + k]);
  }
  std::copy(own, own + Op::kLanes, lanes);
  for (int k = 0; i < count; ++i, ++k) lanes[k] = Op::Add(lanes[k], in[i]);
}

template <typename Op>
typename Op::Number Join(const typename Op::Number (&lanes)[Op::kLanes]) {
  typename Op::Number all = lanes[0];
  for (int k = 1; k < Op::kLanes; ++k) all = Op::Join(all, lanes[k]);
  return all;
}

// One number for each of `count` results.
template <typename Op>
void AddRow(const float* in, int64_t count, typename Op::Number* sums) {
  for (int64_t i = 0; i < count; ++i) sums[i] = Op::Add(sums[i], in[i]);
}

template <typename Op>
void Accumulate(const Groups& g, const float* base, int64_t results, typename Op::Number* sums) {
  if (g.alongRuns) {
    typename Op::Number lanes[Op::kLanes];
    std::fill(lanes, lanes + Op::kLanes, Op::kStart);
    for (int64_t offset : g.offsets) AddRun<Op>(base + offset, g.run, lanes);
    sums[0] = Join<Op>(lanes);
  } else {
    std::fill(sums, sums + results, Op::kStart);
    for (int64_t offset : g.offsets) AddRow<Op>(base + offset, results, sums);
  }
}

// Sums of e^(x - top), with a top for each result.
void AccumulatePowers(const KernelTable& table, const Groups& g, const float* base, int64_t results, const float* tops, double* sums) {
  float powers[kPiece];
  if (!g.alongRuns) {
    std::fill(sums, sums + results, 0.0);
    for (int64_t offset : g.offsets) {
      for (int64_t i = 0; i < results; ++i) powers[i] = base[offset + i] - tops[i];
      table.UnaryRun({powers, powers, results, UnaryKind::kExp, {}});
      AddRow<Sum>(powers, results, sums);
    }
    return;
  }
  double lanes[Sum::kLanes] = {};
  for (int64_t offset : g.offsets) {
    for (int64_t begin = 0; begin < g.run; begin += kPiece) {
      const int64_t count = std::min(kPiece, g.run - begin);
      for (int64_t i = 0; i < count; ++i) powers[i] = base[offset + begin + i] - tops[0];
      table.UnaryRun({powers, powers, count, UnaryKind::kExp, {}});
      AddRun<Sum>(powers, count, lanes);
    }
  }
  sums[0] = Join<Sum>(lanes);
}

// A step that calls reduce(groups, place of the first number, results, where they go) for up to kPiece results side by side.
template <typename F>
std::unique_ptr<Step> MakeGroups(const Problem& p, const F& reduce) {
  RequireFloat32(p);
  RequirePlain(p);
  const TensorDesc& x = p.inputs[0];
  if (x.Elements() == 0) throw Declined("an empty set");
  const Groups g = GroupsOf(x.shape, p.attributes.Ints("axes"));
  const int64_t bases = static_cast<int64_t>(g.bases.size());
  // Few results of many numbers: narrower, so that there is a task for everyone.
  const int64_t width = bases * g.results < 16 * kPiece ? kPiece / 4 : kPiece;
  const int64_t pieces = (g.results + width - 1) / width, units = bases * pieces;
  const int64_t perTask = std::max<int64_t>(1, kGrain / (x.Elements() / (bases * g.results) * std::min(width, g.results)));
  return MakeFunction(g.alongRuns ? "runs" : "rows", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run((units + perTask - 1) / perTask, [&](int64_t task, int) {
      for (int64_t unit = task * perTask; unit < std::min(units, (task + 1) * perTask); ++unit) {
        const int64_t base = unit / pieces, first = unit % pieces * width;
        const float* from = In(inputs, 0) + g.bases[static_cast<size_t>(base)] + first;
        reduce(g, from, std::min(width, g.results - first), Out(outputs) + base * g.results + first);
      }
    });
  });
}

// The op's sums, then what makes a result of each.
template <typename Op, typename F>
std::unique_ptr<Step> MakeReduce(const Problem& p, const F& finish) {
  return MakeGroups(p, [=](const Groups& g, const float* from, int64_t results, float* out) {
    typename Op::Number sums[kPiece];
    Accumulate<Op>(g, from, results, sums);
    for (int64_t i = 0; i < results; ++i) out[i] = static_cast<float>(finish(sums[i]));
  });
}
template <typename Op>
std::unique_ptr<Step> MakeReduce(const Problem& p) {
  return MakeReduce<Op>(p, [](auto sum) { return sum; });
}

}  // namespace

std::unique_ptr<Step> Make_reduceSum(const Problem& p) { return MakeReduce<Sum>(p); }
std::unique_ptr<Step> Make_reduceMean(const Problem& p) {
  const double count = static_cast<double>(p.inputs[0].Elements()) / static_cast<double>(std::max<int64_t>(1, p.outputs[0].Elements()));
  return MakeReduce<Sum>(p, [=](double sum) { return sum / count; });
}
std::unique_ptr<Step> Make_reduceMax(const Problem& p) { return MakeReduce<Maximum>(p); }
std::unique_ptr<Step> Make_reduceMin(const Problem& p) { return MakeReduce<Minimum>(p); }
std::unique_ptr<Step> Make_reduceProd(const Problem& p) { return MakeReduce<Product>(p); }
std::unique_ptr<Step> Make_reduceL1(const Problem& p) { return MakeReduce<SumOfSizes>(p); }
std::unique_ptr<Step> Make_reduceSumSquare(const Problem& p) { return MakeReduce<SumOfSquares>(p); }
std::unique_ptr<Step> Make_reduceL2(const Problem& p) {
  return MakeReduce<SumOfSquares>(p, [](double sum) { return std::sqrt(sum); });
}
std::unique_ptr<Step> Make_reduceLogSum(const Problem& p) {
  return MakeReduce<Sum>(p, [](double sum) { return std::log(sum); });
}
std::unique_ptr<Step> Make_reduceLogSumExp(const Problem& p) {
  const KernelTable* table = p.kernels;
  return MakeGroups(p, [=](const Groups& g, const float* from, int64_t results, float* out) {
    float tops[kPiece];
    double sums[kPiece];
    Accumulate<Maximum>(g, from, results, tops);
    AccumulatePowers(*table, g, from, results, tops, sums);
    for (int64_t i = 0; i < results; ++i) out[i] = std::isfinite(tops[i]) ? static_cast<float>(tops[i] + std::log(sums[i])) : tops[i];
  });
}

}  // namespace xcorr
