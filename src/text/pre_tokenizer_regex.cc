// Regular expressions through PCRE2, with a time limit on every text.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <time.h>

#include <string>

#include "io/quoted.h"
#include "text/pre_tokenizer_pattern.h"

namespace fastkv {
namespace {

constexpr uint32_t kMatchLimit = 10'000'000;
constexpr uint32_t kDepthLimit = 1'000'000;
constexpr uint32_t kHeapLimitKib = 32 << 10;
constexpr size_t kJitStackBytes = 4 << 20;
constexpr size_t kMaxExpressionBytes = 64 << 10;
// A text may take this long, and 1 ms more for each KiB: a tenth of the slowest useful speed.
constexpr double kBaseTimeMs = 2000;
// Asking for the time costs as much as a short search. The match limit bounds each search.
constexpr uint32_t kSearchesPerTimeCheck = 4;
constexpr size_t kStartsPerSearch = 15;

// The processor time of this thread. On a busy machine the time on the wall would make the same
// text fail in one run and pass in the next.
double ThreadTimeMs() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
}

template <typename T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* pointer) const { Free(pointer); }
};
template <typename T, void (*Free)(T*)>
using Owned = std::unique_ptr<T, Deleter<T, Free>>;

std::string ErrorText(int code) {
  PCRE2_UCHAR8 buffer[256];
  pcre2_get_error_message(code, buffer, sizeof(buffer));
  return reinterpret_cast<const char*>(buffer);
}

}  // namespace

struct PatternScratch::Buffers {
  Owned<pcre2_match_data, pcre2_match_data_free> match;
  Owned<pcre2_match_context, pcre2_match_context_free> context;
  Owned<pcre2_jit_stack, pcre2_jit_stack_free> jit_stack;
};

PatternScratch::PatternScratch() = default;
PatternScratch::~PatternScratch() = default;

void PatternScratch::StartText(size_t text_bytes) {
  deadline_ms_ = ThreadTimeMs() + kBaseTimeMs + static_cast<double>(text_bytes) / 1024;
  num_searches_ = 0;
}

class RegexPattern final : public TextPattern {
 public:
  RegexPattern(pcre2_code* code, std::string expression)
      : code_(code), expression_(std::move(expression)) {}

  Result<bool> FindNext(std::string_view text, size_t from, PatternScratch& scratch,
                        PatternMatch& match) const override {
    if (scratch.buffers_ == nullptr) FASTKV_RETURN_IF_ERROR(MakeBuffers(scratch));
    PatternScratch::Buffers& buffers = *scratch.buffers_;
    // The engine's own limits hold for one starting place at a time: an expression that looks far
    // ahead from every place could still take quadratic time within one call. So each call may try
    // few places only, and the time is looked at between calls.
    for (size_t start = from;;) {
      if (++scratch.num_searches_ % kSearchesPerTimeCheck == 0 &&
          ThreadTimeMs() > scratch.deadline_ms_) {
        return LimitError("the expression " + Quoted(expression_) + " takes too long on this text");
      }
      const size_t last_start = start + kStartsPerSearch;
      pcre2_set_offset_limit(buffers.context.get(), last_start);
      const int result =
          pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR8>(text.data()), text.size(), start,
                      PCRE2_NO_UTF_CHECK, buffers.match.get(), buffers.context.get());
      if (result >= 0) break;
      if (result == PCRE2_ERROR_NOMEMORY) return MemoryError("no memory to match an expression");
      if (result != PCRE2_ERROR_NOMATCH) {
        return LimitError("the expression " + Quoted(expression_) +
                          " needs too many steps on this text: " + ErrorText(result));
      }
      if (last_start >= text.size()) return false;
      start = last_start + 1;
      while (start < text.size() && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) {
        ++start;
      }
    }
    const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(buffers.match.get());
    match = {offsets[0], offsets[1]};
    return true;
  }

 private:
  static Status MakeBuffers(PatternScratch& scratch) {
    auto buffers = std::make_unique<PatternScratch::Buffers>();
    buffers->match.reset(pcre2_match_data_create(1, nullptr));
    buffers->context.reset(pcre2_match_context_create(nullptr));
    buffers->jit_stack.reset(pcre2_jit_stack_create(32 << 10, kJitStackBytes, nullptr));
    if (buffers->match == nullptr || buffers->context == nullptr) {
      return MemoryError("no memory to match an expression");
    }
    pcre2_set_match_limit(buffers->context.get(), kMatchLimit);
    pcre2_set_depth_limit(buffers->context.get(), kDepthLimit);
    pcre2_set_heap_limit(buffers->context.get(), kHeapLimitKib);
    // Without JIT there is no stack, and none is needed.
    if (buffers->jit_stack != nullptr) {
      pcre2_jit_stack_assign(buffers->context.get(), nullptr, buffers->jit_stack.get());
    }
    scratch.buffers_ = std::move(buffers);
    return OkStatus();
  }

  Owned<pcre2_code, pcre2_code_free> code_;
  std::string expression_;
};

Result<std::unique_ptr<TextPattern>> MakeRegexPattern(std::string_view expression) {
  if (expression.size() > kMaxExpressionBytes) {
    return LimitError("an expression of " + std::to_string(expression.size()) + " bytes, at most " +
                      std::to_string(kMaxExpressionBytes) + " are allowed");
  }
  FASTKV_ASSIGN_OR_RETURN(const std::string translated, TranslateExpression(expression));
  Owned<pcre2_compile_context, pcre2_compile_context_free> context(
      pcre2_compile_context_create(nullptr));
  if (context == nullptr) return MemoryError("no memory to compile an expression");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_parens_nest_limit(context.get(), 100);
  int error = 0;
  PCRE2_SIZE error_offset = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR8>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C |
                        PCRE2_NO_UTF_CHECK | PCRE2_USE_OFFSET_LIMIT,
                    &error, &error_offset, context.get());
  if (code == nullptr) {
    return FormatError("the expression " + Quoted(expression) +
                       " is not understood: " + ErrorText(error));
  }
  auto pattern = std::make_unique<RegexPattern>(code, std::string(expression));
  // Where there is no JIT, pcre2_match interprets: slower, the same results.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  return std::unique_ptr<TextPattern>(std::move(pattern));
}

}  // namespace fastkv
