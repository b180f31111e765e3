// The page that shows a calibration: how far the answer moves when the prompt is cut behind each
// layer, and the layer chosen. One self-contained HTML file, no script, no network, light and dark,
// for a screen of any width and for paper.
#ifndef FASTKV_EVAL_CALIBRATION_PAGE_H_
#define FASTKV_EVAL_CALIBRATION_PAGE_H_

#include <cstdint>
#include <string>

#include "engine/calibration.h"

namespace fastkv {

struct CalibrationPageData {
  std::string model;    // "needle-16m"
  std::string machine;  // one line
  int64_t num_layers = 0;
  std::string settings;  // as one phrase: "20 % of the tokens, window 8, max pooling over 7"
  std::string prompts;   // as one phrase: "8 built-in prompts of up to 4,096 tokens"
  std::string command;   // what was typed, to run it again
  Calibration calibration;
};

// Everything in `data` is escaped. REQUIRES: the curve has at least one layer.
std::string RenderCalibrationPage(const CalibrationPageData& data);

}  // namespace fastkv

#endif  // FASTKV_EVAL_CALIBRATION_PAGE_H_
