#include "text/chat_template.h"

#include <utility>

#include "base/limits.h"
#include "io/gguf.h"
#include "text/gguf_tokenizer.h"

namespace fastkv {
namespace {

constexpr std::string_view kTemplateFile = "chat_template.jinja";
constexpr std::string_view kConfigFile = "tokenizer_config.json";

// What the template calls by the names of its inputs.
bool IsReserved(std::string_view name) {
  return name == "messages" || name == "tools" || name == "add_generation_prompt";
}

// A special token: a string, or an object that holds it in `content`; nullptr for anything else.
const std::string* TokenText(const Json& value) {
  if (const auto* text = value.get_ptr<const Json::string_t*>()) return text;
  if (!value.is_object()) return nullptr;
  const auto content = value.find("content");
  return content == value.end() ? nullptr : content->get_ptr<const Json::string_t*>();
}

std::map<std::string, Json> SpecialTokens(const Json& config) {
  std::map<std::string, Json> tokens;
  for (const auto& [name, value] : *config.get_ptr<const Json::object_t*>()) {
    if (name.ends_with("_token")) {
      if (const std::string* text = TokenText(value)) tokens[name] = *text;
    } else if (name == "additional_special_tokens" && value.is_array()) {
      Json list = Json::array();
      for (const Json& item : value) {
        if (const std::string* text = TokenText(item)) list.push_back(*text);
      }
      tokens[name] = std::move(list);
    }
  }
  return tokens;
}

}  // namespace

Result<ChatTemplate> ChatTemplate::Load(FileSystem& files, const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(const std::optional<std::string> gguf_path, FindGgufFile(files, path));
  return gguf_path ? LoadGguf(files, *gguf_path) : LoadFolder(files, path);
}

Result<ChatTemplate> ChatTemplate::LoadGguf(FileSystem& files, const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(const GgufFiles gguf, GgufFiles::Open(files, path));
  ChatTemplate result;
  const auto read = [&]() -> Status {
    FASTKV_ASSIGN_OR_RETURN(const std::vector<GgufChatTemplate> templates,
                            ChatTemplatesFromGguf(gguf.metadata()));
    if (templates.empty()) {
      return NotFoundError(
          "the model has no chat template (no key tokenizer.chat_template); give it a prompt "
          "without a chat format");
    }
    using Texts = std::map<std::string, std::string>;
    FASTKV_ASSIGN_OR_RETURN(const Texts texts, SpecialTokensFromGguf(gguf.metadata()));
    for (const auto& [name, text] : texts) result.special_tokens_[name] = text;
    for (const GgufChatTemplate& named : templates) {
      result.templates_.push_back({named.name, jinja::Template::Parse(named.source)});
    }
    return gguf.CheckUndamaged();
  };
  const Status status = read();
  if (!status.ok()) return status.WithContext(gguf.path());
  return result;
}

Result<ChatTemplate> ChatTemplate::LoadFolder(FileSystem& files, const std::string& folder) {
  const std::string template_path = JoinPath(folder, kTemplateFile);
  const std::string config_path = JoinPath(folder, kConfigFile);
  FASTKV_ASSIGN_OR_RETURN(const bool has_template, files.Exists(template_path));
  FASTKV_ASSIGN_OR_RETURN(const bool has_config, files.Exists(config_path));
  ChatTemplate result;
  Json config = Json::object();
  if (has_config) {
    FASTKV_ASSIGN_OR_RETURN(config, ReadJsonFile(files, config_path, limits::kMaxConfigBytes));
    if (!config.is_object()) {
      return FormatError(config_path + ": expected a JSON object, got " + config.type_name());
    }
    result.special_tokens_ = SpecialTokens(config);
  }
  if (has_template) {
    FASTKV_ASSIGN_OR_RETURN(const std::string source,
                            files.ReadFile(template_path, limits::kMaxTemplateBytes));
    Result<jinja::Template> parsed = jinja::Template::Parse(source);
    if (!parsed.ok()) return parsed.status().WithContext(template_path);
    result.templates_.push_back({"default", std::move(parsed)});
    return result;
  }
  const auto found = config.find("chat_template");
  if (found == config.end() || found->is_null()) {
    return NotFoundError(folder + ": the model has no chat template (neither " +
                         std::string(kTemplateFile) + " nor chat_template in " +
                         std::string(kConfigFile) + "); give it a prompt without a chat format");
  }
  const Status status = result.ReadTemplates(*found);
  if (!status.ok()) return status.WithContext(config_path + ": chat_template");
  return result;
}

Status ChatTemplate::ReadTemplates(const Json& chat_template) {
  if (const auto* source = chat_template.get_ptr<const Json::string_t*>()) {
    Result<jinja::Template> parsed = jinja::Template::Parse(*source);
    FASTKV_RETURN_IF_ERROR(parsed.status());
    templates_.push_back({"default", std::move(parsed)});
    return OkStatus();
  }
  if (!chat_template.is_array()) {
    return FormatError(std::string("expected a string or a list of templates, got ") +
                       chat_template.type_name());
  }
  for (const Json& item : chat_template) {
    FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(item, "a list of templates"));
    FASTKV_ASSIGN_OR_RETURN(std::string name, fields.String("name"));
    FASTKV_ASSIGN_OR_RETURN(const std::string source, fields.String("template"));
    templates_.push_back({std::move(name), jinja::Template::Parse(source)});
  }
  return OkStatus();
}

Result<ChatTemplate> ChatTemplate::Parse(std::string_view source,
                                         std::map<std::string, Json> special_tokens) {
  ChatTemplate result;
  FASTKV_ASSIGN_OR_RETURN(jinja::Template parsed, jinja::Template::Parse(source));
  result.templates_.push_back({"default", std::move(parsed)});
  result.special_tokens_ = std::move(special_tokens);
  return result;
}

Result<const jinja::Template*> ChatTemplate::Choose(bool has_tools) const {
  const Named* chosen = nullptr;
  for (const Named& candidate : templates_) {
    if (has_tools && candidate.name == "tool_use") {
      chosen = &candidate;
      break;
    }
    if (candidate.name == "default") chosen = &candidate;
  }
  if (chosen == nullptr) {
    return NotFoundError("the model's list of chat templates has none named 'default'");
  }
  FASTKV_RETURN_IF_ERROR(chosen->parsed.status().ok()
                             ? OkStatus()
                             : chosen->parsed.status().WithContext("chat template"));
  return &chosen->parsed.value();
}

Result<std::vector<TextSegment>> ChatTemplate::Render(const ChatTemplateInputs& inputs) const {
  if (!inputs.messages.is_array()) {
    return InvalidArgumentError(std::string("messages: expected a JSON array, got ") +
                                inputs.messages.type_name());
  }
  const bool has_tools = inputs.tools.has_value() && !inputs.tools->is_null();
  if (has_tools && !inputs.tools->is_array()) {
    return InvalidArgumentError(std::string("tools: expected a JSON array, got ") +
                                inputs.tools->type_name());
  }
  FASTKV_ASSIGN_OR_RETURN(const jinja::Template* chosen, Choose(has_tools));
  const Json none;
  const Json add_generation_prompt = inputs.add_generation_prompt;
  std::vector<jinja::Variable> variables;
  for (const auto& [name, value] : special_tokens_) {
    variables.push_back({name, &value, jinja::Origin::kTrusted});
  }
  variables.push_back({"documents", &none, jinja::Origin::kTrusted});
  for (const auto& [name, value] : inputs.variables) {
    if (IsReserved(name)) {
      return InvalidArgumentError(
          "the variable '" + name +
          "' of the chat template cannot be set; it comes with the messages");
    }
    variables.push_back({name, &value, jinja::Origin::kUntrusted});
  }
  variables.push_back({"messages", &inputs.messages, jinja::Origin::kMessages});
  variables.push_back({"tools", has_tools ? &*inputs.tools : &none, jinja::Origin::kUntrusted});
  variables.push_back({"add_generation_prompt", &add_generation_prompt, jinja::Origin::kTrusted});
  Result<std::vector<TextSegment>> segments = chosen->Render(variables, inputs.now);
  if (!segments.ok()) return segments.status().WithContext("chat template");
  return segments;
}

}  // namespace fastkv
