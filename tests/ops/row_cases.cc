// Operations that work row by row: norm, gated activation, and what is read off the logits.
#include <algorithm>
#include <limits>

#include "tests/ops/case_data.h"
#include "tests/ops/case_groups.h"

namespace fastkv::op_cases {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

OpCase RmsNormCase(int64_t num_tokens, int64_t hidden_size, int64_t padding) {
  const std::string name =
      Label({{"tokens", num_tokens}, {"hidden", hidden_size}, {"padding", padding}});
  return {"RmsNorm", name, [=](OpRun& run) {
            Random random(num_tokens * 131 + hidden_size);
            std::vector<float> x = Gaussian(random, num_tokens * hidden_size);
            // A row of zeros, one of huge and one of tiny numbers.
            const auto scale_row = [&](int64_t row, float factor) {
              if (row >= num_tokens) return;
              for (int64_t c = 0; c < hidden_size; ++c) x[row * hidden_size + c] *= factor;
            };
            scale_row(1, 0);
            scale_row(2, 1e5f);
            scale_row(3, 1e-5f);
            RmsNormParams params;
            params.x = run.Input(DType::kF32, {num_tokens, hidden_size}, x, hidden_size + padding);
            params.weight = run.Input(DType::kF32, {hidden_size}, Gaussian(random, hidden_size));
            params.epsilon = 1e-5f;
            params.out = run.Output("out", run.activation(), {num_tokens, hidden_size});
            run.SetOperation([params](Backend& backend) { backend.RmsNorm(params); },
                             4.0 * static_cast<double>(num_tokens * hidden_size));
          }};
}

OpCase SiluCase(int64_t num_tokens, int64_t intermediate_size) {
  const std::string name = Label({{"tokens", num_tokens}, {"size", intermediate_size}});
  return {
      "SiluMultiply", name, [=](OpRun& run) {
        Random random(num_tokens * 137 + intermediate_size);
        std::vector<float> gate_up = Gaussian(random, num_tokens * 2 * intermediate_size, 2);
        // Gates at which exp(-gate) leaves float32 on either side.
        if (num_tokens > 0 && intermediate_size >= 8) {
          const float extremes[] = {0, -20, -80, -88, -200, 20, 90, 1000};
          std::copy(std::begin(extremes), std::end(extremes), gate_up.begin());
        }
        SiluMultiplyParams params;
        params.gate_up = run.Input(run.activation(), {num_tokens, 2 * intermediate_size}, gate_up);
        params.out = run.Output("out", run.activation(), {num_tokens, intermediate_size});
        run.SetOperation([params](Backend& backend) { backend.SiluMultiply(params); },
                         5.0 * static_cast<double>(num_tokens * intermediate_size));
      }};
}

OpCase ArgMaxCase(int64_t num_rows, int64_t vocab_size) {
  return {"ArgMax", Label({{"rows", num_rows}, {"vocab", vocab_size}}), [=](OpRun& run) {
            Random random(num_rows * 139 + vocab_size);
            std::vector<float> logits = Gaussian(random, num_rows * vocab_size, 3);
            const auto at = [&](int64_t row, int64_t column) -> float& {
              return logits[row * vocab_size + column];
            };
            for (int64_t i = 0; i < num_rows; ++i) {
              const int64_t column = random.NextInt(vocab_size);
              const auto row = logits.begin() + i * vocab_size;
              switch (i % 9) {
                case 1:  // the largest logit twice
                  at(i, column) = at(i, vocab_size - 1) = 50;
                  break;
                case 2:
                  at(i, column) = kNan;
                  break;
                case 3:
                  at(i, column) = kInfinity;
                  break;
                case 4:  // masked logits are no fault
                  at(i, column) = -kInfinity;
                  break;
                case 5:
                  std::fill(row, row + vocab_size, -kInfinity);
                  break;
                case 6:
                  std::fill(row, row + vocab_size, -1.5f);
                  break;
                case 7:  // -0 equals 0
                  std::fill(row, row + vocab_size, -1.f);
                  at(i, vocab_size - 1) = 0;
                  at(i, column) = -0.f;
                  break;
                case 8:
                  at(i, vocab_size - 1) = 100;
                  break;
                default:
                  break;
              }
            }
            ArgMaxParams params;
            params.logits = run.Input(DType::kF32, {num_rows, vocab_size}, logits);
            params.out = run.Output("out", DType::kI32, {num_rows});
            run.SetOperation([params](Backend& backend) { backend.ArgMax(params); },
                             static_cast<double>(num_rows * vocab_size));
          }};
}

OpCase TargetLogProbsCase(int64_t num_rows, int64_t vocab_size, int64_t deviation) {
  const std::string name =
      Label({{"rows", num_rows}, {"vocab", vocab_size}, {"deviation", deviation}});
  return {"TargetLogProbs", name, [=](OpRun& run) {
            Random random(num_rows * 149 + vocab_size);
            TargetLogProbsParams params;
            params.logits =
                run.Input(DType::kF32, {num_rows, vocab_size},
                          Gaussian(random, num_rows * vocab_size, static_cast<float>(deviation)));
            params.targets =
                run.Input({num_rows}, Integers(random, num_rows, vocab_size)).As<int32_t>();
            params.out = run.Output("out", DType::kF32, {num_rows});
            run.SetOperation([params](Backend& backend) { backend.TargetLogProbs(params); },
                             3.0 * static_cast<double>(num_rows * vocab_size));
          }};
}

}  // namespace

void AddRowCases(std::vector<OpCase>& cases) {
  cases.push_back(RmsNormCase(0, 64, 0));
  cases.push_back(RmsNormCase(1, 64, 0));
  cases.push_back(RmsNormCase(2, 1, 0));
  cases.push_back(RmsNormCase(5, 33, 7));
  cases.push_back(RmsNormCase(4, 4096, 64));
  cases.push_back(RmsNormCase(67, 257, 0));

  cases.push_back(SiluCase(0, 64));
  cases.push_back(SiluCase(1, 33));
  cases.push_back(SiluCase(7, 160));
  cases.push_back(SiluCase(65, 1001));

  cases.push_back(ArgMaxCase(0, 100));
  cases.push_back(ArgMaxCase(1, 1));
  cases.push_back(ArgMaxCase(9, 2));
  cases.push_back(ArgMaxCase(27, 33));
  cases.push_back(ArgMaxCase(9, 4099));
  cases.push_back(ArgMaxCase(9, 50257));

  cases.push_back(TargetLogProbsCase(0, 100, 1));
  cases.push_back(TargetLogProbsCase(2, 1, 1));
  cases.push_back(TargetLogProbsCase(17, 33, 1));
  cases.push_back(TargetLogProbsCase(33, 4099, 3));
  cases.push_back(TargetLogProbsCase(5, 50257, 100));
}

void AddRowBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases) {
  for (int64_t num_tokens : {int64_t{1}, sizes.num_tokens}) {
    cases.push_back(RmsNormCase(num_tokens, 4096, 0));
    cases.push_back(SiluCase(num_tokens, 14336));
  }
  cases.push_back(ArgMaxCase(1, 128256));
  cases.push_back(TargetLogProbsCase(64, 128256, 3));
}

}  // namespace fastkv::op_cases
