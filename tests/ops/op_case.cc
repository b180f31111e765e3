#include "tests/ops/op_case.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>

#include "base/checked_math.h"
#include "base/float16.h"
#include "base/random.h"
#include "tensor/block_formats.h"
#include "tensor/random_blocks.h"

namespace fastkv::op_cases {
namespace {

constexpr int64_t kGuardBytes = 256;

unsigned char PoisonByte(DType dtype) {
  return dtype == DType::kI32 || dtype == DType::kI8 ? 0x7f : 0xff;
}

void CheckOk(const Status& status) { FASTKV_CHECK_MSG(status.ok(), status.message().c_str()); }

TensorView MakeView(void* data, DType dtype, const Dims& d) {
  switch (d.size()) {
    case 1:
      return {data, dtype, {d[0]}};
    case 2:
      return {data, dtype, {d[0], d[1]}};
    default:
      FASTKV_CHECK_EQ(d.size(), 3);
      return {data, dtype, {d[0], d[1], d[2]}};
  }
}

int64_t InnerElements(const Dims& dims) {
  int64_t count = 1;
  for (size_t i = 1; i < dims.size(); ++i) count *= dims[i];
  return count;
}

// Random blocks of the deviation of `values`. A few have special scales.
std::vector<unsigned char> BlocksLike(std::span<const float> values, StoredType type) {
  double squares = 0;
  for (const float value : values) squares += double{value} * value;
  const auto count = static_cast<int64_t>(values.size());
  const double deviation = count > 0 ? std::sqrt(squares / static_cast<double>(count)) : 0;
  std::vector<unsigned char> bytes(static_cast<size_t>(RowBytes(type, count)));
  Random random(static_cast<uint64_t>(count));
  RandomBlocks(type).Fill(static_cast<float>(deviation), count, random, bytes.data());
  const auto block_bytes = static_cast<size_t>(BlockOf(type).num_bytes);
  const auto scale = static_cast<size_t>(BlockHalves(type)[0]);
  for (size_t i = 0; i * block_bytes < bytes.size(); ++i) {
    unsigned char* const half = &bytes[i * block_bytes + scale];
    if (i % 7 == 2) half[0] = half[1] = 0;
    if (i % 7 == 4) half[1] ^= 0x80;
    if (i % 7 == 6) half[0] = 5, half[1] = 0;
  }
  return bytes;
}

void StoreValue(unsigned char* to, DType dtype, float value) {
  const auto store = [to](auto element) { std::memcpy(to, &element, sizeof(element)); };
  switch (dtype) {
    case DType::kF32:
      return store(value);
    case DType::kBF16:
      return store(ToBFloat16(value));
    case DType::kF16:
      return store(ToFloat16(value));
    case DType::kI32:
      return store(static_cast<int32_t>(value));
    case DType::kI8:
      return store(static_cast<int8_t>(value));
  }
}

double LoadValue(const unsigned char* from, DType dtype) {
  const auto load = [from](auto element) {
    std::memcpy(&element, from, sizeof(element));
    return element;
  };
  switch (dtype) {
    case DType::kF32:
      return load(float{});
    case DType::kBF16:
      return ToFloat(load(BFloat16{}));
    case DType::kF16:
      return ToFloat(load(Float16{}));
    case DType::kI32:
      return load(int32_t{});
    case DType::kI8:
      return load(int8_t{});
  }
  return 0;
}

// Where element (outer, inner) of a tensor begins in its image.
int64_t ByteOffset(DType dtype, int64_t outer_stride, int64_t outer, int64_t inner) {
  return kGuardBytes + (outer * outer_stride + inner) * DTypeBytes(dtype);
}

}  // namespace

OpRun::Tensor& OpRun::Add(std::string name, DType dtype, const Dims& dims, int64_t outer_stride,
                          bool is_output) {
  auto tensor = std::make_unique<Tensor>();
  const int64_t inner = InnerElements(dims);
  tensor->name = std::move(name);
  tensor->dtype = dtype;
  tensor->dims = dims;
  tensor->outer_stride = outer_stride > 0 ? outer_stride : inner;
  tensor->is_output = is_output;
  FASTKV_CHECK_LE(inner, tensor->outer_stride);
  const int64_t span = dims[0] > 0 ? (dims[0] - 1) * tensor->outer_stride + inner : 0;
  tensor->image.assign(2 * kGuardBytes + RoundUp(span * DTypeBytes(dtype), 64), PoisonByte(dtype));
  work_.bytes += static_cast<double>(dims[0] * inner * DTypeBytes(dtype));
  tensors_.push_back(std::move(tensor));
  return *tensors_.back();
}

void OpRun::Send(Tensor& tensor) {
  const auto num_bytes = static_cast<int64_t>(tensor.image.size());
  tensor.buffer = backend_.Allocate(num_bytes, "operation case").value();
  CheckOk(backend_.CopyToDevice(tensor.buffer.data(), tensor.image.data(), num_bytes));
}

TensorView OpRun::ViewOf(const Tensor& tensor) {
  auto* data = static_cast<char*>(tensor.buffer.data()) + kGuardBytes;
  return MakeView(data, tensor.dtype, tensor.dims).WithStride(0, tensor.outer_stride);
}

ConstTensorView OpRun::Input(DType dtype, const Dims& dims, const std::vector<float>& values,
                             int64_t outer_stride) {
  Tensor& tensor = Add("input " + std::to_string(tensors_.size()), dtype, dims, outer_stride,
                       /*is_output=*/false);
  const int64_t inner = InnerElements(dims);
  FASTKV_CHECK_EQ(values.size(), dims[0] * inner);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto outer = static_cast<int64_t>(i) / inner;
    const float value = options_.bf16_inputs ? ToFloat(ToBFloat16(values[i])) : values[i];
    const int64_t offset =
        ByteOffset(dtype, tensor.outer_stride, outer, static_cast<int64_t>(i) % inner);
    StoreValue(&tensor.image[offset], dtype, value);
  }
  Send(tensor);
  return ViewOf(tensor);
}

ConstTensorView OpRun::Input(const Dims& dims, const std::vector<int32_t>& values) {
  Tensor& tensor = Add("input " + std::to_string(tensors_.size()), DType::kI32, dims, 0,
                       /*is_output=*/false);
  FASTKV_CHECK_EQ(values.size(), dims[0] * InnerElements(dims));
  if (!values.empty()) {
    std::memcpy(&tensor.image[kGuardBytes], values.data(), values.size() * sizeof(int32_t));
  }
  Send(tensor);
  return ViewOf(tensor);
}

TensorView OpRun::Output(std::string name, DType dtype, const Dims& dims, int64_t outer_stride,
                         const std::vector<float>& initial) {
  Tensor& tensor = Add(std::move(name), dtype, dims, outer_stride, /*is_output=*/true);
  const int64_t inner = InnerElements(dims);
  for (size_t i = 0; i < initial.size(); ++i) {
    const auto outer = static_cast<int64_t>(i) / inner;
    const int64_t offset =
        ByteOffset(dtype, tensor.outer_stride, outer, static_cast<int64_t>(i) % inner);
    StoreValue(&tensor.image[offset], dtype, initial[i]);
  }
  Send(tensor);
  return ViewOf(tensor);
}

const PackedWeight* OpRun::Weight(const std::vector<int64_t>& part_rows,
                                  const std::vector<StoredType>& part_types, int64_t in_features,
                                  const std::vector<float>& values) {
  FASTKV_CHECK_EQ(part_rows.size(), part_types.size());
  std::vector<WeightView> parts;
  std::span<const float> rest(values);
  for (size_t p = 0; p < part_rows.size(); ++p) {
    const auto count = static_cast<size_t>(part_rows[p] * in_features);
    const std::span<const float> part = rest.first(count);
    rest = rest.subspan(count);
    std::vector<unsigned char>& bytes = host_parts_.emplace_back();
    if (IsElementType(part_types[p])) {
      const DType dtype = ElementTypeOf(part_types[p]);
      const auto element_bytes = static_cast<size_t>(DTypeBytes(dtype));
      bytes.resize(count * element_bytes);
      for (size_t i = 0; i < count; ++i) {
        const float value = options_.bf16_inputs ? ToFloat(ToBFloat16(part[i])) : part[i];
        StoreValue(&bytes[i * element_bytes], dtype, value);
      }
    } else {
      bytes = BlocksLike(part, part_types[p]);
      rounding_.inputs = true;
    }
    parts.push_back(PackedRows(bytes.data(), part_types[p], part_rows[p], in_features));
    if (part_types[p] != StoredType::kBF16 && activation() == DType::kBF16) {
      rounding_.weights = true;
    }
  }
  FASTKV_CHECK(rest.empty());
  weights_.push_back(backend_.PackWeight(parts).value());
  return weights_.back().get();
}

void OpRun::SetOperation(std::function<void(Backend&)> operation, double flops, double more_bytes) {
  operation_ = std::move(operation);
  work_.flops = flops;
  work_.bytes += more_bytes;
}

OpOutput OpRun::Unpack(const Tensor& tensor, const std::vector<unsigned char>& bytes) {
  OpOutput output{.name = tensor.name, .dtype = tensor.dtype, .dims = tensor.dims};
  const int64_t inner = InnerElements(tensor.dims);
  for (int64_t outer = 0; outer < tensor.dims[0]; ++outer) {
    for (int64_t i = 0; i < inner; ++i) {
      const int64_t offset = ByteOffset(tensor.dtype, tensor.outer_stride, outer, i);
      output.values.push_back(LoadValue(&bytes[offset], tensor.dtype));
    }
  }
  return output;
}

OpOutcome OpRun::Finish() {
  OpOutcome outcome;
  const Status status = backend_.Synchronize();
  if (!status.ok()) {
    outcome.problems.push_back("device: " + status.message());
    return outcome;
  }
  for (const auto& tensor : tensors_) {
    std::vector<unsigned char> bytes(tensor->image.size());
    CheckOk(backend_.CopyToHost(bytes.data(), tensor->buffer.data(),
                                static_cast<int64_t>(bytes.size())));
    // In an output, the bytes of its elements may change; they are put aside before comparing.
    std::vector<unsigned char> untouchable = bytes;
    if (tensor->is_output) {
      outcome.outputs.push_back(Unpack(*tensor, bytes));
      const int64_t row_bytes = InnerElements(tensor->dims) * DTypeBytes(tensor->dtype);
      for (int64_t outer = 0; outer < tensor->dims[0]; ++outer) {
        const int64_t offset = ByteOffset(tensor->dtype, tensor->outer_stride, outer, 0);
        std::copy_n(tensor->image.begin() + offset, row_bytes, untouchable.begin() + offset);
      }
    }
    const auto [changed, expected] = std::mismatch(untouchable.begin(), untouchable.end(),
                                                   tensor->image.begin(), tensor->image.end());
    if (changed != untouchable.end()) {
      outcome.problems.push_back(tensor->name + ": byte " +
                                 std::to_string(changed - untouchable.begin() - kGuardBytes) +
                                 " from its start is not the operation's to write, but changed");
    }
  }
  return outcome;
}

std::unique_ptr<OpRun> Prepare(const OpCase& op_case, Backend& backend, RunOptions options) {
  auto run = std::make_unique<OpRun>(backend, options);
  op_case.set_up(*run);
  return run;
}

}  // namespace fastkv::op_cases
