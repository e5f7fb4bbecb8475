// A thin wrapper of SQLite: connection and prepared statements close themselves, errors are Results. Only the
// .cc files of this folder include sqlite3.h.
//
// Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace mgpu::store {

// A reusable prepared statement: reset, bind in order, step, read.
class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* prepared) : prepared_(prepared) {}

  // Resets the statement and clears all bindings. The next bind() sets the first ?.
  Statement& reset();
  Statement& bind(std::int64_t value);
  Statement& bind(std::string_view value);

  // True: there is a row. False: done. Error: unavailable (disk full, read-only, damaged).
  Result<bool> step();
  // For statements without rows.
  Result<void> run();

  std::int64_t number(int column) const;
  std::string text(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> prepared_{};
  int next_ = 1;
};

class Database {
 public:
  // Creates the file if it is missing. Error: unavailable, with SQLite's message. A file that is not a
  // database is detected only by the first statement (is_damaged).
  static Result<Database> open(const std::string& path);

  Result<Statement> prepare(std::string_view sql);
  // Runs one or more statements and ignores their rows.
  Result<void> run(const std::string& sql);
  // The first column of the first row; 0 or "" if there is no row.
  Result<std::int64_t> query_number(std::string_view sql);
  Result<std::string> query_text(std::string_view sql);

  // Checks all pages of the file (some milliseconds for the usual sizes). Error: unavailable.
  Result<void> check_integrity();
  // Whether the last error was caused by a damaged file and not by a temporary condition.
  bool is_damaged() const;

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  explicit Database(sqlite3* connection) : connection_(connection) {}
  std::unique_ptr<sqlite3, Close> connection_;
  bool integrity_failed_ = false;  // result of check_integrity()
};

}  // namespace mgpu::store
