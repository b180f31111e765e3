#include "text/jinja/operators.h"

#include <cmath>

#include "text/jinja/format.h"

namespace fastkv::jinja {
namespace {

std::string_view Symbol(BinaryOperator binary) {
  switch (binary) {
    case BinaryOperator::kAdd:
      return "+";
    case BinaryOperator::kSubtract:
      return "-";
    case BinaryOperator::kMultiply:
      return "*";
    case BinaryOperator::kDivide:
      return "/";
    case BinaryOperator::kFloorDivide:
      return "//";
    case BinaryOperator::kModulo:
      return "%";
    case BinaryOperator::kPower:
      return "**";
  }
  return "?";
}

Status Unsupported(BinaryOperator binary, const Value& left, const Value& right) {
  return TypeError("'" + std::string(Symbol(binary)) + "' does not work between '" +
                   std::string(TypeName(left)) + "' and '" + std::string(TypeName(right)) + "'");
}

Status TooLarge() { return LimitError("an integer leaves 128 bits"); }
Status DivisionByZero() { return InvalidArgumentError("division by zero"); }

Result<Value> PowerOfIntegers(Int128 base, Int128 exponent) {
  if (exponent < 0) {
    if (base == 0) return InvalidArgumentError("0 cannot be raised to a negative power");
    return Value::Float(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  Int128 result = 1;
  // Beyond these the loop would be long without overflowing.
  if (base == 0 || base == 1) return Value::Int(exponent == 0 ? 1 : base);
  if (base == -1) return Value::Int(exponent % 2 == 0 ? 1 : -1);
  for (; exponent > 0; --exponent) {
    if (__builtin_mul_overflow(result, base, &result)) return TooLarge();
  }
  return Value::Int(result);
}

Result<Value> CombineIntegers(BinaryOperator binary, Int128 left, Int128 right) {
  Int128 result = 0;
  switch (binary) {
    case BinaryOperator::kAdd:
      if (__builtin_add_overflow(left, right, &result)) return TooLarge();
      return Value::Int(result);
    case BinaryOperator::kSubtract:
      if (__builtin_sub_overflow(left, right, &result)) return TooLarge();
      return Value::Int(result);
    case BinaryOperator::kMultiply:
      if (__builtin_mul_overflow(left, right, &result)) return TooLarge();
      return Value::Int(result);
    case BinaryOperator::kDivide:
      if (right == 0) return DivisionByZero();
      return Value::Float(static_cast<double>(left) / static_cast<double>(right));
    case BinaryOperator::kFloorDivide:
    case BinaryOperator::kModulo: {
      if (right == 0) return DivisionByZero();
      // The one quotient that does not fit is that of the smallest integer by -1.
      if (right == -1) {
        if (binary == BinaryOperator::kModulo) return Value::Int(0);
        if (__builtin_sub_overflow(Int128{0}, left, &result)) return TooLarge();
        return Value::Int(result);
      }
      Int128 quotient = left / right;
      Int128 remainder = left % right;
      if (remainder != 0 && (remainder < 0) != (right < 0)) {
        remainder += right;
        --quotient;
      }
      return Value::Int(binary == BinaryOperator::kModulo ? remainder : quotient);
    }
    case BinaryOperator::kPower:
      return PowerOfIntegers(left, right);
  }
  return TooLarge();
}

Result<Value> CombineFloats(BinaryOperator binary, double left, double right) {
  switch (binary) {
    case BinaryOperator::kAdd:
      return Value::Float(left + right);
    case BinaryOperator::kSubtract:
      return Value::Float(left - right);
    case BinaryOperator::kMultiply:
      return Value::Float(left * right);
    case BinaryOperator::kDivide:
      if (right == 0) return DivisionByZero();
      return Value::Float(left / right);
    case BinaryOperator::kFloorDivide:
    case BinaryOperator::kModulo: {
      if (right == 0) return DivisionByZero();
      double remainder = std::fmod(left, right);
      double quotient = (left - remainder) / right;
      if (remainder != 0) {
        if ((right < 0) != (remainder < 0)) {
          remainder += right;
          quotient -= 1;
        }
      } else {
        remainder = std::copysign(0.0, right);
      }
      if (binary == BinaryOperator::kModulo) return Value::Float(remainder);
      if (quotient == 0) return Value::Float(std::copysign(0.0, left / right));
      double whole = std::floor(quotient);
      if (quotient - whole > 0.5) whole += 1;
      return Value::Float(whole);
    }
    case BinaryOperator::kPower: {
      if (left == 0 && right < 0) {
        return InvalidArgumentError("0.0 cannot be raised to a negative power");
      }
      if (left < 0 && std::isfinite(left) && std::isfinite(right) && right != std::floor(right)) {
        return UnsupportedError("complex numbers are not supported");
      }
      const double result = std::pow(left, right);
      if (std::isinf(result) && std::isfinite(left) && std::isfinite(right)) {
        return InvalidArgumentError("the result of '**' is too large");
      }
      return Value::Float(result);
    }
  }
  return DivisionByZero();
}

// How often to repeat, from a factor that may be negative. Errors: kLimit before anything is made.
Result<int64_t> RepeatCount(Runtime& runtime, const Value& factor, uint64_t bytes) {
  FASTKV_ASSIGN_OR_RETURN(int64_t count, ToIndex(factor, "the factor of a repetition"));
  count = std::max<int64_t>(count, 0);
  uint64_t total = 0;
  if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(count), &total)) total = UINT64_MAX;
  FASTKV_RETURN_IF_ERROR(runtime.budget().CheckHeap(total));
  return count;
}

Result<Value> Repeat(Runtime& runtime, const Value& what, const Value& factor) {
  if (what.IsString()) {
    FASTKV_ASSIGN_OR_RETURN(const int64_t count, RepeatCount(runtime, factor, what.text().size));
    if (count == 0 || what.text().empty()) return Value::String({});
    FASTKV_ASSIGN_OR_RETURN(TextBuffer * buffer, runtime.heap.NewBuffer());
    TextBuilder builder(buffer, &runtime.budget());
    for (int64_t i = 0; i < count && builder.status().ok(); ++i) builder.Append(what.text());
    FASTKV_RETURN_IF_ERROR(builder.status());
    return Value::String(builder.text());
  }
  const std::vector<Value>& items = what.list().items;
  FASTKV_ASSIGN_OR_RETURN(const int64_t count,
                          RepeatCount(runtime, factor, items.size() * sizeof(Value)));
  std::vector<Value> repeated;
  if (!items.empty()) {
    for (int64_t i = 0; i < count; ++i) repeated.insert(repeated.end(), items.begin(), items.end());
  }
  return runtime.heap.NewList(std::move(repeated), what.kind());
}

Result<Value> JoinLists(Runtime& runtime, const Value& left, const Value& right) {
  const std::vector<Value>& a = left.list().items;
  const std::vector<Value>& b = right.list().items;
  // Charged before it is made: NewList charges for the list it then holds.
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan((a.size() + b.size()) * sizeof(Value)));
  std::vector<Value> joined;
  joined.reserve(a.size() + b.size());
  joined.insert(joined.end(), a.begin(), a.end());
  joined.insert(joined.end(), b.begin(), b.end());
  return runtime.heap.NewList(std::move(joined), left.kind());
}

}  // namespace

Result<Value> Combine(Runtime& runtime, BinaryOperator binary, const Value& left,
                      const Value& right) {
  if (left.IsUndefined()) return UndefinedError(left);
  if (binary == BinaryOperator::kModulo && left.IsString()) {
    return FormatPercent(runtime, left.text(), right);
  }
  if (right.IsUndefined()) return UndefinedError(right);
  if (left.IsNumber() && right.IsNumber()) {
    if (left.IsIntegral() && right.IsIntegral()) {
      return CombineIntegers(binary, left.integer(), right.integer());
    }
    return CombineFloats(binary, left.number(), right.number());
  }
  if (binary == BinaryOperator::kAdd) {
    if (left.IsString() && right.IsString()) {
      return runtime.heap.Concatenate(left.text(), right.text());
    }
    if (left.IsSequence() && left.kind() == right.kind()) return JoinLists(runtime, left, right);
  }
  if (binary == BinaryOperator::kMultiply) {
    if ((left.IsString() || left.IsSequence()) && right.IsIntegral()) {
      return Repeat(runtime, left, right);
    }
    if ((right.IsString() || right.IsSequence()) && left.IsIntegral()) {
      return Repeat(runtime, right, left);
    }
  }
  return Unsupported(binary, left, right);
}

Result<Value> Negate(const Value& value) {
  if (value.IsUndefined()) return UndefinedError(value);
  if (value.Is(Kind::kFloat)) return Value::Float(-value.real());
  if (value.IsIntegral()) {
    Int128 result = 0;
    if (__builtin_sub_overflow(Int128{0}, value.integer(), &result)) return TooLarge();
    return Value::Int(result);
  }
  return TypeError("bad operand type for unary -: '" + std::string(TypeName(value)) + "'");
}

Result<Value> Plus(const Value& value) {
  if (value.IsUndefined()) return UndefinedError(value);
  if (value.Is(Kind::kFloat)) return value;
  if (value.IsIntegral()) return Value::Int(value.integer());
  return TypeError("bad operand type for unary +: '" + std::string(TypeName(value)) + "'");
}

}  // namespace fastkv::jinja
