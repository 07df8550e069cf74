// maxPool2d and avgPool2d, on blocks of 8 channels or on planes as they are (kernels/pool.h); globalAvgPool and globalMaxPool.
#include <algorithm>
#include <cmath>

#include "functionStep.h"
#include "layout.h"
#include "sums.h"

namespace xcorr {
namespace {

int64_t CeilDiv(int64_t a, int64_t b) { return a < 0 ? -(-a / b) : (a + b - 1) / b; }

// One axis of the windows.
struct Axis {
  Axis(const Problem& p, size_t axis)
      : in(p.inputs[0].shape[2 + axis]), out(p.outputs[0].shape[2 + axis]), kernel(p.attributes.Ints("kernel")[axis]), stride(p.attributes.Ints("stride")[axis]),
        before(p.attributes.Ints("padding")[axis]), after(p.attributes.Ints("padding")[2 + axis]), dilation(p.attributes.Ints("dilation")[axis]) {}

  // Of output o: the place of its first tap, and which taps, begin .. end - 1, lie inside the image.
  int64_t start(int64_t o) const { return o * stride - before; }
  int64_t begin(int64_t o) const { return std::clamp<int64_t>(CeilDiv(-start(o), dilation), 0, kernel); }
  int64_t end(int64_t o) const { return std::clamp(CeilDiv(in - start(o), dilation), begin(o), kernel); }
  bool whole(int64_t o) const { return end(o) - begin(o) == kernel; }
  // Taps that a mean counts: with padding, all before its end (in ceil mode the last window reaches further).
  int64_t counted(int64_t o, bool padding) const { return padding ? std::clamp<int64_t>(CeilDiv(in + after - start(o), dilation), 0, kernel) : end(o) - begin(o); }
  // Some window lies outside of the image. The first and the last reach out the furthest.
  bool hasEmpty() const { return end(0) == begin(0) || end(out - 1) == begin(out - 1); }

  int64_t in, out, kernel, stride, before, after, dilation;
};

class Pool : public Step {
 public:
  Pool(const Problem& p, PoolKind kind)
      : table_(*p.kernels), x_(p.inputs[0]), y_(p.outputs[0]), rows_(p, 0), columns_(p, 1), kind_(kind), countPadding_(p.attributes.Flag("countIncludePad")) {
    RequireFloat32(p);
    if (x_.blocked != y_.blocked) throw Declined("input and output in different layouts");
    const int64_t window = rows_.kernel;
    const bool small = columns_.kernel == window && window >= 2 && window <= 5 && columns_.dilation == 1;
    const bool near = columns_.before <= 1 && window - 1 - columns_.before <= columns_.stride;
    if (!x_.blocked && small && window <= 3 && columns_.stride <= 2 && near && rows_.stride == columns_.stride && rows_.dilation == 1) way_ = Way::kPlane;
    else if (small && (columns_.stride <= 2 || columns_.stride >= window)) way_ = Way::kSlide;
    else way_ = Way::kSeparate;
    info.algorithm = way_ == Way::kPlane ? "planes" : way_ == Way::kSlide ? "sliding" : "rows, then columns";
    reorders_ = !x_.blocked && way_ != Way::kPlane;
    unit_ = way_ == Way::kPlane ? 1 : kBlock;
    rowsAtOnce_ = window <= 3 && columns_.stride <= 2 && rows_.stride == columns_.stride && rows_.dilation == 1 ? 2 : 1;
    outside_.assign(static_cast<size_t>(x_.w * unit_), nothing());
    if (way_ == Way::kSeparate) PlaceColumns();
    if (kind_ == PoolKind::kSum) MakeFactors(p.attributes.Int("divisorOverride", 0));
  }

  size_t scratchBytes() const override { return reorders_ ? static_cast<size_t>(x_.blockedFloats() + y_.blockedFloats()) * sizeof(float) : 0; }

  void Run(Team& team, const void* const* inputs, void* const* outputs, void* scratch) const override {
    if (!reorders_) return RunPlanes(team, In(inputs, 0), Out(outputs));
    float *x = static_cast<float*>(scratch), *y = x + x_.blockedFloats();
    PlainToBlocked(table_, team, x_, In(inputs, 0), x);
    RunPlanes(team, x, y);
    BlockedToPlain(table_, team, y_, y, Out(outputs));
  }

 private:
  // PoolPlane; PoolSlide; PoolRows and PoolColumns.
  enum class Way { kPlane, kSlide, kSeparate };

  float nothing() const { return kind_ == PoolKind::kSum ? 0.0f : -INFINITY; }
  const float* const* factors(int64_t y) const { return kind_ == PoolKind::kSum ? factorRows_.data() + y : nullptr; }

  // What sums are multiplied by: a row for each number of rows that a window may count, as wide as a row of outputs and a vector.
  void MakeFactors(int64_t divisor) {
    const int64_t row = y_.w * unit_ + table_.lanes;
    for (int64_t rows = 0; rows <= rows_.kernel; ++rows) {
      for (int64_t i = 0; i < row; ++i) {
        const int64_t counted = rows * columns_.counted(std::min(i / unit_, y_.w - 1), countPadding_);
        factors_.push_back(1 / static_cast<float>(divisor > 0 ? divisor : counted));
      }
    }
    for (int64_t y = 0; y < y_.h; ++y) factorRows_.push_back(factors_.data() + rows_.counted(y, countPadding_) * row);
  }

  // Tasks are runs of rows of a plane (or block), or a few small planes. Run by run: a thread reads the rows that it most likely wrote.
  void RunPlanes(Team& team, const float* x, float* y) const {
    const int64_t planes = x_.n * (unit_ == 1 ? x_.c : x_.blocks), size = x_.plane() * unit_;
    const int64_t runs = std::max<int64_t>(1, std::min(y_.h / 4, size / kGrain)), perTask = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, size));
    const int64_t groups = (planes + perTask - 1) / perTask;
    team.Run(runs * groups, [&](int64_t task, int) {
      const int64_t group = task % groups, run = task / groups, begin = y_.h * run / runs, end = y_.h * (run + 1) / runs;
      const int64_t first = group * perTask, last = std::min(planes, first + perTask);
      if (way_ == Way::kPlane) return PlaneRows(x + first * size, y + first * y_.plane(), last - first, begin, end);
      float* buffer = way_ == Way::kSeparate ? ClearedBuffer() : nullptr;
      for (int64_t p = first; p < last; ++p) {
        const float* in = x + p * size;
        float* out = y + p * y_.plane() * unit_;
        if (way_ == Way::kSlide) SlideRows(in, out, begin, end);
        else RowsThenColumns(in, out, buffer, begin, end);
      }
    });
    // Lanes past the last channel are zeros, and so is what becomes of them, unless that is -infinity or 0 / 0.
    if (unit_ == kBlock && (rows_.hasEmpty() || columns_.hasEmpty())) ClearPaddingLanes(y_, y);
  }

  void PlaneRows(const float* in, float* out, int64_t planes, int64_t begin, int64_t end) const {
    PoolPlaneArgs args = {};
    args.kind = kind_;
    args.in = in;
    args.height = x_.h;
    args.width = x_.w;
    args.top = rows_.start(begin);
    args.left = static_cast<int>(columns_.before);
    args.window = static_cast<int>(rows_.kernel);
    args.stride = static_cast<int>(columns_.stride);
    args.out = out + begin * y_.w;
    args.outPlane = y_.plane();
    args.pixels = y_.w;
    args.count = end - begin;
    args.planes = planes;
    args.whole = args.count == y_.h;
    args.factors = factors(begin);
    table_.PoolPlane(args);
  }

  void SlideRows(const float* in, float* out, int64_t begin, int64_t end) const {
    const float* rows[5];
    PoolSlideArgs args = {};
    args.kind = kind_;
    args.rows = rows;
    args.left = columns_.before;
    args.columns = x_.w;
    args.window = static_cast<int>(rows_.kernel);
    args.stride = columns_.stride;
    args.outRow = y_.w * kBlock;
    args.pixels = y_.w;
    for (int64_t y = begin; y < end; y += args.outRows) {
      args.outRows = static_cast<int>(std::min(rowsAtOnce_, end - y));
      for (int64_t i = 0; i < (args.outRows - 1) * rows_.stride + rows_.kernel; ++i) {
        const int64_t row = rows_.start(y) + i * rows_.dilation;
        rows[i] = row >= 0 && row < x_.h ? in + row * x_.w * kBlock : outside_.data();
      }
      args.factors = factors(y);
      args.out = out + y * args.outRow;
      table_.PoolSlide(args);
    }
  }

  // Where in a row of the buffer column 0 and the taps of output 0 lie. Pixel p, counted from the first of the padding's, is in phase p mod stride,
  // place p / stride of it.
  void PlaceColumns() {
    const int64_t s = columns_.stride, last = (columns_.kernel - 1) * columns_.dilation - columns_.before;
    const int64_t margin = CeilDiv(columns_.before, s), places = std::max(CeilDiv(x_.w, s), y_.w + std::max<int64_t>(0, last) / s);
    origin_ = margin * kBlock;
    phase_ = origin_ + places * kBlock;
    for (int64_t j = 0; j < columns_.kernel; ++j) {
      const int64_t at = j * columns_.dilation - columns_.before + margin * s;
      taps_.push_back(at % s * phase_ + at / s * kBlock);
    }
    // So many rows at once that what was written has left for the first cache before it is read.
    bufferRows_ = std::clamp<int64_t>(kBufferFloats / (s * phase_), 1, 16);
  }

  // What is written later are the pixels of the image; the padding stays.
  float* ClearedBuffer() const {
    const int64_t floats = bufferRows_ * columns_.stride * phase_;
    float* buffer = ThreadScratch(static_cast<size_t>(floats));
    std::fill(buffer, buffer + floats, nothing());
    return buffer;
  }

  void RowsThenColumns(const float* in, float* out, float* buffer, int64_t begin, int64_t end) const {
    const int64_t row = x_.w * kBlock;
    PoolRowsArgs rows = {};
    PoolColumnsArgs columns = {};
    rows.kind = columns.kind = kind_;
    rows.inRow = rows_.dilation * row;
    rows.inStep = rows_.stride * row;
    rows.pixels = x_.w;
    rows.stride = columns_.stride;
    rows.out = buffer + origin_;
    rows.outPhase = phase_;
    rows.outStep = columns.inStep = columns_.stride * phase_;
    columns.in = buffer;
    columns.taps = taps_.data();
    columns.tapCount = static_cast<int>(columns_.kernel);
    columns.outStep = y_.w * kBlock;
    columns.pixels = y_.w;
    for (int64_t y = begin; y < end; y += rows.count) {
      // Windows that reach out of the image are done one by one.
      rows.count = 1;
      while (rows_.whole(y) && rows.count < std::min(bufferRows_, end - y) && rows_.whole(y + rows.count)) ++rows.count;
      const bool empty = rows_.begin(y) == rows_.end(y);
      rows.in = empty ? outside_.data() : in + (rows_.start(y) + rows_.begin(y) * rows_.dilation) * row;
      rows.rows = empty ? 1 : static_cast<int>(rows_.end(y) - rows_.begin(y));
      table_.PoolRows(rows);
      columns.count = rows.count;
      columns.factors = factors(y) ? *factors(y) : nullptr;
      columns.out = out + y * columns.outStep;
      table_.PoolColumns(columns);
    }
  }

  static constexpr int64_t kBufferFloats = 3072;

  const KernelTable& table_;
  Image x_, y_;
  Axis rows_, columns_;
  PoolKind kind_;
  bool countPadding_, reorders_;
  Way way_;
  int64_t unit_, rowsAtOnce_;
  std::vector<float> outside_, factors_;   // a row of what changes nothing
  std::vector<const float*> factorRows_;   // of each output row
  int64_t origin_ = 0, phase_ = 0, bufferRows_ = 0;
  std::vector<ptrdiff_t> taps_;
};

// One number per channel: 8 channels at a time when blocked.
std::unique_ptr<Step> MakeGlobalPool(const Problem& problem, bool average) {
  RequireFloat32(problem);
  const TensorDesc& x = problem.inputs[0];
  if (x.layout != problem.outputs[0].layout) throw Declined("input and output in different layouts");
  const bool blocked = x.layout == Layout::kBlocked;
  const int64_t pixels = PixelsOf(x);
  const int64_t planes = blocked ? x.shape[0] * Blocks(x.shape[1]) : x.shape[0] * x.shape[1], lanes = blocked ? kBlock : 1;
  const int64_t perTask = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, pixels * lanes)), tasks = (planes + perTask - 1) / perTask;
  const KernelTable* table = problem.kernels;
  // Sums of so few numbers may be in float.
  const bool small = average && !blocked && pixels <= 256;
  return MakeFunction("planes", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run(tasks, [&](int64_t task, int) {
      if (small) {
        const int64_t first = task * perTask;
        table->SumPlanes({In(inputs, 0) + first * pixels, Out(outputs) + first, std::min(perTask, planes - first), pixels, 1 / static_cast<float>(pixels)});
        return;
      }
      for (int64_t p = task * perTask; p < std::min(planes, (task + 1) * perTask); ++p) {
        const float* in = In(inputs, 0) + p * pixels * lanes;
        float* out = Out(outputs) + p * lanes;
        if (average) {
          double sums[kBlock];
          PlaneSums(*table, in, pixels, blocked, nullptr, sums);
          for (int64_t l = 0; l < lanes; ++l) out[l] = static_cast<float>(sums[l] / static_cast<double>(pixels));
        } else {
          PlaneMaxima(*table, in, pixels, blocked, out);
        }
      }
    });
  });
}

}  // namespace

std::unique_ptr<Step> Make_maxPool2d(const Problem& p) {
  if (p.attributes.Text("indices") != "none") throw Declined("indices");
  return std::make_unique<Pool>(p, PoolKind::kMaximum);
}
std::unique_ptr<Step> Make_avgPool2d(const Problem& p) { return std::make_unique<Pool>(p, PoolKind::kSum); }
std::unique_ptr<Step> Make_globalAvgPool(const Problem& p) { return MakeGlobalPool(p, true); }
std::unique_ptr<Step> Make_globalMaxPool(const Problem& p) { return MakeGlobalPool(p, false); }

}  // namespace xcorr
