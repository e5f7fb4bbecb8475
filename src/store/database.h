// SQLite as we use it: a connection and prepared statements that close themselves, and what goes wrong as a
// Result. Only this room includes sqlite3.h, and only in its .cc files.
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

// One prepared statement, used again and again: bind in order, step, read.
class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* prepared) : prepared_(prepared) {}

  // Back to the start, with nothing bound. Values are bound from the first ? on.
  Statement& reset();
  Statement& bind(std::int64_t value);
  Statement& bind(std::string_view value);

  // True: there is a row. False: done. Error: internal, unavailable (disk full, read-only, damaged).
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
  // Creates the file where it is missing. Error: unavailable, with SQLite's own words. That the file is no
  // database shows only with the first statement (is_damage).
  static Result<Database> open(const std::string& path);

  Result<Statement> prepare(std::string_view sql);
  // One or more statements whose rows nobody wants.
  Result<void> run(const std::string& sql);
  // The first column of a statement's first row.
  Result<std::int64_t> query_number(std::string_view sql);
  Result<std::string> query_text(std::string_view sql);

  // Reads it all (some milliseconds for the sizes that we keep): is every page as it should be?
  // Error: unavailable. Whether that, or any last error, means a broken file and not a bad moment:
  // is_damaged.
  Result<void> check_integrity();
  bool is_damaged() const;

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  explicit Database(sqlite3* connection) : connection_(connection) {}
  std::unique_ptr<sqlite3, Close> connection_;
  bool integrity_failed_ = false;  // check_integrity() found it
};

}  // namespace mgpu::store
