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

  std::string file() const { return folder_ / "mgpu.db"; }

  std::unique_ptr<Store> open(std::uint32_t history_rows = 1000) {
    auto opened = Store::open({.path = file(), .history_rows = history_rows});
    EXPECT_TRUE(opened) << opened.error().detail;
    if (!opened) return nullptr;
    note_ = opened->note;
    return std::move(opened->store);
  }

  std::filesystem::path folder_;
  std::string note_;
};

LearnedCosts some_figures() {
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

TEST_F(StoreTest, WhatWasLearnedIsThereInTheNextLife) {
  open()->keep({.consumer = "chat", .ai_model = "llama", .settings = "s", .learned = some_figures()});

  const auto rows = open()->learned();

  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].consumer, "chat");
  EXPECT_EQ(rows[0].ai_model, "llama");
  EXPECT_EQ(rows[0].settings, "s");
  EXPECT_EQ(rows[0].learned, some_figures());
}

TEST_F(StoreTest, OtherSettingsAreAnotherMatter) {
  const auto store = open();
  store->keep({.consumer = "chat", .settings = "8k", .learned = {.footprint = kGiB * 5}});
  store->keep({.consumer = "chat", .settings = "32k", .learned = {.footprint = kGiB * 9}});
  store->keep({.consumer = "chat", .settings = "8k", .learned = {.footprint = kGiB * 6}});

  const auto rows = store->learned();

  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].learned.footprint + rows[1].learned.footprint, kGiB * 15);
}

TEST_F(StoreTest, ForgetsOneConsumer) {
  const auto store = open();
  store->keep({.consumer = "chat", .learned = some_figures()});
  store->keep({.consumer = "voice", .learned = some_figures()});

  store->forget("chat");

  const auto rows = store->learned();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].consumer, "voice");
}

TEST_F(StoreTest, HistoryKeepsTheNewestWithinItsLimit) {
  const auto store = open(10);
  for (std::uint64_t ticket = 1; ticket <= 25; ++ticket)
    store->add({.ticket = ticket,
                .consumer = "chat",
                .who = "somebody",
                .arrived_us = 1'700'000'000'000'000,
                .waited = Duration{5},
                .loading = Duration{3},
                .ran = Duration{7},
                .outcome = "done"});

  const auto rows = store->jobs(100);

  ASSERT_EQ(rows.size(), 10U);
  EXPECT_EQ(rows.front().ticket, 25U);
  EXPECT_EQ(rows.back().ticket, 16U);
  EXPECT_EQ(rows[0].who, "somebody");
  EXPECT_EQ(rows[0].arrived_us, 1'700'000'000'000'000);
  EXPECT_EQ(rows[0].waited + rows[0].loading + rows[0].ran, Duration{15});
  EXPECT_EQ(rows[0].outcome, "done");
}

TEST_F(StoreTest, KnowsWhichProcessesRunUntilTheyEnd) {
  {
    const auto store = open();
    store->started({.consumer = "chat",
                    .pid = 77,
                    .start_time = 123456,
                    .boot = "b",
                    .port = 9001,
                    .settings = "s",
                    .device = "GPU-2"});
    store->started({.consumer = "voice", .pid = 78});
    store->started({.consumer = "ollama", .pid = 79});
    store->holds("chat", true, {""});
    store->holds("ollama", true, {"a", "b"});
    store->ended("voice");
  }
  const auto rows = open()->started();

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

// The record must be there when the daemon is killed the moment after: whoever opens the file then reads it.
TEST_F(StoreTest, AStartedProcessIsInTheFileAtOnce) {
  const auto store = open();
  store->started({.consumer = "chat", .pid = 77});

  auto beside = Database::open(file());
  ASSERT_TRUE(beside);
  EXPECT_EQ(beside->number("SELECT pid FROM started WHERE consumer = 'chat'"), 77);
}

TEST_F(StoreTest, ASecondDaemonIsTurnedAway) {
  const auto store = open();

  const auto second = Store::open({.path = file()});

  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::busy);
}

TEST_F(StoreTest, AFileOfANewerVersionIsLeftAlone) {
  open();
  ASSERT_TRUE(Database::open(file())->run("PRAGMA user_version = 999"));

  const auto refused = Store::open({.path = file()});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_config);
  EXPECT_NE(refused.error().detail.find("newer mgpu"), std::string::npos) << refused.error().detail;
  EXPECT_EQ(Database::open(file())->number("PRAGMA user_version"), 999);
}

TEST_F(StoreTest, AFileOfTheFirstVersionIsBroughtUp) {
  open()->started({.consumer = "chat", .pid = 77, .port = 9001, .device = "GPU-1"});
  ASSERT_TRUE(
      Database::open(file())->run("ALTER TABLE started DROP COLUMN device;"
                                  "ALTER TABLE started DROP COLUMN owner;"
                                  "ALTER TABLE started DROP COLUMN owner_start_time;"
                                  "PRAGMA user_version = 1"));

  const auto store = open();

  const auto rows = store->started();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].port, 9001);
  EXPECT_EQ(rows[0].device, "") << "nobody had asked";
  store->started({.consumer = "voice", .pid = 78, .device = "GPU-2"});
  EXPECT_EQ(store->started()[1].device, "GPU-2");
}

TEST_F(StoreTest, AnotherProgramsDatabaseIsLeftAlone) {
  ASSERT_TRUE(Database::open(file())->run("CREATE TABLE bookmarks (url TEXT)"));

  const auto refused = Store::open({.path = file()});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_config);
  EXPECT_EQ(Database::open(file())->number("SELECT count(*) FROM sqlite_schema"), 1);
}

TEST_F(StoreTest, ADamagedFileIsSetAsideAndSaid) {
  std::ofstream(file()) << "this has been no database for a long time, whatever its name says";

  const auto store = open();

  ASSERT_TRUE(store);
  EXPECT_NE(note_.find("damaged"), std::string::npos);
  store->keep({.consumer = "chat", .learned = some_figures()});
  EXPECT_EQ(store->learned().size(), 1U);
  std::ifstream aside(file() + ".damaged");
  EXPECT_TRUE(std::string(std::istreambuf_iterator<char>(aside), {}).starts_with("this has been"));
}

TEST_F(StoreTest, AFileThatBrokeInTheMiddleIsSetAsideToo) {
  {
    const auto store = open(100'000);
    for (int i = 0; i < 2000; ++i) store->add({.consumer = std::string(200, 'x'), .outcome = "done"});
  }
  const auto size = std::filesystem::file_size(file());
  {
    std::fstream page(file(), std::ios::in | std::ios::out | std::ios::binary);
    page.seekp(static_cast<std::streamoff>(size / 2));
    page << std::string(20'000, '\xEE');
  }

  const auto store = open();

  ASSERT_TRUE(store);
  EXPECT_NE(note_.find("damaged"), std::string::npos);
  EXPECT_TRUE(store->jobs(10).empty());
}

TEST_F(StoreTest, OneThatCantBeWrittenTakesNoOtherWithIt) {
  for (const std::string harm : {"ABORT", "ROLLBACK"}) {
    const auto store = open();
    {
      auto other = Database::open(file());
      ASSERT_TRUE(
          other->run("CREATE TRIGGER refuse BEFORE INSERT ON jobs WHEN NEW.who = 'bad' "
                     "BEGIN SELECT RAISE(" +
                     harm + ", 'no'); END"));
    }
    store->add({.ticket = 1, .who = "good"});
    store->add({.ticket = 2, .who = "bad"});
    store->started({.consumer = "chat", .pid = 17});
    store->add({.ticket = 3, .who = "good"});
    store->flush();

    EXPECT_EQ(store->started().size(), 1U) << harm;
    EXPECT_EQ(store->jobs(10).size(), 2U) << harm;
    std::filesystem::remove(file());
  }
}

TEST_F(StoreTest, WhatTheNextLifeNeedsIsTriedAgain) {
  const auto store = open();
  auto other = Database::open(file());
  ASSERT_TRUE(
      other->run("CREATE TRIGGER refuse BEFORE INSERT ON started BEGIN SELECT RAISE(ABORT, 'full'); END"));
  store->started({.consumer = "chat", .pid = 17});
  EXPECT_TRUE(store->started().empty());
  ASSERT_TRUE(other->run("DROP TRIGGER refuse"));
  store->flush();
  EXPECT_EQ(store->started().size(), 1U);
}

// SQLite says where a file is broken in codes of its own: here, that an index lacks an entry.
TEST_F(StoreTest, EveryKindOfDamageIsKnownAsDamage) {
  {
    auto made = Database::open(file());
    ASSERT_TRUE(
        made->run("CREATE TABLE t(a); INSERT INTO t VALUES(1); CREATE INDEX i ON t(a);"
                  "CREATE TABLE u(a); CREATE INDEX j ON u(a); PRAGMA writable_schema = ON;"
                  "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema "
                  "WHERE name = 'j') WHERE name = 'i'"));
  }
  auto broken = Database::open(file());
  EXPECT_FALSE(broken->run("DELETE FROM t WHERE rowid = 1"));
  EXPECT_TRUE(broken->is_damaged());
}

TEST_F(StoreTest, SaysWhyItCantBeOpened) {
  std::ofstream(folder_ / "file") << "in the way";

  const auto refused = Store::open({.path = folder_ / "file" / "mgpu.db"});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_NE(refused.error().detail.find("mgpu.db"), std::string::npos);
}

// Only we ourselves may read who asked for what.
TEST_F(StoreTest, MakesItsFolderForUsAlone) {
  auto opened = Store::open({.path = folder_ / "state" / "mgpu" / "mgpu.db"});
  ASSERT_TRUE(opened) << opened.error().detail;
  EXPECT_EQ(std::filesystem::status(folder_ / "state" / "mgpu").permissions(),
            std::filesystem::perms::owner_all);
}

}  // namespace
}  // namespace mgpu::store
