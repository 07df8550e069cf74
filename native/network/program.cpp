#include "program.h"

#include <algorithm>
#include <cstring>
#include <exception>

#include "../ops/layout.h"

namespace xcorr {
namespace {

// Bytes that one task copies.
constexpr size_t kCopied = 128 << 10;

class InPlace : public Step {
 public:
  InPlace() { info.algorithm = "in place"; }
  void Run(Team&, const void* const*, void* const*, void*) const override {}
};

}  // namespace

void CopyBytes(Team& team, const void* from, void* to, size_t bytes) {
  team.Run(static_cast<int64_t>((bytes + kCopied - 1) / kCopied), [&](int64_t task, int) {
    const size_t begin = static_cast<size_t>(task) * kCopied;
    std::memcpy(static_cast<uint8_t*>(to) + begin, static_cast<const uint8_t*>(from) + begin, std::min(kCopied, bytes - begin));
  });
}

Program::Program(const Plan& plan, const KernelTable& kernels, const Choices& choices, Team& team)
    : kernels_(kernels), values_(plan.values), inputs_(plan.inputs), results_(plan.results), arenaBytes_(AlignUp(plan.arenaBytes)), images_(plan.images) {
  std::vector<bool> needed(values_.size(), false);
  for (const PlanStep& node : plan.steps) {
    Problem problem;
    problem.op = node.op;
    problem.attributes = node.attributes;
    problem.kernels = &kernels;
    problem.choices = choices;
    problem.memory = &memory_;
    for (size_t i : node.inputs) {
      problem.inputs.push_back(values_[i].type);
      problem.constants.push_back(values_[i].constant);
    }
    for (size_t i : node.outputs) problem.outputs.push_back(values_[i].type);
    std::unique_ptr<Step> step;
    std::string reason;
    if (node.inPlace) {
      step = std::make_unique<InPlace>();
    } else if (const MakeStepFn make = FindOp(node.op)) {
      try {
        step = make(problem);
      } catch (const Declined& declined) {
        reason = declined.what();
      }
    } else {
      reason = "no native kernel";
    }
    for (size_t k = 0; step && k < node.inputs.size(); ++k) {
      if (!step->ownsConstant(k)) needed[node.inputs[k]] = true;
    }
    if (step) scratchBytes_ = std::max(scratchBytes_, AlignUp(step->scratchBytes()));
    steps_.push_back(std::move(step));
    declined_.push_back(reason);
    places_.push_back({node.inputs, node.outputs});
  }
  PackConstants(team);
  constantOf_.assign(values_.size(), nullptr);
  for (size_t i = 0; i < values_.size(); ++i) {
    const Constant constant = values_[i].constant;
    values_[i].constant = {};
    if (!constant || !needed[i]) continue;
    uint8_t* copy = memory_.Take(values_[i].type.Bytes());
    constant.CopyTo(copy);
    constantOf_[i] = copy;
  }
}

void Program::PackConstants(Team& team) {
  std::vector<std::pair<Step*, int64_t>> parts;
  for (const std::unique_ptr<Step>& step : steps_) {
    for (int64_t part = 0; step && part < step->packParts(); ++part) parts.emplace_back(step.get(), part);
  }
  std::vector<AlignedBuffer> buffers(static_cast<size_t>(team.size()));
  std::vector<std::exception_ptr> failures(buffers.size());
  team.Run(static_cast<int64_t>(parts.size()), [&](int64_t p, int thread) {
    const size_t own = static_cast<size_t>(thread);
    try {
      const auto& [step, part] = parts[static_cast<size_t>(p)];
      step->PackPart(part, &buffers[own]);
    } catch (...) {
      failures[own] = std::current_exception();
    }
  });
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

Arena Program::NewArena() const {
  Arena arena;
  arena.memory = AlignedBuffer(arenaBytes_ + scratchBytes_);
  for (size_t i = 0; i < values_.size(); ++i) arena.places.push_back(Home(arena, i));
  for (const StepPlaces& step : places_) {
    arena.inputs.resize(std::max(arena.inputs.size(), step.inputs.size()));
    arena.outputs.resize(std::max(arena.outputs.size(), step.outputs.size()));
  }
  return arena;
}

void* Program::Home(const Arena& arena, size_t value) const {
  if (values_[value].offset >= 0) return arena.memory.data() + values_[value].offset;
  return const_cast<void*>(constantOf_[value]);
}

void Program::Write(Team& team, const Arena& arena, size_t value, const void* plain) const {
  const TensorDesc& type = values_[value].type;
  void* to = arena.places[value];
  if (type.layout == Layout::kPlain) CopyBytes(team, plain, to, type.Bytes());
  else PlainToBlocked(kernels_, team, Image(type), static_cast<const float*>(plain), static_cast<float*>(to));
}

void Program::Read(Team& team, const Arena& arena, size_t value, void* plain) const {
  const TensorDesc& type = values_[value].type;
  const void* from = arena.places[value];
  if (type.layout == Layout::kPlain) CopyBytes(team, from, plain, type.Bytes());
  else BlockedToPlain(kernels_, team, Image(type), static_cast<const float*>(from), static_cast<float*>(plain));
}

bool Program::Lend(Arena& arena, size_t value, void* plain) const {
  if (values_[value].type.layout != Layout::kPlain) return false;
  arena.places[value] = plain;
  return true;
}

void Program::Recall(Arena& arena) const {
  for (const std::vector<size_t>* values : {&inputs_, &results_}) {
    for (size_t i : *values) arena.places[i] = Home(arena, i);
  }
}

void Program::RunStep(Team& team, Arena& arena, size_t step) const {
  const StepPlaces& places = places_[step];
  for (size_t k = 0; k < places.inputs.size(); ++k) arena.inputs[k] = arena.places[places.inputs[k]];
  for (size_t k = 0; k < places.outputs.size(); ++k) arena.outputs[k] = arena.places[places.outputs[k]];
  steps_[step]->Run(team, arena.inputs.data(), arena.outputs.data(), arena.memory.data() + arenaBytes_);
}

}  // namespace xcorr
