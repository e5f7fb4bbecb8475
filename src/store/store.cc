#include "store/store.h"

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <deque>
#include <filesystem>
#include <future>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "store/claim.h"
#include "store/database.h"
#include "store/schema.h"
#include "store/tables.h"

namespace mgpu::store {
namespace {

// Writes come in bursts: the thread waits this long for more of them before it begins a transaction.
constexpr std::chrono::milliseconds kLinger{200};
// A disk that does not answer holds up nobody for longer; what is written down then comes late.
constexpr std::chrono::milliseconds kDeadDisk{1000};
// A disk that is slower than this many rows behind loses history, not memory.
constexpr std::size_t kQueue = 10'000;
// What the next life needs is written again if it failed (another program holds the file, the disk is full).
constexpr int kTries = 5;

Result<void> make_folder(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (folder.empty() || std::filesystem::exists(folder, error)) return {};
  std::filesystem::create_directories(folder, error);
  if (error) return fail(ErrorCode::unavailable, "its folder can't be made: " + error.message());
  // Who asked for what is nobody else's business.
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  return {};
}

// WAL: a commit is an append, without a flush of the disk; a power cut loses the last moments, never the
// whole. The flushes come with the checkpoints, on our own thread.
constexpr auto kManners = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -512;";

// An open database of the present shape. `damaged`: whether it failed for a broken file.
Result<Database> open_whole(const std::string& path, bool& damaged) {
  auto database = Database::open(path);
  if (!database) return database;
  const auto checked = [&](const Result<void>& result) {
    damaged = !result && database->is_damaged();
    return result.has_value();
  };
  Result<void> done = database->check();
  if (checked(done)) done = bring_up(*database);
  if (checked(done)) done = database->run(kManners);
  if (!checked(done)) return std::unexpected(done.error());
  return database;
}

void set_aside(const std::string& path) {
  std::rename(path.c_str(), (path + ".damaged").c_str());
  for (const char* beside : {"-wal", "-shm"}) std::remove((path + beside).c_str());
}

}  // namespace

struct Store::Keeper {
  // Done inside a transaction; `after` is called once that is over, well or badly.
  struct Task {
    std::function<Result<void>(Tables&)> act{};
    std::function<void()> after{};
    int tries = 1;
  };
  enum class Worth : std::uint8_t { history, knowledge, at_once };

  Keeper(Claim held, Tables opened, Options given)
      : claim(std::move(held)),
        tables(std::move(opened)),
        options(std::move(given)),
        thread([this] { run(); }) {}
  ~Keeper() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    changed.notify_one();
    thread.join();
  }

  void post(Worth worth, Task task);
  // Returns once it was tried, or after the limit: then `act` must own all that it touches.
  void at_once(std::function<Result<void>(Tables&)> act, int tries = 1,
               std::optional<std::chrono::milliseconds> limit = std::nullopt);
  void run();
  std::deque<Task> carry_out(std::deque<Task> batch);  // those to be tried again
  Result<void> together(const std::deque<Task>& batch, bool& begun);
  void tell(const Result<void>& result);

  Claim claim;
  Tables tables;  // of the thread alone
  const Options options;
  bool complained = false;  // likewise

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Task> queue;
  bool hurried = false;
  bool stopping = false;
  std::thread thread;  // last: everything else is there before it begins
};

void Store::Keeper::post(Worth worth, Task task) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex);
    if (worth == Worth::history && queue.size() >= kQueue) return;
    wake = queue.empty() || worth == Worth::at_once;
    hurried = hurried || worth == Worth::at_once;
    queue.push_back(std::move(task));
  }
  if (wake) changed.notify_one();
}

void Store::Keeper::at_once(std::function<Result<void>(Tables&)> act, int tries,
                            std::optional<std::chrono::milliseconds> limit) {
  const auto done = std::make_shared<std::promise<void>>();  // shared: whoever waits may give up
  post(Worth::at_once, {.act = std::move(act), .after = [done] { done->set_value(); }, .tries = tries});
  if (limit)
    done->get_future().wait_for(*limit);
  else
    done->get_future().wait();
}

void Store::Keeper::run() {
  std::unique_lock lock(mutex);
  for (;;) {
    changed.wait(lock, [this] { return !queue.empty() || stopping; });
    if (queue.empty()) return;
    changed.wait_for(lock, kLinger, [this] { return hurried || stopping; });
    hurried = false;
    std::deque<Task> batch = std::exchange(queue, {});
    lock.unlock();
    std::deque<Task> again = carry_out(std::move(batch));
    lock.lock();
    if (stopping) continue;
    queue.insert(queue.begin(), std::make_move_iterator(again.begin()), std::make_move_iterator(again.end()));
  }
}

Result<void> Store::Keeper::together(const std::deque<Task>& batch, bool& begun) {
  Result<void> result = tables.begin();
  begun = result.has_value();
  for (const Task& task : batch) {
    if (!result) break;
    result = task.act(tables);
  }
  if (result) result = tables.commit();
  if (!result) tables.roll_back();
  return result;
}

// All in one transaction; where one of them fails, each in its own, so that it fails alone.
std::deque<Store::Keeper::Task> Store::Keeper::carry_out(std::deque<Task> batch) {
  std::deque<Task> again;
  bool begun = false;  // else none of them would fare better alone
  Result<void> result = together(batch, begun);
  if (result) {
    for (const Task& task : batch)
      if (task.after) task.after();
  } else {
    Result<void> first_failure{};
    for (Task& task : batch) {
      std::deque<Task> alone;
      const auto after = std::exchange(task.after, nullptr);
      alone.push_back(std::move(task));
      const Result<void> done = begun ? together(alone, begun) : result;
      if (after) after();
      if (done) continue;
      if (first_failure) first_failure = done;
      if (--alone.front().tries > 0) again.push_back(std::move(alone.front()));
    }
    result = first_failure;
  }
  tell(result);
  return again;
}

void Store::Keeper::tell(const Result<void>& result) {
  if (!result && !complained && options.complain)
    options.complain(options.path +
                     " can't be written, what happens now will be forgotten: " + result.error().detail);
  complained = !result;
}

Result<Store::Opened> Store::open(Options options) {
  options.path = real_path(options.path);
  const std::string& path = options.path;
  const auto named = [&](Error error) { return fail(error.code, "the store " + path + " " + error.detail); };
  if (auto made = make_folder(path); !made) return named(made.error());
  auto claim = Claim::on(path);
  if (!claim) return named(claim.error());

  bool damaged = false;
  Opened opened;
  auto database = open_whole(path, damaged);
  if (damaged) {
    opened.note = "the store " + path + " is damaged (" + database.error().detail + "): it is now " + path +
                  ".damaged, and a new one begins";
    database = std::unexpected(database.error());  // closes it before it is renamed
    set_aside(path);
    database = open_whole(path, damaged);
  }
  if (!database) return named(database.error());
  claim->hold_file(path);
  if (const auto other = living_claimant(path)) {
    opened.note += (opened.note.empty() ? "" : "; ") + std::string("another mgpu (process ") +
                   std::to_string(*other) + ") works with the store " + path +
                   ", whose files were deleted or moved: what it has started stays its own";
  }
  auto tables = Tables::prepare(std::move(*database), options.history_rows);
  if (!tables) return named(tables.error());
  auto keeper = std::make_unique<Keeper>(std::move(*claim), std::move(*tables), std::move(options));
  opened.store.reset(new Store(std::move(keeper)));
  return opened;
}

Store::Store(std::unique_ptr<Keeper> keeper) : keeper_(std::move(keeper)) {}
Store::~Store() = default;

const std::string& Store::path() const { return keeper_->options.path; }

std::vector<LearnedRow> Store::learned() {
  std::vector<LearnedRow> rows;
  keeper_->at_once([&](Tables& tables) { return rows.clear(), tables.read(rows); });
  return rows;
}

std::vector<StartedRow> Store::started() {
  std::vector<StartedRow> rows;
  keeper_->at_once([&](Tables& tables) { return rows.clear(), tables.read(rows); });
  return rows;
}

std::vector<JobRow> Store::jobs(std::size_t count) {
  std::vector<JobRow> rows;
  keeper_->at_once([&](Tables& tables) { return rows.clear(), tables.read(rows, count); });
  return rows;
}

void Store::keep(LearnedRow row) {
  keeper_->post(
      Keeper::Worth::knowledge,
      {.act = [row = std::move(row)](Tables& tables) { return tables.keep(row); }, .tries = kTries});
}

void Store::forget(const std::string& consumer) {
  keeper_->post(Keeper::Worth::knowledge,
                {.act = [consumer](Tables& tables) { return tables.forget(consumer); }, .tries = kTries});
}

void Store::add(JobRow row) {
  keeper_->post(Keeper::Worth::history,
                {.act = [row = std::move(row)](Tables& tables) { return tables.add(row); }});
}

void Store::started(const StartedRow& row) {
  keeper_->at_once([row](Tables& tables) { return tables.started(row); }, kTries, kDeadDisk);
}

// Not waited for, but not put off either: the next daemon trusts it.
void Store::holds(const std::string& consumer, bool settled, std::vector<std::string> warm) {
  const auto act = [consumer, settled, warm = std::move(warm)](Tables& tables) {
    return tables.holds(consumer, settled, warm);
  };
  keeper_->post(Keeper::Worth::at_once, {.act = act, .tries = kTries});
}

void Store::ended(const std::string& consumer) {
  keeper_->post(Keeper::Worth::knowledge,
                {.act = [consumer](Tables& tables) { return tables.ended(consumer); }, .tries = kTries});
}

void Store::flush() {
  keeper_->at_once([](Tables&) { return Result<void>{}; });
}

}  // namespace mgpu::store
