// conv2d: the list of algorithms, and what surrounds them all.
//
//   planes      few channels, in plain images: vectors of pixels, no blocks
//   pointwisePlanes
//               1x1 in plain images: a product of matrices, lanes along the pixels
//   depthwisePlanes
//               one input channel per output channel, in plain images: vectors of pixels as well
//   depthwise   the same in blocks: every lane of a block of 8 channels has weights of its own
//   smallGroups the same with a few input channels per group, all of them in one block
//   stem        few input channels in a plain image: read as they are, no reorder
//   dots        few output channels, lanes along the input channels
//   grouped     groups that do not fill blocks of 8: a panel of output channels takes all input channels of its groups
//   winograd4   small kernels: tiles of 4x4 outputs, of 3x3 by 36 products instead of 144, with stride 2 by 81; of a stem of 7x7 by 169 instead of 784
//   winograd2   tiles of 2x2: of 5x5 by 36 products instead of 100; small images; of 3x3 with stride 2 by 25 instead of 36
//   strassen    1x1 of many channels: seven products of half the size for every eight
//   pointwise   1x1: all pixels that it reads are one long row
//   direct      everything else
#include "conv2d.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "measureStep.h"

namespace xcorr {
namespace {

struct Algorithm {
  const char* name;
  Layout reads, makes;
  Reason (*accepts)(const Conv&);
  double (*cost)(const Conv&);
  std::unique_ptr<ConvStep> (*make)(const Conv&);
};
// Of those that accept a problem, the one that is expected to be the fastest runs (convCost.h), of equals the first; or the one that proves to be.
#define XCORR_CONV_ALGORITHM(name, Name, reads, makes) {name, Layout::reads, Layout::makes, Accepts##Name, Cost##Name, Make##Name}
constexpr Algorithm kAlgorithms[] = {
    XCORR_CONV_ALGORITHM("planes", Planes, kPlain, kPlain),
    XCORR_CONV_ALGORITHM("pointwisePlanes", PointwisePlanes, kPlain, kPlain),
    XCORR_CONV_ALGORITHM("depthwisePlanes", DepthwisePlanes, kPlain, kPlain),
    XCORR_CONV_ALGORITHM("depthwise", Depthwise, kBlocked, kBlocked),
    XCORR_CONV_ALGORITHM("smallGroups", SmallGroups, kBlocked, kBlocked),
    XCORR_CONV_ALGORITHM("stem", Stem, kPlain, kBlocked),
    XCORR_CONV_ALGORITHM("dots", Dots, kBlocked, kPlain),
    XCORR_CONV_ALGORITHM("grouped", Grouped, kBlocked, kBlocked),
    XCORR_CONV_ALGORITHM("winograd4", Winograd4, kBlocked, kBlocked),
    XCORR_CONV_ALGORITHM("winograd2", Winograd2, kBlocked, kBlocked),
    XCORR_CONV_ALGORITHM("strassen", Strassen, kBlocked, kBlocked),
    XCORR_CONV_ALGORITHM("pointwise", Pointwise, kBlocked, kBlocked),
    XCORR_CONV_ALGORITHM("direct", Direct, kBlocked, kBlocked),
};
#undef XCORR_CONV_ALGORITHM

// Of the reorders around an algorithm that wants other images than there are.
double ReorderCost(const Conv& conv, const Algorithm& algorithm) {
  double floats = 0;
  if (!conv.x.blocked && algorithm.reads == Layout::kBlocked) floats += static_cast<double>(conv.x.blockedFloats());
  if (!conv.y.blocked && algorithm.makes == Layout::kBlocked) floats += static_cast<double>(conv.y.blockedFloats());
  return floats * 0.75 * MultiplyAddsPerCycle(conv.table);
}

// An algorithm that takes the problem, and the time that it is expected to take, or took; in a unit of its own.
struct Candidate {
  const Algorithm* algorithm;
  double time;
};

void SortByTime(std::vector<Candidate>* candidates) {
  std::stable_sort(candidates->begin(), candidates->end(), [](const Candidate& a, const Candidate& b) { return a.time < b.time; });
}

std::vector<Candidate> CandidatesFor(const Conv& conv) {
  std::vector<Candidate> candidates;
  for (const Algorithm& algorithm : kAlgorithms) {
    if (algorithm.accepts(conv).empty()) candidates.push_back({&algorithm, algorithm.cost(conv) + ReorderCost(conv, algorithm)});
  }
  SortByTime(&candidates);
  return candidates;
}

// Tries the candidates that are expected to take at most twice as long as the first; the others fall out.
void Try(const Problem& problem, const Conv& conv, std::vector<Candidate>* candidates) {
  const double most = 2 * candidates->front().time;
  candidates->erase(std::remove_if(candidates->begin(), candidates->end(), [&](const Candidate& c) { return c.time > most; }), candidates->end());
  if (candidates->size() < 2) return;
  for (Candidate& candidate : *candidates) {
    ConstantMemory memory;
    Problem trial = problem;
    trial.memory = &memory;
    const std::unique_ptr<ConvStep> step = candidate.algorithm->make(conv);
    step->Prepare(trial);
    AlignedBuffer buffer;
    step->PackPart(0, &buffer);
    candidate.time = MeasureStep(trial, *step);
  }
  SortByTime(candidates);
}

std::string WhyNotOthers(const Conv& conv, const std::vector<Candidate>& candidates, bool tried) {
  std::string why;
  for (const Algorithm& other : kAlgorithms) {
    if (&other == candidates.front().algorithm) continue;
    std::string reason = other.accepts(conv);
    if (reason.empty()) reason = "expected to take more than twice the time";
    for (const Candidate& c : candidates) {
      if (c.algorithm != &other) continue;
      reason = (tried ? "takes " : "expected to take ") + std::to_string(std::lround(100 * c.time / candidates.front().time)) + " % of the time";
    }
    why += (why.empty() ? "" : "; ") + std::string(other.name) + ": " + reason;
  }
  return why;
}

}  // namespace

Conv::Conv(const Problem& p)
    : x(p.inputs[0]), y(p.outputs[0]), weight(p.inputs[1]), stride(p.attributes.Ints("stride")), dilation(p.attributes.Ints("dilation")),
      groups(p.attributes.Int("groups", 1)), wantedTasks(std::clamp(4 * p.choices.threads, 16, 64)), winograd(p.choices.winograd),
      constantWeight(static_cast<bool>(p.constants[1])), epilogue(p.attributes), table(*p.kernels) {
  const std::vector<int64_t> pads = p.attributes.Ints("padding");
  padding = {pads[0], pads[1], pads[2], pads[3]};
  kh = weight.shape[2];
  kw = weight.shape[3];
  inPerGroup = weight.shape[1];
  outPerGroup = weight.shape[0] / groups;
  hasResidual = p.attributes.Flag("residual");
  const size_t end = p.inputs.size() - (hasResidual ? 1 : 0);
  hasBias = end > 2;
  residualInput = p.inputs.size() - 1;
  if (hasResidual) residualBlocked = p.inputs[residualInput].layout == Layout::kBlocked;
}

ConvStep::ConvStep(const Conv& conv, bool plainInput, Copy copy, bool plainOutput) : conv_(conv), in_(conv.x), out_(conv.y), source_(conv.x), copy_(copy) {
  in_.blocked = source_.blocked = !plainInput;
  out_.blocked = !plainOutput;
  if (copy_ == Copy::kPadded && !conv.padding.any()) copy_ = Copy::kNone;
  if (copy_ == Copy::kPicked && conv.stride[0] == 1 && conv.stride[1] == 1) copy_ = Copy::kNone;
  if (copy_ != Copy::kPicked) return;
  in_.h = out_.h;
  in_.w = out_.w;
}

int64_t ConvStep::Reserve(bool needed, int64_t floats) {
  const int64_t at = scratchFloats_;
  if (needed) scratchFloats_ += (floats + 15) / 16 * 16;
  return needed ? at : -1;
}

void ConvStep::Prepare(const Problem& p) {
  blockedIn_ = Reserve(source_.blocked && !conv_.x.blocked, source_.blockedFloats());
  copied_ = Reserve(copy_ != Copy::kNone, areas() * PaddedFloats(in_, conv_.padding));
  reorderedResidual_ = Reserve(conv_.hasResidual && conv_.residualBlocked != out_.blocked, out_.blockedFloats());
  blockedOut_ = Reserve(out_.blocked && !conv_.y.blocked, out_.blockedFloats());
  workAt_ = Reserve(workFloats() > 0, areas() * workFloats());
  constant_ = p.constants[1] && (!conv_.hasBias || p.constants[2]);
  packedAt_ = Reserve(!constant_, packedFloats());
  if (!constant_) return;
  weight_ = p.constants[1];
  if (conv_.hasBias) bias_ = p.constants[2];
  packed_ = p.memory->TakeFloats(packedFloats());
}

void ConvStep::PackPart(int64_t, AlignedBuffer* buffer) {
  AlignedBuffer biases;
  Pack(weight_.Floats(buffer), bias_ ? bias_.Floats(&biases) : nullptr, packed_);
}

void ConvStep::Run(Team& team, const void* const* inputs, void* const* outputs, void* scratch) const {
  float* area = static_cast<float*>(scratch);
  const float* data = packed_;
  if (!constant_) {
    Pack(static_cast<const float*>(inputs[1]), conv_.hasBias ? static_cast<const float*>(inputs[2]) : nullptr, area + packedAt_);
    data = area + packedAt_;
  }
  const float* in = static_cast<const float*>(inputs[0]);
  if (blockedIn_ >= 0) {
    PlainToBlocked(conv_.table, team, source_, in, area + blockedIn_);
    in = area + blockedIn_;
  }
  const float* residual = conv_.hasResidual ? static_cast<const float*>(inputs[conv_.residualInput]) : nullptr;
  if (reorderedResidual_ >= 0) {
    (out_.blocked ? PlainToBlocked : BlockedToPlain)(conv_.table, team, out_, residual, area + reorderedResidual_);
    residual = area + reorderedResidual_;
  }
  float* out = blockedOut_ >= 0 ? area + blockedOut_ : static_cast<float*>(outputs[0]);
  const int64_t inImage = (source_.blocked ? source_.blocks * kBlock : source_.c) * source_.plane();
  const int64_t outImage = (out_.blocked ? out_.blocks * kBlock : out_.c) * out_.plane();
  const auto run = [&](Team& workers, int64_t n, int64_t own) {
    const float* image = in + n * inImage;
    float* copy = area + copied_ + own * PaddedFloats(in_, conv_.padding);
    if (copy_ == Copy::kPadded) PadImage(workers, in_, conv_.padding, image, copy);
    if (copy_ == Copy::kPicked) PickPixels(workers, source_, conv_.stride[0], conv_.stride[1], in_, image, copy);
    if (copy_ != Copy::kNone) image = copy;
    RunImage(workers, data, image, residual ? residual + n * outImage : nullptr, out + n * outImage, area + workAt_ + own * workFloats());
  };
  if (areas() > 1) {
    team.Run(in_.n, [&](int64_t n, int) {
      SerialTeam alone;
      run(alone, n, n);
    });
  } else {
    for (int64_t n = 0; n < in_.n; ++n) run(team, n, 0);
  }
  if (!conv_.epilogue.rest.empty()) {
    const int64_t planes = out_.n * (out_.blocked ? out_.blocks : out_.c), size = out_.plane() * (out_.blocked ? kBlock : 1);
    team.Run(planes, [&](int64_t plane, int) { conv_.epilogue.ApplyRest(out + plane * size, size); });
  }
  if (blockedOut_ >= 0) {
    BlockedToPlain(conv_.table, team, out_, out, static_cast<float*>(outputs[0]));
  } else if (out_.blocked) {
    // Their weights are zeros, and so are they, but where an input is infinite or the activation moves zero.
    ClearPaddingLanes(out_, out);
  }
}

std::unique_ptr<Step> Make_conv2d(const Problem& problem) { return MakeConv(problem); }

std::unique_ptr<ConvStep> MakeConv(const Problem& problem) {
  for (const TensorDesc& input : problem.inputs) {
    if (input.dtype != DType::kFloat32) throw Declined("kernels are float32");
  }
  const Conv conv(problem);
  std::vector<Candidate> candidates = CandidatesFor(conv);
  if (candidates.empty()) throw Declined("no algorithm");
  const bool tries = problem.choices.tune && problem.constants[1];
  if (tries) Try(problem, conv, &candidates);
  std::unique_ptr<ConvStep> step = candidates.front().algorithm->make(conv);
  step->Prepare(problem);
  step->info.algorithm = candidates.front().algorithm->name;
  // Nobody asks an eager call, which has no memory for constants.
  if (problem.memory) step->info.declined = WhyNotOthers(conv, candidates, tries && candidates.size() > 1);
  return step;
}

}  // namespace xcorr
