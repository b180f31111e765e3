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

// The observation window, in tokens: config.window, else 8, and 32 for AdaKV without propagation.
int64_t WindowOf(const MethodConfig& config);

std::unique_ptr<RetentionRule> CreateSnapKvRule(const MethodConfig&, const ModelShape&);
std::unique_ptr<RetentionRule> CreateStreamingLlmRule(const MethodConfig&, const ModelShape&);
std::unique_ptr<RetentionRule> CreateH2oRule(const MethodConfig&, const ModelShape&);
std::unique_ptr<RetentionRule> CreatePyramidKvRule(const MethodConfig&, const ModelShape&);
std::unique_ptr<RetentionRule> CreateAdaKvRule(const MethodConfig&, const ModelShape&);
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
