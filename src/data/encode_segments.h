#pragma once
// A conversation's pieces of text to ids, with what is trained marked.
#include <lathe/tokenizer.h>

#include <cstdint>
#include <vector>

#include "data/chat_template.h"

namespace lathe {

struct EncodedSegments {
  std::vector<int32_t> ids;
  std::vector<uint8_t> trained;  ///< same length; 1 where the token begins inside a trained segment
};

/// The ids of the joined text, as `tokenizers` gives them for it (neighbouring segments are not encoded apart: a token
/// may span two). A special token counts only where all of it stands in markup segments; written in any other segment
/// it is ordinary text, so that contents cannot end a turn or open one. Added tokens that are not special (<think>,
/// <tool_call>) count everywhere, as they do in the library.
/// @throws Error(kData) when the text is not UTF-8 (byte offset in the joined text).
[[nodiscard]] EncodedSegments encode_segments(const Tokenizer& tokenizer, const std::vector<Segment>& segments);

}  // namespace lathe
