// The files of data/, compiled into the program.
#ifndef FASTKV_EVAL_EMBEDDED_TEXT_H_
#define FASTKV_EVAL_EMBEDDED_TEXT_H_

#include <string_view>

namespace fastkv {

extern const std::string_view kGrammarJson;         // data/grammar.json
extern const std::string_view kSelectionPageCss;    // data/selection_page.css
extern const std::string_view kSpeedPageCss;        // data/speed_page.css
extern const std::string_view kCalibrationPageCss;  // data/calibration_page.css
extern const std::string_view kEvalPageCss;         // data/eval_page.css, on top of it

}  // namespace fastkv

#endif  // FASTKV_EVAL_EMBEDDED_TEXT_H_
