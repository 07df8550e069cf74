#include "op.h"

namespace xcorr {

#define X(op) std::unique_ptr<Step> Make_##op(const Problem&);
#include "ops.inc"
#undef X

namespace {

struct Entry {
  const char* name;
  MakeStepFn make;
};

constexpr Entry kOps[] = {
#define X(op) {#op, Make_##op},
#include "ops.inc"
#undef X
};

}  // namespace

size_t SizeOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
    case DType::kInt64: return 8;
    case DType::kFloat32:
    case DType::kInt32: return 4;
    case DType::kFloat16: return 2;
    default: return 1;
  }
}

int64_t TensorDesc::Elements() const {
  int64_t n = 1;
  for (int64_t size : shape) n *= size;
  return n;
}

int64_t TensorDesc::StoredElements() const {
  if (layout == Layout::kPlain) return Elements();
  return shape[0] * ((shape[1] + kBlock - 1) / kBlock) * kBlock * shape[2] * shape[3];
}

double Attributes::Number(const std::string& name, double fallback) const {
  const auto found = numbers_.find(name);
  return found == numbers_.end() || found->second.empty() ? fallback : found->second[0];
}

int64_t Attributes::Int(const std::string& name, int64_t fallback) const {
  return static_cast<int64_t>(Number(name, static_cast<double>(fallback)));
}

std::vector<int64_t> Attributes::Ints(const std::string& name) const {
  const auto found = numbers_.find(name);
  if (found == numbers_.end()) return {};
  return std::vector<int64_t>(found->second.begin(), found->second.end());
}

std::vector<double> Attributes::Numbers(const std::string& name) const {
  const auto found = numbers_.find(name);
  return found == numbers_.end() ? std::vector<double>() : found->second;
}

std::string Attributes::Text(const std::string& name, const std::string& fallback) const {
  const auto found = texts_.find(name);
  return found == texts_.end() ? fallback : found->second;
}

Attributes Attributes::Of(const std::string& object) const {
  const std::string prefix = object + ".";
  Attributes nested;
  const auto take = [&](const auto& from, auto* to) {
    for (auto entry = from.lower_bound(prefix); entry != from.end() && entry->first.compare(0, prefix.size(), prefix) == 0; ++entry) {
      (*to)[entry->first.substr(prefix.size())] = entry->second;
    }
  };
  take(numbers_, &nested.numbers_);
  take(texts_, &nested.texts_);
  return nested;
}

MakeStepFn FindOp(const std::string& name) {
  for (const Entry& entry : kOps) {
    if (name == entry.name) return entry.make;
  }
  return nullptr;
}

std::vector<std::string> OpNames() {
  std::vector<std::string> names;
  for (const Entry& entry : kOps) names.push_back(entry.name);
  return names;
}

}  // namespace xcorr
