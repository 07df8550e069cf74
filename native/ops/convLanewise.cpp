// conv2d where every lane of a block of 8 channels has weights of its own (kernels/lanewise.h): depthwise, and groups of few channels whose inputs
// lie within one block, without multiplying by the zeros of the other groups.
//
// With a dilation d and no stride, rows d apart are a track, and so are columns: each is a convolution without a dilation.
//
// Kernels that the table has no rows for (LanewiseRows) know no edges on the left and right: a task copies what it reads, with the padding there.
//
// A task is some panels of blocks and a run of rows.
#include <algorithm>

#include "convCost.h"

namespace xcorr {
namespace {

// The block of 8 input channels that output block `block` reads; -1 if it is more than one.
int64_t InputBlock(const Conv& c, int64_t block) {
  const int64_t last = std::min(c.y.c, (block + 1) * kBlock) - 1;
  const int64_t first = block * kBlock / c.outPerGroup * c.inPerGroup, end = (last / c.outPerGroup + 1) * c.inPerGroup;
  return first / kBlock == (end - 1) / kBlock ? first / kBlock : -1;
}

class Lanewise : public ConvStep, public ConvOfParts {
 public:
  explicit Lanewise(const Conv& conv)
      : ConvStep(conv, false, Copy::kNone), panelBlocks_(conv_.table.panelBlocks), lanes_(panelBlocks_ * kBlock), panels_((out_.blocks + panelBlocks_ - 1) / panelBlocks_),
        depthwise_(IsDepthwise(conv_)), slides_(RowsAtOnce(conv_) > 0), rowsAtOnce_(std::max<int64_t>(1, RowsAtOnce(conv_))) {
    if (slides_) {
      rowTracks_ = TracksOf(conv_, 0);
      columnTracks_ = TracksOf(conv_, 1);
    }
    zeros_.assign(static_cast<size_t>(in_.w * kBlock), 0.0f);
    for (int64_t o = 0; !depthwise_ && o < panels_ * lanes_; ++o) {
      const int64_t real = std::min(o, out_.c - 1), lane = o % lanes_;
      firstLane_.push_back(static_cast<int32_t>(lane / kBlock * kBlock + real / conv_.outPerGroup * conv_.inPerGroup % kBlock));
    }
    // Runs of nearly equal size; more of them where panels are few.
    const int64_t perTask = std::max<int64_t>(1, kTaskVectors / std::max<int64_t>(1, out_.w * conv_.kh * conv_.kw * conv_.inPerGroup));
    const int64_t runs = std::max((out_.h + perTask - 1) / perTask, (conv_.wantedTasks + panels_ - 1) / panels_);
    rowsPerTask_ = ((out_.h + runs - 1) / runs + rowsAtOnce_ - 1) / rowsAtOnce_ * rowsAtOnce_;
    runs_ = (out_.h + rowsPerTask_ - 1) / rowsPerTask_;
    panelsPerTask_ = runs_ > 1 ? 1 : std::clamp<int64_t>(perTask / out_.h, 1, std::max<int64_t>(1, panels_ / conv_.wantedTasks));
  }

  const ConvOfParts* ofParts() const override { return depthwise_ ? this : nullptr; }
  int64_t blocksTogether() const override { return panelBlocks_; }
  Range RowsRead(Range rows) const override {
    const int64_t first = rows.begin * conv_.stride[0] - conv_.padding.top;
    const int64_t end = (rows.end - 1) * conv_.stride[0] - conv_.padding.top + (conv_.kh - 1) * conv_.dilation[0] + 1;
    return {std::clamp<int64_t>(first, 0, in_.h), std::clamp<int64_t>(end, 0, in_.h)};
  }
  int64_t ownFloats() const override {
    const int64_t rows = (rowsPerTask_ - 1) * conv_.stride[0] + (conv_.kh - 1) * conv_.dilation[0] + 1;
    return copies() ? panelBlocks_ * std::min(rows, in_.h) * copiedRow() : 0;
  }
  void RunBlocks(Range blocks, Range rows, const float* packed, InBlocks<const float> in, float* own, InBlocks<float> out) const override {
    for (int64_t b = blocks.begin; b < blocks.end; b += panelBlocks_) RunPanel(b / panelBlocks_, rows, packed, in, nullptr, own, out);
  }

 protected:
  int64_t packedFloats() const override { return panels_ * panelFloats() + static_cast<int64_t>(firstLane_.size()) * conv_.inPerGroup; }

  void Pack(const float* weight, const float* bias, float* to) const override {
    for (int64_t p = 0; p < panels_; ++p) {
      for (int64_t l = 0; l < lanes_; ++l) *to++ = bias && p * lanes_ + l < out_.c ? bias[p * lanes_ + l] : 0.0f;
      for (int64_t u = 0; u < conv_.inPerGroup; ++u) {
        for (int64_t t = 0; t < taps(); ++t) {
          for (int64_t l = 0; l < lanes_; ++l) {
            const int64_t o = p * lanes_ + l;
            *to++ = o < out_.c ? weight[(o * conv_.inPerGroup + u) * taps() + t] : 0.0f;
          }
        }
      }
    }
    // Which lane of its block each lane takes, unit by unit; integers in the place of floats.
    int32_t* places = reinterpret_cast<int32_t*>(to);
    for (size_t panel = 0; panel < firstLane_.size(); panel += static_cast<size_t>(lanes_)) {
      for (int32_t u = 0; u < conv_.inPerGroup; ++u) {
        for (size_t l = 0; l < static_cast<size_t>(lanes_); ++l) *places++ = firstLane_[panel + l] + u;
      }
    }
  }

  void RunImage(Team& team, const float* packed, const float* in, const float* residual, float* out, float*) const override {
    const int64_t groups = (panels_ + panelsPerTask_ - 1) / panelsPerTask_;
    // Run by run: a thread reads the rows that it most likely wrote.
    team.Run(groups * runs_, [&](int64_t task, int) {
      const int64_t group = task % groups, run = task / groups;
      float* own = ThreadScratch(static_cast<size_t>(ownFloats()));
      for (int64_t p = group * panelsPerTask_; p < std::min(panels_, (group + 1) * panelsPerTask_); ++p) {
        RunPanel(p, {run * rowsPerTask_, std::min(out_.h, (run + 1) * rowsPerTask_)}, packed, {in, in_.plane() * kBlock}, residual, own, {out, out_.plane() * kBlock});
      }
    });
  }

 private:
  int64_t taps() const { return conv_.kh * conv_.kw; }
  int64_t panelFloats() const { return lanes_ * (1 + conv_.inPerGroup * taps()); }

  static bool IsDepthwise(const Conv& c) { return c.inPerGroup == 1 && c.outPerGroup == 1; }
  static int64_t TracksOf(const Conv& c, size_t axis) { return c.stride[axis] == 1 ? c.dilation[axis] : 1; }
  // 0: no kernel slides over this one.
  static int64_t RowsAtOnce(const Conv& c) {
    const bool evenSteps = c.stride[0] == c.stride[1] && c.dilation[0] == TracksOf(c, 0) && c.dilation[1] == TracksOf(c, 1);
    if (!evenSteps || c.kh != c.kw || c.stride[0] > 2) return 0;
    return c.table.LanewiseRows(static_cast<int>(c.kh), static_cast<int>(c.stride[0]), !IsDepthwise(c));
  }

  bool copies() const { return !slides_ && (conv_.padding.left > 0 || conv_.padding.right > 0); }
  int64_t copiedRow() const { return (conv_.padding.left + in_.w + conv_.padding.right) * kBlock; }

  // own: as many floats as ownFloats says.
  void RunPanel(int64_t panel, Range rows, const float* packed, InBlocks<const float> in, const float* residual, float* own, InBlocks<float> out) const {
    const int64_t first = panel * panelBlocks_, from = InputBlock(conv_, first);
    in.at += from * in.block;
    // 0: no second block, or the same.
    const int64_t toSecond = panelBlocks_ > 1 && first + 1 < out_.blocks ? InputBlock(conv_, first + 1) - from : 0;
    if (!copies()) return RunRows(panel, rows, packed, {in.at, toSecond * in.block}, in_.w * kBlock, conv_.padding.left, residual, out);
    for (int64_t y = rows.begin; y < rows.end; y += rowsPerTask_) {
      const Range some = {y, std::min(rows.end, y + rowsPerTask_)}, read = RowsRead(some);
      const int64_t block = read.size() * copiedRow();
      for (int64_t b = 0; b <= toSecond; ++b) {
        CopyRows(in.at + b * in.block, in_.h, in_.w * kBlock, read.begin, read.size(), conv_.padding.left * kBlock, copiedRow(), own + b * block);
      }
      RunRows(panel, some, packed, {own - read.begin * copiedRow(), toSecond * block}, copiedRow(), 0, residual, out);
    }
  }

  // in: the panel's first block, and how far it is to the second, of rows of `row` floats, with `left` columns of padding before them that are not there.
  void RunRows(int64_t panel, Range rows, const float* packed, InBlocks<const float> in, int64_t row, int64_t left, const float* residual, InBlocks<float> out) const {
    const int64_t first = panel * panelBlocks_;
    LanewiseArgs args = {};
    args.inRow = conv_.dilation[0] * row;
    args.zeros = zeros_.data();
    args.pixel = columnTracks_ * kBlock;
    args.inSecond = in.block;
    args.outSecond = panelBlocks_ > 1 && first + 1 < out_.blocks ? out.block : 0;
    args.kernelRows = static_cast<int>(conv_.kh);
    args.kernelColumns = static_cast<int>(conv_.kw);
    args.stride = conv_.stride[1];
    args.dilation = conv_.dilation[1] / columnTracks_;
    args.evenSteps = slides_;
    args.units = static_cast<int>(conv_.inPerGroup);
    args.places = depthwise_ ? nullptr : reinterpret_cast<const int32_t*>(packed + panels_ * panelFloats()) + panel * lanes_ * conv_.inPerGroup;
    args.bias = packed + panel * panelFloats();
    args.weights = args.bias + lanes_;
    args.outRow = rowTracks_ * out_.w * kBlock;
    args.activation = conv_.epilogue.fused.From(first * kBlock);
    for (int64_t track = rows.begin; track < std::min(rows.end, rows.begin + rowTracks_); ++track) {
      for (int64_t y = track; y < rows.end; y += args.rows * rowTracks_) {
        args.rows = static_cast<int>(std::min(rowsAtOnce_, (rows.end - y + rowTracks_ - 1) / rowTracks_));
        // Rows of taps from `top` on, of which those before the image and after it are left out.
        const int64_t top = y * conv_.stride[0] - conv_.padding.top, step = conv_.dilation[0];
        args.rowBegin = static_cast<int>(top < 0 ? (-top + step - 1) / step : 0);
        args.rowEnd = static_cast<int>(std::max<int64_t>(0, (in_.h - top + step - 1) / step));
        const int64_t place = first * out.block + y * out_.w * kBlock;
        RunColumns(&args, in.at + top * row, left, residual ? residual + place : nullptr, out.at + place);
      }
    }
  }

  // Of some rows, from column 0 of the image on.
  void RunColumns(LanewiseArgs* args, const float* in, int64_t left, const float* residual, float* out) const {
    for (int64_t track = 0; track < std::min(out_.w, columnTracks_); ++track) {
      // The window of the first output begins at this column of the image, which is one of a track of the input.
      const int64_t column = track - left, begin = (column % columnTracks_ + columnTracks_) % columnTracks_;
      args->left = (begin - column) / columnTracks_;
      args->columns = std::max<int64_t>(0, (in_.w - begin + columnTracks_ - 1) / columnTracks_);
      args->pixels = (out_.w - track + columnTracks_ - 1) / columnTracks_;
      args->in = in + begin * kBlock;
      args->out = out + track * kBlock;
      args->residual = residual ? residual + track * kBlock : nullptr;
      conv_.table.Lanewise(*args);
    }
  }

  // Multiply-adds of vectors that are worth a task: some 10 us.
  static constexpr int64_t kTaskVectors = 30000;

  int64_t panelBlocks_, lanes_, panels_;
  bool depthwise_, slides_;
  int64_t rowsAtOnce_;
  int64_t rowTracks_ = 1, columnTracks_ = 1;
  int64_t rowsPerTask_ = 1, runs_ = 1, panelsPerTask_ = 1;
  std::vector<float> zeros_;
  std::vector<int32_t> firstLane_;  // of each lane's group, in its block of the panel's inputs
};

}  // namespace

Reason AcceptsDepthwise(const Conv& c) {
  return c.groups > 1 && c.inPerGroup == 1 && c.outPerGroup == 1 ? "" : "more than one channel per group";
}

Reason AcceptsSmallGroups(const Conv& c) {
  if (c.groups == 1) return "one group";
  if (AcceptsDepthwise(c).empty()) return "one channel per group";
  if (c.inPerGroup > kBlock) return "more than 8 input channels per group";
  if (c.kh * c.kw == 1 && c.inPerGroup > 1) return "a 1x1 kernel, which would permute for every product";
  if (c.inPerGroup == kBlock && c.outPerGroup % (c.table.tileBlocks * kBlock) == 0) return "groups fill whole tiles";
  for (int64_t b = 0; b < c.y.blocks; ++b) {
    if (InputBlock(c, b) < 0) return "groups across blocks of 8 channels";
  }
  return "";
}

double CostDepthwise(const Conv& c) {
  const int64_t panels = (c.y.blocks + c.table.panelBlocks - 1) / c.table.panelBlocks;
  const double products = static_cast<double>(panels * c.y.plane() * c.kh * c.kw * c.inPerGroup);
  // Plain images are brought into blocks and back.
  const double moved = (c.x.blocked ? 0 : c.x.blockedFloats() / c.x.n) + (c.y.blocked ? 0 : c.y.blockedFloats() / c.y.n);
  return 1.2 * products + StreamCost(c.table, static_cast<double>(c.y.blocks * kBlock * c.kh * c.kw * c.inPerGroup) + moved);
}
double CostSmallGroups(const Conv& c) { return CostDepthwise(c); }

std::unique_ptr<ConvStep> MakeDepthwise(const Conv& conv) { return std::make_unique<Lanewise>(conv); }
std::unique_ptr<ConvStep> MakeSmallGroups(const Conv& conv) { return std::make_unique<Lanewise>(conv); }

}  // namespace xcorr
