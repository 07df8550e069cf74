// The addon's exports. Thin: read arguments, call, give back. src/backends/addon.ts has the types.
#include <napi.h>

#include <algorithm>
#include <chrono>

#include "../runtime/arena.h"
#include "../runtime/cpu.h"
#include "../runtime/threadTeam.h"
#include "arguments.h"
#include "programObject.h"

namespace xcorr {
namespace {

struct Operands {
  std::vector<TensorDesc> types;
  std::vector<void*> data;
};

// Tensors: { dtype, shape, data }.
Operands ReadTensors(const Napi::Value& value) {
  Operands operands;
  if (!value.IsArray()) throw Napi::TypeError::New(value.Env(), "xcorr addon: expected an array of tensors");
  const Napi::Array list = value.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Value entry = list.Get(i);
    operands.types.push_back(ReadType(entry));
    operands.data.push_back(BytesOf(entry.As<Napi::Object>().Get("data"), operands.types.back().Bytes(), "a tensor"));
  }
  return operands;
}

constexpr size_t kSmallBytes = 128 << 10, kMostKeptBytes = 32 << 20;

// run(isa, threads, op, attrs, inputs, outputs): one op, now. Gives why it was declined, or undefined if it ran.
Napi::Value RunOp(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Problem problem;
  problem.kernels = &ReadTable(info[0]);
  const int threads = ReadThreads(info[1]);
  problem.op = info[2].ToString().Utf8Value();
  problem.attributes = ReadAttributes(info[3]);
  const Operands inputs = ReadTensors(info[4]), outputs = ReadTensors(info[5]);
  problem.inputs = inputs.types;
  problem.outputs = outputs.types;
  problem.constants.resize(inputs.data.size());
  const MakeStepFn make = FindOp(problem.op);
  if (make == nullptr) return Napi::String::New(env, "no native kernel");
  try {
    const std::unique_ptr<Step> step = make(problem);
    // Kept from call to call: fresh memory would cost a page fault for every 4 KB.
    static thread_local AlignedBuffer kept;
    if (step->scratchBytes() > kept.bytes()) kept = AlignedBuffer(step->scratchBytes());
    // Waking threads takes longer than a small op.
    size_t bytes = 0;
    for (const TensorDesc& t : problem.inputs) bytes += t.Bytes();
    for (const TensorDesc& t : problem.outputs) bytes += t.Bytes();
    TeamLease lease(bytes < kSmallBytes ? 1 : threads);
    step->Run(lease.team(), inputs.data.data(), outputs.data.data(), kept.data());
    if (kept.bytes() > kMostKeptBytes) kept = AlignedBuffer();
  } catch (const Declined& declined) {
    return Napi::String::New(env, declined.what());
  } catch (const std::bad_alloc&) {
    throw Napi::RangeError::New(env, "xcorr addon: out of memory");
  }
  return env.Undefined();
}

// peak(isa): multiply-adds times two, in 10^9 a second, that one core can do with an instruction set; the best of a few tries of a millisecond or two.
Napi::Value PeakOf(const Napi::CallbackInfo& info) {
  const KernelTable& table = ReadTable(info[0]);
  float out[16];
  double best = 0;
  for (int attempt = 0; attempt < 8; ++attempt) {
    int64_t multiplyAdds = 0;
    const auto before = std::chrono::steady_clock::now();
    table.Peak({300000, out, &multiplyAdds});
    const double nanoseconds = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - before).count();
    best = std::max(best, 2 * static_cast<double>(multiplyAdds) / nanoseconds);
  }
  return Napi::Number::New(info.Env(), best);
}

Napi::Array Names(Napi::Env env, const std::vector<std::string>& names) {
  const Napi::Array list = Napi::Array::New(env, names.size());
  for (size_t i = 0; i < names.size(); ++i) list.Set(static_cast<uint32_t>(i), names[i]);
  return list;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  std::vector<std::string> isas;
  for (const KernelTable* table : SupportedTables()) isas.push_back(table->name);
  exports.Set("isas", Names(env, isas));
  exports.Set("ops", Names(env, OpNames()));
  exports.Set("threads", DefaultThreads());
  exports.Set("run", Napi::Function::New(env, RunOp, "run"));
  exports.Set("peak", Napi::Function::New(env, PeakOf, "peak"));
  DefineProgram(env, exports);
  return exports;
}

}  // namespace
}  // namespace xcorr

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) { return xcorr::Init(env, exports); }
NODE_API_MODULE(xcorr, InitAddon)
