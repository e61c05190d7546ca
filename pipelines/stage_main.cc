// One program a kind of stage: RETORT_STAGE_KIND is set in BUILD.
#include "retort/pipelines/main.h"

int main(int argc, char** argv) {
  return retort::pipelines::Main(argc, argv, retort::config::Stage::RETORT_STAGE_KIND);
}
