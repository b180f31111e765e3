// What a speed measurement has to tell: a row for each method and context, with what was predicted
// and what the device could do beside it. The content of the tables and the page of `fastkv bench`.
#ifndef FASTKV_EVAL_SPEED_REPORT_H_
#define FASTKV_EVAL_SPEED_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "engine/timed_backend.h"

namespace fastkv {

// Of repeated measurements.
struct Spread {
  double median = 0;  // the mean of the two middle ones where their number is even
  double min = 0;
  double max = 0;
};

// REQUIRES: at least one value.
Spread SpreadOf(std::vector<double> values);

// Where the time of one pass went. The parts and `other_ms` add up to the whole.
struct PassBreakdown {
  double total_ms = 0;                    // of all steps
  int64_t steps = 1;                      // decoding: tokens of each sequence
  std::vector<OperationTime> operations;  // the longest first
  double other_ms = 0;                    // outside any operation
};

struct SpeedRow {
  std::string method;
  int64_t context = 0;     // tokens of the prompt
  int64_t batch = 1;       // sequences decoded together
  int64_t new_tokens = 0;  // decoding steps of each run
  int64_t repeat = 0;      // measured runs
  std::string error;       // why there are no measurements; empty where there are

  Spread prefill_ms;                          // of one sequence
  std::optional<Spread> decode_ms_per_token;  // one step: one token of every sequence
  int64_t kv_bytes = 0;                       // held after prefill by all sequences
  int64_t full_kv_bytes = 0;                  // what keeping everything as computed would hold
  int64_t peak_bytes = 0;                     // high-water mark, without the weights

  double predicted_flops = 0;  // of the prefill
  double predicted_speedup_prefill = 1;
  double predicted_decode_bytes = 0;  // weights and mean KV of all sequences, for one step

  // Over `full` at the same context and batch; nothing where full was not run.
  std::optional<double> speedup_prefill;
  std::optional<double> speedup_decode;

  std::optional<DeviceCeilings> ceiling;  // medians of those measured before and after its runs
  std::optional<PassBreakdown> prefill_breakdown;
  std::optional<PassBreakdown> decode_breakdown;

  bool ok() const { return error.empty(); }
  // Measured over predicted at the ceiling's rate; nothing where one of them is missing.
  std::optional<double> PrefillShare() const;
  std::optional<double> DecodeShare() const;
  // Tokens a second of the prompt; new tokens a second of all sequences.
  Spread PrefillTokensPerSecond() const;
  std::optional<Spread> DecodeTokensPerSecond() const;
};

struct SpeedReport {
  std::string model;    // "llama-3.1-8b, random weights"
  std::string machine;  // one line
  std::string command;  // what was typed, to run it again
  std::vector<SpeedRow> rows;
};

}  // namespace fastkv

#endif  // FASTKV_EVAL_SPEED_REPORT_H_
