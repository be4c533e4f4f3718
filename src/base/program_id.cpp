#include "base/program_id.h"

#include <fmt/format.h>
#include <link.h>

#include <cstring>

namespace lathe {
namespace {

constexpr size_t round_up_to_4(size_t size) {
  return (size + 3) / 4 * 4;
}

/// One PT_NOTE segment: headers, each followed by a name and a description.
std::string id_in_notes(const char* at, size_t size) {
  while (size >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, at, sizeof note);
    const size_t name = round_up_to_4(note.n_namesz), whole = sizeof note + name + round_up_to_4(note.n_descsz);
    if (whole > size) break;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(at + sizeof note, "GNU", 4) == 0) {
      std::string hex;
      for (size_t i = 0; i < note.n_descsz; ++i) {
        hex += fmt::format("{:02x}", static_cast<unsigned char>(at[sizeof note + name + i]));
      }
      return hex;
    }
    at += whole;
    size -= whole;
  }
  return "";
}

/// Called for the program first, then for its libraries: the program is enough.
int look(dl_phdr_info* object, size_t /*size*/, void* found) {
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    std::string& id = *static_cast<std::string*>(found);
    id = id_in_notes(reinterpret_cast<const char*>(object->dlpi_addr + segment.p_vaddr), segment.p_memsz);
    if (!id.empty()) break;
  }
  return 1;
}

}  // namespace

std::string program_id() {
  std::string id;
  dl_iterate_phdr(look, &id);
  return id;
}

}  // namespace lathe
