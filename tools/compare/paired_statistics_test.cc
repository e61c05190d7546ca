#include "retort/tools/compare/paired_statistics.h"

#include <cmath>
#include <limits>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace retort::tools {
namespace {

// All numbers are SciPy 1.17.1's: with d the differences,
//   python -c "from scipy import stats; r = stats.ttest_1samp(d, 0); print(r.pvalue, r.confidence_interval(0.95))"
//   python -c "from scipy import stats; print(stats.binomtest(b, b + c, 0.5).pvalue)"
//   python -c "from scipy import stats; print(2 * stats.t.sf(t, degrees))"
struct PairedCase {
  std::vector<double> differences;
  double mean, std, low, high, p;
};

TEST(CompareInPairsTest, AgreesWithSciPy) {
  const PairedCase cases[] = {
      {{0.012, -0.003, 0.021},
       0.01,
       0.012124355652982142,
       -0.020118569108246234,
       0.040118569108246231,
       0.28933094548129856},
      {{0.5, 0.5001},
       0.50004999999999999,
       7.0710678118646961e-05,
       0.49941468976319131,
       0.50068531023680862,
       6.3655611463440644e-05},
      {{0.0031, 0.0045, -0.0012, 0.0027, 0.0051, 0.0008, 0.0019},
       0.0024142857142857147,
       0.0021621197711417157,
       0.00041465843659091537,
       0.0044139129919805141,
       0.025469734394553533},
      {{-0.02, -0.018, -0.025, -0.021, -0.019},
       -0.0206,
       0.0027018512172212604,
       -0.023954791384926656,
       -0.017245208615073344,
       6.9421179156479906e-05},
  };
  for (const PairedCase& c : cases) {
    SCOPED_TRACE(c.mean);
    const auto result = CompareInPairs(c.differences);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_NEAR(result->mean, c.mean, 1e-15);
    EXPECT_NEAR(result->std.value(), c.std, 1e-11 * c.std);
    EXPECT_NEAR(result->interval.value().low, c.low, 1e-9 * std::abs(c.low));
    EXPECT_NEAR(result->interval.value().high, c.high, 1e-9 * std::abs(c.high));
    EXPECT_NEAR(result->p.value(), c.p, 1e-9 * c.p);
  }
}

TEST(CompareInPairsTest, FortyPairsAgreeWithSciPy) {
  std::vector<double> differences;
  for (int i = 0; i < 40; ++i) differences.push_back(1e-4 * ((7 * i) % 31 - 9));
  const PairedDifference result = CompareInPairs(differences).value();
  EXPECT_NEAR(result.interval.value().low, 0.00029191045315135047, 1e-14);
  EXPECT_NEAR(result.interval.value().high, 0.00087308954684864955, 1e-14);
  EXPECT_NEAR(result.p.value(), 0.00023254161048550604, 1e-13);
}

TEST(CompareInPairsTest, OnePairHasADifferenceAlone) {
  const PairedDifference result = CompareInPairs({0.02}).value();
  EXPECT_EQ(result.mean, 0.02);
  EXPECT_FALSE(result.std.has_value());
  EXPECT_FALSE(result.interval.has_value());
  EXPECT_FALSE(result.p.has_value());
}

TEST(CompareInPairsTest, EqualDifferencesHaveNoTest) {
  const PairedDifference result = CompareInPairs({0.1, 0.1, 0.1}).value();
  EXPECT_EQ(result.mean, 0.1);
  EXPECT_EQ(result.std, 0.0);
  EXPECT_EQ(result.interval.value().low, 0.1);
  EXPECT_EQ(result.interval.value().high, 0.1);
  EXPECT_FALSE(result.p.has_value());
}

TEST(CompareInPairsTest, RefusesWhatIsNoDifference) {
  EXPECT_TRUE(absl::IsInvalidArgument(CompareInPairs({}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(CompareInPairs({0.1, std::nan("")}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(CompareInPairs({std::numeric_limits<double>::infinity()}).status()));
}

TEST(StudentTest, AgreesWithSciPy) {
  const struct {
    double t, degrees, p;
  } cases[] = {
      {0, 1, 1},
      {1, 1, 0.5},
      {12.706204736432095, 1, 0.049999999998991303},
      {2.5, 2, 0.12961172022151082},
      {0.01, 7, 0.9923003176436217},
      {3.3, 29, 0.0025669142292085896},
      {40, 4, 2.3340163226012678e-06},
      {8, 1000, 3.4266614823914978e-15},
      {0.001, 100000, 0.99920211756688782},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.t);
    EXPECT_NEAR(StudentTwoSided(c.t, c.degrees), c.p, 1e-9 * c.p);
    EXPECT_EQ(StudentTwoSided(-c.t, c.degrees), StudentTwoSided(c.t, c.degrees));
  }
}

// Tables of Student's t: the 97.5 % column.
TEST(StudentTest, QuantilesAreThoseOfTheTables) {
  const struct {
    double degrees, quantile;
  } cases[] = {{1, 12.706}, {2, 4.303}, {4, 2.776}, {9, 2.262}, {29, 2.045}, {120, 1.980}};
  for (const auto& c : cases) EXPECT_NEAR(StudentQuantile(0.05, c.degrees), c.quantile, 6e-4) << c.degrees;
}

TEST(ExactMcNemarTest, AgreesWithSciPy) {
  const struct {
    int64_t first, second;
    double p;
  } cases[] = {
      {0, 0, 1},
      {0, 1, 1},
      {3, 3, 1},
      {1, 9, 0.021484375},
      {10, 2, 0.03857421875},
      {40, 91, 9.7957291508153405e-06},
      {512, 430, 0.0082779198712966927},
      {5000, 5300, 0.0032158196736452589},
      {0, 60, 1.7347234759768071e-18},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.first);
    EXPECT_NEAR(ExactMcNemar(c.first, c.second), c.p, 1e-9 * c.p);
    EXPECT_EQ(ExactMcNemar(c.second, c.first), ExactMcNemar(c.first, c.second));
  }
}

}  // namespace
}  // namespace retort::tools
