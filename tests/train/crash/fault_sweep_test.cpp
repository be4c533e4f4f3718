// Every nth system call and every nth allocation of a save is made to fail in turn, once and for good; then the start
// after it, too. There is never a state without a whole checkpoint, no crash, and the message names a file and a cause.
#include <fcntl.h>
#include <lathe/error.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <new>
#include <optional>

#include "train/checkpoint_fixture.h"

namespace {

// The allocations of this whole program, counted while a test asks for it.
std::atomic<bool> g_counting{false};
std::atomic<bool> g_no_memory_for_good{false};
std::atomic<long> g_allocations_left{0};

bool allocation_fails() {
  if (!g_counting) return false;
  const long left = --g_allocations_left;
  return left == 0 || (left < 0 && g_no_memory_for_good);
}

}  // namespace

// Not inlined: GCC 12 would see free() meet a pointer of operator new.
[[gnu::noinline]] void* operator new(size_t size) {
  void* block = allocation_fails() ? nullptr : std::malloc(size == 0 ? 1 : size);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
[[gnu::noinline]] void operator delete(void* block) noexcept {
  std::free(block);
}
[[gnu::noinline]] void operator delete(void* block, size_t /*size*/) noexcept {
  std::free(block);
}

namespace lathe {
namespace {

struct Fault {
  int error;         ///< errno; 0: a write that takes half of what it is given
  bool forever;      ///< from the nth call on, or that one alone
  bool ends_a_save;  ///< such a save cannot succeed when the nth call is one of the data's
};

constexpr Fault kFaults[] = {{EIO, false, true}, {ENOSPC, true, true}, {EINTR, false, false}, {0, false, false}};

Fault g_fault{};
long g_calls_left = 0;

/// Whether the call under way is to fail; sets errno.
bool call_fails() {
  const long left = --g_calls_left;
  if (left > 0 || (left < 0 && !g_fault.forever)) return false;
  errno = g_fault.error;
  return true;
}

void install_faults(const Fault& fault, long nth) {
  g_fault = fault;
  g_calls_left = nth;
  WriteCalls& calls = write_calls();
  calls.open = [](const char* path, int flags, mode_t mode) {
    return call_fails() && g_fault.error != 0 ? -1 : ::open(path, flags, mode);
  };
  calls.write = [](int fd, const void* bytes, size_t count) -> ssize_t {
    if (!call_fails()) return ::write(fd, bytes, count);
    if (g_fault.error == 0) return ::write(fd, bytes, std::max<size_t>(count / 2, 1));
    if (g_fault.error == ENOSPC) (void)!::write(fd, bytes, count / 3);  // as much as there was room for
    errno = g_fault.error;
    return -1;
  };
  // A signal ends neither a sync nor what follows here; an error that is none of theirs is left out.
  const auto fails = [] { return call_fails() && g_fault.error != 0 && g_fault.error != EINTR; };
  static const auto failing = fails;
  calls.fsync = [](int) { return failing() ? -1 : 0; };
  calls.rename = [](const char* from, const char* to) { return failing() ? -1 : ::rename(from, to); };
  calls.mkdir = [](const char* path, mode_t mode) { return failing() ? -1 : ::mkdir(path, mode); };
  calls.unlink = [](const char* path) { return failing() ? -1 : ::unlink(path); };
  calls.rmdir = [](const char* path) { return failing() ? -1 : ::rmdir(path); };
}

class FaultSweep : public SmallCheckpoints {
 protected:
  void SetUp() override {
    SmallCheckpoints::SetUp();
    be_quiet();
  }

  /// What went wrong; nullopt: nothing did.
  static std::optional<std::string> error_of(const std::function<void()>& work) {
    try {
      work();
    } catch (const std::exception& error) {
      return error.what();
    }
    return std::nullopt;
  }

  void start_anew() {
    use_quick_calls();
    std::filesystem::remove_all(out());
    std::filesystem::create_directories(out());
    save(4, 1);
    save(8, 2);
  }

  /// What the next start finds; a start whose own calls fail from the mth on leaves a state that the one after can use.
  void expect_recovered(int if_failed, int if_saved, bool failed) {
    const std::string kept = root_ + "/kept";
    const auto expect_whole = [&] {
      const int found = newest_version();
      EXPECT_TRUE(found == if_saved || (failed && found == if_failed)) << found;
      EXPECT_TRUE(is_clean());
    };
    if (is_clean()) return expect_whole();
    for (long m = 1, failing = 1; failing != 0; m += 3) {
      std::filesystem::remove_all(kept);
      std::filesystem::copy(out(), kept, std::filesystem::copy_options::recursive);
      install_faults({EIO, m % 2 == 0, true}, m);
      failing = error_of([&] { clean_up_after_kill(out()); }).has_value() ? 1 : 0;
      use_quick_calls();
      clean_up_after_kill(out());
      expect_whole();
      if (failing != 0) {
        std::filesystem::remove_all(out());
        std::filesystem::rename(kept, out());
      }
    }
  }

  /// @param step saved with version 3 over checkpoints 4 (version 1) and 8 (version 2)
  void sweep_calls(int step, const Fault& fault) {
    for (long n = 1;; ++n) {
      SCOPED_TRACE("call " + std::to_string(n) + ", errno " + std::to_string(fault.error));
      start_anew();
      install_faults(fault, n);
      const auto error = error_of([&] { save(step, 3); });
      const bool reached = g_calls_left <= 0;
      use_quick_calls();
      if (error) {
        EXPECT_NE(error->find(out()), std::string::npos) << *error;
        EXPECT_NE(error->find(fault.error == EIO ? "Input/output error" : "No space left"), std::string::npos)
            << *error;
      }
      EXPECT_TRUE(fault.ends_a_save || !error.has_value()) << *error;
      expect_recovered(2, 3, error.has_value());
      save(step, 3);  // the next save point
      EXPECT_EQ(version_of(folder(step)), 3);
      if (!reached || HasFailure()) {
        EXPECT_GT(n, 20);
        return;
      }
    }
  }
};

TEST_F(FaultSweep, OfASaveBesideOlderOnes) {
  for (const Fault& fault : kFaults) sweep_calls(12, fault);
}

TEST_F(FaultSweep, OfASaveOfAStepThatIsThereAlready) {
  for (const Fault& fault : kFaults) sweep_calls(8, fault);
}

TEST_F(FaultSweep, OfDroppingOldOnes) {
  for (long n = 1, reached = 1; reached != 0; ++n) {
    start_anew();
    save(12, 3);
    install_faults({EIO, true, true}, n);
    (void)error_of([&] { rotate_checkpoints(out(), 1, std::nullopt); });
    reached = g_calls_left <= 0 ? 1 : 0;
    use_quick_calls();
    clean_up_after_kill(out());
    EXPECT_EQ(newest_version(), 3);
    for (const CheckpointFolder& checkpoint : list_checkpoints(out())) EXPECT_GT(version_of(checkpoint.path), 0);
  }
}

/// The save runs in a child: JSON objects (nlohmann's) allocate while they are destroyed, so that a program without any
/// memory may end there. That is a kill like any other: what it leaves has to be whole.
TEST_F(FaultSweep, OfAllocations) {
  start_anew();
  const FilesToSave contents = files(3);
  const std::string target = folder(8);
  const Json manifest{{"version", 3}};
  const auto run_in_child = [&](long n, bool forever) {
    const pid_t child = ::fork();
    if (child != 0) {
      int status = 0;
      ::waitpid(child, &status, 0);
      return status;
    }
    ::dup2(::open("/dev/null", O_WRONLY), STDERR_FILENO);
    g_no_memory_for_good = forever;
    g_allocations_left = n;
    g_counting = true;
    try {
      write_checkpoint_folder(target, contents, manifest);
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(g_allocations_left > 0 ? 2 : 0);
  };
  for (const bool forever : {false, true}) {
    int thrown = 0, ended = 0;
    for (long n = 1; !HasFailure(); n += forever ? 5 : 1) {
      SCOPED_TRACE("allocation " + std::to_string(n));
      const int status = run_in_child(n, forever);
      thrown += WIFEXITED(status) && WEXITSTATUS(status) == 1 ? 1 : 0;
      ended += WIFEXITED(status) ? 0 : 1;
      clean_up_after_kill(out());
      EXPECT_GE(newest_version(), 2);
      EXPECT_TRUE(is_clean());
      if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
        EXPECT_EQ(newest_version(), 3);
        break;
      }
    }
    EXPECT_GT(thrown + ended, 100);
    std::printf("%d saves gave up and %d ended the process, memory missing %s\n", thrown, ended,
                forever ? "for good" : "once");
  }
}

}  // namespace
}  // namespace lathe
