// JavaScript values as plain C++ data, every one checked: a wrong argument is a JavaScript error, never a wrong read.
#pragma once
#include <napi.h>

#include <string>
#include <vector>

#include "../network/program.h"

namespace xcorr {

// A typed array's memory, of exactly `bytes` bytes. Throws if it is anything else, or detached.
void* BytesOf(const Napi::Value& value, size_t bytes, const char* what);

TensorDesc ReadType(const Napi::Value& value);           // { dtype, shape, layout? }
Attributes ReadAttributes(const Napi::Value& value);     // numbers, strings, booleans, arrays of numbers, one level of objects
const KernelTable& ReadTable(const Napi::Value& isa);    // the table of that name
Plan ReadPlan(const Napi::Value& value);                 // constants point into JavaScript memory
size_t ReadIndex(const Napi::Value& value, size_t limit, const char* what);
int ReadThreads(const Napi::Value& value);

}  // namespace xcorr
