#include "config/spelling.h"

#include <algorithm>
#include <vector>

#include "config/fields.h"
#include "config/foreign_keys.h"

namespace lathe {

int edit_distance(std::string_view a, std::string_view b) {
  std::vector<int> before(b.size() + 1), row(b.size() + 1), next(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    next[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replace = row[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      next[j] = std::min({replace, row[j] + 1, next[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        next[j] = std::min(next[j], before[j - 2] + 1);
    }
    std::swap(before, row);
    std::swap(row, next);
  }
  return row[b.size()];
}

std::string nearest_key(std::string_view word) {
  std::string best;
  int distance = 0;
  const auto consider = [&](const char* name) {
    const int d = edit_distance(word, name);
    if (best.empty() || d < distance) best = name, distance = d;
  };
  for (const FieldGroup& group : field_groups()) {
    for (const Field& field : group.fields) {
      consider(field.name);
      for (const char* alias : field.aliases) consider(alias);
    }
  }
  for (const ForeignKey& key : foreign_keys()) consider(key.name);
  return best;
}

}  // namespace lathe
