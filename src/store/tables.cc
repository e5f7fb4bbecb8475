#include "store/tables.h"

#include <array>
#include <charconv>
#include <utility>

namespace mgpu::store {
namespace {

// Settings that were tried once and AI models that are long gone leave, the longest unchanged first.
constexpr std::int64_t kLearnedRows = 5'000;

// A commit may be followed by one more: the newest rows stay whatever their number in between.
constexpr const char* kPruneJobs = "DELETE FROM jobs WHERE id <= (SELECT max(id) FROM jobs) - ?";
constexpr const char* kPruneLearned =
    "DELETE FROM learned WHERE (consumer, ai_model, settings) IN (SELECT consumer, ai_model, settings "
    "FROM learned ORDER BY changed_s DESC LIMIT -1 OFFSET ?)";
constexpr const char* kReadLearned =
    "SELECT consumer, ai_model, settings, footprint_bytes, working_bytes, load_cold_us, load_cached_us, "
    "load_parked_us, unload_us, park_us, run_us, loads, runs, hours FROM learned ORDER BY changed_s";
constexpr const char* kKeep =
    "INSERT OR REPLACE INTO learned (consumer, ai_model, settings, footprint_bytes, working_bytes, "
    "load_cold_us, load_cached_us, load_parked_us, unload_us, park_us, run_us, loads, runs, hours, "
    "changed_s) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, unixepoch())";
constexpr const char* kReadJobs =
    "SELECT ticket, consumer, ai_model, who, arrived_us, waited_us, loading_us, ran_us, outcome FROM jobs "
    "ORDER BY id DESC LIMIT ?";
constexpr const char* kAdd =
    "INSERT INTO jobs (ticket, consumer, ai_model, who, arrived_us, waited_us, loading_us, ran_us, outcome) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
constexpr const char* kReadStarted =
    "SELECT consumer, pid, start_time, boot, port, settings, settled, warm, device, owner, "
    "owner_start_time FROM started";
constexpr const char* kStarted =
    "INSERT OR REPLACE INTO started (consumer, pid, start_time, boot, port, settings, settled, warm, device, "
    "owner, owner_start_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

std::int64_t as_number(std::uint64_t value) { return static_cast<std::int64_t>(value); }
std::uint32_t as_count(std::int64_t value) { return static_cast<std::uint32_t>(value); }

// Jobs begun in each hour of the day: "0 0 3 ... 1".
std::string as_text(const std::array<std::uint16_t, 24>& hours) {
  std::string text;
  for (const std::uint16_t count : hours) text += (text.empty() ? "" : " ") + std::to_string(count);
  return text;
}

std::array<std::uint16_t, 24> hours_in(const std::string& text) {
  std::array<std::uint16_t, 24> hours{};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::uint16_t& count : hours) {
    at = std::from_chars(at, end, count).ptr;
    if (at != end) ++at;
  }
  return hours;
}

LearnedRow learned_in(const Statement& row) {
  return {.consumer = row.text(0),
          .ai_model = row.text(1),
          .settings = row.text(2),
          .learned = {.footprint = Bytes{row.number(3)},
                      .working = Bytes{row.number(4)},
                      .load_cold = Duration{row.number(5)},
                      .load_cached = Duration{row.number(6)},
                      .load_parked = Duration{row.number(7)},
                      .unload = Duration{row.number(8)},
                      .park = Duration{row.number(9)},
                      .run = Duration{row.number(10)},
                      .loads = as_count(row.number(11)),
                      .runs = as_count(row.number(12)),
                      .runs_by_hour = hours_in(row.text(13))}};
}

// Names, each with a line break behind it; an empty one is a name, too (a consumer with just one AI model).
std::string as_text(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += name + "\n";
  return text;
}

std::vector<std::string> lines_in(const std::string& text) {
  std::vector<std::string> names;
  for (std::size_t from = 0, to = 0; (to = text.find('\n', from)) != text.npos; from = to + 1)
    names.push_back(text.substr(from, to - from));
  return names;
}

StartedRow started_in(const Statement& row) {
  return {.consumer = row.text(0),
          .pid = static_cast<int>(row.number(1)),
          .start_time = static_cast<std::uint64_t>(row.number(2)),
          .boot = row.text(3),
          .port = static_cast<std::uint16_t>(row.number(4)),
          .settings = row.text(5),
          .device = row.text(8),
          .settled = row.number(6) != 0,
          .warm = lines_in(row.text(7)),
          .owner = static_cast<int>(row.number(9)),
          .owner_start_time = static_cast<std::uint64_t>(row.number(10))};
}

JobRow job_in(const Statement& row) {
  return {.ticket = static_cast<std::uint64_t>(row.number(0)),
          .consumer = row.text(1),
          .ai_model = row.text(2),
          .who = row.text(3),
          .arrived_us = row.number(4),
          .waited = Duration{row.number(5)},
          .loading = Duration{row.number(6)},
          .ran = Duration{row.number(7)},
          .outcome = row.text(8)};
}

template <class Row>
Result<void> read_all(Statement& statement, std::vector<Row>& rows, Row (*row_in)(const Statement&)) {
  for (;;) {
    const auto row = statement.step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return {};
    rows.push_back(row_in(statement));
  }
}

}  // namespace

Result<Tables> Tables::prepare(Database database, std::uint32_t history_rows) {
  Tables tables(std::move(database));
  tables.history_rows_ = history_rows;
  const std::pair<Statement*, const char*> texts[] = {
      {&tables.begin_, "BEGIN IMMEDIATE"},
      {&tables.commit_, "COMMIT"},
      {&tables.roll_back_, "ROLLBACK"},
      {&tables.read_learned_, kReadLearned},
      {&tables.keep_, kKeep},
      {&tables.forget_, "DELETE FROM learned WHERE consumer = ?"},
      {&tables.prune_learned_, kPruneLearned},
      {&tables.read_jobs_, kReadJobs},
      {&tables.add_, kAdd},
      {&tables.prune_jobs_, kPruneJobs},
      {&tables.read_started_, kReadStarted},
      {&tables.started_, kStarted},
      {&tables.holds_, "UPDATE started SET settled = ?, warm = ? WHERE consumer = ?"},
      {&tables.ended_, "DELETE FROM started WHERE consumer = ?"},
  };
  for (const auto& [statement, text] : texts) {
    auto prepared = tables.database_.prepare(text);
    if (!prepared) return std::unexpected(prepared.error());
    *statement = std::move(*prepared);
  }
  return tables;
}

Result<void> Tables::begin() { return begin_.begin().run(); }
Result<void> Tables::commit() { return commit_.begin().run(); }
// Where it never began there is nothing to undo; whoever calls this knows what went wrong.
void Tables::roll_back() { [[maybe_unused]] const auto undone = roll_back_.begin().run(); }

Result<void> Tables::read(std::vector<LearnedRow>& rows) {
  return read_all(read_learned_.begin(), rows, learned_in);
}

Result<void> Tables::read(std::vector<StartedRow>& rows) {
  return read_all(read_started_.begin(), rows, started_in);
}

Result<void> Tables::read(std::vector<JobRow>& rows, std::size_t count) {
  return read_all(read_jobs_.begin().bind(as_number(count)), rows, job_in);
}

Result<void> Tables::keep(const LearnedRow& row) {
  const LearnedCosts& learned = row.learned;
  auto kept = keep_.begin()
                  .bind(row.consumer)
                  .bind(row.ai_model)
                  .bind(row.settings)
                  .bind(learned.footprint.count)
                  .bind(learned.working.count)
                  .bind(learned.load_cold.count())
                  .bind(learned.load_cached.count())
                  .bind(learned.load_parked.count())
                  .bind(learned.unload.count())
                  .bind(learned.park.count())
                  .bind(learned.run.count())
                  .bind(std::int64_t{learned.loads})
                  .bind(std::int64_t{learned.runs})
                  .bind(as_text(learned.runs_by_hour))
                  .run();
  return kept ? prune_learned_.begin().bind(kLearnedRows).run() : kept;
}

Result<void> Tables::forget(const std::string& consumer) { return forget_.begin().bind(consumer).run(); }

Result<void> Tables::add(const JobRow& row) {
  auto added = add_.begin()
                   .bind(as_number(row.ticket))
                   .bind(row.consumer)
                   .bind(row.ai_model)
                   .bind(row.who)
                   .bind(row.arrived_us)
                   .bind(row.waited.count())
                   .bind(row.loading.count())
                   .bind(row.ran.count())
                   .bind(row.outcome)
                   .run();
  return added ? prune_jobs_.begin().bind(std::int64_t{history_rows_}).run() : added;
}

Result<void> Tables::started(const StartedRow& row) {
  return started_.begin()
      .bind(row.consumer)
      .bind(std::int64_t{row.pid})
      .bind(as_number(row.start_time))
      .bind(row.boot)
      .bind(std::int64_t{row.port})
      .bind(row.settings)
      .bind(std::int64_t{row.settled})
      .bind(as_text(row.warm))
      .bind(row.device)
      .bind(std::int64_t{row.owner})
      .bind(as_number(row.owner_start_time))
      .run();
}

Result<void> Tables::holds(const std::string& consumer, bool settled, const std::vector<std::string>& warm) {
  return holds_.begin().bind(std::int64_t{settled}).bind(as_text(warm)).bind(consumer).run();
}

Result<void> Tables::ended(const std::string& consumer) { return ended_.begin().bind(consumer).run(); }

}  // namespace mgpu::store
