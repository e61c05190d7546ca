// Early return for absl::Status and absl::StatusOr.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the enclosing function if `expression`, an absl::Status, is an error.
#define RETORT_RETURN_IF_ERROR(expression)                                                    \
  do {                                                                                        \
    if (absl::Status retort_status = (expression); !retort_status.ok()) return retort_status; \
  } while (false)

// `RETORT_ASSIGN_OR_RETURN(auto x, F());` defines x from a StatusOr, or returns its error.
#define RETORT_ASSIGN_OR_RETURN(lhs, expression) \
  RETORT_ASSIGN_OR_RETURN_(RETORT_CONCAT_(retort_statusor_, __LINE__), lhs, expression)
#define RETORT_ASSIGN_OR_RETURN_(statusor, lhs, expression) \
  auto statusor = (expression);                             \
  if (!statusor.ok()) return std::move(statusor).status();  \
  lhs = *std::move(statusor)
#define RETORT_CONCAT_(a, b) RETORT_CONCAT_INNER_(a, b)
#define RETORT_CONCAT_INNER_(a, b) a##b
