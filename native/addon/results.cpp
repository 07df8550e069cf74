#include "results.h"

#include <cstring>
#include <memory>
#include <utility>

#include "../runtime/resultMemory.h"

namespace xcorr {
namespace {

// The memory as an ArrayBuffer, given back to the others when V8 is through with it. Node waits for the event loop to turn before it gives
// anything back.
Napi::ArrayBuffer Adopt(Napi::Env env, AlignedBuffer memory) {
  // Only when V8 makes a buffer itself does it see how much young buffers hold, and clears them out in 0.2 ms; else they pile up until
  // a full collection.
  Napi::ArrayBuffer::New(env, 8);
  auto* owned = new AlignedBuffer(std::move(memory));
  napi_value buffer;
  const auto giveBack = [](napi_env, void*, void* hint) {
    const std::unique_ptr<AlignedBuffer> holder(static_cast<AlignedBuffer*>(hint));
    ReturnResultMemory(std::move(*holder));
  };
  if (napi_create_external_arraybuffer(env, owned->data(), owned->bytes(), giveBack, owned, &buffer) == napi_ok) return Napi::ArrayBuffer(env, buffer);
  // Some embedders of Node (Electron) allow no memory from outside.
  Napi::ArrayBuffer copy = Napi::ArrayBuffer::New(env, owned->bytes());
  std::memcpy(copy.Data(), owned->data(), owned->bytes());
  giveBack(env, nullptr, owned);
  return copy;
}

Napi::ArrayBuffer Copy(Napi::Env env, const Program& program, const ArenaState& state, size_t value) {
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, PlainBytes(program, value));
  SerialTeam alone;
  program.Read(alone, state.arena, value, buffer.Data());
  return buffer;
}

}  // namespace

Results::Results(Napi::Env env, const Program& program, bool wanted) : list(Napi::Array::New(env)) {
  for (size_t k = 0; wanted && k < program.results().size(); ++k) {
    const size_t bytes = GivenBytes(program, program.results()[k]);
    const Napi::ArrayBuffer buffer = bytes >= kLargeResult ? Adopt(env, TakeResultMemory(bytes)) : Napi::ArrayBuffer::New(env, bytes);
    list.Set(static_cast<uint32_t>(k), buffer);
    into.push_back(Napi::ArrayBuffer(buffer).Data());
  }
}

LargeResults::LargeResults(const Program& program, bool wanted) {
  for (size_t k = 0; wanted && k < program.results().size(); ++k) {
    const size_t bytes = GivenBytes(program, program.results()[k]);
    // A batch has no place for small ones either: its arenas hold one image.
    memory.push_back(bytes < kLargeResult && program.images() == 1 ? AlignedBuffer() : TakeResultMemory(bytes));
    into.push_back(memory.back().data());
  }
}

Napi::Value Finish(Napi::Env env, const ArenaState& state, LargeResults* large) {
  const Program& program = *state.program;
  const Napi::Array list = Napi::Array::New(env, large->memory.size());
  for (size_t k = 0; k < large->memory.size(); ++k) {
    list.Set(static_cast<uint32_t>(k), large->into[k] ? Adopt(env, std::move(large->memory[k])) : Copy(env, program, state, program.results()[k]));
  }
  return list;
}

}  // namespace xcorr
