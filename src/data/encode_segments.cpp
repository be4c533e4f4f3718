#include "data/encode_segments.h"

#include <algorithm>
#include <string>

#include "data/tokenizer_impl.h"

namespace lathe {

EncodedSegments encode_segments(const Tokenizer& tokenizer, const std::vector<Segment>& segments) {
  std::string text;
  std::vector<size_t> ends;  // of each segment in text
  for (const Segment& segment : segments) {
    text += segment.text;
    ends.push_back(text.size());
  }
  require_utf8(text);
  const auto segment_at = [&](size_t offset) {
    return static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), offset) - ends.begin());
  };
  const auto allowed = [&](size_t begin, size_t end, int32_t id) {
    if (!tokenizer.is_special(id)) return true;
    for (size_t i = segment_at(begin); i < segments.size() && (i == 0 || ends[i - 1] < end); ++i) {
      if (!segments[i].markup && !segments[i].text.empty()) return false;
    }
    return true;
  };
  EncodedSegments encoded;
  std::vector<size_t> starts;
  tokenizer.impl().encode(text, true, allowed, encoded.ids, &starts);
  encoded.trained.reserve(starts.size());
  for (const size_t start : starts) {
    const size_t at = segment_at(start);
    encoded.trained.push_back(at < segments.size() && segments[at].trained ? 1 : 0);
  }
  return encoded;
}

}  // namespace lathe
