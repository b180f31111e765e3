// Conversations in files: a JSON array of messages, as `fastkv chat-template` takes it.
#ifndef FASTKV_APPS_CHAT_FILE_H_
#define FASTKV_APPS_CHAT_FILE_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "fastkv/chat_turns.h"
#include "io/file.h"

namespace fastkv {

// Errors: those of FileSystem::WriteFile.
Status SaveMessages(FileSystem& files, const std::string& path,
                    const std::vector<ChatMessage>& messages);

// Errors: those of reading; kFormat where the file is not an array of objects with a role (system,
// user or assistant) and a text as content, naming the first message that is not.
Result<std::vector<ChatMessage>> LoadMessages(FileSystem& files, const std::string& path);

}  // namespace fastkv

#endif  // FASTKV_APPS_CHAT_FILE_H_
