// The chat format of a model: messages in, prompt text out, exactly as Hugging Face Transformers
// renders the model's template.
#ifndef FASTKV_TEXT_CHAT_TEMPLATE_H_
#define FASTKV_TEXT_CHAT_TEMPLATE_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "io/file.h"
#include "io/json.h"
#include "text/jinja/local_time.h"
#include "text/jinja/template.h"
#include "text/text_segment.h"

namespace fastkv {

using LocalTime = jinja::LocalTime;

struct ChatTemplateInputs {
  // An array of objects with "role" and, mostly, "content". Given to the template as it is.
  Json messages = Json::array();
  // An array of tool descriptions; none or null: no tools, which differs from an empty array.
  std::optional<Json> tools;
  bool add_generation_prompt = true;
  // Further variables of the template, such as `enable_thinking`. They may replace `documents` and
  // special tokens, but not what the fields above give.
  std::map<std::string, Json> variables;
  // What `strftime_now` sees.
  LocalTime now;
};

// Immutable and thread-safe.
class ChatTemplate {
 public:
  // Takes chat_template.jinja of the folder, else `chat_template` of its tokenizer_config.json, and
  // the special tokens of tokenizer_config.json; or templates and tokens of a GGUF file
  // (FindGgufFile says what counts as one).
  // Errors: kNotFound when there is no template; those of FileSystem and ReadJsonFile;
  // kFormat for a field of the wrong type; those of Parse.
  static Result<ChatTemplate> Load(FileSystem& files, const std::string& path);

  // One template. `special_tokens`: variables such as {"bos_token": "<s>"}.
  // Errors: kFormat, kLimit, kUnsupported for a template that cannot be used, with the line.
  static Result<ChatTemplate> Parse(std::string_view source,
                                    std::map<std::string, Json> special_tokens);

  // The prompt, cut where its trust changes: text of the template and special tokens is trusted,
  // and so are roles that are plain words; all other text that came with `inputs`, in whatever form
  // the template shows it, is not. Errors: kInvalidArgument when the template refuses the messages
  // (with its reason) or they do not fit it; kUnsupported for something the interpreter does not
  // know; kLimit beyond limits.h.
  Result<std::vector<TextSegment>> Render(const ChatTemplateInputs& inputs) const;

 private:
  struct Named {
    std::string name;
    Result<jinja::Template> parsed;  // a template that is not used may be broken
  };

  ChatTemplate() = default;
  static Result<ChatTemplate> LoadFolder(FileSystem& files, const std::string& folder);
  static Result<ChatTemplate> LoadGguf(FileSystem& files, const std::string& path);
  Status ReadTemplates(const Json& chat_template);
  // The template for these inputs. Errors: of parsing it; kNotFound when no name fits.
  Result<const jinja::Template*> Choose(bool has_tools) const;

  std::vector<Named> templates_;
  std::map<std::string, Json> special_tokens_;
};

}  // namespace fastkv

#endif  // FASTKV_TEXT_CHAT_TEMPLATE_H_
