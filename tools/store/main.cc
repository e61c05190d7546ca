#include <iostream>
#include <string>
#include <vector>

#include "retort/tools/store/store_command.h"

int main(int argc, char** argv) {
  return retort::tools::RunStoreCommand(std::vector<std::string>(argv + 1, argv + argc), std::cout, std::cerr);
}
