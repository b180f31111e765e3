// `fastkv doctor`: what this machine is and can do, and whether a model is sound; text to paste
// into a report.
#ifndef FASTKV_APPS_DOCTOR_H_
#define FASTKV_APPS_DOCTOR_H_

#include <CLI/CLI.hpp>
#include <ostream>

#include "base/status.h"
#include "fastkv/model_flags.h"

namespace fastkv {

struct DoctorOptions {
  ModelFlags model;
  bool json = false;
};

void AddDoctorOptions(CLI::App& command, DoctorOptions& options);
// Errors: those of the model check, after everything else was shown.
Status RunDoctor(const DoctorOptions& options, std::ostream& out);

}  // namespace fastkv

#endif  // FASTKV_APPS_DOCTOR_H_
