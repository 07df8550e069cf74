// What one JavaScript environment (the main thread, or a worker) has of ours: the line on which finished runs come home. Runs hold on to
// it, so that it outlives the environment when a worker is terminated in the middle of one.
#pragma once
#include <napi.h>

#include <functional>
#include <memory>
#include <mutex>

namespace xcorr {

class Environment {
 public:
  // The environment's own; made on first use.
  static std::shared_ptr<Environment> Of(Napi::Env env);

  // On the JavaScript thread: a run begins. While any is under way the process stays alive.
  void Begin(Napi::Env env);
  // On any thread: calls `done` on the JavaScript thread, or drops it if the environment is gone.
  void Post(std::function<void(Napi::Env)> done);
  // On the JavaScript thread, once for each run that began.
  void End(Napi::Env env);
  // On any thread: true once the environment has ended, and nobody waits for its runs any more.
  bool closed();

 private:
  static void Call(napi_env env, napi_value, void*, void* data);
  static void Close(void* self);

  std::mutex mutex_;
  bool closed_ = false;
  int running_ = 0;
  napi_threadsafe_function line_ = nullptr;
};

}  // namespace xcorr
