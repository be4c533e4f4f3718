#include "train/start_parts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

namespace lathe {

Json StartParts::json() const {
  Json json = Json::object();
  for (const auto& [name, seconds] : parts_) json[name] = rounded(seconds, 3);
  return json;
}

std::string StartParts::text() const {
  std::vector<std::string> texts;
  for (const auto& [name, seconds] : parts_) texts.push_back(fmt::format("{} {:.2f} s", name, seconds));
  return fmt::format("{}", fmt::join(texts, ", "));
}

}  // namespace lathe
