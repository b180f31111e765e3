// A parsed template: nodes in two arrays that refer to each other by index.
//
// Names are resolved when parsing: each node that reads or writes a variable carries the frame (so
// many levels out) and slot where it lives. Frames are what jinja2 calls scopes: the template, a
// loop body, a macro and so on.
//
// Thread-safety: immutable once parsed.
#ifndef FASTKV_TEXT_JINJA_AST_H_
#define FASTKV_TEXT_JINJA_AST_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "text/jinja/value.h"

namespace fastkv::jinja {

using NodeId = uint32_t;
inline constexpr NodeId kNoNode = UINT32_MAX;

// Where a variable lives: `hops` frames outwards from the running one, in `slot`.
struct Slot {
  uint32_t hops = 0;
  uint32_t index = 0;
};

enum class ExpressionKind : uint8_t {
  kConstant,         // constant
  kName,             // name, slot
  kList,             // items
  kTuple,            // items
  kDict,             // items: key, value, key, value ...
  kAttribute,        // left . name
  kItem,             // left [ right ]
  kSlice,            // left [ items[0] : items[1] : items[2] ], any of them kNoNode
  kCall,             // left ( arguments )
  kFilter,           // left | name ( arguments ); left may be kNoNode in filter blocks
  kTest,             // left is name ( arguments )
  kBinary,           // left op right
  kConcat,           // items, joined as strings
  kCompare,          // left, then comparisons[i] with items[i]
  kAnd,              // left and right
  kOr,               // left or right
  kNot,              // not left
  kNegate,           // - left
  kPlus,             // + left
  kConditional,      // left if items[0] else right; right may be kNoNode
  kNamespaceTarget,  // name . attribute, as the target of set: name, slot, attribute
};

enum class BinaryOperator : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
};

enum class Comparison : uint8_t {
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

struct NamedNode {
  std::string name;
  NodeId value = kNoNode;
};

// The arguments of a call, filter or test.
struct ArgumentNodes {
  std::vector<NodeId> positional;
  std::vector<NamedNode> keywords;
  NodeId star = kNoNode;         // *list
  NodeId double_star = kNoNode;  // **dictionary
};

struct Expression {
  ExpressionKind kind = ExpressionKind::kConstant;
  BinaryOperator binary = BinaryOperator::kAdd;
  int line = 1;
  NodeId left = kNoNode;
  NodeId right = kNoNode;
  Slot slot;
  std::vector<NodeId> items;
  std::vector<Comparison> comparisons;
  std::unique_ptr<ArgumentNodes> arguments;
  std::string name;
  std::string attribute;
  Value constant;
};

// What a variable holds when its frame is entered.
struct FrameLoad {
  enum class From : uint8_t {
    kNothing,    // undefined until set
    kParameter,  // given by the loop, macro or with
    kOuter,      // the variable of the same name further out
    kGlobal,     // a variable given to the template, or a global function
  };
  From from = From::kNothing;
  Slot outer;
  std::string name;
};

struct Frame {
  std::vector<FrameLoad> loads;  // one a slot
  // A macro or recursive loop defined inside may outlive the frame's own run.
  bool captured = false;
};

enum class StatementKind : uint8_t {
  kData,         // text
  kOutput,       // expression
  kIf,           // branches; conditions in order, body each; else_body
  kFor,          // target in expression if condition: body, else_body
  kSet,          // target = expression
  kSetBlock,     // target = body, through filter `expression` if any
  kMacro,        // name, parameters, body
  kCall,         // expression is a call; parameters, body
  kFilterBlock,  // filter `expression` over body
  kWith,         // targets, values, body
  kGeneration,   // body
  kBreak,
  kContinue,
};

using StatementList = std::vector<NodeId>;

struct IfBranch {
  NodeId condition = kNoNode;
  StatementList body;
};

struct Parameter {
  std::string name;
  NodeId default_value = kNoNode;
  uint32_t slot = 0;  // in the macro's frame
};

// What makes a macro or a call block.
struct MacroDefinition {
  std::string name;
  std::vector<Parameter> parameters;
  // Slots of the special variables, where the body uses them.
  uint32_t caller_slot = UINT32_MAX;
  uint32_t kwargs_slot = UINT32_MAX;
  uint32_t varargs_slot = UINT32_MAX;
};

struct Statement {
  StatementKind kind = StatementKind::kData;
  int line = 1;
  NodeId expression = kNoNode;
  NodeId target = kNoNode;     // an expression: kName, kTuple of targets, kNamespaceTarget
  NodeId condition = kNoNode;  // for ... if
  bool recursive = false;
  uint32_t loop_slot = UINT32_MAX;  // in the body's frame; UINT32_MAX: `loop` is not used
  TextBuffer* text = nullptr;       // owned by the tree
  StatementList body;
  StatementList else_body;
  std::vector<IfBranch> branches;
  std::vector<NodeId> targets;  // with
  std::vector<NodeId> values;
  std::unique_ptr<MacroDefinition> macro;
  // Frames of the parts that have their own; UINT32_MAX elsewhere.
  uint32_t body_frame = UINT32_MAX;
  uint32_t else_frame = UINT32_MAX;
  uint32_t test_frame = UINT32_MAX;
};

struct Tree {
  std::vector<Expression> expressions;
  std::vector<Statement> statements;
  std::vector<Frame> frames;  // 0: the template's own
  std::vector<std::unique_ptr<TextBuffer>> texts;
  StatementList body;
  uint64_t source_bytes = 0;
};

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_AST_H_
