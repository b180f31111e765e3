// Propagation rules beyond FastKV's fixed cut. What each does and where it comes from: the head of
// its file, method/propagation/ for the arithmetic, docs/propagation.md for all of them together.
// REQUIRES: a checked configuration.
#ifndef FASTKV_METHOD_ADAPTIVE_RULES_H_
#define FASTKV_METHOD_ADAPTIVE_RULES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "method/method_config.h"
#include "method/propagation/rank_agreement.h"
#include "method/propagation_rule.h"

namespace fastkv {

// The names that PropagationConfig::rule may have, in the order of the documentation.
std::vector<std::string> PropagationNames();

// Whether the rule can be made. Errors: kInvalidArgument naming the flag, its value and what is
// allowed.
Status CheckPropagation(const MethodConfig& config, const ModelShape& shape, int64_t layer);

// The rule that config.propagation names. `layer`: the TSP layer, for rules that cut at one.
std::unique_ptr<PropagationRule> CreatePropagationRule(const MethodConfig& config,
                                                       const ModelShape& shape, int64_t layer);

// What `config` leaves to the model's depth, filled in: the options of asl, the layers that vote in
// claa, the layers that cut in uniprefill and promptdistill.
RankAgreementOptions RankAgreementOptionsOf(const MethodConfig& config, const ModelShape& shape);
int64_t VotesOf(const MethodConfig& config, int64_t layer);
std::vector<int64_t> CutLayersOf(const MethodConfig& config, const ModelShape& shape);

// One for each name but fastkv's, which is CreateTspRule.
std::unique_ptr<PropagationRule> CreateRankAgreementRule(const MethodConfig&, const ModelShape&);
std::unique_ptr<PropagationRule> CreateLayerVotesRule(const MethodConfig&, int64_t layer);
std::unique_ptr<PropagationRule> CreateAttentionMassRule(const MethodConfig&, int64_t layer);
std::unique_ptr<PropagationRule> CreateBlockMassRule(const MethodConfig&, const ModelShape&);
std::unique_ptr<PropagationRule> CreateQuerySelectionRule(const MethodConfig&, const ModelShape&);
std::unique_ptr<PropagationRule> CreateScheduleRule(const MethodConfig&);

}  // namespace fastkv

#endif  // FASTKV_METHOD_ADAPTIVE_RULES_H_
