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
#include "store/epoch.h"
#include "store/schema.h"
#include "store/tables.h"

namespace mgpu::store {
namespace {

// Writes come in bursts: the thread waits this long for further ones before it begins a transaction.
constexpr std::chrono::milliseconds kBatchDelay{200};
// Longest wait of a caller for a write; a slower write completes later.
constexpr std::chrono::milliseconds kWriteTimeout{1000};
// Beyond this backlog history rows are dropped, so that a slow disk does not exhaust memory.
constexpr std::size_t kMaxQueuedWrites = 10'000;
// Attempts for rows that the next daemon needs (a write fails while the file is locked or the disk is full).
constexpr int kMaxAttempts = 5;

Result<void> make_folder(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (folder.empty() || std::filesystem::exists(folder, error)) return {};
  std::filesystem::create_directories(folder, error);
  if (error)
    return fail(ErrorCode::unavailable,
                "can't be created: folder " + folder.string() + ": " + error.message());
  // The history tells which user requested what, so other users may not read it.
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  return {};
}

// With WAL and synchronous = NORMAL a commit appends without a flush: a power cut loses the last commits but
// does not damage the file. Checkpoints flush, on the store's thread.
constexpr auto kPragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -512;";

// Opens, checks and migrates the database. `damaged`: whether that failed because the file is damaged.
Result<Database> open_checked(const std::string& path, bool& damaged) {
  auto database = Database::open(path);
  if (!database) return database;
  const auto checked = [&](const Result<void>& result) {
    damaged = !result && database->is_damaged();
    return result.has_value();
  };
  Result<void> done = database->check_integrity();
  if (checked(done)) done = migrate_schema(*database);
  if (checked(done)) done = database->run(kPragmas);
  if (!checked(done)) return std::unexpected(done.error());
  return database;
}

void rename_damaged(const std::string& path) {
  std::rename(path.c_str(), (path + ".damaged").c_str());
  for (const char* suffix : {"-wal", "-shm"}) std::remove((path + suffix).c_str());
}

}  // namespace

struct Store::Worker {
  // `apply` runs inside a transaction; `on_done` is called after it, also if it failed.
  struct Task {
    std::function<Result<void>(Tables&)> apply{};
    std::function<void()> on_done{};
    int attempts_left = 1;
  };
  enum class Urgency : std::uint8_t { droppable, normal, immediate };

  Worker(Claim store_claim, Tables store_tables, Options store_options)
      : claim(std::move(store_claim)),
        tables(std::move(store_tables)),
        options(std::move(store_options)),
        thread([this] { run(); }) {}
  ~Worker() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    changed.notify_one();
    thread.join();
  }

  void enqueue(Urgency urgency, Task task);
  // Returns after the first attempt, or after the limit: with a limit, `apply` must own all that it accesses.
  // False: the limit passed.
  bool run_and_wait(std::function<Result<void>(Tables&)> apply, int attempts = 1,
                    std::optional<std::chrono::milliseconds> limit = std::nullopt);
  std::optional<std::int64_t> read_epoch();  // none: it can't be read in time
  void run();
  std::deque<Task> run_batch(std::deque<Task> batch);  // returns the tasks to retry
  Result<void> run_in_transaction(const std::deque<Task>& batch, bool& transaction_begun);
  void report_result(const Result<void>& result);

  Claim claim;
  Tables tables;  // used only by the thread
  const Options options;
  bool failure_reported = false;  // used only by the thread

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Task> queue;
  bool urgent = false;
  bool stopping = false;
  std::thread thread;  // last: it uses the members above
};

void Store::Worker::enqueue(Urgency urgency, Task task) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex);
    if (urgency == Urgency::droppable && queue.size() >= kMaxQueuedWrites) return;
    wake = queue.empty() || urgency == Urgency::immediate;
    urgent = urgent || urgency == Urgency::immediate;
    queue.push_back(std::move(task));
  }
  if (wake) changed.notify_one();
}

bool Store::Worker::run_and_wait(std::function<Result<void>(Tables&)> apply, int attempts,
                                 std::optional<std::chrono::milliseconds> limit) {
  // Shared, since the caller may stop waiting before the task runs.
  const auto done = std::make_shared<std::promise<void>>();
  enqueue(Urgency::immediate,
          {.apply = std::move(apply), .on_done = [done] { done->set_value(); }, .attempts_left = attempts});
  if (limit) return done->get_future().wait_for(*limit) == std::future_status::ready;
  done->get_future().wait();
  return true;
}

std::optional<std::int64_t> Store::Worker::read_epoch() {
  const auto epoch = std::make_shared<std::optional<std::int64_t>>();  // shared: this may give up
  const auto apply = [epoch](Tables& tables) -> Result<void> {
    const auto read = tables.read_epoch();
    if (!read) return std::unexpected(read.error());
    *epoch = *read;
    return {};
  };
  return run_and_wait(apply, 1, kWriteTimeout) ? *epoch : std::nullopt;
}

void Store::Worker::run() {
  std::unique_lock lock(mutex);
  for (;;) {
    changed.wait(lock, [this] { return !queue.empty() || stopping; });
    if (queue.empty()) return;
    changed.wait_for(lock, kBatchDelay, [this] { return urgent || stopping; });
    urgent = false;
    std::deque<Task> batch = std::exchange(queue, {});
    lock.unlock();
    std::deque<Task> again = run_batch(std::move(batch));
    lock.lock();
    if (stopping) continue;
    queue.insert(queue.begin(), std::make_move_iterator(again.begin()), std::make_move_iterator(again.end()));
  }
}

Result<void> Store::Worker::run_in_transaction(const std::deque<Task>& batch, bool& transaction_begun) {
  Result<void> result = tables.begin();
  transaction_begun = result.has_value();
  for (const Task& task : batch) {
    if (!result) break;
    result = task.apply(tables);
  }
  if (result) result = tables.commit();
  if (!result) tables.roll_back();
  return result;
}

// Runs all tasks in one transaction; if one fails, each in its own, so that only that one fails.
std::deque<Store::Worker::Task> Store::Worker::run_batch(std::deque<Task> batch) {
  std::deque<Task> again;
  bool transaction_begun = false;  // if it could not begin, single tasks would fail as well
  Result<void> result = run_in_transaction(batch, transaction_begun);
  if (result) {
    for (const Task& task : batch)
      if (task.on_done) task.on_done();
  } else {
    Result<void> first_failure{};
    for (Task& task : batch) {
      std::deque<Task> alone;
      const auto on_done = std::exchange(task.on_done, nullptr);
      alone.push_back(std::move(task));
      const Result<void> done = transaction_begun ? run_in_transaction(alone, transaction_begun) : result;
      if (on_done) on_done();
      if (done) continue;
      if (first_failure) first_failure = done;
      if (--alone.front().attempts_left > 0) again.push_back(std::move(alone.front()));
    }
    result = first_failure;
  }
  report_result(result);
  return again;
}

void Store::Worker::report_result(const Result<void>& result) {
  if (!result && !failure_reported && options.on_write_error)
    options.on_write_error(
        "the store " + options.path +
        " can't be written, changes will be lost after a restart: " + result.error().detail);
  failure_reported = !result;
}

Result<Store::OpenResult> Store::open(Options options) {
  options.path = real_path(options.path);
  const std::string& path = options.path;
  const auto with_path = [&](Error error) {
    return fail(error.code, "the store " + path + " " + error.detail);
  };
  if (auto made = make_folder(path); !made) return with_path(made.error());
  auto claim = Claim::acquire(path);
  if (!claim) return with_path(claim.error());

  bool damaged = false;
  OpenResult opened;
  auto database = open_checked(path, damaged);
  if (damaged) {
    opened.warning = "the store " + path + " is damaged (" + database.error().detail + "): renamed to " +
                     path + ".damaged, starting with an empty one";
    database = std::unexpected(database.error());  // closes the file before it is renamed
    rename_damaged(path);
    database = open_checked(path, damaged);
    // Which epochs the damaged one has used is lost; those by the clock are far above.
    const std::uint64_t unused = epoch_by_clock(std::chrono::system_clock::now()).number;
    if (database)
      if (auto done = database->run("UPDATE epochs SET last = " + std::to_string(unused)); !done)
        database = std::unexpected(done.error());
  }
  if (!database) return with_path(database.error());
  claim->claim_file(path);
  if (const auto other = find_living_claimant(path)) {
    opened.warning += (opened.warning.empty() ? "" : "; ") + std::string("another mgpu (process ") +
                      std::to_string(*other) + ") still uses a store at " + path +
                      " that was deleted or moved: the processes that it started are left to it";
  }
  auto tables = Tables::prepare(std::move(*database), options.history_rows);
  if (!tables) return with_path(tables.error());
  auto worker = std::make_unique<Worker>(std::move(*claim), std::move(*tables), std::move(options));
  opened.store.reset(new Store(std::move(worker)));
  return opened;
}

Store::Store(std::unique_ptr<Worker> worker) : worker_(std::move(worker)) {}
Store::~Store() = default;

const std::string& Store::path() const { return worker_->options.path; }

// Read before and after: a write that failed (the disk is full) leaves the epoch as it was.
Result<std::uint64_t> Store::begin_epoch() {
  const std::optional<std::int64_t> before = worker_->read_epoch();
  worker_->run_and_wait([](Tables& tables) { return tables.begin_epoch(); }, 1, kWriteTimeout);
  const std::optional<std::int64_t> after = worker_->read_epoch();
  if (!before || !after || *after <= *before)
    return fail(ErrorCode::unavailable, "the store " + path() + " can't be written");
  return static_cast<std::uint64_t>(*after);
}

std::vector<LearnedRow> Store::read_learned() {
  std::vector<LearnedRow> rows;
  worker_->run_and_wait([&](Tables& tables) { return rows.clear(), tables.read(rows); });
  return rows;
}

std::vector<ProcessRow> Store::read_processes() {
  std::vector<ProcessRow> rows;
  worker_->run_and_wait([&](Tables& tables) { return rows.clear(), tables.read(rows); });
  return rows;
}

std::vector<JobRow> Store::read_jobs(std::size_t count) {
  std::vector<JobRow> rows;
  worker_->run_and_wait([&](Tables& tables) { return rows.clear(), tables.read(rows, count); });
  return rows;
}

void Store::save_learned(LearnedRow row) {
  worker_->enqueue(Worker::Urgency::normal,
                   {.apply = [row = std::move(row)](Tables& tables) { return tables.save_learned(row); },
                    .attempts_left = kMaxAttempts});
}

void Store::forget_learned(const std::string& consumer) {
  worker_->enqueue(Worker::Urgency::normal,
                   {.apply = [consumer](Tables& tables) { return tables.forget_learned(consumer); },
                    .attempts_left = kMaxAttempts});
}

void Store::add_job(JobRow row) {
  worker_->enqueue(Worker::Urgency::droppable,
                   {.apply = [row = std::move(row)](Tables& tables) { return tables.add_job(row); }});
}

void Store::save_process(const ProcessRow& row) {
  worker_->run_and_wait([row](Tables& tables) { return tables.save_process(row); }, kMaxAttempts,
                        kWriteTimeout);
}

// Without waiting, but written immediately: the next daemon relies on it.
void Store::update_process(const std::string& consumer, bool settled, std::vector<std::string> warm) {
  const auto apply = [consumer, settled, warm = std::move(warm)](Tables& tables) {
    return tables.update_process(consumer, settled, warm);
  };
  worker_->enqueue(Worker::Urgency::immediate, {.apply = apply, .attempts_left = kMaxAttempts});
}

void Store::remove_process(const std::string& consumer) {
  worker_->enqueue(Worker::Urgency::normal,
                   {.apply = [consumer](Tables& tables) { return tables.remove_process(consumer); },
                    .attempts_left = kMaxAttempts});
}

void Store::flush() {
  worker_->run_and_wait([](Tables&) { return Result<void>{}; });
}

}  // namespace mgpu::store
