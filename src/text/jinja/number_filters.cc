// Filters that give numbers, and reading numbers from text as Python does.
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>

#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/text_operations.h"

namespace fastkv::jinja {
namespace {

// The digits of a number literal with its underscores taken out, or nothing where one stands
// wrongly.
std::optional<std::string> WithoutUnderscores(std::string_view text) {
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      digits.push_back(text[i]);
      continue;
    }
    const auto alphanumeric = [&](size_t at) {
      return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at])) != 0;
    };
    if (i == 0 || !alphanumeric(i - 1) || !alphanumeric(i + 1)) return std::nullopt;
  }
  return digits;
}

// int(text, base).
Result<std::optional<Int128>> ParseInteger(Text text, int64_t base) {
  const Text stripped = Strip(text, std::nullopt, Side::kBoth);
  std::string_view view = stripped.view();
  bool negative = false;
  if (view.starts_with('-') || view.starts_with('+')) {
    negative = view[0] == '-';
    view.remove_prefix(1);
  }
  if (view.size() > 2 && view[0] == '0') {
    const char prefix = static_cast<char>(view[1] | 0x20);
    const int64_t implied = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 0;
    if (implied != 0 && (base == implied || base == 0)) {
      base = implied;
      view.remove_prefix(view[2] == '_' ? 3 : 2);
    }
  }
  if (base == 0) base = 10;
  const std::optional<std::string> digits = WithoutUnderscores(view);
  if (!digits || digits->empty()) return std::optional<Int128>();
  Int128 number = 0;
  for (const char c : *digits) {
    const char lower = static_cast<char>(c | 0x20);
    const int digit = c >= '0' && c <= '9'           ? c - '0'
                      : lower >= 'a' && lower <= 'z' ? lower - 'a' + 10
                                                     : 99;
    if (digit >= base) return std::optional<Int128>();
    if (__builtin_mul_overflow(number, Int128{base}, &number) ||
        __builtin_add_overflow(number, Int128{digit}, &number)) {
      return LimitError("an integer leaves 128 bits");
    }
  }
  return std::optional<Int128>(negative ? -number : number);
}

// float(text).
std::optional<double> ParseReal(Text text) {
  const Text stripped = Strip(text, std::nullopt, Side::kBoth);
  std::optional<std::string> digits = WithoutUnderscores(stripped.view());
  if (!digits) return std::nullopt;
  std::string_view view = *digits;
  if (view.starts_with('+')) view.remove_prefix(1);
  if (view.starts_with('+') || view.empty()) return std::nullopt;
  double number = 0;
  const auto parsed = std::from_chars(view.data(), view.data() + view.size(), number);
  if (parsed.ptr != view.data() + view.size()) return std::nullopt;
  if (view.find('(') != std::string_view::npos) return std::nullopt;  // C's nan(...)
  if (parsed.ec == std::errc::result_out_of_range) {
    // from_chars leaves the number alone: tell a huge one from a tiny one by the exponent's sign.
    const size_t exponent = view.find_first_of("eE");
    const bool tiny = exponent != std::string_view::npos && view.substr(exponent).starts_with("e-");
    number = tiny ? 0.0 : HUGE_VAL;
    return view[0] == '-' ? -number : number;
  }
  if (parsed.ec != std::errc()) return std::nullopt;
  return number;
}

// int(number); nothing for infinities and NaN.
std::optional<Int128> Truncated(double value) {
  if (!std::isfinite(value) || std::abs(value) >= 1.7e38) return std::nullopt;
  return static_cast<Int128>(value);
}

Result<Value> ToInteger(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("int", {"default", "base"}, 0, arguments));
  const Value otherwise = bound[0].IsMissing() ? Value::Int(0) : bound[0];
  if (value.IsUndefined()) return UndefinedError(value);
  if (value.IsIntegral()) return Value::Int(value.integer());
  if (value.IsString()) {
    int64_t base = 10;
    if (!bound[1].IsMissing()) {
      FASTKV_ASSIGN_OR_RETURN(base, ToIndex(bound[1], "base"));
      if (base != 0 && (base < 2 || base > 36)) return otherwise;
    }
    FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(value.text().size));
    FASTKV_ASSIGN_OR_RETURN(const std::optional<Int128> number, ParseInteger(value.text(), base));
    if (number) return Value::Int(*number);
  }
  // "42.23"|int is 42.
  std::optional<double> real;
  if (value.Is(Kind::kFloat)) real = value.real();
  if (value.IsString()) real = ParseReal(value.text());
  if (!real) return otherwise;
  if (std::isinf(*real)) return InvalidArgumentError("int: infinity is no integer");
  const std::optional<Int128> whole = Truncated(*real);
  if (!whole && !std::isnan(*real)) return LimitError("an integer leaves 128 bits");
  return whole ? Value::Int(*whole) : otherwise;
}

Result<Value> ToFloat(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("float", {"default"}, 0, arguments));
  if (value.IsUndefined()) return UndefinedError(value);
  if (value.IsNumber()) return Value::Float(value.number());
  if (value.IsString()) {
    FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(value.text().size));
    const std::optional<double> number = ParseReal(value.text());
    if (number) return Value::Float(*number);
  }
  return bound[0].IsMissing() ? Value::Float(0) : bound[0];
}

Result<Value> Absolute(Runtime&, const Value& value, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("abs", arguments));
  if (value.IsUndefined()) return UndefinedError(value);
  if (value.Is(Kind::kFloat)) return Value::Float(std::abs(value.real()));
  if (!value.IsIntegral()) {
    return TypeError("bad operand type for abs(): '" + std::string(TypeName(value)) + "'");
  }
  return value.integer() < 0 ? Negate(value) : Value::Int(value.integer());
}

// round(value, precision): halves go to the even neighbour, decided on the exact binary value.
double RoundHalfEven(double value, int64_t precision) {
  if (!std::isfinite(value) || precision > 323) return value;
  if (precision < -308) return std::copysign(0.0, value);
  if (precision < 0) {
    const double scale = std::pow(10.0, static_cast<double>(-precision));
    return std::nearbyint(value / scale) * scale;
  }
  char buffer[700];
  const int size =
      std::snprintf(buffer, sizeof(buffer), "%.*f", static_cast<int>(precision), value);
  double rounded = value;
  std::from_chars(buffer, buffer + size, rounded);
  return rounded;
}

Result<Value> RoundInteger(Runtime& runtime, Int128 value, int64_t precision) {
  if (precision >= 0) return Value::Int(value);
  if (precision < -37) return Value::Int(0);
  FASTKV_ASSIGN_OR_RETURN(const Value scale, Combine(runtime, BinaryOperator::kPower,
                                                     Value::Int(10), Value::Int(-precision)));
  const Int128 unit = scale.integer();
  Int128 remainder = value % unit;
  if (remainder < 0) remainder += unit;
  Int128 rounded = value - remainder;
  const Int128 half = unit / 2;
  if (remainder > half || (remainder == half && (rounded / unit) % 2 != 0)) rounded += unit;
  return Value::Int(rounded);
}

Result<Value> Round(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("round", {"precision", "method"}, 0, arguments));
  std::string_view method = "common";
  if (!bound[1].IsMissing()) {
    FASTKV_ASSIGN_OR_RETURN(const Text text, AsText(bound[1], "method"));
    method = text.view();
  }
  if (method != "common" && method != "ceil" && method != "floor") {
    return InvalidArgumentError("round: method must be common, ceil or floor");
  }
  int64_t precision = 0;
  if (!bound[0].IsMissing()) {
    FASTKV_ASSIGN_OR_RETURN(precision, ToIndex(bound[0], "precision"));
  }
  if (value.IsUndefined()) return UndefinedError(value);
  if (!value.IsNumber()) {
    return TypeError("round: '" + std::string(TypeName(value)) + "' is no number");
  }
  if (method == "common") {
    if (value.IsIntegral()) return RoundInteger(runtime, value.integer(), precision);
    return Value::Float(RoundHalfEven(value.real(), precision));
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = value.number() * scale;
  const double whole = method == "ceil" ? std::ceil(scaled) : std::floor(scaled);
  // Python's ceil and floor give integers, so there is no minus zero.
  return Value::Float((whole == 0 ? 0.0 : whole) / scale);
}

constexpr Filter kFilters[] = {
    {"abs", Absolute},
    {"float", ToFloat},
    {"int", ToInteger},
    {"round", Round},
};

}  // namespace

std::span<const Filter> NumberFilters() { return kFilters; }

}  // namespace fastkv::jinja
