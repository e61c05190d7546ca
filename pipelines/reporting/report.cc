#include "retort/pipelines/reporting/report.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
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
constexpr char kGain[] = "accuracy less that of the first run on the same images, in percentage points";

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

// "1.2", and from 100 on "1,234".
std::string Rounded(double value, int digits) {
  if (!std::isfinite(value)) return kNone;
  return value < 100 ? Fixed(value, digits) : GroupedDigits(std::llround(std::min(value, 1e15)));
}

// A table as text; what each rendering makes of it is below.
struct Column {
  std::string title;
  std::function<std::string(const ReportRun&)> cell;
  bool number = true;
  bool spare = false;  // a narrow screen can do without
};

struct Table {
  std::vector<Column> columns;  // the first is the run's name
  std::vector<const ReportRun*> runs;
};

// Of the first run, and all later ones that were not measured on the same as one before.
std::vector<ReportImages> Images(const ReportData& data) {
  std::vector<ReportImages> all;
  for (const ReportRun& run : data.runs) {
    if (!absl::c_linear_search(all, run.images)) all.push_back(run.images);
  }
  return all;
}

// The first run of the same images.
const ReportRun& Reference(const ReportData& data, const ReportRun& run) {
  return *absl::c_find_if(data.runs, [&run](const ReportRun& other) { return other.images == run.images; });
}

std::string Gain(const ReportData& data, const ReportRun& run) {
  const ReportRun& reference = Reference(data, run);
  if (&reference == &run) return kNone;
  const auto accuracy = [](const ReportRun& of) { return Summarize(of, &ReportReplicate::accuracy).mean; };
  return Signed((accuracy(run) - accuracy(reference)) * 100, 2);
}

Table ResultsTable(const ReportData& data) {
  const auto summary = [](double ReportReplicate::*field, double unit, int digits) {
    return [=](const ReportRun& run) { return WithDeviation(Summarize(run, field), unit, digits); };
  };
  Table table;
  for (const ReportRun& run : data.runs) table.runs.push_back(&run);
  table.columns = {{"run", [](const ReportRun& run) { return run.name; }, false},
                   {"kind", [](const ReportRun& run) { return run.kind; }, false, true},
                   {"model", [](const ReportRun& run) { return run.model; }, false, true}};
  if (Images(data).size() > 1) {
    table.columns.push_back(
        {"images", [](const ReportRun& run) { return absl::StrCat(run.images.dataset, " ", run.images.split); },
         false});
  }
  const Column numbers[] = {
      {"seeds", [](const ReportRun& run) { return absl::StrCat(run.replicates.size()); }, true, true},
      {"accuracy, %", summary(&ReportReplicate::accuracy, 100, 2)},
      {"gain", [&data](const ReportRun& run) { return Gain(data, run); }},
      {"loss", summary(&ReportReplicate::loss, 1, 4)},
      {"ECE, %", summary(&ReportReplicate::ece, 100, 2)}};
  table.columns.insert(table.columns.end(), std::begin(numbers), std::end(numbers));
  return table;
}

std::string Ratio(const ReportRun& first, const ReportRun& run) {
  return run.parameters == 0 ? kNone
                             : Fixed(static_cast<double>(first.parameters) / static_cast<double>(run.parameters), 2);
}

Table CostsTable(const ReportData& data) {
  const auto mean = [](double ReportReplicate::*field) {
    return [=](const ReportRun& run) { return Rounded(Summarize(run, field).mean, 1); };
  };
  Table table;
  for (const ReportRun& run : data.runs) table.runs.push_back(&run);
  table.columns = {{"run", [](const ReportRun& run) { return run.name; }, false},
                   {"parameters", [](const ReportRun& run) { return GroupedDigits(run.parameters); }},
                   {"ratio", [&data](const ReportRun& run) { return Ratio(data.runs.front(), run); }},
                   {"MACs, M", [](const ReportRun& run) { return Rounded(run.macs / 1e6, 2); }},
                   {"seconds", mean(&ReportReplicate::seconds)},
                   {"images/s", mean(&ReportReplicate::images_per_second)}};
  return table;
}

// Of runs with a teacher.
Table FidelityTable(const ReportData& data) {
  const auto own = [](double ReportFidelity::*field, double unit, int digits) {
    return [=](const ReportRun& run) { return WithDeviation(Summarize(run, field), unit, digits); };
  };
  // The same teacher for all seeds.
  const auto teachers = [](double ReportFidelity::*field, double unit, int digits) {
    return [=](const ReportRun& run) { return Fixed(Summarize(run, field).mean * unit, digits); };
  };
  Table table;
  for (const ReportRun& run : data.runs) {
    if (HasFidelity(run)) table.runs.push_back(&run);
  }
  table.columns = {{"run", [](const ReportRun& run) { return run.name; }, false},
                   {"agreement, %", own(&ReportFidelity::agreement, 100, 2)},
                   {"KL", own(&ReportFidelity::kl, 1, 4)},
                   {"CKA", own(&ReportFidelity::cka, 1, 4)},
                   {"teacher's accuracy, %", teachers(&ReportFidelity::teacher_accuracy, 100, 2)},
                   {"teacher's loss", teachers(&ReportFidelity::teacher_loss, 1, 4)},
                   {"teacher's ECE, %", teachers(&ReportFidelity::teacher_ece, 100, 2)}};
  return table;
}

// "cifar10, 10,000 test images"
std::string Subtitle(const ReportData& data) {
  return absl::StrJoin(Images(data), "; ", [](std::string* out, const ReportImages& images) {
    absl::StrAppend(out, images.dataset, ", ", GroupedDigits(images.count), " ", images.split, " images");
  });
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

// {"classes", "confusion"}
Json ClassesJson(const ReportRun& run) {
  Json classes = Json::array(), confusion = Json::array();
  const size_t count = run.class_names.size();
  for (size_t label = 0; label < count; ++label) {
    const auto row = run.confusion.begin() + static_cast<int64_t>(label * count);
    const std::vector<int64_t> predictions(row, row + static_cast<int64_t>(count));
    const int64_t images = std::accumulate(predictions.begin(), predictions.end(), int64_t{0});
    classes.push_back({{"name", run.class_names[label]},
                       {"images", images},
                       {"accuracy", static_cast<double>(predictions[label]) / static_cast<double>(images)}});
    confusion.push_back(predictions);
  }
  return {{"classes", std::move(classes)}, {"confusion", std::move(confusion)}};
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
  Json json = {{"name", run.name},
               {"kind", run.kind},
               {"model", run.model},
               {"objective", run.objective},
               {"images", {{"dataset", run.images.dataset}, {"split", run.images.split}, {"count", run.images.count}}},
               {"parameters", run.parameters},
               {"macs", run.macs},
               {"accuracy", SummaryJson(Summarize(run, &ReportReplicate::accuracy))},
               {"loss", SummaryJson(Summarize(run, &ReportReplicate::loss))},
               {"ece", SummaryJson(Summarize(run, &ReportReplicate::ece))},
               {"seconds", SummaryJson(Summarize(run, &ReportReplicate::seconds))},
               {"images_per_second", SummaryJson(Summarize(run, &ReportReplicate::images_per_second))},
               {"fidelity", FidelityJson(run)}};
  json.update(ClassesJson(run));
  json["calibration"] = Json::array();
  for (const ReportBin& bin : run.calibration) {
    const auto images = static_cast<double>(bin.images);
    json["calibration"].push_back({{"images", bin.images},
                                   {"accuracy", static_cast<double>(bin.correct) / images},
                                   {"confidence", bin.confidence / images}});
  }
  json["replicates"] = std::move(replicates);
  return json;
}

Json DataJson(const ReportData& data) {
  Json runs = Json::array();
  for (const ReportRun& run : data.runs) runs.push_back(RunJson(run));
  return {{"schema_version", 2}, {"pipeline", data.pipeline}, {"runs", std::move(runs)}};
}

// Bytes that are no UTF-8 become U+FFFD.
std::string Dump(const Json& json, int indent) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

// A line of titles and a line a row; numbers to the right.
std::string TextOf(const Table& table) {
  std::vector<std::string> lines(table.runs.size() + 1);
  for (const Column& column : table.columns) {
    std::vector<std::string> cells = {column.title};
    for (const ReportRun* run : table.runs) cells.push_back(column.cell(*run));
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

std::string MarkdownOf(const Table& table) {
  const auto line = [](const std::vector<std::string>& cells) {
    return absl::StrCat("| ", absl::StrJoin(cells, " | "), " |\n");
  };
  const auto plain = [](const std::string& text) { return absl::StrReplaceAll(text, {{"|", "\\|"}, {"\n", " "}}); };
  std::vector<std::string> titles, rules;
  for (const Column& column : table.columns) {
    titles.push_back(column.title);
    rules.push_back(column.number ? "---:" : "---");
  }
  std::string text = absl::StrCat(line(titles), line(rules));
  for (const ReportRun* run : table.runs) {
    std::vector<std::string> cells;
    for (const Column& column : table.columns) cells.push_back(plain(column.cell(*run)));
    absl::StrAppend(&text, line(cells));
  }
  return text;
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

// <table>, in a box that scrolls. With `of_all`, each row has the colour of its run in the charts and says its
// objective.
std::string HtmlOf(const Table& table, const ReportData* of_all) {
  const auto classes = [](const Column& column) {
    return absl::StrCat(" class=\"", column.number ? "number" : "", column.spare ? " spare" : "", "\"");
  };
  std::string html =
      absl::StrCat("<div class=\"scroll\">\n<table", of_all == nullptr ? "" : " class=\"results\"", ">\n<thead><tr>");
  for (const Column& column : table.columns) {
    absl::StrAppend(&html, "<th scope=\"col\"", classes(column), ">", EscapeHtml(column.title), "</th>");
  }
  absl::StrAppend(&html, "</tr></thead>\n<tbody>\n");
  for (const ReportRun* run : table.runs) {
    absl::StrAppend(&html, "<tr><th scope=\"row\">");
    if (of_all != nullptr) {
      absl::StrAppend(&html, "<i class=\"swatch\" data-run=\"", run - of_all->runs.data(), "\"></i>");
    }
    absl::StrAppend(&html, EscapeHtml(run->name));
    if (of_all != nullptr && !run->objective.empty()) {
      absl::StrAppend(&html, "<small>", EscapeHtml(run->objective), "</small>");
    }
    absl::StrAppend(&html, "</th>");
    for (size_t i = 1; i < table.columns.size(); ++i) {
      const Column& column = table.columns[i];
      absl::StrAppend(&html, "<td", classes(column), ">", EscapeHtml(column.cell(*run)), "</td>");
    }
    absl::StrAppend(&html, "</tr>\n");
  }
  absl::StrAppend(&html, "</tbody>\n</table>\n</div>\n");
  return html;
}

// The section of the page; nothing where no run has a teacher.
std::string FidelityHtml(const ReportData& data) {
  const Table table = FidelityTable(data);
  if (table.runs.empty()) return "";
  return absl::StrCat(
      "<section>\n<h2>Fidelity to the teacher</h2>\n", HtmlOf(table, nullptr),
      R"(<p class="note">On the run's images. Agreement: share of images of which both find the same class likeliest. KL: mean divergence
of the run's probabilities from the teacher's. CKA: linear centred kernel alignment of embeddings, 0 to 1.</p>
</section>
)");
}

std::string ReplicateRowsHtml(const ReportData& data) {
  std::string html;
  for (const ReportRun& run : data.runs) {
    for (const ReportReplicate& replicate : run.replicates) {
      absl::StrAppend(&html, "<tr><th scope=\"row\">", EscapeHtml(run.name), "</th><td class=\"number\">",
                      replicate.seed, "</td><td class=\"number\">", Fixed(replicate.accuracy * 100, 2),
                      "</td><td class=\"number\">", Fixed(replicate.loss, 4), "</td><td class=\"number\">",
                      Rounded(replicate.seconds, 1), "</td><td><code title=\"", EscapeHtml(replicate.key), "\">",
                      EscapeHtml(absl::string_view(replicate.key).substr(0, 16)), "</code></td></tr>\n");
    }
  }
  return html;
}

}  // namespace

std::string ReportTable(const ReportData& data) {
  std::string text = absl::StrCat(data.pipeline, ": ", Subtitle(data), "\n\n", TextOf(ResultsTable(data)));
  if (data.runs.size() > Images(data).size()) {
    absl::StrAppend(&text, "\ngain: ", kGain, "\n");
  }
  absl::StrAppend(&text, "\ncosts\n\n", TextOf(CostsTable(data)));
  const Table fidelity = FidelityTable(data);
  if (!fidelity.runs.empty()) absl::StrAppend(&text, "\nagainst the teacher\n\n", TextOf(fidelity));
  return text;
}

std::string ReportMarkdown(const ReportData& data) {
  std::string text = absl::StrCat("# ", data.pipeline, "\n\n", Subtitle(data),
                                  ". Mean ± standard deviation over seeds.\n\n", MarkdownOf(ResultsTable(data)));
  if (data.runs.size() > Images(data).size()) absl::StrAppend(&text, "\nGain: ", kGain, ".\n");
  absl::StrAppend(&text, "\n## Costs\n\n", MarkdownOf(CostsTable(data)));
  const Table fidelity = FidelityTable(data);
  if (!fidelity.runs.empty()) absl::StrAppend(&text, "\n## Against the teacher\n\n", MarkdownOf(fidelity));
  return text;
}

std::string ReportJson(const ReportData& data) { return absl::StrCat(Dump(DataJson(data), 2), "\n"); }

std::string ReportHtml(const ReportData& data) {
  // One pass over the template: text of the data is never searched for marks.
  return absl::StrReplaceAll(PageHtml(), {
                                             {"{{title}}", EscapeHtml(data.pipeline)},
                                             {"{{subtitle}}", EscapeHtml(Subtitle(data))},
                                             {"{{gain}}", kGain},
                                             {"{{config}}", EscapeHtml(data.config)},
                                             {"{{style}}", PageCss()},
                                             {"{{results}}", HtmlOf(ResultsTable(data), &data)},
                                             {"{{costs}}", HtmlOf(CostsTable(data), nullptr)},
                                             {"{{fidelity}}", FidelityHtml(data)},
                                             {"{{replicates}}", ReplicateRowsHtml(data)},
                                             {"{{data}}", PageJson(data)},
                                             {"{{plotly}}", PlotlyJs()},
                                             {"{{script}}", PageJs()},
                                         });
}

}  // namespace retort::pipelines
