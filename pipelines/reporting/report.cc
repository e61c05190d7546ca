#include "retort/pipelines/reporting/report.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "absl/algorithm/container.h"
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

Summary Summarize(const std::vector<double>& values) {
  Summary summary;
  const double count = static_cast<double>(values.size());
  if (count < 1) return summary;
  double sum = 0;
  for (const double value : values) sum += value;
  summary.mean = sum / count;
  if (count < 2) return summary;
  double squares = 0;
  for (const double value : values) squares += (value - summary.mean) * (value - summary.mean);
  summary.std = std::sqrt(squares / (count - 1));
  return summary;
}

Summary Summarize(const ReportRun& run, double ReportReplicate::*field) {
  std::vector<double> values;
  for (const ReportReplicate& replicate : run.replicates) values.push_back(replicate.*field);
  return Summarize(values);
}

bool HasFidelity(const ReportRun& run) {
  return absl::c_any_of(run.replicates,
                        [](const ReportReplicate& replicate) { return replicate.fidelity.has_value(); });
}

Summary Summarize(const ReportRun& run, double ReportFidelity::*field) {
  std::vector<double> values;
  for (const ReportReplicate& replicate : run.replicates) {
    if (replicate.fidelity.has_value()) values.push_back((*replicate.fidelity).*field);
  }
  return Summarize(values);
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
  std::string name, kind, model, seeds, parameters, accuracy, gain, loss, ece, seconds;
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
  row.ece = WithDeviation(Summarize(run, &ReportReplicate::ece), 100, 2);
  row.seconds = Seconds(Summarize(run, &ReportReplicate::seconds).mean);
  return row;
}

// One row of the table of runs with a teacher, as text.
struct FidelityRow {
  std::string name, agreement, kl, cka, teacher_accuracy, teacher_loss, teacher_ece;
};

std::vector<FidelityRow> MakeFidelityRows(const ReportData& data) {
  std::vector<FidelityRow> rows;
  for (const ReportRun& run : data.runs) {
    if (!HasFidelity(run)) continue;
    const auto text = [&run](double ReportFidelity::*field, double unit, int digits) {
      return WithDeviation(Summarize(run, field), unit, digits);
    };
    // The same teacher for all seeds.
    const auto teacher = [&run](double ReportFidelity::*field, double unit, int digits) {
      return Fixed(Summarize(run, field).mean * unit, digits);
    };
    rows.push_back({run.name, text(&ReportFidelity::agreement, 100, 2), text(&ReportFidelity::kl, 1, 4),
                    text(&ReportFidelity::cka, 1, 4), teacher(&ReportFidelity::teacher_accuracy, 100, 2),
                    teacher(&ReportFidelity::teacher_loss, 1, 4), teacher(&ReportFidelity::teacher_ece, 100, 2)});
  }
  return rows;
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

Json FidelityJson(const ReportRun& run) {
  if (!HasFidelity(run)) return nullptr;
  const auto summary = [&run](double ReportFidelity::*field) { return SummaryJson(Summarize(run, field)); };
  return {{"agreement", summary(&ReportFidelity::agreement)},
          {"kl", summary(&ReportFidelity::kl)},
          {"cka", summary(&ReportFidelity::cka)},
          {"teacher_accuracy", summary(&ReportFidelity::teacher_accuracy)},
          {"teacher_loss", summary(&ReportFidelity::teacher_loss)},
          {"teacher_ece", summary(&ReportFidelity::teacher_ece)}};
}

Json RunJson(const ReportRun& run) {
  Json replicates = Json::array();
  for (const ReportReplicate& replicate : run.replicates) {
    replicates.push_back({{"seed", replicate.seed},
                          {"accuracy", replicate.accuracy},
                          {"loss", replicate.loss},
                          {"ece", replicate.ece},
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
          {"ece", SummaryJson(Summarize(run, &ReportReplicate::ece))},
          {"seconds", SummaryJson(Summarize(run, &ReportReplicate::seconds))},
          {"fidelity", FidelityJson(run)},
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

template <typename AnyRow>
struct Column {
  std::string title;
  std::string AnyRow::*text;
  bool number = true;
};

// A line of titles and a line a row; numbers to the right.
template <typename AnyRow>
std::string AlignedColumns(const std::vector<AnyRow>& rows, const std::vector<Column<AnyRow>>& columns) {
  std::vector<std::string> lines(rows.size() + 1);
  for (const Column<AnyRow>& column : columns) {
    std::vector<std::string> cells = {column.title};
    for (const AnyRow& row : rows) cells.push_back(row.*column.text);
    size_t width = 0;
    for (const std::string& cell : cells) width = std::max(width, Width(cell));
    for (size_t i = 0; i < cells.size(); ++i) {
      if (!lines[i].empty()) absl::StrAppend(&lines[i], "  ");
      const std::string padding(width - Width(cells[i]), ' ');
      absl::StrAppend(&lines[i], column.number ? padding : cells[i], column.number ? cells[i] : padding);
    }
  }
  return absl::StrCat(absl::StrJoin(lines, "\n"), "\n");
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
                    "<td class=\"number\">", row.ece, "</td>",       //
                    "<td class=\"number spare\">", row.seconds, "</td></tr>\n");
  }
  return html;
}

// The section of the page; nothing where no run has a teacher.
std::string FidelityHtml(const ReportData& data) {
  const std::vector<FidelityRow> rows = MakeFidelityRows(data);
  if (rows.empty()) return "";
  std::string html = R"(<section>
<h2>Fidelity to the teacher</h2>
<div class="scroll">
<table>
<thead><tr><th scope="col">run</th><th scope="col" class="number">agreement, %</th><th scope="col" class="number">KL</th><th scope="col" class="number">CKA</th><th scope="col" class="number">teacher's accuracy, %</th><th scope="col" class="number">teacher's loss</th><th scope="col" class="number">teacher's ECE, %</th></tr></thead>
<tbody>
)";
  for (const FidelityRow& row : rows) {
    absl::StrAppend(&html, "<tr><th scope=\"row\">", EscapeHtml(row.name), "</th>");
    for (const std::string* cell :
         {&row.agreement, &row.kl, &row.cka, &row.teacher_accuracy, &row.teacher_loss, &row.teacher_ece}) {
      absl::StrAppend(&html, "<td class=\"number\">", *cell, "</td>");
    }
    absl::StrAppend(&html, "</tr>\n");
  }
  absl::StrAppend(&html, R"(</tbody>
</table>
</div>
<p class="note">On the test images. Agreement: share of images of which both find the same class likeliest. KL: mean divergence of
the run's probabilities from the teacher's. CKA: linear centred kernel alignment of embeddings, 0 to 1.</p>
</section>
)");
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
  std::string table = absl::StrCat(Title(data), "\n\n",
                                   AlignedColumns<Row>(MakeRows(data), {{"run", &Row::name, false},
                                                                        {"kind", &Row::kind, false},
                                                                        {"model", &Row::model, false},
                                                                        {"seeds", &Row::seeds},
                                                                        {"parameters", &Row::parameters},
                                                                        {"test accuracy, %", &Row::accuracy},
                                                                        {"gain", &Row::gain},
                                                                        {"test loss", &Row::loss},
                                                                        {"ECE, %", &Row::ece},
                                                                        {"seconds", &Row::seconds}}));
  if (data.runs.size() > 1) {
    absl::StrAppend(&table, "\ngain: test accuracy less that of ", data.runs.front().name, ", in percentage points\n");
  }
  const std::vector<FidelityRow> rows = MakeFidelityRows(data);
  if (rows.empty()) return table;
  absl::StrAppend(&table, "\nagainst the teacher\n\n",
                  AlignedColumns<FidelityRow>(rows, {{"run", &FidelityRow::name, false},
                                                     {"agreement, %", &FidelityRow::agreement},
                                                     {"KL", &FidelityRow::kl},
                                                     {"CKA", &FidelityRow::cka},
                                                     {"teacher's accuracy, %", &FidelityRow::teacher_accuracy},
                                                     {"teacher's loss", &FidelityRow::teacher_loss},
                                                     {"teacher's ECE, %", &FidelityRow::teacher_ece}}));
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
                      {"{{fidelity}}", FidelityHtml(data)},
                      {"{{replicates}}", ReplicateRowsHtml(data)},
                      {"{{data}}", PageJson(data)},
                      {"{{plotly}}", PlotlyJs()},
                      {"{{script}}", PageJs()},
                  });
}

}  // namespace retort::pipelines
