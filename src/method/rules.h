// The rules that methods are made of; method_registry.cc gives them their names. What each does and
// where it comes from: the head of its file, and docs/methods.md. REQUIRES: a checked
// configuration.
#ifndef FASTKV_METHOD_RULES_H_
#define FASTKV_METHOD_RULES_H_

#include <cstdint>
#include <memory>

#include "method/method_config.h"
#include "method/propagation_rule.h"
#include "method/retention_rule.h"

namespace fastkv {

// The observation window, in tokens: config.window, else 8; 32 for PeakKV, for AdaKV without
// propagation and for the propagation rule asl.
int64_t WindowOf(const MethodConfig& config);

// config.kernel, else 7; 31 for PeakKV.
int64_t KernelOf(const MethodConfig& config);

// config.tsp, else a share of 0.2; 0.05 for PeakKV.
Budget TspBudgetOf(const MethodConfig& config);

// The TSP layer: config.tsp_layer, else the one that the paper found for three models, L/2 - 1 in
// each (docs/methods.md, "Token-selective propagation").
int64_t TspLayerOf(const MethodConfig& config, const ModelShape& shape);

// config.pooling, else maximum; average for the propagation rules asl and claa.
PoolingKind PoolingOf(const MethodConfig& config);

std::unique_ptr<RetentionRule> CreateSnapKvRule(const MethodConfig&, const ModelShape&);
std::unique_ptr<RetentionRule> CreateStreamingLlmRule(const MethodConfig&, const ModelShape&);
std::unique_ptr<RetentionRule> CreateH2oRule(const MethodConfig&, const ModelShape&);
std::unique_ptr<RetentionRule> CreatePyramidKvRule(const MethodConfig&, const ModelShape&);
std::unique_ptr<RetentionRule> CreateAdaKvRule(const MethodConfig&, const ModelShape&);
std::unique_ptr<RetentionRule> CreatePeakKvRule(const MethodConfig&, const ModelShape&);
std::unique_ptr<RetentionRule> CreateTovaRule(const MethodConfig&, const ModelShape&);
std::unique_ptr<RetentionRule> CreateKnormRule(const MethodConfig&, const ModelShape&);
std::unique_ptr<RetentionRule> CreateKeyDiffRule(const MethodConfig&, const ModelShape&);
std::unique_ptr<RetentionRule> CreateExpectedAttentionRule(const MethodConfig&, const ModelShape&);

// `layer`: the one after which fewer tokens go on.
std::unique_ptr<PropagationRule> CreateTspRule(const MethodConfig& config, int64_t layer);
std::unique_ptr<PropagationRule> CreatePyramidInferRule(const MethodConfig& config,
                                                        const ModelShape& shape);

}  // namespace fastkv

#endif  // FASTKV_METHOD_RULES_H_
