// The files that a report page is made of, inside the binary: it needs nothing beside it when it runs.
#pragma once

#include "absl/strings/string_view.h"

namespace retort::pipelines {

// Template with {{marks}}.
absl::string_view PageHtml();
absl::string_view PageCss();
// Draws the charts from the data in the page.
absl::string_view PageJs();
// plotly.js, minified.
absl::string_view PlotlyJs();

}  // namespace retort::pipelines
