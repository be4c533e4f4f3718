#include "base/sha256.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/memory_ledger.h"
#include "base/temporary_folder.h"

namespace lathe {
namespace {

TEST(Sha256, AgreesWithFips180Examples) {
  EXPECT_EQ(Sha256().update("abc").hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256().hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256().update("abcdbcdecdefdefgefghfghighij").update("hijkijkljklmklmnlmnomnopnopq").hex(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, HashesAFile) {
  const TemporaryFolder folder;
  atomic_write(folder / "a", "abc");
  EXPECT_EQ(sha256_file(folder / "a"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, GivesBackWhatItReadOfAMappedFile) {
  const TemporaryFolder folder;
  constexpr size_t kBytes = (size_t{48} << 20) + 5000;  // several pieces, and no whole page at the end
  atomic_write(folder / "large", std::string(kBytes, 'x'));
  const auto file = MappedFile::open(folder / "large");
  const int64_t before = process_memory().file_backed_bytes;
  const std::string digest = Sha256().update_mapped(file->bytes()).hex();
  EXPECT_LE(process_memory().file_backed_bytes - before, int64_t{16} << 20);
  EXPECT_EQ(digest, Sha256().update(file->bytes()).hex());
  EXPECT_GE(process_memory().file_backed_bytes - before, int64_t{40} << 20);  // what reading it plainly leaves
}

}  // namespace
}  // namespace lathe
