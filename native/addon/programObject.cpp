#include "programObject.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "../runtime/threadTeam.h"
#include "arguments.h"
#include "environment.h"
#include "meeting.h"
#include "results.h"

namespace xcorr {
namespace {

// Inputs from this size on are brought in by the whole team.
constexpr size_t kLargeInput = 256 << 10;

using ArenaHolder = std::shared_ptr<ArenaState>;

class ProgramObject : public Napi::ObjectWrap<ProgramObject> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Program",
                       {InstanceMethod("open", &ProgramObject::Open), InstanceMethod("begin", &ProgramObject::Begin), InstanceMethod("run", &ProgramObject::RunSteps),
                        InstanceMethod("runWhole", &ProgramObject::RunWhole), InstanceMethod("atOnce", &ProgramObject::AtOnce),
                        InstanceMethod("runAsync", &ProgramObject::RunStepsAsync), InstanceMethod("read", &ProgramObject::Read),
                        InstanceMethod("write", &ProgramObject::Write), InstanceMethod("cancel", &ProgramObject::Cancel),
                        InstanceMethod("times", &ProgramObject::Times),
                        InstanceMethod("close", &ProgramObject::CloseArena), InstanceMethod("steps", &ProgramObject::Steps),
                        InstanceMethod("dispose", &ProgramObject::Dispose)});
  }

  // (plan, isa, threads, winograd, tune)
  explicit ProgramObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ProgramObject>(info) {
    const Napi::Env env = info.Env();
    threads_ = ReadThreads(info[2]);
    try {
      TeamLease lease(threads_);
      program_ = std::make_shared<Program>(ReadPlan(info[0]), ReadTable(info[1]), Choices{info[3].ToBoolean(), info[4].ToBoolean(), threads_}, lease.team());
    } catch (const std::bad_alloc&) {
      throw Napi::RangeError::New(env, "xcorr addon: out of memory");
    } catch (const Napi::Error&) {
      throw;
    } catch (const std::exception& error) {
      throw Napi::Error::New(env, std::string("xcorr addon: ") + error.what());
    }
    pace_ = std::make_shared<Pace>();
    for (size_t s = 0; s < program_->stepCount(); ++s) whole_ = whole_ && program_->has(s);
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
    arenas_.clear();
    program_.reset();
    Napi::MemoryManagement::AdjustExternalMemory(env, -held_);
  }

  // () -> arena: its place among the program's
  Napi::Value Open(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    Get(env);
    try {
      const auto free = std::find(arenas_.begin(), arenas_.end(), nullptr);
      const size_t place = static_cast<size_t>(free - arenas_.begin());
      auto arena = std::make_shared<ArenaState>(program_, threads_);
      if (free == arenas_.end()) arenas_.push_back(std::move(arena));
      else *free = std::move(arena);
      return Napi::Number::New(env, static_cast<double>(place));
    } catch (const std::bad_alloc&) {
      throw Napi::RangeError::New(env, "xcorr addon: out of memory");
    }
  }

  ArenaHolder& Holder(const Napi::Value& value) { return arenas_[ReadIndex(value, arenas_.size(), "an arena")]; }

  ArenaState& Idle(const Napi::Value& value) {
    ArenaHolder& holder = Holder(value);
    if (!holder || holder->busy) throw Napi::TypeError::New(value.Env(), "xcorr addon: expected an idle arena of this program");
    return *holder;
  }

  // (arena, [typed array per input]): a run begins
  Napi::Value Begin(const Napi::CallbackInfo& info) {
    Bring(Idle(info[0]), ReadArrays(info[1], Get(info.Env()).inputs()), false);
    return info.Env().Undefined();
  }

  // Where the elements of typed arrays are, one per value.
  std::vector<void*> ReadArrays(const Napi::Value& list, const std::vector<size_t>& values) {
    std::vector<void*> data;
    if (list.IsUndefined()) return data;
    const Napi::Array arrays = list.As<Napi::Array>();
    if (!list.IsArray() || arrays.Length() != values.size()) throw Napi::TypeError::New(list.Env(), "xcorr addon: expected a typed array per input or result");
    data.reserve(values.size());
    for (size_t value : values) data.push_back(BytesOf(arrays.Get(static_cast<uint32_t>(data.size())), GivenBytes(*program_, value), "an input or a result"));
    return data;
  }

  // A run begins, with its inputs' elements in the arena; or, if `lent`, where they are.
  void Bring(ArenaState& state, const std::vector<void*>& inputs, bool lent) {
    state.cancelled = false;
    state.milliseconds.clear();
    const bool batch = program_->images() > 1;
    state.batch.resize(batch ? inputs.size() : 0);
    Duration copied{0};
    for (size_t k = 0; k < inputs.size(); ++k) {
      const size_t value = program_->inputs()[k];
      if (batch) state.inputs[k] = inputs[k];
      if (lent && (batch || program_->Lend(state.arena, value, inputs[k]))) continue;
      const auto before = std::chrono::steady_clock::now();
      if (batch) state.inputs[k] = CopyOfBatch(value, inputs[k], &state.batch[k]);
      else Write(state, value, inputs[k]);
      if (batch || program_->type(value).layout == Layout::kPlain) copied += std::chrono::steady_clock::now() - before;
    }
    if (!lent && !inputs.empty()) pace_->Copied(copied);
  }

  // The images of a batch go into an arena one by one; until then they lie here.
  void* CopyOfBatch(size_t value, const void* data, AlignedBuffer* copy) {
    const size_t bytes = GivenBytes(*program_, value);
    if (copy->bytes() != bytes) *copy = AlignedBuffer(bytes);
    TeamLease lease = LeaseToCopy(bytes);
    CopyBytes(lease.team(), data, copy->data(), bytes);
    return copy->data();
  }

  // (arena, first, last)
  StepRange ReadRange(const Napi::CallbackInfo& info, bool begins) {
    const Program& program = Get(info.Env());
    if (program.images() > 1 && !begins) throw Napi::TypeError::New(info.Env(), "xcorr addon: a batch runs in one call, which has its inputs");
    const StepRange range = {ReadIndex(info[1], program.stepCount() + 1, "a step"), ReadIndex(info[2], program.stepCount() + 1, "a step")};
    for (size_t s = range.first; s < range.last; ++s) {
      if (!program.has(s)) throw Napi::Error::New(info.Env(), "xcorr addon: no native kernel for step " + std::to_string(s));
    }
    return range;
  }

  // (arena, first, last, results?). The results' memory is V8's own: a loop of such calls may never let the event loop turn.
  Napi::Value RunSteps(const Napi::CallbackInfo& info) {
    const StepRange range = ReadRange(info, false);
    ArenaState& state = Idle(info[0]);
    Execute(state, range, threads_, *pace_, false, ReadArrays(info[3], program_->results()));
    return info.Env().Undefined();
  }

  // (arena, a typed array per result, a typed array per input) -> milliseconds: all steps. A small network takes less time than it would to look into
  // lists of arrays.
  Napi::Value RunWhole(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const Program& program = Get(env);
    ArenaState& state = Idle(info[0]);
    const size_t results = program.results().size(), inputs = program.inputs().size();
    if (info.Length() != 1 + results + inputs) throw Napi::TypeError::New(env, "xcorr addon: expected a typed array per result and input");
    if (!whole_) throw Napi::Error::New(env, "xcorr addon: steps without a native kernel");
    for (size_t k = 0; k < results; ++k) state.results[k] = BytesOf(info[1 + k], GivenBytes(program, program.results()[k]), "a result");
    for (size_t k = 0; k < inputs; ++k) state.inputs[k] = BytesOf(info[1 + results + k], GivenBytes(program, program.inputs()[k]), "an input");
    Bring(state, state.inputs, true);
    const Ran ran = Execute(state, {0, program.stepCount()}, threads_, *pace_, false, state.results);
    return Napi::Number::New(env, std::chrono::duration<double, std::milli>(ran.took).count());
  }

  // () -> whether an asynchronous run may as well be one of all steps at once
  Napi::Value AtOnce(const Napi::CallbackInfo& info) {
    const Program& program = Get(info.Env());
    const bool small = std::all_of(program.results().begin(), program.results().end(), [&](size_t value) { return GivenBytes(program, value) < kLargeResult; });
    return Napi::Boolean::New(info.Env(), small && pace_->atOnce.under());
  }

  // (arena, first, last, finish, inputs?, timed) -> false if it was cancelled, else as run; at once, or a promise of it
  Napi::Value RunStepsAsync(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const bool begins = !info[4].IsUndefined();
    const StepRange range = ReadRange(info, begins);
    ArenaState& state = Idle(info[0]);
    const bool finish = info[3].ToBoolean(), timed = info[5].ToBoolean(), atOnce = pace_->atOnce.under();
    const std::vector<void*> inputs = ReadArrays(info[4], program_->inputs());
    try {
      if (!atOnce) {
        auto large = std::make_shared<LargeResults>(*program_, finish);
        if (begins) Bring(state, inputs, false);
        return RunElsewhere(env, Holder(info[0]), range, timed, large);
      }
      const Results results(env, *program_, finish);
      if (begins) Bring(state, inputs, true);
      if (Execute(state, range, threads_, *pace_, timed, results.into).ended) return results.list;
      return Napi::Boolean::New(env, false);
    } catch (const std::bad_alloc&) {
      throw Napi::RangeError::New(env, "xcorr addon: out of memory");
    }
  }

  Napi::Value RunElsewhere(Napi::Env env, const ArenaHolder& arena, const StepRange& range, bool timed, const std::shared_ptr<LargeResults>& large) {
    const auto environment = Environment::Of(env);
    auto deferred = std::make_shared<Napi::Promise::Deferred>(env);
    environment->Begin(env);
    arena->busy = true;
    auto ended = std::make_shared<bool>(false);
    auto meeting = std::make_shared<Meeting>();
    const auto resolve = [arena, ended, large, environment, deferred](Napi::Env home) {
      arena->busy = false;
      environment->End(home);
      deferred->Resolve(*ended ? Finish(home, *arena, large.get()) : Napi::Value(Napi::Boolean::New(home, false)));
    };
    const auto nearEnd = [environment, meeting, resolve] {
      environment->Post([meeting, resolve](Napi::Env home) {
        if (meeting->SawEnd()) resolve(home);
      });
    };
    const auto run = [arena, range, threads = threads_, pace = pace_, timed, large, environment, ended, nearEnd] {
      if (environment->closed()) return;  // queued by a worker that was terminated since
      const NearEnd call = {Meeting::kLead, nearEnd};
      *ended = Execute(*arena, range, threads, *pace, timed, large->into, &call).ended;
    };
    Submit(run, [meeting, environment, resolve] {
      if (meeting->EndedAlone()) environment->Post(resolve);
    });
    return deferred->Promise();
  }

  // (arena) -> milliseconds per step of its run, if that was timed
  Napi::Value Times(const Napi::CallbackInfo& info) {
    const std::vector<double>& times = Idle(info[0]).milliseconds;
    const Napi::Array list = Napi::Array::New(info.Env(), times.size());
    for (size_t s = 0; s < times.size(); ++s) list.Set(static_cast<uint32_t>(s), times[s]);
    return list;
  }

  // (arena, value, typed array): the value's elements into the array
  Napi::Value Read(const Napi::CallbackInfo& info) {
    const ArenaState& state = Idle(info[0]);
    const size_t value = ReadArenaValue(info[1]);
    SerialTeam alone;
    program_->Read(alone, state.arena, value, BytesOf(info[2], PlainBytes(*program_, value), "a result"));
    return info.Env().Undefined();
  }

  // (arena, value, typed array): the array into the value
  Napi::Value Write(const Napi::CallbackInfo& info) {
    ArenaState& state = Idle(info[0]);
    const size_t value = ReadArenaValue(info[1]);
    Write(state, value, BytesOf(info[2], PlainBytes(*program_, value), "a value"));
    return info.Env().Undefined();
  }

  void Write(ArenaState& state, size_t value, const void* data) {
    TeamLease lease = LeaseToCopy(PlainBytes(*program_, value));
    program_->Write(lease.team(), state.arena, value, data);
  }

  TeamLease LeaseToCopy(size_t bytes) const { return TeamLease(bytes < kLargeInput ? 1 : threads_); }

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
  std::vector<ArenaHolder> arenas_;
  int threads_ = 1;
  bool whole_ = true;  // every step has a kernel
  std::shared_ptr<Pace> pace_;
  int64_t held_ = 0;
};

}  // namespace

void DefineProgram(Napi::Env env, Napi::Object exports) { exports.Set("Program", ProgramObject::Define(env)); }

}  // namespace xcorr
