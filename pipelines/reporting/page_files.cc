#include "retort/pipelines/reporting/page_files.h"

#include <cstddef>

#include "retort/pipelines/reporting/page_file_hashes.h"

// Defines `absl::string_view function()`, the bytes of the file at `path`. The assembler reads the file, relative to
// the folder that Bazel compiles in; the target lists it among its dependencies.
#define RETORT_EMBED_FILE(function, path)                                                                \
  asm(".pushsection .rodata\n"                                                                           \
      "retort_embedded_" #function                                                                       \
      "_begin:\n"                                                                                        \
      ".incbin \"" path                                                                                  \
      "\"\n"                                                                                             \
      "retort_embedded_" #function                                                                       \
      "_end:\n"                                                                                          \
      ".popsection\n");                                                                                  \
  extern "C" const char retort_embedded_##function##_begin[];                                            \
  extern "C" const char retort_embedded_##function##_end[];                                              \
  absl::string_view function() {                                                                         \
    return {retort_embedded_##function##_begin,                                                          \
            static_cast<size_t>(retort_embedded_##function##_end - retort_embedded_##function##_begin)}; \
  }

namespace retort::pipelines {

RETORT_EMBED_FILE(PageHtml, "pipelines/reporting/page.html")
RETORT_EMBED_FILE(PageCss, "pipelines/reporting/page.css")
RETORT_EMBED_FILE(PageJs, "pipelines/reporting/page.js")
RETORT_EMBED_FILE(PlotlyJs, "external/plotly/plotly.min.js")

}  // namespace retort::pipelines
