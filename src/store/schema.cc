#include "store/schema.h"

#include <array>
#include <string>

namespace mgpu::store {
namespace {

constexpr std::int64_t kApplicationId = 0x6D677075;  // "mgpu"

// kMigrations[n] migrates version n to n + 1. A released migration is never changed.
constexpr std::array kMigrations{
    R"sql(
      CREATE TABLE learned (
        consumer TEXT NOT NULL, ai_model TEXT NOT NULL, settings TEXT NOT NULL,
        footprint_bytes INTEGER NOT NULL, working_bytes INTEGER NOT NULL,
        load_cold_us INTEGER NOT NULL, load_cached_us INTEGER NOT NULL, load_parked_us INTEGER NOT NULL,
        unload_us INTEGER NOT NULL, park_us INTEGER NOT NULL, run_us INTEGER NOT NULL,
        loads INTEGER NOT NULL, runs INTEGER NOT NULL,
        hours TEXT NOT NULL,
        changed_s INTEGER NOT NULL,
        PRIMARY KEY (consumer, ai_model, settings)
      ) WITHOUT ROWID, STRICT;
      CREATE TABLE jobs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        ticket INTEGER NOT NULL, consumer TEXT NOT NULL, ai_model TEXT NOT NULL, who TEXT NOT NULL,
        arrived_us INTEGER NOT NULL,
        waited_us INTEGER NOT NULL, loading_us INTEGER NOT NULL, ran_us INTEGER NOT NULL,
        outcome TEXT NOT NULL
      ) STRICT;
      CREATE TABLE started (
        consumer TEXT PRIMARY KEY,
        pid INTEGER NOT NULL, start_time INTEGER NOT NULL, boot TEXT NOT NULL, port INTEGER NOT NULL,
        settings TEXT NOT NULL, settled INTEGER NOT NULL, warm TEXT NOT NULL
      ) WITHOUT ROWID, STRICT;
    )sql",
    "ALTER TABLE started ADD COLUMN device TEXT NOT NULL DEFAULT '';",
    "ALTER TABLE started ADD COLUMN owner INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE started ADD COLUMN owner_start_time INTEGER NOT NULL DEFAULT 0;",
    // The starts of an earlier mgpu all numbered their tickets as epoch 0 does; before the first start there
    // is none.
    R"sql(
      CREATE TABLE epochs (id INTEGER PRIMARY KEY CHECK (id = 0), last INTEGER NOT NULL) STRICT;
      INSERT INTO epochs SELECT 0, CASE
        WHEN EXISTS (SELECT 1 FROM jobs) OR EXISTS (SELECT 1 FROM learned) OR EXISTS (SELECT 1 FROM started)
        THEN 0 ELSE -1 END;
    )sql",
};

Result<void> check_compatible(Database& database, std::int64_t version) {
  if (version > static_cast<std::int64_t>(kMigrations.size()))
    return fail(ErrorCode::invalid_config, "was written by a newer mgpu (schema version " +
                                               std::to_string(version) + ", this mgpu supports up to " +
                                               std::to_string(kMigrations.size()) +
                                               "): update mgpu, or set another file as store");
  const auto application = database.query_number("PRAGMA application_id");
  if (!application) return std::unexpected(application.error());
  const auto tables = database.query_number("SELECT count(*) FROM sqlite_schema");
  if (!tables) return std::unexpected(tables.error());
  if (*application != kApplicationId && (*application != 0 || *tables != 0))
    return fail(ErrorCode::invalid_config, "is the database of another program: set another file as store");
  return {};
}

}  // namespace

Result<void> migrate_schema(Database& database) {
  const auto version = database.query_number("PRAGMA user_version");
  if (!version) return std::unexpected(version.error());
  if (auto compatible = check_compatible(database, *version); !compatible) return compatible;
  for (auto step = static_cast<std::size_t>(*version); step < kMigrations.size(); ++step) {
    const std::string sql = std::string("BEGIN IMMEDIATE;") + kMigrations[step] +
                            "PRAGMA application_id = " + std::to_string(kApplicationId) + ";" +
                            "PRAGMA user_version = " + std::to_string(step + 1) + ";COMMIT;";
    if (auto done = database.run(sql); !done) {
      // Fails if the transaction never began; the first error is returned in any case.
      [[maybe_unused]] const auto undone = database.run("ROLLBACK");
      return done;
    }
  }
  return {};
}

}  // namespace mgpu::store
