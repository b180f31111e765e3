#include "text/jinja/scopes.h"

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/jinja/filters.h"
#include "text/jinja/predicates.h"
#include "text/jinja/symbols.h"

namespace fastkv::jinja {
namespace {

class Resolver {
 public:
  explicit Resolver(Tree* tree) : tree_(*tree) {}

  Status ResolveTemplate() {
    tree_.frames.emplace_back();
    Symbols symbols(nullptr);
    const Context context{&symbols, 0, false, false};
    CollectList(tree_.body, &symbols);
    tree_.frames[0].loads = symbols.Loads();
    return ResolveList(tree_.body, context);
  }

 private:
  struct Context {
    Symbols* symbols;
    uint32_t frame;
    bool soft;     // inside an `if`: unknown filters are errors only when reached
    bool in_loop;  // break and continue have a target
  };

  // First pass over a frame: what it reads and sets, not entering frames inside it.
  // NOLINTBEGIN(misc-no-recursion): bounded by the parser's depth limit
  void CollectList(const StatementList& list, Symbols* symbols) {
    for (const NodeId id : list) CollectStatement(id, symbols);
  }

  void CollectStatement(NodeId id, Symbols* symbols) {
    const Statement& node = tree_.statements[id];
    switch (node.kind) {
      case StatementKind::kIf:
        return CollectIf(node, symbols);
      case StatementKind::kSet:
        CollectReads(node.expression, symbols);
        return CollectTarget(node.target, symbols, false);
      case StatementKind::kSetBlock:
      case StatementKind::kMacro:
        return CollectTarget(node.target, symbols, false);
      case StatementKind::kOutput:
      case StatementKind::kFor:
      case StatementKind::kCall:
      case StatementKind::kFilterBlock:
        return CollectReads(node.expression, symbols);
      case StatementKind::kWith:
        for (const NodeId value : node.values) CollectReads(value, symbols);
        return;
      case StatementKind::kData:
      case StatementKind::kGeneration:
      case StatementKind::kBreak:
      case StatementKind::kContinue:
        return;
    }
  }

  void CollectIf(const Statement& node, Symbols* symbols) {
    // The first condition, the body, then all of `elif` as one branch, then `else`: jinja2 counts
    // three branches whatever stands there.
    CollectReads(node.branches[0].condition, symbols);
    const size_t mark = symbols->Mark();
    std::vector<Symbols::Delta> deltas;
    CollectList(node.branches[0].body, symbols);
    deltas.push_back(symbols->TakeBack(mark));
    for (size_t i = 1; i < node.branches.size(); ++i) CollectElif(node.branches[i], symbols);
    deltas.push_back(symbols->TakeBack(mark));
    CollectList(node.else_body, symbols);
    deltas.push_back(symbols->TakeBack(mark));
    symbols->Merge(deltas);
  }

  void CollectElif(const IfBranch& branch, Symbols* symbols) {
    // An `elif` is an `if` of its own with nothing after it.
    CollectReads(branch.condition, symbols);
    const size_t mark = symbols->Mark();
    CollectList(branch.body, symbols);
    std::vector<Symbols::Delta> deltas(3);
    deltas[0] = symbols->TakeBack(mark);
    symbols->Merge(deltas);
  }

  void CollectTarget(NodeId id, Symbols* symbols, bool as_parameter) {
    const Expression& node = tree_.expressions[id];
    if (node.kind == ExpressionKind::kTuple) {
      for (const NodeId item : node.items) CollectTarget(item, symbols, as_parameter);
    } else if (node.kind == ExpressionKind::kNamespaceTarget) {
      symbols->Load(node.name);
    } else if (as_parameter) {
      symbols->Parameter(node.name);
    } else {
      symbols->Store(node.name);
    }
  }
  // NOLINTEND(misc-no-recursion)

  // Calls visit(node, inside an inline `if`) for `root` and all below it.
  template <typename Visit>
  void VisitExpressions(NodeId root, Visit visit) {
    if (root == kNoNode) return;
    std::vector<std::pair<NodeId, bool>> pending = {{root, false}};
    while (!pending.empty()) {
      auto [id, conditional] = pending.back();
      pending.pop_back();
      Expression& node = tree_.expressions[id];
      conditional = conditional || node.kind == ExpressionKind::kConditional;
      visit(node, conditional);
      const auto push = [&](NodeId child) {
        if (child != kNoNode) pending.emplace_back(child, conditional);
      };
      push(node.left);
      push(node.right);
      for (const NodeId item : node.items) push(item);
      if (node.arguments == nullptr) continue;
      for (const NodeId argument : node.arguments->positional) push(argument);
      for (const NamedNode& keyword : node.arguments->keywords) push(keyword.value);
      push(node.arguments->star);
      push(node.arguments->double_star);
    }
  }

  void CollectReads(NodeId root, Symbols* symbols) {
    VisitExpressions(root, [&](const Expression& node, bool) {
      if (node.kind == ExpressionKind::kName) symbols->Load(node.name);
    });
  }

  // Second pass: gives every name its slot and handles the frames inside.
  // NOLINTBEGIN(misc-no-recursion): bounded by the parser's depth limit
  Status ResolveList(const StatementList& list, const Context& context) {
    for (const NodeId id : list) FASTKV_RETURN_IF_ERROR(ResolveStatement(id, context));
    return OkStatus();
  }

  Status ResolveStatement(NodeId id, const Context& context) {
    Statement& node = tree_.statements[id];
    switch (node.kind) {
      case StatementKind::kData:
        return OkStatus();
      case StatementKind::kBreak:
      case StatementKind::kContinue:
        if (context.in_loop) return OkStatus();
        return FormatError("line " + std::to_string(node.line) +
                           ": break or continue outside a loop");
      case StatementKind::kOutput:
        return ResolveExpression(node.expression, context);
      case StatementKind::kSet:
        FASTKV_RETURN_IF_ERROR(ResolveExpression(node.expression, context));
        return ResolveTarget(node.target, context);
      case StatementKind::kIf: {
        Context soft = context;
        soft.soft = true;
        for (const IfBranch& branch : node.branches) {
          FASTKV_RETURN_IF_ERROR(ResolveExpression(branch.condition, soft));
          FASTKV_RETURN_IF_ERROR(ResolveList(branch.body, soft));
        }
        return ResolveList(node.else_body, soft);
      }
      case StatementKind::kFor:
        return ResolveFor(node, context);
      case StatementKind::kMacro:
        FASTKV_RETURN_IF_ERROR(ResolveTarget(node.target, context));
        return ResolveMacro(node, context);
      case StatementKind::kCall:
        FASTKV_RETURN_IF_ERROR(ResolveExpression(node.expression, context));
        return ResolveMacro(node, context);
      case StatementKind::kSetBlock:
        FASTKV_RETURN_IF_ERROR(ResolveTarget(node.target, context));
        return ResolveScope(node, context);
      case StatementKind::kFilterBlock:
      case StatementKind::kGeneration:
        return ResolveScope(node, context);
      case StatementKind::kWith:
        return ResolveWith(node, context);
    }
    return OkStatus();
  }

  uint32_t NewFrame() {
    tree_.frames.emplace_back();
    return static_cast<uint32_t>(tree_.frames.size() - 1);
  }

  Status ResolveFor(Statement& node, const Context& context) {
    FASTKV_RETURN_IF_ERROR(ResolveExpression(node.expression, context));
    if (node.condition != kNoNode) {
      Symbols symbols(context.symbols);
      // Keeps the slots of the target equal to those in the body's frame, where `loop` comes first.
      symbols.Parameter("<loop>");
      CollectTarget(node.target, &symbols, true);
      CollectReads(node.condition, &symbols);
      node.test_frame = NewFrame();
      tree_.frames[node.test_frame].loads = symbols.Loads();
      FASTKV_RETURN_IF_ERROR(
          ResolveExpression(node.condition, {&symbols, node.test_frame, false, false}));
    }
    Symbols symbols(context.symbols);
    const uint32_t loop_slot = symbols.Parameter("loop");
    CollectTarget(node.target, &symbols, true);
    CollectList(node.body, &symbols);
    node.body_frame = NewFrame();
    tree_.frames[node.body_frame].loads = symbols.Loads();
    if (node.recursive) MarkCaptured(context.frame);
    parents_[node.body_frame] = context.frame;
    const size_t loop_uses = loop_uses_;
    const Context inner{&symbols, node.body_frame, false, true};
    ++loop_depth_;
    FASTKV_RETURN_IF_ERROR(ResolveTarget(node.target, inner));
    FASTKV_RETURN_IF_ERROR(ResolveList(node.body, inner));
    --loop_depth_;
    if (loop_uses_ != loop_uses || node.recursive) node.loop_slot = loop_slot;
    if (node.else_body.empty()) return OkStatus();
    Symbols else_symbols(context.symbols);
    CollectList(node.else_body, &else_symbols);
    node.else_frame = NewFrame();
    tree_.frames[node.else_frame].loads = else_symbols.Loads();
    parents_[node.else_frame] = context.frame;
    return ResolveList(node.else_body, {&else_symbols, node.else_frame, false, context.in_loop});
  }

  Status ResolveMacro(Statement& node, const Context& context) {
    MacroDefinition& macro = *node.macro;
    Symbols symbols(context.symbols);
    for (Parameter& parameter : macro.parameters) {
      parameter.slot = symbols.Parameter(parameter.name);
    }
    // A macro that names one of these without setting it gets what the caller passed beyond its
    // parameters.
    const auto special = [&](const char* name, uint32_t* slot) {
      for (const Parameter& parameter : macro.parameters) {
        if (parameter.name == name) return;
      }
      if (Mentions(node.body, name)) *slot = symbols.Parameter(name);
    };
    special("caller", &macro.caller_slot);
    special("kwargs", &macro.kwargs_slot);
    special("varargs", &macro.varargs_slot);
    for (const Parameter& parameter : macro.parameters) {
      CollectReads(parameter.default_value, &symbols);
    }
    CollectList(node.body, &symbols);
    node.body_frame = NewFrame();
    tree_.frames[node.body_frame].loads = symbols.Loads();
    parents_[node.body_frame] = context.frame;
    MarkCaptured(context.frame);
    const Context inner{&symbols, node.body_frame, false, false};
    for (const Parameter& parameter : macro.parameters) {
      FASTKV_RETURN_IF_ERROR(ResolveExpression(parameter.default_value, inner));
    }
    return ResolveList(node.body, inner);
  }

  // Blocks with a frame of their own that run once, in place.
  Status ResolveScope(Statement& node, const Context& context) {
    Symbols symbols(context.symbols);
    CollectList(node.body, &symbols);
    CollectReads(node.expression, &symbols);
    node.body_frame = NewFrame();
    tree_.frames[node.body_frame].loads = symbols.Loads();
    parents_[node.body_frame] = context.frame;
    const bool in_loop = context.in_loop && node.kind != StatementKind::kGeneration;
    const Context inner{&symbols, node.body_frame, false, in_loop};
    FASTKV_RETURN_IF_ERROR(ResolveExpression(node.expression, inner));
    return ResolveList(node.body, inner);
  }

  Status ResolveWith(Statement& node, const Context& context) {
    for (const NodeId value : node.values)
      FASTKV_RETURN_IF_ERROR(ResolveExpression(value, context));
    Symbols symbols(context.symbols);
    for (const NodeId target : node.targets) CollectTarget(target, &symbols, true);
    CollectList(node.body, &symbols);
    node.body_frame = NewFrame();
    tree_.frames[node.body_frame].loads = symbols.Loads();
    parents_[node.body_frame] = context.frame;
    const Context inner{&symbols, node.body_frame, false, context.in_loop};
    for (const NodeId target : node.targets) {
      FASTKV_RETURN_IF_ERROR(ResolveTarget(target, inner));
    }
    return ResolveList(node.body, inner);
  }
  // NOLINTEND(misc-no-recursion)

  // Frames that a macro can look into later live as long as the rendering.
  void MarkCaptured(uint32_t frame) {
    while (!tree_.frames[frame].captured) {
      tree_.frames[frame].captured = true;
      const auto parent = parents_.find(frame);
      if (parent == parents_.end()) return;
      frame = parent->second;
    }
  }

  bool Mentions(const StatementList& body, std::string_view name) {
    std::vector<const StatementList*> lists = {&body};
    bool found = false;
    const auto look = [&](NodeId root) {
      VisitExpressions(root, [&](const Expression& node, bool) {
        found = found || (node.kind == ExpressionKind::kName && node.name == name);
      });
    };
    while (!lists.empty() && !found) {
      const StatementList* list = lists.back();
      lists.pop_back();
      for (const NodeId id : *list) {
        const Statement& node = tree_.statements[id];
        look(node.expression);
        look(node.condition);
        for (const NodeId value : node.values) look(value);
        for (const IfBranch& branch : node.branches) {
          look(branch.condition);
          lists.push_back(&branch.body);
        }
        lists.push_back(&node.body);
        lists.push_back(&node.else_body);
      }
    }
    return found;
  }

  Status ResolveTarget(NodeId root, const Context& context) {
    Status status;
    VisitExpressions(root, [&](const Expression& node, bool) {
      if (loop_depth_ > 0 && node.kind == ExpressionKind::kName && node.name == "loop") {
        status = FormatError("line " + std::to_string(node.line) +
                             ": cannot assign to 'loop' in a loop");
      }
    });
    FASTKV_RETURN_IF_ERROR(status);
    return ResolveExpression(root, context);
  }

  Status ResolveExpression(NodeId root, const Context& context) {
    Status status;
    VisitExpressions(root, [&](Expression& node, bool conditional) {
      if (node.kind == ExpressionKind::kName || node.kind == ExpressionKind::kNamespaceTarget) {
        const std::optional<Slot> slot = context.symbols->Find(node.name);
        if (slot) node.slot = *slot;
        if (node.name == "loop") ++loop_uses_;
      }
      if (!status.ok() || context.soft || conditional) return;
      if (node.kind == ExpressionKind::kFilter && FindFilter(node.name) == nullptr) {
        status = UnsupportedError("line " + std::to_string(node.line) + ": unknown filter '" +
                                  node.name + "'");
      } else if (node.kind == ExpressionKind::kTest && FindPredicate(node.name) == nullptr) {
        status = UnsupportedError("line " + std::to_string(node.line) + ": unknown test '" +
                                  node.name + "'");
      }
    });
    return status;
  }

  Tree& tree_;
  std::unordered_map<uint32_t, uint32_t> parents_;  // frame -> frame around it
  size_t loop_uses_ = 0;
  int loop_depth_ = 0;
};

}  // namespace

Status ResolveNames(Tree* tree) { return Resolver(tree).ResolveTemplate(); }

}  // namespace fastkv::jinja
