// The texts of numpy 2.4.6.
#include <limits>
#include <sstream>

#include <doctest/doctest.h>

#include <linseed/core/array.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>
#include <linseed/transform/grad.hpp>

using namespace linseed;

namespace {
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();
}  // namespace

TEST_CASE("Arrays print as NumPy prints them") {
  CHECK(to_string(Array(1.0)) == "1.0");
  CHECK(to_string(Array(0.1)) == "0.1");
  CHECK(to_string(Array(-2.5e-7)) == "-2.5e-07");
  CHECK(to_string(Array(1e-5)) == "1e-05");
  CHECK(to_string(Array(1e20)) == "1e+20");
  CHECK(to_string(Array(123456789.0)) == "1.2345679e+08");
  CHECK(to_string(Array(0.1234567890123, float64)) == "0.1234567890123");
  CHECK(to_string(Array(1e16, float64)) == "1e+16");
  CHECK(to_string(Array(-0.0)) == "-0.0");
  CHECK(to_string(Array(std::numeric_limits<double>::infinity())) == "inf");
  CHECK(to_string(Array(std::numeric_limits<double>::quiet_NaN())) == "nan");
  CHECK(to_string(Array(7)) == "7");
  CHECK(to_string(Array(true)) == "True");
  CHECK(to_string(Array{1.0, 2.0, 3.0}) == "[1. 2. 3.]");
  CHECK(to_string(Array{1, -20, 300}) == "[  1 -20 300]");
  CHECK(to_string(Array{true, false}) == "[ True False]");
  CHECK(to_string(Array({1, 200}, uint8)) == "[  1 200]");
  CHECK(to_string(Array{{1.0, 2.5}, {-3.25, 100.0}}) ==
        "[[  1.     2.5 ]\n"
        " [ -3.25 100.  ]]");
  CHECK(to_string(Array{0.1, 0.25, 10.0}) == "[ 0.1   0.25 10.  ]");
  CHECK(to_string(Array{0.001, 10.0}) == "[1.e-03 1.e+01]");
  CHECK(to_string(Array{0.001, 1.0}) == "[0.001 1.   ]");
  CHECK(to_string(Array{0.001, 1.5, 20.0}) == "[1.0e-03 1.5e+00 2.0e+01]");
  CHECK(to_string(Array{0.00001, 1.0}) == "[1.e-05 1.e+00]");
  CHECK(to_string(Array{1e8, 1.0}) == "[1.e+08 1.e+00]");
  CHECK(to_string(Array{12345678.0, 123456.7}) == "[1.2345678e+07 1.2345670e+05]");
  CHECK(to_string(Array({1.0 / 3.0, 2.0 / 3.0}, float64)) == "[0.33333333 0.66666667]");
  CHECK(to_string(Array({1e-10 / 3.0, 2.0 / 3.0}, float64)) == "[3.33333333e-11 6.66666667e-01]");
  CHECK(to_string(Array{1.0 / 3.0, 2.0 / 3.0, 1.0}) == "[0.33333334 0.6666667  1.        ]");
  CHECK(to_string(Array({1e100, 1e-100, -1.5}, float64)) == "[ 1.0e+100  1.0e-100 -1.5e+000]");
  CHECK(to_string(Array{0.0, -0.0}) == "[ 0. -0.]");
  CHECK(to_string(Array{1.5, nan, inf, -inf}) == "[ 1.5  nan  inf -inf]");
  CHECK(to_string(Array{nan, inf}) == "[nan inf]");
  CHECK(to_string(Array{1e10, nan}) == "[1.e+10    nan]");
  CHECK(to_string(zeros({0})) == "[]");
  CHECK(to_string(zeros({2, 0})) == "[]");
  CHECK(to_string(zeros({1, 1, 1})) == "[[[0.]]]");
  CHECK(to_string(reshape(arange(8), {2, 2, 2})) ==
        "[[[0 1]\n"
        "  [2 3]]\n"
        "\n"
        " [[4 5]\n"
        "  [6 7]]]");
  CHECK(to_string(reshape(arange(16), {2, 2, 2, 2})) ==
        "[[[[ 0  1]\n"
        "   [ 2  3]]\n"
        "\n"
        "  [[ 4  5]\n"
        "   [ 6  7]]]\n"
        "\n"
        "\n"
        " [[[ 8  9]\n"
        "   [10 11]]\n"
        "\n"
        "  [[12 13]\n"
        "   [14 15]]]]");
  CHECK(to_string(arange(30)) ==
        "[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n"
        " 24 25 26 27 28 29]");
  CHECK(to_string(arange(1001)) == "[   0    1    2 ...  998  999 1000]");
  CHECK(to_string(astype(arange(2000), float32) / 8) ==
        "[0.00000e+00 1.25000e-01 2.50000e-01 ... 2.49625e+02 2.49750e+02\n"
        " 2.49875e+02]");
  CHECK(to_string(reshape(arange(60), {2, 30})) ==
        "[[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n"
        "  24 25 26 27 28 29]\n"
        " [30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53\n"
        "  54 55 56 57 58 59]]");
  CHECK(to_string(reshape(astype(arange(40), float32), {2, 1, 20}) / 16) ==
        "[[[0.     0.0625 0.125  0.1875 0.25   0.3125 0.375  0.4375 0.5    0.5625\n"
        "   0.625  0.6875 0.75   0.8125 0.875  0.9375 1.     1.0625 1.125  1.1875]]\n"
        "\n"
        " [[1.25   1.3125 1.375  1.4375 1.5    1.5625 1.625  1.6875 1.75   1.8125\n"
        "   1.875  1.9375 2.     2.0625 2.125  2.1875 2.25   2.3125 2.375  2.4375]]]");
  CHECK(to_string(reshape(arange(2000), {20, 100})) ==
        "[[   0    1    2 ...   97   98   99]\n"
        " [ 100  101  102 ...  197  198  199]\n"
        " [ 200  201  202 ...  297  298  299]\n"
        " ...\n"
        " [1700 1701 1702 ... 1797 1798 1799]\n"
        " [1800 1801 1802 ... 1897 1898 1899]\n"
        " [1900 1901 1902 ... 1997 1998 1999]]");
  CHECK(to_string(reshape(arange(2048), {8, 8, 32})) ==
        "[[[   0    1    2 ...   29   30   31]\n"
        "  [  32   33   34 ...   61   62   63]\n"
        "  [  64   65   66 ...   93   94   95]\n"
        "  ...\n"
        "  [ 160  161  162 ...  189  190  191]\n"
        "  [ 192  193  194 ...  221  222  223]\n"
        "  [ 224  225  226 ...  253  254  255]]\n"
        "\n"
        " [[ 256  257  258 ...  285  286  287]\n"
        "  [ 288  289  290 ...  317  318  319]\n"
        "  [ 320  321  322 ...  349  350  351]\n"
        "  ...\n"
        "  [ 416  417  418 ...  445  446  447]\n"
        "  [ 448  449  450 ...  477  478  479]\n"
        "  [ 480  481  482 ...  509  510  511]]\n"
        "\n"
        " [[ 512  513  514 ...  541  542  543]\n"
        "  [ 544  545  546 ...  573  574  575]\n"
        "  [ 576  577  578 ...  605  606  607]\n"
        "  ...\n"
        "  [ 672  673  674 ...  701  702  703]\n"
        "  [ 704  705  706 ...  733  734  735]\n"
        "  [ 736  737  738 ...  765  766  767]]\n"
        "\n"
        " ...\n"
        "\n"
        " [[1280 1281 1282 ... 1309 1310 1311]\n"
        "  [1312 1313 1314 ... 1341 1342 1343]\n"
        "  [1344 1345 1346 ... 1373 1374 1375]\n"
        "  ...\n"
        "  [1440 1441 1442 ... 1469 1470 1471]\n"
        "  [1472 1473 1474 ... 1501 1502 1503]\n"
        "  [1504 1505 1506 ... 1533 1534 1535]]\n"
        "\n"
        " [[1536 1537 1538 ... 1565 1566 1567]\n"
        "  [1568 1569 1570 ... 1597 1598 1599]\n"
        "  [1600 1601 1602 ... 1629 1630 1631]\n"
        "  ...\n"
        "  [1696 1697 1698 ... 1725 1726 1727]\n"
        "  [1728 1729 1730 ... 1757 1758 1759]\n"
        "  [1760 1761 1762 ... 1789 1790 1791]]\n"
        "\n"
        " [[1792 1793 1794 ... 1821 1822 1823]\n"
        "  [1824 1825 1826 ... 1853 1854 1855]\n"
        "  [1856 1857 1858 ... 1885 1886 1887]\n"
        "  ...\n"
        "  [1952 1953 1954 ... 1981 1982 1983]\n"
        "  [1984 1985 1986 ... 2013 2014 2015]\n"
        "  [2016 2017 2018 ... 2045 2046 2047]]]");
  CHECK(to_string(reshape(arange(1200), {2, 3, 200})) ==
        "[[[   0    1    2 ...  197  198  199]\n"
        "  [ 200  201  202 ...  397  398  399]\n"
        "  [ 400  401  402 ...  597  598  599]]\n"
        "\n"
        " [[ 600  601  602 ...  797  798  799]\n"
        "  [ 800  801  802 ...  997  998  999]\n"
        "  [1000 1001 1002 ... 1197 1198 1199]]]");
  CHECK(to_string(reshape(arange(1200), {1200, 1})) ==
        "[[   0]\n"
        " [   1]\n"
        " [   2]\n"
        " ...\n"
        " [1197]\n"
        " [1198]\n"
        " [1199]]");
  CHECK(to_string(random::key(5)) == "[0 5]");
}

TEST_CASE("streams and fmt give the same text") {
  const Array x{{1, 2}, {3, 4}};
  std::ostringstream stream;
  stream << x;
  CHECK(stream.str() == "[[1 2]\n [3 4]]");
  CHECK(fmt::format("{}", x) == stream.str());
  CHECK(fmt::format("{:>8}", Array(2.5)) == "     2.5");
  CHECK(fmt::format("{} {}", x.shape(), x.dtype()) == "(2, 2) int32");
}

TEST_CASE("what has no elements to print prints what is known") {
  CHECK(to_string(Array()) == "<empty Array>");
  CHECK(describe(zeros({3, 4})) == "float32[3,4]");
  CHECK(describe(Array(true)) == "bool[]");
  std::string traced;
  (void)grad([&](const Array& x) {
    traced = to_string(x);
    return sum(x);
  })(Array{1.0, 2.0});
  CHECK(traced == "[1. 2.]");
}
