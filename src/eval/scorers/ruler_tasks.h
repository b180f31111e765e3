// The names of RULER's 13 tasks (scripts/synthetic.yaml).
#ifndef FASTKV_EVAL_SCORERS_RULER_TASKS_H_
#define FASTKV_EVAL_SCORERS_RULER_TASKS_H_

#include <array>
#include <span>
#include <string_view>

namespace fastkv {

inline constexpr std::array<std::string_view, 13> kRulerTaskNames = {"niah_single_1",
                                                                     "niah_single_2",
                                                                     "niah_single_3",
                                                                     "niah_multikey_1",
                                                                     "niah_multikey_2",
                                                                     "niah_multikey_3",
                                                                     "niah_multivalue",
                                                                     "niah_multiquery",
                                                                     "vt",
                                                                     "cwe",
                                                                     "fwe",
                                                                     "qa_1",
                                                                     "qa_2"};

inline std::span<const std::string_view> RulerTaskNames() { return kRulerTaskNames; }

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_RULER_TASKS_H_
