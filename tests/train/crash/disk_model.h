#pragma once
// A disk that loses power. The calls of a save are recorded; then, for any instant, folders are made as they may be
// found afterwards:
//   - of a file, what was written before its last sync is there; of what came after, any 512-byte sectors, and any size
//     that such sectors reach;
//   - of a folder, what was done before its last sync is there, and any number of the things done after, in their order
//   (a
//     journalling file system keeps the order of a folder's own entries), whatever became of other folders and of
//     contents.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/write_calls.h"

namespace lathe {

class DiskModel {
 public:
  explicit DiskModel(std::string root) : root_(std::move(root)) {
    nodes_.push_back({.folder = true});
    instance() = this;
  }
  ~DiskModel() { instance() = nullptr; }
  DiskModel(const DiskModel&) = delete;
  DiskModel& operator=(const DiskModel&) = delete;

  /// A control: as if the calls of that kind had not been made.
  bool ignores_file_syncs = false, ignores_folder_syncs = false;

  /// The calls go to the real file system under root, and are recorded.
  static void record();

  [[nodiscard]] size_t num_events() const { return events_.size(); }

  /// Makes `place` what root may be after a power loss behind the first `instant` events.
  void make_state(size_t instant, const std::string& place, std::mt19937& draw) const;

 private:
  static constexpr size_t kSector = 512;
  struct Write {
    size_t at;
    std::string bytes;
  };
  struct Entry {  // one thing done in a folder
    std::string name;
    int node;          // -1: the name goes
    std::string gone;  // of a rename: what it was called
  };
  struct Node {
    bool folder = false;
    std::vector<Write> writes;
    std::vector<Entry> entries;
    size_t synced = 0;  // how many of writes or entries are sure
  };
  struct Event {
    enum { kWrite, kEntries, kSync, kNew } kind;
    int node;
    std::string bytes;
    std::vector<Entry> entries;
  };

  static DiskModel*& instance() {
    static DiskModel* model = nullptr;
    return model;
  }

  static int lookup(const std::vector<Node>& nodes, int folder, const std::string& name) {
    int found = -1;
    for (const Entry& entry : nodes[static_cast<size_t>(folder)].entries) {
      if (entry.gone == name) found = -1;
      if (entry.name == name) found = entry.node;
    }
    return found;
  }
  /// Folder node and last name of a path below root; -1: not below it.
  [[nodiscard]] std::pair<int, std::string> place_of(const std::string& path) const {
    if (path == root_) return {0, ""};
    if (!path.starts_with(root_ + "/")) return {-1, ""};
    int folder = 0;
    std::string rest = path.substr(root_.size() + 1);
    for (size_t slash; (slash = rest.find('/')) != std::string::npos; rest = rest.substr(slash + 1)) {
      folder = lookup(nodes_, folder, rest.substr(0, slash));
      if (folder < 0) return {-1, ""};
    }
    return {folder, rest};
  }
  [[nodiscard]] int node_of(const std::string& path) const {
    const auto [folder, name] = place_of(path);
    return folder < 0 || name.empty() ? folder : lookup(nodes_, folder, name);
  }

  void apply(const Event& event, std::vector<Node>& nodes) const {
    if (event.kind == Event::kNew) return nodes.push_back({.folder = event.bytes == "folder"});
    Node& node = nodes[static_cast<size_t>(event.node)];
    switch (event.kind) {
      case Event::kWrite: {
        const size_t at = node.writes.empty() ? 0 : node.writes.back().at + node.writes.back().bytes.size();
        node.writes.push_back({at, event.bytes});
        break;
      }
      case Event::kEntries:
        node.entries.insert(node.entries.end(), event.entries.begin(), event.entries.end());
        break;
      default:
        if (node.folder ? ignores_folder_syncs : ignores_file_syncs) break;
        node.synced = node.folder ? node.entries.size() : node.writes.size();
    }
  }
  void happened(Event event) {
    apply(event, nodes_);
    events_.push_back(std::move(event));
  }
  int new_node(bool folder) {
    happened({Event::kNew, 0, folder ? "folder" : "file", {}});
    return static_cast<int>(nodes_.size()) - 1;
  }

  static std::string contents(const Node& node, std::mt19937& draw);
  static void make(const std::vector<Node>& nodes, int node, const std::string& place, std::mt19937& draw);

  std::string root_;
  std::vector<Node> nodes_;
  std::vector<Event> events_;
  std::map<int, int> open_;  // descriptor → node
};

inline void DiskModel::record() {
  WriteCalls& calls = write_calls();
  calls.open = [](const char* path, int flags, mode_t mode) {
    DiskModel& disk = *instance();
    const int fd = ::open(path, flags, mode);
    const auto [folder, name] = disk.place_of(path);
    if (fd < 0 || folder < 0) return disk.open_.erase(fd), fd;
    int node = disk.node_of(path);
    if (node < 0) {
      node = disk.new_node(false);
      disk.happened({Event::kEntries, folder, "", {{name, node, ""}}});
    }
    disk.open_[fd] = node;
    return fd;
  };
  calls.write = [](int fd, const void* bytes, size_t count) {
    DiskModel& disk = *instance();
    if (disk.open_.contains(fd)) {
      disk.happened({Event::kWrite, disk.open_[fd], std::string(static_cast<const char*>(bytes), count), {}});
    }
    return ::write(fd, bytes, count);
  };
  calls.fsync = [](int fd) {
    DiskModel& disk = *instance();
    if (disk.open_.contains(fd)) disk.happened({Event::kSync, disk.open_[fd], "", {}});
    return 0;
  };
  calls.mkdir = [](const char* path, mode_t mode) {
    DiskModel& disk = *instance();
    const int result = ::mkdir(path, mode);
    const auto [folder, name] = disk.place_of(path);
    if (result == 0 && folder >= 0) {
      const int node = disk.new_node(true);
      disk.happened({Event::kEntries, folder, "", {{name, node, ""}}});
    }
    return result;
  };
  calls.rename = [](const char* from, const char* to) {
    DiskModel& disk = *instance();
    const int result = ::rename(from, to);
    if (result != 0) return result;
    const auto [folder, name] = disk.place_of(from);
    const auto [into, new_name] = disk.place_of(to);
    if (folder != into) std::abort();  // this model knows renames within one folder only
    if (folder >= 0) disk.happened({Event::kEntries, folder, "", {{new_name, disk.node_of(from), name}}});
    return result;
  };
  const auto removed = [](const char* path, int result) {
    DiskModel& disk = *instance();
    const auto [folder, name] = disk.place_of(path);
    if (result == 0 && folder >= 0) disk.happened({Event::kEntries, folder, "", {{name, -1, ""}}});
    return result;
  };
  static const auto note = removed;
  calls.unlink = [](const char* path) { return note(path, ::unlink(path)); };
  calls.rmdir = [](const char* path) { return note(path, ::rmdir(path)); };
}

inline std::string DiskModel::contents(const Node& node, std::mt19937& draw) {
  std::string bytes;
  const auto put = [&](size_t at, std::string_view piece) {
    bytes.resize(std::max(bytes.size(), at + piece.size()), '\0');
    std::memcpy(bytes.data() + at, piece.data(), piece.size());
  };
  const auto kept_of_4 = draw() % 5;  // nothing, some, or all of what was not synced
  for (size_t i = 0; i < node.writes.size(); ++i) {
    const Write& write = node.writes[i];
    if (i < node.synced) {
      put(write.at, write.bytes);
      continue;
    }
    for (size_t at = 0; at < write.bytes.size();) {
      const size_t length = std::min(kSector - (write.at + at) % kSector, write.bytes.size() - at);
      if (draw() % 4 < kept_of_4) put(write.at + at, std::string_view(write.bytes).substr(at, length));
      at += length;
    }
  }
  return bytes;
}

inline void DiskModel::make(const std::vector<Node>& nodes, int node, const std::string& place, std::mt19937& draw) {
  const Node& made = nodes[static_cast<size_t>(node)];
  if (!made.folder) {
    std::ofstream(place, std::ios::binary) << contents(made, draw);
    return;
  }
  std::filesystem::create_directories(place);
  std::map<std::string, int> entries;
  const size_t open = made.entries.size() - made.synced;
  const size_t count = made.synced + draw() % (open + 1);
  for (size_t i = 0; i < count; ++i) {
    const Entry& entry = made.entries[i];
    entries.erase(entry.gone);
    if (entry.node < 0) {
      entries.erase(entry.name);
    } else {
      entries[entry.name] = entry.node;
    }
  }
  for (const auto& [name, child] : entries) make(nodes, child, place + "/" + name, draw);
}

inline void DiskModel::make_state(size_t instant, const std::string& place, std::mt19937& draw) const {
  std::vector<Node> nodes{{.folder = true}};
  for (size_t i = 0; i < instant; ++i) apply(events_[i], nodes);
  std::filesystem::remove_all(place);
  make(nodes, 0, place, draw);
}

}  // namespace lathe
