// Tests with real files that are dropped from the page cache, measured and read ahead.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "pagecache/cached_fraction.h"
#include "pagecache/open_files.h"
#include "pagecache/read_ahead_worker.h"

namespace mgpu::pagecache {
namespace {

// The files are in the working directory, since /tmp may be a tmpfs, whose files are always in the page
// cache.
class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::current_path() / "mgpu-files-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Creates a file of which nothing is in the page cache.
  std::string cold_file(const std::string& name, std::size_t mib) {
    const std::string path = folder_ / name;
    {
      std::ofstream file(path, std::ios::binary);
      const std::string piece(1 << 20, 'w');
      for (std::size_t i = 0; i < mib; ++i) file << piece;
    }
    drop_from_cache(path);
    return path;
  }
  static void drop_from_cache(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY);
    ASSERT_EQ(::fsync(file), 0);
    ASSERT_EQ(::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
    ::close(file);
  }
  static double fraction(const std::string& path) {
    const std::vector<std::string> files{path};
    return cached_fraction(files).value_or(-1);
  }
  [[nodiscard]] static bool wait_until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  std::filesystem::path folder_;
};

TEST_F(Files, AreInThePageCacheAfterReading) {
  const std::string weights = cold_file("weights", 24);
  EXPECT_LT(fraction(weights), 0.02);
  ReadAheadWorker ahead;
  ahead.read(1, {weights}, kGiB);
  ASSERT_TRUE(wait_until([&] { return ahead.is_idle(); }));
  EXPECT_GT(fraction(weights), 0.98);
}

TEST_F(Files, AreReadAheadUpToTheLimitAndInOrder) {
  const std::string first = cold_file("first", 24), second = cold_file("second", 24);
  ReadAheadWorker ahead;
  ahead.read(1, {first, second}, kMiB * 32);
  ASSERT_TRUE(wait_until([&] { return ahead.is_idle(); }));
  EXPECT_GT(fraction(first), 0.98);
  EXPECT_GT(fraction(second), 0.25);
  EXPECT_LT(fraction(second), 0.6) << "8 of its 24 MiB, and the kernel's own read-ahead";
}

TEST_F(Files, AreNotReadByACancelledJob) {
  const std::string first = cold_file("first", 64), second = cold_file("second", 24);
  ReadAheadWorker ahead;
  ahead.read(1, {first}, kGiB);
  ahead.read(2, {second}, kGiB);
  ahead.cancel(2);
  ahead.cancel(7);  // does not exist
  ASSERT_TRUE(wait_until([&] { return ahead.is_idle(); }));
  EXPECT_LT(fraction(second), 0.02);
}

TEST_F(Files, ThatDoNotExistAreIgnored) {
  ReadAheadWorker ahead;
  ahead.read(1, {folder_ / "nothing", folder_}, kGiB);
  ASSERT_TRUE(wait_until([&] { return ahead.is_idle(); }));
  EXPECT_EQ(fraction(folder_ / "nothing"), -1) << "unknown is not zero";
}

TEST_F(Files, OfAFolderAreTheLargeOnes) {
  const std::string small = cold_file("config.json", 1), large = cold_file("b.safetensors", 20),
                    larger = cold_file("a.safetensors", 24);
  const std::vector<std::string> folder{folder_};
  EXPECT_EQ(list_weight_files(folder), (std::vector{larger, large}));
  const std::vector<std::string> named{small};
  EXPECT_EQ(list_weight_files(named), named) << "a file named itself counts at any size";
}

TEST_F(Files, OpenForReadingAreFound) {
  const std::string weights = cold_file("weights", 20), journal = cold_file("journal", 20);
  const int reads = ::open(weights.c_str(), O_RDONLY), writes = ::open(journal.c_str(), O_RDWR);
  const auto found = find_large_open_files(::getpid());
  ::close(reads);
  ::close(writes);
  EXPECT_TRUE(found.contains(weights));
  EXPECT_FALSE(found.contains(journal)) << "files open for writing are not weights";
  EXPECT_FALSE(find_large_open_files(::getpid()).contains(weights)) << "it is closed now";
}

TEST(AvailableMemory, IsKnown) { EXPECT_GT(quarter_of_available_memory(), kMiB); }

}  // namespace
}  // namespace mgpu::pagecache
