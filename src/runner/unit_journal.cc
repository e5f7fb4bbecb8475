#include "runner/unit_journal.h"

#include <algorithm>
#include <memory>
#include <string_view>

#include <systemd/sd-journal.h>

#include "base/sanitize.h"

namespace mgpu::runner {

namespace {

struct JournalDeleter {
  void operator()(sd_journal* journal) const { sd_journal_close(journal); }
};

std::string entry_message(sd_journal* journal) {
  constexpr std::string_view kField = "MESSAGE=";
  const void* data = nullptr;
  std::size_t size = 0;
  if (sd_journal_get_data(journal, "MESSAGE", &data, &size) < 0) return "";
  const std::string_view text(static_cast<const char*>(data), size);
  return std::string(text.substr(std::min(kField.size(), text.size())));
}

}  // namespace

std::vector<std::string> read_unit_journal(const config::SystemdConfig& unit, std::size_t count) {
  sd_journal* opened = nullptr;
  if (sd_journal_open(&opened, SD_JOURNAL_LOCAL_ONLY) < 0) return {};
  const std::unique_ptr<sd_journal, JournalDeleter> journal(opened);
  const bool system = unit.bus == config::BusType::system;
  const std::string match = (system ? "_SYSTEMD_UNIT=" : "_SYSTEMD_USER_UNIT=") + unit.unit;
  if (sd_journal_add_match(opened, match.data(), match.size()) < 0 || sd_journal_seek_tail(opened) < 0)
    return {};
  std::vector<std::string> lines;
  while (lines.size() < count && sd_journal_previous(opened) > 0)
    lines.push_back(sanitize_text(entry_message(opened)));
  std::ranges::reverse(lines);
  return lines;
}

}  // namespace mgpu::runner
