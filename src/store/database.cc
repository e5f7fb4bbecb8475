#include "store/database.h"

#include <sqlite3.h>

namespace mgpu::store {
namespace {

// Another program (sqlite3, a backup) may lock the file for a short time.
constexpr int kBusyMs = 2000;

std::unexpected<Error> last_error(sqlite3* connection) {
  return fail(ErrorCode::unavailable, sqlite3_errmsg(connection));
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void Database::Close::operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }

Statement& Statement::reset() {
  sqlite3_reset(prepared_.get());
  sqlite3_clear_bindings(prepared_.get());
  next_ = 1;
  return *this;
}

Statement& Statement::bind(std::int64_t value) {
  sqlite3_bind_int64(prepared_.get(), next_++, value);
  return *this;
}

Statement& Statement::bind(std::string_view value) {
  sqlite3_bind_text64(prepared_.get(), next_++, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(prepared_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    sqlite3_reset(prepared_.get());
    return false;
  }
  const auto why = last_error(sqlite3_db_handle(prepared_.get()));
  sqlite3_reset(prepared_.get());
  return why;
}

Result<void> Statement::run() {
  for (;;) {
    const auto row = step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return {};
  }
}

std::int64_t Statement::number(int column) const { return sqlite3_column_int64(prepared_.get(), column); }

std::string Statement::text(int column) const {
  const auto* text = sqlite3_column_text(prepared_.get(), column);
  const int size = sqlite3_column_bytes(prepared_.get(), column);
  return text == nullptr ? ""
                         : std::string(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size));
}

Result<Database> Database::open(const std::string& path) {
  sqlite3* connection = nullptr;
  constexpr int kFlags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path.c_str(), &connection, kFlags, nullptr);
  Database database(connection);  // a connection that failed must be closed too
  if (code != SQLITE_OK)
    return fail(ErrorCode::unavailable,
                connection != nullptr ? sqlite3_errmsg(connection) : sqlite3_errstr(code));
  sqlite3_busy_timeout(connection, kBusyMs);
  return database;
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* prepared = nullptr;
  const int code = sqlite3_prepare_v3(connection_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &prepared, nullptr);
  if (code != SQLITE_OK) return last_error(connection_.get());
  return Statement(prepared);
}

Result<void> Database::run(const std::string& sql) {
  if (sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return last_error(connection_.get());
  return {};
}

Result<std::int64_t> Database::query_number(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return std::unexpected(statement.error());
  const auto row = statement->step();
  if (!row) return std::unexpected(row.error());
  return *row ? statement->number(0) : 0;
}

Result<std::string> Database::query_text(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return std::unexpected(statement.error());
  const auto row = statement->step();
  if (!row) return std::unexpected(row.error());
  return *row ? statement->text(0) : "";
}

Result<void> Database::check_integrity() {
  const auto verdict = query_text("PRAGMA quick_check(1)");
  if (!verdict) return std::unexpected(verdict.error());
  integrity_failed_ = *verdict != "ok";
  if (integrity_failed_) return fail(ErrorCode::unavailable, *verdict);
  return {};
}

bool Database::is_damaged() const {
  // The lowest byte is the primary code; the others detail it (SQLITE_CORRUPT_INDEX).
  const int code = sqlite3_errcode(connection_.get()) & 0xff;
  return integrity_failed_ || code == SQLITE_NOTADB || code == SQLITE_CORRUPT;
}

}  // namespace mgpu::store
