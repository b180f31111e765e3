// Collects, block by block while a layer runs, what a method asked to see of it.
#ifndef FASTKV_ENGINE_OBSERVATION_RECORDER_H_
#define FASTKV_ENGINE_OBSERVATION_RECORDER_H_

#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "base/status.h"
#include "method/layer_observation.h"
#include "method/prefill_plan.h"
#include "model/decoder_model.h"
#include "model/rope_frequencies.h"
#include "tensor/buffer.h"

namespace fastkv {

// Rows [begin, end) of a layer, as its attention sees them.
struct AttendedRows {
  ConstTensorView queries;      // [end - begin, num_q_heads, head_dim], act
  ConstTensorView keys;         // [num_kv_heads, end, head_dim], kv
  ConstTensorView log_sum_exp;  // [end - begin, num_q_heads], f32
  int64_t begin = 0;
  const int32_t* positions = nullptr;  // device: [end]
};

// Move-only. Back end and model must outlive it.
class ObservationRecorder {
 public:
  // Takes memory for all layers of `plan`. Errors: kMemory, kDevice.
  static Result<ObservationRecorder> Allocate(Backend& backend, const DecoderModel& model,
                                              const PrefillPlan& plan);
  // What Allocate takes.
  static int64_t NumBytes(const ModelConfig& config, const ComputeTypes& types,
                          const PrefillPlan& plan);

  // Forgets the layer before.
  void BeginLayer(const LayerPlan& plan, int64_t layer);

  // `qkv`: rows of workspace.Qkv, the first of which is row `begin` of the layer.
  void RecordProjection(ConstTensorView qkv, int64_t begin);
  // Keeps the queries of the last rows. `queries`: [rows, num_q_heads, head_dim], act.
  void RecordQueries(ConstTensorView queries, int64_t begin);
  // Whether column sums take anything of rows [begin, end), and so need their log-sum-exp.
  bool WantsAttention(int64_t end) const;
  void RecordAttention(const AttendedRows& rows);

  ObservationScratch& scratch() { return scratch_; }
  // What was recorded of the layer; the caller adds what it knows itself.
  LayerInputs Inputs() const;

 private:
  // Row weights that go linearly from 1 to `last_row_weight`.
  struct WeightTable {
    int64_t rows = 0;
    float last_row_weight = 1;
    Buffer weights;  // [rows], f32
  };

  ObservationRecorder(Backend& backend, const DecoderModel& model)
      : backend_(&backend), model_(&model) {}
  static std::vector<WeightTable> NeededTables(const PrefillPlan& plan);
  ConstTensorView WeightsOf(const ColumnSums& sums) const;
  void AddColumns(const ColumnSums& sums, TensorView out, const AttendedRows& rows);

  Backend* backend_;
  const DecoderModel* model_;
  RopeFrequencies frequencies_;
  ObservationScratch scratch_;
  Buffer last_queries_;  // [query_rows, num_q_heads, head_dim], act
  std::vector<WeightTable> weight_tables_;
  LayerPlan plan_;
  int64_t layer_ = 0;
};

}  // namespace fastkv

#endif  // FASTKV_ENGINE_OBSERVATION_RECORDER_H_
