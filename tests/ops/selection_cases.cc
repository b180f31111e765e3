// Scores to indices: filling, pooling, reduction over heads, top-k.
#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/ops/case_data.h"
#include "tests/ops/case_groups.h"

namespace fastkv::op_cases {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Score rows by their difficulty.
enum class Scores {
  kProbabilities,  // positive, over many orders of magnitude, denormals among them
  kGaussian,       // both signs
  kFewValues,      // many ties
  kPlateaus,       // runs of equal values, as max pooling makes
  kAllEqual,
  kSignedZeros,  // 0 and -0 are equal
  kNans,         // a third of the row
  kAllNan,
  kInfinities,
};

constexpr const char* ScoresName(Scores scores) {
  switch (scores) {
    case Scores::kProbabilities:
      return "probabilities";
    case Scores::kGaussian:
      return "gaussian";
    case Scores::kFewValues:
      return "few_values";
    case Scores::kPlateaus:
      return "plateaus";
    case Scores::kAllEqual:
      return "all_equal";
    case Scores::kSignedZeros:
      return "signed_zeros";
    case Scores::kNans:
      return "nans";
    case Scores::kAllNan:
      return "all_nan";
    case Scores::kInfinities:
      return "infinities";
  }
  return "";
}

std::vector<float> MakeScores(Scores kind, int64_t count, Random& random) {
  std::vector<float> scores = Gaussian(random, count);
  for (int64_t i = 0; i < count; ++i) {
    switch (kind) {
      case Scores::kProbabilities:
        scores[i] = static_cast<float>(std::exp(-100 * random.NextDouble()));
        break;
      case Scores::kGaussian:
        break;
      case Scores::kFewValues:
        scores[i] = static_cast<float>(random.NextInt(4)) - 1.5f;
        break;
      case Scores::kPlateaus:
        if (i % 7 != 0) scores[i] = scores[i - 1];
        break;
      case Scores::kAllEqual:
        scores[i] = 0.25f;
        break;
      case Scores::kSignedZeros:
        scores[i] = random.NextInt(2) == 0 ? 0.f : -0.f;
        if (i % 5 == 3) scores[i] = -1;
        break;
      case Scores::kNans:
        if (random.NextInt(3) == 0) scores[i] = random.NextInt(2) == 0 ? kNan : -kNan;
        if (i % 11 == 0) scores[i] = -kInfinity;
        break;
      case Scores::kAllNan:
        scores[i] = kNan;
        break;
      case Scores::kInfinities:
        if (i % 3 == 0) scores[i] = i % 2 == 0 ? kInfinity : -kInfinity;
        break;
    }
  }
  return scores;
}

OpCase TopKCase(Scores kind, int64_t num_rows, int64_t num_columns, int64_t count, int64_t tail) {
  const std::string name =
      std::string(ScoresName(kind)) + "_" +
      Label({{"rows", num_rows}, {"columns", num_columns}, {"count", count}, {"tail", tail}});
  return {"SelectTopK", name, [=](OpRun& run) {
            Random random(num_columns * 179 + count);
            SelectTopKParams params;
            params.scores = run.Input(DType::kF32, {num_rows, num_columns},
                                      MakeScores(kind, num_rows * num_columns, random));
            params.count = count;
            params.tail = tail;
            params.out = run.Output("out", DType::kI32, {num_rows, count + tail});
            run.SetOperation([params](Backend& backend) { backend.SelectTopK(params); },
                             static_cast<double>(num_rows * num_columns));
          }};
}

OpCase PoolCase(PoolingKind kind, Scores scores, int64_t num_rows, int64_t num_columns,
                int64_t kernel) {
  const std::string name =
      std::string(kind == PoolingKind::kMax ? "max_" : "average_") + ScoresName(scores) + "_" +
      Label({{"rows", num_rows}, {"columns", num_columns}, {"kernel", kernel}});
  return {"PoolScores", name, [=](OpRun& run) {
            Random random(num_columns * 181 + kernel);
            PoolScoresParams params;
            params.scores = run.Input(DType::kF32, {num_rows, num_columns},
                                      MakeScores(scores, num_rows * num_columns, random));
            params.kernel = kernel;
            params.kind = kind;
            params.out = run.Output(kind == PoolingKind::kMax ? "max" : "average", DType::kF32,
                                    {num_rows, num_columns});
            run.SetOperation([params](Backend& backend) { backend.PoolScores(params); },
                             static_cast<double>(num_rows * num_columns * kernel));
          }};
}

OpCase ReduceCase(ReductionKind kind, int64_t num_groups, int64_t group_size, int64_t num_columns) {
  const char* kind_name = kind == ReductionKind::kSum    ? "sum"
                          : kind == ReductionKind::kMean ? "mean"
                                                         : "max";
  const std::string name =
      std::string(kind_name) + "_" +
      Label({{"groups", num_groups}, {"size", group_size}, {"columns", num_columns}});
  return {"ReduceRows", name, [=](OpRun& run) {
            Random random(num_columns * 191 + group_size);
            const int64_t num_rows = num_groups * group_size;
            ReduceRowsParams params;
            params.scores = run.Input(DType::kF32, {num_rows, num_columns},
                                      Gaussian(random, num_rows * num_columns));
            params.kind = kind;
            params.out = run.Output(kind_name, DType::kF32, {num_groups, num_columns});
            run.SetOperation([params](Backend& backend) { backend.ReduceRows(params); },
                             static_cast<double>(num_rows * num_columns));
          }};
}

OpCase FillCase(int64_t num_rows, int64_t num_columns, const std::vector<ColumnSpan>& spans,
                float value) {
  std::string name = Label({{"rows", num_rows}, {"columns", num_columns}}) + "_spans";
  for (const ColumnSpan& span : spans) {
    name += "_" + std::to_string(span.begin) + "_" + std::to_string(span.end);
  }
  return {"FillColumns", name, [=](OpRun& run) {
            Random random(num_columns * 239 + num_rows);
            FillColumnsParams params;
            params.scores = run.Output("scores", DType::kF32, {num_rows, num_columns},
                                       num_columns + 3, Gaussian(random, num_rows * num_columns));
            params.value = value;
            run.SetOperation(
                [params, spans](Backend& backend) {
                  FillColumnsParams with_spans = params;
                  with_spans.spans = spans;
                  backend.FillColumns(with_spans);
                },
                0);
          }};
}

}  // namespace

void AddSelectionCases(std::vector<OpCase>& cases) {
  for (Scores kind : {Scores::kProbabilities, Scores::kGaussian, Scores::kFewValues,
                      Scores::kPlateaus, Scores::kAllEqual, Scores::kSignedZeros, Scores::kNans,
                      Scores::kAllNan, Scores::kInfinities}) {
    cases.push_back(TopKCase(kind, 3, 100, 37, 8));
    cases.push_back(TopKCase(kind, 2, 3001, 601, 0));
  }
  for (int64_t num_columns : {1, 2, 63, 64, 65, 1000}) {
    cases.push_back(TopKCase(Scores::kFewValues, 4, num_columns, 0, 8));
    cases.push_back(TopKCase(Scores::kFewValues, 4, num_columns, 1, 0));
    cases.push_back(TopKCase(Scores::kFewValues, 4, num_columns, (num_columns + 1) / 2, 3));
    cases.push_back(TopKCase(Scores::kPlateaus, 1, num_columns, num_columns, 1));
  }
  cases.push_back(TopKCase(Scores::kGaussian, 0, 50, 10, 8));
  cases.push_back(TopKCase(Scores::kGaussian, 2, 0, 0, 8));
  cases.push_back(TopKCase(Scores::kPlateaus, 8, 20'011, 2001, 8));
  cases.push_back(TopKCase(Scores::kProbabilities, 1, 70'001, 14'000, 8));
  cases.push_back(TopKCase(Scores::kAllEqual, 2, 20'011, 5000, 0));

  for (PoolingKind kind : {PoolingKind::kMax, PoolingKind::kAverage}) {
    for (int64_t kernel : {1, 3, 7, 31}) {
      cases.push_back(PoolCase(kind, Scores::kProbabilities, 4, 100, kernel));
      // All negative near the ends, in places: padding must not win.
      cases.push_back(PoolCase(kind, Scores::kGaussian, 3, 1001, kernel));
      cases.push_back(PoolCase(kind, Scores::kGaussian, 2, 6, kernel));
    }
    cases.push_back(PoolCase(kind, Scores::kGaussian, 0, 50, 7));
    cases.push_back(PoolCase(kind, Scores::kGaussian, 3, 0, 7));
    cases.push_back(PoolCase(kind, Scores::kGaussian, 3, 1, 7));
  }

  for (ReductionKind kind : {ReductionKind::kSum, ReductionKind::kMean, ReductionKind::kMax}) {
    for (int64_t group_size : {1, 2, 3, 4, 7, 32}) {
      cases.push_back(ReduceCase(kind, 2, group_size, 131));
    }
    cases.push_back(ReduceCase(kind, 1, 32, 3001));
    cases.push_back(ReduceCase(kind, 0, 4, 20));
    cases.push_back(ReduceCase(kind, 3, 4, 0));
    cases.push_back(ReduceCase(kind, 3, 4, 1));
  }

  cases.push_back(FillCase(3, 100, {}, kInfinity));
  cases.push_back(FillCase(0, 100, {{3, 50}}, kInfinity));
  cases.push_back(FillCase(3, 0, {{0, 0}}, kInfinity));
  cases.push_back(FillCase(1, 1, {{0, 1}}, -2.5f));
  cases.push_back(FillCase(4, 1001, {{0, 4}, {4, 4}, {17, 18}, {300, 901}, {993, 1001}}, 7));
  std::vector<ColumnSpan> many;
  for (int64_t i = 0; i < 1000; ++i) many.push_back({5 * i + 1, 5 * i + 1 + i % 4});
  OpCase many_spans = FillCase(2, 5003, many, std::numeric_limits<float>::max());
  many_spans.name = "rows2_columns5003_spans1000";
  cases.push_back(many_spans);
}

void AddSelectionBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases) {
  const int64_t n = sizes.kv_len - 8;
  cases.push_back(FillCase(8, n, {{0, 4}, {n / 2, n / 2 + 100}, {n - 32, n}}, kInfinity));
  cases.push_back(PoolCase(PoolingKind::kMax, Scores::kProbabilities, 32, n, 7));
  cases.push_back(PoolCase(PoolingKind::kAverage, Scores::kProbabilities, 32, n, 7));
  cases.push_back(ReduceCase(ReductionKind::kSum, 8, 4, n));
  cases.push_back(ReduceCase(ReductionKind::kSum, 1, 32, n));
  cases.push_back(TopKCase(Scores::kPlateaus, 8, n, n / 10, 8));
  cases.push_back(TopKCase(Scores::kPlateaus, 1, n, n / 5, 8));
}

}  // namespace fastkv::op_cases
