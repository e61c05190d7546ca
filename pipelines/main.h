// What the seven programs of pipelines/ do; they differ only in the kind of stage that they deliver.
#pragma once

#include "retort/pipelines/pipeline.pb.h"

namespace retort::pipelines {

// The exit code of the whole program, as in exit_code.h. Progress and log go to standard error; standard output gets
// the tables of reports and, as its last line, the path of the last results.json (of the last artifact where there is
// no report).
int Main(int argc, char** argv, config::Stage::KindCase kind);

}  // namespace retort::pipelines
