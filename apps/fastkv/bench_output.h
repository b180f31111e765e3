// A speed report as text for a terminal, and for other programs.
#ifndef FASTKV_APPS_BENCH_OUTPUT_H_
#define FASTKV_APPS_BENCH_OUTPUT_H_

#include <string>

#include "eval/speed_report.h"
#include "io/json.h"

namespace fastkv {

// A line for each row, then its breakdown where it has one.
std::string SpeedTable(const SpeedReport& report);

// Two lines for each row, named as llama-bench names its tests: pp8192 and tg32@d8192.
std::string SpeedMarkdown(const SpeedReport& report);

// A line for each row, with the fields of SpeedRowJson; those inside others joined by "_".
std::string SpeedCsv(const SpeedReport& report);

// Everything about a row; times in milliseconds, null for what was not measured. A row that failed
// has its reason in "error", which others lack.
Json SpeedRowJson(const SpeedRow& row);

}  // namespace fastkv

#endif  // FASTKV_APPS_BENCH_OUTPUT_H_
