#include "store/store.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <unistd.h>

#include "store/database.h"

namespace mgpu::store {
namespace {

class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("mgpu-store-" + std::to_string(::getpid()) + "-" +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string store_path() const { return folder_ / "mgpu.db"; }

  std::unique_ptr<Store> open(std::uint32_t history_rows = 1000) {
    auto opened = Store::open({.path = store_path(), .history_rows = history_rows});
    EXPECT_TRUE(opened) << opened.error().detail;
    if (!opened) return nullptr;
    warning_ = opened->warning;
    return std::move(opened->store);
  }

  std::filesystem::path folder_;
  std::string warning_;
};

LearnedCosts sample_learned() {
  return {.footprint = kGiB * 5,
          .working = kMiB * 300,
          .load_cold = Duration{9'000'000},
          .load_cached = Duration{2'000'000},
          .load_parked = Duration{300'000},
          .unload = Duration{100'000},
          .park = Duration{200'000},
          .run = Duration{1'500'000},
          .loads = 12,
          .runs = 340,
          .runs_by_hour = {1, 0, 999, 4}};
}

TEST_F(StoreTest, LearnedCostsSurviveARestart) {
  open()->save_learned(
      {.consumer = "chat", .ai_model = "llama", .settings = "s", .learned = sample_learned()});

  const auto rows = open()->read_learned();

  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].consumer, "chat");
  EXPECT_EQ(rows[0].ai_model, "llama");
  EXPECT_EQ(rows[0].settings, "s");
  EXPECT_EQ(rows[0].learned, sample_learned());
}

TEST_F(StoreTest, OtherSettingsHaveRowsOfTheirOwn) {
  const auto store = open();
  store->save_learned({.consumer = "chat", .settings = "8k", .learned = {.footprint = kGiB * 5}});
  store->save_learned({.consumer = "chat", .settings = "32k", .learned = {.footprint = kGiB * 9}});
  store->save_learned({.consumer = "chat", .settings = "8k", .learned = {.footprint = kGiB * 6}});

  const auto rows = store->read_learned();

  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].learned.footprint + rows[1].learned.footprint, kGiB * 15);
}

TEST_F(StoreTest, ForgetsOneConsumer) {
  const auto store = open();
  store->save_learned({.consumer = "chat", .learned = sample_learned()});
  store->save_learned({.consumer = "voice", .learned = sample_learned()});

  store->forget_learned("chat");

  const auto rows = store->read_learned();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].consumer, "voice");
}

TEST_F(StoreTest, HistoryKeepsTheNewestWithinItsLimit) {
  const auto store = open(10);
  for (std::uint64_t ticket = 1; ticket <= 25; ++ticket)
    store->add_job({.ticket = ticket,
                    .consumer = "chat",
                    .who = "somebody",
                    .arrived_us = 1'700'000'000'000'000,
                    .waited = Duration{5},
                    .loading = Duration{3},
                    .run_time = Duration{7},
                    .outcome = "done"});

  const auto rows = store->read_jobs(100);

  ASSERT_EQ(rows.size(), 10U);
  EXPECT_EQ(rows.front().ticket, 25U);
  EXPECT_EQ(rows.back().ticket, 16U);
  EXPECT_EQ(rows[0].who, "somebody");
  EXPECT_EQ(rows[0].arrived_us, 1'700'000'000'000'000);
  EXPECT_EQ(rows[0].waited + rows[0].loading + rows[0].run_time, Duration{15});
  EXPECT_EQ(rows[0].outcome, "done");
}

TEST_F(StoreTest, KeepsProcessesUntilTheyAreRemoved) {
  {
    const auto store = open();
    store->save_process({.consumer = "chat",
                         .pid = 77,
                         .start_time = 123456,
                         .boot = "b",
                         .port = 9001,
                         .settings = "s",
                         .device = "GPU-2"});
    store->save_process({.consumer = "voice", .pid = 78});
    store->save_process({.consumer = "ollama", .pid = 79});
    store->update_process("chat", true, {""});
    store->update_process("ollama", true, {"a", "b"});
    store->remove_process("voice");
  }
  const auto rows = open()->read_processes();

  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].pid, 77);
  EXPECT_EQ(rows[0].start_time, 123456U);
  EXPECT_EQ(rows[0].boot, "b");
  EXPECT_EQ(rows[0].port, 9001);
  EXPECT_EQ(rows[0].settings, "s");
  EXPECT_EQ(rows[0].device, "GPU-2");
  EXPECT_TRUE(rows[0].settled);
  EXPECT_EQ(rows[0].warm, std::vector<std::string>{""});
  EXPECT_EQ(rows[1].warm, (std::vector<std::string>{"a", "b"}));
}

// The record must be in the file even if the daemon is killed right after save_process.
TEST_F(StoreTest, AStartedProcessIsWrittenImmediately) {
  const auto store = open();
  store->save_process({.consumer = "chat", .pid = 77});

  auto second_connection = Database::open(store_path());
  ASSERT_TRUE(second_connection);
  EXPECT_EQ(second_connection->query_number("SELECT pid FROM started WHERE consumer = 'chat'"), 77);
}

TEST_F(StoreTest, ASecondDaemonIsRefused) {
  const auto store = open();

  const auto second = Store::open({.path = store_path()});

  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::busy);
}

TEST_F(StoreTest, AFileOfANewerVersionIsNotChanged) {
  open();
  ASSERT_TRUE(Database::open(store_path())->run("PRAGMA user_version = 999"));

  const auto refused = Store::open({.path = store_path()});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_config);
  EXPECT_NE(refused.error().detail.find("newer mgpu"), std::string::npos) << refused.error().detail;
  EXPECT_EQ(Database::open(store_path())->query_number("PRAGMA user_version"), 999);
}

TEST_F(StoreTest, AFileOfTheFirstVersionIsMigrated) {
  open()->save_process({.consumer = "chat", .pid = 77, .port = 9001, .device = "GPU-1"});
  ASSERT_TRUE(Database::open(store_path())
                  ->run("ALTER TABLE started DROP COLUMN device;"
                        "ALTER TABLE started DROP COLUMN owner;"
                        "ALTER TABLE started DROP COLUMN owner_start_time;"
                        "DROP TABLE epochs;"
                        "PRAGMA user_version = 1"));

  const auto store = open();

  const auto rows = store->read_processes();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].port, 9001);
  EXPECT_EQ(rows[0].device, "") << "the first version had no device";
  store->save_process({.consumer = "voice", .pid = 78, .device = "GPU-2"});
  EXPECT_EQ(store->read_processes()[1].device, "GPU-2");
}

TEST_F(StoreTest, EachStartHasAnEpochOfItsOwn) {
  EXPECT_EQ(open()->begin_epoch(), 0U);
  const auto store = open();
  EXPECT_EQ(store->begin_epoch(), 1U);
  EXPECT_EQ(store->begin_epoch(), 2U);
}

TEST_F(StoreTest, AFileOfAnMgpuThatCountedNoStartsBeginsWithTheSecondEpoch) {
  open()->add_job({.ticket = 17, .consumer = "chat"});
  ASSERT_TRUE(Database::open(store_path())->run("DROP TABLE epochs; PRAGMA user_version = 3"));
  EXPECT_EQ(open()->begin_epoch(), 1U) << "its tickets were numbered 1, 2, 3 at every start";
}

TEST_F(StoreTest, AnEpochThatCantBeWrittenIsNotUsed) {
  const auto store = open();
  auto beside = Database::open(store_path());
  ASSERT_TRUE(beside);
  ASSERT_TRUE(beside->run("BEGIN IMMEDIATE"));  // another program holds the file
  const auto epoch = store->begin_epoch();
  ASSERT_FALSE(epoch);
  EXPECT_EQ(epoch.error().code, ErrorCode::unavailable);
}

TEST_F(StoreTest, AnotherProgramsDatabaseIsNotChanged) {
  ASSERT_TRUE(Database::open(store_path())->run("CREATE TABLE bookmarks (url TEXT)"));

  const auto refused = Store::open({.path = store_path()});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_config);
  EXPECT_EQ(Database::open(store_path())->query_number("SELECT count(*) FROM sqlite_schema"), 1);
}

TEST_F(StoreTest, ADamagedFileIsRenamedWithAWarning) {
  std::ofstream(store_path()) << "this has been no database for a long time, whatever its name says";

  const auto store = open();

  ASSERT_TRUE(store);
  EXPECT_GT(store->begin_epoch().value_or(0), 40'000U) << "what the old one counted is lost";
  EXPECT_NE(warning_.find("damaged"), std::string::npos);
  store->save_learned({.consumer = "chat", .learned = sample_learned()});
  EXPECT_EQ(store->read_learned().size(), 1U);
  std::ifstream aside(store_path() + ".damaged");
  EXPECT_TRUE(std::string(std::istreambuf_iterator<char>(aside), {}).starts_with("this has been"));
}

TEST_F(StoreTest, AFileWithADamagedPageIsRenamed) {
  {
    const auto store = open(100'000);
    for (int i = 0; i < 2000; ++i) store->add_job({.consumer = std::string(200, 'x'), .outcome = "done"});
  }
  const auto size = std::filesystem::file_size(store_path());
  {
    std::fstream page(store_path(), std::ios::in | std::ios::out | std::ios::binary);
    page.seekp(static_cast<std::streamoff>(size / 2));
    page << std::string(20'000, '\xEE');
  }

  const auto store = open();

  ASSERT_TRUE(store);
  EXPECT_NE(warning_.find("damaged"), std::string::npos);
  EXPECT_TRUE(store->read_jobs(10).empty());
}

TEST_F(StoreTest, AFailedRowDoesNotAffectTheOthers) {
  for (const std::string conflict_action : {"ABORT", "ROLLBACK"}) {
    const auto store = open();
    {
      auto other = Database::open(store_path());
      ASSERT_TRUE(
          other->run("CREATE TRIGGER refuse BEFORE INSERT ON jobs WHEN NEW.who = 'bad' "
                     "BEGIN SELECT RAISE(" +
                     conflict_action + ", 'no'); END"));
    }
    store->add_job({.ticket = 1, .who = "good"});
    store->add_job({.ticket = 2, .who = "bad"});
    store->save_process({.consumer = "chat", .pid = 17});
    store->add_job({.ticket = 3, .who = "good"});
    store->flush();

    EXPECT_EQ(store->read_processes().size(), 1U) << conflict_action;
    EXPECT_EQ(store->read_jobs(10).size(), 2U) << conflict_action;
    std::filesystem::remove(store_path());
  }
}

TEST_F(StoreTest, FailedProcessRowsAreRetried) {
  const auto store = open();
  auto other = Database::open(store_path());
  ASSERT_TRUE(
      other->run("CREATE TRIGGER refuse BEFORE INSERT ON started BEGIN SELECT RAISE(ABORT, 'full'); END"));
  store->save_process({.consumer = "chat", .pid = 17});
  EXPECT_TRUE(store->read_processes().empty());
  ASSERT_TRUE(other->run("DROP TRIGGER refuse"));
  store->flush();
  EXPECT_EQ(store->read_processes().size(), 1U);
}

// SQLite has extended codes for kinds of damage; here an index lacks an entry.
TEST_F(StoreTest, ExtendedDamageCodesAreRecognized) {
  {
    auto made = Database::open(store_path());
    ASSERT_TRUE(
        made->run("CREATE TABLE t(a); INSERT INTO t VALUES(1); CREATE INDEX i ON t(a);"
                  "CREATE TABLE u(a); CREATE INDEX j ON u(a); PRAGMA writable_schema = ON;"
                  "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema "
                  "WHERE name = 'j') WHERE name = 'i'"));
  }
  auto broken = Database::open(store_path());
  EXPECT_FALSE(broken->run("DELETE FROM t WHERE rowid = 1"));
  EXPECT_TRUE(broken->is_damaged());
}

TEST_F(StoreTest, TheErrorNamesThePath) {
  std::ofstream(folder_ / "file") << "in the way";

  const auto refused = Store::open({.path = folder_ / "file" / "mgpu.db"});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_NE(refused.error().detail.find("mgpu.db"), std::string::npos);
}

// The history tells which user requested what.
TEST_F(StoreTest, CreatesItsFolderForThisUserOnly) {
  auto opened = Store::open({.path = folder_ / "state" / "mgpu" / "mgpu.db"});
  ASSERT_TRUE(opened) << opened.error().detail;
  EXPECT_EQ(std::filesystem::status(folder_ / "state" / "mgpu").permissions(),
            std::filesystem::perms::owner_all);
}

}  // namespace
}  // namespace mgpu::store
