// Program and Arena as JavaScript objects. src/backends/addon.ts has their types.
#pragma once
#include <napi.h>

namespace xcorr {

void DefineProgram(Napi::Env env, Napi::Object exports);

}  // namespace xcorr
