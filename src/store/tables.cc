#include "store/tables.h"

#include <array>
#include <charconv>
#include <utility>

namespace mgpu::store {
namespace {

// Beyond this the rows that have been unchanged longest are deleted: old settings, removed AI models.
constexpr std::int64_t kMaxLearnedRows = 5'000;

// By id and not by count, so that the newest rows stay.
constexpr const char* kPruneJobs = "DELETE FROM jobs WHERE id <= (SELECT max(id) FROM jobs) - ?";
constexpr const char* kPruneLearned =
    "DELETE FROM learned WHERE (consumer, ai_model, settings) IN (SELECT consumer, ai_model, settings "
    "FROM learned ORDER BY changed_s DESC LIMIT -1 OFFSET ?)";
constexpr const char* kReadLearned =
    "SELECT consumer, ai_model, settings, footprint_bytes, working_bytes, load_cold_us, load_cached_us, "
    "load_parked_us, unload_us, park_us, run_us, loads, runs, hours FROM learned ORDER BY changed_s";
constexpr const char* kSaveLearned =
    "INSERT OR REPLACE INTO learned (consumer, ai_model, settings, footprint_bytes, working_bytes, "
    "load_cold_us, load_cached_us, load_parked_us, unload_us, park_us, run_us, loads, runs, hours, "
    "changed_s) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, unixepoch())";
constexpr const char* kReadJobs =
    "SELECT ticket, consumer, ai_model, who, arrived_us, waited_us, loading_us, ran_us, outcome FROM jobs "
    "ORDER BY id DESC LIMIT ?";
constexpr const char* kAddJob =
    "INSERT INTO jobs (ticket, consumer, ai_model, who, arrived_us, waited_us, loading_us, ran_us, outcome) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
constexpr const char* kReadProcesses =
    "SELECT consumer, pid, start_time, boot, port, settings, settled, warm, device, owner, "
    "owner_start_time FROM started";
constexpr const char* kSaveProcess =
    "INSERT OR REPLACE INTO started (consumer, pid, start_time, boot, port, settings, settled, warm, device, "
    "owner, owner_start_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

std::int64_t to_int64(std::uint64_t value) { return static_cast<std::int64_t>(value); }
std::uint32_t to_uint32(std::int64_t value) { return static_cast<std::uint32_t>(value); }

// Jobs started in each hour of the day: "0 0 3 ... 1".
std::string format_hours(const std::array<std::uint16_t, 24>& hours) {
  std::string text;
  for (const std::uint16_t count : hours) text += (text.empty() ? "" : " ") + std::to_string(count);
  return text;
}

std::array<std::uint16_t, 24> parse_hours(const std::string& text) {
  std::array<std::uint16_t, 24> hours{};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::uint16_t& count : hours) {
    at = std::from_chars(at, end, count).ptr;
    if (at != end) ++at;
  }
  return hours;
}

LearnedRow read_learned_row(const Statement& row) {
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
                      .loads = to_uint32(row.number(11)),
                      .runs = to_uint32(row.number(12)),
                      .runs_by_hour = parse_hours(row.text(13))}};
}

// Each name followed by a line break. A name may be empty (the resident of a consumer with one AI model).
std::string join_lines(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += name + "\n";
  return text;
}

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> names;
  for (std::size_t from = 0, to = 0; (to = text.find('\n', from)) != text.npos; from = to + 1)
    names.push_back(text.substr(from, to - from));
  return names;
}

ProcessRow read_process_row(const Statement& row) {
  return {.consumer = row.text(0),
          .pid = static_cast<int>(row.number(1)),
          .start_time = static_cast<std::uint64_t>(row.number(2)),
          .boot = row.text(3),
          .port = static_cast<std::uint16_t>(row.number(4)),
          .settings = row.text(5),
          .device = row.text(8),
          .settled = row.number(6) != 0,
          .warm = split_lines(row.text(7)),
          .owner = static_cast<int>(row.number(9)),
          .owner_start_time = static_cast<std::uint64_t>(row.number(10))};
}

JobRow read_job_row(const Statement& row) {
  return {.ticket = static_cast<std::uint64_t>(row.number(0)),
          .consumer = row.text(1),
          .ai_model = row.text(2),
          .who = row.text(3),
          .arrived_us = row.number(4),
          .waited = Duration{row.number(5)},
          .loading = Duration{row.number(6)},
          .run_time = Duration{row.number(7)},
          .outcome = row.text(8)};
}

template <class Row>
Result<void> read_all(Statement& statement, std::vector<Row>& rows, Row (*read_row)(const Statement&)) {
  for (;;) {
    const auto row = statement.step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return {};
    rows.push_back(read_row(statement));
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
      {&tables.begin_epoch_, "UPDATE epochs SET last = last + 1"},
      {&tables.read_epoch_, "SELECT last FROM epochs"},
      {&tables.read_learned_, kReadLearned},
      {&tables.save_learned_, kSaveLearned},
      {&tables.forget_learned_, "DELETE FROM learned WHERE consumer = ?"},
      {&tables.prune_learned_, kPruneLearned},
      {&tables.read_jobs_, kReadJobs},
      {&tables.add_job_, kAddJob},
      {&tables.prune_jobs_, kPruneJobs},
      {&tables.read_processes_, kReadProcesses},
      {&tables.save_process_, kSaveProcess},
      {&tables.update_process_, "UPDATE started SET settled = ?, warm = ? WHERE consumer = ?"},
      {&tables.remove_process_, "DELETE FROM started WHERE consumer = ?"},
  };
  for (const auto& [statement, text] : texts) {
    auto prepared = tables.database_.prepare(text);
    if (!prepared) return std::unexpected(prepared.error());
    *statement = std::move(*prepared);
  }
  return tables;
}

Result<void> Tables::begin() { return begin_.reset().run(); }
Result<void> Tables::commit() { return commit_.reset().run(); }
// Fails if the transaction never began; the caller has the original error.
void Tables::roll_back() { [[maybe_unused]] const auto undone = roll_back_.reset().run(); }

Result<void> Tables::begin_epoch() { return begin_epoch_.reset().run(); }

Result<std::int64_t> Tables::read_epoch() {
  const auto row = read_epoch_.reset().step();
  if (!row) return std::unexpected(row.error());
  if (!*row) return fail(ErrorCode::internal, "the table of epochs is empty");
  const std::int64_t last = read_epoch_.number(0);
  read_epoch_.reset();  // a read that is left open would keep the transaction from ending
  return last;
}

Result<void> Tables::read(std::vector<LearnedRow>& rows) {
  return read_all(read_learned_.reset(), rows, read_learned_row);
}

Result<void> Tables::read(std::vector<ProcessRow>& rows) {
  return read_all(read_processes_.reset(), rows, read_process_row);
}

Result<void> Tables::read(std::vector<JobRow>& rows, std::size_t count) {
  return read_all(read_jobs_.reset().bind(to_int64(count)), rows, read_job_row);
}

Result<void> Tables::save_learned(const LearnedRow& row) {
  const LearnedCosts& learned = row.learned;
  auto saved = save_learned_.reset()
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
                   .bind(format_hours(learned.runs_by_hour))
                   .run();
  return saved ? prune_learned_.reset().bind(kMaxLearnedRows).run() : saved;
}

Result<void> Tables::forget_learned(const std::string& consumer) {
  return forget_learned_.reset().bind(consumer).run();
}

Result<void> Tables::add_job(const JobRow& row) {
  auto added = add_job_.reset()
                   .bind(to_int64(row.ticket))
                   .bind(row.consumer)
                   .bind(row.ai_model)
                   .bind(row.who)
                   .bind(row.arrived_us)
                   .bind(row.waited.count())
                   .bind(row.loading.count())
                   .bind(row.run_time.count())
                   .bind(row.outcome)
                   .run();
  return added ? prune_jobs_.reset().bind(std::int64_t{history_rows_}).run() : added;
}

Result<void> Tables::save_process(const ProcessRow& row) {
  return save_process_.reset()
      .bind(row.consumer)
      .bind(std::int64_t{row.pid})
      .bind(to_int64(row.start_time))
      .bind(row.boot)
      .bind(std::int64_t{row.port})
      .bind(row.settings)
      .bind(std::int64_t{row.settled})
      .bind(join_lines(row.warm))
      .bind(row.device)
      .bind(std::int64_t{row.owner})
      .bind(to_int64(row.owner_start_time))
      .run();
}

Result<void> Tables::update_process(const std::string& consumer, bool settled,
                                    const std::vector<std::string>& warm) {
  return update_process_.reset().bind(std::int64_t{settled}).bind(join_lines(warm)).bind(consumer).run();
}

Result<void> Tables::remove_process(const std::string& consumer) {
  return remove_process_.reset().bind(consumer).run();
}

}  // namespace mgpu::store
