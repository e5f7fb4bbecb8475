// Prepared statements that read and write rows of the tables.
//
// Thread rule: one thread at a time. The caller begins and commits transactions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "store/database.h"
#include "store/store.h"

namespace mgpu::store {

class Tables {
 public:
  // REQUIRES: a database of the current schema version (migrate_schema).
  static Result<Tables> prepare(Database database, std::uint32_t history_rows);

  Result<void> begin();
  Result<void> commit();
  void roll_back();

  Result<void> begin_epoch();         // the one after the last
  Result<std::int64_t> read_epoch();  // the last that was begun; -1: none

  // On an error `rows` contains the rows read before it.
  Result<void> read(std::vector<LearnedRow>& rows);
  Result<void> read(std::vector<ProcessRow>& rows);
  Result<void> read(std::vector<JobRow>& rows, std::size_t count);  // the newest, newest first

  Result<void> save_learned(const LearnedRow& row);
  Result<void> forget_learned(const std::string& consumer);
  Result<void> add_job(const JobRow& row);
  Result<void> save_process(const ProcessRow& row);
  Result<void> update_process(const std::string& consumer, bool settled,
                              const std::vector<std::string>& warm);
  Result<void> remove_process(const std::string& consumer);

 private:
  explicit Tables(Database database) : database_(std::move(database)) {}

  Database database_;  // before its statements, so that it is closed after them
  std::uint32_t history_rows_ = 0;
  Statement begin_, commit_, roll_back_;
  Statement begin_epoch_, read_epoch_;
  Statement read_learned_, save_learned_, forget_learned_, prune_learned_;
  Statement read_jobs_, add_job_, prune_jobs_;
  Statement read_processes_, save_process_, update_process_, remove_process_;
};

}  // namespace mgpu::store
