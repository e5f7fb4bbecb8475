#include "simulate/report.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace mgpu::simulate {
namespace {

using Json = nlohmann::json;
using replay::Summary;

std::string format_seconds(Duration d) { return fmt::format("{:.2f}", to_ms(d) / 1000); }
std::string format_percent(double share) { return fmt::format("{:.0f}%", 100 * share); }

using Rows = std::vector<std::vector<std::string>>;

// Left-aligns the first column, right-aligns the others.
std::string align_columns(const Rows& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i == widths.size()) widths.push_back(0);
      widths[i] = std::max(widths[i], row[i].size());
    }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      text += i == 0 ? fmt::format("{:<{}}", row[i], widths[i]) : fmt::format("  {:>{}}", row[i], widths[i]);
    text += "\n";
  }
  return text;
}

Rows summary_rows(const std::vector<Variant>& variants) {
  Rows rows{{"", "JOBS", "WAIT", "P50", "P95", "P99", "WORST", "LOST", "LOADS", "BUSY", "LOADING", "IDLE",
             "OVERTAKEN", "REFUSED"}};
  for (const Variant& variant : variants) {
    const Summary f = replay::summarize(variant.outcome);
    rows.push_back({variant.name, std::to_string(f.jobs), format_seconds(f.wait.mean),
                    format_seconds(f.wait.p50), format_seconds(f.wait.p95), format_seconds(f.wait.p99),
                    format_seconds(f.wait.worst), format_seconds(f.lost.mean), std::to_string(f.loads),
                    format_percent(f.busy), format_percent(f.loading), format_percent(f.idle),
                    format_seconds(f.longest_overtaken), std::to_string(f.refused)});
  }
  return rows;
}

// Mean wait and number of loads of each consumer in each variant.
Rows consumer_rows(const std::vector<Variant>& variants) {
  Rows rows{{"CONSUMER", "JOBS"}};
  for (const Variant& variant : variants) rows.front().push_back(variant.name);
  std::map<ConsumerId, std::vector<std::string>> cells;
  for (const Variant& variant : variants)
    for (const auto& [consumer, f] : replay::summarize_by_consumer(variant.outcome)) {
      auto& row = cells[consumer];
      if (row.empty()) row = {variant.machine.world.registry[consumer].spec.name, std::to_string(f.jobs)};
      row.push_back(fmt::format("{} ({})", format_seconds(f.wait.mean), f.loads));
    }
  for (auto& [consumer, row] : cells) rows.push_back(std::move(row));
  return rows;
}

Json percentiles_json(const replay::Percentiles& percentiles) {
  return {{"mean_ms", to_ms(percentiles.mean)},
          {"p50_ms", to_ms(percentiles.p50)},
          {"p95_ms", to_ms(percentiles.p95)},
          {"p99_ms", to_ms(percentiles.p99)},
          {"worst_ms", to_ms(percentiles.worst)}};
}

Json variant_json(const Variant& variant) {
  Json json = summary_json(replay::summarize(variant.outcome));
  json["name"] = variant.name;
  json["loaded_in_vain"] = variant.outcome.loaded_in_vain;
  Json consumers = Json::array();
  for (const auto& [consumer, f] : replay::summarize_by_consumer(variant.outcome)) {
    Json one = summary_json(f);
    one["name"] = variant.machine.world.registry[consumer].spec.name;
    consumers.push_back(std::move(one));
  }
  json["consumers"] = std::move(consumers);
  return json;
}

// --- timeline ---

constexpr double kLeft = 110, kWidth = 1000, kLane = 14, kGap = 4, kHead = 26, kFoot = 22;
constexpr std::array<const char*, 3> kActivityColours{"#2a7f62", "#d98a1f", "#9c4f7d"};  // by activity
constexpr std::array<const char*, 3> kActivityNames{"runs", "loads", "is evicted"};
constexpr double kMinBarGap = 0.3;  // bars that are closer than this are merged

std::string escape_xml(const std::string& text) {
  std::string result;
  for (const char c : text)
    result += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  return result;
}

std::string text_element(double x, double y, const std::string& text, const char* anchor = "start") {
  return fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='{}'>{}</text>\n", x, y, anchor,
                     escape_xml(text));
}

class Panel {
 public:
  Panel(const Variant& variant, double top, Instant from, Instant to)
      : variant_(variant),
        top_(top),
        from_(from),
        us_per_pixel_(std::max(1.0, static_cast<double>((to - from).count())) / kWidth) {
    for (const replay::ActivitySpan& span : variant.outcome.spans) lanes_.try_emplace(span.consumer, 0);
    std::size_t next = 0;
    for (auto& [consumer, lane] : lanes_) lane = next++;
  }

  double height() const { return kHead + static_cast<double>(lanes_.size()) * (kLane + kGap) + kFoot; }

  std::string draw_svg() const {
    const Summary f = replay::summarize(variant_.outcome);
    std::string text =
        text_element(4, top_ + 16,
                     fmt::format("{}: mean wait {} s, worst {} s, {} loads", variant_.name,
                                 format_seconds(f.wait.mean), format_seconds(f.wait.worst), f.loads));
    for (const auto& [consumer, lane] : lanes_) {
      const double y = lane_top(lane);
      text +=
          text_element(kLeft - 6, y + kLane - 3, variant_.machine.world.registry[consumer].spec.name, "end");
      text += fmt::format("<rect x='{}' y='{:.1f}' width='{}' height='{}' fill='#f0f0ec'/>\n", kLeft, y,
                          kWidth, kLane);
    }
    return text + draw_spans();
  }

 private:
  double lane_top(std::size_t lane) const {
    return top_ + kHead + static_cast<double>(lane) * (kLane + kGap);
  }
  double x(Instant at) const { return kLeft + static_cast<double>((at - from_).count()) / us_per_pixel_; }

  std::string draw_spans() const {
    struct Bar {
      double from = 0, to = -1;
    };
    std::map<std::pair<ConsumerId, replay::Activity>, Bar> open;
    std::string text;
    const auto draw_bar = [&](ConsumerId consumer, replay::Activity activity, const Bar& bar) {
      if (bar.to < bar.from) return;
      text += fmt::format("<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{}' fill='{}'/>\n", bar.from,
                          lane_top(lanes_.at(consumer)), std::max(kMinBarGap, bar.to - bar.from), kLane,
                          kActivityColours[static_cast<std::size_t>(activity)]);
    };
    std::vector<replay::ActivitySpan> sorted = variant_.outcome.spans;
    std::ranges::sort(sorted, {}, &replay::ActivitySpan::from);
    for (const replay::ActivitySpan& span : sorted) {
      Bar& bar = open[{span.consumer, span.activity}];
      if (x(span.from) > bar.to + kMinBarGap) {
        draw_bar(span.consumer, span.activity, bar);
        bar = {x(span.from), x(span.to)};
      }
      bar.to = std::max(bar.to, x(span.to));
    }
    for (const auto& [of, bar] : open) draw_bar(of.first, of.second, bar);
    return text;
  }

  const Variant& variant_;
  double top_;
  Instant from_;
  double us_per_pixel_;
  std::map<ConsumerId, std::size_t> lanes_{};
};

std::string draw_legend(double y) {
  std::string text;
  double x = kLeft;
  for (std::size_t i = 0; i < kActivityNames.size(); ++i, x += 110) {
    text += fmt::format("<rect x='{}' y='{:.1f}' width='12' height='12' fill='{}'/>\n", x, y,
                        kActivityColours[i]);
    text += text_element(x + 18, y + 10, kActivityNames[i]);
  }
  return text;
}

}  // namespace

Json summary_json(const Summary& f) {
  return {{"jobs", f.jobs},
          {"refused", f.refused},
          {"wait", percentiles_json(f.wait)},
          {"lost", percentiles_json(f.lost)},
          {"loads", f.loads},
          {"loads_cold", f.loads_from[0]},
          {"loads_cached", f.loads_from[1]},
          {"loads_parked", f.loads_from[2]},
          {"evictions", f.evictions},
          {"busy", f.busy},
          {"loading", f.loading},
          {"idle", f.idle},
          {"unfairness", f.unfairness},
          {"overtaken_ms", to_ms(f.longest_overtaken)},
          {"passed", f.max_times_overtaken},
          {"bound_ms", to_ms(f.overtake_bound)},
          {"late_ms", to_ms(f.bound_excess)}};
}

std::string format_table(const ReportHeader& header, const std::vector<Variant>& variants) {
  std::string text = header.trace + "\n";
  for (const std::string& remark : header.remarks) text += "  " + remark + "\n";
  text += "\nSeconds from arrival to start; lost: what the job took beyond its own work.\n" +
          align_columns(summary_rows(variants));
  return text + "\nMean wait of each consumer, and in brackets how often it was loaded.\n" +
         align_columns(consumer_rows(variants));
}

std::string format_json(const ReportHeader& header, const std::vector<Variant>& variants) {
  Json json{{"trace", header.trace}, {"remarks", header.remarks}, {"variants", Json::array()}};
  for (const Variant& variant : variants) json["variants"].push_back(variant_json(variant));
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string format_timeline_svg(const std::vector<Variant>& variants) {
  Instant from = kNever, to{};
  for (const Variant& variant : variants) {
    if (!variant.outcome.jobs.empty()) from = std::min(from, variant.outcome.jobs.front().arrived);
    to = std::max(to, variant.outcome.end);
  }
  if (from == kNever) from = to;
  std::string body;
  double y = 4;
  for (const Variant& variant : variants) {
    const Panel panel(variant, y, from, to);
    body += panel.draw_svg();
    y += panel.height();
  }
  const double minutes = to_ms(to - from) / 60'000;
  body +=
      draw_legend(y) + text_element(kLeft + kWidth, y + 10, fmt::format("{:.1f} minutes", minutes), "end");
  return fmt::format(
             "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {:.0f} {:.0f}' font-family='sans-serif' "
             "font-size='11'>\n<rect width='100%' height='100%' fill='white'/>\n",
             kLeft + kWidth + 10, y + 22) +
         body + "</svg>\n";
}

}  // namespace mgpu::simulate
