#include "retort/pipelines/reporting/report.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

#include "retort/pipelines/progress/format.h"
#include "retort/pipelines/reporting/page_files.h"

namespace retort::pipelines {
namespace {

using Json = nlohmann::ordered_json;

// What stands where there is no number.
constexpr char kNone[] = "–";

// Mean, and standard deviation with n - 1 in the denominator; NaN where there are too few values.
struct Summary {
  double mean = std::numeric_limits<double>::quiet_NaN();
  double std = std::numeric_limits<double>::quiet_NaN();
};

Summary Summarize(const ReportRun& run, double ReportReplicate::*field) {
  Summary summary;
  const double count = static_cast<double>(run.replicates.size());
  if (count < 1) return summary;
  double sum = 0;
  for (const ReportReplicate& replicate : run.replicates) sum += replicate.*field;
  summary.mean = sum / count;
  if (count < 2) return summary;
  double squares = 0;
  for (const ReportReplicate& replicate : run.replicates) {
    squares += (replicate.*field - summary.mean) * (replicate.*field - summary.mean);
  }
  summary.std = std::sqrt(squares / (count - 1));
  return summary;
}

std::string Fixed(double value, int digits) {
  return std::isfinite(value) ? absl::StrFormat("%.*f", digits, value) : kNone;
}

// "71.23 ± 0.31", without the second part where there is no deviation.
std::string WithDeviation(const Summary& summary, double unit, int digits) {
  std::string text = Fixed(summary.mean * unit, digits);
  if (std::isfinite(summary.std)) absl::StrAppend(&text, " ± ", Fixed(summary.std * unit, digits));
  return text;
}

// "+1.50", "-0.20", "0.00".
std::string Signed(double value, int digits) {
  if (!std::isfinite(value)) return kNone;
  const std::string text = absl::StrFormat("%+.*f", digits, value);
  const bool zero = text.find_first_of("123456789") == std::string::npos;
  return zero ? text.substr(1) : text;
}

std::string Seconds(double value) {
  if (!std::isfinite(value)) return kNone;
  return value < 100 ? Fixed(value, 1) : GroupedDigits(std::llround(std::min(value, 1e15)));
}

// One row of the table, as text.
struct Row {
  std::string name, kind, model, seeds, parameters, accuracy, gain, loss, seconds;
};

Row MakeRow(const ReportRun& run, double first_accuracy) {
  const Summary accuracy = Summarize(run, &ReportReplicate::accuracy);
  Row row;
  row.name = run.name;
  row.kind = run.kind;
  row.model = run.model;
  row.seeds = absl::StrCat(run.replicates.size());
  row.parameters = GroupedDigits(run.parameters);
  row.accuracy = WithDeviation(accuracy, 100, 2);
  row.gain = Signed((accuracy.mean - first_accuracy) * 100, 2);
  row.loss = WithDeviation(Summarize(run, &ReportReplicate::loss), 1, 4);
  row.seconds = Seconds(Summarize(run, &ReportReplicate::seconds).mean);
  return row;
}

std::vector<Row> MakeRows(const ReportData& data) {
  std::vector<Row> rows;
  if (data.runs.empty()) return rows;
  const double first_accuracy = Summarize(data.runs.front(), &ReportReplicate::accuracy).mean;
  rows.reserve(data.runs.size());
  for (const ReportRun& run : data.runs) rows.push_back(MakeRow(run, first_accuracy));
  return rows;
}

std::string Title(const ReportData& data) {
  return absl::StrCat(data.pipeline, ": ", data.dataset, ", ", GroupedDigits(data.test_images), " test images");
}

// Characters of UTF-8 text, each one column wide.
size_t Width(absl::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

// NaN and infinity become null.
Json SummaryJson(const Summary& summary) { return {{"mean", summary.mean}, {"std", summary.std}}; }

Json EpochsJson(const std::vector<ReportEpoch>& epochs) {
  Json json = {{"epoch", Json::array()},
               {"loss", Json::array()},
               {"accuracy", Json::array()},
               {"validation_loss", Json::array()},
               {"validation_accuracy", Json::array()}};
  for (const ReportEpoch& epoch : epochs) {
    json["epoch"].push_back(epoch.epoch);
    json["loss"].push_back(epoch.loss);
    json["accuracy"].push_back(epoch.accuracy);
    json["validation_loss"].push_back(epoch.validation_loss);
    json["validation_accuracy"].push_back(epoch.validation_accuracy);
  }
  return json;
}

Json RunJson(const ReportRun& run) {
  Json replicates = Json::array();
  for (const ReportReplicate& replicate : run.replicates) {
    replicates.push_back({{"seed", replicate.seed},
                          {"accuracy", replicate.accuracy},
                          {"loss", replicate.loss},
                          {"seconds", replicate.seconds},
                          {"key", replicate.key},
                          {"epochs", EpochsJson(replicate.epochs)}});
  }
  return {{"name", run.name},
          {"kind", run.kind},
          {"model", run.model},
          {"objective", run.objective},
          {"parameters", run.parameters},
          {"accuracy", SummaryJson(Summarize(run, &ReportReplicate::accuracy))},
          {"loss", SummaryJson(Summarize(run, &ReportReplicate::loss))},
          {"seconds", SummaryJson(Summarize(run, &ReportReplicate::seconds))},
          {"replicates", std::move(replicates)}};
}

Json DataJson(const ReportData& data) {
  Json runs = Json::array();
  for (const ReportRun& run : data.runs) runs.push_back(RunJson(run));
  return {{"schema_version", 1},
          {"pipeline", data.pipeline},
          {"dataset", data.dataset},
          {"test_images", data.test_images},
          {"runs", std::move(runs)}};
}

// Bytes that are no UTF-8 become U+FFFD.
std::string Dump(const Json& json, int indent) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

std::string EscapeHtml(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

// JSON that stays JSON inside <script>: no "</script>", no "<!--". A seed is text there, since JavaScript's numbers
// have 53 bits.
std::string PageJson(const ReportData& data) {
  Json json = DataJson(data);
  for (Json& run : json["runs"]) {
    for (Json& replicate : run["replicates"]) replicate["seed"] = absl::StrCat(replicate["seed"].get<uint64_t>());
  }
  return absl::StrReplaceAll(Dump(json, -1), {{"<", "\\u003c"}});
}

// Columns that a narrow screen can spare are of class "spare".
std::string TableRowsHtml(const ReportData& data) {
  std::string html;
  const std::vector<Row> rows = MakeRows(data);
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    absl::StrAppend(&html, "<tr><th scope=\"row\"><i class=\"swatch\" data-run=\"", i, "\"></i>", EscapeHtml(row.name));
    const std::string& objective = data.runs[i].objective;
    if (!objective.empty()) absl::StrAppend(&html, "<small>", EscapeHtml(objective), "</small>");
    absl::StrAppend(&html, "</th>",                                          //
                    "<td class=\"spare\">", EscapeHtml(row.kind), "</td>",   //
                    "<td class=\"spare\">", EscapeHtml(row.model), "</td>",  //
                    "<td class=\"number spare\">", row.seeds, "</td>",       //
                    "<td class=\"number\">", row.parameters, "</td>");
    absl::StrAppend(&html,                                           //
                    "<td class=\"number\">", row.accuracy, "</td>",  //
                    "<td class=\"number\">", row.gain, "</td>",      //
                    "<td class=\"number\">", row.loss, "</td>",      //
                    "<td class=\"number spare\">", row.seconds, "</td></tr>\n");
  }
  return html;
}

std::string ReplicateRowsHtml(const ReportData& data) {
  std::string html;
  for (const ReportRun& run : data.runs) {
    for (const ReportReplicate& replicate : run.replicates) {
      absl::StrAppend(&html, "<tr><th scope=\"row\">", EscapeHtml(run.name), "</th><td class=\"number\">",
                      replicate.seed, "</td><td class=\"number\">", Fixed(replicate.accuracy * 100, 2),
                      "</td><td class=\"number\">", Fixed(replicate.loss, 4), "</td><td class=\"number\">",
                      Seconds(replicate.seconds), "</td><td><code title=\"", EscapeHtml(replicate.key), "\">",
                      EscapeHtml(absl::string_view(replicate.key).substr(0, 16)), "</code></td></tr>\n");
    }
  }
  return html;
}

}  // namespace

std::string ReportTable(const ReportData& data) {
  struct Column {
    std::string title;
    std::string Row::*text;
    bool number;
  };
  std::vector<Column> columns = {
      {"run", &Row::name, false},
      {"kind", &Row::kind, false},
      {"model", &Row::model, false},
      {"seeds", &Row::seeds, true},
      {"parameters", &Row::parameters, true},
      {"test accuracy, %", &Row::accuracy, true},
      {"gain", &Row::gain, true},
      {"test loss", &Row::loss, true},
      {"seconds", &Row::seconds, true},
  };
  const std::vector<Row> rows = MakeRows(data);
  std::vector<std::string> lines(rows.size() + 1);
  for (const Column& column : columns) {
    std::vector<std::string> cells = {column.title};
    for (const Row& row : rows) cells.push_back(row.*column.text);
    size_t width = 0;
    for (const std::string& cell : cells) width = std::max(width, Width(cell));
    for (size_t i = 0; i < cells.size(); ++i) {
      if (!lines[i].empty()) absl::StrAppend(&lines[i], "  ");
      const std::string padding(width - Width(cells[i]), ' ');
      absl::StrAppend(&lines[i], column.number ? padding : cells[i], column.number ? cells[i] : padding);
    }
  }
  std::string table = absl::StrCat(Title(data), "\n\n", absl::StrJoin(lines, "\n"), "\n");
  if (data.runs.size() > 1) {
    absl::StrAppend(&table, "\ngain: test accuracy less that of ", data.runs.front().name, ", in percentage points\n");
  }
  return table;
}

std::string ReportJson(const ReportData& data) { return absl::StrCat(Dump(DataJson(data), 2), "\n"); }

std::string ReportHtml(const ReportData& data) {
  // One pass over the template: text of the data is never searched for marks.
  return absl::StrReplaceAll(
      PageHtml(), {
                      {"{{title}}", EscapeHtml(data.pipeline)},
                      {"{{subtitle}}",
                       EscapeHtml(absl::StrCat(data.dataset, ", ", GroupedDigits(data.test_images), " test images"))},
                      {"{{first_run}}", EscapeHtml(data.runs.empty() ? "" : data.runs[0].name)},
                      {"{{style}}", PageCss()},
                      {"{{rows}}", TableRowsHtml(data)},
                      {"{{replicates}}", ReplicateRowsHtml(data)},
                      {"{{data}}", PageJson(data)},
                      {"{{plotly}}", PlotlyJs()},
                      {"{{script}}", PageJs()},
                  });
}

}  // namespace retort::pipelines
