#include "arguments.h"

#include <cmath>

#include "../runtime/cpu.h"

namespace xcorr {
namespace {

[[noreturn]] void Fail(Napi::Env env, const std::string& message) { throw Napi::TypeError::New(env, "xcorr addon: " + message); }

double Number(const Napi::Value& value, const char* what) {
  double number;
  if (napi_get_value_double(value.Env(), value, &number) != napi_ok) Fail(value.Env(), std::string("expected a number for ") + what);
  return number;
}

int64_t Integer(const Napi::Value& value, const char* what) {
  const double n = Number(value, what);
  if (!(n >= 0) || n > 9e15 || n != std::floor(n)) Fail(value.Env(), std::string("expected an integer >= 0 for ") + what);
  return static_cast<int64_t>(n);
}

Napi::Object Object(const Napi::Value& value, const char* what) {
  if (!value.IsObject()) Fail(value.Env(), std::string("expected an object for ") + what);
  return value.As<Napi::Object>();
}

Napi::Array Array(const Napi::Value& value, const char* what) {
  if (!value.IsArray()) Fail(value.Env(), std::string("expected an array for ") + what);
  return value.As<Napi::Array>();
}

std::string Text(const Napi::Value& value, const char* what) {
  if (!value.IsString()) Fail(value.Env(), std::string("expected a string for ") + what);
  return value.As<Napi::String>().Utf8Value();
}

DType ReadDType(const Napi::Value& value) {
  static constexpr const char* kNames[] = {"float32", "float64", "float16", "int8", "uint8", "int32", "int64", "bool"};
  const std::string name = Text(value, "dtype");
  for (size_t i = 0; i < 8; ++i) {
    if (name == kNames[i]) return static_cast<DType>(i);
  }
  Fail(value.Env(), "unknown dtype " + name);
}

void ReadAttribute(Attributes* attributes, const std::string& name, const Napi::Value& value) {
  if (value.IsNumber()) {
    attributes->Set(name, value.As<Napi::Number>().DoubleValue());
  } else if (value.IsBoolean()) {
    attributes->Set(name, value.As<Napi::Boolean>().Value() ? 1.0 : 0.0);
  } else if (value.IsString()) {
    attributes->Set(name, value.As<Napi::String>().Utf8Value());
  } else if (value.IsArray()) {
    const Napi::Array list = value.As<Napi::Array>();
    std::vector<double> numbers;
    for (uint32_t i = 0; i < list.Length(); ++i) numbers.push_back(Number(list.Get(i), name.c_str()));
    attributes->Set(name, numbers);
  } else if (value.IsObject()) {
    const Napi::Object nested = value.As<Napi::Object>();
    const Napi::Array names = nested.GetPropertyNames();
    for (uint32_t i = 0; i < names.Length(); ++i) {
      const std::string inner = names.Get(i).ToString().Utf8Value();
      ReadAttribute(attributes, name + "." + inner, nested.Get(inner));
    }
  }
}

std::vector<size_t> ReadPlaces(const Napi::Value& value, size_t limit) {
  const Napi::Array list = Array(value, "inputs or outputs");
  std::vector<size_t> places;
  for (uint32_t i = 0; i < list.Length(); ++i) places.push_back(ReadIndex(list.Get(i), limit, "a value"));
  return places;
}

size_t BytesEach(napi_typedarray_type type) {
  switch (type) {
    case napi_int8_array:
    case napi_uint8_array:
    case napi_uint8_clamped_array: return 1;
    case napi_int16_array:
    case napi_uint16_array: return 2;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array: return 4;
    default: return 8;
  }
}

// A typed array or { file, offset }; factors: a Float64Array or undefined.
Constant ReadConstant(const Napi::Value& value, const Napi::Value& factors, const TensorDesc& type) {
  const size_t bytes = type.Bytes();
  Constant constant;
  if (value.IsTypedArray()) {
    constant = Constant(BytesOf(value, bytes, "a constant"), bytes);
  } else {
    const Napi::Object place = Object(value, "a constant");
    constant = Constant(static_cast<int>(Integer(place.Get("file"), "a file")), Integer(place.Get("offset"), "an offset"), bytes);
  }
  if (factors.IsUndefined()) return constant;
  if (!factors.IsTypedArray()) Fail(value.Env(), "expected a typed array for factors");
  const size_t count = factors.As<Napi::TypedArray>().ElementLength();
  if (type.dtype != DType::kFloat32 || count == 0 || static_cast<size_t>(type.Elements()) % count != 0) Fail(value.Env(), "factors that do not fit");
  constant.Scale(static_cast<const double*>(BytesOf(factors, count * sizeof(double), "factors")), count);
  return constant;
}

}  // namespace

void* BytesOf(const Napi::Value& value, size_t bytes, const char* what) {
  napi_typedarray_type type;
  size_t length;
  void* data;
  if (napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr) != napi_ok) {
    Fail(value.Env(), std::string("expected a typed array for ") + what);
  }
  const size_t have = length * BytesEach(type);
  if (have != bytes || (bytes != 0 && data == nullptr)) {
    Fail(value.Env(), "expected " + std::to_string(bytes) + " bytes for " + what + ", got " + std::to_string(have));
  }
  return data;
}

TensorDesc ReadType(const Napi::Value& value) {
  const Napi::Object object = Object(value, "a tensor type");
  TensorDesc type;
  type.dtype = ReadDType(object.Get("dtype"));
  const Napi::Array shape = Array(object.Get("shape"), "shape");
  double elements = 1;
  for (uint32_t i = 0; i < shape.Length(); ++i) {
    type.shape.push_back(Integer(shape.Get(i), "a size"));
    elements *= static_cast<double>(type.shape.back());
  }
  if (elements > 2147483648.0) Fail(value.Env(), "a shape of more than 2^31 elements");
  const Napi::Value layout = object.Get("layout");
  if (layout.IsString() && layout.As<Napi::String>().Utf8Value() == "blocked") {
    if (type.shape.size() != 4 || type.dtype != DType::kFloat32) Fail(value.Env(), "only float32 images have blocks");
    type.layout = Layout::kBlocked;
  }
  return type;
}

Attributes ReadAttributes(const Napi::Value& value) {
  const Napi::Object object = Object(value, "attributes");
  Attributes attributes;
  const Napi::Array names = object.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = names.Get(i).ToString().Utf8Value();
    ReadAttribute(&attributes, name, object.Get(name));
  }
  return attributes;
}

const KernelTable& ReadTable(const Napi::Value& isa) {
  const std::string name = Text(isa, "isa");
  const KernelTable* table = FindTable(name);
  if (table == nullptr) Fail(isa.Env(), "unknown or unsupported instruction set " + name);
  return *table;
}

size_t ReadIndex(const Napi::Value& value, size_t limit, const char* what) {
  const int64_t index = Integer(value, what);
  if (index >= static_cast<int64_t>(limit)) Fail(value.Env(), std::string("index out of range for ") + what);
  return static_cast<size_t>(index);
}

int ReadThreads(const Napi::Value& value) {
  if (value.IsUndefined()) return DefaultThreads();
  return static_cast<int>(std::min<int64_t>(256, std::max<int64_t>(1, Integer(value, "threads"))));
}

Plan ReadPlan(const Napi::Value& value) {
  const Napi::Object object = Object(value, "a plan");
  Plan plan;
  plan.arenaBytes = static_cast<size_t>(Integer(object.Get("arenaBytes"), "arenaBytes"));
  plan.images = Integer(object.Get("images"), "images");
  if (plan.images < 1) Fail(value.Env(), "a run without images");
  const Napi::Array values = Array(object.Get("values"), "values");
  for (uint32_t i = 0; i < values.Length(); ++i) {
    const Napi::Object entry = Object(values.Get(i), "a value");
    PlanValue planned;
    planned.type = ReadType(entry);
    const Napi::Value constant = entry.Get("constant");
    if (constant.IsUndefined()) {
      planned.offset = Integer(entry.Get("offset"), "offset");
      if (static_cast<size_t>(planned.offset) + planned.type.Bytes() > plan.arenaBytes) Fail(value.Env(), "a value outside the arena");
    } else {
      planned.constant = ReadConstant(constant, entry.Get("factors"), planned.type);
    }
    plan.values.push_back(planned);
  }
  const Napi::Array steps = Array(object.Get("steps"), "steps");
  for (uint32_t i = 0; i < steps.Length(); ++i) {
    const Napi::Object entry = Object(steps.Get(i), "a step");
    plan.steps.push_back({Text(entry.Get("op"), "op"), ReadAttributes(entry.Get("attrs")), ReadPlaces(entry.Get("inputs"), plan.values.size()),
                          ReadPlaces(entry.Get("outputs"), plan.values.size()), entry.Get("inPlace").ToBoolean()});
    for (size_t output : plan.steps.back().outputs) {
      if (plan.values[output].offset < 0) Fail(value.Env(), "a step that writes a constant");
    }
  }
  plan.inputs = ReadPlaces(object.Get("inputs"), plan.values.size());
  plan.results = ReadPlaces(object.Get("results"), plan.values.size());
  for (const std::vector<size_t>* places : {&plan.inputs, &plan.results}) {
    for (size_t place : *places) {
      if (plan.values[place].offset < 0) Fail(value.Env(), "a constant for an input or a result");
    }
  }
  return plan;
}

}  // namespace xcorr
