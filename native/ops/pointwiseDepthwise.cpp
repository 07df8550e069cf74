// pointwiseDepthwise: a 1x1 convolution and the depthwise convolution that reads it, as one step.
//
// The image between them is the largest of a block of MobileNet's, and is read once. A task makes some of its channels, in so many rows that they fill at
// most a part of the second cache, and makes of them the same channels of the result. Rows at the edge of a task are made by its neighbours as well.
//
// Where that is not possible or does not pay, the two run one after the other.
#include <algorithm>
#include <vector>

#include "../runtime/cpu.h"
#include "conv2d.h"

namespace xcorr {
namespace {

// x, weight, bias, weight, bias; the image between.
Problem PointwiseOf(const Problem& p, const TensorDesc& between) {
  Problem first = p;
  first.op = "conv2d";
  first.attributes = p.attributes.Of("pointwise");
  first.inputs.resize(3);
  first.constants.resize(3);
  first.outputs = {between};
  return first;
}
Problem DepthwiseOf(const Problem& p, const TensorDesc& between) {
  Problem second = p;
  second.op = "conv2d";
  second.attributes = p.attributes.Of("depthwise");
  second.inputs = {between, p.inputs[3], p.inputs[4]};
  second.constants = {Constant(), p.constants[3], p.constants[4]};
  return second;
}

TensorDesc Between(const Problem& p) {
  TensorDesc between = p.inputs[0];
  between.layout = Layout::kBlocked;
  between.shape[1] = p.inputs[1].shape[0];
  return between;
}

class PointwiseDepthwise : public Step {
 public:
  explicit PointwiseDepthwise(const Problem& p)
      : between_(Between(p)), pointwise_(MakeConv(PointwiseOf(p, between_))), depthwise_(MakeConv(DepthwiseOf(p, between_))), makes_(pointwise_->byParts()),
        reads_(depthwise_->ofParts()), in_(p.inputs[0]), mid_(between_), out_(p.outputs[0]) {
    info.declined = WhyApart(p);
    together_ = info.declined.empty();
    info.algorithm = pointwise_->info.algorithm + (together_ ? " + " : ", ") + depthwise_->info.algorithm;
    if (together_) return;
    midFloats_ = AlignUp(between_.Bytes()) / sizeof(float);
    scratchBytes_ = AlignUp(between_.Bytes()) + std::max(pointwise_->scratchBytes(), depthwise_->scratchBytes());
  }

  size_t scratchBytes() const override { return scratchBytes_; }
  bool ownsConstant(size_t input) const override { return input < 3 ? pointwise_->ownsConstant(input) : depthwise_->ownsConstant(input - 2); }
  int64_t packParts() const override { return pointwise_->packParts() + depthwise_->packParts(); }
  void PackPart(int64_t part, AlignedBuffer* buffer) override {
    const int64_t first = pointwise_->packParts();
    if (part < first) pointwise_->PackPart(part, buffer);
    else depthwise_->PackPart(part - first, buffer);
  }

  void Run(Team& team, const void* const* inputs, void* const* outputs, void* scratch) const override {
    float* area = static_cast<float*>(scratch);
    if (!together_) {
      void* between[] = {area};
      pointwise_->Run(team, inputs, between, area + midFloats_);
      const void* second[] = {area, inputs[3], inputs[4]};
      depthwise_->Run(team, second, outputs, area + midFloats_);
      return;
    }
    const float* in = static_cast<const float*>(inputs[0]);
    float* out = static_cast<float*>(outputs[0]);
    for (int64_t n = 0; n < in_.n; ++n) {
      RunImage(team, in + n * in_.blocks * in_.plane() * kBlock, out + n * out_.blocks * out_.plane() * kBlock, area);
    }
    ClearPaddingLanes(out_, out);
  }

 private:
  // Empty: they run together. Decides the number of runs of rows, too.
  std::string WhyApart(const Problem& p) {
    if (!makes_ || !reads_) return "by algorithms that know no parts";
    if (!in_.blocked || !out_.blocked) return "plain images";
    if (pointwise_->packParts() == 0 || depthwise_->packParts() == 0) return "weights that change";
    for (const char* which : {"pointwise", "depthwise"}) {
      const Epilogue epilogue(p.attributes.Of(which));
      if (!epilogue.rest.empty() || !epilogue.zeroStaysZero) return "an activation in a pass of its own";
    }
    int64_t blocks = 0;
    for (int64_t part = 0; part < makes_->parts(); ++part) {
      int64_t own = 0;
      made_.push_back(makes_->BlocksOf(part));
      for (const Range& range : made_.back()) {
        if (range.begin % reads_->blocksTogether() != 0) return "channels that are made in other groups than they are read";
        own += range.size();
      }
      blocks = std::max(blocks, own);
    }
    const int64_t near = static_cast<int64_t>(SecondCacheBytes()) * kShareOfCache / 8, row = mid_.w * kBlock * 4;
    runs_ = std::clamp<int64_t>((mid_.h * row * (blocks + in_.blocks) + near - 1) / near, 1, out_.h);
    Rows rows = CountRows();
    // Kernels that reach far read as many rows again: better the image itself is read from afar for each part.
    if (rows.madeTwice(mid_.h) && mid_.h * row * blocks <= near) {
      runs_ = 1;
      rows = CountRows();
    }
    if (runs_ > 1 && makes_->wholePlanes()) return "planes that are made whole";
    midFloats_ = static_cast<size_t>(blocks * rows.most * mid_.w * kBlock);
    scratchBytes_ = static_cast<size_t>(makes_->sharedFloats()) * sizeof(float);
    return rows.madeTwice(mid_.h) ? "too many rows that would be made twice" : "";
  }

  // Of the image between, that the runs read: all together, and the run that reads most.
  struct Rows {
    int64_t all, most;
    bool madeTwice(int64_t height) const { return 8 * (all - height) > height; }
  };
  Rows CountRows() const {
    Rows rows = {0, 0};
    for (int64_t run = 0; run < runs_; ++run) {
      const int64_t read = reads_->RowsRead(Share(out_.h, runs_, run)).size();
      rows.all += read;
      rows.most = std::max(rows.most, read);
    }
    return rows;
  }

  void RunImage(Team& team, const float* in, float* out, float* shared) const {
    makes_->PrepareParts(team, in, shared);
    const int64_t parts = makes_->parts();
    // Run by run: the rows of the input stay in the second cache meanwhile.
    team.Run(parts * runs_, [&](int64_t task, int) {
      const int64_t part = task % parts;
      const Range rows = Share(out_.h, runs_, task / parts), read = reads_->RowsRead(rows);
      float* mid = ThreadScratch(midFloats_ + static_cast<size_t>(std::max(makes_->ownFloats(), reads_->ownFloats())));
      float* own = mid + midFloats_;
      const int64_t block = read.size() * mid_.w * kBlock;
      float* first = mid - read.begin * mid_.w * kBlock;  // where row 0 would be
      makes_->RunPart(part, read, pointwise_->packed(), in, shared, own, {first, block});
      for (const Range& range : made_[static_cast<size_t>(part)]) {
        reads_->RunBlocks(range, rows, depthwise_->packed(), {first - range.begin * block, block}, own, {out, out_.plane() * kBlock});
        first += range.size() * block;
      }
    });
  }

  static constexpr int64_t kShareOfCache = 4;  // of 8

  TensorDesc between_;
  std::unique_ptr<ConvStep> pointwise_, depthwise_;
  const ConvByParts* makes_;
  const ConvOfParts* reads_;
  Image in_, mid_, out_;
  std::vector<std::vector<Range>> made_;  // by part: the blocks of channels
  bool together_ = false;
  int64_t runs_ = 1;
  size_t midFloats_ = 0, scratchBytes_ = 0;
};

}  // namespace

std::unique_ptr<Step> Make_pointwiseDepthwise(const Problem& problem) { return std::make_unique<PointwiseDepthwise>(problem); }

}  // namespace xcorr
