// What a native operation is: a factory that looks at one problem (shapes, attributes, constant inputs) and returns a Step,
// an object that does not change once its constants are packed, and can run any number of times, from several requests at once.
//
//   MakeStep(problem)   chooses an algorithm                                    (once, when a plan is loaded)
//   step->PackPart(...) packs a part of the constant weights                    (once each, before the first run)
//   step->Run(...)      reads the inputs, writes the outputs, uses the scratch  (every run)
//
// An eager call has no constants: it is the first and the last in a row. Nothing here knows about N-API.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "../kernels/table.h"
#include "../runtime/arena.h"
#include "../runtime/team.h"
#include "constant.h"

namespace xcorr {

enum class DType : uint8_t { kFloat32, kFloat64, kFloat16, kInt8, kUint8, kInt32, kInt64, kBool };
size_t SizeOf(DType dtype);

// kPlain:   row-major, (N, C, H, W) for images.
// kBlocked: NCHW8c, stored as [N][ceil(C / 8)][H][W][8]; the shape stays (N, C, H, W). Lanes past C are zero, always:
//           an op that writes a blocked tensor keeps them zero, an op that reads one may rely on it.
enum class Layout : uint8_t { kPlain, kBlocked };
constexpr int64_t kBlock = 8;

struct TensorDesc {
  DType dtype = DType::kFloat32;
  Layout layout = Layout::kPlain;
  std::vector<int64_t> shape;

  int64_t Elements() const;      // of the shape, without padding lanes
  int64_t StoredElements() const;  // what the buffer holds, padding lanes included
  size_t Bytes() const { return static_cast<size_t>(StoredElements()) * SizeOf(dtype); }
};

// The attributes of one node, as plain data. Nested objects arrive flattened: activation.kind, activation.min.
class Attributes {
 public:
  void Set(const std::string& name, double value) { numbers_[name] = {value}; }
  void Set(const std::string& name, std::vector<double> values) { numbers_[name] = std::move(values); }
  void Set(const std::string& name, std::string text) { texts_[name] = std::move(text); }

  bool Has(const std::string& name) const { return numbers_.count(name) != 0 || texts_.count(name) != 0; }
  double Number(const std::string& name, double fallback) const;
  int64_t Int(const std::string& name, int64_t fallback) const;
  bool Flag(const std::string& name) const { return Number(name, 0) != 0; }
  std::vector<int64_t> Ints(const std::string& name) const;      // empty if absent
  std::vector<double> Numbers(const std::string& name) const;    // likewise
  std::string Text(const std::string& name, const std::string& fallback = "") const;
  // Those of a nested object, by the names that they have in it.
  Attributes Of(const std::string& object) const;

 private:
  std::map<std::string, std::vector<double>> numbers_;
  std::map<std::string, std::string> texts_;
};

// How an op with several algorithms chooses, and for how many threads it cuts its work; that changes no result.
struct Choices {
  bool winograd = true;  // transforms that change the rounding are welcome
  bool tune = false;     // the fastest is found by trying, not by expectation
  int threads = 1;
};

// One node to run: what is known before the first run.
struct Problem {
  std::string op;
  Attributes attributes;
  std::vector<TensorDesc> inputs, outputs;
  std::vector<Constant> constants;  // per input: its data if it never changes, else none; valid until they are packed
  const KernelTable* kernels = nullptr;  // of the chosen instruction set
  Choices choices;
  ConstantMemory* memory = nullptr;      // for packed constants; null if there are no constants
};

// What explain() and profile() print about a step.
struct StepInfo {
  std::string algorithm;  // "direct", "pointwise", ...
  std::string declined;   // why the algorithms before it in the list did not take the problem
};

class Step {
 public:
  virtual ~Step() = default;
  // inputs and outputs in the order of the problem; an input that was constant is null here if the step has taken
  // its own copy (KeepsConstants() false), else the constant's data. Scratch is 64-byte aligned, scratchBytes() long, and dirty.
  virtual void Run(Team& team, const void* const* inputs, void* const* outputs, void* scratch) const = 0;
  virtual size_t scratchBytes() const { return 0; }
  // Packs a part of the constants. Parts may be packed by several threads at once, those of other steps as well; what has to be read goes through
  // the thread's buffer.
  virtual int64_t packParts() const { return 0; }
  virtual void PackPart(int64_t /*part*/, AlignedBuffer* /*buffer*/) {}
  // True if input i, a constant, was copied (packed) by the step and its original data are not needed any more.
  virtual bool ownsConstant(size_t /*input*/) const { return false; }

  StepInfo info;
};

// Thrown by MakeStep when no native algorithm takes the problem; the message says why. The caller then runs the reference. The step of an eager call
// may throw it from Run as well, on the calling thread, where only the data say that it cannot.
struct Declined : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using MakeStepFn = std::unique_ptr<Step> (*)(const Problem& problem);

// The registry, from ops.inc: X(conv2d) declares  std::unique_ptr<Step> Make_conv2d(const Problem&)  in native/ops/conv2d.cpp.
MakeStepFn FindOp(const std::string& name);  // null if there is no native op of that name
std::vector<std::string> OpNames();

}  // namespace xcorr
