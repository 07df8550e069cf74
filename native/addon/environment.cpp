#include "environment.h"

namespace xcorr {

std::shared_ptr<Environment> Environment::Of(Napi::Env env) {
  using Holder = std::shared_ptr<Environment>;
  if (Holder* holder = env.GetInstanceData<Holder>()) return *holder;
  auto* holder = new Holder(std::make_shared<Environment>());
  env.SetInstanceData(holder);
  Environment& self = **holder;
  const Napi::String name = Napi::String::New(env, "xcorr");
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, nullptr, Call, &self.line_) != napi_ok) {
    throw Napi::Error::New(env, "xcorr addon: no line for finished runs");
  }
  napi_unref_threadsafe_function(env, self.line_);
  // Hooks run last in, first out: ours is called while the line is still whole.
  napi_add_env_cleanup_hook(env, Close, new Holder(*holder));
  return *holder;
}

void Environment::Close(void* data) {
  auto* holder = static_cast<std::shared_ptr<Environment>*>(data);
  {
    std::lock_guard<std::mutex> lock((*holder)->mutex_);
    (*holder)->closed_ = true;
  }
  delete holder;
}

void Environment::Begin(Napi::Env env) {
  if (running_++ == 0) napi_ref_threadsafe_function(env, line_);
}

void Environment::End(Napi::Env env) {
  if (--running_ == 0) napi_unref_threadsafe_function(env, line_);
}

bool Environment::closed() {
  std::lock_guard<std::mutex> lock(mutex_);
  return closed_;
}

void Environment::Post(std::function<void(Napi::Env)> done) {
  auto* call = new std::function<void(Napi::Env)>(std::move(done));
  std::lock_guard<std::mutex> lock(mutex_);
  if (closed_ || napi_call_threadsafe_function(line_, call, napi_tsfn_nonblocking) != napi_ok) delete call;
}

void Environment::Call(napi_env env, napi_value, void*, void* data) {
  std::unique_ptr<std::function<void(Napi::Env)>> done(static_cast<std::function<void(Napi::Env)>*>(data));
  if (env == nullptr) return;  // the environment is closing
  const Napi::HandleScope scope(env);
  try {
    (*done)(Napi::Env(env));
  } catch (const Napi::Error&) {
    // The environment is being torn down: there is nobody left to tell.
  }
}

}  // namespace xcorr
