// Program: a plan, loaded. Steps in a row over one arena; a run is a loop over them (addon/execution.h).
//
// A program never changes after its construction, so any number of runs may be in flight, each on an arena of its own.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "../ops/op.h"
#include "../runtime/arena.h"

namespace xcorr {

struct PlanValue {
  TensorDesc type;
  int64_t offset = -1;             // in the arena, in bytes; -1: a constant
  Constant constant;               // valid while the program is constructed; it keeps its own copy
};

struct PlanStep {
  std::string op;
  Attributes attributes;
  std::vector<size_t> inputs, outputs;
  bool inPlace = false;  // the outputs lie where the inputs are: nothing to do
};

struct Plan {
  std::vector<PlanValue> values;
  std::vector<PlanStep> steps;
  std::vector<size_t> inputs, results;  // values that a run is given, and that it gives; none is a constant
  size_t arenaBytes = 0;
  // A run is given so many images, one after another, and gives as many; values and steps are of one.
  int64_t images = 1;
};

// The memory of one run at a time, and where the values lie: in it, or in memory lent for a run.
struct Arena {
  AlignedBuffer memory;
  std::vector<void*> places;  // per value
  // Where the inputs and outputs of the step that runs are.
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
};

void CopyBytes(Team& team, const void* from, void* to, size_t bytes);

class Program {
 public:
  Program(const Plan& plan, const KernelTable& kernels, const Choices& choices, Team& team);

  // A step that no kernel took has no Step; the caller runs its reference between two Run calls. declined() says why.
  bool has(size_t step) const { return steps_[step] != nullptr; }
  const std::string& declined(size_t step) const { return declined_[step]; }
  const StepInfo& info(size_t step) const { return steps_[step]->info; }
  size_t stepCount() const { return steps_.size(); }
  size_t valueCount() const { return values_.size(); }
  const TensorDesc& type(size_t value) const { return values_[value].type; }
  bool isConstant(size_t value) const { return values_[value].offset < 0; }
  // Bytes that the program holds: copies of constants and packed weights.
  size_t bytes() const { return memory_.bytes(); }
  int64_t images() const { return images_; }
  const std::vector<size_t>& inputs() const { return inputs_; }
  const std::vector<size_t>& results() const { return results_; }
  Arena NewArena() const;

  // A value as row-major elements, copied into or out of an arena.
  void Write(Team& team, const Arena& arena, size_t value, const void* plain) const;
  void Read(Team& team, const Arena& arena, size_t value, void* plain) const;

  // Until Recall, an input is read or a result is written where its row-major elements are the caller's, and need not be copied. False if the
  // arena keeps it in another layout. Nothing is ever written to an input.
  bool Lend(Arena& arena, size_t value, void* plain) const;
  void Recall(Arena& arena) const;

  // A step that has a kernel.
  void RunStep(Team& team, Arena& arena, size_t step) const;

 private:
  struct StepPlaces {
    std::vector<size_t> inputs, outputs;
  };
  void PackConstants(Team& team);
  void* Home(const Arena& arena, size_t value) const;

  const KernelTable& kernels_;
  ConstantMemory memory_;  // outlives the steps, which keep addresses in it
  std::vector<PlanValue> values_;
  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<StepPlaces> places_;
  std::vector<std::string> declined_;
  std::vector<const void*> constantOf_;  // per value
  std::vector<size_t> inputs_, results_;
  size_t arenaBytes_ = 0, scratchBytes_ = 0;
  int64_t images_ = 1;
};

}  // namespace xcorr
