// What a chat says about itself: /stats, and the object of --json.
#ifndef FASTKV_APPS_CHAT_REPORT_H_
#define FASTKV_APPS_CHAT_REPORT_H_

#include <string>
#include <vector>

#include "fastkv/chat_session.h"

namespace fastkv {

// The lines of /stats. `turns`: since the conversation began.
std::string ChatStatsText(const ChatSession& chat, const std::vector<TurnStats>& turns);

// The object that --json prints at the end.
std::string ChatJson(const ChatSession& chat, const std::vector<ChatMessage>& messages,
                     const std::vector<TurnStats>& turns);

}  // namespace fastkv

#endif  // FASTKV_APPS_CHAT_REPORT_H_
