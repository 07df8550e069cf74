#include "programObject.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>

#include "../runtime/resultMemory.h"
#include "../runtime/threadTeam.h"
#include "arguments.h"
#include "environment.h"

namespace xcorr {
namespace {

// The memory of one run at a time, and what is known of that run.
struct ArenaState {
  explicit ArenaState(std::shared_ptr<Program> p) : program(std::move(p)), memory(program->NewArena()) {}
  std::shared_ptr<Program> program;
  AlignedBuffer memory;
  std::vector<double> milliseconds;  // per step, if it was timed
  std::atomic<bool> cancelled{false};
  std::atomic<bool> busy{false};
};

// Results from this size on lie in kept memory outside V8's, filled by the run itself; smaller ones are copied when it is over.
constexpr size_t kLargeResult = 32 << 10;
// Inputs from this size on are brought in by the whole team.
constexpr size_t kLargeInput = 256 << 10;

// A length of time that runs have proved to be shorter than; they must take twice as long to lose that. Results do not depend on it.
class Limit {
 public:
  explicit Limit(int microseconds) : limit_(microseconds) {}
  void Took(std::chrono::steady_clock::duration time) {
    if (time < limit_) under_ = true;
    else if (time > 2 * limit_) under_ = false;
  }
  bool under() const { return under_; }

 private:
  const std::chrono::microseconds limit_;
  std::atomic<bool> under_{false};
};

// What the runs of a program have shown.
struct Pace {
  Limit alone{40};     // one thread is done before others have woken
  Limit atOnce{250};   // an asynchronous run is nearly done before it could be handed to another thread and back
};

using ArenaHolder = std::shared_ptr<ArenaState>;
constexpr napi_type_tag kArenaTag = {0x7863'6f72'7261'7265ULL, 0x6e61'2d73'7461'7465ULL};

class ProgramObject : public Napi::ObjectWrap<ProgramObject> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Program",
                       {InstanceMethod("open", &ProgramObject::Open), InstanceMethod("begin", &ProgramObject::Begin), InstanceMethod("run", &ProgramObject::RunSteps),
                        InstanceMethod("runAsync", &ProgramObject::RunStepsAsync), InstanceMethod("read", &ProgramObject::Read),
                        InstanceMethod("write", &ProgramObject::Write), InstanceMethod("cancel", &ProgramObject::Cancel),
                        InstanceMethod("times", &ProgramObject::Times),
                        InstanceMethod("close", &ProgramObject::CloseArena), InstanceMethod("steps", &ProgramObject::Steps),
                        InstanceMethod("dispose", &ProgramObject::Dispose)});
  }

  // (plan, isa, threads, winograd)
  explicit ProgramObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ProgramObject>(info) {
    const Napi::Env env = info.Env();
    threads_ = ReadThreads(info[2]);
    try {
      program_ = std::make_shared<Program>(ReadPlan(info[0]), ReadTable(info[1]), info[3].ToBoolean());
    } catch (const std::bad_alloc&) {
      throw Napi::RangeError::New(env, "xcorr addon: out of memory");
    } catch (const Napi::Error&) {
      throw;
    } catch (const std::exception& error) {
      throw Napi::Error::New(env, std::string("xcorr addon: ") + error.what());
    }
    held_ = static_cast<int64_t>(program_->bytes());
    Napi::MemoryManagement::AdjustExternalMemory(env, held_);
  }

  void Finalize(Napi::Env env) override { Free(env); }

 private:
  Program& Get(Napi::Env env) {
    if (!program_) throw Napi::Error::New(env, "xcorr addon: the program was disposed of");
    return *program_;
  }

  void Free(Napi::Env env) {
    if (!program_) return;
    program_.reset();
    Napi::MemoryManagement::AdjustExternalMemory(env, -held_);
  }

  // () -> arena
  Napi::Value Open(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    Get(env);
    try {
      auto* holder = new ArenaHolder(std::make_shared<ArenaState>(program_));
      const auto arena = Napi::External<ArenaHolder>::New(env, holder, [](Napi::Env, ArenaHolder* h) { delete h; });
      arena.TypeTag(&kArenaTag);
      return arena;
    } catch (const std::bad_alloc&) {
      throw Napi::RangeError::New(env, "xcorr addon: out of memory");
    }
  }

  ArenaHolder& Holder(const Napi::Value& value) {
    if (!value.IsExternal() || !value.As<Napi::External<ArenaHolder>>().CheckTypeTag(&kArenaTag)) {
      throw Napi::TypeError::New(value.Env(), "xcorr addon: expected an arena");
    }
    return *value.As<Napi::External<ArenaHolder>>().Data();
  }

  ArenaState& Arena(const Napi::Value& value) {
    ArenaHolder& holder = Holder(value);
    if (!holder || holder->program != program_ || holder->busy) throw Napi::TypeError::New(value.Env(), "xcorr addon: expected an idle arena of this program");
    return *holder;
  }

  // (arena, [typed array per input]): a run begins
  Napi::Value Begin(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    ArenaState& arena = Arena(info[0]);
    arena.cancelled = false;
    arena.milliseconds.clear();
    const std::vector<size_t>& inputs = Get(env).inputs();
    const Napi::Array data = info[1].As<Napi::Array>();
    if (!info[1].IsArray() || data.Length() != inputs.size()) throw Napi::TypeError::New(env, "xcorr addon: expected one typed array per input");
    for (size_t k = 0; k < inputs.size(); ++k) WriteValue(arena, inputs[k], data.Get(static_cast<uint32_t>(k)), "an input");
    return env.Undefined();
  }

  struct Range {
    size_t first, last;
    bool finish;  // results are wanted
  };
  // (arena, first, last, finish)
  Range ReadRange(const Napi::CallbackInfo& info) {
    const Program& program = Get(info.Env());
    const Range range = {ReadIndex(info[1], program.stepCount() + 1, "a step"), ReadIndex(info[2], program.stepCount() + 1, "a step"), info[3].ToBoolean()};
    for (size_t s = range.first; s < range.last; ++s) {
      if (!program.has(s)) throw Napi::Error::New(info.Env(), "xcorr addon: no native kernel for step " + std::to_string(s));
    }
    return range;
  }

  static size_t ResultBytes(const Program& program, size_t value) {
    const TensorDesc& type = program.type(value);
    return static_cast<size_t>(type.Elements()) * SizeOf(type.dtype);
  }

  // On any thread: the steps, then the results, if they are wanted, to where `into` says; null: not now. False if it was cancelled.
  static bool Execute(ArenaState& arena, const Range& range, int threads, Pace& pace, bool timed, const std::vector<void*>& into) {
    const Program& program = *arena.program;
    const auto before = std::chrono::steady_clock::now();
    TeamLease lease(pace.alone.under() ? 1 : threads);
    if (timed) arena.milliseconds.resize(program.stepCount());
    if (!program.Run(lease.team(), arena.memory, range.first, range.last, &arena.cancelled, timed ? arena.milliseconds.data() : nullptr)) return false;
    if (!range.finish) return true;
    for (size_t k = 0; k < into.size(); ++k) {
      if (into[k]) program.Read(lease.team(), arena.memory, program.results()[k], into[k]);
    }
    const auto took = std::chrono::steady_clock::now() - before;
    pace.alone.Took(took);
    pace.atOnce.Took(took);
    return true;
  }

  // Large results of an asynchronous run, per result; nothing for small ones.
  struct LargeResults {
    LargeResults(const Program& program, bool wanted) {
      for (size_t k = 0; wanted && k < program.results().size(); ++k) {
        const size_t bytes = ResultBytes(program, program.results()[k]);
        memory.push_back(bytes < kLargeResult ? AlignedBuffer() : TakeResultMemory(bytes));
        into.push_back(memory.back().data());
      }
    }
    std::vector<AlignedBuffer> memory;
    std::vector<void*> into;
  };

  // On the JavaScript thread: an ArrayBuffer per result.
  static Napi::Value Results(Napi::Env env, const ArenaState& arena, LargeResults* large) {
    const Program& program = *arena.program;
    const Napi::Array list = Napi::Array::New(env, large->memory.size());
    for (size_t k = 0; k < large->memory.size(); ++k) {
      list.Set(static_cast<uint32_t>(k), large->into[k] ? Adopt(env, std::move(large->memory[k])) : Copy(env, program, arena, program.results()[k]));
    }
    return list;
  }

  static Napi::Value Copy(Napi::Env env, const Program& program, const ArenaState& arena, size_t value) {
    Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, ResultBytes(program, value));
    SerialTeam alone;
    program.Read(alone, arena.memory, value, buffer.Data());
    return buffer;
  }

  // The memory as an ArrayBuffer, given back to the others when V8 is through with it. Node waits for the event loop to turn before it gives
  // anything back.
  static Napi::Value Adopt(Napi::Env env, AlignedBuffer memory) {
    auto* owned = new AlignedBuffer(std::move(memory));
    napi_value buffer;
    const auto giveBack = [](napi_env, void*, void* hint) {
      const std::unique_ptr<AlignedBuffer> holder(static_cast<AlignedBuffer*>(hint));
      ReturnResultMemory(std::move(*holder));
    };
    if (napi_create_external_arraybuffer(env, owned->data(), owned->bytes(), giveBack, owned, &buffer) == napi_ok) return Napi::Value(env, buffer);
    // Some embedders of Node (Electron) allow no memory from outside.
    Napi::ArrayBuffer copy = Napi::ArrayBuffer::New(env, owned->bytes());
    std::memcpy(copy.Data(), owned->data(), owned->bytes());
    giveBack(env, nullptr, owned);
    return copy;
  }

  // (arena, first, last, finish) -> ArrayBuffer per result if finish. All of them V8's own: a loop of such calls may never let the event loop
  // turn.
  Napi::Value RunSteps(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const Range range = ReadRange(info);
    ArenaState& arena = Arena(info[0]);
    std::vector<void*> into;
    const Napi::Array list = Napi::Array::New(env);
    for (size_t k = 0; range.finish && k < program_->results().size(); ++k) {
      Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, ResultBytes(*program_, program_->results()[k]));
      list.Set(static_cast<uint32_t>(k), buffer);
      into.push_back(buffer.Data());
    }
    Execute(arena, range, threads_, *pace_, false, into);
    return list;
  }

  // (arena, first, last, finish, timed) -> false if it was cancelled, else as run; at once, or a promise of it
  Napi::Value RunStepsAsync(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const Range range = ReadRange(info);
    const bool timed = info[4].ToBoolean();
    Arena(info[0]);
    const ArenaHolder arena = Holder(info[0]);
    try {
      auto large = std::make_shared<LargeResults>(*program_, range.finish);
      if (pace_->atOnce.under()) {
        Execute(*arena, range, threads_, *pace_, timed, large->into);
        return Results(env, *arena, large.get());
      }
      return RunElsewhere(env, arena, range, timed, large);
    } catch (const std::bad_alloc&) {
      throw Napi::RangeError::New(env, "xcorr addon: out of memory");
    }
  }

  Napi::Value RunElsewhere(Napi::Env env, const ArenaHolder& arena, const Range& range, bool timed, const std::shared_ptr<LargeResults>& large) {
    const auto environment = Environment::Of(env);
    auto deferred = std::make_shared<Napi::Promise::Deferred>(env);
    environment->Begin(env);
    arena->busy = true;
    Submit([arena, range, threads = threads_, pace = pace_, timed, large, environment, deferred] {
      if (environment->closed()) return;  // queued by a worker that was terminated since
      const bool ended = Execute(*arena, range, threads, *pace, timed, large->into);
      environment->Post([arena, ended, large, environment, deferred](Napi::Env home) {
        arena->busy = false;
        environment->End(home);
        deferred->Resolve(ended ? Results(home, *arena, large.get()) : Napi::Value(Napi::Boolean::New(home, false)));
      });
    });
    return deferred->Promise();
  }

  // (arena) -> milliseconds per step of its run, if that was timed
  Napi::Value Times(const Napi::CallbackInfo& info) {
    const std::vector<double>& times = Arena(info[0]).milliseconds;
    const Napi::Array list = Napi::Array::New(info.Env(), times.size());
    for (size_t s = 0; s < times.size(); ++s) list.Set(static_cast<uint32_t>(s), times[s]);
    return list;
  }

  // (arena, value, typed array): the value's elements into the array
  Napi::Value Read(const Napi::CallbackInfo& info) {
    ArenaState& arena = Arena(info[0]);
    const size_t value = ReadArenaValue(info[1]);
    SerialTeam alone;
    program_->Read(alone, arena.memory, value, BytesOf(info[2], ResultBytes(*program_, value), "a result"));
    return info.Env().Undefined();
  }

  // (arena, value, typed array): the array into the value
  Napi::Value Write(const Napi::CallbackInfo& info) {
    ArenaState& arena = Arena(info[0]);
    WriteValue(arena, ReadArenaValue(info[1]), info[2], "a value");
    return info.Env().Undefined();
  }

  void WriteValue(ArenaState& arena, size_t value, const Napi::Value& data, const char* what) {
    const size_t bytes = ResultBytes(*program_, value);
    const void* from = BytesOf(data, bytes, what);
    TeamLease lease(bytes < kLargeInput ? 1 : threads_);
    program_->Write(lease.team(), arena.memory, value, from);
  }

  size_t ReadArenaValue(const Napi::Value& value) {
    const size_t index = ReadIndex(value, Get(value.Env()).valueCount(), "a value");
    if (program_->isConstant(index)) throw Napi::TypeError::New(value.Env(), "xcorr addon: expected a value of the arena");
    return index;
  }

  // (arena): its run stops before its next step
  Napi::Value Cancel(const Napi::CallbackInfo& info) {
    if (ArenaHolder& holder = Holder(info[0])) holder->cancelled = true;
    return info.Env().Undefined();
  }

  // (arena): gives its memory back now instead of at the next garbage collection
  Napi::Value CloseArena(const Napi::CallbackInfo& info) {
    Holder(info[0]).reset();
    return info.Env().Undefined();
  }

  // () -> [{ algorithm, declined } | { declined } without an algorithm]
  Napi::Value Steps(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const Program& program = Get(env);
    const Napi::Array list = Napi::Array::New(env, program.stepCount());
    for (size_t s = 0; s < program.stepCount(); ++s) {
      const Napi::Object entry = Napi::Object::New(env);
      if (program.has(s)) {
        entry.Set("algorithm", program.info(s).algorithm);
        entry.Set("declined", program.info(s).declined);
      } else {
        entry.Set("declined", program.declined(s));
      }
      list.Set(static_cast<uint32_t>(s), entry);
    }
    return list;
  }

  Napi::Value Dispose(const Napi::CallbackInfo& info) {
    Free(info.Env());
    return info.Env().Undefined();
  }

  std::shared_ptr<Program> program_;
  int threads_ = 1;
  std::shared_ptr<Pace> pace_ = std::make_shared<Pace>();
  int64_t held_ = 0;
};

}  // namespace

void DefineProgram(Napi::Env env, Napi::Object exports) { exports.Set("Program", ProgramObject::Define(env)); }

}  // namespace xcorr
