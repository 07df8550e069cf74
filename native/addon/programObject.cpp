#include "programObject.h"

#include <atomic>
#include <memory>

#include "../runtime/threadTeam.h"
#include "arguments.h"
#include "environment.h"

namespace xcorr {
namespace {

// A run's memory and its flag. Goes back to the program when the last holder (the JavaScript object, a job) lets go.
struct ArenaState {
  explicit ArenaState(std::shared_ptr<Program> p) : program(std::move(p)), memory(program->TakeArena()) {}
  ~ArenaState() { program->ReturnArena(std::move(memory)); }
  ArenaState(const ArenaState&) = delete;
  ArenaState& operator=(const ArenaState&) = delete;
  std::shared_ptr<Program> program;
  AlignedBuffer memory;
  std::atomic<bool> cancelled{false};
  std::atomic<bool> busy{false};
};

using ArenaHolder = std::shared_ptr<ArenaState>;
constexpr napi_type_tag kArenaTag = {0x7863'6f72'7261'7265ULL, 0x6e61'2d73'7461'7465ULL};

class ProgramObject : public Napi::ObjectWrap<ProgramObject> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Program",
                       {InstanceMethod("open", &ProgramObject::Open), InstanceMethod("run", &ProgramObject::RunSteps),
                        InstanceMethod("runAsync", &ProgramObject::RunStepsAsync), InstanceMethod("read", &ProgramObject::Read),
                        InstanceMethod("write", &ProgramObject::Write), InstanceMethod("cancel", &ProgramObject::Cancel),
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

  struct Range {
    size_t first, last;
  };
  Range ReadRange(const Napi::CallbackInfo& info) {
    const Program& program = Get(info.Env());
    const Range range = {ReadIndex(info[1], program.stepCount() + 1, "a step"), ReadIndex(info[2], program.stepCount() + 1, "a step")};
    for (size_t s = range.first; s < range.last; ++s) {
      if (!program.has(s)) throw Napi::Error::New(info.Env(), "xcorr addon: no native kernel for step " + std::to_string(s));
    }
    return range;
  }

  // (arena, first, last)
  Napi::Value RunSteps(const Napi::CallbackInfo& info) {
    const Range range = ReadRange(info);
    ArenaState& arena = Arena(info[0]);
    program_->Run(arena.memory, range.first, range.last, threads_, nullptr, nullptr);
    return info.Env().Undefined();
  }

  // (arena, first, last, timed) -> Promise<false | number[]>: false if it was cancelled, else milliseconds per step if timed
  Napi::Value RunStepsAsync(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const Range range = ReadRange(info);
    Arena(info[0]);
    auto times = std::make_shared<std::vector<double>>(info[3].ToBoolean().Value() ? program_->stepCount() : 0);
    const ArenaHolder arena = Holder(info[0]);
    const auto environment = Environment::Of(env);
    auto deferred = std::make_shared<Napi::Promise::Deferred>(env);
    environment->Begin(env);
    arena->busy = true;
    Submit([arena, range, threads = threads_, times, environment, deferred] {
      if (environment->closed()) return;  // queued by a worker that was terminated since
      double* into = times->empty() ? nullptr : times->data();
      const bool ended = arena->program->Run(arena->memory, range.first, range.last, threads, &arena->cancelled, into);
      environment->Post([arena, ended, times, environment, deferred](Napi::Env home) {
        arena->busy = false;
        environment->End(home);
        if (!ended) {
          deferred->Resolve(Napi::Boolean::New(home, false));
          return;
        }
        const Napi::Array list = Napi::Array::New(home, times->size());
        for (size_t s = 0; s < times->size(); ++s) list.Set(static_cast<uint32_t>(s), (*times)[s]);
        deferred->Resolve(list);
      });
    });
    return deferred->Promise();
  }

  // (arena, value, typed array): the value's elements into the array
  Napi::Value Read(const Napi::CallbackInfo& info) {
    ArenaState& arena = Arena(info[0]);
    const size_t value = ReadArenaValue(info[1]);
    const TensorDesc& type = program_->type(value);
    program_->Read(arena.memory, value, BytesOf(info[2], static_cast<size_t>(type.Elements()) * SizeOf(type.dtype), "a result"));
    return info.Env().Undefined();
  }

  // (arena, value, typed array): the array into the value
  Napi::Value Write(const Napi::CallbackInfo& info) {
    ArenaState& arena = Arena(info[0]);
    const size_t value = ReadArenaValue(info[1]);
    const TensorDesc& type = program_->type(value);
    program_->Write(arena.memory, value, BytesOf(info[2], static_cast<size_t>(type.Elements()) * SizeOf(type.dtype), "an input"));
    return info.Env().Undefined();
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
  int64_t held_ = 0;
};

}  // namespace

void DefineProgram(Napi::Env env, Napi::Object exports) { exports.Set("Program", ProgramObject::Define(env)); }

}  // namespace xcorr
