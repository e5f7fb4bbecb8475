#include "replay/csv.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "domain/enum_names.h"

namespace mgpu::replay {
namespace {

using StringView = std::string_view;

constexpr Instant kFirstArrival{2'000'000};  // after the first readings of all devices

std::vector<StringView> split_cells(StringView line) {
  std::vector<StringView> cells;
  while (true) {
    const std::size_t comma = line.find(',');
    StringView cell = line.substr(0, comma);
    while (!cell.empty() && cell.front() == ' ') cell.remove_prefix(1);
    while (!cell.empty() && cell.back() == ' ') cell.remove_suffix(1);
    cells.push_back(cell);
    if (comma == StringView::npos) return cells;
    line.remove_prefix(comma + 1);
  }
}

std::optional<Duration> parse_seconds(StringView text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return duration_from_ms(value * 1e3);
}

class CsvParser {
 public:
  explicit CsvParser(const Machine& machine) : machine_(machine) {}

  Result<Workload> parse(StringView text) {
    for (std::size_t number = 1; !text.empty(); ++number) {
      const std::size_t end = text.find('\n');
      StringView line = text.substr(0, end);
      text = end == StringView::npos ? StringView{} : text.substr(end + 1);
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      if (line.empty() || line.front() == '#') continue;
      const Result<void> parsed = columns_.empty() ? parse_header(line) : parse_row(line);
      if (!parsed)
        return fail(parsed.error().code, "line " + std::to_string(number) + ": " + parsed.error().detail);
    }
    if (columns_.empty())
      return fail(ErrorCode::invalid_request,
                  "the header is missing (its first line must be time,consumer,seconds,...)");
    return std::move(workload_);
  }

 private:
  Result<void> parse_header(StringView line) {
    static constexpr StringView kColumns[] = {"time", "consumer", "seconds", "user", "priority", "flow"};
    const std::vector<StringView> names = split_cells(line);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (std::ranges::find(kColumns, names[i]) == std::end(kColumns))
        return fail(ErrorCode::invalid_request,
                    "unknown column \"" + std::string(names[i]) +
                        "\" (known: time, consumer, seconds, user, priority, flow)");
      columns_[std::string(names[i])] = i;
    }
    for (const char* required : {"time", "consumer", "seconds"})
      if (!columns_.contains(required))
        return fail(ErrorCode::invalid_request, std::string("the column ") + required + " is missing");
    return {};
  }

  StringView cell_at(const std::vector<StringView>& cells, const char* column) const {
    const auto found = columns_.find(column);
    return found == columns_.end() || found->second >= cells.size() ? StringView{} : cells[found->second];
  }

  Result<void> parse_row(StringView line) {
    const std::vector<StringView> cells = split_cells(line);
    const auto time = parse_seconds(cell_at(cells, "time"));
    const auto work = parse_seconds(cell_at(cells, "seconds"));
    if (!time || !work)
      return fail(ErrorCode::invalid_request,
                  "time and seconds must be numbers of seconds from 0 to " + to_string(kLongestDuration));
    const auto target = find_target(machine_, cell_at(cells, "consumer"));
    if (!target)
      return fail(ErrorCode::invalid_request,
                  "there is no consumer " + std::string(cell_at(cells, "consumer")));
    FlowStep step{.consumer = target->consumer, .resident = target->resident, .work = *work};
    if (const StringView name = cell_at(cells, "priority"); !name.empty()) {
      step.priority = priority_from_name(name);
      if (!step.priority)
        return fail(ErrorCode::invalid_request,
                    "\"" + std::string(name) + "\" is not a priority (realtime, interactive, normal, batch)");
    }
    Flow& flow = find_or_add_flow(cell_at(cells, "flow"));
    if (flow.steps.empty()) {
      flow.start = kFirstArrival + *time;
      flow.user = find_or_add_user(cell_at(cells, "user"));
    } else {
      step.pause = *time;
    }
    flow.steps.push_back(step);
    return {};
  }

  Flow& find_or_add_flow(StringView name) {
    if (name.empty()) return workload_.flows.emplace_back();
    const auto [entry, is_new] = flows_.emplace(name, workload_.flows.size());
    if (is_new) workload_.flows.emplace_back();
    return workload_.flows[entry->second];
  }

  std::uint32_t find_or_add_user(StringView name) {
    if (name.empty()) return 0;
    return users_.emplace(name, static_cast<std::uint32_t>(users_.size() + 1)).first->second;
  }

  const Machine& machine_;
  std::map<std::string, std::size_t, std::less<>> columns_{};
  std::map<std::string, std::size_t, std::less<>> flows_{};
  std::map<std::string, std::uint32_t, std::less<>> users_{};
  Workload workload_{};
};

}  // namespace

std::optional<Target> find_target(const Machine& machine, StringView name) {
  const Registry& registry = machine.world.registry;
  for (std::size_t i = 0; i < registry.consumers.size(); ++i) {
    const ConsumerState& consumer = registry.consumers[i];
    if (name == consumer.spec.name)
      return Target{
          .consumer = ConsumerId{i},
          .resident = consumer.residents.empty() ? std::nullopt : std::optional(consumer.residents.front())};
    for (const ResidentId id : consumer.residents)
      if (name == consumer.spec.name + "/" + registry[id].ai_model)
        return Target{.consumer = ConsumerId{i}, .resident = id};
  }
  return std::nullopt;
}

std::string to_csv(const Workload& workload, const Machine& machine) {
  const Registry& registry = machine.world.registry;
  const auto seconds = [](Duration duration) { return std::to_string(to_seconds(duration)); };
  std::string text = "time,consumer,seconds,user,priority,flow\n";
  for (std::size_t i = 0; i < workload.flows.size(); ++i) {
    const Flow& flow = workload.flows[i];
    for (const FlowStep& step : flow.steps) {
      const bool is_first = &step == &flow.steps.front();
      const bool has_name = step.resident && !registry[*step.resident].ai_model.empty();
      text += seconds(is_first ? flow.start + step.pause - kFirstArrival : step.pause) + "," +
              registry[step.consumer].spec.name + (has_name ? "/" + registry[*step.resident].ai_model : "") +
              "," + seconds(step.work) + "," + (flow.user == 0 ? "" : "u" + std::to_string(flow.user)) + "," +
              (step.priority ? std::string(to_string(*step.priority)) : "") + "," +
              (flow.steps.size() == 1 ? "" : "f" + std::to_string(i)) + "\n";
    }
  }
  return text;
}

Result<Workload> parse_csv(StringView text, const Machine& machine) { return CsvParser(machine).parse(text); }

}  // namespace mgpu::replay
